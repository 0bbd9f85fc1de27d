//! When a service is probed next.
//!
//! ```text
//!            ┌── alive: 10 s (30 s where it is logged) ──┐
//! new: now ──┤── starting, or the first failure: 1 s  ├─► due ─► in flight ─► probed
//!            └── sick: 2, 4, 8 … 60 s ────────────────┘
//! ```
//!
//! Any change that is seen (a new process, another listener, a process that goes on) makes it due at once.

use std::time::Duration;

use diogenes_proto::Timestamp;

/// Between probes of a service that works.
pub(crate) const STEADY: Duration = Duration::from_secs(10);
/// Between probes that may leave a line in a log: an HTTP request, or a connection to a service that greets, as sshd
/// does. The same as Docker's own default for a HEALTHCHECK.
pub(crate) const SPARING: Duration = Duration::from_secs(30);
/// Before a failure is confirmed, or a starting service is asked again.
pub(crate) const QUICK: Duration = Duration::from_secs(1);
/// Longest time between probes of a sick service.
const LONGEST: Duration = Duration::from_secs(60);
/// A probe whose outcome has not come by then is lost. Far beyond a probe's own deadline.
const LOST: Duration = Duration::from_secs(15);

/// When one service is probed.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    next_at: Timestamp,
    in_flight_since: Option<Timestamp>,
    back_off: Duration,
}

impl Schedule {
    pub(crate) fn at_once(now: Timestamp) -> Self {
        Self {
            next_at: now,
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
        self.next_at = after(now, interval);
        self.back_off = QUICK;
    }

    /// An outcome came from a sick service; the next probe is twice as far away as the one before.
    pub(crate) fn back_off(&mut self, now: Timestamp) {
        self.in_flight_since = None;
        self.back_off = (self.back_off * 2).min(LONGEST);
        self.next_at = after(now, self.back_off);
    }

    /// Something changed: ask now. A probe in flight may still tell of the time before; it is not waited for.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        *self = Self::at_once(now);
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
    fn backs_off_to_a_minute_and_recovers() {
        let mut schedule = Schedule::at_once(at(0));
        let mut waits = Vec::new();
        for _ in 0..8 {
            let now = schedule.next();
            schedule.started(now);
            schedule.back_off(now);
            waits.push(schedule.next().since(now).as_secs());
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        schedule.again_in(at(0), STEADY);
        assert_eq!(schedule.next(), at(10_000));
        schedule.back_off(at(0));
        assert_eq!(schedule.next(), at(2_000));
    }

    #[test]
    fn a_lost_probe_is_done_again() {
        let mut schedule = Schedule::at_once(at(0));
        assert!(schedule.is_due(at(0)));
        schedule.started(at(0));
        assert!(!schedule.is_due(at(5_000)));
        assert!(schedule.is_due(at(15_000)));
    }
}
