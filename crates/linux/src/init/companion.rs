//! The companion as init's second child: this program once more, as `diogenes-agent serve`.
//!
//! ```text
//!          start
//! ──► Pausing ───── due ─────► Running
//!        ◄───────── ended ────────┘
//! ```
//!
//! The application goes first: what a companion's start costs is not to be waited for.
//!
//! It shares nothing with the application but the container: a session of its own, `/dev/null` for its words, no
//! descriptor, an empty environment, and it is the first that the kernel's OOM killer takes.

use std::os::unix::fs::MetadataExt;
use std::ptr::null;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::back_off::BackOff;
use super::{die_with_parent, exit, fork};
use crate::signals;

/// The OOM killer's first choice (proc_pid_oom_score_adj(5)): raising it needs no privilege.
const MOST_EXPENDABLE: &str = "1000";

/// Device number of the null device, major and minor (Linux's Documentation/admin-guide/devices.txt).
const NULL_DEVICE: (u32, u32) = (1, 3);

/// The application's start is over by then, or is one of the long ones.
const HEAD_START: Duration = Duration::from_millis(200);

/// A companion that runs or will.
#[derive(Debug)]
pub(super) struct Companion {
    state: State,
    back_off: BackOff,
}

#[derive(Debug)]
enum State {
    Running { pid: Pid, since: Instant },
    Pausing { until: Instant },
}

impl Companion {
    /// One that will start after the application, which starts now.
    pub(super) fn beside(now: Instant) -> Self {
        Self {
            state: State::Pausing {
                until: now + HEAD_START,
            },
            back_off: BackOff::new(),
        }
    }

    /// For how long there is nothing to do; None while it runs.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Running { .. } => None,
            State::Pausing { until } => Some(until.saturating_duration_since(now)),
        }
    }

    /// Starts it once its pause is over. That it cannot be started is one more life that was short.
    pub(super) fn start_if_due(&mut self, now: Instant) {
        if self.pause(now) == Some(Duration::ZERO) {
            self.state = match fork() {
                Ok(Some(pid)) => State::Running { pid, since: now },
                Ok(None) => {
                    become_companion();
                    exit(1)
                }
                Err(_) => self.pausing(now, Duration::ZERO),
            };
        }
    }

    /// A child has ended: this one, or an orphan that is nobody's.
    pub(super) fn ended(&mut self, child: Pid, now: Instant) {
        if let State::Running { pid, since } = self.state
            && pid == child
        {
            self.state = self.pausing(now, now - since);
        }
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        if let State::Running { pid, .. } = self.state {
            // Not reaped yet, so the pid is still its own.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn pausing(&mut self, now: Instant, lived: Duration) -> State {
        State::Pausing {
            until: now + self.back_off.after(lived),
        }
    }
}

/// In the new process: leaves everything behind and executes the program anew. Returns only where that fails, and then
/// there is nobody to tell.
fn become_companion() -> Option<()> {
    rustix::process::setsid().ok()?;
    // Where init is not the first of its pid namespace, the kernel would not end the companion with it.
    die_with_parent(libc::SIGKILL).ok()?;
    signals::restore_defaults();
    // Refused in some sandboxes, and then it is worth no less than the application.
    let _ = std::fs::write("/proc/self/oom_score_adj", MOST_EXPENDABLE);
    silence()?;
    close_all_but_standard();
    let args = [c"diogenes-agent".as_ptr(), c"serve".as_ptr(), null()];
    // SAFETY: the path and the arguments are C strings, both lists end with null, and all are constants.
    unsafe { libc::execve(c"/proc/self/exe".as_ptr(), args.as_ptr(), [null()].as_ptr()) };
    None
}

/// Points the standard descriptors at the null device; None where what is at its path is something else, which the
/// companion's words might fill.
fn silence() -> Option<()> {
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .ok()?;
    let device = null.metadata().ok()?.rdev();
    if (rustix::fs::major(device), rustix::fs::minor(device)) != NULL_DEVICE {
        return None;
    }
    rustix::stdio::dup2_stdin(&null).ok()?;
    rustix::stdio::dup2_stdout(&null).ok()?;
    rustix::stdio::dup2_stderr(&null).ok()
}

/// Closes what init was started with beyond the standard descriptors, and knows nothing of.
fn close_all_but_standard() {
    const FIRST: libc::c_uint = 3;
    /// Where the kernel lacks close_range (before 5.9), this many are closed one by one: Docker passes none at all.
    const ENOUGH: libc::c_int = 1024;
    // SAFETY: no descriptor above the standard ones is used afterwards: this process executes a program or exits.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0) };
    if closed == -1 {
        for fd in 3..ENOUGH {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}
