//! `GET /health`, in the shape the platform expects of a component.
//!
//! It is the supervisor's own health. A sick container does not make the supervisor sick; an Engine that does
//! not answer, or no way into containers, leaves it working in part.

use diogenes_proto::Timestamp;
use diogenes_tekton::component::{ComponentHealth, Readiness, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::census::Census;
use crate::api::view::EngineView;
use crate::registry::Registry;
use crate::supervisor::Supervisor;

/// What the supervisor is called among components.
pub(crate) const COMPONENT_NAME: &str = "diogenes";

/// The supervisor's health.
pub(crate) type OwnHealth = ComponentHealth<Census, Details>;

/// What `degraded` is about.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SupervisorDetails")]
pub(crate) struct Details {
    /// Its container engine.
    pub(crate) engine: EngineView,
    /// Why no container can be entered; null where they can.
    attach_error: Option<String>,
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
pub(crate) fn health(supervisor: &Supervisor, registry: &Registry) -> OwnHealth {
    let own = supervisor.view(&registry.engine());
    let whole = own.engine.reachable && own.attach_error.is_none();
    OwnHealth {
        status: if whole {
            Status::Healthy
        } else {
            Status::Degraded
        },
        component: COMPONENT_NAME.to_owned(),
        version: own.version,
        timestamp: Timestamp::now(),
        uptime: Some(own.uptime_s),
        port: supervisor.listen.port(),
        registered_with_hermes: supervisor.is_known_to_hermes(COMPONENT_NAME),
        dependencies: Vec::new(),
        metrics: Census::of(registry),
        details: Details {
            engine: own.engine,
            attach_error: own.attach_error,
        },
    }
}
