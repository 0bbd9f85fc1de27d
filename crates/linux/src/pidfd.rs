//! A process that cannot be mistaken for another, however pids are reused (pidfd_open(2)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A handle to a process, to be awaited on a tokio runtime with I/O enabled. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct PidFd(Arc<AsyncFd<OwnedFd>>);

impl PidFd {
    /// The process that has this pid now, in the pid namespace of the caller.
    ///
    /// # Errors
    /// `ESRCH` where there is none; `EMFILE` and the like where no descriptor is left.
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(Errno::SRCH)?;
        Self::new(pidfd_open(pid, PidfdFlags::empty())?)
    }

    /// Takes over a descriptor that is a pidfd already.
    ///
    /// # Errors
    /// Where the runtime cannot watch it.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self(Arc::new(watched(fd)?)))
    }

    /// Returns when the process has ended.
    pub async fn exited(&self) {
        // Failing means that the runtime is shutting down: then nobody waits any more.
        let _ = self.0.readable().await;
    }

    /// Whether it has ended, at this moment.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.0.get_ref(), PollFlags::IN)];
        // A failure says nothing of the process: then nobody should rely on it.
        poll(&mut fds, Some(&Timespec::default())) != Ok(0)
    }

    /// Ends the process at once (SIGKILL); nothing happens where it has ended already.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(self.0.get_ref(), Signal::KILL);
    }
}

/// A descriptor whose becoming readable can be awaited.
pub(crate) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, is its only owner, and always answers with the same number; nothing in this crate
    // takes it out of the `AsyncFd`.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }
        .map_err(|error| error.into_parts().1)
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn an_end_is_seen_and_brought_about() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = PidFd::open(child.id()).unwrap();
        tokio::select! {
            biased;
            () = process.exited() => panic!("it has not ended yet"),
            () = std::future::ready(()) => {}
        }
        assert!(!process.has_ended());
        process.kill();
        process.exited().await;
        assert!(process.has_ended());
        child.wait().unwrap();
        process.kill();
        assert_eq!(
            PidFd::open(0).unwrap_err().raw_os_error(),
            Some(Errno::SRCH.raw_os_error())
        );
    }
}
