//! The time at the beginning of a log line, in the forms programs write it.
//!
//! | form | who writes it |
//! |---|---|
//! | `2026-11-21T14:00:00.123Z`, `2026-11-21 14:00:00,123 +0100`, `2026/11/21 14:00:00` | most; PostgreSQL, Python, Go, nginx's errors |
//! | `127.0.0.1 - - [21/Nov/2026:14:00:00 +0000]` | access logs: the common log format |
//! | `1:M 21 Nov 2026 14:08:57.476` | Redis |
//! | `Nov 21 14:00:00`, `Sat Nov 21 14:00:00.123 2026` | syslog (RFC 3164), Apache's errors, ctime(3) |
//! | `1763733600.123`, `1763733600123` | seconds or milliseconds since the epoch |
//!
//! Without an offset, or with the name of a zone, a time is taken as UTC, as containers mostly have it; without
//! a year, it is the latest such moment.

use std::time::Duration;

use diogenes_proto::Timestamp;

/// What may stand before the time, in lines of key and value, and of JSON.
const BEFORE: [&str; 12] = [
    "[",
    "time=\"",
    "time=",
    "ts=\"",
    "ts=",
    "{\"time\":\"",
    "{\"timestamp\":\"",
    "{\"@timestamp\":\"",
    "{\"ts\":\"",
    "{\"ts\":",
    "{\"t\":{\"$date\":\"",
    "{\"level\":\"info\",\"ts\":",
];
/// How far into an access log's line its time may begin: behind an address and a user's name.
const MAX_CLIENT_BYTES: usize = 256;
/// How far a clock without a year may run ahead of ours before the year is the last one.
const AHEAD: Duration = Duration::from_secs(86_400);
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The time a line begins with; None where it has none.
pub(crate) fn of_line(line: &str, now: Timestamp) -> Option<Timestamp> {
    let begin = BEFORE
        .iter()
        .find_map(|before| line.strip_prefix(before))
        .unwrap_or_else(|| after_role(line).unwrap_or(line));
    moment(&mut Scan::new(begin), now).or_else(|| moment_of_access(line))
}

/// The time a text is, and nothing else.
pub(crate) fn whole(text: &str, now: Timestamp) -> Option<Timestamp> {
    let mut scan = Scan::new(text);
    moment(&mut scan, now).filter(|_| scan.0.is_empty())
}

/// What follows Redis' pid and role, `1:M `.
fn after_role(line: &str) -> Option<&str> {
    let (pid, rest) = line.split_once(':')?;
    let is_pid =
        !pid.is_empty() && pid.len() <= 10 && pid.bytes().all(|byte| byte.is_ascii_digit());
    let rest = rest.strip_prefix(|role: char| role.is_ascii_uppercase())?;
    rest.strip_prefix(' ').filter(|_| is_pid)
}

/// The time in brackets behind the client of an access log.
fn moment_of_access(line: &str) -> Option<Timestamp> {
    let client = line.as_bytes().get(..line.len().min(MAX_CLIENT_BYTES))?;
    let bracket = client.iter().position(|byte| *byte == b'[')?;
    let mut scan = Scan::new(line.get(bracket + 1..)?);
    day_first(&mut scan)
}

fn moment(scan: &mut Scan<'_>, now: Timestamp) -> Option<Timestamp> {
    let forms = [year_first, day_first, epoch];
    forms
        .iter()
        .find_map(|form| scan.attempt(|scan| form(scan)))
        .or_else(|| scan.attempt(|scan| month_first(scan, now)))
}

/// `2026-11-21T14:00:00.123Z` and its kin.
fn year_first(scan: &mut Scan<'_>) -> Option<Timestamp> {
    let year = scan.number(4, 4)?;
    let separator = scan.one_of(b"-/")?;
    let month = scan.number(2, 2)?;
    scan.one_of(&[separator])?;
    let day = scan.number(2, 2)?;
    scan.one_of(b"Tt ")?;
    let time = scan.time()?;
    let offset_s = scan.offset();
    utc(year, month, day, &time, offset_s)
}

/// `21/Nov/2026:14:00:00 +0000`, `21 Nov 2026 14:08:57.476`.
fn day_first(scan: &mut Scan<'_>) -> Option<Timestamp> {
    let day = scan.number(1, 2)?;
    let separator = scan.one_of(b"/ -")?;
    let month = scan.month()?;
    scan.one_of(&[separator])?;
    let year = scan.number(4, 4)?;
    scan.one_of(b": ")?;
    let time = scan.time()?;
    let offset_s = scan.offset();
    utc(year, month, day, &time, offset_s)
}

