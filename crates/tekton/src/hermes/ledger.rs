//! The ledger: who is to be known to Hermes, what it was told of each, and what to tell it next.
//!
//! ```text
//!                      ┌────────── changed, or the token is old ──────────┐
//!                      ▼                                                  │
//! wished ─► Nothing ─► Register ─► Beat ─► Known ─┬─► Beat, every 15 … 28 s
//!              ▲          ▲                       ├─► Look, now and then ─► not there ─► Nothing; all are looked at
//!              │          └── Perhaps ◄── 401 ────┤
//!              └──────────────────────────────────┴─► wished no longer: Unregister
//! ```
//! A wish is a level, not an event: whatever changed while Hermes did not answer, it is told once, the newest. Who is
//! registered again and again waits longer each time ([`PAUSE`]), so that neither a container that flaps nor a Hermes
//! that denies what it just said makes a flood. Where an answer is lost, Hermes may or may not have heard: such a component is asked after before it
//! is forgotten.
//!
//! Where Hermes does not answer, the gate closes: one request at a time asks after our own component, after a pause that
//! doubles. Its answer opens the gate, and tells whether Hermes has forgotten us.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wire::{Registration, Token};

/// Most requests under way.
pub const MAX_IN_FLIGHT: usize = 4;
/// Nobody is registered again before so much time has passed: the first after a first registration, and the second by
/// doubling it with each further one.
pub(super) const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(16)];
/// After so long without a registration the next one counts as a first.
const CALM: Duration = Duration::from_secs(60);
/// A component beats again after a time between these: Hermes takes it for dead after 60 s, and is promised 30 s.
pub(super) const BEAT: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(28)];
/// A component is asked after again after a time between these; our own after each beat's time.
const LOOK: [Duration; 2] = [Duration::from_secs(240), Duration::from_secs(360)];
/// After one was not there, the others are asked after within this time.
pub(super) const ROLL_CALL: Duration = Duration::from_secs(5);
/// A token is good for 3,600 s; it is replaced after a time between these.
const RENEW: [Duration; 2] = [Duration::from_secs(2400), Duration::from_secs(3000)];
/// The pause after a first failure, and the longest by doubling it.
const FAILURE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// Hermes is away after so many failures in a row: one alone is a connection that broke.
const AWAY_AFTER: u32 = 2;
/// When an earlier life's leftovers are looked for: by then it is known who is there.
const LIST_AFTER: Duration = Duration::from_secs(10);
/// Most components kept only to be unregistered.
const MAX_LEAVING: usize = 1000;

/// How a component is to be known.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What Hermes is to be told. The id in it stays the same.
    pub registration: Arc<Registration>,
    /// Tells one state of it from another: while it stays the same, nothing is worth telling anew.
    pub version: u64,
    /// What its heartbeats say.
    pub healthy: bool,
}

/// Something to be asked of Hermes.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Register it.
    Register(Arc<Registration>),
    /// Say that it lives.
    Beat {
        /// Whose heartbeat it is.
        id: Arc<str>,
        /// Its token.
        token: Token,
        /// Whether it is well.
        healthy: bool,
    },
    /// Ask whether Hermes knows it.
    Look {
        /// Who is asked after.
        id: Arc<str>,
    },
    /// End its registration.
    Unregister {
        /// Who leaves.
        id: Arc<str>,
        /// Its token.
        token: Token,
    },
    /// Ask for all that an earlier life of the same supervisor has left there.
    List,
}

impl Request {
    /// Whom it is about; None where it is about all.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Register(registration) => Some(&registration.component_id),
            Self::Beat { id, .. } | Self::Look { id } | Self::Unregister { id, .. } => Some(id),
            Self::List => None,
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is registered.
    Registered(Token),
    /// It was noted; or Hermes knows it.
    Yes,
    /// Hermes does not know it.
    No,
    /// What an earlier life has left.
    Listed(Vec<Registration>),
    /// The token is not good for it; so says Hermes also of one it does not know.
    Unauthorized,
    /// Hermes does not take what it was told, and says why.
    Refused(String),
    /// No answer that makes sense, and why.
    Failed(String),
}

