//! Debian's own programs, as tests need them beside ours.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// Where what was fetched for tests stays: `diogenes` below the user's cache folder, as the scripts have it too.
///
/// # Panics
/// Where the user has no home.
#[track_caller]
#[must_use]
pub fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.expect("a cache folder").join("diogenes")
}

/// The folder with the files of a Debian package, unpacked into the cache folder and not installed.
///
/// # Panics
/// Where the package cannot be had.
#[track_caller]
#[must_use]
pub fn debian_package(package: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let all = cache().join("debian");
    let folder = all.join(package);
    if !folder.exists() {
        std::fs::create_dir_all(&all).expect("a cache folder");
        // Other test processes may unpack at the same time, each into a folder of its own: whoever is first, wins.
        let script = format!(
            "set -e; work=$(mktemp -d -p '{all}'); cd \"$work\"; \
             apt-get download -q {package} || {{ apt-get update -q; apt-get download -q {package}; }}; \
             dpkg-deb -x {package}_*.deb files; mv -T files '{folder}' || [ -d '{folder}' ]; rm -r \"$work\"",
            all = all.display(),
            folder = folder.display()
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("sh");
        assert!(
            output.status.success(),
            "Debian's {package} cannot be had: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    folder
}
