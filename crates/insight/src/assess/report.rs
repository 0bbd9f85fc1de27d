//! What is told of a container.

use std::collections::BTreeMap;

use diogenes_proto::{Finding, Health, Report, Service, Timestamp, Untrusted};

use super::judgement::{FROZEN, Trouble};
use super::track::{Presence, Track};
use super::{Assessor, finding};
use crate::order::sort_by;
use crate::recognise::FRONT_ROLE;
use crate::words::{count, decimal, list, role_words, sentence};

/// Most services and findings told.
const MAX_SERVICES: usize = 128;
const MAX_FINDINGS: usize = 64;
/// Most sockets and processes told of one service.
const MAX_LISTENERS: usize = 16;
const MAX_PIDS: usize = 64;
const MAX_PORTS: usize = 64;

/// The order in which a reader wants to know: what faces the world first.
pub(crate) const ROLES: [&str; 10] = [
    "proxy",
    "web",
    "api",
    "db",
    "search",
    "storage",
    "cache",
    "queue",
    "worker",
    "scheduler",
];

impl Assessor {
    /// The state of the container, from everything taken in so far. `snapshot_hash` names the snapshot it
    /// rests on. It fits a line of the protocol.
    pub fn report(&mut self, now: Timestamp, snapshot_hash: String) -> Report {
        self.settle(now);
        let mut services = self.services();
        let (findings, left_out) = self.findings(now);
        let mut omitted = self.beyond + left_out + services.len().saturating_sub(MAX_SERVICES);
        services.truncate(MAX_SERVICES);
        for service in &mut services {
            omitted += usize::from(shorten(service));
        }
        let report = Report {
            at: now,
            snapshot: snapshot_hash,
            health: self.health,
            since: self.since.unwrap_or(now),
            reason: sentence(self.reason()),
            roles: roles(&services),
            services,
            resources: self.container.resources.clone(),
            findings,
            processes: self.container.processes,
            omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
        };
        report.fitted()
    }

    fn services(&self) -> Vec<Service> {
        let web = self
            .tracks
            .iter()
            .filter(|track| serves_the_web(track))
            .count();
        let mut services: Vec<Service> = Vec::with_capacity(self.tracks.len());
        for track in &self.tracks {
            let mut service = service(track);
            let others = web - usize::from(serves_the_web(track));
            let is_usual = track.seen.own.role.is_none();
            if is_usual && others > 0 && track.seen.entry.is_some_and(|entry| entry.fronts) {
                service.role = Some(FRONT_ROLE.to_owned());
            }
            services.push(service);
        }
        sort_by(&mut services, |a, b| {
            let rank = |service: &Service| {
                let role = service.role.as_deref();
                let place = ROLES
                    .iter()
                    .position(|r| Some(*r) == role)
                    .unwrap_or(ROLES.len());
                (place, service.ports.first().copied().unwrap_or(u16::MAX))
            };
            rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
        });
        services
    }

    /// The findings, the weightiest first, with the number of those left out.
    fn findings(&mut self, now: Timestamp) -> (Vec<Finding>, usize) {
        let mut findings = finding::findings(self.tracks.iter(), &self.container, now);
        findings.extend(self.posture.findings(self.tracks.iter(), now));
        findings.retain(|finding| !self.words.silences(&finding.code));
        findings.extend(self.words.finding(now));
        for finding in &mut findings {
            let name = (&finding.code, &finding.service);
            let known = self
                .found_since
                .binary_search_by(|(code, service, _)| (code, service).cmp(&name));
            finding.since = known.map_or(now, |at| self.found_since[at].2);
        }
        let names = findings
            .iter()
            .map(|f| (f.code.clone(), f.service.clone(), f.since));
        self.found_since = names.collect();
        sort_by(&mut self.found_since, Ord::cmp);
        sort_by(&mut findings, |a, b| {
            (a.severity, a.since, &a.code, &a.service)
                .cmp(&(b.severity, b.since, &b.code, &b.service))
        });
        let left_out = findings.len().saturating_sub(MAX_FINDINGS);
        findings.truncate(MAX_FINDINGS);
        (findings, left_out)
    }

