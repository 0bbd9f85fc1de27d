//! File systems that are nearly full, and the processes that keep files on them.
//!
//! ```text
//! /proc/INIT/mountinfo ─► those that can be asked ─► statvfs ─► nearly full? ─► who has files there ─► Disk
//! ```
//!
//! To ask may hang for ever where a volume is dead. So whatever lies on the network or in a program of somebody's is not
//! asked, nor what is mounted below it, and all of it is done on a thread that can be given up.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use diogenes_proto::{Disk, Untrusted};
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use crate::procfs::mountinfo::{self, Mount};
use crate::regular::below;
use crate::tree::Tree;

/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(10);
/// To ask takes some hundred microseconds where nothing is dead. What takes longer is told at the next scan.
const ANSWER_WAIT: Duration = Duration::from_millis(2);
/// From this share in use on, of room or of inodes, a file system is told of.
const NEARLY_FULL_PERCENT: u64 = 95;
/// Most that are told of; most processes, and descriptors of each, that are looked at for who has files there.
const MAX_DISKS: usize = 8;
const MAX_PIDS: usize = 1024;
const MAX_DESCRIPTORS: usize = 256;
const MAX_HOLDERS: usize = 64;
/// What answers from this machine's own memory and disks.
const LOCAL: [&str; 11] = [
    "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "xfs", "zfs",
];
/// Where the kernel and the Engine mount what nobody keeps files on.
const NO_DISKS: [&str; 3] = ["/proc", "/sys", "/dev"];
/// PostgreSQL and others keep their shared memory there.
const SHARED_MEMORY: &str = "/dev/shm";

/// What is known of the container's file systems.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    asked_at: Option<Instant>,
    /// Where the thread that asks puts what it finds, if one does.
    answer: Option<Arc<OnceLock<Vec<Disk>>>>,
    known: Vec<Disk>,
}

impl Disks {
    /// Those that are nearly full, as they were at most some seconds before the last call.
    pub(crate) fn nearly_full(&mut self, root: &Path, init: u32) -> &[Disk] {
        let is_due = self.asked_at.is_none_or(|at| at.elapsed() >= INTERVAL);
        // A thread that hangs is the last one.
        if self.answer.is_none() && is_due {
            let root = root.to_owned();
            self.asked_at = Some(Instant::now());
            let (answer, scan) = (Arc::new(OnceLock::new()), std::thread::current());
            let told = answer.clone();
            let work = move || {
                let _ = told.set(ask(&root, init));
                scan.unpark();
            };
            let started = crate::reader::spawn("disks", work);
            self.answer = started.is_ok().then_some(answer);
            std::thread::park_timeout(ANSWER_WAIT);
        }
        if let Some(answered) = self.answer.take_if(|answer| answer.get().is_some()) {
            self.known = answered.get().cloned().unwrap_or_default();
        }
        &self.known
    }
}

/// Asks all that can be asked.
fn ask(root: &Path, init: u32) -> Vec<Disk> {
    let Ok(mut tree) = Tree::open(&root.join("proc")) else {
        return Vec::new();
    };
    let mounts = tree.read(init, "mountinfo").map(mountinfo::parse_all);
    let mounts = mounts.unwrap_or_default();
    let mut asked: Vec<&str> = Vec::new();
    let mut full: Vec<(usize, Disk)> = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        if !can_be_asked(mount, &mounts) || asked.contains(&mount.device.as_str()) {
            continue;
        }
        let place = below(root, Path::new(&mount.point));
        // A single file is mounted from a disk that is somebody else's.
        if !place.is_dir() {
            continue;
        }
        asked.push(&mount.device);
        if let Some(disk) = statvfs(&place)
            .ok()
            .and_then(|stat| disk(&mount.point, &stat))
        {
            full.push((index, disk));
        }
        if full.len() == MAX_DISKS {
            break;
        }
    }
    if !full.is_empty() {
        find_holders(&mut tree, &mounts, &mut full);
    }
    full.into_iter().map(|(_, disk)| disk).collect()
}

/// Whether somebody may keep files there, and to ask does not hang.
fn can_be_asked(mount: &Mount, mounts: &[Mount]) -> bool {
    let point = mount.point.as_bytes();
    let is_far = |other: &Mount| !is_local(other) && is_at_or_below(point, &other.point);
    is_local(mount)
        && (!is_made_up(mount) || mount.point == SHARED_MEMORY)
        && !mounts.iter().any(is_far)
}

/// What the kernel makes up is not far, though no disk either.
fn is_local(mount: &Mount) -> bool {
    LOCAL.contains(&mount.kind.as_str()) || is_made_up(mount)
}

fn is_made_up(mount: &Mount) -> bool {
    let is_below = |folder: &&str| is_at_or_below(mount.point.as_bytes(), folder);
    NO_DISKS.iter().any(is_below)
}

