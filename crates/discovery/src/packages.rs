//! What the packages that are installed in a container tell of a program: its version.
//!
//! ```text
//! Origin ─┬─ a library of its language? ─► dist-info, package.json, gemspec ─┐
//!         └─ a file of a package? ───────► dpkg, apk ────────────────────────┴─► version
//! ```
//!
//! All of this is said by files of the container, and reading them may hang: call it on a thread that can be
//! given up. What is read is bounded in number and size.

mod apk;
mod dpkg;
mod erlang;
mod gem;
mod node;
mod python;

use std::path::{Path, PathBuf};

use diogenes_proto::{Language, Origin, Untrusted};

use crate::regular;

/// Longest version that is believed, in bytes.
const MAX_VERSION: usize = 40;
/// Most entries of one directory that are looked at.
const MAX_ENTRIES: usize = 8192;

/// The version of a program; None where no package tells.
#[must_use]
pub fn version(root: &Path, origin: &Origin) -> Option<Untrusted> {
    let beside = absolute(root, origin.container_pid, &origin.beside);
    let files = absolute(root, origin.container_pid, &origin.files);
    let libraries = origin.libraries.iter().map(Untrusted::as_raw);
    libraries
        .filter(|name| is_name(name))
        .find_map(|name| match origin.language? {
            Language::Python => python::version(root, &beside, name),
            Language::Node => node::version(root, &beside, name),
            Language::Ruby => gem::version(root, name),
            Language::Erlang => erlang::version(root, &beside, name),
        })
        .or_else(|| files.iter().find_map(|file| of_owner(root, file)))
        .map(Untrusted::from)
}

/// The version of the package that a file belongs to.
fn of_owner(root: &Path, file: &Path) -> Option<String> {
    let file = file.to_str().filter(|path| path.starts_with('/'))?;
    apk::version(root, file).or_else(|| dpkg::version(root, file))
}

/// Files as a process means them.
pub(crate) fn absolute(root: &Path, pid: u32, files: &[Untrusted]) -> Vec<PathBuf> {
    let directory = working_directory(root, pid);
    let files = files.iter().map(|file| directory.join(file.as_raw()));
    files.map(|file| lexical(&file)).collect()
}

/// Where the process is, for what it was told by a relative path. To ask the kernel never hangs.
fn working_directory(root: &Path, pid: u32) -> PathBuf {
    std::fs::read_link(root.join(format!("proc/{pid}/cwd"))).unwrap_or_else(|_| "/".into())
}

/// A path without `.` and `..`, taken as written.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Whether a name may become part of a path.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// A version as it may be shown: short, and of nothing but what versions are made of.
fn plain(version: &str) -> Option<String> {
    let is_plain = version.len() <= MAX_VERSION
        && version.starts_with(|c: char| c.is_ascii_digit())
        && version
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".+-_~".contains(&b));
    is_plain.then(|| version.to_owned())
}

