//! What can go wrong with an Engine.

use crate::Endpoint;

/// Why the Engine did not answer as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is no container of this id.
    #[error("the Engine knows no container {id}")]
    NotFound {
        /// The id asked for.
        id: String,
    },
    /// Nobody answers there.
    #[error("the Engine at {endpoint} does not answer: {reason}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: Endpoint,
        /// What the attempt met with.
        reason: String,
    },
    /// The socket is there and this user may not use it.
    #[error(
        "no permission on the Engine's socket {socket}: run as root, or add this user to the group of the socket{group}"
    )]
    PermissionDenied {
        /// The socket's path.
        socket: String,
        /// ` (docker, with: usermod -aG docker USER)`, as far as the group is known; else empty.
        group: String,
    },
    /// The Engine refused, or answered what cannot be understood.
    #[error("the Engine answered: {message}")]
    Api {
        /// Its words.
        message: String,
    },
}

impl EngineError {
    /// Whether the connection as a whole is in doubt, not only this question.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::PermissionDenied { .. }
        )
    }
}
