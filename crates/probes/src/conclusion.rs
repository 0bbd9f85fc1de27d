//! What a conversation comes to, before the time it took is added.

use std::time::Duration;

use diogenes_proto::{ProbeOutcome, Timestamp, Untrusted, Verdict};
use tokio::time::Instant;

/// Longest piece of a service's own words repeated in evidence, in bytes.
const QUOTE_BYTES: usize = 120;

/// A verdict with what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conclusion {
    pub(crate) verdict: Verdict,
    pub(crate) evidence: String,
    /// The service's own words, quoted, which come last.
    pub(crate) said: Option<String>,
    pub(crate) version: Option<Untrusted>,
    pub(crate) protocol: Option<&'static str>,
    pub(crate) product: Option<Untrusted>,
    pub(crate) path: Option<String>,
    pub(crate) expires_at: Option<Timestamp>,
    /// How long the answer took, where the conversation had more to it; None: all its time.
    pub(crate) took: Option<Duration>,
    timed: bool,
}

impl Conclusion {
    pub(crate) fn new(verdict: Verdict, evidence: impl Into<String>) -> Self {
        Self {
            verdict,
            evidence: evidence.into(),
            said: None,
            version: None,
            protocol: None,
            product: None,
            path: None,
            expires_at: None,
            took: None,
            timed: false,
        }
    }

    /// An answer, to whose evidence the time it took belongs: `HTTP 200 in 3 ms`.
    pub(crate) fn answered(verdict: Verdict, evidence: impl Into<String>) -> Self {
        Self {
            timed: true,
            ..Self::new(verdict, evidence)
        }
    }

    /// The kernel took the connection. Whether the service accepts it shows in its accept queue only.
    pub(crate) fn connects() -> Self {
        Self::answered(Verdict::Alive, "connects")
    }

    /// The same, with the first line of what the service said.
    pub(crate) fn saying(self, bytes: &[u8]) -> Self {
        Self {
            said: Some(quote(bytes)),
            ..self
        }
    }

    /// The same, of a service that speaks this protocol.
    pub(crate) fn in_protocol(self, protocol: &'static str) -> Self {
        Self {
            protocol: Some(protocol),
            ..self
        }
    }

    pub(crate) fn into_outcome(self, started: Instant) -> ProbeOutcome {
        let took = self.took.unwrap_or_else(|| started.elapsed());
        let mut evidence = self.evidence;
        if self.timed {
            evidence = format!("{evidence} in {}", millis(took));
        }
        if let Some(said) = self.said {
            evidence = format!("{evidence}: {said}");
        }
        if let Some(expires_at) = self.expires_at {
            let words = expiry(expires_at, Timestamp::now());
            evidence = format!("{evidence}; its certificate {words}");
        }
        ProbeOutcome {
            verdict: self.verdict,
            evidence: evidence.into(),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            version: self.version,
            protocol: self.protocol.map(Into::into),
            product: self.product,
            path: self.path,
            expires_at: self.expires_at,
        }
    }
}

/// A duration as people read it: `0.3 ms`, `12 ms`, `2 s`.
pub(crate) fn millis(duration: Duration) -> String {
    // Of 64 bits: to write a number of 128 is a kilobyte of code of its own.
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    match us {
        0..10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        _ if us % 1_000_000 < 100_000 => format!("{} s", us / 1_000_000),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

/// When a certificate expires, as people count it: `expires in 12 days`.
fn expiry(at: Timestamp, now: Timestamp) -> String {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    if at > now {
        format!("expires in {} days", at.since(now).as_secs() / DAY_SECONDS)
    } else {
        format!("expired {} days ago", now.since(at).as_secs() / DAY_SECONDS)
    }
}

/// The first line of what a service said, short and safe to show.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let cut = &line[..line.len().min(QUOTE_BYTES)];
    let more = if cut.len() < line.len() { "…" } else { "" };
    format!("\"{}{more}\"", Untrusted::from_bytes(cut.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_words() {
        for (us, words) in [
            (0, "0.0 ms"),
            (340, "0.3 ms"),
            (3_200, "3.2 ms"),
            (45_600, "45 ms"),
            (2_000_000, "2 s"),
            (2_500_000, "2.5 s"),
        ] {
            assert_eq!(millis(Duration::from_micros(us)), words);
        }
    }

    #[test]
    fn a_quote_is_one_short_safe_line() {
        assert_eq!(quote(b"-ERR no\r\nmore"), "\"-ERR no\"");
        assert_eq!(quote(b"\x1b[2Jx"), "\"\\u{1b}[2Jx\"");
        assert!(quote(&[b'x'; 9000]).len() < 200);
    }
}
