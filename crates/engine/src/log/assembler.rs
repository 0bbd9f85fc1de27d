//! Pieces of one stream to lines.
//!
//! The Engine puts a time before each message. A message is a line, or a part of one that is longer than 16 KiB:
//! then its next part has a time as well, which is none of the line's.

use diogenes_proto::{Timestamp, Untrusted, untrusted};

use super::{Lines, LogLine, LogStream};
use crate::facts::moment;

/// Most that is kept of a line; what is beyond is dropped as it comes.
pub(super) const LINE_BYTES: usize = 2 * untrusted::MAX_BYTES;
/// No time is longer: `2026-01-31T08:00:00.123456789Z`, a blank follows.
const TIME_BYTES: usize = 40;

/// A stream that is being put together. Holds no more than the beginning of one line.
#[derive(Debug)]
pub(super) struct Assembler {
    stream: LogStream,
    /// The beginning of a message, as long as it may be its time; None behind it.
    time: Option<Vec<u8>>,
    at: Option<Timestamp>,
    line: Vec<u8>,
    /// Something of a line has come, though it may be empty.
    is_begun: bool,
}

impl Assembler {
    pub(super) fn new(stream: LogStream) -> Self {
        Self {
            stream,
            time: Some(Vec::new()),
            at: None,
            line: Vec::new(),
            is_begun: false,
        }
    }

    /// A message begins: its time comes first.
    pub(super) fn begin_message(&mut self) {
        self.end_time(false);
        self.time = Some(Vec::new());
    }

    /// Takes the next bytes; lines that end in them are added to `lines`.
    pub(super) fn push(&mut self, mut bytes: &[u8], lines: &mut Lines) {
        while let Some((&first, rest)) = bytes.split_first() {
            if let Some(time) = &mut self.time {
                bytes = rest;
                match first {
                    b' ' => self.end_time(true),
                    b'\n' => {
                        self.end_time(false);
                        self.end_line(lines);
                    }
                    other => {
                        time.push(other);
                        if time.len() > TIME_BYTES {
                            self.end_time(false);
                        }
                    }
                }
                continue;
            }
            let feed = bytes.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = bytes.split_at(feed.unwrap_or(bytes.len()));
            self.keep(piece);
            bytes = rest;
            if feed.is_some() {
                bytes = &rest[1..];
                self.end_line(lines);
            }
        }
    }

    /// The stream has ended: what has no line feed is a line as well.
    pub(super) fn finish(&mut self, lines: &mut Lines) {
        self.end_time(false);
        if self.is_begun {
            self.end_line(lines);
        }
    }

    /// How much memory the line takes.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.line.capacity()
    }

    /// What came first was the time, or belongs to the line after all.
    fn end_time(&mut self, is_followed_by_blank: bool) {
        let Some(mut time) = self.time.take() else {
            return;
        };
        let told = std::str::from_utf8(&time).ok().and_then(moment);
        match told {
            Some(at) if is_followed_by_blank => {
                if !self.is_begun {
                    self.at = Some(at);
                    self.is_begun = true;
                }
            }
            _ => {
                if is_followed_by_blank {
                    time.push(b' ');
                }
                self.keep(&time);
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        self.is_begun |= !piece.is_empty();
        let room = LINE_BYTES - self.line.len();
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn end_line(&mut self, lines: &mut Lines) {
        let text = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        lines.push_back(LogLine {
            at: self.at.take(),
            stream: self.stream,
            text: Untrusted::from_bytes(text),
        });
        self.line.clear();
        self.is_begun = false;
        self.time = Some(Vec::new());
    }
}
