//! The memory of a container: its services over time, judged.
//!
//! ```text
//!              observe(snapshot)            due ─► ProbeSpec ─► probed(outcome)
//!                    │                                                │
//!                    ▼                                                ▼
//!   track:  new ─► starting ─► healthy ⇄ degraded ─► unhealthy ◄── its process ended
//!                                  ▲                     │
//!                                  └───── it is back ────┘
//! ```
//!
//! The owner feeds in snapshots and the outcomes of the probes it was told to run, and takes out reports. A
//! service that is gone is kept as unhealthy, for it belongs to the container, until it comes back or newer
//! losses push it out. One that somebody started by hand (`docker exec`) is forgotten a while after it left.

mod condition;
mod container;
mod finding;
mod judgement;
mod link;
mod past;
mod posture;
mod report;
mod schedule;
mod start;
mod track;

use std::time::Duration;

use diogenes_proto::{
    Background, Health, Listener, Origin, PastStart, ProbeOutcome, ProbeSpec, Process, Snapshot,
    Timestamp, Transport, Untrusted,
};

use crate::catalogue::Kind;
use crate::order::{ByPid, sort_by_key};
use crate::own_words::OwnWords;
use crate::program::Program;
use crate::recognise::origin::origin;
use crate::recognise::{Recognised, program_of, recognise_counting, unique};
use condition::Condition;
use container::Container;
use posture::Posture;
pub(crate) use report::ROLES;
use track::{Absence, LOOKS_FOR_SUCCESSOR, Presence, Track};

/// Most services that are remembered after they are gone.
const MAX_GONE: usize = 32;
/// How long a service that was started by hand is missed.
const VISITORS_ARE_MISSED: Duration = Duration::from_secs(10 * 60);
/// Most probes at a time, so that looking at a crowded container is no burst.
const MAX_IN_FLIGHT: usize = 16;

/// A probe to be run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The service's key, to be given back with the outcome.
    pub key: String,
    /// What to ask where.
    pub spec: ProbeSpec,
    /// Whether the version should be asked too: it is not known, and was not asked before.
    pub wants_version: bool,
    /// Whether a path should be searched for by which the service tells whether it is ready.
    pub wants_readiness: bool,
}

/// The services of one container over time.
#[derive(Clone, Debug, Default)]
pub struct Assessor {
    words: OwnWords,
    tracks: Vec<Track>,
    container: Container,
    posture: Posture,
    /// How long services took to start that have not been seen yet.
    past_starts: Vec<PastStart>,
    /// Services beyond those that are looked after.
    beyond: usize,
    health: Health,
    since: Option<Timestamp>,
    /// Since when each finding holds: code, service and moment, in the order of the first two.
    found_since: Vec<(String, Option<String>, Timestamp)>,
}

impl Assessor {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what the container says of itself, in place of what it said before. It shows from the next snapshot on.
    pub fn hear(&mut self, words: OwnWords) {
        self.container.thresholds = words.thresholds();
        self.words = words;
    }

