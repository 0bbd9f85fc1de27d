//! Reads files of the container that should be plain files, and may be anything.
//!
//! A path is first opened with `O_PATH`, which touches nothing, and only what then proves to be a regular
//! file is opened for reading, by its descriptor: a FIFO, a device or a link in the last place is never
//! opened. To look may still hang for ever where a volume is dead: call this on a thread that can be given up.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

/// The beginning of a file, at most `limit` bytes; None where it is not a regular file, or not there.
pub(crate) fn read(root: &Path, path: &Path, limit: u64) -> Option<Vec<u8>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(CWD, below(root, path), flags, Mode::empty()).ok()?;
    if FileType::from_raw_mode(fstat(&place).ok()?.st_mode) != FileType::RegularFile {
        return None;
    }
    // Through /proc the very file that was looked at is opened, whatever its name means by now.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    let file = File::from(openat(CWD, link, flags, Mode::empty()).ok()?);
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// An absolute path as it is below `root`.
pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    let relative = |part: &Component<'_>| !matches!(part, Component::RootDir);
    root.join(path.components().filter(relative).collect::<PathBuf>())
}

/// Files of a container, for tests.
#[cfg(test)]
pub(crate) fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    root
}
