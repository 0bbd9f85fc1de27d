//! Errors as they travel.

use serde::{Deserialize, Serialize};

use crate::word::{self, MAX_SENTENCE_BYTES, tame};

/// What went wrong, in a word that never changes its meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The line is not one JSON object in UTF-8 with a `type`.
    Malformed,
    /// The line is longer than [`crate::line::MAX_LINE_BYTES`]; the session is closed.
    LineTooLong,
    /// The first line was not a `hello`; the session is closed.
    HelloExpected,
    /// The peers have no protocol version in common; the session is closed.
    VersionMismatch,
    /// The message's `type` is not known here.
    Unsupported,
    /// The `type` is known and its fields do not fit.
    Invalid,
    /// What was asked for does not exist (any more).
    NotFound,
    /// The peer has asked too much in too short a time.
    Busy,
    /// The peer may not ask for this.
    Forbidden,
    /// It failed inside. Also what a word from a newer peer decodes to.
    #[default]
    #[serde(other)]
    Internal,
}

/// The body of an `error` message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireError {
    /// Stable code, for programs.
    pub code: ErrorCode,
    /// What happened and what to do, for people: one printable line of at most [`MAX_SENTENCE_BYTES`].
    #[serde(deserialize_with = "word::sentence")]
    pub message: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
}

impl WireError {
    /// An error; the same request may succeed later only where it is [`ErrorCode::Busy`]. The sentence may
    /// quote the peer: it is made printable and cut to [`MAX_SENTENCE_BYTES`].
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: tame(message.into(), MAX_SENTENCE_BYTES),
            retryable: matches!(code, ErrorCode::Busy),
        }
    }

    /// Whether the session ends after this error.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::LineTooLong | ErrorCode::HelloExpected | ErrorCode::VersionMismatch
        )
    }
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for WireError {}
