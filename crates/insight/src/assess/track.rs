//! One service over time: what was seen of it, what it answered, and what that comes to.

use std::collections::VecDeque;
use std::time::Duration;

use diogenes_proto::{
    Activity, Health, ProbeKind, ProbeOutcome, ProbeSpec, ProbeStats, Timestamp, Untrusted, Verdict,
};

use super::condition::{Condition, Stuck};
use super::judgement::{Judgement, judge};
use super::link::Link;
use super::schedule::{Pace, QUICK, SETTLES, SPARING, Schedule, after, interval};
use super::start::Start;
use crate::catalogue::{self, Kind, protocol, refined};
use crate::own_words::{Asked, MAX_RESTARTS};
use crate::recognise::{FRONT_ROLE, Recognised};

/// How long a service may take to answer for the first time.
pub(crate) const GRACE: Duration = Duration::from_secs(15);
/// How long a known server may take to listen at all: large applications are loaded first.
const LISTENS_BY: Duration = Duration::from_secs(60);
/// Who is loading uses at least this share of one core.
const LOADING_PERCENT: u32 = 5;
/// How long a worker must live to be believed: one that cannot do its work ends sooner, mostly.
const WORKER_GRACE: Duration = Duration::from_secs(5);
/// A main process that ends younger than this may have been a launcher, where that shows in nothing else.
const LAUNCHES_WITHIN: Duration = Duration::from_secs(5);
/// How long whoever a prelude has prepared may take to be there. Scripts wait for the end by `mariadb-admin shutdown`,
/// which looks for it once a second.
const PRELUDE: Duration = Duration::from_millis(1600);
/// How often it is looked for.
pub(crate) const LOOKS_FOR_SUCCESSOR: Duration = Duration::from_millis(200);
/// How long a prelude may take to end once it has closed its socket: it writes what it holds.
const PRELUDE_ENDS: Duration = Duration::from_secs(15);
/// The window in which restarts make a crash loop.
const LOOP_WINDOW: Duration = Duration::from_secs(60);

/// Whether the service is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// As it should be.
    Running,
    /// Its processes live and its listeners are gone.
    Deaf {
        /// Since when.
        at: Timestamp,
        /// As of [`Absence`].
        is_prelude: bool,
    },
    /// Its processes are gone.
    Ended {
        /// Since when.
        at: Timestamp,
        /// What is left of it.
        absence: Absence,
    },
}

/// What is seen in the place of a service that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Absence {
    /// Whether somebody else has taken its port.
    pub(crate) port_taken: bool,
    /// Its main process, where it is dead and its parent has not reaped it (state Z; proc(5)).
    pub(crate) zombie: Option<u32>,
    /// Whether it may have been there only to be prepared for another, which is to take its place at once.
    pub(crate) is_prelude: bool,
    /// Who runs the same program since, and is no service yet: pid and start.
    pub(crate) successor: Option<(u32, Timestamp)>,
}

/// What becomes of the claim that its process makes once its socket has been heard.
///
/// ```text
/// claimed ── never answers as its kind does ─► doubted: what does it speak? ─┬─► disproved: named by that
///                                                                            └─► relays it, or it hides
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Nothing speaks against it, or nothing was claimed.
    #[default]
    Claimed,
    /// What it speaks is being found out.
    Doubted,
    /// It is what it claims, and speaks something else: a proxy of any protocol, or TLS.
    Covers,
    /// It is something else.
    Disproved,
}

/// What probes have taught of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learnt {
    pub(crate) version: Option<Untrusted>,
    pub(crate) product: Option<Untrusted>,
    /// What a service speaks that is unknown, or that does not speak what its kind does.
    pub(crate) protocol: Option<String>,
    /// When the certificate that it shows expires.
    pub(crate) expires_at: Option<Timestamp>,
    /// The kind it says it is, where that is another one than its process showed.
    kind: Option<&'static Kind>,
    version_asked: bool,
    /// Whether its program was looked up, in this life.
    pub(crate) looked_up: bool,
    /// A file of its program that it could overwrite itself.
    pub(crate) writable: Option<Untrusted>,
    readiness: Readiness,
    /// Mere connections since it last answered a question.
    silent_visits: Option<u8>,
}

/// The path by which an HTTP service tells whether it is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Readiness {
    /// Its kind's own, where it has one; else it is yet to be searched for.
    #[default]
    Unasked,
    /// It was found.
    At(String),
    /// There is none.
    Nowhere,
}

