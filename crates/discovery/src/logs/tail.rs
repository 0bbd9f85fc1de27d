//! The end of one log file, or what came since it was read last.
//!
//! ```text
//! file: ─────────┬─────────────┬─────────────────────┬─────────────┐
//!       too far  │ mid-line:   │ whole lines: told   │ unfinished: │ end
//!       back     │ not told    │                     │ comes again │
//!                └─ read from here          position ┘             │
//! ```
//!
//! What begins in the middle of a line is not told: what marks a secret may stand before.
//!
//! A file is first opened with `O_PATH`, which touches nothing, and only what then proves to be a regular
//! file is opened for reading, by its descriptor. No more is read than it is long: the files of `/proc` and
//! the like, wherever they are mounted, have no length.

use std::os::fd::AsRawFd;

use diogenes_proto::{LogFile, LogPosition, Untrusted, untrusted};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::{Errno, pread};

use super::{Part, is_of_a_volume};
use crate::redact::redact_text;

/// Most that is read of one file.
const WINDOW_BYTES: u64 = 64 * 1024;
/// A line that is longer is told without its end, and without waiting for it.
const LINE_BYTES: usize = 2 * untrusted::MAX_BYTES;
/// What holds more NUL bytes than one in so many is data, whatever its name says.
const TEXT_PER_NUL: usize = 16;

/// Reads the file behind a link in `/proc` into `file`; false where it is no log after all.
///
/// # Errors
/// `ENOENT` and `ESRCH` where the descriptor is closed or its process gone; whatever open(2), fstat(2) and
/// pread(2) say.
pub(super) fn read(link: &str, part: &Part, file: &mut LogFile) -> Result<bool, Errno> {
    let place = openat(CWD, link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&place)?;
    // Through /proc the very file that was looked at is opened, whatever the descriptor stands for by now.
    let own = format!("/proc/self/fd/{}", place.as_raw_fd());
    let path = readlinkat(CWD, &own, Vec::new())?.into_bytes();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_of_a_volume(&path) {
        return Ok(false);
    }
    file.path = Untrusted::from_bytes(&path);

    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let mut position = LogPosition {
        device: stat.st_dev,
        inode: stat.st_ino,
        offset: size,
    };
    let from = match part {
        Part::Last(_) => 0,
        Part::Since(positions) => {
            let same = |told: &&LogPosition| {
                (told.device, told.inode) == (position.device, position.inode)
                    && told.offset <= size
            };
            let told = positions.iter().find(same);
            file.restarted = told.is_none();
            told.map_or(0, |told| told.offset)
        }
    };
    let start = from.max(size.saturating_sub(WINDOW_BYTES));
    if start < size {
        let bytes = read_between(&own, start.saturating_sub(1), size)?;
        let text = from_line_start(&bytes, start > 0);
        if is_binary(text) {
            return Ok(false);
        }
        let (whole, unfinished) = split_unfinished(text);
        let wanted = match part {
            Part::Last(count) => *count,
            Part::Since(_) => usize::MAX,
        };
        file.lines = last_lines(whole, wanted);
        file.omitted = match part {
            Part::Last(count) => file.lines.len() < *count && start > 0,
            Part::Since(_) => start > from,
        };
        // It may be shorter than a moment ago.
        let end = start.saturating_sub(1) + bytes.len() as u64;
        position.offset = end - unfinished.len() as u64;
        if wanted > 0 && !unfinished.is_empty() {
            file.unfinished = Some(line(unfinished));
        }
    }
    file.position = Some(position);
    Ok(true)
}

/// The bytes of a file between two places; less where it has become shorter.
fn read_between(path: &str, start: u64, end: u64) -> Result<Vec<u8>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty())?;
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        match pread(&file, &mut bytes[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// What begins with a line. With `has_before` the first byte is the one before the text.
fn from_line_start(bytes: &[u8], has_before: bool) -> &[u8] {
    let begin = if has_before {
        let feed = bytes.iter().position(|byte| *byte == b'\n');
        feed.map_or(bytes.len(), |feed| feed + 1)
    } else {
        0
    };
    // Who goes on writing at the old place of a truncated file leaves a hole before it.
    let hole = bytes[begin..].iter().take_while(|byte| **byte == 0).count();
    &bytes[begin + hole..]
}

/// Whether this is no text for people, such as a database's own log.
fn is_binary(text: &[u8]) -> bool {
    text.iter().filter(|byte| **byte == 0).count() * TEXT_PER_NUL > text.len()
}

/// The whole lines, and what stands after the last line feed. That is taken for a line where it is too long.
fn split_unfinished(text: &[u8]) -> (&[u8], &[u8]) {
    let feed = text.iter().rposition(|byte| *byte == b'\n');
    let whole = feed.map_or(0, |feed| feed + 1);
    if text.len() - whole > LINE_BYTES {
        (text, &[])
    } else {
        text.split_at(whole)
    }
}

/// The last of the lines, oldest first.
fn last_lines(text: &[u8], count: usize) -> Vec<Untrusted> {
    let mut lines: Vec<_> = text
        .split_inclusive(|byte| *byte == b'\n')
        .rev()
        .take(count)
        .map(line)
        .collect();
    lines.reverse();
    lines
}

/// A line as it is told.
fn line(bytes: &[u8]) -> Untrusted {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LINE_BYTES)]);
    Untrusted::new(redact_text(&text))
}
