//! What stands in for an unwinder in a program that aborts on panic.
//!
//! Nothing ever unwinds there, and without tables to unwind by ([agent/build.rs] leaves them out) a walk up the
//! stack finds nothing. Said here, in Rust, the compiler sees it too: no frame is ever found, so the standard
//! library's reader of debug information, by which it would name one, is left out with the C library's unwinder.
//! A panic still says where it happened; its backtrace is empty, as it would be anyway.
//!
//! The functions are those that the standard library calls. Source: Itanium C++ ABI, exception handling, level I.
//!
//! [agent/build.rs]: ../../../agent/build.rs

use std::ffi::{c_int, c_void};

/// The answer of a walk that came to its end: `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

/// Calls nobody back.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Defines functions that are called only while something unwinds.
macro_rules! never_called {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> ! {
                std::process::abort()
            }
        )*
    };
}

never_called! {
    _Unwind_GetDataRelBase
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_Resume
    _Unwind_SetGR
    _Unwind_SetIP
}
