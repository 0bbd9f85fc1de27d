//! What the supervisor knows of itself, of its Engine, and of the processes it keeps, as samples.

use std::fs;
use std::time::Duration;

use crate::alerts::Alerts;
use crate::api::metrics::exposition::Samples;
use crate::api::metrics::table::Id;
use crate::api::metrics::value::{count, moment, whole, yes};
use crate::registry::Registry;
use crate::supervisor::Supervisor;
use crate::supervisor::cost::Cost;
use crate::tekton::hermes::HermesView;

/// Writes the supervisor and its Engine.
pub(crate) fn write(samples: &mut Samples, supervisor: &Supervisor, registry: &Registry) {
    samples.add(Id::BuildInfo, &[Supervisor::VERSION], 1.0);
    samples.add(Id::AttachReady, &[], yes(supervisor.attach_error.is_none()));
    samples.add(Id::Events, &[], whole(registry.journal().recorded()));
    samples.add(Id::Refused, &[], whole(registry.audit().count()));
    alerts(samples, &supervisor.alerts);
    if let Some(hermes) = &supervisor.hermes {
        self::hermes(samples, &hermes.view());
    }
    let engine = registry.engine();
    samples.add(Id::EngineReachable, &[], yes(engine.error.is_none()));
    samples.add(Id::EngineSince, &[], moment(engine.since));
    if let Some(version) = &engine.version {
        let told = [
            supervisor.engine.as_str(),
            &version.version,
            &version.api_version,
        ];
        samples.add(Id::EngineInfo, &told, 1.0);
    }
    samples.add(Id::ProcessStart, &[], moment(supervisor.started_at));
    process(samples);
    children(samples);
}

/// How alerts fare; nothing of a receiver that is not configured.
fn alerts(samples: &mut Samples, alerts: &Alerts) {
    for (receiver, state) in [
        ("webhook", alerts.webhook()),
        ("on_change", alerts.on_change()),
    ] {
        let Some(state) = state else { continue };
        for (id, value) in [
            (Id::AlertsDelivered, state.delivered),
            (Id::AlertsFailed, state.failed_attempts),
            (Id::AlertsSuperseded, state.superseded),
            (Id::AlertsDropped, state.dropped),
        ] {
            samples.add(id, &[receiver], whole(value));
        }
        samples.add(Id::AlertsWaiting, &[receiver], count(state.waiting));
    }
}

/// How registering with Hermes goes.
fn hermes(samples: &mut Samples, hermes: &HermesView) {
    let reachable = hermes.reachable == Some(true);
    samples.add(Id::HermesReachable, &[], yes(reachable));
    for (state, components) in [("wanted", hermes.wanted), ("registered", hermes.registered)] {
        samples.add(Id::HermesComponents, &[state], count(components));
    }
    for (outcome, requests) in [
        ("registration", hermes.registrations),
        ("heartbeat", hermes.heartbeats),
        ("refused", hermes.refused),
        ("failed", hermes.failed),
    ] {
        samples.add(Id::HermesRequests, &[outcome], whole(requests));
    }
}

/// The supervisor's own cost, under the names that every client library has for it.
fn process(samples: &mut Samples) {
    let cost = Cost::now();
    let cpu_s = cost
        .cpu_ms
        .map(|ms| Duration::from_millis(ms).as_secs_f64());
    for (id, value) in [
        (Id::ProcessCpu, cpu_s),
        (Id::ProcessVirtual, cost.virtual_bytes.map(whole)),
        (Id::ProcessResident, cost.resident_bytes.map(whole)),
        (Id::ProcessFds, cost.fds.map(whole)),
        (Id::ProcessMaxFds, cost.fd_limit.map(whole)),
        (Id::ProcessThreads, cost.threads.map(whole)),
    ] {
        samples.add_known(id, &[], value);
    }
}

/// The attacher, and its children: the companions. Their CPU time is not told: added up over those that live, it
/// would fall with each that leaves, and a scraper would take that for a new beginning.
fn children(samples: &mut Samples) {
    let is_attacher = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.ends_with(b"\0attacher\0")
    };
    let mut attachers = children_of(std::process::id());
    attachers.retain(is_attacher);
    let companions = attachers.iter().flat_map(|&pid| children_of(pid)).collect();
    for (role, pids) in [("attacher", attachers), ("companion", companions)] {
        samples.add(Id::Children, &[role], count(pids.len()));
        let private = pids.iter().filter_map(|&pid| private_bytes(pid)).sum();
        samples.add(Id::ChildrenMemory, &[role], whole(private));
    }
}

/// The direct children of a process, by the list that the kernel keeps for each of its threads
/// (`/proc/PID/task/TID/children`, proc_pid_task(5)); none where it keeps no such lists.
fn children_of(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let lists = threads.into_iter().flatten().flatten();
    let lists = lists.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids = |list: String| -> Vec<u32> {
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.collect()
    };
    lists.flat_map(pids).collect()
}

/// What a process has for itself in memory, in bytes: resident, and not that of a file or of shared memory, as the
/// sealed program is (`/proc/PID/statm`, proc_pid_statm(5)). None where it is gone.
fn private_bytes(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = statm
        .split_whitespace()
        .map_while(|pages| pages.parse::<u64>().ok())
        .skip(1);
    let (resident, shared) = (pages.next()?, pages.next()?);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}
