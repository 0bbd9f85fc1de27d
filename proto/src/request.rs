//! What is asked of an agent.

use serde::{Deserialize, Serialize};

use crate::HostFacts;

/// A request to an agent, or to the supervisor in an agent's name. Travels with an `id` of the asker's choice,
/// which its reply repeats; replies may come in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Are you there? Answered by `pong`.
    Ping {},
    /// The whole state, answered by `report`, rescanned first.
    Report {},
    /// The services, answered by `services`.
    Services {},
    /// The health in short, answered by `health`.
    Health {},
    /// A question in words, answered by `answer`.
    Ask {
        /// The question; at most 4 KiB are read.
        question: String,
        /// What the host knows besides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts: Option<Box<HostFacts>>,
    },
    /// A page of a snapshot, answered by `snapshot`.
    Snapshot {
        /// Which one, by hash; None takes a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
        /// Index of the first item: processes first, then listeners, counted through.
        #[serde(default)]
        offset: u32,
    },
    /// Probe one service now, answered by `probe`.
    Probe {
        /// The service's key.
        service: String,
    },
}

impl Request {
    /// Every `type` this version knows.
    pub const TYPES: &[&str] = &["ping", "report", "services", "health", "ask", "snapshot", "probe"];
}
