//! The files of `/proc` and `/sys/fs/cgroup`, the application's sources among them, read by a whole scan.
//!
//! The parts of the input are files: the first line of a part is a path of the list below, the rest what stands
//! in it. What the list does not name is never written, so the input chooses contents and no places.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use diogenes_discovery::{Scanner, Scope};
use diogenes_proto::{Snapshot, Timestamp};
use tempfile::TempDir;

use crate::parts;
use crate::replay::whole_way;

/// The processes there may be. The first is the init.
const PIDS: [u32; 2] = [1, 7];
/// Files of each of them.
const PROCESS_FILES: &[&str] = &["stat", "status", "cmdline", "limits", "cgroup", "mountinfo"];
/// Links of each: the program, the working directory, and two descriptors.
const PROCESS_LINKS: &[&str] = &["exe", "cwd", "fd/3", "fd/4"];
/// Files there are once.
const FILES: &[&str] = &[
    "proc/stat",
    "proc/net/tcp",
    "proc/net/tcp6",
    "proc/net/udp",
    "proc/net/udp6",
    "proc/net/unix",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/cpu.stat",
    "sys/fs/cgroup/memory.current",
    "sys/fs/cgroup/memory.events",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/memory.stat",
    "sys/fs/cgroup/pids.current",
    "sys/fs/cgroup/pids.max",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "sys/fs/cgroup/cpu/cpu.stat",
    "sys/fs/cgroup/cpu/cpuacct.usage",
    "sys/fs/cgroup/memory/memory.limit_in_bytes",
    "sys/fs/cgroup/memory/memory.oom_control",
    "sys/fs/cgroup/memory/memory.stat",
    "sys/fs/cgroup/memory/memory.usage_in_bytes",
    "sys/fs/cgroup/pids/pids.current",
    "sys/fs/cgroup/pids/pids.max",
    "app/main.py",
    "app/pkg/__init__.py",
    "app/server.js",
];
/// A part of this name alone: the namespaces are shared with others.
const SHARED: &str = "shared";

/// See the module: bounded, the same when nothing changed, and good for the whole way to an answer.
pub fn check(input: &[u8]) {
    thread_local!(static ROOT: RefCell<Root> = RefCell::new(Root::new()));
    let parts: Vec<(&[u8], &[u8])> = parts::of(input).into_iter().map(named).collect();
    let shared = parts.iter().any(|(name, _)| *name == SHARED.as_bytes());
    let scope = Scope {
        init_pid: PIDS[0],
        shared_pids: shared,
        shared_net: shared,
    };
    ROOT.with_borrow_mut(|root| {
        root.hold(&parts);
        let mut scanner = Scanner::new(root.path(), scope);
        let first = scanner.scan();
        bounded(&first);
        assert_eq!(steady(scanner.scan()), steady(first.clone()));
        whole_way(&first);
    });
}

/// A part's first line and the rest.
fn named(part: &[u8]) -> (&[u8], &[u8]) {
    match part.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&part[..end], &part[end + 1..]),
        None => (part, b""),
    }
}

fn bounded(snapshot: &Snapshot) {
    for process in &snapshot.processes {
        assert!(PIDS.contains(&process.container_pid));
        // 64 arguments, and one that says that there are more.
        assert!(process.command.len() <= 65);
        for framework in &process.frameworks {
            assert!(framework.bytes().all(|byte| byte.is_ascii_lowercase()));
        }
    }
    for listener in &snapshot.listeners {
        assert!(
            listener.owners.is_sorted() && listener.owners.iter().all(|pid| PIDS.contains(pid))
        );
        assert!(listener.port != Some(0));
    }
    assert!(snapshot.listeners.is_sorted());
    assert!(snapshot.gaps.len() < 64);
}

/// What two scans of unchanged files have in common: all but the clock, and what a thread may still be reading.
fn steady(mut snapshot: Snapshot) -> Snapshot {
    snapshot.taken_at = Timestamp::default();
    snapshot.resources.cpu_percent = None;
    for process in &mut snapshot.processes {
        process.frameworks.clear();
    }
    snapshot
}

/// A copy of a system on disk, of which from input to input only what differs is written.
struct Root {
    directory: TempDir,
    places: Vec<Place>,
}

/// A file or a link that may be there.
struct Place {
    /// As the input names it.
    name: String,
    path: PathBuf,
    is_link: bool,
    /// What is there; None where nothing is.
    content: Option<Vec<u8>>,
}

impl Root {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let mut places = Vec::new();
        let mut add = |name: String, is_link| {
            let path = directory.path().join(&name);
            let folder = path.parent().expect("a file is in a folder");
            fs::create_dir_all(folder).expect("a folder of our own");
            places.push(Place {
                name,
                path,
                is_link,
                content: None,
            });
        };
        for pid in PIDS {
            for name in PROCESS_FILES {
                add(format!("proc/{pid}/{name}"), false);
            }
            for name in PROCESS_LINKS {
                add(format!("proc/{pid}/{name}"), true);
            }
        }
        for name in FILES {
            add((*name).to_owned(), false);
        }
        Self { directory, places }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes the files those of the input; of a name that comes twice the first counts.
    fn hold(&mut self, parts: &[(&[u8], &[u8])]) {
        for place in &mut self.places {
            let wanted = parts
                .iter()
                .find(|(name, _)| *name == place.name.as_bytes())
                .map(|(_, content)| *content);
            if place.content.as_deref() != wanted {
                place.put(wanted);
            }
        }
    }
}

impl Place {
    fn put(&mut self, content: Option<&[u8]>) {
        if let Err(error) = fs::remove_file(&self.path) {
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{}", self.name);
        }
        match content {
            // Not every text can be a link's: then there is none.
            Some(target) if self.is_link => {
                let _ = symlink(Path::new(std::ffi::OsStr::from_bytes(target)), &self.path);
            }
            Some(content) => fs::write(&self.path, content).expect("a file of our own"),
            None => {}
        }
        self.content = content.map(<[u8]>::to_vec);
    }
}
