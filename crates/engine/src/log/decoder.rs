//! The body of an answer to lines, whichever of its two forms it has.
//!
//! A container without a terminal has two streams, which come in frames: `STREAM 0 0 0 LENGTH` (big-endian), then
//! so many bytes; STREAM is 1 or 2. One with a terminal has a single stream, which comes as it is. The first byte
//! tells them apart, for each message begins with a time, and that with a digit. Source: Docker Engine API,
//! "Stream format" of `POST /containers/{id}/attach`.

use super::assembler::Assembler;
use super::{Lines, LogStream};

const HEADER_BYTES: usize = 8;

/// Takes the bytes as they come, cut anywhere, and holds next to nothing of them.
#[derive(Debug)]
pub(crate) struct Decoder {
    form: Form,
    stdout: Assembler,
    stderr: Assembler,
}

#[derive(Debug)]
enum Form {
    /// Nothing has come yet.
    Unknown,
    /// One stream as it is.
    Plain,
    /// Frames: of the next header this much has come.
    Header(Vec<u8>),
    /// Frames: within one, of which this many bytes are to come.
    Payload { is_stderr: bool, left: usize },
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            form: Form::Unknown,
            stdout: Assembler::new(LogStream::Stdout),
            stderr: Assembler::new(LogStream::Stderr),
        }
    }

    /// Takes the next bytes; lines that end in them are added to `lines`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], lines: &mut Lines) {
        while let Some(&first) = bytes.first() {
            match &mut self.form {
                Form::Unknown if first <= 2 => self.form = Form::Header(Vec::new()),
                Form::Unknown => self.form = Form::Plain,
                Form::Plain => return self.stdout.push(bytes, lines),
                Form::Header(header) => {
                    let taken = bytes.len().min(HEADER_BYTES - header.len());
                    header.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    if let [stream, _, _, _, length @ ..] = header.as_slice()
                        && let Ok(length) = <[u8; 4]>::try_from(length)
                    {
                        let is_stderr = *stream == 2;
                        let left = u32::from_be_bytes(length) as usize;
                        self.form = Form::Payload { is_stderr, left };
                        self.assembler(is_stderr).begin_message();
                    }
                }
                Form::Payload { left: 0, .. } => self.form = Form::Header(Vec::new()),
                Form::Payload { is_stderr, left } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    let is_stderr = *is_stderr;
                    self.assembler(is_stderr).push(&bytes[..taken], lines);
                    bytes = &bytes[taken..];
                }
            }
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, lines: &mut Lines) {
        self.stdout.finish(lines);
        self.stderr.finish(lines);
    }

    fn assembler(&mut self, is_stderr: bool) -> &mut Assembler {
        if is_stderr {
            &mut self.stderr
        } else {
            &mut self.stdout
        }
    }
}
