//! A session: one live connection with the agent of one container.
//!
//! ```text
//! greet ─► run ─┬─ agent's lines ──► reports to the observer, replies to those who asked
//!               ├─ requests ───────► lines to the agent, remembered by id until answered or timed out
//!               └─ clock ──────────► ping every 10 s; silent after 15 s without any line; given up after 60 s
//! ```
//! The agent may have been taken over: its lines are bounded in length, rate and number of mistakes, and it
//! can neither make the supervisor wait nor make it remember without bound.

pub(crate) mod lines;
pub(crate) mod rights;
pub(crate) mod token_bucket;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::time::Duration;

use diogenes_proto::line::{decode, decode_hello};
use diogenes_proto::{ErrorCode, Hello, Message, Report, Request, WireError, hello};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::session::lines::{LineError, LineReader, send, send_text};
use crate::session::rights::Rights;

/// How long an agent has for its hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(2);
/// How often an agent is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Without any line for so long, an agent counts as silent.
const SILENT_AFTER: Duration = Duration::from_secs(15);
/// Without any line for so long, the session is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);
/// A timer that fires this much late says that this process itself stood still, not the agent.
const OWN_STANDSTILL: Duration = Duration::from_secs(3);
/// Requests that may wait for their answers.
const MAX_PENDING: usize = 64;
/// Lines that may make no sense before the session is closed.
const MAX_BAD_LINES: u32 = 20;

/// What the supervisor calls itself in its hello.
pub(crate) const BUILD: &str = concat!("diogenes ", env!("CARGO_PKG_VERSION"));

/// Why a request got no proper answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// Too many requests wait already.
    #[error("it is busy with {MAX_PENDING} other questions")]
    Busy,
    /// No answer in time.
    #[error("it did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The session ended.
    #[error("it is gone")]
    Gone,
    /// The agent answered with an error.
    #[error("it refused: {0}")]
    Refused(WireError),
}

/// A request on its way.
struct Pending {
    request: Request,
    reply: oneshot::Sender<Result<Message, WireError>>,
}

/// The asker's end of a session; cheap to clone, and outlives the session harmlessly.
#[derive(Clone, Debug)]
pub(crate) struct SessionHandle {
    requests: mpsc::Sender<Pending>,
}

impl SessionHandle {
    /// Asks the agent, and waits for its answer no longer than `deadline`.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub(crate) async fn request(
        &self,
        request: Request,
        deadline: Duration,
    ) -> Result<Message, RequestError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .try_send(Pending { request, reply })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => RequestError::Busy,
                mpsc::error::TrySendError::Closed(_) => RequestError::Gone,
            })?;
        match timeout(deadline, answer).await {
            Ok(Ok(answer)) => answer.map_err(RequestError::Refused),
            Ok(Err(_)) => Err(RequestError::Gone),
            Err(_) => Err(RequestError::TimedOut(deadline)),
        }
    }
}

/// What an observer of a session learns.
#[derive(Debug)]
pub(crate) enum Observation {
    /// The agent reported.
    Report(Box<Report>),
    /// Nothing was heard for a while.
    FellSilent,
    /// Something was heard again.
    SpokeAgain,
    /// It asked for something, which no agent may.
    AskedWithoutRight {
        /// The request's type.
        kind: &'static str,
    },
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SessionEnd {
    /// It was closed from here.
    #[error("closed")]
    Closed,
    /// The agent closed it.
    #[error("it closed its session")]
    Hangup,
    /// The connection broke, or the agent does not read.
    #[error("its session broke: {0}")]
    Broken(String),
    /// The agent said what cannot be said.
    #[error("it does not keep to the protocol: {0}")]
    Misbehaved(String),
    /// The agent was silent for too long.
    #[error("it was silent for {} s", GIVEN_UP_AFTER.as_secs())]
    Silent,
}

/// Who is killed with something unread resets its connection; that is a hang-up too, see unix(7).
impl From<std::io::Error> for SessionEnd {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Self::Hangup,
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl From<LineError> for SessionEnd {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Io(error) => error.into(),
            LineError::TooLong => Self::Misbehaved(error.to_string()),
        }
    }
}

/// A session after its hello.
pub(crate) struct Session {
    lines: LineReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    requests: mpsc::Receiver<Pending>,
    pending: HashMap<u64, oneshot::Sender<Result<Message, WireError>>>,
    next_id: u64,
    bad_lines: u32,
}

impl Session {
    /// Exchanges the hello.
    ///
    /// # Errors
    /// Where the peer does not say hello in time, says something else, or speaks no common version.
    pub(crate) async fn greet(
        stream: UnixStream,
    ) -> Result<(Self, SessionHandle, Hello), SessionEnd> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = LineReader::new(reader);
        let own = serde_json::to_string(&Hello::new(BUILD))
            .map_err(|error| SessionEnd::Broken(error.to_string()))?;
        send_text(&mut writer, own).await?;