/// Whether Hermes answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// Nothing was asked yet.
    #[default]
    Untried,
    /// It does.
    Open,
    /// It does not, and why.
    Away(String),
}

/// What was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Registrations that were answered well.
    pub registrations: u64,
    /// Heartbeats that were.
    pub heartbeats: u64,
    /// Requests that were refused, 401 included.
    pub refused: u64,
    /// Requests without an answer that makes sense.
    pub failed: u64,
}

/// What Hermes was told of a component.
#[derive(Clone, Debug)]
enum Told {
    /// Nothing.
    Nothing,
    /// Something, and whether it knows it is uncertain.
    Perhaps,
    /// It knows it, and we have no token.
    Ghost,
    /// It knows it.
    Known {
        token: Token,
        /// What it was told; None where that is uncertain.
        version: Option<u64>,
        renew_at: Instant,
    },
}

#[derive(Debug)]
struct Record {
    wish: Wish,
    is_wanted: bool,
    /// When the wish last changed.
    wished_at: Instant,
    told: Told,
    /// When it was last registered, or that was tried.
    registered_at: Option<Instant>,
    /// How often in a row.
    registrations: u32,
    beat_at: Instant,
    look_at: Instant,
    /// When Hermes last said that it knows it.
    seen_at: Instant,
    /// Failures that concern it alone, since its last success.
    failures: u32,
    /// Nothing before this.
    not_before: Instant,
    /// Its place on the agenda; None while a request about it is under way.
    due: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Register,
    Beat,
    Look,
    Unregister,
    Forget,
}

impl Record {
    /// What comes next, and when.
    fn step(&self, is_own: bool) -> (Instant, Step) {
        let pause = doubled(PAUSE, self.registrations);
        let free_at = self.registered_at.map_or(self.not_before, |at| at + pause);
        let (at, step) = match (&self.told, self.is_wanted) {
            (Told::Known { .. }, false) => (self.not_before, Step::Unregister),
            (Told::Perhaps, false) => (self.not_before, Step::Look),
            (Told::Nothing, false) => return (free_at, Step::Forget),
            (Told::Nothing | Told::Perhaps, true) | (Told::Ghost, _) => (free_at, Step::Register),
            (
                Told::Known {
                    version, renew_at, ..
                },
                true,
            ) => {
                let is_told = *version == Some(self.wish.version);
                let changed_at = free_at.max(self.wished_at);
                let tell_at = if is_told { *renew_at } else { changed_at };
                // Registered again, it could not tell any more that Hermes had forgotten all.
                let first_look = is_own && self.seen_at < tell_at;
                let tell = if first_look {
                    Step::Look
                } else {
                    Step::Register
                };
                let steps = [
                    (tell_at, tell),
                    (self.look_at, Step::Look),
                    (self.beat_at, Step::Beat),
                ];
                let earliest = steps.into_iter().min_by_key(|(at, _)| *at);
                earliest.unwrap_or((tell_at, tell))
            }
        };
        (at.max(self.not_before), step)
    }

    /// Hermes knows it, as it says itself.
    fn seen(&mut self, now: Instant, next_look: Duration) {
        self.seen_at = now;
        self.look_at = now + next_look;
    }

    fn succeeded(&mut self, now: Instant) {
        (self.failures, self.not_before) = (0, now);
    }

    fn failed(&mut self, jitter: f64, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + pause(self.failures, jitter);
    }
}

/// The ledger of one Hermes.
#[derive(Debug)]
pub struct Ledger {
    records: HashMap<Arc<str>, Record>,
    /// Who is due when; without those a request is under way about.
    agenda: BTreeSet<(Instant, Arc<str>)>,
    /// Our own component, by which it is told that Hermes has forgotten all.
    own: Arc<str>,
    in_flight: usize,
    list_at: Option<Instant>,
    gate: Gate,
    /// Failures since Hermes last answered; the gate is closed where there are any.
    failures: u32,
    not_before: Instant,
    counts: Counts,
    dice: u64,
}

