//! Who came in at a listening Unix socket: a process that cannot be mistaken for another.
//!
//! The kernel notes the process that called connect(2), and tells it in two ways. `SO_PEERPIDFD` (Linux 6.5) is a handle
//! to that very process: nothing can take its place. Before that there is only its pid (`SO_PEERCRED`), which may be
//! somebody else's by the time it is opened. So it is opened, and then compared: a listener with nobody in its queue is
//! a moment before every connection that is accepted next, and a process that was started before that moment and has
//! this pid has had it all the time. One that is younger is not believed; the peer may dial again, and will be older
//! then.
//!
//! ```text
//! queue empty ── connect ── accept ── SO_PEERCRED, pidfd_open ── start time ── is it before "queue empty"?
//! ```
//!
//! What is read of `/proc/PID` afterwards is the peer's if the handle says, *after* the reading, that it still lives:
//! until then nobody else can have had its pid. Sources: unix(7), pidfd_open(2), proc_pid_stat(5).

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::peer::Peer;
use crate::pidfd::PidFd;

/// A process that connected.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its pid, in the pid namespace of the caller.
    pub pid: u32,
    /// Its effective user when it connected, in the user namespace of the caller: root of a container whose users are
    /// remapped is a user of the host like 100000.
    pub uid: u32,
    /// Its process.
    pub process: PidFd,
}

/// Why nobody can say who a caller is.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// Its process is not in the caller's pid namespace, or below it.
    #[error("it is in another pid namespace")]
    OutOfSight,
    /// Its process has ended.
    #[error("its process has ended")]
    Gone,
    /// Its pid may have been another process's when it connected: this kernel has no `SO_PEERPIDFD`. Later it may work.
    #[error("its process is too young to be told from another with the same pid")]
    TooYoung,
    /// The system does not say.
    #[error("the system does not say who it is: {0}")]
    Unknown(#[from] io::Error),
}

/// What is known of a listener's queue: when nobody was in it. One a listener.
#[derive(Debug, Default)]
pub struct Entrance {
    /// Time since the host's start (CLOCK_BOOTTIME); None where the queue was never seen empty.
    empty_at: Option<Duration>,
}

impl Entrance {
    /// Looks at the queue; to be called before each accept(2).
    pub fn look(&mut self, listener: impl AsFd) {
        let now = since_boot();
        let mut fds = [PollFd::new(&listener, PollFlags::IN)];
        if poll(&mut fds, Some(&Timespec::default())) == Ok(0) {
            self.empty_at = Some(now);
        }
    }

    /// Says who connected to a socket that was accepted since the last look.
    ///
    /// # Errors
    /// See [`Unidentified`].
    pub fn identify(&self, socket: impl AsFd) -> Result<Caller, Unidentified> {
        let peer = Peer::of(&socket).map_err(io::Error::from)?;
        let pid = peer.pid.ok_or(Unidentified::OutOfSight)?;
        let process = match handle(&socket) {
            Ok(process) => process,
            Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => self.open(pid)?,
            Err(error) => return Err(gone_or(error)),
        };
        Ok(Caller {
            pid,
            uid: peer.uid,
            process,
        })
    }

    /// A handle to whoever has the pid, if that was somebody before anybody connected.
    fn open(&self, pid: u32) -> Result<PidFd, Unidentified> {
        let process = PidFd::open(pid).map_err(gone_or)?;
        let started = started(pid)?;
        if process.has_ended() {
            return Err(Unidentified::Gone);
        }
        match self.empty_at {
            Some(empty_at) if started < empty_at => Ok(process),
            _ => Err(Unidentified::TooYoung),
        }
    }
}

