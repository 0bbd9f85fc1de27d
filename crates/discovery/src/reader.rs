//! Threads on which files of the container are read: such a file may hang for ever, and its thread with it.

use std::thread::Builder;

/// Little is needed, for what is read is in the heap; and a thread that hangs keeps its stack.
const STACK_BYTES: usize = 256 * 1024;

/// A thread that may be given up. `name` is what the kernel calls it, at most 15 bytes (prctl(2), `PR_SET_NAME`).
pub fn thread(name: &str) -> Builder {
    Builder::new().name(name.to_owned()).stack_size(STACK_BYTES)
}
