//! Who holds the lock of a run directory. Taking it to find out would keep a supervisor out that starts just then.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{major, minor};

use crate::run_dir;

/// Pid of the supervisor that has taken this run directory; None where nobody has, or from another pid namespace.
/// Source: `/proc/locks` in proc(5).
pub(super) fn holder(run_dir: &Path) -> Option<u32> {
    let path = run_dir::lock_file(run_dir);
    let metadata = path.metadata().ok()?;
    let noted = std::fs::read_to_string(&path).ok();
    let noted = noted.and_then(|pid| pid.trim().parse().ok());
    let device = (major(metadata.dev()), minor(metadata.dev()));
    find(
        &std::fs::read_to_string("/proc/locks").ok()?,
        device,
        metadata.ino(),
        noted,
    )
}

/// Finds the holder of a file's lock: by its device and inode, or, where the file system gives another device to
/// stat(2) than to the lock (btrfs, overlayfs), by its inode and the pid noted in it.
fn find(locks: &str, (major, minor): (u32, u32), inode: u64, noted: Option<u32>) -> Option<u32> {
    let device = format!("{major:02x}:{minor:02x}");
    locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`
        let mut fields = line.split_whitespace().skip(1);
        if fields.next()? != "FLOCK" {
            return None;
        }
        let pid = fields.nth(2)?.parse().ok()?;
        let (place, number) = fields.next()?.rsplit_once(':')?;
        let is_it =
            number.parse() == Ok(inode) && (place == device || noted == Some(pid)) && pid > 0;
        is_it.then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::RunDir;

    #[test]
    fn a_lock_is_found_by_its_file() {
        let locks = "\
1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF
2: FLOCK  ADVISORY  WRITE 12 08:02:77 0 EOF
2: -> FLOCK  ADVISORY  WRITE 14 08:01:77 0 EOF
3: FLOCK  ADVISORY  WRITE 13 08:01:77 0 EOF
nonsense
";
        assert_eq!(find(locks, (8, 1), 77, None), Some(13));
        assert_eq!(find(locks, (0, 40), 77, Some(12)), Some(12));
        assert_eq!(find(locks, (0, 40), 77, Some(99)), None);
        assert_eq!(find(locks, (8, 1), 78, None), None);
    }

    #[test]
    fn the_lock_of_a_run_directory_says_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()), None);
        let taken = RunDir::take(dir.path()).unwrap();
        assert_eq!(holder(dir.path()), Some(std::process::id()));
        drop(taken);
        assert_eq!(holder(dir.path()), None);
    }
}
