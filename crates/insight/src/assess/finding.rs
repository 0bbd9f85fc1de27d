//! What is wrong, each fact with a stable code.
//!
//! | code | severity | the fact |
//! |---|---|---|
//! | `service-gone` | critical | all processes of a service have ended |
//! | `service-deaf` | critical | its processes live and listen no more |
//! | `service-silent` | critical | it does not answer, or not in its protocol |
//! | `service-refusing` | critical | it refuses connections |
//! | `service-failing` | critical | it answers with errors |
//! | `crash-loop` | critical | its main process is replaced again and again |
//! | `accept-queue-full` | warning | connections wait and no more are taken |
//! | `process-stopped` | warning | a process is stopped by a signal |
//! | `fd-limit-near` | warning | a process has few file descriptors left |
//! | `certificate-expired` | critical | the certificate it shows is out of date |
//! | `certificate-expires` | warning | the certificate it shows will be out of date within two weeks |
//! | `memory-near-limit` | warning | the container has little memory left |
//! | `out-of-memory-kills` | warning | the kernel ended processes for want of memory |
//! | `disk-full` | critical | nothing more can be kept on a file system |
//! | `disk-nearly-full` | warning | little more can be kept on it |
//! | `pids-near-limit` | warning | the container can start few more processes |
//!
//! What is careless and not wrong, [`super::posture`] finds; that the container's own words are refused
//! (`own-words-refused`), [`crate::own_words`].

use diogenes_proto::{Finding, Health, Severity, Timestamp, Untrusted};

use super::condition::{is_full, what_is_left};
use super::container::Container;
use super::judgement::Trouble;
use super::track::Track;
use crate::words::{bytes, clock, decimal, sentence};

/// Everything that is wrong now, each found just now; the caller remembers since when.
pub(crate) fn findings<'a>(
    tracks: impl Iterator<Item = &'a Track>,
    container: &Container,
    now: Timestamp,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = tracks.flat_map(|track| of_service(track, now)).collect();
    found.extend(of_container(container, now));
    found
}

fn of_service(track: &Track, now: Timestamp) -> Vec<Finding> {
    let name = track.name();
    let condition = &track.condition;
    let mut found = Vec::new();
    let mut add = |code: &str, severity, summary: String| {
        found.push(Finding {
            code: code.to_owned(),
            severity,
            summary: sentence(summary),
            service: Some(track.key.clone()),
            evidence: Vec::new(),
            since: now,
        });
    };
    if track.health == Health::Unhealthy {
        let (code, verb) = match track.judgement.trouble {
            Trouble::Gone => ("service-gone", "is gone"),
            Trouble::Deaf => ("service-deaf", "does not listen"),
            Trouble::Silent => ("service-silent", "does not answer"),
            Trouble::Refusing => ("service-refusing", "refuses connections"),
            Trouble::Failing => ("service-failing", "answers with errors"),
            Trouble::None => ("", ""),
        };
        let because = track.judgement.evidence.first();
        if let (false, Some(because)) = (code.is_empty(), because) {
            add(
                code,
                Severity::Critical,
                format!("{name} {verb}: {because}"),
            );
        }
    }
    if track.is_crash_looping(now) {
        let restarts = track.recent_restarts(now);
        let summary = format!(
            "{name} crash-loops: its main process was replaced {restarts} times within a minute"
        );
        add("crash-loop", Severity::Critical, summary);
    }
    if let Some(queue) = condition.queue.filter(|queue| queue.is_full()) {
        let summary = format!(
            "the accept queue of {name} on {} is full: {} of {} connections wait",
            queue.place(),
            queue.waiting,
            queue.backlog
        );
        add("accept-queue-full", Severity::Warning, summary);
    }
    if let Some(pid) = condition.stopped.first() {
        let summary = match condition.stopped.len() {
            1 => format!("pid {pid} of {name} is stopped (SIGSTOP); SIGCONT would let it go on"),
            number => {
                format!("{number} processes of {name} are stopped (SIGSTOP), pid {pid} among them")
            }
        };
        add("process-stopped", Severity::Warning, summary);
    }
    if let Some(near) = condition.descriptors {
        let summary = format!(
            "pid {} of {name} has {} of {} file descriptors open",
            near.pid, near.open, near.limit
        );
        add("fd-limit-near", Severity::Warning, summary);
    }
    if let Some(expires_at) = track.learnt.expires_at.filter(|_| track.is_running()) {
        let days = expires_at.since(now).as_secs() / (24 * 60 * 60);
        if expires_at <= now {
            let summary =
                format!("the certificate of {name} has expired: no client that checks it connects");
            add("certificate-expired", Severity::Critical, summary);
        } else if days < u64::from(track.seen.own.thresholds.certificate_days) {
            let summary = format!("the certificate of {name} expires in {days} days");
            add("certificate-expires", Severity::Warning, summary);
        }
    }
    for finding in &mut found {
        finding.evidence = track
            .judgement
            .evidence
            .iter()
            .take(4)
            .cloned()
            .collect::<Vec<Untrusted>>();
    }
    found
}

fn of_container(container: &Container, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |code: &str, severity, summary: String| {
        found.push(Finding {
            code: code.to_owned(),
            severity,
            summary: sentence(summary),
            service: None,
            evidence: Vec::new(),
            since: now,
        });
    };
    let resources = &container.resources;
    if let (true, Some(used), Some(limit), Some(percent)) = (
        container.is_memory_short(),
        resources.memory_bytes,
        resources.memory_limit_bytes,
        resources.memory_percent(),
    ) {
        let summary = format!(
            "memory is at {}%: {} of {}",
            decimal(percent, 0),
            bytes(used),
            bytes(limit)
        );
        add("memory-near-limit", Severity::Warning, summary);
    }
    if let Some(kills) = container.recent_kills(now) {
        let processes = crate::words::count(
            usize::try_from(kills.number).unwrap_or(usize::MAX),
            "process",
        );
        let summary = format!(
            "the kernel ended {processes} for want of memory, last noticed at {}",
            clock(kills.at, now)
        );
        add("out-of-memory-kills", Severity::Warning, summary);
    }
    for disk in &resources.disks {
        let (code, severity) = if is_full(disk) {
            ("disk-full", Severity::Critical)
        } else {
            ("disk-nearly-full", Severity::Warning)
        };
        add(code, severity, what_is_left(disk));
    }
    if let Some((pids, limit)) = container.pids_near_limit() {
        add(
            "pids-near-limit",
            Severity::Warning,
            format!("{pids} of {limit} processes and threads are in use"),
        );
    }
    found
}
