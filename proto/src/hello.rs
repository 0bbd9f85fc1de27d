//! The first line of a session, both ways: frozen, so that any two versions can read each other's.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, WireError};
use crate::word;

/// The versions this build speaks.
pub const SUPPORTED: ProtocolRange = ProtocolRange { min: 1, max: 1 };

/// Longest hello in bytes, the line feed not counted: it is read before anything is known of the peer.
pub const MAX_HELLO_BYTES: usize = 4096;

/// An inclusive range of protocol versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolRange {
    /// Oldest version spoken.
    pub min: u32,
    /// Newest version spoken.
    pub max: u32,
}

impl ProtocolRange {
    /// The version two peers speak: the highest that both know.
    ///
    /// # Errors
    /// [`ErrorCode::VersionMismatch`], naming both ranges, where there is none (or a range is empty).
    pub fn negotiate(self, peer: Self) -> Result<u32, WireError> {
        let version = self.max.min(peer.max);
        if version >= self.min && version >= peer.min {
            Ok(version)
        } else {
            let (a, b, c, d) = (self.min, self.max, peer.min, peer.max);
            let message = format!(
                "no common protocol version: here {a} to {b}, there {c} to {d}; update the older side"
            );
            Err(WireError::new(ErrorCode::VersionMismatch, message))
        }
    }
}

/// Who is there. Unknown fields are ignored; nothing but optional fields is ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "hello")]
pub struct Hello {
    /// The versions the peer speaks.
    pub protocol: ProtocolRange,
    /// Its name and version: `diogenes-agent 0.1.0`.
    #[serde(deserialize_with = "word::one")]
    pub build: String,
    /// Request types it answers beyond those its version obliges it to.
    #[serde(default, deserialize_with = "word::list")]
    pub capabilities: Vec<String>,
}

impl Hello {
    /// This build's greeting.
    pub fn new(build: impl Into<String>) -> Self {
        Self {
            protocol: SUPPORTED,
            build: build.into(),
            capabilities: Vec::new(),
        }
    }
}