/// Mere connections between two questions to a service that writes a warning about everybody who asks, but not about
/// who just connects, as RabbitMQ does: it is asked every five minutes.
const SILENT_VISITS: u8 = 29;

/// One service over time.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    /// Its key, kept over restarts.
    pub(crate) key: String,
    /// How it was last recognised.
    pub(crate) seen: Recognised,
    pub(crate) presence: Presence,
    pub(crate) condition: Condition,
    pub(crate) stuck: Option<Stuck>,
    pub(crate) full_since: Option<Timestamp>,
    pub(crate) learnt: Learnt,
    standing: Standing,
    pub(crate) start: Start,
    pub(crate) schedule: Schedule,
    /// Which of the ways to probe it is used.
    pub(crate) way: usize,
    /// Whether it has answered as its kind does, in this life or an earlier one.
    pub(crate) proven: bool,
    /// Failed probes in a row, those during its start not counted.
    pub(crate) failures: u32,
    /// Every probe there was, for whoever counts; None before the first.
    pub(crate) probes: Option<ProbeStats>,
    pub(crate) outcome: Option<(Timestamp, ProbeOutcome)>,
    /// Whether a connection made by a probe was seen to be accepted; None where that was not seen either way.
    pub(crate) accepts: Option<bool>,
    /// Of a worker: what it probably takes its work from, where that does not work.
    pub(crate) lost_broker: Option<Untrusted>,
    /// Of a worker: its connection to what it takes its work from.
    pub(crate) link: Link,
    /// When it began to be what it is, where its main process was there before as something else, a script that executed
    /// it: to the kernel it is as old as that.
    begun: Option<Timestamp>,
    /// The main process that ended and left others behind, who go on without it, and when that was seen.
    pub(crate) abandoned_by: Option<(u32, Timestamp)>,
    restarts: VecDeque<Timestamp>,
    pub(crate) activity: Option<Activity>,
    pub(crate) health: Health,
    pub(crate) since: Timestamp,
    pub(crate) judgement: Judgement,
}

impl Track {
    pub(crate) fn new(seen: Recognised, now: Timestamp) -> Self {
        let pace = Pace::of(&seen.key, seen.started_at);
        let settled_at = seen.started_at.map_or(now, |at| after(at, SETTLES));
        Self {
            key: seen.key.clone(),
            seen,
            presence: Presence::Running,
            condition: Condition::default(),
            stuck: None,
            full_since: None,
            learnt: Learnt::default(),
            standing: Standing::default(),
            start: Start::default(),
            schedule: Schedule::at_once(now.max(settled_at), pace),
            way: 0,
            proven: false,
            failures: 0,
            probes: None,
            outcome: None,
            accepts: None,
            lost_broker: None,
            link: Link::default(),
            begun: None,
            abandoned_by: None,
            restarts: VecDeque::new(),
            activity: None,
            health: Health::Unknown,
            since: now,
            judgement: Judgement::default(),
        }
    }

    /// The main process, by pid and start; None where it could not be seen.
    pub(crate) fn main(&self) -> Option<(u32, Timestamp)> {
        Some((*self.seen.pids.first()?, self.seen.started_at?))
    }

    /// Whether it takes its work from elsewhere.
    pub(crate) fn is_worker(&self) -> bool {
        match self.seen.entry {
            Some(entry) => !entry.listens,
            None => self.seen.own.introduced && self.seen.kind == "process",
        }
    }

    /// Whether it is the main process, which stands in where there is no service.
    pub(crate) fn is_stand_in(&self) -> bool {
        self.seen.kind == "process" && !self.seen.own.introduced
    }

    /// Whether it is there as it should be.
    pub(crate) fn is_running(&self) -> bool {
        self.presence == Presence::Running
    }

    /// For how long the service has been up.
    pub(crate) fn age(&self, now: Timestamp) -> Option<Duration> {
        self.seen.started_at.map(|at| now.since(at))
    }

    pub(crate) fn is_young(&self, now: Timestamp) -> bool {
        let begun = self.begun_at();
        begun.is_some_and(|at| now.since(at) < self.grace())
    }

    /// It was nobody until now, and its main process had been there.
    pub(crate) fn begins(&mut self, now: Timestamp) {
        self.begun = Some(now);
    }

    /// Since when its start is counted.
    fn begun_at(&self) -> Option<Timestamp> {
        Some(self.begun.unwrap_or_default().max(self.seen.started_at?))
    }

    /// For how long it counts as young.
    fn grace(&self) -> Duration {
        if self.is_worker() {
            WORKER_GRACE
        } else {
            self.start.grace(GRACE)
        }
    }

