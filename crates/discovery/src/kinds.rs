//! Which processes of a crowd are alike.
//!
//! A thousand processes are rarely a thousand programs: most are workers that one parent started with one command line.
//! What was worked out for the first of a kind need not be worked out for the others, and where the first holds no
//! listener, the others rarely do.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use diogenes_proto::{Process, Untrusted};

/// A kind, by a hash.
pub(crate) type Kind = u64;

/// The kinds that were met in one scan, ascending.
#[derive(Debug, Default)]
pub(crate) struct Kinds(Vec<(Kind, CommandLine)>);

/// A command line as it is told, and whether part of it was left out.
pub(crate) type CommandLine = (Vec<Untrusted>, bool);

impl Kinds {
    /// The kind of a process, its command line, which `told` makes of the bytes that the kernel has, and whether it is the
    /// first of its kind. Who makes two kinds look like one by a collision brings about no more than that one of
    /// them is told as the other.
    pub(crate) fn meet(
        &mut self,
        process: &Process,
        bytes: &[u8],
        told: impl FnOnce() -> CommandLine,
    ) -> (Kind, CommandLine, bool) {
        let mut hasher = DefaultHasher::new();
        (process.parent_pid, process.uid, &process.name, bytes).hash(&mut hasher);
        let kind = hasher.finish();
        match self.0.binary_search_by_key(&kind, |known| known.0) {
            Ok(place) => (kind, self.0[place].1.clone(), false),
            Err(place) => {
                let command_line = told();
                self.0.insert(place, (kind, command_line.clone()));
                (kind, command_line, true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_are_children_of_one_parent_and_user_with_one_command_line() {
        let mut kinds = Kinds::default();
        let mut meet = |parent_pid, uid, command: &str| {
            let process = Process {
                parent_pid,
                uid,
                ..Process::default()
            };
            let told = || (vec![command.into()], false);
            let (_, (words, _), is_first) = kinds.meet(&process, command.as_bytes(), told);
            assert_eq!(words[0].as_raw(), command);
            is_first
        };
        assert!(meet(1, 33, "worker"));
        assert!(!meet(1, 33, "worker"));
        assert!(meet(2, 33, "worker") && meet(1, 0, "worker") && meet(1, 33, "master"));
    }
}
