//! The files that the processes of a container log to: found by themselves, read from their ends.
//!
//! No configuration tells where a program logs to; what it holds open for writing does:
//!
//! ```text
//! /proc/PID/fd ─► paths that may be logs' ─► open for writing? (fdinfo) ─► Found ─► tail ─► LogFile
//! ```
//!
//! [`find`] asks the kernel alone. [`Found::read`] opens a file of the container, which may hang for ever
//! (a dead network volume): call both on a thread that can be given up.

mod tail;

use std::path::Path;

use diogenes_proto::{LogFile, LogPosition, Untrusted};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::tree::Tree;

/// Most descriptors that are looked at, of one process and of all.
const MAX_OF_ONE: usize = 1024;
const MAX_DESCRIPTORS: usize = 65_536;
/// Most files that are found. Of those some prove to be none of a log.
const MAX_FILES: usize = 256;
/// `fdinfo` begins with position and flags; what follows may be long.
const FDINFO_BYTES: usize = 256;

/// Where paths begin that are no files of a volume.
const NO_FILES: [&[u8]; 4] = [b"/proc/", b"/sys/", b"/dev/", b"/memfd:"];
/// Endings of what is appended to as well, and is no text for people: databases and their journals.
const DATA: [&[u8]; 8] = [
    b".aof",
    b".rdb",
    b".db",
    b".sqlite",
    b".sqlite3",
    b".wal",
    b"-wal",
    b"-journal",
];
/// Where PostgreSQL keeps its own.
const PG_WAL: &[u8] = b"/pg_wal/";
/// Added by the kernel to the path of a file that was removed (proc(5)).
const DELETED: &[u8] = b" (deleted)";

/// A process that may write logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Its pid, as `/proc` numbers it.
    pub pid: u32,
    /// The key of the service it belongs to; None where there is none.
    pub service: Option<String>,
}

/// What is to be told of each file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// This many of the last lines.
    Last(usize),
    /// What came since these positions; of a file that is not among them, everything.
    Since(Vec<LogPosition>),
}

/// A file that a process holds open for writing, and that looks like a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    writer: Writer,
    descriptor: u32,
    path: Vec<u8>,
}

/// The log files of these processes, each once, in the order of the first process that writes them.
///
/// # Errors
/// Where `/proc` cannot be opened. A process whose descriptors cannot be read is passed over.
pub fn find(writers: &[Writer]) -> Result<Vec<Found>, Errno> {
    let mut tree = Tree::open(Path::new("/proc"))?;
    let mut found: Vec<Found> = Vec::new();
    let mut candidates = Vec::new();
    let mut left = MAX_DESCRIPTORS;
    for writer in writers {
        let limit = left.min(MAX_OF_ONE);
        let count = tree.descriptors(writer.pid, limit, false, &mut |number, path| {
            if is_of_a_volume(path) && !is_data(path) {
                candidates.push((number, path.to_vec()));
            }
        });
        // Who has gone, or may not be looked into, has no files to be told. Its question has a price, too.
        left = left.saturating_sub(count.unwrap_or(0).max(1));
        for (descriptor, path) in candidates.drain(..) {
            // A file may be held by many processes, and more than once by one.
            if found.len() < MAX_FILES
                && !found.iter().any(|file| file.path == path)
                && is_log(&mut tree, writer.pid, descriptor, &path)
            {
                found.push(Found {
                    writer: writer.clone(),
                    descriptor,
                    path,
                });
            }
        }
    }
    Ok(found)
}

impl Found {
    /// What is known of the file before it is read.
    #[must_use]
    pub fn unread(&self) -> LogFile {
        LogFile {
            path: Untrusted::from_bytes(&self.path),
            service: self.writer.service.clone(),
            pid: self.writer.pid,
            ..LogFile::default()
        }
    }

    /// Reads the part that is asked for. None where it proves to be no log, or its writer has let go of it.
    #[must_use]
    pub fn read(&self, part: &Part) -> Option<LogFile> {
        let link = format!("/proc/{}/fd/{}", self.writer.pid, self.descriptor);
        let mut file = self.unread();
        let mut read = tail::read(&link, part, &mut file);
        if matches!(read, Err(Errno::ACCESS | Errno::PERM)) {
            let writer = Tree::open(Path::new("/proc")).ok();
            let writer = writer.and_then(|mut tree| tree.owner_identity(self.writer.pid));
            if writer.is_some() {
                read = tail::read(&link, part, &mut file);
            }
        }
        match read {
            Ok(is_log) => is_log.then_some(file),
            Err(Errno::NOENT | Errno::SRCH) => None,
            Err(error) => {
                file.failure = Some(format!("cannot be read: {error}").into());
                Some(file)
            }
        }
    }
}

/// Whether a descriptor's target is a file below the root, of a file system that keeps files.
fn is_of_a_volume(path: &[u8]) -> bool {
    path.starts_with(b"/") && !NO_FILES.iter().any(|place| path.starts_with(place))
}

/// Whether the name is that of a database or its journal.
fn is_data(path: &[u8]) -> bool {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    DATA.iter().any(|ending| path.ends_with(ending))
        || path.windows(PG_WAL.len()).any(|part| part == PG_WAL)
}

/// Whether a file is open for writing, and is a log by how it is written, by whom, or by its name.
fn is_log(tree: &mut Tree, pid: u32, descriptor: u32, path: &[u8]) -> bool {
    let info = tree.read_once(pid, &format!("fdinfo/{descriptor}"), FDINFO_BYTES);
    let Some(flags) = info.ok().and_then(open_flags) else {
        return false;
    };
    let is_written = flags & OFlags::ACCMODE != OFlags::RDONLY;
    let is_output = descriptor == 1 || descriptor == 2;
    is_written && (flags.contains(OFlags::APPEND) || is_output || is_named_so(path))
}

/// The flags in `/proc/PID/fdinfo/N`, a line `flags:` in octal (proc(5)).
fn open_flags(info: &[u8]) -> Option<OFlags> {
    let mut lines = info.split(|byte| *byte == b'\n');
    let flags = lines.find_map(|line| line.strip_prefix(b"flags:"))?;
    let flags = std::str::from_utf8(flags.trim_ascii()).ok()?;
    u32::from_str_radix(flags, 8)
        .ok()
        .map(OFlags::from_bits_retain)
}

/// Whether the path says that the file is a log.
fn is_named_so(path: &[u8]) -> bool {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    let mut parts = path.rsplit(|byte| *byte == b'/');
    let name = parts.next().unwrap_or_default();
    name.ends_with(b".err")
        || name.ends_with(b".out")
        || name
            .windows(3)
            .any(|part| part.eq_ignore_ascii_case(b"log"))
        || parts.any(|directory| directory == b"log" || directory == b"logs")
}
