//! Log files: what the processes of a container write to files rather than to stdout, and how to go on reading
//! where one left off.

use serde::{Deserialize, Serialize};

use crate::fit::{BODY_BYTES, fitting, json_bytes, keep_fitting};
use crate::{Untrusted, word};

/// How far a file was read. To be given back as it is, to read on from there: a file that was replaced has
/// another inode, and one that was truncated is shorter than `offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// The device of the file (`st_dev`, stat(2)).
    pub device: u64,
    /// The file's inode on it.
    pub inode: u64,
    /// The first byte that was not told yet.
    pub offset: u64,
}

/// A log file that a process holds open for writing, and what was read of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Its path as the kernel has it, ending in ` (deleted)` where it was removed.
    pub path: Untrusted,
    /// The service whose process writes it, by its key; None where that is no service's.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "word::maybe"
    )]
    pub service: Option<String>,
    /// A process that writes it, by its container pid.
    pub pid: u32,
    /// Where to read on; None where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<LogPosition>,
    /// Whole lines, oldest first, secrets redacted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Untrusted>,
    /// What stands after the last line feed; it comes again with the rest of its line. None where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Untrusted>,
    /// Lines before these were asked for and left out, because too much was written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub omitted: bool,
    /// Read from its beginning, because since `after` it is new or was truncated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    /// Why it could not be read, in words; None where it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Untrusted>,
}

/// The log files of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// The files, those of services first.
    pub files: Vec<LogFile>,
    /// How many more files there are.
    #[serde(default)]
    pub omitted: u32,
}

impl Logs {
    /// The same, cut where it would not fit a line: of the files that take most room the oldest lines go, and
    /// where the names alone are too many, the last files.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        // What the files have in common with a line, as wide as it can become.
        const FRAME_BYTES: usize = r#","files":[],"omitted":4294967295"#.len();
        let mut share = BODY_BYTES;
        while share > 0 && json_bytes(&self.files) > BODY_BYTES - FRAME_BYTES {
            share /= 2;
            for file in &mut self.files {
                file.shorten(share);
            }
        }
        let all = self.files.len();
        if keep_fitting(&mut self.files, BODY_BYTES - FRAME_BYTES) {
            let dropped = u32::try_from(all - self.files.len()).unwrap_or(u32::MAX);
            self.omitted = self.omitted.saturating_add(dropped);
        }
        self
    }
}

impl LogFile {
    /// Keeps the last lines, as many as fit into `max_bytes` together.
    fn shorten(&mut self, max_bytes: usize) {
        let kept = fitting(self.lines.iter().rev(), max_bytes);
        self.omitted |= kept < self.lines.len();
        self.lines.drain(..self.lines.len() - kept);
    }
}
