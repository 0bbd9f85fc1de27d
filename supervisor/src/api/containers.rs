//! What is known of the containers: read from the registry, nobody is asked anew.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use diogenes_proto::{Health, Timestamp, Untrusted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::api::asked::{Asked, NAMING, Named};
use crate::api::document::CONTAINERS;
use crate::api::operation::Operation;
use crate::api::view::{ContainerView, FindingView, ServiceView, StatusView};
use crate::registry::Entry;

/// What counts as well.
#[derive(Debug, Deserialize, JsonSchema)]
struct Strictness {
    /// Whether degraded is answered with 503 too.
    #[serde(default)]
    strict: bool,
}

/// A container's health, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ContainerHealth", extend("examples" = [{
    "container": "shop",
    "ci_name": "shop-container-ci",
    "health": "degraded",
    "since": "2026-01-31T08:00:00.123Z",
    "reason": "Redis is degraded: PING took 812 ms",
    "services": [
        { "key": "redis:6379", "name": "Redis", "health": "degraded", "reason": "PING took 812 ms" },
    ],
}]))]
struct HealthView {
    /// The container's name.
    container: String,
    /// Its companion's name.
    ci_name: String,
    /// The worst health of its services; `unknown` where no companion speaks.
    health: Health,
    /// Since when it has that health.
    since: Timestamp,
    /// Why, in the companion's words, or why none speaks.
    reason: Untrusted,
    /// Its services; empty where no companion speaks.
    services: Vec<ServiceHealthView>,
}

/// A service's health, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ServiceHealth")]
struct ServiceHealthView {
    /// Identifies it in its container, stable over its restarts.
    key: String,
    /// Its name for people.
    name: Untrusted,
    /// Whether it works.
    health: Health,
    /// The weightiest evidence; null where there is none.
    reason: Option<Untrusted>,
}

impl HealthView {
    fn new(entry: &Entry) -> Self {
        let (health, since) = entry.health();
        let services = entry
            .spoken()
            .into_iter()
            .flat_map(|report| &report.services);
        let service = |service: &diogenes_proto::Service| ServiceHealthView {
            key: service.key.clone(),
            name: service.name.clone(),
            health: service.health,
            reason: service.evidence.first().cloned(),
        };
        Self {
            container: entry.facts.name.clone(),
            ci_name: entry.ci_name(),
            health,
            since,
            reason: entry.health_reason(),
            services: services.map(service).collect(),
        }
    }
}

/// A container's services.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Services")]
struct ServicesView {
    /// The container's name.
    container: String,
    /// Its companion's name.
    ci_name: String,
    /// The services it last reported, in the order of their importance; `unknown` each where it is silent.
    services: Vec<ServiceView>,
}

/// A container's findings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Findings")]
struct FindingsView {
    /// The container's name.
    container: String,
    /// Its companion's name.
    ci_name: String,
    /// What the supervisor found, then what the companion found, the weightiest first.
    findings: Vec<FindingView>,
}

/// What is told.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/containers", "containers", containers)
            .is(CONTAINERS, "All containers, and the supervisor")
            .answers::<StatusView>(StatusCode::OK, "All containers by name."),
        Operation::get("/api/v1/containers/{name}", "container", container)
            .is(CONTAINERS, "One container")
            .answers::<ContainerView>(StatusCode::OK, "The container.")
            .fails(NAMING),
        Operation::get(
            "/api/v1/containers/{name}/health",
            "container_health",
            health,
        )
        .is(
            CONTAINERS,
            "A container's health, for load balancers and monitors",
        )
        .described("The status alone tells it, also to HEAD; the body says why.")
        .takes::<Strictness>()
        .answers::<HealthView>(
            StatusCode::OK,
            "It is healthy, or degraded and `strict` was not asked for.",
        )
        .answers::<HealthView>(
            StatusCode::SERVICE_UNAVAILABLE,
            "It is starting, unhealthy or unknown, or degraded where `strict` was asked for.",
        )
        .fails(NAMING),
        Operation::get("/api/v1/containers/{name}/services", "services", services)
            .is(CONTAINERS, "A container's services")
            .answers::<ServicesView>(StatusCode::OK, "The services.")
            .fails(NAMING),
        Operation::get("/api/v1/containers/{name}/findings", "findings", findings)
            .is(CONTAINERS, "What is wrong or noteworthy in a container")
            .answers::<FindingsView>(StatusCode::OK, "The findings.")
            .fails(NAMING),
    ]
}

async fn containers(State(api): State<Arc<Api>>) -> Json<StatusView> {
    let containers = api
        .registry
        .all()
        .iter()
        .map(|entry| ContainerView::new(entry))
        .collect();
    Json(StatusView {
        containers,
        supervisor: api.supervisor.view(&api.registry.engine()),
    })
}

async fn container(Named(entry): Named) -> Json<ContainerView> {
    Json(ContainerView::new(&entry))
}

async fn health(
    Named(entry): Named,
    Asked(Strictness { strict }): Asked<Strictness>,
) -> (StatusCode, Json<HealthView>) {
    let told = HealthView::new(&entry);
    let status = match told.health {
        Health::Healthy => StatusCode::OK,
        Health::Degraded if !strict => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(told))
}

async fn services(Named(entry): Named) -> Json<ServicesView> {
    Json(ServicesView {
        container: entry.facts.name.clone(),
        ci_name: entry.ci_name(),
        services: ServiceView::all(&entry),
    })
}

async fn findings(Named(entry): Named) -> Json<FindingsView> {
    Json(FindingsView {
        container: entry.facts.name.clone(),
        ci_name: entry.ci_name(),
        findings: entry.all_findings().map(FindingView::from).collect(),
    })
}
