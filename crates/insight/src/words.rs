//! Numbers and times as people say them.

use std::fmt::Display;
use std::time::Duration;

use diogenes_proto::{Service, Timestamp, Untrusted};

/// Longest sentence of evidence, in bytes.
const SENTENCE_BYTES: usize = 300;

/// A span of time in its largest whole unit: `12 s`, `5 min`, `3 h`, `2 d`.
#[must_use]
pub fn span(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h", s / 3_600),
        _ => format!("{} d", s / 86_400),
    }
}

/// A moment by the clock, in UTC: `12:01:03`, with the date where it is more than 12 hours from `now`.
#[must_use]
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    let text = at.to_string();
    let (date, time) = text.split_once('T').unwrap_or(("", &text));
    let time = time.get(..8).unwrap_or(time);
    if now.since(at).max(at.since(now)) > Duration::from_secs(12 * 3600) {
        format!("{date} {time}")
    } else {
        time.to_owned()
    }
}

/// A moment by the clock and by its distance: `12:01:03 (5 min ago)`.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({} ago)", clock(at, now), span(now.since(at)))
}

/// Bytes in binary units: `512 MiB`, `1.5 GiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // In tenths of a unit, to stay with whole numbers; the two parts apart, for ten times as much has no room in 64 bits.
    let mut tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let fraction = tenths % 10;
    if tenths < 100 && fraction != 0 {
        format!("{}.{fraction} {}", tenths / 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
}

/// A number that is not negative, rounded to so many decimal places. In whole numbers: formatting fractions
/// takes 10 KB of code, which the agent has no room for.
pub(crate) fn decimal(number: f64, places: u32) -> String {
    let unit = 10_u64.pow(places);
    let units = (number * unit as f64).round() as u64;
    let (whole, rest) = (units / unit, units % unit);
    match places {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:0width$}", width = places as usize),
    }
}

/// A text in lower case. Unlike `str::to_lowercase` it knows nothing of the sigma at the end of a Greek word,
/// and needs no tables for that.
pub(crate) fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Items as a list in a sentence: `a, b and c`.
#[must_use]
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// A number with its noun: `1 service`, `3 services`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix("ss")) {
        (1, _) => format!("1 {noun}"),
        (_, Some(_)) => format!("{number} {noun}es"),
        _ => format!("{number} {noun}s"),
    }
}

/// What a service is, in the words of the role table: `redis on port 6379`. A service known only by what it
/// speaks goes by its name.
#[must_use]
pub fn role_words(service: &Service) -> String {
    let what = match service.kind.as_str() {
        "http" | "tcp" | "udp" | "unix" | "process" => service.name.to_string(),
        kind => kind.to_owned(),
    };
    match service.ports.as_slice() {
        [] if service.listeners.is_empty() => what,
        [] => format!("{what} on a Unix socket"),
        ports => format!("{what} on {}", port_words(ports)),
    }
}

/// `port 80`, `ports 80 and 443`; of many, the first four.
#[must_use]
pub fn port_words(ports: &[u16]) -> String {
    let mut words: Vec<String> = ports.iter().take(4).map(u16::to_string).collect();
    if ports.len() > words.len() {
        words.push(format!("{} more", ports.len() - words.len()));
    }
    let noun = if ports.len() == 1 { "port" } else { "ports" };
    format!("{noun} {}", list(&words))
}

/// A sentence of evidence: safe to show, and short.
pub(crate) fn sentence(text: impl Display) -> Untrusted {
    let mut text = text.to_string();
    if text.len() > SENTENCE_BYTES {
        let end = (0..=SENTENCE_BYTES)
            .rev()
            .find(|&end| text.is_char_boundary(end))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    Untrusted::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, words) in [
            (0, "0 s"),
            (119, "119 s"),
            (300, "5 min"),
            (3 * 3600 + 5, "3 h"),
            (40 * 86_400, "40 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn clocks() {
        let at = Timestamp::from_unix_ms(1_769_846_463_123);
        let later = Timestamp::from_unix_ms(1_769_846_463_123 + 60_000);
        let much_later = Timestamp::from_unix_ms(1_769_846_463_123 + 90_000_000);
        assert_eq!(clock(at, later), "08:01:03");
        assert_eq!(clock(later, at), "08:02:03");
        assert_eq!(clock(at, much_later), "2026-01-31 08:01:03");
    }

    #[test]
    fn quantities() {
        for (number, words) in [
            (12, "12 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (512 << 20, "512 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16383 PiB"),
        ] {
            assert_eq!(bytes(number), words);
        }
        assert_eq!(count(1, "process"), "1 process");
        assert_eq!(count(2, "process"), "2 processes");
        assert_eq!(count(0, "service"), "0 services");
        assert_eq!(port_words(&[80, 443]), "ports 80 and 443");
        assert_eq!(
            port_words(&[1, 2, 3, 4, 5, 6]),
            "ports 1, 2, 3, 4 and 2 more"
        );
    }

    #[test]
    fn decimals() {
        for (number, places, words) in [
            (0.0, 0, "0"),
            (44.6, 0, "45"),
            (99.96, 1, "100.0"),
            (0.04, 1, "0.0"),
            (1.5, 2, "1.50"),
            (12.057, 2, "12.06"),
        ] {
            assert_eq!(decimal(number, places), words);
        }
    }

    #[test]
    fn small_letters() {
        assert_eq!(lower("Is MÜLLER’s Redis ok?"), "is müller’s redis ok?");
    }

    #[test]
    fn sentences_are_short() {
        assert!(sentence("é".repeat(1000)).as_raw().len() <= SENTENCE_BYTES + 3);
    }
}
