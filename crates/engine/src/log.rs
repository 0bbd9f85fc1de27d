//! What a container writes to stdout and stderr, line by line, as the Engine keeps it.
//!
//! ```text
//! GET /containers/ID/logs ─► transport ─► bytes ─► decoder: frames? ─► one assembler a stream ─► LogLine
//! ```
//!
//! bollard reads a terminal's output up to the next line feed, however far away that is: a container could fill
//! the memory of its reader. So this one question is asked without it.

mod assembler;
mod decoder;

use std::collections::VecDeque;

use diogenes_proto::{Timestamp, Untrusted};

pub(crate) use decoder::Decoder;

/// Where a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output; everything, where the container has a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line, without its line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When the Engine read it; None where it did not say.
    pub at: Option<Timestamp>,
    /// Where it was written to.
    pub stream: LogStream,
    /// The line; a long one is cut.
    pub text: Untrusted,
}

/// Which lines are wanted. Source: Docker Engine API, `GET /containers/{id}/logs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// None before this moment; None means from the beginning.
    pub since: Option<Timestamp>,
    /// None after this moment; None means to the end.
    pub until: Option<Timestamp>,
    /// Only this many of the last lines; None means all.
    pub tail: Option<u32>,
    /// To go on with what is written from now on, until the container ends.
    pub follow: bool,
}

impl LogOptions {
    /// The path and query of the request. The times of the Engine are asked for, for they also tell a terminal's
    /// output from frames, see [`Decoder`].
    pub(crate) fn target(&self, id: &str) -> String {
        let mut target = format!("/containers/{id}/logs?stdout=1&stderr=1&timestamps=1");
        let mut add = |name: &str, value: String| {
            target.push_str(&format!("&{name}={value}"));
        };
        if self.follow {
            add("follow", "1".to_owned());
        }
        if let Some(lines) = self.tail {
            add("tail", lines.to_string());
        }
        for (name, moment) in [("since", self.since), ("until", self.until)] {
            if let Some(ms) = moment.map(Timestamp::as_unix_ms) {
                add(name, format!("{}.{:03}", ms / 1000, ms % 1000));
            }
        }
        target
    }
}

/// Lines that were taken out of a stream and wait for their reader.
pub(crate) type Lines = VecDeque<LogLine>;

#[cfg(test)]
mod tests;