impl Ledger {
    /// A ledger of our own component alone. `seed` makes its jitter.
    #[must_use]
    pub fn new(own: Wish, seed: u64, now: Instant) -> Self {
        let id: Arc<str> = own.registration.component_id.as_str().into();
        let mut ledger = Self {
            records: HashMap::new(),
            agenda: BTreeSet::new(),
            own: id,
            in_flight: 0,
            list_at: Some(now + LIST_AFTER),
            gate: Gate::Untried,
            failures: 0,
            not_before: now,
            counts: Counts::default(),
            dice: seed,
        };
        ledger.wish(own, now);
        ledger
    }

    /// From now on it is to be known like this.
    pub fn wish(&mut self, wish: Wish, now: Instant) {
        let id: Arc<str> = wish.registration.component_id.as_str().into();
        match self.records.get_mut(&id) {
            Some(record) => {
                if record.wish.version != wish.version {
                    record.wished_at = now;
                }
                (record.wish, record.is_wanted) = (wish, true);
            }
            None => self.add(id.clone(), wish, Told::Nothing, true, now),
        }
        self.schedule(&id);
    }

    /// From now on it is not to be known.
    pub fn unwish(&mut self, id: &str) {
        let leaving = self.records.values().filter(|record| !record.is_wanted);
        let is_crowded = leaving.count() >= MAX_LEAVING;
        let Some((id, record)) = self.records.get_key_value(id) else {
            return;
        };
        let (id, due) = (id.clone(), record.due);
        if is_crowded && let Some(due) = due {
            self.agenda.remove(&(due, id.clone()));
            self.records.remove(&id);
        } else if let Some(record) = self.records.get_mut(&id) {
            record.is_wanted = false;
            self.schedule(&id);
        }
    }

    /// From now on nobody is to be known.
    pub fn unwish_all(&mut self, now: Instant) {
        let ids: Vec<Arc<str>> = self.records.keys().cloned().collect();
        for id in ids {
            if let Some(record) = self.records.get_mut(&id) {
                (record.is_wanted, record.not_before) = (false, now);
            }
            self.schedule(&id);
        }
        self.list_at = None;
    }

    /// Whether Hermes may know somebody who is not to be known, and answers, so that it can be told.
    #[must_use]
    pub fn can_mend(&self) -> bool {
        let is_amiss = |record: &Record| {
            let is_told = !matches!(record.told, Told::Nothing);
            !record.is_wanted && (is_told || record.due.is_none())
        };
        self.failures == 0 && self.records.values().any(is_amiss)
    }

    /// Whether Hermes knows it, as far as can be told: it said so, and answers.
    #[must_use]
    pub fn is_known(&self, id: &str) -> bool {
        let record = self.records.get(id).filter(|record| record.is_wanted);
        let is_known = record.is_some_and(|record| matches!(record.told, Told::Known { .. }));
        is_known && self.gate == Gate::Open
    }

    /// How many are to be known.
    #[must_use]
    pub fn wanted(&self) -> usize {
        let records = self.records.values();
        records.filter(|record| record.is_wanted).count()
    }

    /// How many of them are.
    #[must_use]
    pub fn known(&self) -> usize {
        self.records.keys().filter(|id| self.is_known(id)).count()
    }

    /// Whether Hermes answers.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What was asked so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What to ask now. It is under way until [`Ledger::answered`] hears of it.
    pub fn next(&mut self, now: Instant) -> Option<Request> {
        if self.failures > 0 {
            return self.knock(now);
        }
        if self.in_flight >= MAX_IN_FLIGHT {
            return None;
        }
        if self.list_at.is_some_and(|at| at <= now) {
            self.list_at = None;
            self.in_flight += 1;
            return Some(Request::List);
        }
        while self.agenda.first().is_some_and(|(at, _)| *at <= now) {
            let (_, id) = self.agenda.pop_first()?;
            let is_own = id == self.own;
            let record = self.records.get_mut(&id)?;
            record.due = None;
            let step = record.step(is_own).1;
            if step == Step::Forget {
                self.records.remove(&id);
                continue;
            }
            self.in_flight += 1;
            return Some(record.request(step, id, now));
        }
        None
    }

