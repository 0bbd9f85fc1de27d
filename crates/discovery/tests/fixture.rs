//! Snapshots of copied `/proc` trees, where everything is known beforehand.
//!
//! `fixtures/live` was copied inside a Docker container (cgroup v1, 64 MiB, half a core, 50 pids): a Python
//! program as init, which left a zombie (10), a program whose file was deleted (9), and two processes with
//! a name made to confuse (7, 8) that share five listeners.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use diogenes_discovery::{Scanner, Scope};
use diogenes_proto::{Process, Snapshot, Transport};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn process(snapshot: &Snapshot, pid: u32) -> &Process {
    snapshot
        .processes
        .iter()
        .find(|process| process.container_pid == pid)
        .unwrap()
}

fn pids(snapshot: &Snapshot) -> Vec<u32> {
    let pids = snapshot.processes.iter();
    pids.map(|process| process.container_pid).collect()
}

#[test]
fn reads_a_whole_container() {
    let snapshot = Scanner::new(fixture("live"), Scope::default()).scan();
    assert_eq!(pids(&snapshot), [1, 7, 8, 9, 10]);

    let init = process(&snapshot, 1);
    assert_eq!(init.parent_pid, 0);
    assert_eq!(init.name.as_raw(), "python3");
    let command: Vec<_> = init.command.iter().map(|one| one.as_raw()).collect();
    assert_eq!(
        command,
        [
            "/usr/bin/python3",
            "/app/server.py",
            "--requirepass",
            "[redacted]"
        ]
    );
    let executable = init.executable.as_ref().unwrap();
    assert_eq!(executable.as_raw(), "/usr/bin/python3.11");
    assert_eq!((init.fds, init.fd_limit), (Some(3), Some(20_000)));
    assert_eq!(init.started_at.to_string(), "2026-11-21T12:33:04.200Z");

    let odd = process(&snapshot, 7);
    assert_eq!(odd.name.as_raw(), "a) R (b\nc");
    assert_eq!((odd.uid, odd.parent_pid, odd.state), (33, 1, 'S'));
    assert_eq!((odd.fds, odd.fd_limit), (Some(9), Some(321)));
    assert_eq!((odd.cpu_ms, odd.threads), (10, 1));

    let deleted = process(&snapshot, 9);
    assert_eq!(deleted.executable.as_ref().unwrap().as_raw(), "/tmp/bbx");
    let zombie = process(&snapshot, 10);
    assert_eq!((zombie.state, zombie.command.len()), ('Z', 0));
    let gaps: Vec<_> = snapshot.gaps.iter().map(|gap| gap.as_raw()).collect();
    assert_eq!(
        gaps,
        ["executables deleted or replaced since the start: pid 9"]
    );
    assert_eq!(snapshot.resources.memory_limit_bytes, Some(64 << 20));
}

#[test]
#[cfg(target_endian = "little")]
fn attributes_every_kind_of_listener() {
    let snapshot = Scanner::new(fixture("live"), Scope::default()).scan();
    let seen: Vec<_> = snapshot
        .listeners
        .iter()
        .map(|one| {
            assert_eq!(one.owners, [7, 8]);
            let path = one.path.as_ref().map(|path| path.as_raw());
            (one.transport, one.address, one.port, path, one.accept_queue)
        })
        .collect();
    let ip = |text: &str| text.parse::<IpAddr>().ok();
    assert_eq!(
        seen,
        [
            (Transport::Tcp, ip("127.0.0.1"), Some(8000), None, Some(1)),
            (Transport::Tcp, ip("::"), Some(8001), None, Some(0)),
            (Transport::Udp, ip("0.0.0.0"), Some(5353), None, Some(0)),
            (
                Transport::Unix,
                None,
                None,
                Some("/tmp/run/my app.sock"),
                None
            ),
            (Transport::Unix, None, None, Some("@diogenes/fixture"), None),
        ]
    );
}

