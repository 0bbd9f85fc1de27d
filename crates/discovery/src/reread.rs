//! A small file of the container, read again only when it has changed.
//!
//! To look may hang for ever where a volume is dead: call this on a thread that can be given up ([`crate::reader`]).

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::regular;

/// By what a file that has changed is told from what it was: the file itself, when it was changed, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
    bytes: u64,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The same as before.
    Same,
    /// Nothing.
    Nothing,
    /// A file, with the beginning of what is in it.
    File(Stamp, Vec<u8>),
    /// Something that is not read, by what it is told apart, and why.
    Unreadable(Stamp, &'static str),
}

/// Looks at a path below `root`, and reads at most `limit` bytes of a file that is not the one `known`. None is known
/// where nothing was there.
#[must_use]
pub fn look(root: &Path, path: &Path, known: Option<Stamp>, limit: u64) -> Found {
    let Ok(there) = std::fs::symlink_metadata(regular::below(root, path)) else {
        return match known {
            None => Found::Same,
            Some(_) => Found::Nothing,
        };
    };
    let stamp = Stamp {
        file: (there.dev(), there.ino()),
        changed: (there.ctime(), there.ctime_nsec()),
        bytes: there.len(),
    };
    if known == Some(stamp) {
        return Found::Same;
    }
    if !there.is_file() {
        return Found::Unreadable(
            stamp,
            "it is no regular file, and not read; put one in its place",
        );
    }
    match regular::read(root, path, limit) {
        Some(bytes) => Found::File(stamp, bytes),
        None => Found::Unreadable(
            stamp,
            "it cannot be read by the companion; let everybody read it: chmod a+r",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::regular::tree;

    #[test]
    fn a_file_is_read_when_it_has_changed_and_only_then() {
        let root = tree(&[("etc/x.json", "one")]);
        let path = Path::new("/etc/x.json");
        let look = |known| look(root.path(), path, known, 5);
        let Found::File(first, bytes) = look(None) else {
            panic!("a file")
        };
        assert_eq!(bytes, b"one");
        assert_eq!(look(Some(first)), Found::Same);
        fs::write(root.path().join("etc/x.json"), "another").unwrap();
        let Found::File(second, bytes) = look(Some(first)) else {
            panic!("another file")
        };
        assert_eq!(bytes, b"anoth", "no more than its limit");
        fs::remove_file(root.path().join("etc/x.json")).unwrap();
        assert_eq!(look(Some(second)), Found::Nothing);
        assert_eq!(look(None), Found::Same);
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let root = tree(&[("secret", "x"), ("etc/x", "")]);
        let path = root.path().join("etc/x.json");
        std::os::unix::fs::symlink(root.path().join("secret"), &path).unwrap();
        let look = |known| look(root.path(), Path::new("/etc/x.json"), known, 5);
        let Found::Unreadable(link, why) = look(None) else {
            panic!("a link")
        };
        assert!(why.contains("no regular file"));
        assert_eq!(look(Some(link)), Found::Same);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(look(Some(link)), Found::Unreadable(..)));
    }
}
