//! A container of an entry, and what can be done to the processes in it.
//!
//! Faults come from the host: an image need not hold a single tool for them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use diogenes_testkit::{Container, Network, dist, docker};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::entry::Entry;

/// A connection to a queue that is not full takes microseconds.
const NOT_ACCEPTED: Duration = Duration::from_millis(300);
/// More than any queue of a service with usual settings holds (`net.core.somaxconn` is 4096).
const MOST_CONNECTIONS: usize = 5000;

/// Listens, tells where and since when (milliseconds since the epoch), and goes on listening behind the scenes.
const NEWCOMER: &str = r#"python3 -c "
import os, socket, time
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
if os.fork():
    print(listener.getsockname()[1], int(time.time() * 1000))
else:
    os.setsid()
    for number in (0, 1, 2):
        os.close(number)
    time.sleep(120)
""#;

/// Connections that fill a queue as long as they are kept.
#[derive(Debug)]
pub struct Held {
    _sockets: Vec<OwnedFd>,
}

/// A running container of the corpus.
pub struct Stage {
    container: Container,
}

/// A process of a container, by the host's pids.
struct Process {
    pid: i32,
    parent: i32,
    name: String,
}

impl Stage {
    /// Starts one. The ports of its services are published on the host's loopback where `published`.
    ///
    /// # Panics
    /// Where the Engine refuses.
    #[must_use]
    pub fn start(
        entry: &Entry,
        image: &str,
        network: &Network,
        name: &str,
        published: bool,
    ) -> Self {
        let mut spec = Container::of(image).name(name).network(network.name());
        for program in &entry.programs {
            let path = dist(program);
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            spec = spec.option(format!("--volume={}:/{file}:ro", path.display()));
        }
        let ports: BTreeSet<u16> = entry
            .service
            .iter()
            .flat_map(|it| it.ports.clone())
            .collect();
        for port in ports.iter().filter(|_| published) {
            spec = spec.option(format!("--publish=127.0.0.1::{port}"));
        }
        Self {
            container: spec.run(),
        }
    }

