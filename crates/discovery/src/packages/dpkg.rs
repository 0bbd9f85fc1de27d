//! Debian's packages, and what is left of them in images without a package manager.
//!
//! `info/NAME.list` names a package's files, `status` its version (dpkg-query(1), deb-version(7)). Where
//! an image was made by taking packages apart (distroless), `status.d/NAME` is the package's own stanza,
//! and `status.d/NAME.md5sums` names its files.

use std::path::Path;

use super::{entries, plain};
use crate::regular;

const INFO: &str = "/var/lib/dpkg/info";
const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_D: &str = "/var/lib/dpkg/status.d";
/// Most that is read of one list of files, and of the status of all packages, in bytes.
const LIST_BYTES: u64 = 4 << 20;
const STATUS_BYTES: u64 = 16 << 20;
/// Most that is read of all lists, in bytes: a desktop's are not half of it.
const ALL_LISTS_BYTES: usize = 64 << 20;

/// The upstream version of the package that `file` belongs to.
pub(super) fn version(root: &Path, file: &str) -> Option<String> {
    let version = installed(root, file).or_else(|| taken_apart(root, file))?;
    plain(upstream(&version))
}

fn installed(root: &Path, file: &str) -> Option<String> {
    let list = owner(root, INFO, ".list", file, |line| line)?;
    // Of packages that may be there for several architectures: "libc6:amd64".
    let package = list.split(':').next()?;
    let status = regular::read(root, STATUS.as_ref(), STATUS_BYTES)?;
    let status = String::from_utf8_lossy(&status);
    status
        .split("\n\n")
        .find(|stanza| field(stanza, "Package") == Some(package))
        .and_then(|stanza| field(stanza, "Version"))
        .map(str::to_owned)
}

fn taken_apart(root: &Path, file: &str) -> Option<String> {
    // "<sum>  usr/sbin/nginx"
    let path = |line: &[u8]| line.iter().position(|&b| b == b' ').map(|at| at + 2);
    let package = owner(root, STATUS_D, ".md5sums", file, |line| {
        path(line).and_then(|at| line.get(at..)).unwrap_or_default()
    })?;
    let stanza = regular::read(root, &Path::new(STATUS_D).join(package), LIST_BYTES)?;
    field(&String::from_utf8_lossy(&stanza), "Version").map(str::to_owned)
}

/// The name, without its ending, of the list in `directory` that has `file` in one of its lines.
fn owner(
    root: &Path,
    directory: &str,
    ending: &str,
    file: &str,
    path: impl Fn(&[u8]) -> &[u8],
) -> Option<String> {
    // Where /bin is a link to /usr/bin, packages may still name their files below /bin.
    let names = [Some(file), file.strip_prefix("/usr")].map(|name| name.unwrap_or(file));
    let names = names.map(|name| name.trim_start_matches('/').as_bytes());
    let mut left = ALL_LISTS_BYTES;
    entries(root, directory.as_ref()).find_map(|list| {
        let package = list.strip_suffix(ending)?;
        let limit = LIST_BYTES.min(left as u64);
        let content = regular::read(root, &Path::new(directory).join(&list), limit)?;
        left = left.saturating_sub(content.len());
        content
            .split(|&b| b == b'\n')
            .map(&path)
            .any(|line| names.contains(&line.strip_prefix(b"/").unwrap_or(line)))
            .then(|| package.to_owned())
    })
}

/// The value of a field of a stanza (deb822(5)); what belongs to the field before begins with a blank.
fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = stanza.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// `5:7.0.15-1~deb12u7` is Debian's first packaging of 7.0.15; `+dfsg` and `.ds4` tell that it left something out, and
/// `3.5+really3.4` that it went back to 3.4. Source: Debian Developer's Reference, "Repackaged upstream source";
/// Debian Policy §5.6.12.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(first, _)| first);
    let version = version
        .split_once("+really")
        .map_or(version, |(_, real)| real);
    let repacked = ["+dfsg", "~dfsg", ".dfsg", "+ds", "~ds", ".ds"];
    let ends = repacked.iter().filter_map(|mark| version.find(mark));
    &version[..ends.min().unwrap_or(version.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_versions() {
        for (version, expected) in [
            ("5:7.0.15-1~deb12u7", "7.0.15"),
            ("1.22.1-9+deb12u1", "1.22.1"),
            ("10.1.6-1+deb12u2", "10.1.6"),
            ("2.2.2-3", "2.2.2"),
            ("18.19.0+dfsg-6~deb12u2", "18.19.0"),
            ("1:10.11.6-0+deb12u1", "10.11.6"),
            ("3.0.11.33637.ds4-2+deb12u1", "3.0.11.33637"),
            ("3.5+really3.4-3", "3.4"),
            ("3.0", "3.0"),
        ] {
            assert_eq!(upstream(version), expected);
        }
    }
}
