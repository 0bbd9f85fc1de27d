//! One input in parts, for readers that take several: they are separated by a line `---`.

/// The line between two parts, with the line feeds that belong to it.
const SEPARATOR: &[u8] = b"\n---\n";

/// The parts in their order, at least one.
pub(crate) fn of(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = bytes
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR)
    {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + SEPARATOR.len()..];
    }
    parts.push(bytes);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_may_be_empty_and_hold_line_feeds() {
        assert_eq!(of(b""), [b""]);
        assert_eq!(of(b"a\nb\n---\n\n---\nc"), [&b"a\nb"[..], b"", b"c"]);
        assert_eq!(of(b"---\nx"), [b"---\nx"]);
    }
}