    /// The container's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.container.name()
    }

    /// The versions of the entry's services, as their packages tell them; empty where the entry asks for none.
    ///
    /// # Errors
    /// Where a command of the entry fails.
    pub fn versions(&self, entry: &Entry) -> Result<Vec<String>> {
        entry
            .service
            .iter()
            .map(|it| self.run(&it.version))
            .collect()
    }

    /// Where a port of it is published on the host's loopback.
    ///
    /// # Errors
    /// Where it is not published.
    pub fn published(&self, port: u16) -> Result<u16> {
        let told = docker(&["port", self.container.id(), &format!("{port}/tcp")]);
        let number = told.lines().next().and_then(|line| line.rsplit(':').next());
        number
            .and_then(|it| it.parse().ok())
            .with_context(|| format!("{port} is not published: {told}"))
    }

    /// Runs a shell script in it, as root, and returns what it printed.
    ///
    /// # Errors
    /// Where it fails.
    pub fn run(&self, script: &str) -> Result<String> {
        let output = self.container.exec(&["sh", "-c", script]);
        ensure!(
            output.status.success(),
            "{script}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Sends a signal to all processes of these names, separated by spaces.
    ///
    /// # Errors
    /// Where there is none.
    pub fn signal_all(&self, names: &str, signal: Signal) -> Result<()> {
        let processes = self.processes_of(names)?;
        for process in &processes {
            send(process, signal);
        }
        Ok(())
    }

    /// Sends a signal to the main process of these names: the one from which the others come.
    ///
    /// # Errors
    /// Where there is none.
    pub fn signal_main(&self, names: &str, signal: Signal) -> Result<()> {
        let processes = self.processes_of(names)?;
        let is_child = |it: &Process| processes.iter().any(|other| other.pid == it.parent);
        let main = processes
            .iter()
            .find(|it| !is_child(it))
            .context("a process without a parent")?;
        send(main, signal);
        Ok(())
    }

    /// Ends all processes of these names, and starts the service anew.
    ///
    /// # Errors
    /// Where there is none of them, or they do not end.
    pub fn restart(&self, names: &str) -> Result<()> {
        self.end(names)?;
        docker(&["kill", "--signal=USR1", self.container.id()]);
        Ok(())
    }

    /// Ends all processes of these names: by SIGTERM, and after five seconds by SIGKILL.
    ///
    /// # Errors
    /// Where there is none.
    pub fn end(&self, names: &str) -> Result<()> {
        let before: BTreeSet<i32> = self.processes_of(names)?.iter().map(|it| it.pid).collect();
        self.signal_main(names, Signal::TERM)?;
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(100));
            if !self.processes()?.iter().any(|it| before.contains(&it.pid)) {
                return Ok(());
            }
        }
        for process in self
            .processes()?
            .iter()
            .filter(|it| before.contains(&it.pid))
        {
            send(process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    }

    /// Connects to a TCP port of its loopback until no more connection is taken. The queue is full as long as the
    /// connections are kept.
    ///
    /// # Errors
    /// Where the port refuses, or there is no end to it.
    pub fn fill_port(&self, port: u16) -> Result<Held> {
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", self.container.pid()))?;
        let fill = move || -> Result<Held> {
            // A thread of its own enters: the rest of the process stays where it is.
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut held = Vec::new();
            let mut refused = 0;
            while refused < 3 {
                ensure!(
                    held.len() < MOST_CONNECTIONS,
                    "the queue of port {port} has no end"
                );
                match TcpStream::connect_timeout(&address, NOT_ACCEPTED) {
                    Ok(stream) => held.push(OwnedFd::from(stream)),
                    Err(error) if error.kind() == std::io::ErrorKind::TimedOut => refused += 1,
                    Err(error) => {
                        return Err(error).with_context(|| format!("connecting to port {port}"));
                    }
                }
            }
            Ok(Held { _sockets: held })
        };
        std::thread::spawn(fill)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Lets another process of it listen on a port of its loopback: the port, and since when.
    ///
    /// # Errors
    /// Where that fails.
    pub fn begin_to_listen(&self) -> Result<(u16, SystemTime)> {
        let told = self.run(NEWCOMER)?;
        let (port, since_ms) = told.split_once(' ').context("port and moment")?;
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(since_ms.parse()?);
        Ok((port.parse()?, since))
    }

    /// The same for a Unix socket in it.
    ///
    /// # Errors
    /// Where there is no such socket, or there is no end to it.
    pub fn fill_socket(&self, path: &str) -> Result<Held> {
        let path = format!("/proc/{}/root{path}", self.container.pid());
        let address = SocketAddrUnix::new(path.as_str())?;
        let mut held = Vec::new();
        loop {
            ensure!(
                held.len() < MOST_CONNECTIONS,
                "the queue of {path} has no end"
            );
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            match connect(&socket, &address) {
                Ok(()) => held.push(socket),
                Err(rustix::io::Errno::AGAIN) => return Ok(Held { _sockets: held }),
                Err(error) => return Err(error).with_context(|| format!("connecting to {path}")),
            }
        }
    }

    fn processes_of(&self, names: &str) -> Result<Vec<Process>> {
        let mut processes = self.processes()?;
        processes.retain(|it| names.split(' ').any(|name| it.name == name));
        ensure!(
            !processes.is_empty(),
            "no process is called {names}:\n{}",
            self.container.top()
        );
        Ok(processes)
    }

    fn processes(&self) -> Result<Vec<Process>> {
        let told = docker(&["top", self.container.id(), "-eo", "pid,ppid,comm"]);
        let process = |line: &str| {
            let mut words = line.split_whitespace();
            let (pid, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            // A process may have called itself several words: `starman worker`. What is dead already is shown as
            // `name <defunct>`.
            let name = words.next()?.to_owned();
            (words.last() != Some("<defunct>")).then_some(Process { pid, parent, name })
        };
        Ok(told.lines().skip(1).filter_map(process).collect())
    }
}

/// One that has ended meanwhile needs no signal.
fn send(process: &Process, signal: Signal) {
    if let Some(pid) = Pid::from_raw(process.pid) {
        let _ = kill_process(pid, signal);
    }
}