    /// How long it may take to listen at all, where it is known to. One of which it is known that it needs less, and that
    /// does nothing, waits for somebody who does not come.
    pub(crate) fn listens_by(&self, now: Timestamp) -> Duration {
        let is_idle = || self.age(now).is_some_and(|age| !self.is_at_work(age));
        if self.start.took().is_some() && is_idle() {
            return self.start.grace(GRACE);
        }
        self.start.grace(LISTENS_BY)
    }

    /// Whether it has been busy for the share of its life that one is who loads.
    fn is_at_work(&self, age: Duration) -> bool {
        u128::from(self.condition.cpu_ms) * 100 >= age.as_millis() * u128::from(LOADING_PERCENT)
    }

    /// Whether a failure is part of its start: it does not speak yet, or what it depends on may be starting too.
    pub(crate) fn is_excused(&self, failure: Verdict, now: Timestamp) -> bool {
        let is_excuse = match failure {
            Verdict::Refused | Verdict::Silent | Verdict::Garbled => true,
            Verdict::Failing => !self.proven || self.start.errs(),
            Verdict::Alive | Verdict::Starting | Verdict::Impossible => false,
        };
        is_excuse && (self.is_young(now) || self.is_still_loading(now))
    }

    /// Whether it has never answered, and has been too busy for that: large applications load for a while. One that
    /// hangs uses no CPU time, so that its share of its life shrinks.
    pub(crate) fn is_still_loading(&self, now: Timestamp) -> bool {
        let in_time = |age: &Duration| *age < self.listens_by(now);
        let is_at_work = |age| self.is_at_work(age);
        !self.proven && self.age(now).filter(in_time).is_some_and(is_at_work)
    }

    /// How often its main process was another one in the last minute.
    pub(crate) fn recent_restarts(&self, now: Timestamp) -> usize {
        self.restarts
            .iter()
            .filter(|&&at| now.since(at) <= LOOP_WINDOW)
            .count()
    }

    pub(crate) fn is_crash_looping(&self, now: Timestamp) -> bool {
        self.recent_restarts(now) >= usize::from(self.seen.own.thresholds.restarts)
    }

    /// It was seen again, perhaps changed. `main_lives` tells of the process that was its main one until now: it may
    /// have left the listening to others.
    pub(crate) fn seen_again(
        &mut self,
        mut seen: Recognised,
        condition: Condition,
        main_lives: bool,
        now: Timestamp,
    ) {
        let is_reborn = self.main() != main_of(&seen);
        if is_reborn {
            self.standing = Standing::Claimed;
        } else if self.standing == Standing::Disproved {
            seen.contradict();
        }
        let is_other_kind = self.seen.kind != seen.kind;
        let inodes = |s: &Recognised| s.listeners.iter().map(|l| l.inode).collect::<Vec<_>>();
        let has_other_listeners = inodes(&self.seen) != inodes(&seen);
        let goes_on = !self.condition.stopped.is_empty() && condition.stopped.is_empty();
        let was_full = self.condition.queue.is_some_and(|q| q.is_full());
        let is_full = condition.queue.is_some_and(|q| q.is_full());
        let is_back = self.presence != Presence::Running;

        if is_reborn && self.seen.started_at.is_some() {
            // Its start may have been noticed before it was anything.
            let is_awaited = main_of(&seen) == self.successor();
            let is_planned = seen.started_at.is_some_and(|at| self.is_elder(at));
            if !main_lives && !is_awaited && !is_planned {
                self.restarted(now);
            }
            self.begun = is_planned.then_some(now);
            self.failures = 0;
            self.outcome = None;
            self.accepts = None;
            self.start.begins();
            self.learnt
                .doubt_what_may_have_changed(seen.entry.is_some());
        }
        if is_other_kind {
            if self.is_stand_in() {
                self.begins(now);
            }
            self.learnt = Learnt::default();
            self.proven = false;
            self.outcome = None;
        }
        if self.seen.probes != seen.probes {
            self.way = 0;
        }
        let is_asked_otherwise = [&self.seen, &seen]
            .iter()
            .any(|s| s.own.asked != Asked::AsUsual)
            && self.seen.probes != seen.probes;
        if is_asked_otherwise {
            self.outcome = None;
            self.failures = 0;
        }
        // Its workers are gone, and who is left may be their master alone, who accepts nobody.
        let is_left_alone = holders(&self.seen) > 1 && holders(&seen) == 1;
        if is_back || has_other_listeners {
            self.schedule.settle(now);
        } else if is_reborn
            || is_left_alone
            || is_other_kind
            || goes_on
            || is_asked_otherwise
            || (was_full && !is_full)
        {
            self.schedule.hurry(now);
        }
        // Once of the container, always of the container: whoever starts it again by hand.
        seen.visitor &= self.seen.visitor;
        let waiting = condition.queue.map(|queue| queue.waiting);
        if let (Some(waiting), Some((asked, _))) = (waiting, &self.outcome)
            && *asked < now
        {
            self.accepts = Some(waiting == 0);
        }
        self.stuck = Stuck::follow(self.stuck, condition.queue, now);
        self.full_since = is_full.then(|| self.full_since.unwrap_or(now));
        self.presence = Presence::Running;
        self.abandoned_by = self.abandoned_by(&seen, &condition, main_lives, now);
        if seen.listeners.is_empty() {
            self.start.is_not_ready(false);
        }
        self.seen = seen;
        self.condition = condition;
    }

