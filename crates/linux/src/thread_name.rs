//! A thread's name, set without the C library's printf.
//!
//! musl's function writes to another thread's `/proc/self/task/TID/comm`, whose path it makes with `snprintf`, and with
//! that come 13 KB of formatting, floating-point numbers included. The standard library names only the thread that
//! calls, for which prctl(2) is enough. A program that defines a function of the C library has its own called instead.

use std::ffi::{CStr, c_char, c_int};

use rustix::io::Errno;

/// Names the calling thread. See pthread_setname_np(3).
///
/// # Safety
/// As with the function it stands in for: `name` is a text that ends with a NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_setname_np(thread: libc::pthread_t, name: *const c_char) -> c_int {
    // SAFETY: it has no preconditions.
    if thread != unsafe { libc::pthread_self() } {
        return Errno::NOSYS.raw_os_error();
    }
    // SAFETY: the caller says so.
    let name = unsafe { CStr::from_ptr(name) };
    rustix::thread::set_name(name).map_or_else(Errno::raw_os_error, |()| 0)
}
