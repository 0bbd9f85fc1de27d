//! Each companion as a component of its own: what aish posts to, and what Tekton's programs poll.
//!
//! Below `/ci/` one can look and ask, and do nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use diogenes_proto::{Timestamp, Untrusted};
use diogenes_tekton::aish::{Message, Reply};
use diogenes_tekton::component::{ComponentHealth, Discovery, Endpoint, Readiness, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::api::asked::{NAMING, Named};
use crate::api::discovery::{CAPABILITY, endpoint};
use crate::api::document::CI;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::registry::Entry;
use crate::supervisor::Supervisor;
use crate::tekton::say;

/// What all of this is below.
pub(crate) const BELOW: &str = "/ci/";
/// Where aish posts to.
pub(crate) const MESSAGE: &str = "/ci/{name}/message";

/// A companion's health.
type CiHealth = ComponentHealth<Figures, Details>;

/// What can be counted of a container.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CompanionFigures")]
struct Figures {
    /// Its services; 0 where no companion speaks.
    services: usize,
    /// Those that work, at least in part.
    working: usize,
    /// What was found in it.
    findings: usize,
}

/// What a companion's status is about.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CompanionDetails")]
struct Details {
    /// The container's name.
    container: String,
    /// Its id.
    container_id: String,
    /// What it was made from.
    image: String,
    /// Why it has this status: in the companion's words, or why none speaks.
    reason: Untrusted,
    /// Since when.
    since: Timestamp,
}

/// What is offered of each companion.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::post(MESSAGE, "ci_message", message)
            .is(CI, "Asks a companion, as aish does")
            .described(
                "The status is always 200, for aish tells of no other: what is wrong, also with the request, is in the \
                 response.",
            )
            .reads::<Message>()
            .answers::<Reply>(StatusCode::OK, "The answer."),
        Operation::get("/ci/{name}/health", "ci_health", health)
            .is(CI, "A container's health, as Tekton tells it")
            .answers::<CiHealth>(StatusCode::OK, "It works, at least in part.")
            .answers::<CiHealth>(
                StatusCode::SERVICE_UNAVAILABLE,
                "It does not, or not yet, or nobody knows.",
            )
            .fails(NAMING),
        Operation::get("/ci/{name}/ready", "ci_ready", ready)
            .is(CI, "Whether a companion knows its container")
            .answers::<Readiness>(StatusCode::OK, "It has reported.")
            .fails(NAMING)
            .fails(&[Code::NotReady]),
        Operation::get("/ci/{name}/discovery", "ci_discovery", discovery)
            .is(CI, "What a companion offers")
            .answers::<Discovery>(StatusCode::OK, "All operations below its path.")
            .fails(NAMING),
        Operation::get("/ci/{name}/api/v1/discovery", "ci_discovery_v1", discovery)
            .is(CI, "The same as /ci/{name}/discovery")
            .answers::<Discovery>(StatusCode::OK, "All operations below its path.")
            .fails(NAMING),
    ]
}

async fn message(
    State(api): State<Arc<Api>>,
    named: Result<Named, Problem>,
    message: Result<Json<Message>, JsonRejection>,
) -> Json<Reply> {
    Json(match (named, message) {
        (Err(problem), _) => Reply::new(&problem.detail),
        (_, Err(error)) => Reply::new(&format!(
            "a message is {{\"message\":\"…\"}} as application/json: {}",
            error.body_text()
        )),
        (Ok(Named(entry)), Ok(Json(Message { message }))) => {
            say(&api.relay, &entry, &message).await
        }
    })
}

async fn health(State(api): State<Arc<Api>>, Named(entry): Named) -> (StatusCode, Json<CiHealth>) {
    let told = ci_health(&entry, &api.supervisor);
    let status = match told.status.works() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(told))
}

fn ci_health(entry: &Entry, supervisor: &Supervisor) -> CiHealth {
    let (health, since) = entry.health();
    let services = entry.spoken().map_or(&[][..], |report| &report.services);
    let now = Timestamp::now();
    CiHealth {
        status: health.into(),
        component: entry.ci_name().to_lowercase(),
        version: Supervisor::VERSION.to_owned(),
        timestamp: now,
        uptime: uptime(entry, now).map(|uptime| uptime.as_secs()),
        port: supervisor.listen.port(),
        registered_with_hermes: supervisor.is_known_to_hermes(&entry.ci_name()),
        dependencies: Vec::new(),
        metrics: Figures {
            services: services.len(),
            working: services
                .iter()
                .filter(|service| Status::from(service.health).works())
                .count(),
            findings: entry.all_findings().count(),
        },
        details: Details {
            container: entry.facts.name.clone(),
            container_id: entry.facts.id.clone(),
            image: entry.facts.image.clone(),
            reason: entry.health_reason(),
            since,
        },
    }
}

/// For how long the container has been up; None where it is not.
fn uptime(entry: &Entry, now: Timestamp) -> Option<Duration> {
    let started_at = entry
        .facts
        .started_at
        .filter(|_| entry.facts.state.is_up())?;
    Some(now.since(started_at))
}

async fn ready(Named(entry): Named) -> Result<Json<Readiness>, Problem> {
    let not_ready = || {
        Problem::of(
            Code::NotReady,
            format!("Component not ready: {}", entry.health_reason()),
        )
    };
    entry.spoken().ok_or_else(not_ready)?;
    let started_at = entry.facts.started_at.unwrap_or(entry.presence_since);
    Ok(Json(Readiness {
        ready: true,
        component: entry.ci_name().to_lowercase(),
        version: Supervisor::VERSION.to_owned(),
        initialization_time: entry.presence_since.since(started_at).as_secs_f64(),
        timestamp: Timestamp::now(),
    }))
}

async fn discovery(State(api): State<Arc<Api>>, Named(entry): Named) -> Json<Discovery> {
    let of_this = |operation: &Operation| {
        let endpoint = endpoint(operation);
        Endpoint {
            path: endpoint.path.replace("{name}", &entry.facts.name),
            ..endpoint
        }
    };
    let mut metadata = BTreeMap::from([
        ("container_id".to_owned(), entry.facts.id.clone()),
        ("image".to_owned(), entry.facts.image.clone()),
        ("openapi".to_owned(), "/openapi.json".to_owned()),
    ]);
    let port = api.specialists.of(&entry.facts.id);
    metadata.extend(port.map(|port| ("specialist_port".to_owned(), port.to_string())));
    Json(Discovery {
        component: entry.ci_name().to_lowercase(),
        version: Supervisor::VERSION.to_owned(),
        description: description(&entry),
        endpoints: operations().iter().map(of_this).collect(),
        capabilities: vec![CAPABILITY.to_owned()],
        dependencies: Vec::new(),
        metadata,
    })
}

/// What a companion is, in a line for Tekton's lists.
pub(crate) fn description(entry: &Entry) -> String {
    format!("Container CI: {}", entry.facts.name)
}