/// The handle the kernel gives, where it does.
fn handle(socket: &impl AsFd) -> io::Result<PidFd> {
    let mut fd: libc::c_int = -1;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of the integer it is given.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut length,
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for the caller; nobody else knows it.
    PidFd::new(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// When a process was started: the end of the tick in which it was, since the host's start.
fn started(pid: u32) -> Result<Duration, Unidentified> {
    let stat = fs::read(format!("/proc/{pid}/stat")).map_err(gone_or)?;
    let ticks = start_ticks(&stat)
        .ok_or(Errno::INVAL)
        .map_err(io::Error::from)?;
    let per_second = rustix::param::clock_ticks_per_second();
    let whole = (ticks + 1) * 1_000_000 / per_second.max(1);
    Ok(Duration::from_micros(whole))
}

/// Field 22. The second, the name, may hold blanks and parentheses: fields are counted from its last one.
fn start_ticks(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let fields = std::str::from_utf8(&stat[after_name..]).ok()?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    // Later than any host has run: what does not fit the arithmetic is no time.
    (ticks < 1 << 40).then_some(ticks)
}

fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

fn gone_or(error: io::Error) -> Unidentified {
    match Errno::from_io_error(&error) {
        // EINVAL is what kernels before 6.16 say of a peer that was reaped.
        Some(Errno::SRCH | Errno::NOENT | Errno::INVAL) => Unidentified::Gone,
        _ => Unidentified::Unknown(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Child, Command, Stdio};

    /// A listener, and a child that connects to it and holds the connection.
    struct Scene {
        _dir: tempfile::TempDir,
        path: std::path::PathBuf,
        listener: UnixListener,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            Self {
                _dir: dir,
                path,
                listener,
            }
        }

        fn accept(&self) -> UnixStream {
            self.listener.accept().unwrap().0
        }

        /// Connects, and starts a child that inherits the connection: this process stays the peer.
        fn child(&self) -> Child {
            let stream = UnixStream::connect(&self.path).unwrap();
            let mut child = Command::new("sleep");
            child.arg("60").stdin(Stdio::from(OwnedFd::from(stream)));
            child.spawn().unwrap()
        }
    }

    #[tokio::test]
    async fn the_peer_is_who_connected_and_not_who_holds_the_connection() {
        let scene = Scene::new();
        let mut child = scene.child();
        let mut entrance = Entrance::default();
        entrance.look(&scene.listener);
        let caller = entrance.identify(scene.accept()).unwrap();
        assert_eq!(caller.pid, std::process::id());
        assert_eq!(caller.uid, rustix::process::geteuid().as_raw());
        assert!(!caller.process.has_ended());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn without_the_kernels_handle_only_who_was_there_before_is_believed() {
        let mut entrance = Entrance::default();
        let own = std::process::id();
        assert!(
            matches!(entrance.open(own), Err(Unidentified::TooYoung)),
            "the queue was never seen empty"
        );
        let scene = Scene::new();
        std::thread::sleep(Duration::from_millis(30));
        entrance.look(&scene.listener);
        let seen = entrance.empty_at;
        entrance.open(own).unwrap();

        // Whoever is started from now on may have the pid of somebody who connected and ended.
        let mut young = scene.child();
        assert!(matches!(
            entrance.open(young.id()),
            Err(Unidentified::TooYoung)
        ));
        entrance.look(&scene.listener);
        assert_eq!(entrance.empty_at, seen, "somebody waits in the queue");
        scene.accept();
        std::thread::sleep(Duration::from_millis(30));
        entrance.look(&scene.listener);
        entrance.open(young.id()).unwrap();

        young.kill().unwrap();
        young.wait().unwrap();
        assert!(matches!(entrance.open(young.id()), Err(Unidentified::Gone)));
    }

    #[test]
    fn the_start_is_read_whatever_the_name_is() {
        let fields = "S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        for name in ["redis", "a b", ") R 1", "(("] {
            let stat = format!("42 ({name}) {fields}\n");
            assert_eq!(start_ticks(stat.as_bytes()), Some(987_654), "{name}");
        }
        for strange in [
            "",
            ")",
            "42 (x) S 1",
            "42 (x) S 1 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 99999999999999",
        ] {
            assert_eq!(start_ticks(strange.as_bytes()), None, "{strange}");
        }
    }
}
