//! What platforms and load balancers expect of any component.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use diogenes_tekton::component::{Discovery, Readiness};

use crate::api::discovery;
use crate::api::document::COMPONENT;
use crate::api::health::{self, OwnHealth};
use crate::api::metrics;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::api::{Api, operations as all};

/// What is expected.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/health", "health", own_health)
            .is(COMPONENT, "The supervisor's own health")
            .described(
                "A sick container does not make the supervisor sick. It is degraded where the Engine does not answer, \
                 or where it cannot enter containers.",
            )
            .answers::<OwnHealth>(StatusCode::OK, "It works, at least in part."),
        Operation::get("/ready", "ready", ready)
            .is(COMPONENT, "Whether the supervisor knows the containers")
            .answers::<Readiness>(StatusCode::OK, "The Engine has told of them.")
            .fails(&[Code::NotReady]),
        Operation::get("/discovery", "discovery", tell_discovery)
            .is(COMPONENT, "What the supervisor offers")
            .answers::<Discovery>(StatusCode::OK, "All operations."),
        Operation::get("/api/v1/discovery", "discovery_v1", tell_discovery)
            .is(COMPONENT, "The same as /discovery")
            .answers::<Discovery>(StatusCode::OK, "All operations."),
        Operation::get("/metrics", "metrics", metrics::serve)
            .is(COMPONENT, "Everything that can be counted, for Prometheus")
            .described("OpenMetrics where the Accept header asks for it.")
            .answers_as::<String>(StatusCode::OK, "The metrics.", "text/plain")
            .answers_as::<String>(StatusCode::OK, "", "application/openmetrics-text")
            .fails(&[Code::MetricsFailed]),
    ]
}

// Tekton takes any 200 for health: were the supervisor ever unhealthy, this would have to be another status. It is not:
// as long as it answers, it works in part.
async fn own_health(State(api): State<Arc<Api>>) -> Json<OwnHealth> {
    Json(health::health(&api.supervisor, &api.registry))
}

async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Readiness>, Problem> {
    health::readiness(&api.supervisor, &api.registry)
        .map(Json)
        .ok_or_else(|| {
            let error = api.registry.engine().error.unwrap_or_default();
            Problem::of(
                Code::NotReady,
                format!("Component not ready: the Engine has not answered yet: {error}"),
            )
        })
}

async fn tell_discovery() -> Json<Discovery> {
    Json(discovery::own(&all()))
}