    /// Takes in a snapshot. Call it whenever one is taken: at intervals, and when a service's process ends.
    pub fn observe(&mut self, now: Timestamp, snapshot: &Snapshot) {
        let processes = ByPid::new(&snapshot.processes);
        let was_frozen = self.container.is_frozen();
        let cpu = self.container.observe(now, snapshot, &processes);
        self.posture = Posture::of(snapshot);
        let (seen, beyond) = recognise_counting(snapshot, &self.words);
        self.beyond = beyond;
        let matches = self.matches(&seen, &processes);
        let mut is_seen = vec![false; self.tracks.len()];
        let were_running: Vec<bool> = self.tracks.iter().map(Track::is_running).collect();
        let mut fresh = Vec::new();
        let mut members: Vec<u32> = self
            .tracks
            .iter()
            .flat_map(|track| track.seen.pids.iter().copied())
            .collect();
        members.sort_unstable();
        for (mut service, known) in seen.into_iter().zip(matches) {
            let learnt = known.map(|index| self.tracks[index].kind());
            self.words.apply(&mut service, learnt);
            let condition = Condition::of(&service, &processes, &snapshot.resources.disks);
            match known {
                Some(index) => {
                    is_seen[index] = true;
                    let track = &mut self.tracks[index];
                    let main = track.seen.pids.first();
                    let main_lives = main.is_some_and(|&pid| lives(track, pid, &processes));
                    track.seen_again(service, condition, main_lives, now);
                }
                None if is_remnant(&service, &members) => {}
                None => {
                    let mut track = Track::new(service.clone(), now);
                    // What was there before the first look may have listened for long.
                    if self.since.is_some() {
                        track.schedule.settle(now);
                        track.begins(now);
                    }
                    track.seen_again(service, condition, true, now);
                    fresh.push(track);
                }
            }
        }
        // Whoever is of a service takes nobody else's place.
        let mut known: Vec<u32> = (self.tracks.iter().zip(&is_seen))
            .filter(|(_, is_seen)| **is_seen)
            .map(|(track, _)| track)
            .chain(&fresh)
            .flat_map(|track| track.seen.pids.iter().copied())
            .collect();
        known.sort_unstable();
        for (track, _) in self
            .tracks
            .iter_mut()
            .zip(is_seen)
            .filter(|(_, is_seen)| !is_seen)
        {
            let mut pids = track.seen.pids.iter();
            let lives = pids.any(|&pid| lives(track, pid, &processes));
            let port_taken = snapshot
                .listeners
                .iter()
                .any(|l| l.port.is_some_and(|port| track.seen.ports.contains(&port)));
            // A worker may be seen before it shows whose it is. What it listened on is the other's then.
            let is_known = |pid| known.binary_search(pid).is_ok();
            if port_taken && track.seen.pids.first().is_some_and(is_known) {
                track.seen.listeners.clear();
            }
            let is_zombie = |pid: &u32| processes.get(*pid).is_some_and(|p| p.state == 'Z');
            let zombie = track.seen.pids.first().copied().filter(is_zombie);
            let is_prelude = track.was_prelude() || is_prelude(snapshot, &track.seen);
            let absence = Absence {
                port_taken,
                zombie,
                is_prelude,
                successor: successor(snapshot, &track.seen, &known, is_prelude),
            };
            track.missed(lives, absence, now);
        }
        // One service's end, or its return, is often its neighbours' trouble, or the end of it; a new one may be what a
        // sick one waits for.
        let now_running = self.tracks.iter().map(Track::is_running);
        let (has_moved, has_newcomer) = (now_running.ne(were_running), !fresh.is_empty());
        for track in self.tracks.iter_mut().filter(|t| t.is_running()) {
            if has_moved || has_newcomer && track.failures > 0 {
                track.schedule.hurry(now);
            }
        }
        self.tracks.extend(fresh);
        self.tell_of_past_starts();
        if was_frozen && !self.container.is_frozen() {
            for track in &mut self.tracks {
                track.thawed(now);
            }
        }
        self.forget(now);
        self.name_keys();
        if let Some(cpu) = cpu {
            for track in self
                .tracks
                .iter_mut()
                .filter(|t| t.presence == Presence::Running)
            {
                track.activity = cpu.activity(&track.seen.pids);
            }
        }
        self.settle(now);
    }

