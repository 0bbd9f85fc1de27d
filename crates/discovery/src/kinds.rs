//! Which processes of a crowd are alike.
//!
//! A thousand processes are rarely a thousand programs: most are workers that one parent started with one command line.
//! What was worked out for the first of a kind need not be worked out for the others, and where the first holds no
//! listener, the others rarely do.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use diogenes_proto::{Process, Untrusted};

/// A kind, by a hash.
pub(crate) type Kind = u64;

/// What a process runs, as it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    /// None where it has none or cannot be read.
    pub(crate) executable: Option<Untrusted>,
    /// The executable was removed or replaced since the start.
    pub(crate) is_deleted: bool,
    pub(crate) command: Vec<Untrusted>,
    /// Part of the command line was left out.
    pub(crate) is_cut: bool,
}

/// The kinds that were met in one scan, ascending.
#[derive(Debug, Default)]
pub(crate) struct Kinds(Vec<(Kind, Program)>);

impl Kinds {
    /// The kind of a process with this command line, as the kernel has it; what it runs, and whether it is the first of its
    /// kind: `look` is called only then. Who makes two kinds look like one, by a collision or by a command line that
    /// another program has made its own, brings about no more than that one of them is told as the other until it is its
    /// turn to be described.
    pub(crate) fn meet(
        &mut self,
        process: &Process,
        command_line: &[u8],
        look: impl FnOnce() -> Program,
    ) -> (Kind, Program, bool) {
        let mut hasher = DefaultHasher::new();
        let traits = (process.parent_pid, process.uid, &process.name, command_line);
        traits.hash(&mut hasher);
        let kind = hasher.finish();
        match self.0.binary_search_by_key(&kind, |known| known.0) {
            Ok(place) => (kind, self.0[place].1.clone(), false),
            Err(place) => {
                let program = look();
                self.0.insert(place, (kind, program.clone()));
                (kind, program, true)
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
            let look = || Program {
                command: vec![command.into()],
                ..Program::default()
            };
            let (_, program, is_first) = kinds.meet(&process, command.as_bytes(), look);
            assert_eq!(program.command[0].as_raw(), command);
            is_first
        };
        assert!(meet(1, 33, "worker"));
        assert!(!meet(1, 33, "worker"));
        assert!(meet(2, 33, "worker") && meet(1, 0, "worker") && meet(1, 33, "master"));
    }
}
