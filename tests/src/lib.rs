//! What the end-to-end tests in `tests/` share: finding the companions' processes on the host, and reading from the
//! kernel what they are.

pub mod baked;
pub mod measure;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use diogenes_testkit::{Container, Supervisor, wait_until};
use serde_json::Value;

/// Long enough for anything that should happen soon, on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// The attacher of a supervisor, by its pid.
#[track_caller]
pub fn attacher_of(supervisor: &Supervisor) -> u32 {
    let is_attacher = |pid: &u32| command_line(*pid).ends_with(" attacher");
    wait_until(SOON, "the attacher", || {
        children_of(supervisor.pid()).into_iter().find(is_attacher)
    })
    .0
}

/// The companions that a supervisor has in `container`, by the host's pids.
#[track_caller]
pub fn agents_in(supervisor: &Supervisor, container: &Container) -> Vec<u32> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let inside = namespace(container.pid());
    let mut agents = children_of(attacher_of(supervisor));
    // A launcher is on its way into the namespaces, and gone in a moment.
    agents.retain(|&pid| {
        inside.is_some()
            && namespace(pid) == inside
            && command_line(pid).starts_with("diogenes-agent")
    });
    agents
}

/// The one companion that a supervisor has in `container`, once it is there.
#[track_caller]
pub fn agent_in(supervisor: &Supervisor, container: &Container) -> u32 {
    present(supervisor, container);
    match agents_in(supervisor, container)[..] {
        [agent] => agent,
        ref others => panic!("{} has {} companions", container.name(), others.len()),
    }
}

/// Waits until the companion of `container` is there and has told what it sees.
#[track_caller]
pub fn present(supervisor: &Supervisor, container: &Container) -> Value {
    supervisor
        .wait_for(container.name(), SOON, "its companion is present", |it| {
            it["state"] == "present" && !it["reported_at"].is_null()
        })
        .0
}

/// Waits until `container` has this health.
#[track_caller]
pub fn health(supervisor: &Supervisor, container: &Container, health: &str) -> (Value, Duration) {
    supervisor.wait_for(container.name(), SOON, &format!("it is {health}"), |it| {
        it["health"] == health
    })
}

/// A process's direct children, by the kernel's list (`/proc/PID/task/TID/children`).
pub fn children_of(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A process's arguments, joined by spaces; empty where it has none or is gone.
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// One line of `/proc/PID/status`, without its name; None where the process is gone.
pub fn status_of(pid: u32, key: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim))?;
    Some(line.to_owned())
}

/// Whether a process is gone, or waits as a zombie for a parent that does not care.
pub fn is_gone(pid: u32) -> bool {
    status_of(pid, "State").is_none_or(|state| state.starts_with('Z'))
}

/// Proportional set size in KiB.
#[track_caller]
pub fn pss_kib(pid: u32) -> u64 {
    rollup_kib(pid, "Pss:")
}

/// The memory that a process has written, which no other can share (`/proc/PID/smaps_rollup`), in KiB. Pages of its
/// program are the file's: whether another process has mapped them too changes from moment to moment.
#[track_caller]
pub fn written_kib(pid: u32) -> u64 {
    rollup_kib(pid, "Anonymous:")
}

/// One line of `/proc/PID/smaps_rollup` in KiB, by its first word: `Pss:`.
#[track_caller]
pub fn rollup_kib(pid: u32, key: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup");
    let size = rollup.lines().find_map(|line| line.strip_prefix(key));
    let size = size.unwrap_or_else(|| panic!("no line {key} in {rollup}"));
    size.trim_end_matches("kB")
        .trim()
        .parse()
        .expect("a number")
}

/// Sends SIGKILL to one process of ours.
#[track_caller]
pub fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

/// Sends a signal to one process of ours.
#[track_caller]
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("a living process");
}

/// The service of this kind.
#[track_caller]
pub fn service<'a>(container: &'a Value, kind: &str) -> &'a Value {
    let services = container["services"].as_array().expect("services");
    let found = services.iter().find(|service| service["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} among {:#}", container["services"]))
}

/// All of a container's newest snapshot, page by page, over the container's own socket.
#[track_caller]
pub fn snapshot(supervisor: &Supervisor, container: &str) -> Value {
    let socket = supervisor.run_dir().join(format!("ci/{container}.sock"));
    let mut peer = Peer::connect(&socket);
    let mut whole = serde_json::json!({ "processes": [], "listeners": [] });
    let (mut hash, mut offset) = (Value::Null, Value::from(0));
    loop {
        let mut request = serde_json::json!({ "type": "snapshot", "id": 1, "offset": offset });
        if !hash.is_null() {
            request["hash"] = hash;
        }
        let page = peer.ask(&request);
        for list in ["processes", "listeners"] {
            let items = page[list].as_array().cloned().unwrap_or_default();
            whole[list].as_array_mut().expect("a list").extend(items);
        }
        (hash, offset) = (page["hash"].clone(), page["next"].clone());
        if offset.is_null() {
            return whole;
        }
    }
}

/// A client of one of the protocol's sockets, greeted.
#[derive(Debug)]
pub struct Peer {
    stream: BufReader<UnixStream>,
}

impl Peer {
    /// Connects to a socket that is there or comes soon, and exchanges hellos.
    #[track_caller]
    pub fn connect(socket: &Path) -> Self {
        let mut peer = Self::ungreeted(socket);
        peer.send(b"{\"type\":\"hello\",\"protocol\":{\"min\":1,\"max\":1},\"build\":\"test\"}\n");
        assert_eq!(peer.line().expect("a hello")["type"], "hello");
        peer
    }

    /// Connects without a word.
    #[track_caller]
    pub fn ungreeted(socket: &Path) -> Self {
        let what = socket.display().to_string();
        let stream = wait_until(SOON, &what, || UnixStream::connect(socket).ok()).0;
        stream.set_read_timeout(Some(SOON)).expect("a time-out");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends raw bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream
            .get_mut()
            .write_all(bytes)
            .expect("an open socket");
    }

    /// The next line; None at the end.
    #[track_caller]
    pub fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).expect("a line in time") {
            0 => None,
            _ => Some(serde_json::from_str(&line).expect("JSON")),
        }
    }

    /// Sends a request and waits for the line that carries its id.
    #[track_caller]
    pub fn ask(&mut self, request: &Value) -> Value {
        self.send(format!("{request}\n").as_bytes());
        loop {
            let line = self.line().expect("a reply");
            if line["id"] == request["id"] {
                return line;
            }
        }
    }
}