    /// The probes to run now. Each is in flight from then on, until [`Self::probed`] or, where its outcome
    /// never comes, for 15 s. Nobody is asked who cannot answer: none while the container is paused.
    pub fn due(&mut self, now: Timestamp) -> Vec<Due> {
        if self.container.is_frozen() {
            return Vec::new();
        }
        let in_flight = self
            .tracks
            .iter()
            .filter(|t| t.schedule.is_in_flight(now))
            .count();
        let mut due = Vec::new();
        let mut waiting: Vec<&mut Track> = self
            .tracks
            .iter_mut()
            .filter(|t| t.schedule.is_due(now))
            .collect();
        // Who has waited longest goes first, so that a crowd is served in turn.
        sort_by_key(&mut waiting, |track| track.schedule.next());
        for track in waiting {
            if in_flight + due.len() >= MAX_IN_FLIGHT {
                break;
            }
            if let Some(spec) = track.probe() {
                due.push(Due {
                    key: track.key.clone(),
                    spec,
                    wants_version: track.wants_version(),
                    wants_readiness: track.wants_readiness(),
                });
                track.schedule.started(now);
            }
        }
        due
    }

    /// Takes in what came of a probe. An outcome for a key that is not known any more is dropped.
    pub fn probed(&mut self, now: Timestamp, key: &str, outcome: ProbeOutcome) {
        if let Some(track) = self
            .tracks
            .iter_mut()
            .find(|t| t.key == key && t.presence == Presence::Running)
            .filter(|_| !self.container.is_frozen())
        {
            track.probed(outcome, now);
            self.settle(now);
        }
    }

    /// A worker of which is to be seen now what it is connected to, by its key, and its processes: for [`Self::linked`].
    #[must_use]
    pub fn unlinked(&self, now: Timestamp) -> Option<(String, Vec<u32>)> {
        let mut tracks = self.tracks.iter().filter(|_| !self.container.is_frozen());
        let due = tracks.find(|track| track.link_due().is_some_and(|due| due <= now))?;
        Some((due.key.clone(), due.seen.pids.clone()))
    }

    /// Takes in what a worker is connected to, in words; None where that cannot be seen.
    pub fn linked(&mut self, now: Timestamp, key: &str, found: Option<&[Untrusted]>) {
        let mut tracks = self.tracks.iter_mut();
        if let Some(track) = tracks.find(|track| track.key == key) {
            track.link_looked(found, now);
            self.settle(now);
        }
    }

    /// A service that nobody has looked up yet, and where its program comes from. Its version is asked for where neither
    /// its files' names nor a probe has told it. Each is given once in its process's life. `snapshot` is the newest.
    pub fn unexamined(&mut self, snapshot: &Snapshot) -> Option<(String, Origin)> {
        self.tracks.iter_mut().find_map(|track| {
            let (pid, _) = track.main().filter(|_| track.is_unexamined())?;
            let process = |pid| snapshot.processes.iter().find(|p| p.container_pid == pid);
            let main = process(pid)?;
            track.learnt.looked_up = true;
            // A manager of processes does not load what they load, and lies elsewhere.
            let loads = |p: &&Process| p.frameworks.iter().any(|name| name == track.seen.kind);
            let mut own = track.seen.pids.iter().filter_map(|&pid| process(pid));
            let loader = own.find(loads);
            let origin = Origin {
                wants_version: track.learnt.version.is_none(),
                ..origin(loader.unwrap_or(main), track.seen.entry)
            };
            Some((track.key.clone(), origin))
        })
    }

    /// Takes in what the files told.
    pub fn looked_up(&mut self, key: &str, background: Background) {
        let mut tracks = self.tracks.iter_mut();
        if let Some(track) = tracks.find(|track| track.key == key) {
            let version = track.learnt.version.take();
            track.learnt.version = version.or(background.version);
            track.learnt.writable = background.writable;
        }
    }

    /// Lets the last outcome of each service go that is being asked at this moment: it is too old to count.
    pub fn doubt_unanswered(&mut self, now: Timestamp) {
        for track in self
            .tracks
            .iter_mut()
            .filter(|t| t.schedule.is_in_flight(now))
        {
            track.outcome = None;
        }
        self.settle(now);
    }

