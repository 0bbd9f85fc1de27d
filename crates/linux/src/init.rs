//! The first process of a container: it starts the application, hands it every signal, reaps what is orphaned, and ends
//! as the application ended.
//!
//! ```text
//!                  ┌─ application ── own process group, the terminal's foreground ── status ─► exit
//! signals ──► init ┤
//!                  └─ companion ──── own session, /dev/null, no shared descriptor ── status ─► again, after a pause
//! ```
//!
//! One thread, one loop, one place that waits for children. All signals are blocked from the first moment and taken
//! one by one (`signal_set`), so that none comes between a look and a sleep, and nothing polls. The loop allocates
//! nothing and writes nothing: what a container logs is the application's.
//!
//! The companion is a child among others. That it crashes, floods its stderr or never starts concerns nobody but
//! `companion`, which starts it again after a pause that grows.
//!
//! What tini and dumb-init do in each case, and what this does, is a table that is run: `tests/tests/init_peers.rs`.
//!
//! What is left to the application is exactly what init was given: environment, working directory, descriptors,
//! limits, and what is done about signals (`inherited`).

mod application;
mod back_off;
mod companion;
mod inherited;
mod signal_set;
mod terminal;

use std::ffi::OsString;
use std::time::Instant;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};

use crate::memory;
use application::Application;
use companion::Companion;
use inherited::Inherited;

/// Signals are numbered from 1 to this (signal(7)).
pub const LAST_SIGNAL: u8 = 64;

/// What init is asked to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// The application's program, looked up in `PATH` where it holds no slash, and its arguments.
    pub command: Vec<OsString>,
    /// Signals go to the application's whole process group, and what is left of it gets SIGTERM when it ends.
    pub to_group: bool,
    /// A companion runs beside the application.
    pub companion: bool,
    /// Which signal the application gets for which; 0 where it gets none.
    pub rewrite: [u8; LAST_SIGNAL as usize + 1],
    /// Exit codes of the application that are told as 0.
    pub successes: Vec<u8>,
    /// The signal init asks for when its own parent ends; None for none.
    pub parent_death: Option<u8>,
}

impl Order {
    /// Runs `command` with a companion, every signal for itself.
    #[must_use]
    pub fn new(command: Vec<OsString>) -> Self {
        Self {
            command,
            to_group: false,
            companion: true,
            rewrite: std::array::from_fn(|signal| signal as u8),
            successes: Vec::new(),
            parent_death: None,
        }
    }
}

/// Runs the application to its end and returns what to exit with: its exit code; 128 and the signal's number where a
/// signal ended it; 127 where its program is not found, 126 where it cannot be executed.
///
/// # Errors
/// Where no process can be made, or `parent_death` is no signal.
pub fn run(order: &Order) -> Result<u8, Errno> {
    // Before anything else: a signal that comes now waits for the application.
    let inherited = Inherited::take();
    if !is_first() {
        // The first process adopts orphans anyway; another one only where it asks for them. Where that is refused, they
        // are somebody else's, and the application runs all the same.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
    if let Some(signal) = order.parent_death {
        die_with_parent(signal.into())?;
    }
    let mut application = Application::start(&order.command, order.to_group, &inherited)?;
    // Whatever is mounted on the working directory stays the application's alone.
    let _ = rustix::process::chdir("/");
    let mut companion = order.companion.then(|| Companion::beside(Instant::now()));
    // What the start needed is not needed again: the loop is a few pages of the program.
    memory::release_program_code();
    let status = loop {
        let pause = companion
            .as_ref()
            .and_then(|companion| companion.pause(Instant::now()));
        match signal_set::next(pause) {
            None => {}
            Some(libc::SIGCHLD) => {}
            Some(signal) => application.deliver(rewritten(&order.rewrite, signal)),
        }
        // One SIGCHLD may stand for many ends. Every wake is a reason to look: what is reaped now wakes nobody later.
        if let Some(status) = reap(&mut application, companion.as_mut()) {
            break status;
        }
        if let Some(companion) = &mut companion {
            companion.start_if_due(Instant::now());
        }
    };
    application.dismiss();
    if let Some(companion) = &companion {
        companion.kill();
    }
    let code = exit_code(status);
    Ok(if order.successes.contains(&code) {
        0
    } else {
        code
    })
}

/// Reaps all that have ended. Some when the application has.
fn reap(
    application: &mut Application,
    mut companion: Option<&mut Companion>,
) -> Option<WaitStatus> {
    loop {
        // ECHILD and "nobody yet" come to the same: nothing to reap now.
        let (pid, status) = next_change().ok().flatten()?;
        if pid == application.pid() {
            match status.stopping_signal() {
                Some(signal) => application.stopped(signal),
                None => return Some(status),
            }
        } else if !status.stopped()
            && let Some(companion) = &mut companion
        {
            companion.ended(pid, Instant::now());
        }
    }
}

/// The next child that ended or was stopped.
fn next_change() -> Result<Option<(Pid, WaitStatus)>, Errno> {
    rustix::process::wait(WaitOptions::NOHANG | WaitOptions::UNTRACED)
}

/// As shells and Docker count: a signal's number above 128.
fn exit_code(status: WaitStatus) -> u8 {
    let code = status
        .exit_status()
        .or_else(|| Some(128 + status.terminating_signal()?));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

fn rewritten(rewrite: &[u8], signal: libc::c_int) -> libc::c_int {
    let signal = usize::try_from(signal).ok();
    signal
        .and_then(|signal| rewrite.get(signal))
        .map_or(0, |&to| to.into())
}

/// Whether this is the first process of its pid namespace: the kernel gives it orphans, and nobody waits for it to stop.
fn is_first() -> bool {
    rustix::process::getpid() == Pid::INIT
}

/// prctl(2), `PR_SET_PDEATHSIG`.
pub(crate) fn die_with_parent(signal: libc::c_int) -> Result<(), Errno> {
    let signal = libc::c_ulong::from(signal.unsigned_abs());
    // SAFETY: the option takes a number.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// fork(2): the child's pid in the parent, None in the child.
fn fork() -> Result<Option<Pid>, Errno> {
    const NOTHING: libc::c_long = 0;
    let end = libc::c_long::from(libc::SIGCHLD);
    // SAFETY: without CLONE_VM the child has a copy of all memory. No thread was started before, so that no lock is held
    // by one that the child lacks, and none of the C library's handlers for forks has anything to do.
    let child = unsafe { libc::syscall(libc::SYS_clone, end, NOTHING, NOTHING, NOTHING, NOTHING) };
    match child {
        -1 => Err(last_errno()),
        child => Ok(i32::try_from(child).ok().and_then(Pid::from_raw)),
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Ends a child that could not become another program, running no handler of its parent's.
fn exit(code: u8) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code.into()) }
}
