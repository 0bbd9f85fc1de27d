//! The one task that owns what the agent knows of its container.
//!
//! ```text
//! timers ─┐
//! deaths ─┼─► look (scan) ─► Assessor ─► report ─► watch channel ─► sessions
//! probes ─┤                     ▲
//! asks  ──┘                     └─ outcomes of probes
//! ```
//!
//! Nothing is scanned when nobody looks and nothing changes: every 1.5 s a request to the kernel of a few
//! microseconds tells whether a listener came or went, pidfds tell deaths, and a whole scan follows on change, and
//! otherwise at an interval that stretches while the container is calm.
//!
//! Two companions in one container need not both probe its services. One that no supervisor brought in rests while a
//! supervisor's is there ([`Mode`]), and looks when it is asked:
//!
//! ```text
//!            the other is there, nobody follows
//!   Awake ─────────────────────────────────────► Resting
//!     ▲ ▲                the other has gone │      │ asked: looks, and probes what is due
//!     │ └───────────────────────────────────┘      ▼
//!     └──────── all is known: answers ────────── Waking
//! ```
//!
//! A process that poses as the other brings no more about than that: who asks is told the truth as ever.

mod answering;

use std::sync::Arc;
use std::time::Duration;

use diogenes_discovery::{Scanner, Scope};
use diogenes_insight::{Assessor, Due};
use diogenes_linux::contract::{AGENT_NAME, AGENT_UID};
use diogenes_linux::timer::Timer;
use diogenes_probes::{Curiosity, Limits};
use diogenes_proto::{
    ErrorCode, Message, ProbeKind, ProbeOutcome, ProbeSpec, Process, Report, Request, Snapshot,
    Verdict, WireError,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::clock::Clock;
use crate::logs::LogReader;
use crate::lookup::Lookup;
use crate::own_words::Words;
use crate::watch::{MAX_WATCHED, Watch};

/// How often the kernel is asked whether the listening sockets are still the same.
const LISTENERS_INTERVAL: Duration = Duration::from_millis(1500);
/// The time between whole scans: at the start, when applications start as well, then right after a change, and at most.
const FIRST_SCAN_INTERVAL: Duration = Duration::from_millis(100);
const SCAN_INTERVAL: Duration = Duration::from_secs(2);
const MAX_SCAN_INTERVAL: Duration = Duration::from_secs(30);
/// A report is sent this often even where nothing changes.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// A service that is well accepts a connection within this time.
const ACCEPT_TIME: Duration = Duration::from_millis(500);
/// After a death the kernel closes the process's sockets and its parent reaps it: to be seen in one look.
const BURIAL_TIME: Duration = Duration::from_millis(20);
/// Who wakes a resting companion waits at most so long for what its probes bring: less than `diogenes-agent health` does.
const WAKING_TIME: Duration = Duration::from_millis(1500);
/// Requests that may wait for the companion.
const MAX_WAITING: usize = 64;

/// The way to the companion: it can be asked, and its newest report can be followed.
#[derive(Clone)]
pub(crate) struct Companion {
    requests: mpsc::Sender<Asked>,
    publish: Arc<watch::Sender<Option<Arc<Report>>>>,
}

/// A request, and where its reply goes.
type Asked = (Request, oneshot::Sender<Message>);

/// Whether the companion looks by itself.
enum Mode {
    Awake,
    /// A supervisor's companion looks: this one only sees to it that it is still there.
    Resting,
    /// It was asked while it rested: these wait until all is known anew.
    Waking {
        until: Instant,
        asked: Vec<Asked>,
    },
}

impl Companion {
    /// Starts the task, which ends with the last handle to it. One that `yields` was brought in by no supervisor: it
    /// rests while a supervisor's companion is in the same container, and waits for no labels.
    pub(crate) fn start(scope: Scope, yields: bool) -> Self {
        let (requests, waiting) = mpsc::channel(MAX_WAITING);
        let publish = Arc::new(watch::Sender::new(None));
        tokio::spawn(Task::new(scope, yields, Arc::clone(&publish)).run(waiting));
        Self { requests, publish }
    }

    /// Follows the newest report that is worth telling; None before the first look, and while the companion rests. It
    /// does not rest while somebody follows.
    pub(crate) fn follow(&self) -> watch::Receiver<Option<Arc<Report>>> {
        self.publish.subscribe()
    }

    /// Asks, and waits for the reply.
    pub(crate) async fn ask(&self, request: Request) -> Message {
        let (sender, reply) = oneshot::channel();
        match self.requests.try_send((request, sender)) {
            Ok(()) => reply
                .await
                .unwrap_or_else(|_| error(ErrorCode::Internal, "the companion is ending")),
            Err(_) => error(ErrorCode::Busy, "too many requests are waiting; ask again"),
        }
    }
}

/// A snapshot with the hash by which its pages are fetched.
struct Seen {
    snapshot: Snapshot,
    hash: String,
}

struct Task {
    clock: Clock,
    scanner: Scanner,
    assessor: Assessor,
    watch: Watch,
    log_reader: LogReader,
    lookup: Lookup,
    words: Words,
    probes: JoinSet<(String, ProbeKind, ProbeOutcome)>,
    publish: Arc<watch::Sender<Option<Arc<Report>>>>,
    yields: bool,
    mode: Mode,
    /// The newest snapshot, and the one before it: whoever is paging through that one may finish.
    seen: [Option<Seen>; 2],
    /// The newest report; the published one may be older in what does not matter.
    report: Arc<Report>,
    published_at: Instant,
    listeners: u64,
    next_listeners: Instant,
    next_scan: Instant,
    scan_interval: Duration,
    /// A probe's connection has been made, and whether it is accepted will be seen.
    awaits_accept: bool,
    /// More was done than to look at the listeners, since the code was last given back.
    worked: bool,
}

impl Task {
    fn new(scope: Scope, yields: bool, publish: Arc<watch::Sender<Option<Arc<Report>>>>) -> Self {
        let now = Instant::now();
        Self {
            clock: Clock::start(),
            scanner: Scanner::new("/", scope),
            assessor: Assessor::default(),
            watch: Watch::default(),
            log_reader: LogReader::default(),
            lookup: Lookup::default(),
            words: Words::new(!yields),
            probes: JoinSet::new(),
            publish,
            yields,
            mode: Mode::Awake,
            seen: [None, None],
            report: Arc::default(),
            published_at: now,
            listeners: 0,
            next_listeners: now + LISTENERS_INTERVAL,
            next_scan: now,
            scan_interval: FIRST_SCAN_INTERVAL,
            awaits_accept: false,
            worked: true,
        }
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Asked>) {
        let timer = Timer::new().ok();
        self.listeners = self.scanner.listening();
        self.look();
        loop {
            let due = self.next_deadline();
            tokio::select! {
                request = waiting.recv() => match request {
                    Some(asked) => self.take(asked),
                    None => return,
                },
                _ = self.watch.died() => self.look_within(BURIAL_TIME),
                Some(Ok((key, kind, outcome))) = self.probes.join_next() => self.probed(&key, kind, outcome),
                (key, background) = self.lookup.found() => {
                    self.assessor.looked_up(&key, background);
                    self.conclude();
                }
                says_else = self.words.changed() => match says_else {
                    true => self.hear(),
                    false => self.conclude_held_back(),
                },
                () = wait_until(&timer, due) => self.tick(),
            }
            self.answer_once_awake();
        }
    }

    /// When there is something to do that no event will tell.
    fn next_deadline(&mut self) -> Instant {
        let conclusion = self.next_conclusion(Instant::now());
        let awake = self.next_listeners.min(self.next_scan).min(conclusion);
        match self.mode {
            Mode::Awake => awake,
            Mode::Resting => self.next_scan,
            Mode::Waking { until, .. } => awake.min(until),
        }
    }

    /// Answers, unless what is known is old.
    fn take(&mut self, (request, reply): Asked) {
        match &mut self.mode {
            Mode::Awake => self.answer(request, reply),
            Mode::Waking { asked, .. } => asked.push((request, reply)),
            Mode::Resting => {
                self.mode = Mode::Waking {
                    until: Instant::now() + WAKING_TIME,
                    asked: vec![(request, reply)],
                };
                self.look();
            }
        }
    }

    /// Answers those who wait, as soon as no probe is under way any more.
    fn answer_once_awake(&mut self) {
        let Mode::Waking { until, .. } = self.mode else {
            return;
        };
        let is_all_known = self.probes.is_empty() && !self.awaits_accept;
        if !is_all_known && Instant::now() < until {
            return;
        }
        if let Mode::Waking { asked, .. } = std::mem::replace(&mut self.mode, Mode::Awake) {
            // What was true before the rest says nothing of who has not answered after it.
            self.assessor.doubt_unanswered(self.clock.now());
            self.conclude();
            for (request, reply) in asked {
                self.answer(request, reply);
            }
        }
    }

    /// Something else is said by the container of itself.
    fn hear(&mut self) {
        self.assessor.hear(self.words.read());
        self.look();
    }

    /// Nothing else is said: probes that were held back until that was known may be due.
    fn conclude_held_back(&mut self) {
        if self.words.was_awaited() {
            self.conclude();
        }
    }

    /// When a probe is due, time alone changes the judgement, or a report is overdue.
    fn next_conclusion(&mut self, now: Instant) -> Instant {
        let clock = self.clock.now();
        let overdue = self.published_at + REPORT_INTERVAL;
        if let Some(until) = self.words.holds_back(now) {
            return overdue.min(until);
        }
        self.assessor
            .next(clock)
            .map_or(overdue, |next| overdue.min(now + next.since(clock)))
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if matches!(self.mode, Mode::Resting) {
            self.look();
            return;
        }
        if now >= self.next_listeners {
            self.next_listeners = now + LISTENERS_INTERVAL;
            let listeners = self.scanner.listening();
            if listeners != self.listeners {
                self.listeners = listeners;
                self.next_scan = now;
            }
        }
        if now >= self.next_scan {
            self.look();
        } else if now >= self.next_conclusion(now) {
            self.conclude();
        } else if self.worked {
            self.release_code();
        }
    }

    fn probed(&mut self, key: &str, kind: ProbeKind, outcome: ProbeOutcome) {
        // Who is paused does not answer either: that is seen before a failure is believed.
        if outcome.verdict != Verdict::Alive {
            self.look();
        }
        // The kernel takes a connection before the service does: whether it was accepted shows in the queue.
        if kind == ProbeKind::Tcp || outcome.protocol.as_deref() == Some("tcp") {
            self.look_within(ACCEPT_TIME);
            self.awaits_accept = true;
        }
        self.assessor.probed(self.clock.now(), key, outcome);
        self.conclude();
    }

    /// Scans after this time, or earlier where that was intended anyway.
    fn look_within(&mut self, time: Duration) {
        self.next_scan = self.next_scan.min(Instant::now() + time);
    }

    /// Scans the container and judges what is seen.
    fn look(&mut self) {
        self.words.look();
        let oldest = self.seen[1].take().map(|seen| seen.snapshot);
        let snapshot = self.scanner.scan_over(oldest.unwrap_or_default());
        self.awaits_accept = false;
        let other = snapshot.processes.iter().find(|one| is_supervisors(one));
        let other = other.map(|process| process.container_pid);
        self.rest_or_rise(other.is_some());
        self.assessor.observe(self.clock.now(), &snapshot);
        let hash = diogenes_discovery::hash(&snapshot);
        self.seen.swap(0, 1);
        self.seen[0] = Some(Seen { snapshot, hash });
        let changed = self.conclude();
        self.scan_interval = match self.mode {
            Mode::Resting => MAX_SCAN_INTERVAL,
            _ if changed || self.assessor.is_restless() => {
                SCAN_INTERVAL.min(self.scan_interval * 2)
            }
            _ => MAX_SCAN_INTERVAL.min(self.scan_interval * 2),
        };
        self.next_scan = Instant::now() + self.scan_interval;
        if let Some(time) = self.assessor.awaits_successor(self.clock.now()) {
            self.look_within(time);
        }
        let main = || other.into_iter().chain(self.assessor.main_pids());
        self.scanner.attend(main().take(MAX_WATCHED));
        self.watch.only(main());
        if matches!(self.mode, Mode::Resting) {
            self.release_code();
        }
    }

    /// Nothing will call for most of the code for a while: it need not stay mapped.
    fn release_code(&mut self) {
        diogenes_linux::memory::release_program_code();
        self.worked = false;
    }

    /// Rests where another companion looks and nobody follows this one; rises where that is over.
    fn rest_or_rise(&mut self, other_is_there: bool) {
        let rests = self.yields && other_is_there && self.publish.receiver_count() == 0;
        match self.mode {
            Mode::Awake if rests => {
                self.mode = Mode::Resting;
                self.publish.send_replace(None);
            }
            Mode::Resting if !rests => {
                self.mode = Mode::Awake;
                self.scan_interval = FIRST_SCAN_INTERVAL;
            }
            _ => {}
        }
    }

    /// Starts the probes that are due, and publishes the report where it says something new or is overdue, unless the
    /// companion rests. Returns whether it says something new.
    fn conclude(&mut self) -> bool {
        self.worked = true;
        let rests = matches!(self.mode, Mode::Resting);
        let holds_back = rests || self.words.holds_back(Instant::now()).is_some();
        let due = match holds_back {
            true => Vec::new(),
            false => self.assessor.due(self.clock.now()),
        };
        for Due {
            key,
            spec,
            wants_version,
            wants_readiness,
        } in due
        {
            let curiosity = match (wants_version, wants_readiness) {
                (_, true) => Curiosity::Everything,
                (true, false) => Curiosity::HealthAndVersion,
                (false, false) => Curiosity::Health,
            };
            self.probes
                .spawn(async move { (key, spec.kind, probe(&spec, curiosity).await) });
        }
        if !rests {
            self.look_at_links();
        }
        if self.lookup.is_idle()
            && let Some(seen) = &self.seen[0]
            && let Some((key, origin)) = self.assessor.unexamined(&seen.snapshot)
        {
            self.lookup.begin(key, origin);
        }
        let hash = self.seen[0]
            .as_ref()
            .map(|seen| seen.hash.clone())
            .unwrap_or_default();
        let report = self.assessor.report(self.clock.now(), hash);
        self.report = Arc::new(report.moved(self.clock.step_ms()));
        let changed = self
            .publish
            .borrow()
            .as_ref()
            .is_none_or(|old| says_more(&self.report, old));
        if !rests && (changed || self.published_at.elapsed() >= REPORT_INTERVAL) {
            self.published_at = Instant::now();
            self.publish.send_replace(Some(Arc::clone(&self.report)));
        }
        changed
    }

    /// Sees what workers are connected to, as far as that is due.
    fn look_at_links(&mut self) {
        let now = self.clock.now();
        while let Some((key, pids)) = self.assessor.unlinked(now) {
            let found = self.scanner.connections(&pids);
            self.assessor.linked(now, &key, found.as_deref());
        }
    }
}

/// Returns at this moment; by the runtime's own timer where there is no other.
async fn wait_until(timer: &Option<Timer>, due: Instant) {
    match timer {
        Some(timer) => {
            timer
                .after(due.saturating_duration_since(Instant::now()))
                .await
        }
        None => sleep_until(due).await,
    }
}

async fn probe(spec: &ProbeSpec, curiosity: Curiosity) -> ProbeOutcome {
    diogenes_probes::run(
        spec,
        Limits {
            curiosity,
            ..Limits::default()
        },
    )
    .await
}

fn error(code: ErrorCode, message: &str) -> Message {
    Message::Error(WireError::new(code, message))
}

/// Whether this is the companion of a supervisor: its parent is out of sight.
fn is_supervisors(process: &Process) -> bool {
    process.uid == AGENT_UID
        && process.name.as_raw() == AGENT_NAME
        && process.parent_pid == 0
        && process.container_pid != 1
}

/// Whether a report says more than different figures.
fn says_more(new: &Report, old: &Report) -> bool {
    new.health != old.health
        || new.services.len() != old.services.len()
        || new.services.iter().zip(&old.services).any(|(new, old)| {
            (
                &new.key,
                &new.name,
                &new.role,
                new.health,
                new.activity,
                &new.version,
                &new.ports,
                &new.pids,
            ) != (
                &old.key,
                &old.name,
                &old.role,
                old.health,
                old.activity,
                &old.version,
                &old.ports,
                &old.pids,
            )
        })
        || !new
            .findings
            .iter()
            .map(|finding| &finding.code)
            .eq(old.findings.iter().map(|finding| &finding.code))
}

#[cfg(test)]
mod tests {
    use diogenes_proto::{Health, ProbeStats, Service};

    use super::*;

    fn report(health: Health, probes: Option<ProbeStats>) -> Report {
        let service = Service {
            key: "redis:6379".into(),
            name: "Redis".into(),
            kind: "redis".into(),
            ports: vec![6379],
            pids: vec![7],
            health,
            probes,
            ..Service::default()
        };
        Report {
            services: vec![service],
            ..Report::default()
        }
    }

    #[test]
    fn that_a_service_is_called_otherwise_is_news() {
        let old = report(Health::Healthy, None);
        let mut new = old.clone();
        new.services[0].name = "Sessions".into();
        assert!(says_more(&new, &old) && !says_more(&old.clone(), &old));
    }

    #[test]
    fn that_probes_were_counted_is_no_news() {
        let counted = |run| {
            Some(ProbeStats {
                run,
                ..ProbeStats::default()
            })
        };
        let old = report(Health::Healthy, None);
        assert!(!says_more(&report(Health::Healthy, counted(1)), &old));
        let old = report(Health::Healthy, counted(1));
        assert!(!says_more(&report(Health::Healthy, counted(2)), &old));
        assert!(says_more(&report(Health::Degraded, counted(2)), &old));
    }
}
