//! Alpine's packages: one file with all of them, and the files of each.
//!
//! A stanza has `P:name`, `V:version`, then `F:directory` followed by `R:file` for each file in it. Source:
//! Alpine's wiki, "Apk spec", "Installed database V2".

use std::path::Path;

use super::plain;
use crate::regular;

const INSTALLED: &str = "/lib/apk/db/installed";
/// Most that is read of it, in bytes.
const BYTES: u64 = 32 << 20;

/// The upstream version of the package that `file` belongs to.
pub(super) fn version(root: &Path, file: &str) -> Option<String> {
    let installed = regular::read(root, INSTALLED.as_ref(), BYTES)?;
    let (directory, name) = file.trim_start_matches('/').rsplit_once('/')?;
    let (mut version, mut is_there) = (&b""[..], false);
    for line in installed.split(|&b| b == b'\n') {
        match line.split_at_checked(2) {
            Some((b"V:", value)) => version = value,
            Some((b"F:", value)) => is_there = value == directory.as_bytes(),
            Some((b"R:", value)) if is_there && value == name.as_bytes() => {
                let version = std::str::from_utf8(version).ok()?;
                // "-r2": Alpine's second change to its packaging.
                return plain(
                    version
                        .rsplit_once("-r")
                        .map_or(version, |(first, _)| first),
                );
            }
            _ => {}
        }
    }
    None
}