/// The names in a directory, a bounded number of them; none where it cannot be read.
fn entries(root: &Path, directory: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(regular::below(root, directory));
    entries
        .into_iter()
        .flatten()
        .take(MAX_ENTRIES)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

/// The folders of the architectures that a system has libraries of: `/usr/lib/x86_64-linux-gnu`.
fn architectures(root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let system = Path::new("/usr/lib");
    entries(root, system)
        .filter(|name| name.contains("-linux-"))
        .map(|name| system.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regular::tree;

    fn origin(language: Option<Language>, libraries: &[&str], files: &[&str]) -> Origin {
        Origin {
            container_pid: 1,
            uid: 0,
            wants_version: true,
            language,
            libraries: libraries.iter().map(|&name| name.into()).collect(),
            beside: files.iter().map(|&file| file.into()).collect(),
            files: files.iter().map(|&file| file.into()).collect(),
        }
    }

    #[test]
    fn packages_of_every_kind_tell_a_version() {
        const STATUS: &str = "Package: redis\nVersion: 1\n\nPackage: redis-tools\nStatus: install ok installed\nVersion: 5:7.0.15-1~deb12u7\nDescription: x\n Version: 9\n";
        let root = tree(&[
            ("var/lib/dpkg/status", STATUS),
            (
                "var/lib/dpkg/info/redis.list",
                "/.\n/usr\n/usr/share/doc/redis\n",
            ),
            (
                "var/lib/dpkg/info/redis-tools:amd64.list",
                "/.\n/usr/bin/redis-check-rdb\n/bin/old\n",
            ),
            (
                "var/lib/dpkg/status.d/nginx",
                "Package: nginx\nVersion: 1.22.1-9+deb12u1\n",
            ),
            (
                "var/lib/dpkg/status.d/nginx.md5sums",
                "d41d8cd98f00b204e9800998ecf8427e  usr/sbin/nginx\n",
            ),
            (
                "lib/apk/db/installed",
                "C:Q1\nP:memcached\nV:1.6.21-r2\nF:usr/bin\nR:memcached\nZ:Q1\n\nP:other\nV:3\nF:bin\nR:other\n",
            ),
            (
                "venv/lib/python3.11/site-packages/FastAPI-0.92.0.dist-info/METADATA",
                "",
            ),
            ("usr/lib/python3/dist-packages/gunicorn-20.1.0.egg-info", ""),
            (
                "usr/lib/python3/dist-packages/flask_cors-9.dist-info/METADATA",
                "",
            ),
            (
                "srv/app/node_modules/express/package.json",
                "{\n \"name\": \"express\",\n \"version\" : \"4.18.2\"}",
            ),
            (
                "usr/share/rubygems-integration/all/specifications/puma-5.6.5.gemspec",
                "",
            ),
            (
                "usr/share/rubygems-integration/all/specifications/puma-tools-9.gemspec",
                "",
            ),
            (
                "usr/lib/x86_64-linux-gnu/rubygems-integration/3.1.0/specifications/bcrypt-3.1.18.gemspec",
                "",
            ),
            ("app/lib/shop-0.3.1/ebin/shop.app", ""),
            ("app/lib/shop_web-0.4.0/ebin/shop_web.app", ""),
            ("usr/lib/x86_64-linux-gnu/ejabberd-23.01/priv/x", ""),
            ("usr/lib/x86_64-linux-gnu/ejabberd-23.01-1/ebin/x", ""),
            ("usr/lib/erlang/lib/ssl-10.8/ebin/x", ""),
            ("usr/lib/erlang/lib/ssl-11.0/ebin/x", ""),
        ]);
        let (python, node, ruby) = (Language::Python, Language::Node, Language::Ruby);
        let erlang = Language::Erlang;
        for (origin, expected) in [
            (
                origin(None, &[], &["/usr/bin/redis-check-rdb"]),
                Some("7.0.15"),
            ),
            (origin(None, &[], &["/usr/bin/old"]), Some("7.0.15")),
            (origin(None, &[], &["/usr/sbin/nginx"]), Some("1.22.1")),
            (origin(None, &[], &["/usr/bin/memcached"]), Some("1.6.21")),
            (
                origin(None, &[], &["usr/bin/../bin/memcached"]),
                Some("1.6.21"),
            ),
            (origin(None, &[], &["/bin/other"]), Some("3")),
            (origin(None, &[], &["/usr/bin/unknown"]), None),
            (
                origin(Some(python), &["fastapi"], &["/venv/bin/uvicorn"]),
                Some("0.92.0"),
            ),
            (
                origin(Some(python), &["gunicorn"], &["/usr/bin/gunicorn"]),
                Some("20.1.0"),
            ),
            (origin(Some(python), &["flask"], &["/srv/app.py"]), None),
            (
                origin(Some(node), &["express"], &["/srv/app/lib/server.js"]),
                Some("4.18.2"),
            ),
            (
                origin(Some(node), &["../express"], &["/srv/app/lib/server.js"]),
                None,
            ),
            (origin(Some(ruby), &["puma"], &[]), Some("5.6.5")),
            (origin(Some(ruby), &["bcrypt"], &[]), Some("3.1.18")),
            (origin(Some(erlang), &["shop"], &["/app"]), Some("0.3.1")),
            (
                origin(Some(erlang), &["ejabberd"], &["/usr/lib/erlang"]),
                Some("23.01"),
            ),
            // Which of two is loaded, nobody can tell.
            (origin(Some(erlang), &["ssl"], &["/usr/lib/erlang"]), None),
        ] {
            let found = version(root.path(), &origin);
            assert_eq!(
                found.as_ref().map(Untrusted::as_raw),
                expected,
                "{origin:?}"
            );
        }
    }

    #[test]
    fn what_is_no_version_is_not_told() {
        for text in ["", "v1", "1 2", "1\u{1b}[2J", &"1".repeat(99)] {
            assert_eq!(plain(text), None, "{text:?}");
        }
    }
}
