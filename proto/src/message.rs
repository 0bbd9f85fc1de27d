//! What an agent says.

use serde::{Deserialize, Serialize};

use crate::{Answer, Health, Listener, ProbeOutcome, Process, Report, Resources, Service, Timestamp, Untrusted, WireError};

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
        service: String,
        /// What came of it.
        outcome: ProbeOutcome,
    },
    /// A request or a line could not be served. Without `id` where none could be read.
    Error(WireError),
}

impl Message {
    /// Every `type` this version knows.
    pub const TYPES: &[&str] = &["pong", "report", "services", "health", "answer", "snapshot", "probe", "error"];
}

/// A part of a snapshot that fits a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotPage {
    /// The snapshot's hash; all its pages have the same.
    pub hash: String,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Index of this page's first item.
    pub offset: u32,
    /// Number of items in the whole snapshot, processes and listeners together.
    pub total: u32,
    /// `offset` of the next page; None on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
    /// Processes of this page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
    /// Listeners of this page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
    /// The resources, on the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// What could not be seen, on the first page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Untrusted>,
}