    /// Why the container is as it is, in one sentence.
    fn reason(&self) -> String {
        if self.container.is_frozen() {
            return FROZEN.to_owned();
        }
        let worst = self.tracks.iter().find(|track| track.health == self.health);
        match worst {
            Some(track) if self.health != Health::Healthy => because(track),
            None if self.health == Health::Degraded => self.strain(),
            None => "nothing runs here that could be asked".to_owned(),
            Some(_) => self.praise(),
        }
    }

    /// That all work who could be asked.
    fn praise(&self) -> String {
        let asked = self.tracks.iter().filter(|track| !track.is_left_alone());
        let asked: Vec<&Track> = asked.collect();
        let praise = match asked.as_slice() {
            [one] => format!("{} works", one.name()),
            [one, two] => format!("{} and {} work", one.name(), two.name()),
            many => format!("all {} work", count(many.len(), "service")),
        };
        match self.tracks.len() - asked.len() {
            0 => praise,
            number => format!("{praise}; {} not to be asked", count(number, "service")),
        }
    }

    fn strain(&self) -> String {
        match (
            self.container.resources.memory_percent(),
            self.container.pids_near_limit(),
        ) {
            (Some(percent), _) if self.container.is_memory_short() => {
                format!("memory is at {}% of its limit", decimal(percent, 0))
            }
            (_, Some((pids, limit))) => {
                format!("{pids} of {limit} processes and threads are in use")
            }
            _ => "resources are short".to_owned(),
        }
    }
}

/// Why a service is not healthy, in one sentence.
fn because(track: &Track) -> String {
    let name = track.name();
    let verb = match (track.health, track.judgement.trouble) {
        (Health::Unhealthy, Trouble::Gone | Trouble::Silent | Trouble::Refusing) => {
            "does not answer"
        }
        (Health::Unhealthy, Trouble::Failing) => "answers with errors",
        (Health::Unhealthy, Trouble::Deaf) => "does not listen",
        (Health::Unhealthy, Trouble::None) => "does not work",
        (Health::Degraded, _) => "is degraded",
        (Health::Starting, _) => "is starting",
        _ => "may or may not work",
    };
    match track.judgement.evidence.first() {
        Some(evidence) => format!("{name} {verb}: {evidence}"),
        None => format!("{name} {verb}"),
    }
}

fn serves_the_web(track: &Track) -> bool {
    let is_proxy = track.seen.entry.is_some_and(|entry| entry.fronts);
    track.role() == Some("web") && !is_proxy
}

fn service(track: &Track) -> Service {
    let is_there = track.presence == Presence::Running;
    Service {
        key: track.key.clone(),
        name: track.name(),
        kind: track.kind().to_owned(),
        role: track.role().map(Into::into),
        version: track
            .learnt
            .version
            .clone()
            .or_else(|| track.seen.version.clone()),
        ports: track.seen.ports.clone(),
        listeners: if is_there {
            track.seen.listeners.clone()
        } else {
            Vec::new()
        },
        pids: match track.presence {
            Presence::Ended { .. } => Vec::new(),
            Presence::Running | Presence::Deaf { .. } => track.seen.pids.clone(),
        },
        health: track.health,
        activity: track.activity,
        since: track.since,
        evidence: track.judgement.evidence.clone(),
        probes: track.probes,
        start_ms: track
            .start
            .took()
            .and_then(|took| u64::try_from(took.as_millis()).ok()),
    }
}

/// Cuts the lists of a service to what a reader can use; says whether anything was lost.
fn shorten(service: &mut Service) -> bool {
    let before = (
        service.listeners.len(),
        service.pids.len(),
        service.ports.len(),
    );
    service.listeners.truncate(MAX_LISTENERS);
    for listener in &mut service.listeners {
        listener.owners.truncate(MAX_PIDS);
    }
    service.pids.truncate(MAX_PIDS);
    service.ports.truncate(MAX_PORTS);
    before
        != (
            service.listeners.len(),
            service.pids.len(),
            service.ports.len(),
        )
}

/// Role → services in words; of several with one role, all.
fn roles(services: &[Service]) -> BTreeMap<String, Untrusted> {
    let mut words = BTreeMap::new();
    for role in services.iter().filter_map(|service| service.role.as_ref()) {
        if !words.contains_key(role) {
            let same = services.iter().filter(|s| s.role.as_ref() == Some(role));
            let same: Vec<String> = same.map(role_words).collect();
            words.insert(role.clone(), sentence(list(&same)));
        }
    }
    words
}
