//! Erlang's applications: a directory `NAME-VERSION` below the libraries of an installation or a release.
//!
//! Sources: OTP Design Principles, "Applications", "Directory Structure for a Released System"; code(3erl), "Code
//! Path", `ERL_LIBS`, which Debian's programs set to the folder of their architecture.

use std::path::{Path, PathBuf};

use super::{architectures, entries, plain};

/// Most directories that are looked into.
const MAX_DIRECTORIES: usize = 8;

/// The version of an application, from below `roots`, else from where systems keep it; None where several are
/// installed, of which any may be loaded.
pub(super) fn version(root: &Path, roots: &[PathBuf], name: &str) -> Option<String> {
    roots
        .iter()
        .map(|own| own.join("lib"))
        .chain(architectures(root))
        .take(MAX_DIRECTORIES)
        .find_map(|libraries| installed(root, &libraries, name))
}

/// The one version in a directory; two are one where the longer only bears its packager's mark.
fn installed(root: &Path, libraries: &Path, name: &str) -> Option<String> {
    let mut shortest: Option<String> = None;
    let versions = entries(root, libraries)
        .filter_map(|entry| plain(entry.strip_prefix(name)?.strip_prefix('-')?));
    for version in versions {
        shortest = match shortest {
            Some(known) if version.starts_with(&known) => Some(known),
            Some(known) if !known.starts_with(&version) => return None,
            _ => Some(version),
        };
    }
    shortest
}
