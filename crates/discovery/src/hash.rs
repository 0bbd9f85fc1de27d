//! The name of a snapshot: a hash over all that it says.
//!
//! It need not withstand anybody: whoever brings two of a container's snapshots to one name is in that container, and has
//! the newer one told as the older. So it is the standard library's hash and not SHA-256, which alone would take 20 KB of
//! the agent's megabyte.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use diogenes_proto::Snapshot;

/// 16 hexadecimal digits over what the snapshot says, by which it can be named. The same snapshot has the same hash in
/// every agent of one build.
#[must_use]
pub fn hash(snapshot: &Snapshot) -> String {
    // Nothing can be forgotten: a field that is added does not compile here.
    let Snapshot {
        taken_at,
        processes,
        listeners,
        resources,
        gaps,
    } = snapshot;
    let mut hasher = DefaultHasher::new();
    (taken_at, processes, listeners, gaps).hash(&mut hasher);
    // They hold fractions, which have no hash; there are few of them.
    let resources = serde_json::to_vec(resources).unwrap_or_default();
    resources.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use diogenes_proto::Process;

    use super::*;

    #[test]
    fn a_hash_names_the_content() {
        let empty = Snapshot::default();
        assert_eq!(hash(&empty), hash(&empty.clone()));
        assert_eq!(hash(&empty).len(), 16);
        let (mut gap, mut busy) = (empty.clone(), empty.clone());
        gap.gaps.push("x".into());
        busy.resources.cpu_percent = Some(0.5);
        assert_ne!(hash(&gap), hash(&empty));
        assert_ne!(hash(&busy), hash(&empty));
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
