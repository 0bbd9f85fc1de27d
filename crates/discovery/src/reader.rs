//! Threads on which files of the container are read: such a file may hang for ever, and its thread with it.

use std::io;
use std::thread::Builder;

/// Little is needed, for what is read is in the heap; and a thread that hangs keeps its stack.
const STACK_BYTES: usize = 256 * 1024;

/// What a thread does. In a box, so that the code that begins a thread is in the program once and not for each.
pub type Work = Box<dyn FnOnce() + Send>;

/// Begins to work on a thread that may be given up. `name` is what the kernel calls it, at most 15 bytes (prctl(2),
/// `PR_SET_NAME`).
///
/// # Errors
/// Where no thread can be had.
pub fn spawn(name: &str, work: Work) -> io::Result<()> {
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    thread.spawn(work).map(|_| ())
}
