//! A moment in wall-clock time, RFC 3339 on the wire.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Last second of the year 9999, where RFC 3339's four-digit years end.
const MAX_MS: u64 = 253_402_300_799_999;

/// Milliseconds since the Unix epoch; written as RFC 3339 in UTC, `2026-01-31T08:00:00.123Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_ms: u64,
}

impl Timestamp {
    /// A moment from milliseconds since the epoch; what lies beyond the year 9999 is taken as its end.
    #[must_use]
    pub fn from_unix_ms(unix_ms: u64) -> Self {
        Self {
            unix_ms: unix_ms.min(MAX_MS),
        }
    }

    /// The present moment by the system's clock; the epoch itself where the clock stands before it.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_unix_ms(self) -> u64 {
        self.unix_ms
    }

    /// The moment so many milliseconds later, or earlier where it is negative; never before the epoch.
    #[must_use]
    pub fn moved(self, by_ms: i64) -> Self {
        Self::from_unix_ms(self.unix_ms.saturating_add_signed(by_ms))
    }

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.unix_ms.saturating_sub(earlier.unix_ms))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let unix_ms = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(MAX_MS));
        Self::from_unix_ms(unix_ms)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(self.unix_ms)).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Checked here, because humantime takes `.5+05:00` for UTC.
        if !text.ends_with('Z') {
            return Err(serde::de::Error::custom(
                "a time must be in UTC and end in Z",
            ));
        }
        humantime::parse_rfc3339_weak(&text)
            .map(Into::into)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_rfc_3339_on_the_wire() {
        let moment = Timestamp::from_unix_ms(1_769_846_400_123);
        assert_eq!(
            serde_json::to_string(&moment).unwrap(),
            "\"2026-01-31T08:00:00.123Z\""
        );
        assert_eq!(
            serde_json::from_str::<Timestamp>("\"2026-01-31T08:00:00.123Z\"").unwrap(),
            moment
        );
    }

    #[test]
    fn reads_the_calendar_from_end_to_end() {
        let read = |text: &str| {
            serde_json::from_value::<Timestamp>(text.into()).map(Timestamp::as_unix_ms)
        };
        assert_eq!(read("1970-01-01T00:00:00Z").unwrap(), 0);
        assert_eq!(read("9999-12-31T23:59:59.999Z").unwrap(), MAX_MS);
        assert_eq!(read("9999-12-31T23:59:59.999999999Z").unwrap(), MAX_MS);
        // A leap second is taken as the second before it.
        assert_eq!(
            read("2016-12-31T23:59:60Z").unwrap(),
            read("2016-12-31T23:59:59Z").unwrap()
        );
    }

    #[test]
    fn what_is_no_moment_in_utc_is_an_error() {
        for text in [
            "",
            "Z",
            "yesterday",
            "1969-12-31T23:59:59.999Z",
            "10000-01-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T08:00:00",
            "2026-01-31T08:00:00.5+05:00",
            "2026-01-31T08:00:00+00:00",
            "2026-01-31T08:00:00.1é2Z",
            "-026-01-31T08:00:00Z",
        ] {
            assert!(
                serde_json::from_value::<Timestamp>(text.into()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_moment_is_moved_within_the_calendar() {
        let moment = Timestamp::from_unix_ms(5_000);
        assert_eq!(moment.moved(-2_000).as_unix_ms(), 3_000);
        assert_eq!(moment.moved(i64::MIN).as_unix_ms(), 0);
        assert_eq!(moment.moved(i64::MAX).as_unix_ms(), MAX_MS);
    }

    #[test]
    fn a_time_beyond_the_calendar_does_not_panic() {
        assert_eq!(
            Timestamp::from_unix_ms(u64::MAX).to_string(),
            "9999-12-31T23:59:59.999Z"
        );
    }
}
