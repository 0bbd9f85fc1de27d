//! Ruby's gems: a file `NAME-VERSION.gemspec` in a directory of specifications.
//!
//! Source: RubyGems' `Gem.default_specifications_dir` and `Gem.path`; Debian's, as `gem environment` prints them.

use std::path::{Path, PathBuf};

use super::{architectures, entries, plain};

/// Below these directories each Ruby has its own gems: `3.1.0/specifications`.
const GEMS: [&str; 5] = [
    "/usr/local/bundle/ruby",
    "/var/lib/gems",
    "/usr/local/lib/ruby/gems",
    "/usr/lib/ruby/gems",
    "/usr/share/rubygems-integration",
];
/// Debian's compiled ones are in here, below the folder of the architecture: `/usr/lib/x86_64-linux-gnu`.
const COMPILED: &str = "rubygems-integration";
/// Where the official images keep them.
const BUNDLE: &str = "/usr/local/bundle";
/// Most directories that are looked into.
const MAX_DIRECTORIES: usize = 32;

/// The version of a gem.
pub(super) fn version(root: &Path, name: &str) -> Option<String> {
    let compiled = architectures(root).map(|libraries| libraries.join(COMPILED));
    let rubies = GEMS
        .iter()
        .map(PathBuf::from)
        .chain(compiled)
        .flat_map(|gems| entries(root, &gems).map(move |ruby| gems.join(ruby)));
    std::iter::once(PathBuf::from(BUNDLE))
        .chain(rubies)
        .take(MAX_DIRECTORIES)
        .flat_map(|ruby| entries(root, &ruby.join("specifications")))
        .find_map(|entry| {
            let version = entry.strip_suffix(".gemspec")?.strip_prefix(name)?;
            plain(version.strip_prefix('-')?)
        })
}
