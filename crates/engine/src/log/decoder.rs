//! The body of an answer to lines, whichever of its two forms it has.
//!
//! A container without a terminal has two streams, which come in [`Frames`]. One with a terminal has a single stream,
//! which comes as it is. The first byte tells them apart, for each message begins with a time, and that with a digit.

use super::assembler::Assembler;
use super::{Lines, LogStream};
use crate::frames::Frames;

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
    /// Two streams.
    Framed(Frames),
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
        let Some(&first) = bytes.first() else { return };
        if matches!(self.form, Form::Unknown) {
            self.form = if first <= 2 {
                Form::Framed(Frames::default())
            } else {
                Form::Plain
            };
        }
        let Form::Framed(frames) = &mut self.form else {
            return self.stdout.push(bytes, lines);
        };
        while let Some(piece) = frames.next(&mut bytes) {
            let assembler = match piece.stream {
                LogStream::Stdout => &mut self.stdout,
                LogStream::Stderr => &mut self.stderr,
            };
            if piece.is_first {
                assembler.begin_message();
            }
            assembler.push(piece.bytes, lines);
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, lines: &mut Lines) {
        self.stdout.finish(lines);
        self.stderr.finish(lines);
    }
}
