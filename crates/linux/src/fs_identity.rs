//! Reading what is another user's, as that user: the file-system identity of a thread (setfsuid(2), setfsgid(2)).
//!
//! Whose `/proc/PID/fd` and `/proc/PID/exe` may be read is decided by exactly this identity (ptrace(2),
//! `PTRACE_MODE_FSCREDS`). Root in a container has `CAP_SETUID` by default and `CAP_SYS_PTRACE` not: what it may not
//! read as root, it may as the process' owner. Closed to it remains who changed its user without executing anything,
//! for such a process is not dumpable.
//!
//! ```text
//! root ── assume(999, 999) ──► 999 for files, root for all else ── drop ──► root, with all it could before
//! ```
//!
//! - It is this thread's alone, and ends with the value that stands for it.
//! - The kernel takes the capabilities that concern files out of effect meanwhile, and puts them back with user 0
//!   (capabilities(7)). It does so for user 0 alone, which is why nobody else plays this trick.
//! - It makes the whole process undumpable, which is just as well, and forgets which signal the thread wants when its
//!   parent ends (prctl(2), `PR_SET_PDEATHSIG`): that is asked for again.

use std::marker::PhantomData;

use rustix::process::{Pid, getppid};

use crate::init::die_with_parent;

/// This thread is somebody else to the file system, for as long as this lives.
#[derive(Debug)]
#[must_use = "the identity is given back when this is dropped"]
pub struct FsIdentity {
    parent: Option<Pid>,
    /// 0 for none.
    parent_death: libc::c_int,
    /// The identity is the thread's: it must not be given back by another one.
    stays_here: PhantomData<*const ()>,
}

impl FsIdentity {
    /// Takes the identity of a user and a group. None where this process is not root, or may not: nothing changed then.
    pub fn assume(uid: u32, gid: u32) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || uid == 0 {
            return None;
        }
        let mut parent_death = 0;
        // SAFETY: the option writes one int to a live place.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut parent_death) };
        let assumed = Self {
            parent: getppid(),
            parent_death,
            stays_here: PhantomData,
        };
        // The group first: it is checked by a capability that the change of user leaves alone, and so is the user.
        (set(libc::SYS_setfsgid, gid) && set(libc::SYS_setfsuid, uid)).then_some(assumed)
    }
}

impl Drop for FsIdentity {
    fn drop(&mut self) {
        set(libc::SYS_setfsuid, rustix::process::geteuid().as_raw());
        set(libc::SYS_setfsgid, rustix::process::getegid().as_raw());
        if self.parent_death == 0 {
            return;
        }
        let _ = die_with_parent(self.parent_death);
        // A parent that ended meanwhile told nobody.
        if getppid() != self.parent {
            // SAFETY: numbers only; it is this process that gets the signal it asked for.
            unsafe { libc::kill(libc::getpid(), self.parent_death) };
        }
    }
}

/// Whether the identity is this one now: the calls return what it was, and tell no failure.
fn set(call: libc::c_long, id: u32) -> bool {
    // SAFETY: both calls take a number. The raw ones: the C library has no other, and they are for this thread alone.
    unsafe {
        libc::syscall(call, id);
        // No user and no group has this number, so this only asks.
        libc::syscall(call, u32::MAX) == libc::c_long::from(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line of this thread's `/proc/PID/task/TID/status`.
    fn status(key: &str) -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.expect(key).to_owned()
    }

    fn parent_death() -> libc::c_int {
        let mut signal = 0;
        // SAFETY: writes one int to a live place.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) };
        signal
    }

    #[test]
    fn root_is_another_to_files_and_all_itself_again() {
        if !rustix::process::geteuid().is_root() {
            assert!(FsIdentity::assume(999, 998).is_none());
            return;
        }
        let all = || ["Uid:", "Gid:", "CapEff:", "CapPrm:"].map(status);
        // A thread of its own: the other tests keep their parent's death.
        let thread = std::thread::spawn(move || {
            die_with_parent(libc::SIGUSR1).expect("a signal");
            let before = all();
            let assumed = FsIdentity::assume(999, 998).expect("root may");
            assert_eq!(
                (status("Uid:"), status("Gid:")),
                ("\t0\t0\t0\t999".into(), "\t0\t0\t0\t998".into())
            );
            assert_ne!(status("CapEff:"), before[2], "files are another's now");
            assert_eq!(parent_death(), 0, "the kernel has forgotten it");
            drop(assumed);
            assert_eq!(all(), before);
            assert_eq!(parent_death(), libc::SIGUSR1);
        });
        thread.join().expect("no panic");
    }

    #[test]
    fn there_is_no_point_in_being_root() {
        assert!(FsIdentity::assume(0, 0).is_none());
    }
}
