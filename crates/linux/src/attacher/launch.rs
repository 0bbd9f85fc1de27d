//! One launch: from a fork of the attacher to an agent in its container, keeping [`crate::contract`] line by line.
//!
//! Everything here runs in children of a single-threaded process, so that any code may run after `fork`. A child
//! never returns into the attacher's loop: it ends by `_exit` or by executing the agent.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::{Resource, Rlimit, Signal};

use super::link::{self, Request};
use crate::contract::{
    AGENT_CAPABILITIES, AGENT_UID, CAP_DAC_OVERRIDE, CAP_SYS_PTRACE, SESSION_FD, agent_args,
};
use crate::signals;

/// Where a launcher keeps its descriptors; what is above is closed.
const PROGRAM_FD: RawFd = 4;
const OUTCOME_FD: RawFd = 5;
const INIT_FD: RawFd = 6;

/// Where a launch can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Descriptors,
    Namespaces,
    WorkingDirectory,
    Limits,
    Keyring,
    Privileges,
    Clone,
    Agent,
    Execute,
}

impl Step {
    const ALL: [Self; 9] = [
        Self::Descriptors,
        Self::Namespaces,
        Self::WorkingDirectory,
        Self::Limits,
        Self::Keyring,
        Self::Privileges,
        Self::Clone,
        Self::Agent,
        Self::Execute,
    ];

    /// What was being done, in words that continue with the reason.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Descriptors => "cannot arrange the file descriptors",
            Self::Namespaces => "cannot join the container's namespaces",
            Self::WorkingDirectory => "cannot change to the container's root directory",
            Self::Limits => "cannot set the resource limits",
            Self::Keyring => "cannot get a session keyring of its own",
            Self::Privileges => "cannot drop the privileges",
            Self::Clone => "cannot start a process in the container",
            Self::Agent => "cannot prepare the agent's process",
            Self::Execute => "cannot execute the agent",
        }
    }

    fn to_bytes(self, errno: Errno) -> [u8; 5] {
        let [a, b, c, d] = errno.raw_os_error().to_le_bytes();
        [self as u8, a, b, c, d]
    }

    /// Reads what [`fail`] sent; None for the message that brings the agent's pidfd, which is empty of it.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<(Self, Errno)> {
        let [step, errno @ ..] = <[u8; 5]>::try_from(bytes).ok()?;
        let step = *Self::ALL.get(usize::from(step))?;
        Some((step, Errno::from_raw_os_error(i32::from_le_bytes(errno))))
    }
}

/// Forks the launcher and returns its pidfd; the child's side does not return.
pub(super) fn fork_launcher(
    request: &Request,
    session: &OwnedFd,
    outcome: &OwnedFd,
    program: &OwnedFd,
) -> Result<OwnedFd, Errno> {
    match clone(0)? {
        Some(launcher) => Ok(launcher),
        None => {
            let fds = [
                session.as_raw_fd(),
                program.as_raw_fd(),
                outcome.as_raw_fd(),
                request.init.as_raw_fd(),
            ];
            let (step, errno) = match arrange(fds) {
                Ok(()) => launch(request),
                Err(errno) => (Step::Descriptors, errno),
            };
            fail(step, errno)
        }
    }
}

/// Puts the launcher's descriptors in their places, closing all others.
fn arrange(fds: [RawFd; 4]) -> Result<(), Errno> {
    const ABOVE: RawFd = 64;
    let places = [SESSION_FD, PROGRAM_FD, OUTCOME_FD, INIT_FD];
    // First away from the places, then into them: no order of arrival can overwrite what is still needed.
    let mut parked = [0; 4];
    for (slot, fd) in parked.iter_mut().zip(fds) {
        // SAFETY: fcntl with F_DUPFD takes no pointer.
        *slot = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ABOVE) })?;
    }
    for (fd, place) in parked.into_iter().zip(places) {
        // Only the session survives the execution of the agent.
        let flags = if place == SESSION_FD {
            0
        } else {
            libc::O_CLOEXEC
        };
        // SAFETY: dup3 takes no pointer.
        check(unsafe { libc::dup3(fd, place, flags) })?;
    }
    close_from(INIT_FD + 1)?;
    // Standard error is still the supervisor's; 0 and 1 are the empty, sealed file already.
    // SAFETY: dup2 takes no pointer.
    check(unsafe { libc::dup2(0, 2) }).map(drop)
}

