//! What there is in a container, seen from its inside: processes, listening sockets with their owners, and
//! resources, gathered into one [`Snapshot`].
//!
//! ```text
//! /proc/PID/*  ─► processes ─┬─► frameworks (reads the application's source, on a thread of its own)
//!                            ├─► owners ◄── listeners ◄─ sock_diag, else /proc/net/*
//! /proc/1/{cgroup,mountinfo} ─► resources ◄─ cgroup v1, v2
//!                            └────────────► Snapshot
//! ```
//!
//! [`Scanner`] keeps what does not change between two scans, so that a scan reads little more than one
//! small file a process. What comes out of a container is bounded in size and number; what was left out or
//! could not be read is said in the snapshot's `gaps`. [`redact`] takes secrets out of command lines
//! before anything else sees them. [`logs`] finds and reads the files that the processes log to, when asked, and [`packages`]
//! what the installed packages tell of a program.
//! [`identity`] is for the supervisor: which container a process is in, seen from outside.

mod disks;
mod frameworks;
pub mod identity;
mod listeners;
pub mod logs;
mod membership;
mod owners;
pub mod packages;
mod processes;
mod procfs;
pub mod reader;
pub mod redact;
mod regular;
mod resources;
mod scanner;
mod tree;

pub use scanner::{Scanner, Scope};

use std::fmt::Write as _;
use std::io;

use diogenes_proto::Snapshot;
use sha2::{Digest, Sha256};

/// SHA-256 in hex over the snapshot's JSON, by which the snapshot can be named. The same snapshot has the
/// same hash everywhere: fields are written in the order of their declaration.
#[must_use]
pub fn hash(snapshot: &Snapshot) -> String {
    struct Sink(Sha256);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = io::BufWriter::with_capacity(512, Sink(Sha256::new()));
    // A snapshot holds no map with keys that JSON cannot have, and the sink takes everything.
    let _ = serde_json::to_writer(&mut sink, snapshot);
    let Ok(Sink(hasher)) = sink.into_inner() else {
        return String::new();
    };
    hasher
        .finalize()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_the_content() {
        let empty = Snapshot::default();
        // printf '…' | sha256sum of the JSON line below.
        let json = serde_json::to_string(&empty).unwrap();
        assert_eq!(
            json,
            r#"{"taken_at":"1970-01-01T00:00:00.000Z","processes":[],"listeners":[],"resources":{}}"#
        );
        assert_eq!(
            hash(&empty),
            "0e2122da241badad77e9d573c0cea1bb91736c31bfecf945bea184e08662846c"
        );
        let mut other = empty.clone();
        other.gaps.push("x".into());
        assert_ne!(hash(&other), hash(&empty));
    }
}