/// A made-up `/proc` of a host: a container with init 5, and others.
fn shared_host() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let add = |pid: u32, parent: u32, flags: u32, cgroup: &str, inode: u64| {
        let process = root.path().join(format!("proc/{pid}"));
        fs::create_dir_all(process.join("fd")).unwrap();
        let stat = format!(
            "{pid} (p{pid}) S {parent} 1 1 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {pid}00 0 5 0\n"
        );
        fs::write(process.join("stat"), stat).unwrap();
        fs::write(process.join("cgroup"), cgroup).unwrap();
        fs::write(process.join("cmdline"), format!("p{pid}\0")).unwrap();
        symlink(format!("socket:[{inode}]"), process.join("fd/3")).unwrap();
    };
    add(1, 0, 0, "0::/init.scope\n", 101);
    add(2, 0, 0x0020_0000, "0::/docker/a\n", 102);
    add(5, 1, 0, "0::/docker/a\n", 105);
    add(6, 5, 0, "0::/docker/a/sub\n", 105);
    add(7, 1, 0, "0::/docker/b\n", 107);
    let net = root.path().join("proc/net");
    fs::create_dir_all(&net).unwrap();
    let line = |inode: u64| {
        format!(
            "   0: 00000000:{inode:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 {inode} 1\n"
        )
    };
    let tcp: String = [101, 102, 105, 107, 999].into_iter().map(line).collect();
    fs::write(net.join("tcp"), tcp).unwrap();
    fs::write(net.join("udp"), "").unwrap();
    fs::write(net.join("unix"), "").unwrap();
    root
}

fn inodes(snapshot: &Snapshot) -> Vec<u64> {
    let listeners = snapshot.listeners.iter();
    listeners.map(|listener| listener.inode).collect()
}

#[test]
fn with_shared_namespaces_nothing_of_others_is_claimed() {
    let root = shared_host();
    let scope = Scope {
        init_pid: 5,
        shared_pids: true,
        shared_net: true,
    };
    let snapshot = Scanner::new(root.path(), scope).scan();
    assert_eq!(pids(&snapshot), [5, 6]);
    assert_eq!(process(&snapshot, 5).parent_pid, 0, "its parent is outside");
    assert_eq!(process(&snapshot, 6).parent_pid, 5);
    assert_eq!(inodes(&snapshot), [105]);
    assert_eq!(snapshot.listeners[0].owners, [5, 6]);
}

#[test]
fn without_its_init_nothing_is_the_containers() {
    let root = shared_host();
    let scope = Scope {
        init_pid: 4242,
        shared_pids: true,
        shared_net: true,
    };
    let snapshot = Scanner::new(root.path(), scope).scan();
    assert!(snapshot.processes.is_empty() && snapshot.listeners.is_empty());
    let said = |part: &str| snapshot.gaps.iter().any(|gap| gap.as_raw().contains(part));
    assert!(said("cannot tell the container's from others"));
}

#[test]
fn in_namespaces_of_its_own_everything_counts() {
    let root = shared_host();
    let snapshot = Scanner::new(root.path(), Scope::default()).scan();
    assert_eq!(pids(&snapshot), [1, 2, 5, 6, 7]);
    assert_eq!(inodes(&snapshot), [101, 102, 105, 107, 999]);
    assert!(snapshot.listeners[4].owners.is_empty(), "unowned, but said");
}

#[test]
fn an_excluded_process_and_its_sockets_are_not_reported() {
    let root = shared_host();
    let mut scanner = Scanner::new(root.path(), Scope::default())
        .excluding(7)
        .excluding(6);
    let snapshot = scanner.scan();
    assert_eq!(pids(&snapshot), [1, 2, 5]);
    assert_eq!(inodes(&snapshot), [101, 102, 105, 999]);
    assert_eq!(
        snapshot.listeners[2].owners,
        [5],
        "shared with the companion"
    );
}

#[test]
fn follows_changes_from_scan_to_scan() {
    let root = shared_host();
    let mut scanner = Scanner::new(root.path(), Scope::default());
    let owners = |scanner: &mut Scanner, inode| {
        let snapshot = scanner.scan();
        let found = snapshot.listeners.iter().find(|one| one.inode == inode);
        found.unwrap().owners.clone()
    };
    assert_eq!(owners(&mut scanner, 105), [5, 6]);
    // One owner goes, the other stays.
    fs::remove_dir_all(root.path().join("proc/5")).unwrap();
    assert_eq!(owners(&mut scanner, 105), [6]);
    // The pid comes back as another process, which holds the socket nobody had.
    let other = root.path().join("proc/5");
    fs::create_dir_all(other.join("fd")).unwrap();
    let stat = "5 (new) R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77777 0 5 0\n";
    fs::write(other.join("stat"), stat).unwrap();
    symlink("socket:[999]", other.join("fd/4")).unwrap();
    assert_eq!(owners(&mut scanner, 999), [5]);
    assert_eq!(process(&scanner.scan(), 5).name.as_raw(), "new");
    // A known process begins to listen: its inode was never seen, so everyone is walked.
    let tcp = root.path().join("proc/net/tcp");
    let mut lines = fs::read_to_string(&tcp).unwrap();
    lines.push_str(
        "   9: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 555 1\n",
    );
    fs::write(&tcp, lines).unwrap();
    symlink("socket:[555]", root.path().join("proc/7/fd/9")).unwrap();
    assert_eq!(owners(&mut scanner, 555), [7]);
}

