//! The name of a snapshot: a hash over all that it says.
//!
//! A snapshot of a thousand processes is a third of a megabyte as JSON, and is named with every look. Writing that cost
//! more than hashing it, so processes go into the hash as they are: numbers in eight bytes, little-endian, texts after
//! their length. What little there is besides goes in as JSON.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use diogenes_proto::{Process, Snapshot, Untrusted};
use sha2::{Digest, Sha256};

/// SHA-256 in hex over what the snapshot says, by which it can be named. The same snapshot has the same hash everywhere.
#[must_use]
pub fn hash(snapshot: &Snapshot) -> String {
    let mut sink = BufWriter::with_capacity(1024, Sink(Sha256::new()));
    // The sink takes everything, and a snapshot holds no map with keys that JSON cannot have.
    let _ = write(&mut sink, snapshot);
    let Ok(Sink(hasher)) = sink.into_inner() else {
        return String::new();
    };
    let digest = hasher.finalize();
    digest
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

type Out = BufWriter<Sink>;

struct Sink(Sha256);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing can be forgotten: a field that is added to either type does not compile here.
fn write(out: &mut Out, snapshot: &Snapshot) -> io::Result<()> {
    let Snapshot {
        taken_at,
        processes,
        listeners,
        resources,
        gaps,
    } = snapshot;
    number(out, taken_at.as_unix_ms())?;
    list(out, processes, process)?;
    serde_json::to_writer(out, &(listeners, resources, gaps))?;
    Ok(())
}

fn process(out: &mut Out, process: &Process) -> io::Result<()> {
    let Process {
        container_pid,
        host_pid,
        parent_pid,
        group,
        uid,
        started_at,
        name,
        command,
        executable,
        state,
        threads,
        cpu_ms,
        rss_bytes,
        fds,
        fd_limit,
        frameworks,
    } = process;
    // In one piece: there are many of them.
    let fixed = [
        u64::from(*container_pid),
        u64::from(host_pid.is_some()),
        u64::from(host_pid.unwrap_or(0)),
        u64::from(*parent_pid),
        u64::from(group.is_some()),
        u64::from(group.unwrap_or(0)),
        u64::from(*uid),
        started_at.as_unix_ms(),
        u64::from(*state),
        u64::from(*threads),
        *cpu_ms,
        *rss_bytes,
        u64::from(fds.is_some()),
        fds.unwrap_or(0),
        u64::from(fd_limit.is_some()),
        fd_limit.unwrap_or(0),
    ];
    out.write_all(fixed.map(u64::to_le_bytes).as_flattened())?;
    let untrusted = |out: &mut Out, one: &Untrusted| text(out, one.as_raw());
    untrusted(out, name)?;
    list(out, command, untrusted)?;
    list(out, executable.as_slice(), untrusted)?;
    list(out, frameworks, |out, one| text(out, one))
}

/// The number of items, and each.
fn list<T>(
    out: &mut Out,
    items: &[T],
    each: impl Fn(&mut Out, &T) -> io::Result<()>,
) -> io::Result<()> {
    length(out, items.len())?;
    items.iter().try_for_each(|item| each(out, item))
}

fn text(out: &mut Out, text: &str) -> io::Result<()> {
    length(out, text.len())?;
    out.write_all(text.as_bytes())
}

fn length(out: &mut Out, length: usize) -> io::Result<()> {
    number(out, u64::try_from(length).unwrap_or(u64::MAX))
}

fn number(out: &mut Out, number: u64) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_the_content() {
        let empty = Snapshot::default();
        // printf '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0[[],{},[]]' | sha256sum
        assert_eq!(
            hash(&empty),
            "b1eea6f731ed26af40655fe59265f112994f48ed26bdab8e03017dee8c2ca0c0"
        );
        let mut other = empty.clone();
        other.gaps.push("x".into());
        assert_ne!(hash(&other), hash(&empty));
    }

    #[test]
    fn what_moves_from_one_place_to_the_next_is_another_content() {
        let of = |command: &[&str], executable: Option<&str>, fds| {
            let process = Process {
                command: command.iter().map(|&word| word.into()).collect(),
                executable: executable.map(Into::into),
                fds,
                ..Process::default()
            };
            hash(&Snapshot {
                processes: vec![process],
                ..Snapshot::default()
            })
        };
        let mut hashes = [
            of(&["a", "b"], None, None),
            of(&["ab"], None, None),
            of(&["a"], Some("b"), None),
            of(&["a", "b"], None, Some(0)),
            of(&["a", "b"], None, Some(1)),
        ];
        hashes.sort_unstable();
        assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
