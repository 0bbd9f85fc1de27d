//! Python's distributions: a directory or file named `NAME-VERSION.dist-info` or `.egg-info` beside the code.
//!
//! Sources: Python Packaging User Guide, "Recording installed projects" and "Names and normalization".

use std::path::{Path, PathBuf};

use super::{entries, plain};

/// Below these directories each Python has its own: `python3.11/site-packages`.
const LIBRARIES: [&str; 3] = ["/usr/local/lib", "/usr/lib", "/opt/venv/lib"];
const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];
/// Most directories that are looked into.
const MAX_DIRECTORIES: usize = 32;

/// The version of a distribution, from where `beside` would find it: the virtual environment of a script first.
pub(super) fn version(root: &Path, beside: &[PathBuf], name: &str) -> Option<String> {
    let mut directories = Vec::new();
    // /venv/bin/uvicorn belongs to /venv/lib.
    let own = beside
        .iter()
        .filter_map(|file| Some(file.parent()?.parent()?.join("lib")));
    for library in own.chain(LIBRARIES.map(PathBuf::from)) {
        for python in entries(root, &library).filter(|name| name.starts_with("python")) {
            directories.extend(PACKAGES.map(|packages| library.join(&python).join(packages)));
        }
    }
    directories
        .iter()
        .take(MAX_DIRECTORIES)
        .flat_map(|directory| entries(root, directory))
        .find_map(|entry| version_in(&entry, name))
}

/// The version in the name of what records that a distribution is installed.
fn version_in(entry: &str, name: &str) -> Option<String> {
    let record = entry
        .strip_suffix(".dist-info")
        .or_else(|| entry.strip_suffix(".egg-info"))?;
    let (recorded, rest) = record.split_once('-')?;
    let is_same = normal(recorded).eq(normal(name));
    // Debian's .egg-info tells for which Python: "gunicorn-20.1.0-py3.11".
    is_same
        .then(|| plain(rest.split('-').next().unwrap_or(rest)))
        .flatten()
}

/// A name as it is compared: lower case, and of `.`, `-` and `_` one.
fn normal(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes().map(|b| match b {
        b'.' | b'-' => b'_',
        b => b.to_ascii_lowercase(),
    })
}
