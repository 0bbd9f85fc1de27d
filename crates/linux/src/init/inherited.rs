//! What is done about signals, as init was given it and as the application is to have it.
//!
//! Two things are changed on the way. Signals are blocked, so that init can await them. And dispositions: an ignored
//! SIGCHLD would have the kernel reap the application and its exit status with it, and Rust's runtime ignores SIGPIPE
//! before `main`. Handlers are no matter, for execve(2) resets them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::signal_set::SignalSet;

/// What was blocked, and what was done about SIGCHLD and SIGPIPE.
#[derive(Debug)]
pub(super) struct Inherited {
    blocked: SignalSet,
    on_child: libc::sighandler_t,
    on_pipe: libc::sighandler_t,
}

impl Inherited {
    /// Blocks all signals, and sees to it that children are waited for.
    pub(super) fn take() -> Self {
        Self {
            blocked: SignalSet::block_all(),
            on_child: dispose(libc::SIGCHLD, libc::SIG_DFL),
            on_pipe: ON_PIPE.load(Ordering::Relaxed),
        }
    }

    /// Puts everything back, in the application's process.
    pub(super) fn restore(&self) {
        dispose(libc::SIGCHLD, self.on_child);
        dispose(libc::SIGPIPE, self.on_pipe);
        self.blocked.block();
    }
}

/// What is done about SIGPIPE at the program's start, before Rust's runtime changes it.
static ON_PIPE: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

/// Runs before the runtime, which leaves no trace of what it found.
#[used]
// SAFETY: the section holds pointers to functions that the C library calls once at the start, in this very type's
// calling convention; this one makes a system call and stores a number.
#[unsafe(link_section = ".init_array")]
static BEFORE_THE_RUNTIME: extern "C" fn() = note_disposition_of_sigpipe;

extern "C" fn note_disposition_of_sigpipe() {
    // SAFETY: all-zero bytes are a valid value of this C structure.
    let mut found: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is set; what is found is written to a live structure.
    if unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut found) } == 0 {
        ON_PIPE.store(found.sa_sigaction, Ordering::Relaxed);
    }
}

/// Ignores a signal or gives it its default, and returns what was done before.
fn dispose(signal: libc::c_int, how: libc::sighandler_t) -> libc::sighandler_t {
    // SAFETY: only default, ignore, and what was in force before this program ran are ever set, which are the same two:
    // no handler survives execve(2).
    unsafe { libc::signal(signal, how) }
}
