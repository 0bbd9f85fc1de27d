//! The program that is baked in.

use crate::Digest;

/// Where the agent is in a baked image. Containers made from images baked long ago are told by this path too: it
/// does not change.
pub const AGENT_PATH: &str = "/usr/libexec/diogenes/diogenes-agent";

/// An agent's program.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(crate) program: Vec<u8>,
    pub(crate) digest: Digest,
    pub(crate) version: String,
    pub(crate) architecture: &'static str,
}

impl Agent {
    /// A static Linux program of this version, for a processor in Docker's words (`amd64`).
    #[must_use]
    pub fn new(program: Vec<u8>, version: String, architecture: &'static str) -> Self {
        Self {
            digest: Digest::of(&program),
            program,
            version,
            architecture,
        }
    }

    /// The version alone: `0.1.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}
