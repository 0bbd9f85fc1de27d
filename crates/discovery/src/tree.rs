//! A directory of the system under an open descriptor: `/proc`, or its copy in a fixture.
//!
//! Files are read whole into buffers that are used again and again, so a scan of a thousand processes
//! allocates next to nothing. All that is opened here belongs to the kernel's own file systems; the
//! container's files are opened elsewhere ([`crate::frameworks`]), for they may hang.
//!
//! What is denied is asked for once more as the process' owner ([`FsIdentity`]): the companion in a baked image is root
//! without the capability to look into others.

use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::path::Path;

use diogenes_linux::fs_identity::FsIdentity;
use rustix::buffer::{SpareCapacity, spare_capacity};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, openat, readlinkat_raw, statat};
use rustix::io::{Errno, pread, read};

/// Most that is read of one file.
const FILE_BYTES: usize = 64 * 1024;
/// A directory's entries come in pieces of this size; smaller means more system calls.
const LISTING_BYTES: usize = 16 * 1024;
/// Longest path the kernel gives (PATH_MAX of limits.h).
const PATH_BYTES: usize = 4096;

/// A number among a directory's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) number: u32,
    /// Of what has this name.
    pub(crate) inode: u64,
}

/// An open directory, with buffers for reading what lies below it.
#[derive(Debug)]
pub(crate) struct Tree {
    directory: OwnedFd,
    path: String,
    content: Vec<u8>,
    listing: Vec<MaybeUninit<u8>>,
}

