//! Headers of entries that are the same on any day: owned by root, made at the beginning of time.

use super::{BLOCK, rest_of_block};

/// What ends an archive.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Largest length that fits the eleven octal digits of its field.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// The header of a file.
pub(crate) fn file(name: &str, size_bytes: u64, mode: u32) -> [u8; BLOCK] {
    header(name, b'0', size_bytes, mode)
}

/// The header of a directory; its name ends with a slash.
pub(crate) fn directory(name: &str, mode: u32) -> [u8; BLOCK] {
    header(name, b'5', 0, mode)
}

/// Adds a file to an archive.
pub(crate) fn push_file(archive: &mut Vec<u8>, name: &str, content: &[u8], mode: u32) {
    let size_bytes = content.len() as u64;
    archive.extend(file(name, size_bytes, mode));
    archive.extend(content);
    archive.extend(padding(size_bytes));
}

/// A whole archive of one file, which is root's. The name has at most 100 bytes.
#[must_use]
pub fn archive_of(name: &str, content: &[u8], mode: u32) -> Vec<u8> {
    let mut archive = Vec::with_capacity(content.len() + 4 * BLOCK);
    push_file(&mut archive, name, content, mode);
    archive.extend(END);
    archive
}

/// What follows a file of this length.
pub(crate) fn padding(size_bytes: u64) -> &'static [u8] {
    // Less than a block, so it fits.
    &END[..usize::try_from(rest_of_block(size_bytes)).unwrap_or(0)]
}

fn header(name: &str, kind: u8, size_bytes: u64, mode: u32) -> [u8; BLOCK] {
    debug_assert!(name.len() <= 100, "our own names are short");
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        for (place, byte) in header[at..].iter_mut().zip(bytes) {
            *place = *byte;
        }
    };
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    if size_bytes <= MAX_OCTAL {
        put(124, format!("{size_bytes:011o}").as_bytes());
    } else {
        // GNU tar's base-256: a first byte of 0x80, then the number, big-endian.
        put(124, &[0x80]);
        put(128, &size_bytes.to_be_bytes());
    }
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(265, b"root");
    put(297, b"root");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(&checksum(sum));
    header
}

/// Six octal digits, a zero byte and a blank, as every tar has written it.
fn checksum(sum: u32) -> [u8; 8] {
    let mut field = *b"000000\0 ";
    for (place, shift) in field[..6].iter_mut().rev().zip((0..).step_by(3)) {
        *place = b'0' + ((sum >> shift) & 7) as u8;
    }
    field
}