    /// When [`Self::due`] or the passing of time has something new; None where only a snapshot can bring it.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if self.container.is_frozen() {
            return None;
        }
        let in_flight = self
            .tracks
            .iter()
            .filter(|t| t.schedule.is_in_flight(now))
            .count();
        let is_full = in_flight >= MAX_IN_FLIGHT;
        let probes = self
            .tracks
            .iter()
            .filter(|t| t.probe().is_some() && (!is_full || t.schedule.is_in_flight(now)))
            .map(|t| t.schedule.next());
        let changes = self.tracks.iter().filter_map(|t| t.changes_at(now));
        let links = self.tracks.iter().filter_map(Track::link_due);
        probes.chain(changes).chain(links).min()
    }

    /// Whether something was seen that may be over at any moment, so that the next snapshot should not be far.
    #[must_use]
    pub fn is_restless(&self) -> bool {
        self.container.is_frozen() || self.tracks.iter().any(|track| track.stuck.is_some())
    }

    /// How a service is probed now; None where it is not known, or cannot be probed.
    #[must_use]
    pub fn probe_of(&self, key: &str) -> Option<ProbeSpec> {
        self.tracks
            .iter()
            .find(|t| t.key == key)
            .and_then(Track::probe)
    }

    /// Within what to look again, because what ended may have been a prelude: whoever it prepared takes its place at once.
    /// None where nobody is awaited.
    #[must_use]
    pub fn awaits_successor(&self, now: Timestamp) -> Option<Duration> {
        let awaits = |track: &Track| track.is_over_but_awaited(now);
        self.tracks
            .iter()
            .any(awaits)
            .then_some(LOOKS_FOR_SUCCESSOR)
    }

    /// The main process of each service that is there: those whose end must be noticed at once.
    pub fn main_pids(&self) -> impl Iterator<Item = u32> + '_ {
        let present = self.tracks.iter().filter(|t| t.is_running());
        present.filter_map(|t| t.seen.pids.first().copied())
    }

    /// Which track each recognised service is, if any. Three rounds, from the surest sign to the weakest: the
    /// same process; the same key; the same program come back.
    fn matches(&self, seen: &[Recognised], processes: &ByPid<'_>) -> Vec<Option<usize>> {
        let mut matches = vec![None; seen.len()];
        let mut taken = vec![false; self.tracks.len()];
        for sign in [same_process, same_key, come_back] {
            let sign = |track: &Track, service: &_| sign(track, service, processes);
            for (service, found) in seen.iter().zip(&mut matches) {
                if found.is_some() {
                    continue;
                }
                let mut candidates = self
                    .tracks
                    .iter()
                    .enumerate()
                    .filter(|(index, track)| !taken[*index] && sign(track, service));
                // Of two that might have come back, neither is taken for the other.
                if let (Some((index, _)), None) = (candidates.next(), candidates.next()) {
                    taken[index] = true;
                    *found = Some(index);
                }
            }
        }
        matches
    }

    /// Drops what need not be remembered.
    fn forget(&mut self, now: Timestamp) {
        // Whom a prelude prepared may have been there before it was quite gone.
        let is_over = |gone: &Track| {
            let took_over = |other: &Track| {
                let started_at = other.seen.started_at.filter(|_| other.is_running());
                other.seen.program == gone.seen.program
                    && started_at.is_some_and(|at| gone.is_elder(at))
            };
            gone.was_prelude() && self.tracks.iter().any(took_over)
        };
        let are_over: Vec<bool> = self.tracks.iter().map(is_over).collect();
        let mut are_over = are_over.into_iter();
        self.tracks.retain(|_| !are_over.next().unwrap_or(false));
        self.tracks.retain(|track| match track.presence {
            Presence::Running => true,
            _ if track.is_stand_in() => false,
            // A claim that was made before it listened, and is not made any more.
            Presence::Deaf { .. } if track.seen.listeners.is_empty() => false,
            // Nor is it known that what a stranger has closed was more than a client's.
            Presence::Deaf { .. } if matches!(track.seen.kind, "udp" | "unix") => false,
            Presence::Deaf { at, .. } | Presence::Ended { at, .. } => {
                !track.seen.visitor || now.since(at) < VISITORS_ARE_MISSED
            }
        });
        // The main process stands in where there is no service at all, not even one that is missed.
        if !self.tracks.iter().all(Track::is_stand_in) {
            self.tracks.retain(|track| !track.is_stand_in());
        }
        let gone_at = |track: &Track| match track.presence {
            Presence::Running => None,
            Presence::Deaf { at, .. } | Presence::Ended { at, .. } => Some(at),
        };
        let mut gone: Vec<Timestamp> = self.tracks.iter().filter_map(gone_at).collect();
        if let Some(surplus) = gone
            .len()
            .checked_sub(MAX_GONE)
            .filter(|&surplus| surplus > 0)
        {
            sort_by_key(&mut gone, |&at| at);
            let until = gone[surplus - 1];
            let mut to_drop = surplus;
            self.tracks.retain(|track| {
                let drops = to_drop > 0 && gone_at(track).is_some_and(|at| at <= until);
                to_drop -= usize::from(drops);
                !drops
            });
        }
    }

    /// Keeps each track's key, but for one that was known before it had a port, or as another kind.
    fn name_keys(&mut self) {
        let mut taken: Vec<String> = Vec::new();
        let mut renamed = Vec::new();
        for (index, track) in self.tracks.iter().enumerate() {
            let kind = track.key.split(':').next().unwrap_or_default();
            let has_port = track.key.contains(':');
            let is_fit = kind == track.seen.kind && (has_port || track.seen.ports.is_empty());
            if is_fit && !taken.contains(&track.key) {
                taken.push(track.key.clone());
            } else {
                renamed.push(index);
            }
        }
        for index in renamed {
            let wish = self.tracks[index]
                .seen
                .key
                .split('#')
                .next()
                .unwrap_or_default()
                .to_owned();
            let key = unique(&wish, |key| taken.iter().any(|other| other == key));
            taken.push(key.clone());
            self.tracks[index].key = key;
        }
    }

    fn settle(&mut self, now: Timestamp) {
        let is_frozen = self.container.is_frozen();
        for track in self.tracks.iter_mut().filter(|track| !track.is_worker()) {
            track.settle(now, is_frozen);
        }
        let broker = self.lost_broker();
        for track in self.tracks.iter_mut().filter(|track| track.is_worker()) {
            track.lost_broker.clone_from(&broker);
            track.settle(now, is_frozen);
        }
        let own = [
            self.container.is_memory_short(),
            self.container.pids_near_limit().is_some(),
        ];
        let strained = (own.contains(&true) && !is_frozen).then_some(Health::Degraded);
        let counting = self.tracks.iter().filter(|track| !track.is_left_alone());
        let health = Health::worst(counting.map(|t| t.health).chain(strained));
        if self.since.is_none() || health != self.health {
            self.health = health;
            self.since = Some(now);
        }
    }
}

