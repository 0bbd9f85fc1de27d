//! Two streams in one: what the Engine writes where a container, or an exec in it, has no terminal.
//!
//! Frames follow one another: `STREAM 0 0 0 LENGTH` (big-endian), then so many bytes; STREAM is 1 for standard
//! output, 2 for standard error. A frame is passed on as it comes, in pieces: whatever length it claims, nothing of
//! it is kept. Source: Docker Engine API, "Stream format" of `POST /containers/{id}/attach`.

use crate::LogStream;

const HEADER_BYTES: usize = 8;
/// Standard error; 3, an Engine's own trouble, counts as it.
const STDERR: u8 = 2;

/// Where in the frames the reader stands.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; HEADER_BYTES],
    /// So much of the header has come; all of it: within a frame.
    header_bytes: usize,
    /// Bytes of the frame that are to come.
    left: usize,
}

/// A part of a frame, or a whole one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) stream: LogStream,
    /// A frame begins with it.
    pub(crate) is_first: bool,
    /// May be empty, where the frame is.
    pub(crate) bytes: &'a [u8],
}

impl Frames {
    /// Takes the next piece off the front of `bytes`; None where they hold none any more.
    pub(crate) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Piece<'a>> {
        let is_first = self.header_bytes < HEADER_BYTES;
        if is_first {
            let taken = bytes.split_off(..bytes.len().min(HEADER_BYTES - self.header_bytes))?;
            self.header[self.header_bytes..][..taken.len()].copy_from_slice(taken);
            self.header_bytes += taken.len();
            if self.header_bytes < HEADER_BYTES {
                return None;
            }
            let [_, _, _, _, length @ ..] = self.header;
            self.left = u32::from_be_bytes(length) as usize;
        }
        if bytes.is_empty() && self.left > 0 && !is_first {
            return None;
        }
        let piece = bytes.split_off(..bytes.len().min(self.left))?;
        self.left -= piece.len();
        if self.left == 0 {
            self.header_bytes = 0;
        }
        Some(Piece {
            stream: if self.header[0] < STDERR {
                LogStream::Stdout
            } else {
                LogStream::Stderr
            },
            is_first,
            bytes: piece,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each stream's bytes, joined.
    fn read(input: &[u8], cut: usize) -> (Vec<u8>, Vec<u8>, usize) {
        let (mut frames, mut count) = (Frames::default(), 0);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for mut bytes in input.chunks(cut) {
            while let Some(piece) = frames.next(&mut bytes) {
                count += usize::from(piece.is_first);
                match piece.stream {
                    LogStream::Stdout => out.extend_from_slice(piece.bytes),
                    LogStream::Stderr => err.extend_from_slice(piece.bytes),
                }
            }
        }
        (out, err, count)
    }

    #[test]
    fn streams_are_told_apart_however_they_are_cut() {
        let input = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x03two\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\x01!\x01\0";
        for cut in 1..=input.len() {
            let expected = (b"one".to_vec(), b"two!".to_vec(), 4);
            assert_eq!(read(input, cut), expected, "in pieces of {cut}");
        }
    }

    #[test]
    fn a_length_is_no_promise_to_keep_so_much() {
        let (mut frames, mut bytes) = (Frames::default(), &b"\x01\0\0\0\xff\xff\xff\xffx"[..]);
        assert_eq!(frames.next(&mut bytes).unwrap().bytes, b"x");
        assert_eq!(frames.next(&mut bytes), None);
        assert_eq!(size_of::<Frames>(), 3 * size_of::<usize>());
    }
}
