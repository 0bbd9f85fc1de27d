//! A moment as a person names it: `2026-11-21T14:00:00Z`, `2026-11-21`, `1763733600`, or so long ago: `10m`.

use std::fmt;
use std::str::FromStr;

use diogenes_proto::Timestamp;
use serde::{Deserialize, Serialize};

use crate::logs::line_time;

/// A moment. A duration has been counted back from the time it was read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Timestamp", try_from = "String")]
pub(crate) struct When(pub(crate) Timestamp);

/// Why a text names no moment.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{}\" is no moment; give one like 2026-11-21T14:00:00Z (UTC where no offset is given), or how long ago: 10m, 2h, 1d",
    diogenes_proto::untrusted::escape(.0)
)]
pub(crate) struct NoMoment(String);

impl When {
    /// The moment that a text names at `now`; None where it names none.
    pub(crate) fn read(text: &str, now: Timestamp) -> Option<Self> {
        line_time::whole(text, now)
            .or_else(|| line_time::whole(&format!("{text}T00:00:00"), now))
            .or_else(|| before(now, text))
            .map(Self)
    }
}

impl FromStr for When {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        Self::read(text, Timestamp::now()).ok_or_else(|| NoMoment(text.chars().take(64).collect()))
    }
}

/// So long before now.
fn before(now: Timestamp, text: &str) -> Option<Timestamp> {
    let ago = humantime::parse_duration(text).ok()?;
    let ago_ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    Some(Timestamp::from_unix_ms(
        now.as_unix_ms().saturating_sub(ago_ms),
    ))
}

impl TryFrom<String> for When {
    type Error = NoMoment;

    fn try_from(text: String) -> Result<Self, NoMoment> {
        text.parse()
    }
}

impl From<When> for Timestamp {
    fn from(when: When) -> Self {
        when.0
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_may_be_named_in_the_usual_ways() {
        let read = |text: &str| text.parse::<When>().unwrap().to_string();
        for (text, moment) in [
            ("2026-11-21T14:00:00Z", "2026-11-21T14:00:00.000Z"),
            ("2026-11-21T14:00:00.5+02:00", "2026-11-21T12:00:00.500Z"),
            ("2026-11-21 14:00:00", "2026-11-21T14:00:00.000Z"),
            ("2026-11-21", "2026-11-21T00:00:00.000Z"),
            ("1763733600", "2025-11-21T14:00:00.000Z"),
        ] {
            assert_eq!(read(text), moment, "{text}");
        }
    }

    #[test]
    fn or_by_how_long_ago_it_was() {
        for (text, ago_s) in [("10m", 600), ("2h", 7200), ("1d", 86_400), ("1h 30m", 5400)] {
            let When(moment) = text.parse().unwrap();
            let ago = Timestamp::now().since(moment).as_secs();
            assert!((ago_s..ago_s + 5).contains(&ago), "{text}: {ago}");
        }
        let When(earliest) = "9999999d".parse().unwrap();
        assert_eq!(earliest, Timestamp::default());
    }

    #[test]
    fn what_names_no_moment_says_what_would() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "10",
            "-5m",
            "\u{1b}[31m",
            "2026-11-21T14:00:00Zx",
        ] {
            let error = text.parse::<When>().unwrap_err().to_string();
            assert!(error.contains("is no moment; give one like"), "{error}");
            assert!(!error.contains('\u{1b}'));
        }
    }
}
