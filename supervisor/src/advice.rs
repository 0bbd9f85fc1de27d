//! What mends a directory of ours that cannot be used: the second half of an error message.

use std::io::ErrorKind;

/// Advice for an error in the directory that `flag` gives; empty where none is known, else beginning with `; `.
pub(crate) fn directory(kind: ErrorKind, flag: &str) -> String {
    match kind {
        ErrorKind::PermissionDenied => {
            format!("; run as root, or give a directory of your own with {flag}")
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!(
                "; its file system is read-only, give a directory that can be written with {flag}"
            )
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("; free some space there, or give another directory with {flag}")
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            format!(
                "; a file is in its place: move that away, or give another directory with {flag}"
            )
        }
        _ => String::new(),
    }
}
