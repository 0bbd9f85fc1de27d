//! `GET /health`, in the shape the platform expects of a component.
//!
//! It is the supervisor's own health. A sick container does not make the supervisor sick; an Engine that does
//! not answer, or no way into containers, leaves it working in part.

use diogenes_proto::{Health, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::census::Census;
use crate::api::view::EngineView;
use crate::registry::Registry;
use crate::supervisor::Supervisor;

/// What the supervisor is called among components.
pub(crate) const COMPONENT_NAME: &str = "diogenes";

/// The supervisor's health.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ComponentHealth {
    /// `healthy`, or `degraded` where the Engine does not answer or containers cannot be entered.
    pub(crate) status: Health,
    /// Its name among components.
    component: String,
    /// Its version.
    version: String,
    /// Now.
    timestamp: Timestamp,
    /// For how long it has been running, in seconds.
    uptime: u64,
    /// The port of its TCP listener.
    port: u16,
    /// Whether it is registered with Hermes.
    registered_with_hermes: bool,
    /// Components it cannot do without: none.
    dependencies: Vec<String>,
    /// How many containers are how.
    metrics: Census,
    /// What `degraded` is about.
    pub(crate) details: Details,
}

/// What `degraded` is about.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Details {
    /// Its container engine.
    pub(crate) engine: EngineView,
    /// Why no container can be entered; null where they can.
    attach_error: Option<String>,
}

/// That the supervisor is ready.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Readiness {
    /// Always true: what is not ready answers with a problem.
    ready: bool,
    /// Its name among components.
    component: String,
    /// Its version.
    version: String,
    /// Seconds from its start until the Engine began to answer; where that was interrupted, for the last time.
    #[serde(rename = "initializationTime")]
    initialization_time: f64,
    /// Now.
    timestamp: Timestamp,
}

/// Whether the supervisor is ready: None as long as the Engine has never answered, because until then it knows of no
/// container. An Engine that answers no more leaves it with what it knows.
pub(crate) fn readiness(supervisor: &Supervisor, registry: &Registry) -> Option<Readiness> {
    let engine = registry.engine();
    engine.version.is_some().then(|| Readiness {
        ready: true,
        component: COMPONENT_NAME.to_owned(),
        version: Supervisor::VERSION.to_owned(),
        initialization_time: engine.since.since(supervisor.started_at).as_secs_f64(),
        timestamp: Timestamp::now(),
    })
}

/// The supervisor's health.
pub(crate) fn health(supervisor: &Supervisor, registry: &Registry) -> ComponentHealth {
    let own = supervisor.view(&registry.engine());
    let whole = own.engine.reachable && own.attach_error.is_none();
    ComponentHealth {
        status: if whole {
            Health::Healthy
        } else {
            Health::Degraded
        },
        component: COMPONENT_NAME.to_owned(),
        version: own.version,
        timestamp: Timestamp::now(),
        uptime: own.uptime_s,
        port: supervisor.listen.port(),
        registered_with_hermes: supervisor
            .hermes
            .as_ref()
            .is_some_and(|hermes| hermes.knows_us()),
        dependencies: Vec::new(),
        metrics: Census::of(registry),
        details: Details {
            engine: own.engine,
            attach_error: own.attach_error,
        },
    }
}