    /// When there may be something to ask, if nothing happens before; None where that takes an answer.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        if self.failures > 0 {
            return (self.in_flight == 0).then_some(self.not_before);
        }
        if self.in_flight >= MAX_IN_FLIGHT {
            return None;
        }
        let due = self.agenda.first().map(|(at, _)| *at);
        self.list_at.into_iter().chain(due).min()
    }

    /// Hears what became of a request; returns another that is to follow it at once.
    pub fn answered(&mut self, request: &Request, answer: Answer, now: Instant) -> Option<Request> {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.count(request, &answer);
        self.swing_gate(&answer, now);
        let Some(id) = request.id() else {
            match answer {
                Answer::Listed(left) => self.adopt(left, now),
                _ => self.list_at = Some(now + LIST_AFTER),
            }
            return None;
        };
        let id: Arc<str> = id.into();
        let (beat, renew) = (self.between(BEAT), self.between(RENEW));
        let look = if id == self.own { BEAT } else { LOOK };
        let look = self.between(look);
        let jitter = self.roll();
        let record = self.records.get_mut(&id)?;
        let mut is_missing = false;
        match (request, answer) {
            (Request::Register(registration), Answer::Registered(token)) => {
                let is_newest = Arc::ptr_eq(registration, &record.wish.registration);
                record.told = Told::Known {
                    token: token.clone(),
                    version: is_newest.then_some(record.wish.version),
                    renew_at: now + renew,
                };
                record.seen(now, look);
                if record.is_wanted {
                    // Registered anew, it counts as dead until it beats.
                    self.in_flight += 1;
                    let healthy = record.wish.healthy;
                    return Some(Request::Beat { id, token, healthy });
                }
            }
            (Request::Beat { .. }, Answer::Yes) => {
                record.succeeded(now);
                record.beat_at = now + beat;
            }
            (Request::Look { .. }, Answer::Yes) => {
                record.succeeded(now);
                record.seen(now, look);
                if let (Told::Perhaps, false) = (&record.told, record.is_wanted) {
                    record.told = Told::Ghost;
                }
            }
            (Request::Look { .. }, Answer::No) => {
                record.succeeded(now);
                is_missing = matches!(record.told, Told::Known { .. });
                record.told = Told::Nothing;
            }
            (Request::Unregister { .. }, Answer::Yes) => record.told = Told::Nothing,
            (request, answer) => {
                record.failed(jitter, now);
                let is_lost = matches!(answer, Answer::Failed(_));
                match (request, &mut record.told) {
                    // It may have been heard, though.
                    (Request::Register(_), Told::Known { version, .. }) if is_lost => {
                        *version = None;
                    }
                    (Request::Register(_), told) if is_lost => *told = Told::Perhaps,
                    // Also Hermes says 401 of one that it does not know.
                    (Request::Unregister { .. }, told) => *told = Told::Perhaps,
                    (Request::Beat { .. } | Request::Look { .. }, told) if !is_lost => {
                        *told = Told::Perhaps;
                    }
                    _ => {}
                }
            }
        }
        record.due = Some(now);
        self.agenda.insert((now, id.clone()));
        self.schedule(&id);
        if is_missing {
            self.call_roll(now);
        }
        None
    }

    fn add(&mut self, id: Arc<str>, wish: Wish, told: Told, is_wanted: bool, now: Instant) {
        let record = Record {
            wish,
            is_wanted,
            wished_at: now,
            told,
            registered_at: None,
            registrations: 0,
            beat_at: now,
            look_at: now,
            seen_at: now,
            failures: 0,
            not_before: now,
            due: Some(now),
        };
        self.agenda.insert((now, id.clone()));
        self.records.insert(id, record);
    }

    /// Gives a record its place on the agenda, unless a request about it is under way: then its answer will.
    fn schedule(&mut self, id: &Arc<str>) {
        let is_own = *id == self.own;
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        let at = record.step(is_own).0;
        if let Some(due) = &mut record.due {
            self.agenda.remove(&(*due, id.clone()));
            *due = at;
            self.agenda.insert((at, id.clone()));
        }
    }

    /// Asks after our own component, to see whether Hermes is there again.
    fn knock(&mut self, now: Instant) -> Option<Request> {
        if self.in_flight > 0 || now < self.not_before {
            return None;
        }
        let id = self.own.clone();
        let record = self.records.get_mut(&id)?;
        if let Some(due) = record.due.take() {
            self.agenda.remove(&(due, id.clone()));
        }
        self.in_flight += 1;
        Some(Request::Look { id })
    }

    fn swing_gate(&mut self, answer: &Answer, now: Instant) {
        let Answer::Failed(why) = answer else {
            (self.failures, self.gate) = (0, Gate::Open);
            return;
        };
        // What was under way when the gate closed fails with it: that is one failure.
        if self.failures == 0 || now >= self.not_before {
            self.failures = self.failures.saturating_add(1);
            let jitter = self.roll();
            self.not_before = now + pause(self.failures, jitter);
        }
        if self.failures >= AWAY_AFTER {
            self.gate = Gate::Away(why.clone());
        }
    }

    fn count(&mut self, request: &Request, answer: &Answer) {
        let counts = &mut self.counts;
        match (request, answer) {
            (_, Answer::Failed(_)) => counts.failed += 1,
            (_, Answer::Refused(_) | Answer::Unauthorized) => counts.refused += 1,
            (Request::Register(_), _) => counts.registrations += 1,
            (Request::Beat { .. }, _) => counts.heartbeats += 1,
            _ => {}
        }
    }

    /// One that Hermes should know is not there: perhaps all are gone, as after a restart of Hermes.
    fn call_roll(&mut self, now: Instant) {
        let is_called = |record: &Record| {
            let is_known = matches!(record.told, Told::Known { .. });
            record.is_wanted && is_known && record.seen_at + ROLL_CALL <= now
        };
        let called = self.records.iter().filter(|(_, record)| is_called(record));
        let called: Vec<Arc<str>> = called.map(|(id, _)| id.clone()).collect();
        for id in called {
            let at = now + self.between([Duration::ZERO, ROLL_CALL]);
            if let Some(record) = self.records.get_mut(&id) {
                record.look_at = record.look_at.min(at);
                self.schedule(&id);
            }
        }
    }

    /// Takes over what an earlier life has left, to unregister it.
    fn adopt(&mut self, left: Vec<Registration>, now: Instant) {
        for registration in left.into_iter().take(MAX_LEAVING) {
            let id: Arc<str> = registration.component_id.as_str().into();
            if !self.records.contains_key(&id) {
                let wish = Wish {
                    registration: Arc::new(registration),
                    version: 0,
                    healthy: false,
                };
                self.add(id, wish, Told::Ghost, false, now);
            }
        }
    }

    fn between(&mut self, [from, to]: [Duration; 2]) -> Duration {
        from + (to - from).mul_f64(self.roll())
    }

    /// A number from 0 up to 1 (splitmix64, public domain, by Sebastiano Vigna): chance enough for a jitter.
    fn roll(&mut self) -> f64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        f64::from((mixed >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
    }
}

impl Record {
    fn request(&mut self, step: Step, id: Arc<str>, now: Instant) -> Request {
        match (step, &self.told) {
            (Step::Beat, Told::Known { token, .. }) => Request::Beat {
                id,
                token: token.clone(),
                healthy: self.wish.healthy,
            },
            (Step::Unregister, Told::Known { token, .. }) => Request::Unregister {
                id,
                token: token.clone(),
            },
            (Step::Register, _) => {
                let in_a_row = self.registered_at.is_some_and(|at| now < at + CALM);
                self.registrations = if in_a_row { self.registrations + 1 } else { 1 };
                self.registered_at = Some(now);
                Request::Register(self.wish.registration.clone())
            }
            _ => Request::Look { id },
        }
    }
}

/// The pause after so many failures; `jitter` goes from 0 up to 1, and the pause with it from three quarters to five.
fn pause(failures: u32, jitter: f64) -> Duration {
    doubled(FAILURE, failures).mul_f64(0.75 + jitter / 2.0)
}

/// The first time after the first of `times`, doubled with each further one, up to the longest.
fn doubled([first, longest]: [Duration; 2], times: u32) -> Duration {
    let factor = 1 << times.saturating_sub(1).min(16);
    first.saturating_mul(factor).min(longest)
}
