//! What is known of containers, as samples.
//!
//! Where nothing is known there is no series: a 0 would be a claim. What tells series apart must differ after the
//! cut to a label's length too: a scraper refuses a whole scrape for one series that comes twice.

use std::collections::HashMap;
use std::sync::Arc;

use diogenes_engine::ContainerState;
use diogenes_proto::{Health, Resources, Severity};

use crate::api::metrics::exposition::{Samples, cut};
use crate::api::metrics::services;
use crate::api::metrics::table::Id;
use crate::api::metrics::value::{count, moment, seconds, whole};
use crate::registry::Entry;

/// Every health there is.
pub(crate) const HEALTHS: [Health; 5] = [
    Health::Starting,
    Health::Healthy,
    Health::Degraded,
    Health::Unhealthy,
    Health::Unknown,
];
/// What a HEALTHCHECK can say.
const DOCKER_HEALTHS: [Health; 3] = [Health::Starting, Health::Healthy, Health::Unhealthy];
/// Every state of a companion.
const PRESENCES: [&str; 3] = ["present", "silent", "absent"];
/// Every state of a container.
const STATES: [ContainerState; 8] = [
    ContainerState::Created,
    ContainerState::Running,
    ContainerState::Paused,
    ContainerState::Restarting,
    ContainerState::Removing,
    ContainerState::Exited,
    ContainerState::Dead,
    ContainerState::Other,
];
/// Every severity, and its word.
const SEVERITIES: [(Severity, &str); 3] = [
    (Severity::Critical, "critical"),
    (Severity::Warning, "warning"),
    (Severity::Info, "info"),
];

/// Writes all containers.
pub(crate) fn write(samples: &mut Samples, entries: &[Arc<Entry>]) {
    let mut by_name: HashMap<&str, &Entry> = HashMap::new();
    for entry in entries {
        let claimant = by_name.entry(cut(&entry.facts.name)).or_insert(entry);
        // While a container is deleted and made again, two may go by one name for a moment.
        let rank = |entry: &Entry| (entry.facts.state.has_processes(), entry.facts.started_at);
        if rank(entry) > rank(claimant) {
            *claimant = entry;
        }
    }
    let omitted = entries.len() - by_name.len();
    let mut named: Vec<_> = by_name.into_iter().collect();
    named.sort_unstable_by_key(|(name, _)| *name);
    for (name, entry) in named {
        container(samples, name, entry);
    }
    samples.add(Id::Containers, &[], count(entries.len()));
    samples.add(Id::ContainersOmitted, &[], count(omitted));
    let sessions = entries.iter().filter(|entry| entry.session.is_some());
    samples.add(Id::Sessions, &[], count(sessions.count()));
}

fn container(samples: &mut Samples, name: &str, entry: &Entry) {
    let (facts, at) = (&entry.facts, [name]);
    samples.add(Id::ContainerInfo, &[name, &facts.id, &facts.image], 1.0);
    let (health, since) = entry.health();
    samples.add_states(
        Id::ContainerHealth,
        &at,
        HEALTHS.map(Health::as_str),
        health.as_str(),
    );
    samples.add(Id::ContainerHealthSince, &at, moment(since));
    if let Some(docker) = facts.docker_health {
        samples.add_states(
            Id::ContainerDockerHealth,
            &at,
            DOCKER_HEALTHS.map(Health::as_str),
            docker.as_str(),
        );
    }
    let presence = entry.presence.state();
    samples.add_states(Id::ContainerCompanion, &at, PRESENCES, presence);
    samples.add(
        Id::ContainerCompanionSince,
        &at,
        moment(entry.presence_since),
    );
    let states = STATES.map(ContainerState::as_str);
    samples.add_states(Id::ContainerState, &at, states, facts.state.as_str());
    samples.add_known(Id::ContainerStart, &at, facts.started_at.map(moment));
    samples.add(Id::ContainerRestarts, &at, whole(facts.restart_count));
    findings(samples, name, entry);

    let spoken = entry.spoken();
    if let Some(report) = spoken {
        samples.add(Id::ContainerReport, &at, moment(report.at));
        samples.add(Id::ContainerProcesses, &at, f64::from(report.processes));
        resources(samples, name, &report.resources);
    }
    // The Engine knows this limit even where no companion speaks.
    let limit = spoken.and_then(|report| report.resources.memory_limit_bytes);
    let limit = limit.or(facts.memory_limit_bytes).map(whole);
    samples.add_known(Id::ContainerMemoryLimit, &at, limit);
    if let Some(report) = entry.last_report() {
        services::write(samples, name, entry, report);
    }
}

/// A companion that speaks knows that there are none; one that does not, leaves only what the supervisor found.
fn findings(samples: &mut Samples, name: &str, entry: &Entry) {
    for (severity, word) in SEVERITIES {
        let open = entry
            .all_findings()
            .filter(|finding| finding.severity == severity);
        let open = open.count();
        if open > 0 || entry.spoken().is_some() {
            samples.add(Id::ContainerFindings, &[name, word], count(open));
        }
    }
}

fn resources(samples: &mut Samples, name: &str, resources: &Resources) {
    let at = [name];
    let mut add = |id, value: Option<u64>| samples.add_known(id, &at, value.map(whole));
    add(Id::ContainerThrottledPeriods, resources.throttled_periods);
    add(Id::ContainerMemory, resources.memory_bytes);
    add(Id::ContainerOomKills, resources.oom_kills);
    add(Id::ContainerPids, resources.pids);
    add(Id::ContainerPidsLimit, resources.pids_limit);
    samples.add_known(Id::ContainerCpu, &at, resources.cpu_usage_us.map(seconds));
    samples.add_known(
        Id::ContainerThrottled,
        &at,
        resources.throttled_us.map(seconds),
    );
    samples.add_known(Id::ContainerCpuLimit, &at, resources.cpu_limit_cores);
}
