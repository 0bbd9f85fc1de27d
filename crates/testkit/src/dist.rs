//! The programs under test, as users get them.

use std::path::{Path, PathBuf};

/// The built program `dist/<name>`: `diogenes`, `diogenes-agent`, `test/testkit-listener`.
///
/// # Panics
/// Where it has not been built.
#[track_caller]
#[must_use]
pub fn dist(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../dist")
        .join(name);
    path.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}: run `make build build-test`", path.display()))
}
