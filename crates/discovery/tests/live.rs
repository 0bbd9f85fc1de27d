//! Snapshots of the running system, of processes that the tests start.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use diogenes_discovery::{Scanner, Scope};
use diogenes_proto::{Listener, Process, Snapshot, Timestamp};
use rustix::process::{Pid, Signal, kill_process_group};

/// A child that is ended with its test, and its own children with it.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.process_group(0).spawn().unwrap())
    }

    /// A process that does nothing but hold a listener.
    fn holding(listener: &TcpListener) -> Self {
        let held = OwnedFd::from(listener.try_clone().unwrap());
        Self::start(Command::new("sleep").arg("300").stdin(Stdio::from(held)))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.0);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
    }
}

fn scanner() -> Scanner {
    Scanner::new("/", Scope::default())
}

fn process(snapshot: &Snapshot, pid: u32) -> Option<&Process> {
    let mut processes = snapshot.processes.iter();
    processes.find(|process| process.container_pid == pid)
}

fn listener<'a>(snapshot: &'a Snapshot, of: &TcpListener) -> Option<&'a Listener> {
    let address = of.local_addr().unwrap();
    let mut listeners = snapshot.listeners.iter();
    listeners.find(|one| one.port == Some(address.port()) && one.address == Some(address.ip()))
}

#[test]
fn describes_a_process_as_the_kernel_does() {
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 300; true", "x", "--password=hunter2"]);
    // Another user, where the tests may start processes of others.
    let own = rustix::process::geteuid();
    let uid = if own.is_root() { 65534 } else { own.as_raw() };
    let child = Running::start(command.uid(uid).current_dir("/"));
    sleep(Duration::from_millis(100));
    let mut scanner = scanner();
    // On a machine with a crowd, all is known after a round.
    let snapshots = (0..=8).map(|_| scanner.scan());
    let snapshot = snapshots.last().unwrap();
    let seen = process(&snapshot, child.pid()).unwrap();
    assert_eq!(seen.parent_pid, std::process::id().max(1));
    let status = fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
    assert!(status.contains(&format!("Uid:\t{0}\t{0}", seen.uid)));
    assert_eq!(seen.uid, uid);
    assert_eq!(
        seen.command.last().unwrap().as_raw(),
        "--password=[redacted]"
    );
    assert!(seen.executable.as_ref().unwrap().as_raw().starts_with('/'));
    let age = Timestamp::now().since(seen.started_at);
    assert!(
        age > Duration::from_millis(50) && age < Duration::from_secs(5),
        "{age:?}"
    );
    let fds = fs::read_dir(format!("/proc/{}/fd", child.pid())).unwrap();
    assert_eq!(seen.fds, Some(fds.count() as u64));
    assert!(seen.rss_bytes > 0 && seen.fd_limit.is_some());
    assert!(
        snapshot
            .processes
            .is_sorted_by_key(|process| process.container_pid)
    );
}

#[test]
fn the_scanner_itself_and_its_sockets_are_not_there() {
    let own = TcpListener::bind("127.0.0.1:0").unwrap();
    let snapshot = scanner().scan();
    assert!(process(&snapshot, std::process::id()).is_none());
    assert!(listener(&snapshot, &own).is_none());
}

#[test]
fn follows_a_listener_through_its_owners() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut scanner = scanner();
    assert!(listener(&scanner.scan(), &socket).is_none());
    let first = Running::holding(&socket);
    let second = Running::holding(&socket);
    let _waiting = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    let snapshot = scanner.scan();
    let seen = listener(&snapshot, &socket).unwrap();
    let mut both = vec![first.pid(), second.pid()];
    both.sort_unstable();
    assert_eq!(seen.owners, both);
    assert_eq!(seen.accept_queue, Some(1));
    assert!(seen.backlog.unwrap() >= 128);
    drop(first);
    assert_eq!(
        listener(&scanner.scan(), &socket).unwrap().owners,
        [second.pid()]
    );
    drop(second);
    assert!(listener(&scanner.scan(), &socket).is_none());
}

#[test]
fn the_change_detector_sees_listeners_come_and_go() {
    let mut scanner = scanner();
    let before = scanner.listening();
    assert_ne!(before, 0);
    let _socket = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_ne!(scanner.listening(), before);
}

#[test]
fn proc_net_and_sock_diag_tell_the_same() {
    let socket = TcpListener::bind("[::1]:0").unwrap();
    let child = Running::holding(&socket);
    let _waiting = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    let asked = scanner().scan();
    // The same system by another name, which is taken for a copy.
    let read = Scanner::new("/proc/self/root", Scope::default())
        .excluding(std::process::id())
        .scan();
    let asked = listener(&asked, &socket).unwrap();
    let read = listener(&read, &socket).unwrap();
    assert_eq!(asked.owners, [child.pid()]);
    assert!(asked.backlog.is_some() && read.backlog.is_none());
    assert_eq!(
        *read,
        Listener {
            backlog: None,
            ..asked.clone()
        }
    );
}

#[test]
fn notices_that_a_process_executes_something_else() {
    let mut command = Command::new("sh");
    let child = Running::start(command.args(["-c", "sleep 0.5; exec sleep 301"]));
    let mut scanner = scanner();
    sleep(Duration::from_millis(100));
    let name = |scanner: &mut Scanner| {
        let snapshot = scanner.scan();
        let seen = process(&snapshot, child.pid()).unwrap();
        (
            seen.name.as_raw().to_owned(),
            seen.command.last().unwrap().as_raw().to_owned(),
        )
    };
    assert_eq!(name(&mut scanner).0, "sh");
    let deadline = Instant::now() + Duration::from_secs(5);
    while name(&mut scanner).0 != "sleep" && Instant::now() < deadline {
        sleep(Duration::from_millis(50));
    }
    assert_eq!(name(&mut scanner), ("sleep".to_owned(), "301".to_owned()));
}

#[test]
fn finds_the_framework_in_the_source() {
    let directory = tempfile::tempdir().unwrap();
    // A shell that calls itself python3 will do: what counts is the command line and the file.
    fs::write(directory.path().join("app.py"), "sleep 300\nimport flask\n").unwrap();
    let mut command = Command::new("/bin/sh");
    command
        .arg0("python3")
        .arg("app.py")
        .current_dir(directory.path());
    let child = Running::start(&mut command);
    let mut scanner = scanner();
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let snapshot = scanner.scan();
        let found = process(&snapshot, child.pid()).map(|seen| seen.frameworks.clone());
        if found == Some(vec!["flask".to_owned()]) {
            break;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        sleep(Duration::from_millis(20));
    }
}