/// What workers of the same container take their work from, the likeliest first.
const BROKERS: [&str; 3] = ["queue", "cache", "db"];

impl Assessor {
    /// The service beside the workers that is most likely their broker, where none of its role works.
    fn lost_broker(&self) -> Option<Untrusted> {
        let of_role = |role| move |track: &&Track| track.role() == Some(role);
        let role = BROKERS
            .into_iter()
            .find(|role| self.tracks.iter().any(|track| of_role(*role)(&track)))?;
        let mut brokers = self.tracks.iter().filter(of_role(role));
        let first = brokers.clone().next()?;
        let all_lost = brokers.all(|track| track.health == Health::Unhealthy);
        all_lost.then(|| first.name())
    }
}

/// Whether a process of a service lives on.
#[inline(never)]
fn lives(track: &Track, pid: u32, processes: &ByPid<'_>) -> bool {
    let process = processes.get(pid).filter(|p| p.state != 'Z');
    // A process that started later than the service was seen is another one with the same number.
    let is_it = |(main, at)| pid != main || process.is_some_and(|p| p.started_at == at);
    process.is_some() && track.main().is_none_or(is_it)
}

/// Whether it is a part of a service that falls apart: a worker of one of `members`, ascending, that has neither its main
/// process nor their socket any more, and ends soon.
fn is_remnant(service: &Recognised, members: &[u32]) -> bool {
    let is_member = |pid| members.binary_search(pid).is_ok();
    service.listeners.is_empty()
        && service.entry.is_some_and(|entry| entry.listens)
        && service.pids.first().is_some_and(is_member)
}