    /// Whether what is seen now are the workers of a main process that ended: they were there before, and none of them
    /// leads the others, as a new main process would. Nor are they daemons that it has launched, which leave its process
    /// group (daemon(3), setsid(2)): who has served for a while was no launcher. Where groups are not known, a young one
    /// may have been one.
    fn abandoned_by(
        &self,
        seen: &Recognised,
        condition: &Condition,
        main_lives: bool,
        now: Timestamp,
    ) -> Option<(u32, Timestamp)> {
        let (before, started_at) = self.main()?;
        let first = seen.pids.first()?;
        let is_old = now.since(started_at) >= LAUNCHES_WITHIN;
        let is_of_its_group = condition.group == self.condition.group || self.proven && is_old;
        // Who is in the group that it led came from it, even if it was forked after the last look.
        let is_known = self.seen.pids.contains(first) || condition.group == Some(before);
        if condition.is_led || !is_known || !is_of_its_group {
            return None;
        }
        let is_no_launcher = condition.group.is_some() || is_old;
        let has_ended = !main_lives && !seen.pids.contains(&before) && is_no_launcher;
        self.abandoned_by.or(has_ended.then_some((before, now)))
    }

    /// Who takes its place, while it is gone.
    fn successor(&self) -> Option<(u32, Timestamp)> {
        match self.presence {
            Presence::Ended { absence, .. } => absence.successor,
            Presence::Running | Presence::Deaf { .. } => None,
        }
    }

    /// Whether it is gone, and who takes its place may need some more time to listen.
    pub(crate) fn is_succeeded(&self, now: Timestamp) -> bool {
        let in_time = |(_, at)| now.since(self.succeeds_at(at)) < self.grace();
        self.successor().is_some_and(in_time) && !self.is_crash_looping(now)
    }

    /// Whether who started at this moment was there before it: no restart brought it, but a script has become it.
    pub(crate) fn is_elder(&self, started_at: Timestamp) -> bool {
        self.seen.started_at.is_some_and(|own| started_at <= own)
    }

    /// When a successor began to be one that started at `started_at`.
    pub(crate) fn succeeds_at(&self, started_at: Timestamp) -> Timestamp {
        match self.presence {
            Presence::Ended { at, .. } if self.is_elder(started_at) => at,
            _ => started_at,
        }
    }

    /// Whether it is gone or about to go, and was perhaps there only to be prepared for another.
    pub(crate) fn was_prelude(&self) -> bool {
        match self.presence {
            Presence::Running => false,
            Presence::Deaf { is_prelude, .. } => is_prelude,
            Presence::Ended { absence, .. } => absence.is_prelude,
        }
    }

    /// Until when it is no news that it is gone, for whom it was to prepare may not be there yet.
    fn awaited_until(&self) -> Option<Timestamp> {
        match self.presence {
            Presence::Deaf { at, .. } => Some(after(at, PRELUDE_ENDS)),
            Presence::Ended { at, .. } => Some(after(at, PRELUDE)),
            Presence::Running => None,
        }
        .filter(|_| self.was_prelude())
    }

    /// Whether whom it was to prepare is still waited for.
    pub(crate) fn is_over_but_awaited(&self, now: Timestamp) -> bool {
        self.awaited_until().is_some_and(|until| now < until)
    }

    fn restarted(&mut self, now: Timestamp) {
        self.restarts.push_back(now);
        if self.restarts.len() > usize::from(MAX_RESTARTS) {
            self.restarts.pop_front();
        }
    }

