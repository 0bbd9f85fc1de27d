//! Threads on which files of the container are read: such a file may hang for ever, and its thread with it.

use std::io;
use std::thread::Builder;

/// Little is needed, for what is read is in the heap; and a thread that hangs keeps its stack.
const STACK_BYTES: usize = 256 * 1024;

/// Starts a thread that may be given up: nobody joins it. `name` is what the kernel calls it, at most 15 bytes (prctl(2),
/// `PR_SET_NAME`).
///
/// # Errors
/// What pthread_create(3) says, where there is no room for another thread.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    begin(name, Box::new(work))
}

/// The one copy of the code that starts a thread: it would be compiled anew for every kind of work, 2 KB each time.
fn begin(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    thread.spawn(work).map(drop)
}