/// The launcher: enters the container, drops what it does not need there, and starts the agent's process. Returns
/// only with the step that failed.
fn launch(request: &Request) -> (Step, Errno) {
    let steps = || -> Result<(), (Step, Errno)> {
        let at = |step| move |errno| (step, errno);
        join_namespaces().map_err(at(Step::Namespaces))?;
        rustix::process::chdir("/").map_err(at(Step::WorkingDirectory))?;
        limit_resources().map_err(at(Step::Limits))?;
        join_new_keyring().map_err(at(Step::Keyring))?;
        drop_privileges().map_err(at(Step::Privileges))?;
        close_from(INIT_FD).map_err(at(Step::Descriptors))?;
        // SAFETY: clone(2)'s flag; the new process is this one's sibling.
        match clone(libc::CLONE_PARENT).map_err(at(Step::Clone))? {
            None => {
                prepare_agent().map_err(at(Step::Agent))?;
                Err((Step::Execute, execute(&agent_args(request.init_pid))))
            }
            Some(agent) => {
                // SAFETY: the descriptor is open: `arrange` put it there.
                let outcome = unsafe { BorrowedFd::borrow_raw(OUTCOME_FD) };
                let sent = link::send(outcome, &[0], &[agent.as_fd()], SendFlags::NOSIGNAL);
                exit(if sent.is_ok() { 0 } else { 1 })
            }
        }
    };
    match steps() {
        Err(failure) => failure,
        Ok(()) => exit(0),
    }
}

/// Joins all namespaces of the container's init but the user namespace: beyond the reach of a remapped root the
/// agent stays the host's.
fn join_namespaces() -> Result<(), Errno> {
    let container = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    // The time namespace is not everywhere (Linux 5.6, CONFIG_TIME_NS): asked for with the others, it would make
    // them all fail where it is missing. It goes first, because afterwards the pidfd's process may be out of sight.
    // SAFETY: setns takes no pointer.
    if let Err(errno) = check(unsafe { libc::setns(INIT_FD, libc::CLONE_NEWTIME) })
        && errno != Errno::INVAL
    {
        return Err(errno);
    }
    // SAFETY: as above.
    check(unsafe { libc::setns(INIT_FD, container) }).map(drop)
}

/// No core dump of what is in a companion's memory may appear in a container.
fn limit_resources() -> Result<(), Errno> {
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    let files = rustix::process::getrlimit(Resource::Nofile);
    let bounded = |limit: Option<u64>| Some(limit.map_or(1024, |limit| limit.min(1024)));
    rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit {
            current: bounded(files.current),
            maximum: bounded(files.maximum),
        },
    )
}

/// Leaves the supervisor's session keyring for a new, empty one (keyctl(2)). Fine where the kernel has none; and where
/// a system call filter refuses to tell: the Engine's own does, for a supervisor that is a container itself, and then
/// holds for the agent as well.
fn join_new_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring; nothing is read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<u8>(),
        )
    };
    match result {
        -1 => Some(last_errno())
            .filter(|&errno| !matches!(errno, Errno::NOSYS | Errno::PERM))
            .map_or(Ok(()), Err),
        _ => Ok(()),
    }
}