    /// It was not seen.
    pub(crate) fn missed(&mut self, processes_live: bool, absence: Absence, now: Timestamp) {
        self.condition = Condition::default();
        self.stuck = None;
        self.full_since = None;
        self.activity = None;
        let is_other = absence.successor.is_some() && absence.successor != self.successor();
        if is_other && !absence.successor.is_some_and(|(_, at)| self.is_elder(at)) {
            self.restarted(now);
        }
        self.presence = match self.presence {
            Presence::Deaf { .. } if processes_live => self.presence,
            Presence::Ended { at, .. } => Presence::Ended { at, absence },
            _ if processes_live => Presence::Deaf {
                at: now,
                is_prelude: absence.is_prelude,
            },
            _ => Presence::Ended { at: now, absence },
        };
    }

    /// How to probe it now; None where there is no way, or nothing to probe.
    pub(crate) fn probe(&self) -> Option<ProbeSpec> {
        if self.presence != Presence::Running {
            return None;
        }
        let mut spec = self
            .seen
            .probes
            .get(self.way)
            .or(self.seen.probes.first())?
            .clone();
        spec.kind = match self.learnt.protocol.as_deref() {
            _ if self.is_asked_as_said() => spec.kind,
            _ if self.standing == Standing::Doubted => ProbeKind::Discover,
            None if self.covers() => ProbeKind::Discover,
            None => spec.kind,
            Some("http2") => ProbeKind::Tcp,
            // What has no probe of its own greets: its greeting is its sign of life, and nothing else is said to it.
            Some(protocol) => ProbeKind::speaking(protocol).unwrap_or(ProbeKind::Discover),
        };
        match spec.kind {
            ProbeKind::Http if spec.path.is_none() => spec.path = self.readiness(),
            ProbeKind::Amqp if self.learnt.silent_visits.is_some_and(|n| n < SILENT_VISITS) => {
                spec.kind = ProbeKind::Tcp;
            }
            _ => {}
        }
        Some(spec)
    }

