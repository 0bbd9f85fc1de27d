//! `GET /health`, in the shape the platform expects of a component.
//!
//! It is the supervisor's own health. A sick container does not make the supervisor sick; an Engine that does
//! not answer, or no way into containers, leaves it working in part.

use std::collections::BTreeMap;

use diogenes_proto::{Health, Timestamp};
use serde::{Deserialize, Serialize};

use crate::api::view::{ContainerView, EngineView};
use crate::registry::Registry;
use crate::supervisor::Supervisor;

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ComponentHealth {
    pub(crate) status: Health,
    component: String,
    version: String,
    timestamp: Timestamp,
    /// Seconds.
    uptime: u64,
    port: u16,
    registered_with_hermes: bool,
    dependencies: Vec<String>,
    metrics: Metrics,
    pub(crate) details: Details,
}

/// How many containers are how.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Metrics {
    containers: usize,
    /// By the presence of their companion.
    by_state: BTreeMap<String, usize>,
    /// By health.
    by_health: BTreeMap<String, usize>,
}

/// What `degraded` is about.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) engine: EngineView,
    attach_error: Option<String>,
}

/// The supervisor's health.
pub(crate) fn health(supervisor: &Supervisor, registry: &Registry) -> ComponentHealth {
    let own = supervisor.view(&registry.engine());
    let mut metrics = Metrics::default();
    for entry in registry.all() {
        let view = ContainerView::new(&entry);
        metrics.containers += 1;
        *metrics.by_state.entry(view.state).or_default() += 1;
        *metrics
            .by_health
            .entry(view.health.as_str().to_owned())
            .or_default() += 1;
    }
    let whole = own.engine.reachable && own.attach_error.is_none();
    ComponentHealth {
        status: if whole {
            Health::Healthy
        } else {
            Health::Degraded
        },
        component: "diogenes".to_owned(),
        version: own.version,
        timestamp: Timestamp::now(),
        uptime: own.uptime_s,
        port: supervisor.listen.port(),
        registered_with_hermes: false,
        dependencies: Vec::new(),
        metrics,
        details: Details {
            engine: own.engine,
            attach_error: own.attach_error,
        },
    }
}
