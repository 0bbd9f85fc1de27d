//! `/proc/PID/status`: only what `/proc/PID/stat` lacks.

use super::{number, words};

/// Effective user id, the second number of `Uid:`. The name above it cannot forge the line: the kernel
/// writes its line feeds as `\n`.
pub(crate) fn effective_uid(bytes: &[u8]) -> Option<u32> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Uid:"))?;
    number(words(line).nth(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_effective_id() {
        let real = include_bytes!("../../tests/fixtures/live/proc/7/status");
        assert_eq!(effective_uid(real), Some(33));
        assert_eq!(effective_uid(b"Name:\tx\nUid:\t0\t999\t0\t0\n"), Some(999));
        assert_eq!(effective_uid(b"Name:\tUid: 1 2\n"), None);
        assert_eq!(effective_uid(b"Uid:\t0"), None);
    }
}
