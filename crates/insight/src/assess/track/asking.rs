//! How the service is asked, and what its answers teach.

use std::time::Duration;

use diogenes_proto::{Health, ProbeKind, ProbeOutcome, ProbeSpec, Timestamp, Untrusted, Verdict};

use super::{Presence, Standing, Track};
use crate::assess::schedule::{QUICK, SPARING, interval};
use crate::catalogue::{self, Kind, refined};
use crate::own_words::Asked;

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
    pub(super) kind: Option<&'static Kind>,
    version_asked: bool,
    /// Whether its program was looked up, in this life.
    pub(crate) looked_up: bool,
    /// A file of its program that it could overwrite itself.
    pub(crate) writable: Option<Untrusted>,
    readiness: Readiness,
    /// Mere connections since it last answered a question.
    silent_visits: Option<u8>,
    /// Visits at which it said nothing that tells what it is.
    mute_visits: u8,
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

/// After so many visits one that said nothing is asked again what it speaks, twice in all: it may have been busy, or not
/// ready yet. That is after a minute, and after some five.
const ASKED_AGAIN: [u8; 2] = [3, 30];

impl Track {
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
            Some("tcp") if ASKED_AGAIN.contains(&self.learnt.mute_visits) => ProbeKind::Discover,
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

    /// Whether it was merely connected to the last time, for it answered the questions before.
    pub(crate) fn is_visited(&self) -> bool {
        self.learnt.silent_visits.is_some_and(|visits| visits > 0)
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

    /// Learns what a service that lives has told.
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
        self.learnt.mute_visits = match self.learnt.protocol.as_deref() {
            Some("tcp") => self.learnt.mute_visits.saturating_add(1),
            _ => 0,
        };
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

    /// Turns to the next way of probing; false, and back to the first, where all were tried.
    fn try_next_way(&mut self) -> bool {
        self.way += 1;
        if self.way < self.seen.probes.len() {
            return true;
        }
        self.way = 0;
        false
    }
}

impl Learnt {
    /// Nothing but what protocol it speaks.
    pub(super) fn of(protocol: Option<String>) -> Self {
        Self {
            protocol,
            ..Self::default()
        }
    }

    /// The main process is another one: the files may be others too.
    pub(super) fn doubt_what_may_have_changed(&mut self, is_known_kind: bool) {
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

/// Whether a product that a header named is a server of files or a proxy, or may be one.
fn is_server(product: &Untrusted) -> bool {
    let known = catalogue::find(&product.as_raw().to_ascii_lowercase());
    known.is_some_and(|entry| !entry.is_application())
}