        let greeting = match timeout(HELLO_DEADLINE, lines.next()).await {
            Ok(Some(Ok(line))) => decode_hello(&line),
            Ok(Some(Err(error))) => match error.to_wire() {
                Some(wire) => Err(wire),
                None => return Err(error.into()),
            },
            Ok(None) => return Err(SessionEnd::Hangup),
            Err(_) => {
                let message = format!("no hello within {} s", HELLO_DEADLINE.as_secs());
                Err(WireError::new(ErrorCode::HelloExpected, message))
            }
        };
        let greeting =
            greeting.and_then(|peer| hello::SUPPORTED.negotiate(peer.protocol).map(|_| peer));
        match greeting {
            Ok(peer) => {
                let (sender, requests) = mpsc::channel(MAX_PENDING);
                let session = Self {
                    lines,
                    writer,
                    requests,
                    pending: HashMap::new(),
                    next_id: 1,
                    bad_lines: 0,
                };
                Ok((session, SessionHandle { requests: sender }, peer))
            }
            Err(error) => {
                let end = SessionEnd::Misbehaved(error.message.clone());
                // Best effort: the session ends either way.
                let _ = send(&mut writer, None, &Message::Error(error)).await;
                Err(end)
            }
        }
    }

    /// Says why there will be no session, and ends it.
    pub(crate) async fn refuse(mut self, error: WireError) {
        // Best effort: the session ends either way.
        let _ = send(&mut self.writer, None, &Message::Error(error)).await;
    }

    /// Serves the session until it ends. `observe` must not block.
    pub(crate) async fn run(
        mut self,
        close: CancellationToken,
        mut observe: impl FnMut(Observation),
    ) -> SessionEnd {
        let mut heard_at = Instant::now();
        let mut ping_at = heard_at + PING_INTERVAL;
        let mut silence_at = heard_at + SILENT_AFTER;
        let mut silent = false;
        loop {
            tokio::select! {
                // Lines come before the clock: after a standstill of our own, what waited is read first.
                biased;
                () = close.cancelled() => return SessionEnd::Closed,
                line = self.lines.next() => {
                    match line {
                        Some(Ok(line)) => {
                            if let Err(end) = self.hear(&line, &mut observe).await {
                                return end;
                            }
                        }
                        Some(Err(error)) => {
                            let Some(wire) = error.to_wire() else { return error.into() };
                            let _ = send(&mut self.writer, None, &Message::Error(wire)).await;
                            return error.into();
                        }
                        None => return SessionEnd::Hangup,
                    }
                    heard_at = Instant::now();
                    silence_at = heard_at + SILENT_AFTER;
                    if std::mem::take(&mut silent) {
                        observe(Observation::SpokeAgain);
                    }
                }
                Some(pending) = self.requests.recv(), if self.pending.len() < MAX_PENDING => {
                    if let Err(end) = self.ask(pending).await {
                        return end;
                    }
                }
                () = sleep_until(silence_at) => {
                    let now = Instant::now();
                    if now.saturating_duration_since(silence_at) > OWN_STANDSTILL {
                        heard_at = now;
                        silence_at = now + SILENT_AFTER;
                    } else if silent {
                        return SessionEnd::Silent;
                    } else {
                        silent = true;
                        silence_at = heard_at + GIVEN_UP_AFTER;
                        observe(Observation::FellSilent);
                    }
                }
                () = sleep_until(ping_at) => {
                    ping_at = Instant::now() + PING_INTERVAL;
                    self.pending.retain(|_, reply| !reply.is_closed());
                    // Id 0 is never a request's: a pong is heard and otherwise forgotten.
                    if let Err(error) = send(&mut self.writer, Some(0), &Request::Ping {}).await {
                        return error.into();
                    }
                }
            }
        }
    }

    /// Takes one line of the agent.
    async fn hear(
        &mut self,
        line: &[u8],
        observe: &mut impl FnMut(Observation),
    ) -> Result<(), SessionEnd> {
        let addressed = match decode::<Message>(line) {
            Ok(addressed) => addressed,
            Err(mut bad) => {
                self.bad_lines += 1;
                // What is a request and no message of an agent besides.
                let refused = Some(line).filter(|_| bad.error.code == ErrorCode::Unsupported);
                if let Some(refused) = refused.and_then(|line| Rights::COMPANION.refusal(line)) {
                    observe(Observation::AskedWithoutRight { kind: refused.kind });
                    bad.error = refused.error;
                }
                let end = (self.bad_lines > MAX_BAD_LINES)
                    .then(|| SessionEnd::Misbehaved(bad.error.message.clone()));
                let sent = send(&mut self.writer, bad.id, &Message::Error(bad.error)).await;
                return match (end, sent) {
                    (Some(end), _) => Err(end),
                    (None, Err(error)) => Err(error.into()),
                    (None, Ok(())) => Ok(()),
                };
            }
        };
        if let Message::Report(report) = &addressed.body {
            observe(Observation::Report(report.clone()));
        }
        // A reply nobody waits for (any more) is no mistake: it may just have come late.
        if let Some(reply) = addressed.id.and_then(|id| self.pending.remove(&id)) {
            let answer = match addressed.body {
                Message::Error(error) => Err(error),
                body => Ok(body),
            };
            let _ = reply.send(answer);
        }
        Ok(())
    }

    /// Sends one request to the agent.
    async fn ask(&mut self, Pending { request, reply }: Pending) -> Result<(), SessionEnd> {
        if reply.is_closed() {
            return Ok(());
        }
        let id = self.next_id;
        self.next_id += 1;
        match diogenes_proto::line::encode(Some(id), &request) {
            Ok(text) => {
                send_text(&mut self.writer, text).await?;
                self.pending.insert(id, reply);
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