/// Becomes the agent's user with its two capabilities and no way to any other (capabilities(7)).
///
/// They stay permitted and ambient but not effective, so that executing the unreadable program makes the agent
/// undumpable: with CAP_DAC_OVERRIDE in effect the kernel would think it readable. The execution then puts them into
/// effect, and, since the permitted set does not grow by it, keeps the parent-death signal.
fn drop_privileges() -> Result<(), Errno> {
    let prctl = |option, argument: libc::c_ulong, second: libc::c_ulong| {
        // SAFETY: none of the options used below takes a pointer.
        check(unsafe {
            libc::prctl(
                option,
                argument,
                second,
                0 as libc::c_ulong,
                0 as libc::c_ulong,
            )
        })
    };
    // The kernel may know more capabilities than any list made here; it answers EINVAL after its last.
    for capability in 0..64 {
        if AGENT_CAPABILITIES & (1 << capability) == 0 {
            match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
                Err(Errno::INVAL) => break,
                other => other?,
            };
        }
    }
    prctl(libc::PR_SET_KEEPCAPS, 1, 0)?;
    // SAFETY: no groups are read from the null pointer, for there are none.
    check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: numbers only.
    check(unsafe { libc::setresgid(AGENT_UID, AGENT_UID, AGENT_UID) })?;
    // SAFETY: numbers only.
    check(unsafe { libc::setresuid(AGENT_UID, AGENT_UID, AGENT_UID) })?;
    set_capabilities(0, AGENT_CAPABILITIES, AGENT_CAPABILITIES)?;
    for capability in [CAP_SYS_PTRACE, CAP_DAC_OVERRIDE] {
        prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
            capability.into(),
        )?;
    }
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// capset(2), version 3 of its layout.
fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let half = |shift: u32| {
        #[expect(clippy::cast_possible_truncation, reason = "one half at a time")]
        let cut = |set: u64| (set >> shift) as u32;
        Data {
            effective: cut(effective),
            permitted: cut(permitted),
            inheritable: cut(inheritable),
        }
    };
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let data = [half(0), half(32)];
    // SAFETY: both pointers are to live structures of the layout that the version in the header names.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// The agent's process, still this program: its own session, death with the attacher, and signals as a new program
/// expects them, whatever the supervisor was started with.
fn prepare_agent() -> Result<(), Errno> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    signals::restore_defaults();
    Ok(())
}

/// Executes the program with an empty environment; returns only where that fails.
fn execute(args: &[String]) -> Errno {
    let args: Vec<CString> = args
        .iter()
        .filter_map(|arg| CString::new(arg.as_str()).ok())
        .collect();
    let mut argv: Vec<_> = args.iter().map(|arg| arg.as_ptr()).collect();
    argv.push(std::ptr::null());
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: the path is a C string, both lists are of C strings and end with null, and all live until the call's end.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            PROGRAM_FD,
            c"".as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last_errno()
}

/// clone3(2) as a fork with a pidfd: Some in the parent, None in the child.
fn clone(flags: libc::c_int) -> Result<Option<OwnedFd>, Errno> {
    #[repr(C)]
    #[derive(Default)]
    struct Args {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
    }
    let mut pidfd: RawFd = -1;
    // A sibling's exit signal is its parent's affair.
    let exit_signal = if flags & libc::CLONE_PARENT == 0 {
        libc::SIGCHLD
    } else {
        0
    };
    let args = Args {
        flags: (u64::from(flags.cast_unsigned())) | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: u64::from(exit_signal.cast_unsigned()),
        ..Args::default()
    };
    // SAFETY: without CLONE_VM this is a fork: the child has a copy of all memory, its one thread included; the
    // process is single-threaded, so no lock is held by a thread that the child lacks. The kernel writes one int
    // into `pidfd`.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<Args>()) } {
        -1 => Err(last_errno()),
        0 => Ok(None),
        // SAFETY: the kernel has just opened it for us.
        _ => Ok(Some(unsafe { OwnedFd::from_raw_fd(pidfd) })),
    }
}

fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: no `OwnedFd` above `first` is used afterwards: this child only executes the agent or exits.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) }).map(drop)
}

/// Reports the step that failed and ends this child.
fn fail(step: Step, errno: Errno) -> ! {
    // SAFETY: the descriptor is open unless arranging it was what failed, and then the write fails harmlessly.
    let outcome = unsafe { BorrowedFd::borrow_raw(OUTCOME_FD) };
    let _ = link::send(outcome, &step.to_bytes(errno), &[], SendFlags::NOSIGNAL);
    exit(1)
}

fn exit(code: libc::c_int) -> ! {
    // SAFETY: ends the process at once, running no handler of the attacher's.
    unsafe { libc::_exit(code) }
}

fn check<T: Into<i64> + Copy>(result: T) -> Result<T, Errno> {
    if result.into() == -1 {
        Err(last_errno())
    } else {
        Ok(result)
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
