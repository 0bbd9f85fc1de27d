//! What an agent says.

use serde::{Deserialize, Serialize};

pub use crate::page::SnapshotPage;
use crate::word;
use crate::{Answer, Health, Logs, ProbeOutcome, Report, Service, Timestamp, Untrusted, WireError};

/// A message of an agent: a reply where it carries an `id`, else said unasked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Reply to `ping`.
    Pong {},
    /// The state of the container: unasked on change and every 30 s, and as reply to `report`.
    Report(Box<Report>),
    /// Reply to `services`.
    Services {
        /// All services.
        services: Vec<Service>,
    },
    /// Reply to `health`.
    Health {
        /// The container's health.
        health: Health,
        /// Since when.
        since: Timestamp,
        /// Why, in one sentence.
        reason: Untrusted,
    },
    /// Reply to `ask`.
    Answer(Box<Answer>),
    /// Reply to `snapshot`.
    Snapshot(Box<SnapshotPage>),
    /// Reply to `probe`.
    Probe {
        /// The service's key.
        #[serde(deserialize_with = "word::one")]
        service: String,
        /// What came of it.
        outcome: ProbeOutcome,
    },
    /// Reply to `logs`.
    Logs(Logs),
    /// A request or a line could not be served. Without `id` where none could be read.
    Error(WireError),
}

impl Message {
    /// Every `type` this version knows.
    pub const TYPES: &[&str] = &[
        "pong", "report", "services", "health", "answer", "snapshot", "probe", "logs", "error",
    ];
}
