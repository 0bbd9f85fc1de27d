//! The one layer that is added: the agent and its role, the same bytes for the same two.
//!
//! The directories on the way are entries of their own: an Engine that makes missing ones itself does so with modes
//! of its choice, 0600 or 0777, and in the added layer they would hide those of the base.

use crate::agent::{AGENT_PATH, Agent};
use crate::role::ROLE_PATH;
use crate::{Digest, tar};

/// What a directory is in nearly every image.
const DIRECTORY_MODE: u32 = 0o755;
/// As `/tmp`: the companion is whoever the container's user is, and makes its socket there. A process that is there
/// first answers in its place, and fools nobody but those who ask inside its own container.
const SOCKET_DIRECTORY_MODE: u32 = 0o1777;
/// Anybody may run the agent and nobody change it.
const AGENT_MODE: u32 = 0o555;
/// Anybody may read the role.
const ROLE_MODE: u32 = 0o444;

/// The directories the layer has, in its order, with their modes.
pub(crate) const DIRECTORIES: [(&str, u32); 7] = [
    ("/etc", DIRECTORY_MODE),
    ("/etc/diogenes", DIRECTORY_MODE),
    ("/run", DIRECTORY_MODE),
    ("/run/diogenes", SOCKET_DIRECTORY_MODE),
    ("/usr", DIRECTORY_MODE),
    ("/usr/libexec", DIRECTORY_MODE),
    ("/usr/libexec/diogenes", DIRECTORY_MODE),
];

/// The layer as it lies in an archive, not compressed.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) bytes: Vec<u8>,
    /// Its `DiffID`: the digest of these very bytes.
    pub(crate) diff_id: Digest,
}

impl Layer {
    /// Of an agent and the text of its role.
    pub(crate) fn of(agent: &Agent, role: &[u8]) -> Self {
        let files = [
            (AGENT_PATH, agent.program.as_slice(), AGENT_MODE),
            (ROLE_PATH, role, ROLE_MODE),
        ];
        let mut bytes = Vec::with_capacity(agent.program.len() + 16 * 1024);
        for (path, mode) in DIRECTORIES {
            bytes.extend(tar::directory(&format!("{}/", &path[1..]), mode));
            for (file, content, mode) in files {
                if file
                    .rsplit_once('/')
                    .is_some_and(|(parent, _)| parent == path)
                {
                    tar::push_file(&mut bytes, &file[1..], content, mode);
                }
            }
        }
        bytes.extend(tar::END);
        Self {
            diff_id: Digest::of(&bytes),
            bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::tar::{Entries, Kind};

    #[test]
    fn holds_agent_and_role_below_directories_of_their_own() {
        let agent = Agent::new(b"program".to_vec(), "1".into(), "amd64");
        let layer = Layer::of(&agent, b"{}");
        let entries: Result<Vec<_>, _> = Entries::of(Cursor::new(&layer.bytes)).unwrap().collect();
        let entries = entries.unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "etc/",
                "etc/diogenes/",
                "etc/diogenes/container.json",
                "run/",
                "run/diogenes/",
                "usr/",
                "usr/libexec/",
                "usr/libexec/diogenes/",
                "usr/libexec/diogenes/diogenes-agent",
            ]
        );
        let program = entries
            .iter()
            .rfind(|entry| entry.kind == Kind::File)
            .unwrap();
        let offset = usize::try_from(program.offset).unwrap();
        assert_eq!(&layer.bytes[offset..offset + 7], b"program");
        // Octal mode, then owner and group.
        assert_eq!(
            &layer.bytes[offset - 412..offset - 388],
            b"0000555\x000000000\x000000000\x00"
        );
        assert_eq!(layer.diff_id, Layer::of(&agent, b"{}").diff_id);
        assert_ne!(layer.diff_id, Layer::of(&agent, b"{ }").diff_id);
    }
}
