//! A question's answer, and what only the host can add to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fit::{fitting, keep_fitting, keep_fitting_texts};
use crate::word::{self, MAX_WORD_BYTES, tame};
use crate::{Health, Timestamp, Untrusted};

/// Room for the evidence of an answer.
const EVIDENCE_BYTES: usize = 96 * 1024;

/// Room for the data of an answer.
const DATA_BYTES: usize = 96 * 1024;

/// Room for the published ports. A range of thousands may be published.
const PUBLISHED_BYTES: usize = 64 * 1024;

/// Room for the tail of the log.
const LOG_BYTES: usize = 96 * 1024;

/// An answer in words, with what it rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Answer {
    /// What the question was understood as: `status`, `why`, `ports`, …; `help` where it was not understood.
    #[serde(deserialize_with = "word::one")]
    pub intent: String,
    /// The answer, one or more lines.
    pub text: Untrusted,
    /// The facts behind it, one a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Untrusted>,
    /// The same as data, where the question asks for some: role → service.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "word::keys"
    )]
    pub data: BTreeMap<String, Untrusted>,
    /// The moment of the facts it rests on.
    pub as_of: Timestamp,
}

impl Answer {
    /// The same answer, cut where it would not fit a line: the first evidence is kept, and a last item says how
    /// much is missing; of the data the first entries are kept.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        self.intent = tame(self.intent, MAX_WORD_BYTES);
        keep_fitting_texts(&mut self.evidence, EVIDENCE_BYTES);
        let kept = fitting(self.data.iter(), DATA_BYTES);
        // Not collected anew: that compiles a sort of its own into the agent, 4 KB of its megabyte.
        while self.data.len() > kept {
            self.data.pop_last();
        }
        self
    }
}

/// A port published on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublishedPort {
    /// Port inside the container.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Address on the host, as the Engine writes it: `0.0.0.0`, `127.0.0.1`, `::`.
    pub host_address: String,
    /// Port on the host.
    pub host_port: u16,
}

/// What the supervisor knows of a container and its agent cannot see from the inside. Source: Docker Engine
/// API, `GET /containers/{id}/json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Docker's name, without the slash.
    pub name: String,
    /// The image's name as it was given at creation.
    pub image: String,
    /// `running`, `paused`, `exited`, …: Docker's own word.
    pub state: String,
    /// When the container was last started; None if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How often the Engine restarted it by its restart policy.
    #[serde(default)]
    pub restart_count: u64,
    /// Exit code of the last run; None while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Whether the Engine saw the out-of-memory killer end the last run.
    #[serde(default)]
    pub oom_killed: bool,
    /// What the image's own HEALTHCHECK says; None where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_health: Option<Health>,
    /// Ports published on the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PublishedPort>,
    /// The last lines the container wrote to stdout and stderr, oldest first, secrets redacted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<Untrusted>,
    /// Why no agent could be asked, in words; None when the answer is the agent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_agent: Option<String>,
}

impl HostFacts {
    /// The same facts, cut so that they fit a line beside a question: the last lines of the log and the first
    /// published ports are kept.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        let kept = fitting(self.log_tail.iter().rev(), LOG_BYTES);
        self.log_tail.drain(..self.log_tail.len() - kept);
        keep_fitting(&mut self.published, PUBLISHED_BYTES);
        self
    }
}
