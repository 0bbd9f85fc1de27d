//! When a service is probed next.
//!
//! ```text
//!            ┌── alive: 10 s (30 s where it is noted) ───┐
//! new: now ──┤── starting, or the first failure: 1 s  ├─► due ─► in flight ─► probed
//!            └── sick: 2, 4, 8 … 30 s ────────────────┘
//! ```
//!
//! Any change that is seen (a new process, another listener, a process that goes on) makes it due at once; but who has
//! just begun to listen is left alone for a second. Some servers listen before they are ready, and break: Icecast 2.4.4
//! crashes where somebody comes before its last thread has started, as was seen in one of fifty starts. Each
//! service has a pace of its own, up to a tenth faster than these times (never slower: they are promised), so that the
//! probes of many containers do not keep step.

use std::time::Duration;

use diogenes_proto::{ProbeKind, Timestamp};

/// Between probes of a service that works.
pub(crate) const STEADY: Duration = Duration::from_secs(10);
/// Between probes of which the service takes note. The same as Docker's own default for a HEALTHCHECK.
pub(crate) const SPARING: Duration = Duration::from_secs(30);
/// Before a failure is confirmed, or a starting service is asked again.
pub(crate) const QUICK: Duration = Duration::from_secs(1);
/// How long nobody is asked who has just begun to listen.
pub(crate) const SETTLES: Duration = Duration::from_secs(1);
/// Longest time between probes of a sick service: asked no more often than one that works, and who has mended it sees so
/// soon.
const LONGEST: Duration = SPARING;
/// A probe whose outcome has not come by then is lost. Far beyond a probe's own deadline.
const LOST: Duration = Duration::from_secs(15);

/// How often a service that works is asked in this way: sparingly where it may write a line about each connection, or
/// counts it. What each server does was read in its log; the headers in `crates/probes` tell.
pub(crate) fn interval(kind: ProbeKind) -> Duration {
    use ProbeKind::{
        Amqp, Discover, Dns, Fastcgi, Ftp, Grpc, Http, Imap, Kafka, Ldap, Memcached, Mongodb, Mqtt,
        Mysql, Nats, Pop3, Postgresql, Redis, Smtp, Ssh, Tcp, Tls, Zookeeper,
    };
    match kind {
        Dns | Fastcgi | Kafka | Ldap | Memcached | Nats | Postgresql | Redis | Tcp => STEADY,
        Amqp | Discover | Ftp | Grpc | Http | Imap | Mongodb | Mqtt | Mysql | Pop3 | Smtp | Ssh
        | Tls | Zookeeper => SPARING,
    }
}

/// A service's own pace, in thousandths of every time: 900 to 1000, always the same for the same service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace(u32);

impl Pace {
    /// By what tells services apart: two containers with the same Redis have started it at different moments.
    pub(crate) fn of(key: &str, started_at: Option<Timestamp>) -> Self {
        let started = started_at.map_or(0, Timestamp::as_unix_ms).to_le_bytes();
        // FNV-1a.
        let hash = key
            .bytes()
            .chain(started)
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        Self(900 + hash % 101)
    }

    fn stretch(self, time: Duration) -> Duration {
        time * self.0 / 1000
    }
}

/// When one service is probed.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    next_at: Timestamp,
    not_before: Timestamp,
    in_flight_since: Option<Timestamp>,
    back_off: Duration,
}

impl Schedule {
    pub(crate) fn at_once(now: Timestamp, pace: Pace) -> Self {
        Self {
            pace,
            next_at: now,
            not_before: now,
            in_flight_since: None,
            back_off: QUICK,
        }
    }

    /// When it has to be looked at: to be probed, or because its probe is lost.
    pub(crate) fn next(&self) -> Timestamp {
        self.in_flight_since
            .map_or(self.next_at, |since| after(since, LOST))
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.next() <= now
    }

    pub(crate) fn is_in_flight(&self, now: Timestamp) -> bool {
        self.in_flight_since
            .is_some_and(|since| after(since, LOST) > now)
    }

    pub(crate) fn started(&mut self, now: Timestamp) {
        self.in_flight_since = Some(now);
    }

    /// An outcome came; the next probe is in `interval`, and the back-off starts anew.
    pub(crate) fn again_in(&mut self, now: Timestamp, interval: Duration) {
        self.in_flight_since = None;
        self.next_at = after(now, self.pace.stretch(interval));
        self.back_off = QUICK;
    }

    /// An outcome came from a sick service; the next probe is twice as far away as the one before.
    pub(crate) fn back_off(&mut self, now: Timestamp) {
        self.in_flight_since = None;
        self.back_off = (self.back_off * 2).min(LONGEST);
        self.next_at = after(now, self.pace.stretch(self.back_off));
    }

    /// Something changed: ask now. A probe in flight may still tell of the time before; it is not waited for.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        let next_at = now.max(self.not_before);
        *self = Self::at_once(next_at, self.pace);
    }

    /// It has just begun to listen: ask when it has settled.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        self.not_before = after(now, SETTLES);
        self.hurry(now);
    }
}

/// A moment later than another.
pub(crate) fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_unix_ms(moment.as_unix_ms().saturating_add(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::at;

    #[test]
    fn who_has_just_begun_to_listen_is_not_asked_at_once_whatever_happens() {
        let mut schedule = Schedule::at_once(at(0), Pace(1000));
        schedule.settle(at(500));
        schedule.hurry(at(600));
        assert_eq!(schedule.next(), at(1_500));
        schedule.hurry(at(2_000));
        assert_eq!(schedule.next(), at(2_000));
    }

    #[test]
    fn backs_off_to_half_a_minute_and_recovers() {
        let mut schedule = Schedule::at_once(at(0), Pace(1000));
        let mut waits = Vec::new();
        for _ in 0..8 {
            let now = schedule.next();
            schedule.started(now);
            schedule.back_off(now);
            waits.push(schedule.next().since(now).as_secs());
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30, 30]);
        schedule.again_in(at(0), STEADY);
        assert_eq!(schedule.next(), at(10_000));
        schedule.back_off(at(0));
        assert_eq!(schedule.next(), at(2_000));
    }

    #[test]
    fn a_lost_probe_is_done_again() {
        let mut schedule = Schedule::at_once(at(0), Pace(1000));
        assert!(schedule.is_due(at(0)));
        schedule.started(at(0));
        assert!(!schedule.is_due(at(5_000)));
        assert!(schedule.is_due(at(15_000)));
    }

    #[test]
    fn many_containers_do_not_keep_step() {
        let started = |container: u64| Some(at(container * 17));
        let paces: Vec<u32> = (0..200)
            .map(|container| Pace::of("redis:6379", started(container)).0)
            .collect();
        assert!(paces.iter().all(|pace| (900..=1000).contains(pace)));
        for fifth in [900..920, 920..940, 940..960, 960..980, 980..1001] {
            let share = paces.iter().filter(|pace| fifth.contains(*pace)).count();
            assert!(share > 15, "{share} of 200 have a pace in {fifth:?}");
        }
        assert_eq!(
            Pace::of("redis:6379", started(1)),
            Pace::of("redis:6379", started(1))
        );
    }
}
