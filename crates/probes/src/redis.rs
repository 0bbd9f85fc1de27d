//! Redis and what speaks like it (Valkey, KeyDB): `PING`.
//!
//! `PING` changes nothing, is logged nowhere, and is answered in every state: `+PONG`, or an error whose
//! first word is its code. Sources: Redis serialization protocol specification; `src/server.c`
//! (`shared.loadingerr` and its neighbours).

use diogenes_proto::{Untrusted, Verdict};

use crate::Curiosity;
use crate::conclusion::{Conclusion, quote};
use crate::connection::Connector;

/// `PING` as an array of bulk strings, which proxies understand too.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
/// `INFO server`: reads, and is answered from memory.
const INFO_SERVER: &[u8] = b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n";

/// A reply to `PING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Too short to tell; what is there fits.
    Incomplete,
    /// `+PONG`.
    Pong,
    /// An error: its whole line without the sign and the line end.
    Error(&'a [u8]),
    /// Not Redis.
    NotRedis,
}

/// Reads the reply to `PING`.
#[must_use]
pub fn parse_reply(bytes: &[u8]) -> Reply<'_> {
    const PONG: &[u8] = b"+PONG\r\n";
    if bytes.starts_with(PONG) {
        return Reply::Pong;
    }
    if PONG.starts_with(bytes) {
        return Reply::Incomplete;
    }
    let Some(error) = bytes.strip_prefix(b"-") else {
        return Reply::NotRedis;
    };
    match error.iter().position(|&b| b == b'\n') {
        Some(end) => Reply::Error(error[..end].trim_ascii_end()),
        None => Reply::Incomplete,
    }
}

/// What an error says of the server.
#[must_use]
pub fn verdict_of(error: &[u8]) -> (Verdict, &'static str) {
    let code = error
        .split(|b| b.is_ascii_whitespace())
        .next()
        .unwrap_or_default();
    match code {
        b"NOAUTH" | b"NOPERM" | b"WRONGPASS" => {
            (Verdict::Alive, "answers PING: authentication required")
        }
        b"DENIED" => (
            Verdict::Alive,
            "answers PING: it denies this address (protected mode)",
        ),
        b"LOADING" => (Verdict::Starting, "is loading its data set into memory"),
        b"BUSY" => (Verdict::Failing, "is busy running a script"),
        b"MASTERDOWN" => (
            Verdict::Failing,
            "is a replica that has lost its master and serves no stale data",
        ),
        b"MISCONF" => (
            Verdict::Failing,
            "cannot save its data to disk and refuses writes",
        ),
        _ => (Verdict::Failing, "answers PING with an error"),
    }
}

/// The value of one line of an `INFO` reply: `redis_version:7.0.15`.
#[must_use]
pub fn info_field<'a>(reply: &'a [u8], name: &str) -> Option<&'a [u8]> {
    reply
        .split_inclusive(|&b| b == b'\n')
        .filter(|line| line.ends_with(b"\n"))
        .find_map(|line| {
            line.strip_prefix(name.as_bytes())?
                .strip_prefix(b":")
                .map(<[u8]>::trim_ascii)
        })
        .filter(|value| !value.is_empty())
}

/// Whether an `INFO` reply is complete: `$<length>\r\n<that many bytes>\r\n`, or an error.
fn is_whole_bulk(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|&b| b == b'\n') else {
        return false;
    };
    let length = bytes[..end]
        .strip_prefix(b"$")
        .and_then(|digits| std::str::from_utf8(digits.trim_ascii_end()).ok())
        .and_then(|digits| digits.parse::<usize>().ok());
    length.is_none_or(|length| bytes.len().saturating_sub(end + 1) >= length)
}

pub(crate) async fn converse(
    connector: &Connector<'_>,
    curiosity: Curiosity,
) -> Result<Conclusion, Conclusion> {
    let mut peer = connector.connect().await?;
    peer.ask(PING).await;
    let heard = peer
        .listen(|bytes| parse_reply(bytes) != Reply::Incomplete)
        .await;
    let mut conclusion = match parse_reply(peer.heard()) {
        Reply::Pong => Conclusion::answered(Verdict::Alive, "answers PING"),
        Reply::Error(error) => {
            let (verdict, words) = verdict_of(error);
            let evidence = match verdict {
                Verdict::Failing => format!("{words}: {}", quote(error)),
                _ => words.to_owned(),
            };
            Conclusion::new(verdict, evidence)
        }
        Reply::Incomplete | Reply::NotRedis => return Err(peer.unanswered("PING", heard)),
    };
    conclusion.protocol = Some("redis");
    if curiosity != Curiosity::Health && conclusion.verdict == Verdict::Alive {
        peer.ask(INFO_SERVER).await;
        peer.listen(is_whole_bulk).await;
        let info = peer.heard();
        // Valkey keeps telling the Redis version it is compatible with, beside its own.
        let valkey = info_field(info, "valkey_version");
        if valkey.is_some() {
            conclusion.product = Some("valkey".into());
        } else if info_field(info, "redis_mode") == Some(b"sentinel") {
            conclusion.product = Some("redis-sentinel".into());
        }
        conclusion.version = valkey
            .or_else(|| info_field(info, "redis_version"))
            .map(Untrusted::from_bytes);
    }
    Ok(conclusion)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replies() {
        use Reply::{Error, Incomplete, NotRedis, Pong};
        for (bytes, expected) in [
            (&b"+PONG\r\n"[..], Pong),
            (b"+PO", Incomplete),
            (b"", Incomplete),
            (
                b"-NOAUTH Authentication required.\r\n",
                Error(b"NOAUTH Authentication required."),
            ),
            (b"-LOADING Redis is", Incomplete),
            (b"HTTP/1.1 400 Bad Request\r\n", NotRedis),
            (b"+OK\r\n", NotRedis),
        ] {
            assert_eq!(parse_reply(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn errors_are_answers() {
        for (error, verdict) in [
            ("NOAUTH Authentication required.", Verdict::Alive),
            ("NOPERM this user has no permissions", Verdict::Alive),
            ("DENIED Redis is running in protected mode", Verdict::Alive),
            (
                "LOADING Redis is loading the dataset in memory",
                Verdict::Starting,
            ),
            ("MASTERDOWN Link with MASTER is down", Verdict::Failing),
            ("BUSY Redis is busy running a script.", Verdict::Failing),
            ("ERR max number of clients reached", Verdict::Failing),
            ("", Verdict::Failing),
        ] {
            assert_eq!(verdict_of(error.as_bytes()).0, verdict, "{error}");
        }
    }

    #[test]
    fn versions() {
        let info = b"$50\r\n# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:0\r\n";
        assert_eq!(info_field(info, "redis_version"), Some(&b"7.0.15"[..]));
        assert_eq!(info_field(info, "valkey_version"), None);
        assert_eq!(info_field(b"redis_version:7.0", "redis_version"), None);
        assert!(is_whole_bulk(b"$3\r\nabc"));
        assert!(!is_whole_bulk(b"$3\r\nab"));
        assert!(is_whole_bulk(b"-NOAUTH x\r\n"));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Reply::Error(error) = parse_reply(&bytes) {
                let _ = verdict_of(error);
            }
            let _ = (info_field(&bytes, "redis_version"), is_whole_bulk(&bytes));
        }
    }
}
