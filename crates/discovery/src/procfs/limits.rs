//! `/proc/PID/limits`: a table with columns of blanks.

use super::{number, words};

/// Soft limit of open files; None where unlimited or not told.
pub(crate) fn open_files(bytes: &[u8]) -> Option<u64> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Max open files"))?;
    number(words(line).next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_soft_limit() {
        let real = include_bytes!("../../tests/fixtures/live/proc/7/limits");
        assert_eq!(open_files(real), Some(321));
        assert_eq!(
            open_files(b"Max open files   unlimited unlimited files\n"),
            None
        );
        assert_eq!(open_files(b"Max processes 1 2 processes\n"), None);
    }
}