/// Who runs the program of a service since that was started, and is of none of the services, whose processes are
/// `known`, ascending: it may take the service's place. After a prelude it may also be who was there before, as a script.
fn successor(
    snapshot: &Snapshot,
    gone: &Recognised,
    known: &[u32],
    is_prelude: bool,
) -> Option<(u32, Timestamp)> {
    let before = gone.started_at.filter(|_| !gone.program.is_empty())?;
    let candidates = snapshot.processes.iter().filter(|p| {
        (is_prelude || p.started_at > before)
            && p.state != 'Z'
            && known.binary_search(&p.container_pid).is_err()
            && !gone.pids.contains(&p.container_pid)
            && program_of(p) == gone.program
    });
    let eldest = candidates.min_by_key(|p| (p.started_at, p.container_pid))?;
    Some((eldest.container_pid, eldest.started_at))
}

/// Whether a service was perhaps there only for a script to prepare it, and ended as it was to: entrypoints of databases
/// start the server without its port, fill it, stop it, and become it. Source: the entrypoints of the official images of
/// PostgreSQL, MySQL and MariaDB.
fn is_prelude(snapshot: &Snapshot, gone: &Recognised) -> bool {
    let is_database = |entry: &Kind| entry.role == "db" && entry.default_port.is_some();
    let had_less = gone.entry.is_some_and(is_database)
        && !gone.listeners.is_empty()
        && gone
            .listeners
            .iter()
            .all(|l| l.transport == Transport::Unix);
    let is_elder = |p: &&Process| {
        let is_older = gone.started_at.is_some_and(|at| p.started_at <= at);
        is_older && p.state != 'Z' && !gone.pids.contains(&p.container_pid)
    };
    let is_script = |p: &Process| Program::of(p).is_some_and(|p| p.is_script());
    let mut elders = snapshot.processes.iter().filter(is_elder);
    had_less && elders.any(|p| is_script(p) || program_of(p) == gone.program)
}

fn same_key(track: &Track, service: &Recognised, _: &ByPid<'_>) -> bool {
    track.key == service.key
}

fn same_process(track: &Track, service: &Recognised, _: &ByPid<'_>) -> bool {
    let main = service.main();
    main.is_some() && track.main() == main
}

/// A service that is gone, and one of the same program on the same port or Unix socket, or on none yet. Who watches a
/// service and starts it anew is often of the same program: what merely stands in is not it.
fn come_back(track: &Track, service: &Recognised, processes: &ByPid<'_>) -> bool {
    let is_gone = || {
        let mut pids = track.seen.pids.iter();
        !track.is_running() || !pids.any(|&pid| lives(track, pid, processes))
    };
    let is_shared = |l: &Listener| {
        let mut before = track.seen.listeners.iter();
        l.path.is_some() && before.any(|old| old.path == l.path)
    };
    let has_place = service.ports.is_empty()
        || service.ports.iter().any(|p| track.seen.ports.contains(p))
        || service.listeners.iter().any(is_shared);
    let only_stands_in = service.kind == "process" && track.seen.kind != "process";
    !service.program.is_empty()
        && track.seen.program == service.program
        && !only_stands_in
        && has_place
        && is_gone()
}

#[cfg(test)]
mod tests;
