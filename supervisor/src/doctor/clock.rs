//! Clocks: "since when" is told by them, and events are asked for by them.

use std::time::{Duration, Instant, SystemTime};

use diogenes_engine::LOOK_BACK;

use crate::doctor::check::Check;
use crate::doctor::engine::EngineFacts;

const ID: &str = "clock";
const TITLE: &str = "Clock";
const ENGINE_ID: &str = "engine-clock";
const ENGINE_TITLE: &str = "Engine's clock";

/// A step that people would notice; daemons that keep the time slew by far less in the time a look takes.
const MAX_STEP_MS: i64 = 100;
/// 2025-01-01: before this program was written.
const EARLIEST_UNIX_S: u64 = 1_735_689_600;

/// What was seen of the clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Seconds since the epoch.
    pub(super) unix_s: u64,
    /// How much further than the monotonic clock the wall clock went during the look.
    pub(super) stepped_ms: i64,
    /// How far the Engine's clock is ahead of ours; None where it does not tell.
    pub(super) engine_ahead_ms: Option<i64>,
}

/// Both clocks at the start of the look.
pub(super) struct Start {
    wall: SystemTime,
    steady: Instant,
}

impl Start {
    /// Now.
    pub(super) fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            steady: Instant::now(),
        }
    }

    /// What they did since.
    pub(super) fn end(self, engine: &EngineFacts) -> Clock {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let wall = SystemTime::now();
        let steady = ms(self.steady.elapsed());
        let moved = match wall.duration_since(self.wall) {
            Ok(forward) => ms(forward),
            Err(error) => -ms(error.duration()),
        };
        let since_epoch = wall.duration_since(SystemTime::UNIX_EPOCH);
        Clock {
            unix_s: since_epoch.map_or(0, |since| since.as_secs()),
            stepped_ms: moved.saturating_sub(steady),
            engine_ahead_ms: engine.ahead_ms,
        }
    }
}

/// The verdicts.
pub(super) fn judge(facts: &Clock) -> Vec<Check> {
    vec![own(facts), engine(facts)]
}

fn own(facts: &Clock) -> Check {
    const KEEP: &str = "let chrony or systemd-timesyncd keep the time (timedatectl set-ntp true)";
    if facts.unix_s < EARLIEST_UNIX_S {
        return Check::warning(
            ID,
            TITLE,
            "it is years behind: every \"since\" will be wrong",
            KEEP,
        );
    }
    if facts.stepped_ms.abs() > MAX_STEP_MS {
        return Check::warning(
            ID,
            TITLE,
            format!("it was set by {} ms during this look", facts.stepped_ms),
            KEEP,
        );
    }
    Check::ok(ID, TITLE, "it goes steadily")
}

fn engine(facts: &Clock) -> Check {
    let Some(ahead_ms) = facts.engine_ahead_ms else {
        return Check::warning(
            ENGINE_ID,
            ENGINE_TITLE,
            "the Engine does not tell its time",
            "mend the Engine first; if it answers, compare: docker info, and date",
        );
    };
    if ahead_ms.unsigned_abs() < u64::try_from(LOOK_BACK.as_millis()).unwrap_or(u64::MAX) {
        return Check::ok(ENGINE_ID, ENGINE_TITLE, "the same as ours");
    }
    let (seconds, side) = (
        ahead_ms.unsigned_abs() / 1000,
        if ahead_ms > 0 { "ahead" } else { "behind" },
    );
    Check::warning(
        ENGINE_ID,
        ENGINE_TITLE,
        format!(
            "{seconds} s {side} of ours: uptimes are wrong by as much, and events may be missed"
        ),
        "let both hosts keep the time by the same source",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{Ok as Fine, Warning};

    #[test]
    fn each_clock_has_its_verdict() {
        let good = Clock {
            unix_s: 1_800_000_000,
            stepped_ms: -3,
            engine_ahead_ms: Some(1_999),
        };
        let old = Clock {
            unix_s: 0,
            ..good.clone()
        };
        let stepped = Clock {
            stepped_ms: -3_600_000,
            ..good.clone()
        };
        let ahead = Clock {
            engine_ahead_ms: Some(2_000),
            ..good.clone()
        };
        let behind = Clock {
            engine_ahead_ms: Some(-61_000),
            ..good.clone()
        };
        let untold = Clock {
            engine_ahead_ms: None,
            ..good.clone()
        };
        for (clock, expected, words) in [
            (good, [Fine, Fine], "the same"),
            (old, [Warning, Fine], "the same"),
            (stepped, [Warning, Fine], "the same"),
            (ahead, [Fine, Warning], "2 s ahead"),
            (behind, [Fine, Warning], "61 s behind"),
            (untold, [Fine, Warning], "does not tell"),
        ] {
            let checks = judge(&clock);
            assert_eq!([checks[0].status, checks[1].status], expected, "{checks:?}");
            assert!(checks[1].detail.contains(words), "{checks:?}");
        }
    }
}
