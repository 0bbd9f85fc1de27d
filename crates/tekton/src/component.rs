//! What Tekton expects of any component over HTTP: `/health`, `/ready` and `/discovery`.
//!
//! `tekton status` looks at the status code of `/health` alone: any 200 is healthy, everything else is not. So what is
//! not well must answer 503, whatever its body says.

use std::collections::BTreeMap;

use diogenes_proto::{Health, Timestamp};
use serde::{Deserialize, Serialize};

/// How a component is, in Tekton's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ComponentStatus"))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Healthy,
    /// It works in part.
    Degraded,
    /// It does not work.
    Unhealthy,
    /// Nobody knows; also while it starts, for which Tekton has no word here.
    Unknown,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it does its work at least in part: the only case for 200.
    #[must_use]
    pub fn works(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

impl From<Health> for Status {
    fn from(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Healthy,
            Health::Degraded => Self::Degraded,
            Health::Unhealthy => Self::Unhealthy,
            Health::Starting | Health::Unknown => Self::Unknown,
        }
    }
}

/// `/health`: with figures `M` and details `D` of the component's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ComponentHealth_{D}"))]
pub struct ComponentHealth<M, D> {
    /// How it is.
    pub status: Status,
    /// Its name among components, in lower case.
    pub component: String,
    /// Its version.
    pub version: String,
    /// Now.
    pub timestamp: Timestamp,
    /// For how long it has been running, in seconds; null where that is not known.
    pub uptime: Option<u64>,
    /// The port it is reached at.
    pub port: u16,
    /// Whether it is registered with Hermes.
    pub registered_with_hermes: bool,
    /// Components it cannot do without.
    pub dependencies: Vec<String>,
    /// Figures.
    pub metrics: M,
    /// What the status is about.
    pub details: D,
}

/// `/ready`, where it is; where it is not, the answer is 503 with a `detail`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Readiness {
    /// Always true.
    pub ready: bool,
    /// Its name among components.
    pub component: String,
    /// Its version.
    pub version: String,
    /// Seconds from its start until it was ready.
    #[serde(rename = "initializationTime")]
    pub initialization_time: f64,
    /// Now.
    pub timestamp: Timestamp,
}

/// `/discovery`: what a component offers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Discovery {
    /// Its name among components.
    pub component: String,
    /// Its version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// All operations.
    pub endpoints: Vec<Endpoint>,
    /// What it can be asked for by name.
    pub capabilities: Vec<String>,
    /// Components it cannot do without.
    pub dependencies: Vec<String>,
    /// What else is to be known, such as where to learn more.
    pub metadata: BTreeMap<String, String>,
}

/// An operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Endpoint {
    /// Its path; `{name}` stands for what is to be filled in.
    pub path: String,
    /// GET or POST.
    pub method: String,
    /// What it does.
    pub description: String,
    /// The groups it belongs to.
    pub tags: Vec<String>,
}