    /// Whether nothing is known of its health, because its container wants it not to be asked: it then counts for
    /// nothing in the container's. That it has ended is known all the same.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.seen.own.asked == Asked::Never && self.health == Health::Unknown
    }

    /// Whether the container itself says what it is asked.
    pub(crate) fn is_asked_as_said(&self) -> bool {
        self.seen.own.asked == Asked::AsSaid
    }

    /// The path by which it tells whether it is ready; None where none is known.
    fn readiness(&self) -> Option<String> {
        match &self.learnt.readiness {
            Readiness::At(path) => Some(path.clone()),
            Readiness::Unasked => self.seen.entry?.readiness.map(str::to_owned),
            Readiness::Nowhere => None,
        }
    }

    /// Whether the next probe should ask for the version.
    pub(crate) fn wants_version(&self) -> bool {
        self.learnt.version.is_none() && !self.learnt.version_asked
    }

    /// Whether its program is to be looked up: what it tells by itself it has told. Who is still to listen may have a word
    /// to say then, of what it is.
    pub(crate) fn is_unexamined(&self) -> bool {
        let is_to_listen =
            self.seen.listeners.is_empty() && self.seen.entry.is_some_and(|entry| entry.listens);
        let is_mute = self.seen.probes.is_empty() && !is_to_listen;
        let had_its_say = self.learnt.version_asked || is_mute;
        self.is_running() && had_its_say && !self.learnt.looked_up
    }

    /// Whether the next probe should search for a path that tells whether it is ready. A server of files would write
    /// an error about each path that is not there: only applications are asked.
    pub(crate) fn wants_readiness(&self) -> bool {
        let is_application = || match self.seen.entry {
            Some(entry) => entry.is_application(),
            None => !self.learnt.product.as_ref().is_some_and(is_server),
        };
        let is_http = |spec: ProbeSpec| spec.kind == ProbeKind::Http && spec.path.is_none();
        self.learnt.readiness == Readiness::Unasked
            && self.probe().is_some_and(is_http)
            && is_application()
    }

    /// What it answered.
    pub(crate) fn probed(&mut self, mut outcome: ProbeOutcome, now: Timestamp) {
        // It did try to go where it was asked to, which is all it does.
        if outcome.verdict == Verdict::Failing && self.seen.entry.is_some_and(|it| it.forwards) {
            outcome.verdict = Verdict::Alive;
        }
        let asked = self.probe();
        let kind = asked.as_ref().map(|spec| spec.kind);
        let usual = kind.map_or(SPARING, interval);
        let pause = self.seen.own.every.unwrap_or(usual);
        if outcome.verdict == Verdict::Alive {
            self.learn_of_readiness(&outcome, asked.as_ref());
            self.learn(&outcome, kind, now);
        }
        self.count(&outcome);
        match outcome.verdict {
            Verdict::Alive => self.start.is_ready(self.age(now)),
            Verdict::Impossible => {}
            verdict => self.start.is_not_ready(verdict == Verdict::Failing),
        }
        match outcome.verdict {
            Verdict::Alive => {
                let is_mere_tls = outcome.protocol.as_deref() == Some("tls");
                self.proven |= !is_mere_tls || self.does_only_tls();
                self.failures = 0;
                let was_found = kind == Some(ProbeKind::Discover) && self.wants_version();
                let pause = if was_found { Duration::ZERO } else { pause };
                self.schedule.again_in(now, pause);
            }
            Verdict::Starting => {
                self.failures = 0;
                self.schedule.again_in(now, QUICK);
            }
            Verdict::Impossible if !self.try_next_way() => self.schedule.back_off(now),
            Verdict::Refused | Verdict::Garbled | Verdict::Silent
                if !self.proven && self.try_next_way() =>
            {
                self.schedule.again_in(now, Duration::ZERO);
            }
            Verdict::Garbled if self.doubt(now) => self.schedule.again_in(now, Duration::ZERO),
            Verdict::Impossible => self.schedule.again_in(now, Duration::ZERO),
            failure if self.is_excused(failure, now) => {
                // Its start is no excuse for errors any longer than it lasts.
                let more = u32::from(failure == Verdict::Failing);
                self.failures = self.failures.saturating_add(more);
                self.schedule.again_in(now, QUICK);
            }
            _ => {
                self.failures = self.failures.saturating_add(1);
                if self.failures == 1 {
                    self.schedule.again_in(now, QUICK);
                } else {
                    self.schedule.back_off(now);
                }
            }
        }
        if outcome.verdict != Verdict::Alive {
            self.learnt.silent_visits = None;
            // What the last snapshot showed of its queue holds until the next one shows otherwise.
            self.accepts = None;
        }
        self.outcome = Some((now, outcome));
    }

    /// Counts a probe. Its own count of failures, for during a start they count as well.
    fn count(&mut self, outcome: &ProbeOutcome) {
        if outcome.verdict == Verdict::Impossible {
            return;
        }
        let stats = self.probes.get_or_insert_default();
        stats.run += 1;
        stats.last_us = outcome.took_us;
        stats.total_us = stats.total_us.saturating_add(outcome.took_us);
        if matches!(outcome.verdict, Verdict::Alive | Verdict::Starting) {
            stats.failed_in_a_row = 0;
        } else {
            stats.failed += 1;
            stats.failed_in_a_row = stats.failed_in_a_row.saturating_add(1);
        }
    }

    /// Learns by which path it is asked, or that there is none.
    fn learn_of_readiness(&mut self, outcome: &ProbeOutcome, asked: Option<&ProbeSpec>) {
        let had_path = asked.is_some_and(|spec| spec.path.is_some() && spec.expected.is_none());
        if had_path || self.wants_readiness() {
            self.learnt.readiness = match &outcome.path {
                Some(path) => Readiness::At(path.clone()),
                None => Readiness::Nowhere,
            };
        }
    }

    fn learn(&mut self, outcome: &ProbeOutcome, kind: Option<ProbeKind>, now: Timestamp) {
        // Who was just found to speak a protocol is asked in it next.
        let has_more_to_say = kind == Some(ProbeKind::Discover)
            && outcome
                .protocol
                .as_deref()
                .and_then(ProbeKind::speaking)
                .is_some_and(|it| it != ProbeKind::Tcp);
        self.learnt.version_asked = !has_more_to_say;
        self.weigh(outcome);
        if outcome.expires_at.is_some() {
            self.learnt.expires_at = outcome.expires_at;
        }
        let protocol = outcome.protocol.as_deref();
        let is_told = match kind {
            // What has just started may not speak yet.
            Some(ProbeKind::Discover) if protocol == Some("tcp") => {
                (self.seen.entry.is_none() || self.covers()) && !self.is_young(now)
            }
            Some(ProbeKind::Discover) => true,
            // Not even a known server is asked in plain words again where only TLS is spoken.
            _ => protocol == Some("tls"),
        };
        if is_told {
            self.learnt.protocol.clone_from(&outcome.protocol);
        }
        self.learnt.silent_visits = match (protocol, self.learnt.silent_visits) {
            (Some("amqp"), _) => Some(0),
            (_, visits) => visits.map(|visits| visits + 1),
        };
        let product = outcome.product.as_ref().map(Untrusted::as_raw);
        let version = outcome.version.as_ref().map(Untrusted::as_raw);
        let refined = |entry| refined(entry, product, version);
        self.learnt.kind = self.entry().and_then(refined).or(self.learnt.kind);
        let is_http = kind == Some(ProbeKind::Http) || protocol == Some("http");
        if outcome.version.is_some() && self.is_its_own(product, is_http) {
            self.learnt.version.clone_from(&outcome.version);
        }
        if outcome.product.is_some() {
            self.learnt.product.clone_from(&outcome.product);
        }
    }

    /// Whether a version is its own that came in an answer, with this product or none. A header may name the server of
    /// another service's application: FastAPI's says "uvicorn". And who passes on questions passes on the answers too:
    /// nginx' streams, dnsdist.
    fn is_its_own(&self, product: Option<&str>, is_http: bool) -> bool {
        let entry = self.entry();
        match product.filter(|product| !product.is_empty()) {
            Some(product) if is_http => product.eq_ignore_ascii_case(self.kind()),
            _ if self.covers() || entry.is_some_and(|entry| entry.relays) => false,
            Some(product) => !entry.is_some_and(|entry| is_anothers(product, entry)),
            None => true,
        }
    }

    /// Begins to doubt what it claims to be; false where nothing was claimed, or the claim is decided. What has just
    /// started may not speak as it will.
    fn doubt(&mut self, now: Timestamp) -> bool {
        let begins = !self.proven
            && !self.is_asked_as_said()
            && self.seen.entry.is_some()
            && self.standing == Standing::Claimed
            && !self.is_young(now);
        if begins {
            self.standing = Standing::Doubted;
        }
        begins
    }

    /// Holds what it answered against what it claims to be.
    fn weigh(&mut self, outcome: &ProbeOutcome) {
        let Some(entry) = self.seen.entry else {
            return;
        };
        let is_another = match self.standing {
            Standing::Doubted => {
                // Servers of the web often have a port for something else too.
                let says_little = match outcome.protocol.as_deref() {
                    None | Some("tls") => true,
                    Some("tcp") => entry.probe == ProbeKind::Http,
                    Some(_) => false,
                };
                let spoken = outcome.protocol.as_deref();
                let is_its_own = spoken.and_then(ProbeKind::speaking) == Some(entry.probe);
                self.standing = match (is_its_own, says_little || entry.relays) {
                    (true, _) => Standing::Claimed,
                    (_, true) => Standing::Covers,
                    _ => Standing::Disproved,
                };
                self.standing == Standing::Disproved
            }
            // Any program may be called nginx; nginx says so twice more, in its title and in its answers.
            Standing::Claimed => {
                let product = outcome.product.as_ref().map(Untrusted::as_raw);
                let is_kin = || refined(entry, product, None).is_some();
                self.seen.untitled
                    && product.is_some_and(|product| !product.eq_ignore_ascii_case(entry.kind))
                    && !is_kin()
            }
            Standing::Covers | Standing::Disproved => false,
        };
        if is_another {
            self.standing = Standing::Disproved;
            self.seen.contradict();
            self.learnt = Learnt {
                protocol: outcome.protocol.clone(),
                ..Learnt::default()
            };
        }
    }

    /// Whether TLS is all it does: what lies below is somebody else's.
    pub(crate) fn does_only_tls(&self) -> bool {
        let does = |entry: &Kind| entry.probe == ProbeKind::Tls && entry.role == FRONT_ROLE;
        self.entry().is_some_and(does)
    }

    /// Whether it is what it claims, though it answers in another protocol.
    pub(crate) fn covers(&self) -> bool {
        self.standing == Standing::Covers
    }

    /// Whether it was merely connected to the last time, for it answered the questions before.
    pub(crate) fn is_visited(&self) -> bool {
        self.learnt.silent_visits.is_some_and(|visits| visits > 0)
    }

    /// Turns to the next way of probing; false, and back to the first, where all were tried.
    fn try_next_way(&mut self) -> bool {
        self.way += 1;
        if self.way < self.seen.probes.len() {
            return true;
        }
        self.way = 0;
        false
    }

    /// The entry of what it is, as far as is known: what it says it is, what its process is, or the one product
    /// that speaks as it does.
    pub(crate) fn entry(&self) -> Option<&'static Kind> {
        let spoken = || protocol(self.learnt.protocol.as_deref()?)?.kind();
        self.learnt.kind.or(self.seen.entry).or_else(spoken)
    }

    /// The kind as far as it is known: the catalogue's, or what the service turned out to speak.
    pub(crate) fn kind(&self) -> &str {
        match (self.entry(), &self.learnt.protocol) {
            (Some(entry), _) => entry.kind,
            (None, Some(protocol)) => protocol,
            (None, None) => self.seen.kind,
        }
    }

    /// The name for people. An unknown program that speaks a known kind's own protocol is of that kind.
    pub(crate) fn name(&self) -> Untrusted {
        match (&self.seen.own.name, self.entry()) {
            (Some(own), _) => own.clone(),
            (None, Some(entry)) => entry.name.into(),
            (None, None) => self.seen.name.clone(),
        }
    }

    /// The role it has by itself.
    pub(crate) fn role(&self) -> Option<&'static str> {
        let spoken = || protocol(self.learnt.protocol.as_deref()?)?.role();
        let own = self.seen.own.role;
        own.or(self.passes_on().then_some(FRONT_ROLE))
            .or_else(|| self.entry().map(|entry| entry.role))
            .or_else(spoken)
    }

    /// Whether it is a web server that does not serve the web: it passes on what somebody else speaks, as nginx does
    /// with its streams.
    fn passes_on(&self) -> bool {
        let spoken = self.learnt.protocol.as_deref();
        self.covers()
            && self.seen.entry.is_some_and(|entry| entry.fronts)
            && spoken.is_some_and(|spoken| !matches!(spoken, "http" | "http2" | "tls"))
    }

    /// It may move again: what it was asked meanwhile, it could not answer.
    pub(crate) fn thawed(&mut self, now: Timestamp) {
        self.failures = 0;
        self.outcome = None;
        self.stuck = None;
        self.full_since = None;
        self.schedule.hurry(now);
    }

    /// Judges it anew; `since` moves only where the health changes.
    pub(crate) fn settle(&mut self, now: Timestamp, is_frozen: bool) {
        let judgement = if is_frozen {
            Judgement::of_frozen(self)
        } else {
            judge(self, now)
        };
        if judgement.health != self.health {
            self.health = judgement.health;
            self.since = now;
        }
        self.judgement = judgement;
    }

    /// When time alone changes its health: at the end of its grace, or of what is waited for.
    pub(crate) fn changes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = match self.presence {
            Presence::Running => {
                let until = |time| Some(after(self.seen.started_at?, time));
                let is_to_listen = self.seen.listeners.is_empty();
                let listens_by = is_to_listen.then(|| self.listens_by(now));
                let grace_ends = self.begun_at().map(|at| after(at, self.grace()));
                [grace_ends, listens_by.and_then(until)]
            }
            Presence::Ended { .. } => [
                self.awaited_until(),
                self.successor()
                    .map(|(_, at)| after(self.succeeds_at(at), self.grace())),
            ],
            Presence::Deaf { .. } => [self.awaited_until(), None],
        };
        ends.into_iter().flatten().filter(|&end| end > now).min()
    }
}

