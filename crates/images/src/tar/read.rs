//! What an archive holds and where, from its headers: contents are skipped.

use std::io::{self, Read, Seek, SeekFrom};

use super::{BLOCK, rest_of_block};
use crate::ArchiveError;

/// Longest extended header (a long name, pax records) that is read. Linux' own limit of a path is 4 KiB.
const MAX_EXTENSION_BYTES: u64 = 64 * 1024;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and where it points to.
    SymbolicLink(String),
    /// Another name of the entry with this name.
    HardLink(String),
    /// A device, a pipe, a sparse file: of no use here.
    Other,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As written in the archive; what is no UTF-8 is replaced.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// Where its content begins, in bytes from the beginning of the archive.
    pub(crate) offset: u64,
    /// The length of its content.
    pub(crate) size_bytes: u64,
}

/// The entries of an archive in their order, up to the first error.
#[derive(Debug)]
pub(crate) struct Entries<R> {
    archive: R,
    /// Where the next header is.
    at: u64,
    length_bytes: u64,
    is_over: bool,
}

/// What extended headers say of the entry that follows them.
#[derive(Debug, Default)]
struct Extension {
    name: Option<String>,
    link: Option<String>,
    size_bytes: Option<u64>,
}

impl<R: Read + Seek> Entries<R> {
    /// Of the archive that `archive` is from its beginning to its end.
    pub(crate) fn of(mut archive: R) -> io::Result<Self> {
        let length_bytes = archive.seek(SeekFrom::End(0))?;
        Ok(Self {
            archive,
            at: 0,
            length_bytes,
            is_over: false,
        })
    }

