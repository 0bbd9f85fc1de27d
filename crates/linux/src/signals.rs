//! What a process does about signals. It is inherited by children and survives exec(2), so whoever starts programs
//! must put right what it has changed for itself.

use rustix::io::Errno;
use rustix::process::Signal;

/// Gives every signal its default disposition and blocks none, as a new program expects.
pub fn restore_defaults() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the default disposition; SIGKILL, SIGSTOP and the C library's own two are refused, as they should.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero `sigset_t` is the empty set on Linux, and no old one is written. It cannot fail: the first
    // argument is valid, and so is the pointer.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &std::mem::zeroed(), std::ptr::null_mut()) };
}

/// Ignores a signal. Ignoring SIGCHLD tells the kernel to reap this process's children by itself (wait(2)).
///
/// # Errors
/// `EINVAL` for SIGKILL and SIGSTOP.
pub fn ignore(signal: Signal) -> Result<(), Errno> {
    // SAFETY: SIG_IGN is a valid disposition and no handler is replaced that anybody relies on.
    if unsafe { libc::signal(signal.as_raw(), libc::SIG_IGN) } == libc::SIG_ERR {
        let errno = std::io::Error::last_os_error().raw_os_error();
        Err(Errno::from_raw_os_error(errno.unwrap_or_default()))
    } else {
        Ok(())
    }
}
