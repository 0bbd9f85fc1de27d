//! Node's packages: `package.json` in the first `node_modules` on the way up from the program.
//!
//! Sources: Node.js documentation, "Loading from node_modules folders"; npm documentation, "package.json".

use std::path::{Path, PathBuf};

use super::plain;
use crate::regular;

/// Where Debian keeps packages, and where `npm install --global` puts them.
const GLOBAL: [&str; 3] = [
    "/usr/share/nodejs",
    "/usr/lib/node_modules",
    "/usr/local/lib/node_modules",
];
/// Most that is read of a `package.json`, in bytes.
const BYTES: u64 = 64 * 1024;
/// Most directories on the way up.
const MAX_DEPTH: usize = 16;

/// The version of a package, from where `beside` would load it.
pub(super) fn version(root: &Path, beside: &[PathBuf], name: &str) -> Option<String> {
    let upwards = beside
        .iter()
        .flat_map(|file| file.ancestors().skip(1).take(MAX_DEPTH))
        .map(|directory| directory.join("node_modules"));
    upwards
        .chain(GLOBAL.map(PathBuf::from))
        .find_map(|modules| {
            let path = modules.join(name).join("package.json");
            let json = regular::read(root, &path, BYTES)?;
            plain(&version_in(&String::from_utf8_lossy(&json))?)
        })
}

/// The first string after a key `"version"`: a whole reader of JSON would be for this alone.
fn version_in(json: &str) -> Option<String> {
    json.split("\"version\"").skip(1).find_map(|after| {
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        let (version, _) = value.strip_prefix('"')?.split_once('"')?;
        Some(version.to_owned())
    })
}
