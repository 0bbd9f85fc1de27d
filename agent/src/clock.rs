//! The companion's clock: the system's at the moment it came, and from then on at the pace of time alone.
//!
//! ```text
//! decisions ── now() ──► only ever forward, whatever becomes of the system's clock
//! what is told ── moved by step_ms() ──► what the system's clock says
//! ```
//! The host's clock may be set while a companion lives. Were things due by that clock, then after an hour back nobody
//! would be asked for an hour, and everything would count as just started. Processes' start times count from the boot, as
//! this clock does.

use diogenes_linux::clock::{ClockId, milliseconds};
use diogenes_proto::Timestamp;

/// A difference that is less than this is drift and not a step. It is left alone, so that one moment is always told as
/// the same.
const STEP_MS: i64 = 1000;

/// The clock.
#[derive(Debug)]
pub(crate) struct Clock {
    /// What the system's clock would have said at the boot, in milliseconds since the epoch.
    boot_ms: i64,
    /// By how much the system's clock was set forward since this one began.
    step_ms: i64,
}

impl Clock {
    /// A clock that agrees with the system's.
    pub(crate) fn start() -> Self {
        Self::started_at(
            milliseconds(ClockId::Realtime),
            milliseconds(ClockId::Boottime),
        )
    }

    fn started_at(system_ms: i64, since_boot_ms: i64) -> Self {
        Self {
            boot_ms: system_ms - since_boot_ms,
            step_ms: 0,
        }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(milliseconds(ClockId::Boottime))
    }

    fn at(&self, since_boot_ms: i64) -> Timestamp {
        let ms = self.boot_ms.saturating_add(since_boot_ms);
        Timestamp::from_unix_ms(u64::try_from(ms).unwrap_or(0))
    }

    /// By how much a moment of this clock is earlier than the system's clock has it, in milliseconds; negative where that
    /// one was set back.
    pub(crate) fn step_ms(&mut self) -> i64 {
        self.step_at(
            milliseconds(ClockId::Realtime),
            milliseconds(ClockId::Boottime),
        )
    }

    fn step_at(&mut self, system_ms: i64, since_boot_ms: i64) -> i64 {
        let ahead = system_ms - since_boot_ms - self.boot_ms;
        if (ahead - self.step_ms).abs() >= STEP_MS {
            self.step_ms = ahead;
        }
        self.step_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn it_goes_on_evenly_when_the_systems_clock_is_set() {
        let noon = 1_769_860_800_000;
        let mut clock = Clock::started_at(noon, 5_000);
        let after = |ms: i64| clock.at(5_000 + ms).since(clock.at(5_000)).as_millis();
        assert_eq!(clock.at(5_000), Timestamp::from_unix_ms(1_769_860_800_000));
        assert_eq!([after(1), after(60_000)], [1, 60_000]);

        for (set_forward, told) in [
            (0, 0),
            (400, 0),
            (-HOUR_MS, -HOUR_MS),
            (HOUR_MS, HOUR_MS),
            (HOUR_MS + 900, HOUR_MS),
        ] {
            let system = noon + 10_000 + set_forward;
            assert_eq!(
                clock.step_at(system, 15_000),
                told,
                "set forward by {set_forward} ms"
            );
            assert_eq!(clock.at(15_000), Timestamp::from_unix_ms(1_769_860_810_000));
        }
    }

    #[test]
    fn it_begins_with_the_systems_clock() {
        let mut clock = Clock::start();
        assert_eq!(clock.step_ms(), 0);
        assert!(clock.now().since(Timestamp::now()).as_secs() < 1);
        assert!(Timestamp::now().since(clock.now()).as_secs() < 1);
    }
}