impl Learnt {
    /// The main process is another one: the files may be others too.
    fn doubt_what_may_have_changed(&mut self, is_known_kind: bool) {
        self.version_asked = false;
        self.looked_up = false;
        self.writable = None;
        self.silent_visits = None;
        if self.readiness == Readiness::Nowhere {
            self.readiness = Readiness::Unasked;
        }
        if is_known_kind || self.protocol.as_deref() == Some("tcp") {
            self.protocol = None;
        }
    }
}

/// Whether what names itself so is of another kind. "PowerDNS" may well be a PowerDNS Recursor.
fn is_anothers(product: &str, entry: &Kind) -> bool {
    let named = catalogue::find(&product.to_ascii_lowercase());
    let mut words = entry.name.split(' ');
    named.is_some_and(|other| other.kind != entry.kind)
        && !words.any(|word| word.eq_ignore_ascii_case(product))
}

/// Whether a product that a header named is a server of files or a proxy, or may be one.
fn is_server(product: &Untrusted) -> bool {
    let known = catalogue::find(&product.as_raw().to_ascii_lowercase());
    known.is_some_and(|entry| !entry.is_application())
}

fn main_of(seen: &Recognised) -> Option<(u32, Timestamp)> {
    Some((*seen.pids.first()?, seen.started_at?))
}

/// How many processes hold the listener of a service that most hold.
fn holders(seen: &Recognised) -> usize {
    let owners = seen.listeners.iter().map(|l| l.owners.len());
    owners.max().unwrap_or(0)
}
