//! What a person would name: services, how they fare, and what is wrong with them.

use serde::{Deserialize, Serialize};

use crate::snapshot::Listener;
use crate::{Timestamp, Untrusted, word};

/// Whether something works. A word from a newer peer decodes as `Unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Up for a short while and not answering yet.
    Starting,
    /// Everything that can be checked works.
    Healthy,
    /// Works in part, or badly.
    Degraded,
    /// Does not work.
    Unhealthy,
    /// Nothing proves it either way. Never to be shown as healthy.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Health {
    /// The word as people and JSON have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// The health of a whole from its parts: the worst of them, `Unknown` where there are none.
    ///
    /// `Unknown` ranks between `Healthy` and `Starting`: it hides no known trouble, and nobody takes a
    /// whole for healthy of which a part could not be checked.
    pub fn worst(parts: impl IntoIterator<Item = Self>) -> Self {
        let rank = |health: &Self| match health {
            Self::Healthy => 0,
            Self::Unknown => 1,
            Self::Starting => 2,
            Self::Degraded => 3,
            Self::Unhealthy => 4,
        };
        parts.into_iter().max_by_key(rank).unwrap_or(Self::Unknown)
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a service has work to do; says nothing about its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// Working.
    Busy,
    /// Waiting for work.
    Idle,
    /// A word from a newer peer.
    #[serde(other)]
    Unknown,
}

/// One service of a container, as a person would name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Identifies the service within its container as long as it is known there; unique, stable over restarts.
    #[serde(deserialize_with = "word::one")]
    pub key: String,
    /// The name for people: `Redis`, `FastAPI (main:app)`, or the executable's name where the kind is not known.
    pub name: Untrusted,
    /// Lower-case word for what it is: `redis`, `postgresql`, `nginx`, `fastapi`; `http`, `tcp` or `process`
    /// for what is known only by what it speaks.
    #[serde(deserialize_with = "word::one")]
    pub kind: String,
    /// What it does for the container: `web`, `api`, `db`, `cache`, `queue`, `worker`, `proxy`; None where unknown.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "word::maybe"
    )]
    pub role: Option<String>,
    /// The version it told or that its files tell; None where it cannot be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Untrusted>,
    /// TCP and UDP ports it listens on, ascending, without repetition.
    pub ports: Vec<u16>,
    /// Its listening sockets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
    /// Its processes, by container pid, the main one first; empty when it is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<u32>,
    /// Whether it works.
    pub health: Health,
    /// Whether it is at work; None where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// Since when it has had this health.
    pub since: Timestamp,
    /// Why this health, fact by fact, the weightiest first.
    pub evidence: Vec<Untrusted>,
    /// The probes it was sent so far; None before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<ProbeStats>,
    /// How long its last start took until it first answered, in milliseconds; None where none was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
}

/// The probes of one service, counted since its agent knows it. Probes that could not be made count as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStats {
    /// Probes that came to a conclusion.
    pub run: u64,
    /// Those among them whose conclusion was neither that it is alive nor that it is starting.
    pub failed: u64,
    /// How many of the latest failed in a row; 0 where the last one did not.
    pub failed_in_a_row: u32,
    /// How long the last one took, in microseconds.
    pub last_us: u64,
    /// How long all of them took together, in microseconds.
    pub total_us: u64,
}

/// How much a finding matters; the weightiest sorts first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Critical,
    /// Will hurt, or hurts somewhat.
    Warning,
    /// Worth knowing. Also what a word from a newer peer decodes to.
    #[default]
    #[serde(other)]
    Info,
}

impl Severity {
    /// Whether something is wrong, or will be: not merely worth knowing.
    #[must_use]
    pub fn is_trouble(self) -> bool {
        self != Self::Info
    }
}

/// One diagnosed fact with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable kebab-case name of this kind of finding: `service-gone`, `accept-queue-full`.
    #[serde(deserialize_with = "word::one")]
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// The fact in one sentence, numbers included.
    pub summary: Untrusted,
    /// The service concerned, by its key; None where it is the container's.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "word::maybe"
    )]
    pub service: Option<String>,
    /// What shows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Untrusted>,
    /// Since when it holds.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_is_as_well_as_its_worst_part() {
        use Health::*;
        for (parts, whole) in [
            (vec![], Unknown),
            (vec![Healthy, Healthy], Healthy),
            (vec![Healthy, Unknown], Unknown),
            (vec![Starting, Unknown, Healthy], Starting),
            (vec![Degraded, Starting], Degraded),
            (vec![Healthy, Unhealthy, Degraded], Unhealthy),
        ] {
            assert_eq!(Health::worst(parts.clone()), whole, "{parts:?}");
        }
    }

    #[test]
    fn words_of_newer_peers_are_not_errors() {
        assert_eq!(
            serde_json::from_str::<Health>("\"flourishing\"").unwrap(),
            Health::Unknown
        );
        assert_eq!(
            serde_json::from_str::<Activity>("\"bored\"").unwrap(),
            Activity::Unknown
        );
        assert_eq!(
            serde_json::from_str::<Severity>("\"dire\"").unwrap(),
            Severity::Info
        );
    }
}