/// `Nov 21 14:00:00`, with a day of the week before it or a year behind it, or both.
fn month_first(scan: &mut Scan<'_>, now: Timestamp) -> Option<Timestamp> {
    let month = match scan.month() {
        Some(month) => month,
        None => {
            let day_of_week = scan.0.get(..4)?;
            let is_word = day_of_week[..3].iter().all(u8::is_ascii_alphabetic);
            scan.0 = scan
                .0
                .get(4..)
                .filter(|_| is_word && day_of_week[3] == b' ')?;
            scan.month()?
        }
    };
    scan.one_of(b" ")?;
    // Days of one digit stand in a column of two.
    let _ = scan.one_of(b" ");
    let day = scan.number(1, 2)?;
    scan.one_of(b" ")?;
    let time = scan.time()?;
    let year = scan.attempt(|scan| {
        scan.one_of(b" ")?;
        scan.number(4, 4)
    });
    if let Some(year) = year {
        return utc(year, month, day, &time, 0);
    }
    let this_year: u32 = now.to_string().get(..4)?.parse().ok()?;
    let in_year = |year| utc(year, month, day, &time, 0);
    in_year(this_year)
        .filter(|moment| moment.since(now) <= AHEAD)
        .or_else(|| in_year(this_year - 1))
}

/// Ten digits of seconds, or thirteen of milliseconds: from 2001 to 2286.
fn epoch(scan: &mut Scan<'_>) -> Option<Timestamp> {
    let digits = scan.digits(13);
    let number: u64 = digits.parse().ok()?;
    let unix_ms = match digits.len() {
        10 => number * 1000 + scan.fraction().map_or(0, |fraction| millis(&fraction)),
        13 => number,
        _ => return None,
    };
    let goes_on = scan.0.first().is_some_and(u8::is_ascii_alphanumeric);
    (!goes_on).then(|| Timestamp::from_unix_ms(unix_ms))
}

