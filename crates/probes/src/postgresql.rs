//! PostgreSQL: the one question that its server answers before it asks who is there, and does not log.
//!
//! Over TCP that is `GSSENCRequest` ("may I encrypt with GSSAPI?"), answered by a single `G` or `N`. The
//! better known `SSLRequest` would do on a Unix socket, where the answer is always `N`; over TCP a server
//! with `ssl = on`, Debian's default, answers `S`, waits for a handshake, and writes `could not accept SSL
//! connection: EOF detected` to its log for every probe. Both were tried on PostgreSQL 15. A server older
//! than 12 does not know `GSSENCRequest` and says so in an `E` message, which is an answer too.
//! Sources: PostgreSQL documentation, "Message Flow" and "Message Formats"; `ProcessStartupPacket` in
//! `src/backend/postmaster/postmaster.c`.

use diogenes_proto::{ProbeTarget, Untrusted, Verdict};

use crate::conclusion::Conclusion;
use crate::connection::Connector;

/// Length 8, code 1234.5680.
const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
/// Length 8, code 1234.5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A server's reply to a request for encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Too short to tell; what is there fits.
    Incomplete,
    /// Yes or no: it works.
    Answer,
    /// An error, with its SQLSTATE (empty where it has none) and message.
    Error(ServerError),
    /// Not PostgreSQL.
    NotPostgresql,
}

/// What an `E` message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// Five characters, `57P03`; empty where none was sent.
    pub sqlstate: String,
    /// The message.
    pub message: Untrusted,
}

/// Reads the reply to `GSSENCRequest` or `SSLRequest`.
#[must_use]
pub fn parse_reply(bytes: &[u8]) -> Reply {
    match bytes {
        [] => Reply::Incomplete,
        // Nothing may follow the single letter: a server that speaks first after it is another one.
        [b'G' | b'S' | b'N'] => Reply::Answer,
        [b'E', rest @ ..] => parse_error(rest),
        _ => Reply::NotPostgresql,
    }
}

/// Reads what follows the `E`: a length and fields (protocol 3), or plain text (a server that fails before
/// it has learnt the client's protocol, as when it cannot fork).
fn parse_error(rest: &[u8]) -> Reply {
    let Some((length, body)) = rest.split_first_chunk::<4>() else {
        return Reply::Incomplete;
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > 30_000 {
        let text = rest.split(|&b| b == 0).next().unwrap_or_default();
        return if text.len() == rest.len() {
            Reply::Incomplete
        } else {
            Reply::Error(ServerError {
                sqlstate: String::new(),
                message: Untrusted::from_bytes(text.trim_ascii()),
            })
        };
    }
    let Some(fields) = length.checked_sub(4).and_then(|length| body.get(..length)) else {
        return if length < 4 {
            Reply::NotPostgresql
        } else {
            Reply::Incomplete
        };
    };
    let field = |code: u8| {
        fields
            .split(|&b| b == 0)
            .find_map(|f| f.strip_prefix(&[code]))
            .map(Untrusted::from_bytes)
            .unwrap_or_default()
    };
    let sqlstate = field(b'C').as_raw().chars().take(5).collect();
    Reply::Error(ServerError {
        sqlstate,
        message: field(b'M'),
    })
}

/// What an error says of the server. Source: PostgreSQL documentation, Appendix A.
fn verdict_of(error: &ServerError) -> (Verdict, String) {
    let message = &error.message;
    match error.sqlstate.as_str() {
        // cannot_connect_now: starting up, shutting down, recovering.
        "57P03" => (Verdict::Starting, format!("is not ready: {message:.120}")),
        // feature_not_supported: it does not know the question, and said so.
        "0A000" => (
            Verdict::Alive,
            "answers an encryption request (a server older than 12)".to_owned(),
        ),
        _ => (
            Verdict::Failing,
            format!("answers with an error: {message:.120}"),
        ),
    }
}

pub(crate) async fn converse(connector: &Connector<'_>) -> Result<Conclusion, Conclusion> {
    let question = match connector.target {
        ProbeTarget::Tcp(_) => GSSENC_REQUEST,
        ProbeTarget::Udp(_) | ProbeTarget::Unix(_) => SSL_REQUEST,
    };
    let mut peer = connector.connect().await?;
    peer.ask(&question).await;
    let heard = peer
        .listen(|bytes| parse_reply(bytes) != Reply::Incomplete)
        .await;
    let mut conclusion = match parse_reply(peer.heard()) {
        Reply::Answer => Conclusion::answered(Verdict::Alive, "answers a connection request"),
        Reply::Error(error) => {
            let (verdict, evidence) = verdict_of(&error);
            Conclusion::new(verdict, evidence)
        }
        Reply::Incomplete | Reply::NotPostgresql => {
            return Err(peer.unanswered("a connection request", heard));
        }
    };
    conclusion.protocol = Some("postgresql");
    Ok(conclusion)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(fields: &[u8]) -> Vec<u8> {
        let length = u32::try_from(fields.len() + 4).unwrap();
        [b"E", length.to_be_bytes().as_slice(), fields].concat()
    }

    #[test]
    fn replies() {
        for (bytes, expected) in [
            (&b""[..], Reply::Incomplete),
            (b"N", Reply::Answer),
            (b"S", Reply::Answer),
            (b"G", Reply::Answer),
            (b"SSH-2.0", Reply::NotPostgresql),
            (b"HTTP/1.1", Reply::NotPostgresql),
            (b"E\0\0\0", Reply::Incomplete),
            (b"E\0\0\0\x20SFATAL", Reply::Incomplete),
            (b"E\0\0\0\x01", Reply::NotPostgresql),
        ] {
            assert_eq!(parse_reply(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn errors_are_understood() {
        for (fields, verdict) in [
            (
                &b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"[..],
                Verdict::Starting,
            ),
            (
                b"SFATAL\0C0A000\0Munsupported frontend protocol 1234.5680\0\0",
                Verdict::Alive,
            ),
            (
                b"SFATAL\0C53300\0Msorry, too many clients already\0\0",
                Verdict::Failing,
            ),
        ] {
            let Reply::Error(error) = parse_reply(&error(fields)) else {
                panic!("{}", fields.escape_ascii());
            };
            assert_eq!(verdict_of(&error).0, verdict, "{error:?}");
        }
        let plain = parse_reply(b"Ecould not fork new process for connection\n\0");
        let Reply::Error(error) = plain else {
            panic!("{plain:?}");
        };
        assert_eq!(
            error.message.as_raw(),
            "could not fork new process for connection"
        );
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Reply::Error(error) = parse_reply(&bytes) {
                let _ = verdict_of(&error);
            }
            let mut marked = vec![b'E'];
            marked.extend(&bytes);
            let _ = parse_reply(&marked);
        }
    }
}
