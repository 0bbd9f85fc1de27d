//! What Hermes is told of the supervisor and of a container: bounded, printable, and worth reading.
//!
//! A version stands for what a reader would want to hear of. Figures, and the words of a finding that goes on, are told
//! as they are when something else changes, and are no reason to tell anew.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use diogenes_proto::untrusted::escape;
use diogenes_proto::{Finding, Health};
use diogenes_tekton::hermes::{Registration, Wish};
use serde_json::{Map, Value, json};

use crate::api::health::COMPONENT_NAME;
use crate::api::view::ServiceView;
use crate::registry::{EngineStatus, Entry};
use crate::supervisor::Supervisor;
use crate::tekton::hermes::Our;

/// The key of the metadata that tells whose component it is.
pub(super) const OWNER: &str = "owner";
/// What all of them are, and can be asked for. Hermes keeps the first in the metadata too, under `type`.
pub(super) const KIND: &str = "container_ci";
/// Most services and findings of one container that are told.
const MAX_SERVICES: usize = 20;
const MAX_FINDINGS: usize = 10;
/// Longest text of it.
const MAX_CHARS: usize = 200;

/// The supervisor, as a component.
pub(super) fn own(our: &Our, engine: &EngineStatus, attach_error: Option<&str>) -> Wish {
    let healthy = engine.error.is_none() && attach_error.is_none();
    let health = if healthy {
        Health::Healthy
    } else {
        Health::Degraded
    };
    let version = engine.version.as_ref().map(|version| &version.version);
    let host = rustix::system::uname();
    let metadata = json!({
        OWNER: our.owner,
        "health": health,
        "host": host.nodename().to_string_lossy(),
        "engine": version,
        "engine_error": engine.error.as_deref().map(short),
        "attach_error": attach_error.map(short),
    });
    let mut hasher = DefaultHasher::new();
    (health.as_str(), version, engine.error.is_some()).hash(&mut hasher);
    wish(
        COMPONENT_NAME.to_owned(),
        our.base.clone(),
        metadata,
        hasher.finish(),
        healthy,
    )
}

/// A container, as the component that its companion is.
pub(super) fn of(entry: &Entry, our: &Our) -> Wish {
    let facts = &entry.facts;
    let (health, since) = entry.health();
    let services = ServiceView::all(entry);
    let findings: Vec<&Finding> = entry.all_findings().take(MAX_FINDINGS).collect();
    let mut hasher = DefaultHasher::new();
    (&facts.id, &facts.image, facts.state.as_str()).hash(&mut hasher);
    (health.as_str(), entry.presence.state()).hash(&mut hasher);
    for service in services.iter().take(MAX_SERVICES) {
        (&service.name, &service.kind, &service.version).hash(&mut hasher);
        (&service.ports, service.health.as_str()).hash(&mut hasher);
    }
    for finding in &findings {
        (&finding.code, finding.severity as u8, &finding.service).hash(&mut hasher);
    }
    let metadata = json!({
        OWNER: our.owner,
        "container_id": facts.id,
        "container_name": facts.name,
        "image": short(&facts.image),
        "container_state": facts.state.as_str(),
        "companion": entry.presence.state(),
        "health": health,
        "health_reason": short(entry.health_reason().as_raw()),
        "since": since,
        "services": services.iter().take(MAX_SERVICES).map(|service| json!({
            "name": short(service.name.as_raw()),
            "kind": service.kind,
            "role": service.role,
            "version": service.version.as_ref().map(|version| short(version.as_raw())),
            "ports": service.ports,
            "health": service.health,
        })).collect::<Vec<_>>(),
        "services_omitted": services.len().saturating_sub(MAX_SERVICES),
        "findings": findings.iter().map(|finding| json!({
            "code": finding.code,
            "severity": finding.severity,
            "service": finding.service,
            "summary": short(finding.summary.as_raw()),
        })).collect::<Vec<_>>(),
    });
    let endpoint = format!("{}/ci/{}", our.base, facts.name);
    // What Hermes hears of a heartbeat it does not keep; what is told in it is true all the same.
    let healthy = health == Health::Healthy;
    wish(
        entry.ci_name(),
        endpoint,
        metadata,
        hasher.finish(),
        healthy,
    )
}

fn wish(name: String, endpoint: String, metadata: Value, version: u64, healthy: bool) -> Wish {
    let metadata = match metadata {
        Value::Object(metadata) => metadata,
        _ => Map::new(),
    };
    Wish {
        registration: Arc::new(Registration {
            component_id: name.clone(),
            name,
            version: Supervisor::VERSION.to_owned(),
            component_type: KIND.to_owned(),
            endpoint,
            capabilities: vec![KIND.to_owned()],
            metadata,
        }),
        version,
        healthy,
    }
}

/// A text for whoever prints it: without what a terminal would obey, and not long.
fn short(text: &str) -> String {
    let mut chars = text.chars();
    let mut text: String = chars.by_ref().take(MAX_CHARS).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    escape(&text).to_string()
}