impl Tree {
    /// Opens a directory.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        Ok(Self {
            directory: openat(CWD, path, directory_flags(), Mode::empty())?,
            path: String::with_capacity(64),
            content: Vec::with_capacity(4096),
            listing: vec![MaybeUninit::uninit(); LISTING_BYTES],
        })
    }

    /// The content of `PID/NAME`, at most 64 KiB.
    pub(crate) fn read(&mut self, pid: u32, name: &str) -> Result<&[u8], Errno> {
        self.point_to(pid, name);
        let file = openat(&self.directory, &*self.path, file_flags(), Mode::empty())?;
        self.content.clear();
        loop {
            // Nearly every file fits the first read; the second confirms the end.
            let length = self.content.len();
            if length >= FILE_BYTES {
                break;
            }
            self.content.reserve(4096);
            match read(&file, spare_capacity(&mut self.content)) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.content)
    }

    /// The beginning of `PID/NAME` in a single read: for files that come in one piece, or of which no more
    /// than `limit` bytes are wanted. May return one byte beyond, to tell that there is more.
    pub(crate) fn read_once(&mut self, pid: u32, name: &str, limit: usize) -> Result<&[u8], Errno> {
        self.as_owner_if_denied(pid, &mut |tree| {
            tree.point_to(pid, name);
            let file = openat(&tree.directory, &*tree.path, file_flags(), Mode::empty())?;
            read(&file, spare(&mut tree.content, limit + 1))?;
            tree.content.truncate(limit + 1);
            Ok(0)
        })?;
        Ok(&self.content)
    }

    /// Where the link `PID/NAME` points, without going there.
    pub(crate) fn read_link(&mut self, pid: u32, name: &str) -> Result<&[u8], Errno> {
        self.as_owner_if_denied(pid, &mut |tree| {
            tree.point_to(pid, name);
            let (directory, path) = (tree.directory.as_fd(), &*tree.path);
            readlinkat_raw(directory, path, spare(&mut tree.content, PATH_BYTES)).map(|_| 0)
        })?;
        Ok(&self.content)
    }

    /// Opens `PID/NAME`, to be read with [`Tree::read_again`] as often as needed.
    pub(crate) fn open_file(&mut self, pid: u32, name: &str) -> Result<OwnedFd, Errno> {
        self.point_to(pid, name);
        openat(&self.directory, &*self.path, file_flags(), Mode::empty())
    }

    /// The beginning of an open file, at most `limit` bytes. Of a process that is gone, `ESRCH`.
    pub(crate) fn read_again(&mut self, file: &OwnedFd, limit: usize) -> Result<&[u8], Errno> {
        pread(file, spare(&mut self.content, limit), 0)?;
        self.content.truncate(limit);
        Ok(&self.content)
    }

    /// What was read last.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// The user who owns `PID`: of a directory in `/proc` itself the kernel takes the effective user of the
    /// process, dumpable or not (`task_dump_owner`, fs/proc/base.c).
    pub(crate) fn owner(&mut self, pid: u32) -> Result<u32, Errno> {
        self.owner_and_group(pid).map(|(uid, _)| uid)
    }

    fn owner_and_group(&mut self, pid: u32) -> Result<(u32, u32), Errno> {
        self.point_to(pid, "");
        let stat = statat(&self.directory, &*self.path, AtFlags::empty())?;
        Ok((stat.st_uid, stat.st_gid))
    }

    /// Does it, and where that is denied, once more as the owner of `PID`.
    fn as_owner_if_denied(
        &mut self,
        pid: u32,
        read: &mut dyn FnMut(&mut Self) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let denied = match read(self) {
            Err(denied @ (Errno::ACCESS | Errno::PERM)) => denied,
            result => return result,
        };
        let _owner = self.owner_identity(pid).ok_or(denied)?;
        read(self)
    }

    /// The owner of `PID`, as whom this thread reads files for as long as the value lives; None where it cannot.
    pub(crate) fn owner_identity(&mut self, pid: u32) -> Option<FsIdentity> {
        let (uid, gid) = self.owner_and_group(pid).ok()?;
        FsIdentity::assume(uid, gid)
    }

    /// The size of `PID/NAME` as its inode has it.
    pub(crate) fn size(&mut self, pid: u32, name: &str) -> Result<u64, Errno> {
        self.point_to(pid, name);
        let stat = statat(&self.directory, &*self.path, AtFlags::empty())?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// The numbers among the directory's own entries: the pids, of `/proc`. At most `limit`; true where
    /// there were more.
    pub(crate) fn numbers(&mut self, limit: usize, into: &mut Vec<Entry>) -> Result<bool, Errno> {
        into.clear();
        // Opened anew: a directory that was read through stands at its end.
        let directory = openat(&self.directory, ".", directory_flags(), Mode::empty())?;
        let mut entries = RawDir::new(directory, &mut self.listing);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if let Some(number) = crate::procfs::number(entry.file_name().to_bytes()) {
                if into.len() == limit {
                    return Ok(true);
                }
                let inode = entry.ino();
                into.push(Entry { number, inode });
            }
        }
        Ok(false)
    }

    /// Calls `each` with the first `limit` file descriptors of a process, in their order, and what they point
    /// to. Returns how many there are; beyond the limit they are counted only where `count_all` is set.
    ///
    /// # Errors
    /// `EACCES` also where the list may be read and what the descriptors point to may not.
    pub(crate) fn descriptors(
        &mut self,
        pid: u32,
        limit: usize,
        count_all: bool,
        each: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<usize, Errno> {
        self.as_owner_if_denied(pid, &mut |tree| {
            tree.point_to(pid, "fd");
            let directory = openat(
                &tree.directory,
                &*tree.path,
                directory_flags(),
                Mode::empty(),
            )?;
            let mut count = 0;
            let mut entries = RawDir::new(&directory, &mut tree.listing);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                let Some(number) = crate::procfs::number(entry.file_name().to_bytes()) else {
                    continue;
                };
                count += 1;
                if count > limit {
                    if count_all {
                        continue;
                    }
                    break;
                }
                let mut target = [MaybeUninit::uninit(); PATH_BYTES];
                match readlinkat_raw(&directory, entry.file_name(), &mut target) {
                    Ok((target, _)) => each(number, target),
                    Err(denied @ (Errno::ACCESS | Errno::PERM)) => return Err(denied),
                    // A descriptor that was closed meanwhile is none.
                    Err(_) => {}
                }
            }
            Ok(count)
        })
    }

    fn point_to(&mut self, pid: u32, name: &str) {
        self.path.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.path, "{pid}/{name}");
    }
}

/// The buffer, emptied, with room for `least` bytes; more may be read into it.
fn spare(buffer: &mut Vec<u8>, least: usize) -> SpareCapacity<'_, u8> {
    buffer.clear();
    buffer.reserve(least);
    spare_capacity(buffer)
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn file_flags() -> OFlags {
    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}