    /// The next entry with all that is said of it; None at the end.
    fn read_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut extension = Extension::default();
        while let Some(header) = self.read_header()? {
            let written = number(&header[124..136]).ok_or(ArchiveError::NoHeader(self.at))?;
            match header[156] {
                b'L' => extension.name = Some(c_text(&self.read_extension(written)?)),
                b'K' => extension.link = Some(c_text(&self.read_extension(written)?)),
                b'x' => extension.read_pax(&self.read_extension(written)?),
                // Of the archive as a whole: comments, of which none concerns us.
                b'g' => drop(self.read_extension(written)?),
                type_flag => {
                    let name = extension.name.unwrap_or_else(|| ustar_name(&header));
                    let size_bytes = extension.size_bytes.unwrap_or(written);
                    let offset = self.skip(size_bytes, &name)?;
                    let link = extension.link;
                    let link = || link.unwrap_or_else(|| c_text(&header[157..257]));
                    let kind = match type_flag {
                        // Before POSIX, a directory was a file whose name ends so.
                        0 | b'0' | b'7' if name.ends_with('/') => Kind::Directory,
                        0 | b'0' | b'7' => Kind::File,
                        b'1' => Kind::HardLink(link()),
                        b'2' => Kind::SymbolicLink(link()),
                        b'5' => Kind::Directory,
                        _ => Kind::Other,
                    };
                    return Ok(Some(Entry {
                        name,
                        kind,
                        offset,
                        size_bytes,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// The next header, and past it; None at the end of the archive, also where its last two blocks are missing.
    fn read_header(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        if self.at == self.length_bytes {
            return Ok(None);
        }
        let no_header = ArchiveError::NoHeader(self.at);
        if self.length_bytes - self.at < BLOCK as u64 {
            return Err(no_header);
        }
        let mut header = [0; BLOCK];
        self.archive.seek(SeekFrom::Start(self.at))?;
        self.archive.read_exact(&mut header)?;
        if header == [0; BLOCK] {
            return Ok(None);
        }
        if number(&header[148..156]) != Some(checksum(&header)) {
            return Err(no_header);
        }
        self.at += BLOCK as u64;
        Ok(Some(header))
    }

    /// Reads the content of an extended header, and past it.
    fn read_extension(&mut self, size_bytes: u64) -> Result<Vec<u8>, ArchiveError> {
        if size_bytes > MAX_EXTENSION_BYTES {
            return Err(ArchiveError::TooLong {
                path: "extended header".to_owned(),
                limit_bytes: MAX_EXTENSION_BYTES,
            });
        }
        let offset = self.skip(size_bytes, "extended header")?;
        let mut content = Vec::new();
        self.archive.seek(SeekFrom::Start(offset))?;
        Read::by_ref(&mut self.archive)
            .take(size_bytes)
            .read_to_end(&mut content)?;
        Ok(content)
    }

    /// Goes past a content; tells where it began.
    fn skip(&mut self, size_bytes: u64, name: &str) -> Result<u64, ArchiveError> {
        let offset = self.at;
        let end = offset
            .checked_add(size_bytes)
            .filter(|&end| end <= self.length_bytes)
            .ok_or_else(|| ArchiveError::CutShort(name.to_owned()))?;
        // What fills the last block may be missing: nothing of it is needed.
        self.at = end
            .saturating_add(rest_of_block(size_bytes))
            .min(self.length_bytes);
        Ok(offset)
    }
}

impl<R: Read + Seek> Iterator for Entries<R> {
    type Item = Result<Entry, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let entry = self.read_entry().transpose();
        self.is_over = !matches!(entry, Some(Ok(_)));
        entry
    }
}

impl Extension {
    /// Takes what matters of pax records: each is `LENGTH KEYWORD=VALUE` and a line feed, all of which LENGTH counts.
    fn read_pax(&mut self, mut records: &[u8]) {
        while let Some(blank) = records.iter().position(|&byte| byte == b' ') {
            let length = std::str::from_utf8(&records[..blank]).ok();
            let length = length.and_then(|digits| digits.parse::<usize>().ok());
            let Some(record) = length.and_then(|length| records.get(blank + 1..length)) else {
                return;
            };
            records = &records[blank + 1 + record.len()..];
            let record = String::from_utf8_lossy(record);
            match record.trim_end_matches('\n').split_once('=') {
                Some(("path", value)) => self.name = Some(value.to_owned()),
                Some(("linkpath", value)) => self.link = Some(value.to_owned()),
                Some(("size", value)) => self.size_bytes = value.parse().ok().or(self.size_bytes),
                _ => {}
            }
        }
    }
}

/// The name in the header itself, with its prefix where it is POSIX's form.
fn ustar_name(header: &[u8; BLOCK]) -> String {
    let name = c_text(&header[..100]);
    // GNU's own form ends the magic with blanks and has other things in the prefix's place.
    if header[257..263] == *b"ustar\0" && header[345] != 0 {
        return format!("{}/{name}", c_text(&header[345..500]));
    }
    name
}

/// The text before the first zero byte.
fn c_text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
}

/// A number in octal digits, or in GNU's base-256; None where it is neither, negative, or beyond 64 bits.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len().checked_sub(8)?);
        let is_small = matches!(high, [0x80, rest @ ..] if rest.iter().all(|&byte| byte == 0));
        return is_small.then(|| {
            low.iter()
                .fold(0, |sum: u64, &byte| sum << 8 | u64::from(byte))
        });
    }
    let digits = std::str::from_utf8(field).ok()?;
    let digits = digits.trim_matches([' ', '\0']);
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 8).ok()
}

/// The sum of a header's bytes, its own field counted as blanks.
fn checksum(header: &[u8; BLOCK]) -> u64 {
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    sum(header) - sum(&header[148..156]) + 8 * u64::from(b' ')
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::super::{END, directory, file, padding};
    use super::*;

    fn entries(archive: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
        Entries::of(Cursor::new(archive)).unwrap().collect()
    }

    fn raw(type_flag: u8, name: &str, content: &[u8]) -> Vec<u8> {
        let mut header = file(name, content.len() as u64, 0o644);
        header[156] = type_flag;
        let sum = format!("{:06o}\0 ", checksum(&header));
        header[148..156].copy_from_slice(sum.as_bytes());
        [&header[..], content, padding(content.len() as u64)].concat()
    }

    #[test]
    fn reads_what_was_written() {
        let archive = [
            &directory("a/", 0o755)[..],
            &file("a/b", 5, 0o555),
            b"hello",
            padding(5),
            &END,
        ]
        .concat();
        let read = entries(&archive).unwrap();
        assert_eq!(
            (read[0].name.as_str(), &read[0].kind),
            ("a/", &Kind::Directory)
        );
        assert_eq!((read[1].name.as_str(), &read[1].kind), ("a/b", &Kind::File));
        assert_eq!((read[1].offset, read[1].size_bytes), (1024, 5));
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn reads_long_names_of_both_kinds() {
        let long = "x/".repeat(100) + "y";
        let record = format!(" path={long}\n");
        let pax = format!("{}{record}", record.len() + 3);
        for extension in [
            raw(b'L', "l", long.as_bytes()),
            raw(b'x', "p", pax.as_bytes()),
        ] {
            let archive = [extension, raw(b'0', "short", b"z")].concat();
            let read = entries(&archive).unwrap();
            assert_eq!(read.len(), 1);
            assert_eq!(
                (read[0].name.as_str(), read[0].size_bytes),
                (long.as_str(), 1)
            );
        }
    }

    #[test]
    fn lengths_beyond_octal_are_read_as_they_are_written() {
        let size = 9 << 30;
        assert_eq!(number(&file("big", size, 0o644)[124..136]), Some(size));
        assert_eq!(number(&[0xff; 12]), None);
    }

    #[test]
    fn broken_archives_are_errors() {
        let whole = raw(b'0', "a", &[b'z'; 600]);
        assert!(matches!(entries(&whole[..900]), Err(ArchiveError::CutShort(name)) if name == "a"));
        assert!(matches!(
            entries(&whole[..100]),
            Err(ArchiveError::NoHeader(0))
        ));
        assert!(matches!(entries(&[7; 512]), Err(ArchiveError::NoHeader(0))));
        let giant = file("extension", MAX_EXTENSION_BYTES + 1, 0);
        let mut giant = raw(b'x', "extension", &giant);
        giant[124..136].copy_from_slice(b"77777777777\0");
        let sum = checksum(giant[..512].try_into().unwrap());
        giant[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(matches!(entries(&giant), Err(ArchiveError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>, flag: u8, size in 0..2000_u64) {
            let _ = entries(&bytes);
            let mut archive = raw(flag, "n", &bytes);
            archive.extend(&bytes);
            for entry in Entries::of(Cursor::new(&archive)).unwrap().flatten() {
                prop_assert!(entry.offset + entry.size_bytes <= archive.len() as u64);
            }
            prop_assert_eq!((size + padding(size).len() as u64) % 512, 0);
        }
    }
}