fn is_at_or_below(path: &[u8], folder: &str) -> bool {
    let folder = folder.trim_end_matches('/').as_bytes();
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// None where it has room, or nobody can write to it.
fn disk(point: &str, stat: &StatVfs) -> Option<Disk> {
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return None;
    }
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let usable = used.saturating_add(stat.f_bavail);
    let is_near = |used: u64, all: u64| {
        all > 0 && used.saturating_mul(100) >= all.saturating_mul(NEARLY_FULL_PERCENT)
    };
    // Without a number of inodes there is no end to them.
    let lacks_inodes = is_near(stat.f_files.saturating_sub(stat.f_favail), stat.f_files);
    (is_near(used, usable) || lacks_inodes).then(|| Disk {
        point: Untrusted::new(point),
        total_bytes: usable.saturating_mul(stat.f_frsize),
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        free_inodes: lacks_inodes.then_some(stat.f_favail),
        holders: Vec::new(),
    })
}

/// Notes who works there or has files open there. To ask where a link points never hangs.
fn find_holders(tree: &mut Tree, mounts: &[Mount], full: &mut [(usize, Disk)]) {
    let mut processes = Vec::new();
    let _ = tree.numbers(MAX_PIDS, &mut processes);
    let mut pids: Vec<u32> = processes.iter().map(|entry| entry.number).collect();
    pids.sort_unstable();
    for pid in pids {
        let mut places: Vec<usize> = Vec::new();
        let mut note = |path: &[u8]| places.extend(mount_of(path, mounts));
        // Every daemon goes to the root, which says nothing.
        if let Ok(path) = tree.read_link(pid, "cwd")
            && path != b"/"
        {
            note(path);
        }
        let _ = tree.descriptors(pid, MAX_DESCRIPTORS, false, &mut |_, path| note(path));
        for (index, disk) in full.iter_mut() {
            if places.contains(index) && disk.holders.len() < MAX_HOLDERS {
                disk.holders.push(pid);
            }
        }
    }
}

/// The mount a path is on: the innermost one, and of several at one place the last.
fn mount_of(path: &[u8], mounts: &[Mount]) -> Option<usize> {
    let mut innermost: Option<usize> = None;
    for (index, mount) in mounts.iter().enumerate() {
        let is_inner = |other: usize| mounts[other].point.len() <= mount.point.len();
        if path.starts_with(b"/")
            && is_at_or_below(path, &mount.point)
            && innermost.is_none_or(is_inner)
        {
            innermost = Some(index);
        }
    }
    innermost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts() -> Vec<Mount> {
        mountinfo::parse_all(
            b"22 1 0:40 / / rw - overlay overlay rw\n\
              23 22 0:41 / /proc rw - proc proc rw\n\
              24 23 0:42 / /proc/acpi ro - tmpfs tmpfs ro\n\
              25 22 0:43 / /dev rw - tmpfs tmpfs rw\n\
              26 25 0:44 / /dev/shm rw - tmpfs shm rw\n\
              27 22 0:45 / /media rw - fuse.sshfs host: rw\n\
              28 27 8:1 / /media/inner rw - ext4 /dev/sda1 rw\n\
              29 22 8:2 / /var/lib/my\\040data rw - xfs /dev/sdb rw\n\
              30 22 0:46 / /net rw - nfs4 host:/ rw\n",
        )
    }

    #[test]
    fn what_may_hang_is_not_asked_nor_what_lies_below_it() {
        let mounts = mounts();
        let asked = mounts.iter().filter(|it| can_be_asked(it, &mounts));
        let asked: Vec<&str> = asked.map(|it| it.point.as_str()).collect();
        assert_eq!(asked, ["/", "/dev/shm", "/var/lib/my data"]);
    }

    #[test]
    fn a_file_is_on_the_innermost_mount() {
        let mounts = mounts();
        let place = |path: &str| mount_of(path.as_bytes(), &mounts).map(|at| &*mounts[at].point);
        assert_eq!(place("/var/lib/my data/base/1"), Some("/var/lib/my data"));
        assert_eq!(place("/var/lib/my"), Some("/"));
        assert_eq!(place("/net/x"), Some("/net"));
        assert_eq!(place("socket:[1]"), None);
    }

    #[test]
    fn a_full_one_is_told_and_one_with_room_is_not() {
        let stat = |free: u64, inodes: u64| StatVfs {
            f_bsize: 4096,
            f_frsize: 4096,
            f_blocks: 1000,
            f_bfree: free,
            f_bavail: free,
            f_files: 500,
            f_ffree: inodes,
            f_favail: inodes,
            f_fsid: 0,
            f_flag: StatVfsMountFlags::empty(),
            f_namemax: 255,
        };
        assert_eq!(disk("/", &stat(51, 400)), None);
        let full = disk("/", &stat(0, 400)).unwrap();
        assert_eq!((full.free_bytes, full.free_inodes), (0, None));
        let full = disk("/", &stat(900, 0)).unwrap();
        assert_eq!(full.free_inodes, Some(0));
        let read_only = StatVfs {
            f_flag: StatVfsMountFlags::RDONLY,
            ..stat(0, 0)
        };
        assert_eq!(disk("/", &read_only), None);
    }

    /// The system itself answers at once, whatever is mounted there.
    #[test]
    fn it_can_be_asked_for_real() {
        let mut disks = Disks::default();
        let init = std::process::id();
        disks.nearly_full(Path::new("/"), init);
        assert!(disks.asked_at.is_some());
    }
}
