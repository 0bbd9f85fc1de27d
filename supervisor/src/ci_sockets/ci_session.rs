//! One client's session on a companion's socket of the host.
//!
//! Whatever looks and asks is relayed; what a client has no right to ([`Rights::CLIENT`]) is refused and audited.
//! The client may be anybody whom the file's permissions let in: it is bounded like an agent is. Its requests
//! run side by side and are answered in the order in which they are done.

use std::sync::Arc;
use std::time::Duration;

use diogenes_proto::line::{decode, decode_hello};
use diogenes_proto::{ErrorCode, Hello, Message, Request, WireError, hello};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use crate::audit::Who;
use crate::registry::Registry;
use crate::relay::Relay;
use crate::session::lines::{LineReader, send, send_text};
use crate::session::rights::Rights;
use crate::session::{BUILD, RequestError};

/// How long a client has for its hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(2);
/// How long a client may say nothing, or hold back the rest of a line.
const IDLE_DEADLINE: Duration = Duration::from_secs(300);
/// How long a companion may take for what is not a question: a rescan of a large container, a slow probe.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// Requests of one client under way at a time.
const MAX_UNDER_WAY: usize = 16;
/// Lines that may make no sense, or ask for what is refused, before the session is closed.
const MAX_BAD_LINES: u32 = 20;

/// Serves one client until it goes, or breaks the protocol. `who` it is, is for the audit.
pub(crate) async fn serve(
    io: impl AsyncRead + AsyncWrite,
    who: Who,
    id: String,
    registry: Arc<Registry>,
    relay: Arc<Relay>,
) {
    let (reader, mut writer) = tokio::io::split(Box::pin(io));
    let mut lines = LineReader::new(reader);
    if let Err(error) = converse(&mut lines, &mut writer, &who, &id, &registry, &relay).await {
        // Best effort: the session ends either way.
        let _ = send(&mut writer, None, &Message::Error(error)).await;
    }
}

/// The conversation; its error is the last thing the client is told.
async fn converse(
    lines: &mut LineReader<impl AsyncRead + Unpin>,
    writer: &mut (impl AsyncWrite + Unpin),
    who: &Who,
    id: &str,
    registry: &Registry,
    relay: &Relay,
) -> Result<(), WireError> {
    if let Ok(own) = serde_json::to_string(&Hello::new(BUILD))
        && send_text(writer, own).await.is_err()
    {
        return Ok(());
    }
    match timeout(HELLO_DEADLINE, lines.next()).await {
        Ok(None) => return Ok(()),
        Ok(Some(Ok(line))) => drop(hello::SUPPORTED.negotiate(decode_hello(&line)?.protocol)?),
        Ok(Some(Err(error))) => return error.to_wire().map_or(Ok(()), Err),
        Err(_) => {
            let message = format!("no hello within {} s", HELLO_DEADLINE.as_secs());
            return Err(WireError::new(ErrorCode::HelloExpected, message));
        }
    }

    let mut under_way = FuturesUnordered::new();
    let mut bad_lines = 0;
    let mut idle_at = Instant::now() + IDLE_DEADLINE;
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            Some((id, reply)) = under_way.next() => {
                if send(writer, id, &reply).await.is_err() {
                    return Ok(());
                }
            }
            line = lines.next(), if open => {
                idle_at = Instant::now() + IDLE_DEADLINE;
                let line = match line {
                    // A client may say that it has asked all, and still wait for the answers.
                    None => { open = false; continue }
                    Some(Ok(line)) => line,
                    Some(Err(error)) => return error.to_wire().map_or(Ok(()), Err),
                };
                let refused = if let Some(refused) = Rights::CLIENT.refusal(&line) {
                    let asked_of = registry.get(id).map(|entry| entry.ci_name()).unwrap_or_default();
                    registry.audit().refused(who, refused.kind, &format_args!("asked of {asked_of}"));
                    bad_lines += 1;
                    (refused.id, refused.error)
                } else {
                    match decode::<Request>(&line) {
                        Ok(asked) if under_way.len() < MAX_UNDER_WAY => {
                            under_way.push(async move { (asked.id, answer(asked.body, id, registry, relay).await) });
                            continue;
                        }
                        Ok(asked) => {
                            let message = format!("{MAX_UNDER_WAY} requests are under way already");
                            (asked.id, WireError::new(ErrorCode::Busy, message))
                        }
                        Err(bad) => {
                            bad_lines += 1;
                            (bad.id, bad.error)
                        }
                    }
                };
                if send(writer, refused.0, &Message::Error(refused.1)).await.is_err() {
                    return Ok(());
                }
                if bad_lines > MAX_BAD_LINES {
                    return Err(WireError::new(ErrorCode::Malformed, "too many lines that make no sense or ask too much; the session ends"));
                }
            }
            () = sleep_until(idle_at), if open => {
                let message = format!("nothing was asked for {} s; the session ends", IDLE_DEADLINE.as_secs());
                return Err(WireError::new(ErrorCode::Busy, message));
            }
        }
    }
    Ok(())
}

/// The reply to one request.
async fn answer(request: Request, id: &str, registry: &Registry, relay: &Relay) -> Message {
    let Some(entry) = registry.get(id) else {
        return Message::Error(WireError::new(ErrorCode::NotFound, "the container is gone"));
    };
    if let Request::Ask { question, .. } = request {
        return Message::Answer(Box::new(relay.ask(&entry, &question).await.answer));
    }
    let Some(session) = &entry.session else {
        let reason = entry.presence.reason(&entry.facts, entry.presence_since);
        let error = WireError::new(
            ErrorCode::NotFound,
            format!("no companion is there: {reason}"),
        );
        return Message::Error(WireError {
            retryable: true,
            ..error
        });
    };
    match session.request(request, REQUEST_DEADLINE).await {
        Ok(message) => message,
        Err(RequestError::Refused(error)) => Message::Error(error),
        Err(error) => {
            let code = if error == RequestError::Gone {
                ErrorCode::NotFound
            } else {
                ErrorCode::Busy
            };
            Message::Error(WireError {
                retryable: true,
                ..WireError::new(code, format!("the companion does not answer: {error}"))
            })
        }
    }
}

#[cfg(test)]
#[path = "ci_session_tests.rs"]
mod tests;