#[test]
fn in_a_crowd_everyone_has_a_turn_and_some_have_it_always() {
    let root = tempfile::tempdir().unwrap();
    let write = |pid: u32, start: u32, threads: u32| {
        let process = root.path().join(format!("proc/{pid}"));
        fs::create_dir_all(process.join("fd")).unwrap();
        let stat =
            format!("{pid} (p) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 {start} 0 5 0\n");
        fs::write(process.join("stat"), stat).unwrap();
    };
    (1..=300).for_each(|pid| write(pid, 1, 1));
    // Two of one kind share a listener, and one that is like no other holds the second.
    let net = root.path().join("proc/net");
    fs::create_dir_all(&net).unwrap();
    let line = |inode| {
        format!(
            "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 {inode} 1\n"
        )
    };
    fs::write(net.join("tcp"), line(70) + &line(71)).unwrap();
    for (pid, inode, command) in [(20, 70, "twin"), (299, 70, "twin"), (150, 71, "other")] {
        let process = root.path().join(format!("proc/{pid}"));
        symlink(format!("socket:[{inode}]"), process.join("fd/3")).unwrap();
        fs::write(process.join("cmdline"), command).unwrap();
    }
    let mut scanner = Scanner::new(root.path(), Scope::default());
    let first = scanner.scan();
    let owners: Vec<_> = first.listeners.iter().map(|one| &*one.owners).collect();
    assert_eq!(owners, [&[20, 299][..], &[150]]);

    // Who is attended is read at once, as is another process under a known pid; the others within eight scans.
    scanner.attend([7].into_iter());
    (1..=300).for_each(|pid| write(pid, 1, 2));
    fs::rename(root.path().join("proc/9"), root.path().join("gone")).unwrap();
    write(9, 2, 2);
    let mut old = first;
    for scan in 1..=8 {
        let new = scanner.scan_over(old);
        let read = new.processes.iter().filter(|one| one.threads == 2).count();
        assert_eq!((process(&new, 7).threads, process(&new, 9).threads), (2, 2));
        assert!(
            read <= scan * 100 && (scan < 8) == (read < 300),
            "{read} in {scan}"
        );
        old = new;
    }
}

#[test]
fn the_bounds_hold_and_are_said() {
    let root = tempfile::tempdir().unwrap();
    for pid in 1..=4100 {
        let process = root.path().join(format!("proc/{pid}"));
        fs::create_dir_all(&process).unwrap();
        let stat = format!("{pid} (p) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 5 0\n");
        fs::write(process.join("stat"), stat).unwrap();
    }
    fs::write(root.path().join("proc/1/cmdline"), "a".repeat(9000)).unwrap();
    let net = root.path().join("proc/net");
    fs::create_dir_all(&net).unwrap();
    let line = |inode: u64| {
        format!(
            "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 {inode} 1\n"
        )
    };
    fs::write(net.join("tcp"), (1..5000).map(line).collect::<String>()).unwrap();
    let snapshot = Scanner::new(root.path(), Scope::default()).scan();
    assert_eq!(
        (snapshot.processes.len(), snapshot.listeners.len()),
        (4096, 4096)
    );
    let said = |part: &str| snapshot.gaps.iter().any(|gap| gap.as_raw().contains(part));
    assert!(said("processes: 4 left out"));
    assert!(said("listeners: 903 left out"));
    assert!(said("command lines of 1 processes"));
    assert!(said("UDP sockets: cannot read /proc/net/udp"));
    assert!(said("resources: no control group"));
}

#[test]
fn an_empty_root_is_said_and_no_error() {
    let root = tempfile::tempdir().unwrap();
    let mut scanner = Scanner::new(root.path(), Scope::default());
    let snapshot = scanner.scan();
    assert!(snapshot.processes.is_empty());
    assert!(snapshot.gaps[0].as_raw().contains("cannot read /proc"));
    assert_eq!(scanner.listening(), 0);
}