/// The first three of the digits after a point.
fn millis(fraction: &str) -> u64 {
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

/// A moment of the calendar; None for the 30th of February.
fn utc(year: u32, month: u32, day: u32, time: &str, offset_s: i64) -> Option<Timestamp> {
    let text = format!("{year:04}-{month:02}-{day:02}T{time}Z");
    let local = Timestamp::from(humantime::parse_rfc3339_weak(&text).ok()?).as_unix_ms();
    let unix_ms = i64::try_from(local).ok()? - offset_s * 1000;
    Some(Timestamp::from_unix_ms(u64::try_from(unix_ms).ok()?))
}

/// What is left of a text. What takes nothing off it returns None.
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Takes something, or nothing at all.
    fn attempt<T>(&mut self, take: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.0;
        let taken = take(self);
        if taken.is_none() {
            self.0 = before;
        }
        taken
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !bytes.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    /// As many digits as there are, but for the `most`; perhaps none.
    fn digits(&mut self, most: usize) -> &'a str {
        let is_digit = |byte: &&u8| byte.is_ascii_digit();
        let count = self.0.iter().take(most).take_while(is_digit).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        std::str::from_utf8(digits).unwrap_or_default()
    }

    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self.digits(most);
        (digits.len() >= least).then(|| digits.parse().ok())?
    }

    fn month(&mut self) -> Option<u32> {
        let word = self.0.get(..3)?;
        let month = (1..)
            .zip(MONTHS)
            .find(|(_, name)| name.as_bytes() == word)?;
        self.0 = &self.0[3..];
        Some(month.0)
    }

    /// `14:00:00`, `14:00:00.123456`, `14:00:00,123`; with a point, at most to the nanosecond.
    fn time(&mut self) -> Option<String> {
        let hour = self.number(2, 2)?;
        self.one_of(b":")?;
        let minute = self.number(2, 2)?;
        self.one_of(b":")?;
        let second = self.number(2, 2)?;
        let mut text = format!("{hour:02}:{minute:02}:{second:02}");
        if let Some(fraction) = self.fraction() {
            text.push('.');
            text.push_str(&fraction);
        }
        Some(text)
    }

    fn fraction(&mut self) -> Option<String> {
        self.attempt(|scan| {
            scan.one_of(b".,")?;
            let digits = scan.digits(9);
            (!digits.is_empty()).then(|| digits.to_owned())
        })
    }

    /// Seconds east of Greenwich: `Z`, `+01:00`, ` +0100`, `-05`; 0 where nothing is said, or a name.
    fn offset(&mut self) -> i64 {
        let offset = self.attempt(|scan| {
            let _ = scan.one_of(b" ");
            let east = match scan.one_of(b"Zz+-")? {
                b'+' => 1,
                b'-' => -1,
                _ => return Some(0),
            };
            let hours = scan.number(2, 2)?;
            let _ = scan.one_of(b":");
            let minutes = scan.number(2, 2).unwrap_or(0);
            let is_offset = hours <= 14 && minutes < 60;
            is_offset.then(|| east * i64::from(hours * 3600 + minutes * 60))
        });
        offset.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T14:30:00Z"
            .parse::<crate::logs::When>()
            .unwrap()
            .0
    }

    #[test]
    fn reads_the_time_in_the_forms_programs_write_it() {
        for (line, time) in [
            ("2026-11-21T14:00:00Z started", "14:00:00.000"),
            (
                "2026-11-21T16:00:00.123456789+02:00 started",
                "14:00:00.123",
            ),
            (
                "2026-11-21 14:00:00,123 - app - INFO - started",
                "14:00:00.123",
            ),
            (
                "2026-11-21 14:00:00.123 UTC [1] LOG:  started",
                "14:00:00.123",
            ),
            (
                "[2026-11-21 09:00:00 -0500] [7] [INFO] Booting",
                "14:00:00.000",
            ),
            (
                "2026/11/21 14:00:00 [error] 7#7: *1 open() failed",
                "14:00:00.000",
            ),
            (
                "172.17.0.1 - ann [21/Nov/2026:15:00:00 +0100] \"GET / HTTP/1.1\" 200 5",
                "14:00:00.000",
            ),
            ("1:M 21 Nov 2026 14:08:57.476 * Ready", "14:08:57.476"),
            ("Nov 21 14:00:00 host sshd[1]: hello", "14:00:00.000"),
            (
                "[Sat Nov 21 14:00:00.123456 2026] [core:notice]",
                "14:00:00.123",
            ),
            ("Sat Nov 21 14:00:00 2026 spooling", "14:00:00.000"),
            ("time=\"2026-11-21T14:00:00Z\" level=info", "14:00:00.000"),
            (
                "{\"time\":\"2026-11-21T14:00:00.5Z\",\"msg\":\"x\"}",
                "14:00:00.500",
            ),
            ("{\"ts\":1795269600.5,\"msg\":\"x\"}", "14:00:00.500"),
            ("1795269600 up", "14:00:00.000"),
            ("1795269600123 up", "14:00:00.123"),
        ] {
            let read = of_line(line, now()).map(|time| time.to_string());
            assert_eq!(read, Some(format!("2026-11-21T{time}Z")), "{line}");
        }
    }

    #[test]
    fn a_time_without_a_year_is_the_latest() {
        let read = |line| of_line(line, now()).unwrap().to_string();
        assert_eq!(read("Nov 22 14:00:00 x"), "2026-11-22T14:00:00.000Z");
        assert_eq!(read("Dec  3 14:00:00 x"), "2025-12-03T14:00:00.000Z");
    }

    #[test]
    fn what_only_looks_like_a_time_is_none() {
        for line in [
            "",
            "started",
            "    at com.example.Main.main(Main.java:5)",
            "removed all before 2026-11-21T14:00:00Z",
            "2026-02-30 14:00:00 x",
            "2026-11-21",
            "2026-11/21 14:00:00",
            "192.168.0.1",
            "12345678901 bytes",
            "1795269600abc",
            "Feb 30 14:00:00 x",
            "é:M 21 Nov 2026",
            "[[21/Nov/2026:14:00:00 +0000]",
        ] {
            assert_eq!(of_line(line, now()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_stumble(line in "\\PC{0,80}", digits in "[0-9:. T/+-]{0,40}") {
            let _ = of_line(&line, now());
            let _ = of_line(&digits, now());
            let _ = of_line(&format!("é [{digits}"), Timestamp::default());
        }
    }
}
