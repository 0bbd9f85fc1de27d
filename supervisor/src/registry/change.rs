//! What changed between two moments, in a form worth telling: a pure comparison of what was known.
//!
//! Figures are no changes (there is always another one), nor are the words of a finding that goes on. What counts
//! is what a person would ask for afterwards: since when, and what happened before it.

use std::collections::HashMap;

use diogenes_proto::{Finding, Health, Severity, Untrusted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::Entry;

/// Something that changed. Its JSON is tagged by `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Change {
    /// The supervisor met the container.
    ContainerAppeared {
        /// Its image, as it was named when the container was made.
        image: String,
        /// Docker's word for its state.
        state: String,
    },
    /// The container was deleted.
    ContainerRemoved {},
    /// The container has another name.
    ContainerRenamed {
        /// The one before.
        from: String,
    },
    /// The container started, stopped, was paused, …
    ContainerState {
        /// Docker's word for the state before.
        from: String,
        /// Docker's word for the state now.
        to: String,
        /// Exit code of the run that ended; null where none did.
        exit_code: Option<i64>,
        /// Whether the run ended out of memory.
        oom_killed: bool,
    },
    /// A companion came, fell silent, spoke again or left.
    Companion {
        /// `present`, `silent` or `absent`.
        from: String,
        /// The same, now.
        to: String,
        /// Why, in words.
        reason: String,
    },
    /// The container's health.
    Health {
        /// Before.
        from: Health,
        /// Now.
        to: Health,
        /// Why, in the companion's words, or why none speaks.
        reason: Untrusted,
    },
    /// A service's health; `from` or `to` is null where it was not there.
    ServiceHealth {
        /// The service's key, stable over its restarts.
        service: String,
        /// Its name for people.
        name: Untrusted,
        /// Before; null where the service is new.
        from: Option<Health>,
        /// Now; null where the service is gone.
        to: Option<Health>,
        /// The weightiest evidence; empty where there is none.
        reason: Untrusted,
    },
    /// Something is wrong or noteworthy that was not before.
    FindingOpened {
        /// Its kind.
        code: String,
        /// How much it matters.
        severity: Severity,
        /// The service concerned, by its key; null where it is the container's.
        service: Option<String>,
        /// The fact in one sentence.
        summary: Untrusted,
    },
    /// It is so no longer.
    FindingClosed {
        /// Its kind.
        code: String,
        /// The service concerned, by its key; null where it was the container's.
        service: Option<String>,
    },
    /// The Engine answers, or does not any more.
    Engine {
        /// Whether it answers.
        reachable: bool,
        /// Why it does not; null where it does.
        error: Option<String>,
    },
}

impl Change {
    /// Every `type` there is.
    pub(crate) const KINDS: &[&str] = &[
        "container_appeared",
        "container_removed",
        "container_renamed",
        "container_state",
        "companion",
        "health",
        "service_health",
        "finding_opened",
        "finding_closed",
        "engine",
    ];

    /// The key of the service it is about; None where it is the container's, or the Engine's.
    pub(crate) fn service(&self) -> Option<&str> {
        match self {
            Self::ServiceHealth { service, .. } => Some(service),
            Self::FindingOpened { service, .. } | Self::FindingClosed { service, .. } => {
                service.as_deref()
            }
            _ => None,
        }
    }

    /// Its `type`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::ContainerAppeared { .. } => "container_appeared",
            Self::ContainerRemoved { .. } => "container_removed",
            Self::ContainerRenamed { .. } => "container_renamed",
            Self::ContainerState { .. } => "container_state",
            Self::Companion { .. } => "companion",
            Self::Health { .. } => "health",
            Self::ServiceHealth { .. } => "service_health",
            Self::FindingOpened { .. } => "finding_opened",
            Self::FindingClosed { .. } => "finding_closed",
            Self::Engine { .. } => "engine",
        }
    }
}

/// What changed between two states of a container's entry, the cause before its effects.
pub(crate) fn changes(before: &Entry, after: &Entry) -> Vec<Change> {
    let mut changes = Vec::new();
    let (old, new) = (&before.facts, &after.facts);
    if old.name != new.name {
        changes.push(Change::ContainerRenamed {
            from: old.name.clone(),
        });
    }
    if old.state != new.state || old.started_at != new.started_at {
        changes.push(Change::ContainerState {
            from: old.state.as_str().to_owned(),
            to: new.state.as_str().to_owned(),
            exit_code: new.exit_code,
            oom_killed: new.oom_killed,
        });
    }
    let (from, to) = (before.presence.state(), after.presence.state());
    if from != to {
        changes.push(Change::Companion {
            from: from.to_owned(),
            to: to.to_owned(),
            reason: after.presence.reason(new, after.presence_since),
        });
    }
    services(before, after, &mut changes);
    let (from, to) = (before.health().0, after.health().0);
    if from != to {
        changes.push(Change::Health {
            from,
            to,
            reason: after.health_reason(),
        });
    }
    findings(before, after, &mut changes);
    changes
}

/// A service is compared only where a companion speaks on both sides: where none does, the container's own
/// health says so, and its services did not change.
fn services(before: &Entry, after: &Entry, changes: &mut Vec<Change>) {
    let (Some(old), Some(new)) = (before.spoken(), after.spoken()) else {
        return;
    };
    if std::ptr::eq(old, new) {
        return;
    }
    let mut gone: HashMap<&str, _> = old
        .services
        .iter()
        .map(|service| (service.key.as_str(), service))
        .collect();
    for service in &new.services {
        let from = gone.remove(service.key.as_str()).map(|old| old.health);
        if worth_telling(from, Some(service.health)) {
            changes.push(Change::ServiceHealth {
                service: service.key.clone(),
                name: service.name.clone(),
                from,
                to: Some(service.health),
                reason: service.evidence.first().cloned().unwrap_or_default(),
            });
        }
    }
    let is_gone = |service: &&diogenes_proto::Service| {
        gone.contains_key(service.key.as_str()) && worth_telling(Some(service.health), None)
    };
    for service in old.services.iter().filter(is_gone) {
        changes.push(Change::ServiceHealth {
            service: service.key.clone(),
            name: service.name.clone(),
            from: Some(service.health),
            to: None,
            reason: Untrusted::default(),
        });
    }
}

/// Whether a service's change is. Of what was never judged, as of a shell that runs for a moment, neither the coming
/// nor the going is.
fn worth_telling(from: Option<Health>, to: Option<Health>) -> bool {
    from.unwrap_or_default() != to.unwrap_or_default()
}

/// What tells one finding from another: its words may change while it goes on.
type Identity<'a> = (&'a str, Option<&'a str>);

fn findings(before: &Entry, after: &Entry, changes: &mut Vec<Change>) {
    fn identity(finding: &Finding) -> Identity<'_> {
        (&finding.code, finding.service.as_deref())
    }
    let old: HashMap<Identity<'_>, &Finding> = before
        .all_findings()
        .map(|finding| (identity(finding), finding))
        .collect();
    let new: HashMap<Identity<'_>, &Finding> = after
        .all_findings()
        .map(|finding| (identity(finding), finding))
        .collect();
    for finding in after.all_findings() {
        if !old.contains_key(&identity(finding)) {
            changes.push(Change::FindingOpened {
                code: finding.code.clone(),
                severity: finding.severity,
                service: finding.service.clone(),
                summary: finding.summary.clone(),
            });
        }
    }
    for finding in before.all_findings() {
        if !new.contains_key(&identity(finding)) {
            changes.push(Change::FindingClosed {
                code: finding.code.clone(),
                service: finding.service.clone(),
            });
        }
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
