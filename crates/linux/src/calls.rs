//! Which of the system calls that bringing a companion in takes this kernel answers.
//!
//! Each is made once, in a way that changes nothing. Version numbers of kernels tell less: distributions carry
//! features back, and a seccomp filter takes them away.

use std::os::fd::AsRawFd;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, getpid, pidfd_open};

/// One system call and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name in the manual.
    pub name: &'static str,
    /// The kernel that brought it.
    pub since: &'static str,
    /// `ENOSYS` or `EINVAL` where the kernel does not know it, `EPERM` where it is denied.
    pub result: Result<(), Errno>,
}

/// Tries them all. `setns` needs `CAP_SYS_ADMIN`: without it, `EPERM` says only that.
#[must_use]
pub fn try_all() -> Vec<Call> {
    let call = |name, since, result| Call {
        name,
        since,
        result,
    };
    vec![
        call("pidfd_open", "5.3", own_pidfd().map(drop)),
        call("openat2", "5.6", open_here()),
        call("setns", "5.8", stay_in_namespace()),
        call("close_range", "5.9", close_nothing()),
    ]
}

fn own_pidfd() -> Result<impl AsRawFd, Errno> {
    pidfd_open(getpid(), PidfdFlags::empty())
}

fn open_here() -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS).map(drop)
}

/// Joins the namespace of host names this process is in already, named by a pidfd.
fn stay_in_namespace() -> Result<(), Errno> {
    let own = own_pidfd()?;
    // SAFETY: setns takes no pointer.
    check(unsafe { libc::setns(own.as_raw_fd(), libc::CLONE_NEWUTS) }.into())
}

/// Closes the one descriptor whose number no process can have.
fn close_nothing() -> Result<(), Errno> {
    // SAFETY: close_range takes no pointer, and nobody owns this descriptor: numbers of open files are positive `int`s.
    check(unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) })
}

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result == -1 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_runs_companions_answers_all() {
        for call in try_all() {
            let denied = call.name == "setns" && call.result == Err(Errno::PERM);
            assert!(call.result.is_ok() || denied, "{call:?}");
        }
    }
}
