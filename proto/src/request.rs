//! What is asked of an agent.

use serde::{Deserialize, Deserializer, Serialize};

use crate::untrusted::boundary;
use crate::{Health, HostFacts, LogPosition, Service, Timestamp, Untrusted, word};

/// How much of a question is read, in bytes of UTF-8; what is beyond is dropped when it is decoded.
pub const MAX_QUESTION_BYTES: usize = 4096;

/// How many lines of a log file are told where nothing else was asked for.
pub const DEFAULT_LOG_LINES: u32 = 100;

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
    Health {
        /// The health of this service alone, by its name, kind or key; the worst where several are meant. None means
        /// the whole container's.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "word::maybe"
        )]
        service: Option<String>,
    },
    /// A question in words, answered by `answer`.
    Ask {
        /// The question; at most [`MAX_QUESTION_BYTES`] are read.
        #[serde(deserialize_with = "question")]
        question: String,
        /// What the host knows besides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts: Option<Box<HostFacts>>,
    },
    /// A page of a snapshot, answered by `snapshot`.
    Snapshot {
        /// Which one, by hash; None takes a new one.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "word::maybe"
        )]
        hash: Option<String>,
        /// Index of the first item: processes first, then listeners, counted through.
        #[serde(default)]
        offset: u32,
    },
    /// Probe one service now, answered by `probe`.
    Probe {
        /// The service's key.
        #[serde(deserialize_with = "word::one")]
        service: String,
    },
    /// What the container's labels say, once the supervisor knows them; answered by `report`.
    Labels {
        /// Each as `docker run --label` takes it, `name=value`; those that were told before are forgotten.
        labels: Vec<Untrusted>,
    },
    /// What the processes write to log files, answered by `logs`.
    Logs {
        /// Only the files of this service, by its key; None means all.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "word::maybe"
        )]
        service: Option<String>,
        /// How many of the last lines of each file; without meaning where `after` is there. 0 tells the
        /// positions alone.
        #[serde(default = "default_log_lines")]
        lines: u32,
        /// The positions of an earlier reply, to be told what came since. Files that are not among them are
        /// new, and told from their beginning. None begins with the last lines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Vec<LogPosition>>,
    },
    /// What an earlier agent of this container has learnt, answered by `pong`.
    Remember {
        /// How long services took to start.
        starts: Vec<PastStart>,
        /// The services that had ended, in this life of the container.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ended: Vec<EndedService>,
    },
}

/// How long a service took to start, in an earlier life of its container or of its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastStart {
    /// The service's key.
    #[serde(deserialize_with = "word::one")]
    pub service: String,
    /// Until it first answered, in milliseconds.
    pub ms: u64,
}

/// A service that had ended when an earlier agent told of it last: who comes later sees nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedService {
    /// The service's key.
    #[serde(deserialize_with = "word::one")]
    pub service: String,
    /// Its name for people.
    pub name: Untrusted,
    /// What it is, as [`Service`] has it.
    #[serde(deserialize_with = "word::one")]
    pub kind: String,
    /// What it did for the container; None where unknown.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "word::maybe"
    )]
    pub role: Option<String>,
    /// Its version; None where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Untrusted>,
    /// The ports that it listened on, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Since when it has been gone.
    pub since: Timestamp,
}

impl EndedService {
    /// A service as it was reported; None where that was not as gone.
    #[must_use]
    pub fn of(service: &Service) -> Option<Self> {
        let is_gone = service.health == Health::Unhealthy
            && service.pids.is_empty()
            && service.listeners.is_empty();
        is_gone.then(|| Self {
            service: service.key.clone(),
            name: service.name.clone(),
            kind: service.kind.clone(),
            role: service.role.clone(),
            version: service.version.clone(),
            ports: service.ports.clone(),
            since: service.since,
        })
    }
}

impl Request {
    /// Every `type` this version knows.
    pub const TYPES: &[&str] = &[
        "ping", "report", "services", "health", "ask", "snapshot", "probe", "labels", "logs",
        "remember",
    ];

    /// Those among them that came after version 1: who answers them says so in its hello.
    pub const CAPABILITIES: &[&str] = &[Self::LABELS];

    /// The `type` of [`Request::Labels`].
    pub const LABELS: &str = "labels";

    /// Types of requests that versions to come will have: nobody may send one today.
    pub const RESERVED: &[&str] = &["profile", "act"];
}

fn default_log_lines() -> u32 {
    DEFAULT_LOG_LINES
}

fn question<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let mut text = String::deserialize(deserializer)?;
    text.truncate(boundary(&text, MAX_QUESTION_BYTES));
    Ok(text)
}
