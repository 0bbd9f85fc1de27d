//! Tar archives, as far as images need them: read by their headers alone, and written so that the same content is
//! always the same bytes. Source: POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format".

mod read;
mod write;

pub(crate) use read::{Entries, Entry, Kind};
pub use write::archive_of;
pub(crate) use write::{END, directory, file, padding, push_file};

/// The unit of everything in an archive, in bytes.
const BLOCK: usize = 512;

/// Bytes up to the next whole block.
fn rest_of_block(length: u64) -> u64 {
    (BLOCK as u64 - length % BLOCK as u64) % BLOCK as u64
}
