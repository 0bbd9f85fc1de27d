//! One service over time: what was seen of it, what it answered, and what that comes to.

mod asking;
mod claim;
mod presence;

use std::collections::VecDeque;
use std::time::Duration;

use diogenes_proto::{Activity, Health, ProbeOutcome, ProbeStats, Timestamp, Untrusted, Verdict};

pub(crate) use self::asking::Learnt;
use self::claim::Standing;
pub(crate) use self::presence::{Absence, LOOKS_FOR_SUCCESSOR, Presence};
use super::condition::{Condition, Stuck};
use super::judgement::{Judgement, judge};
use super::link::Link;
use super::schedule::{Pace, SETTLES, Schedule, after};
use super::start::Start;
use crate::own_words::{Asked, MAX_RESTARTS};
use crate::recognise::Recognised;

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
/// The window in which restarts make a crash loop.
const LOOP_WINDOW: Duration = Duration::from_secs(60);

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
        self.seen.main()
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
        let is_reborn = self.main() != seen.main();
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
            let is_awaited = seen.main() == self.successor();
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
        let is_master_alone = holders(&self.seen) > 1 && holders(&seen) == 1;
        if is_back || has_other_listeners {
            self.schedule.settle(now);
        } else if is_reborn
            || is_master_alone
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

    fn restarted(&mut self, now: Timestamp) {
        self.restarts.push_back(now);
        if self.restarts.len() > usize::from(MAX_RESTARTS) {
            self.restarts.pop_front();
        }
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

/// How many processes hold the listener of a service that most hold.
fn holders(seen: &Recognised) -> usize {
    let owners = seen.listeners.iter().map(|l| l.owners.len());
    owners.max().unwrap_or(0)
}
