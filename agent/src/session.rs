//! One conversation on a socket: hello, then requests and replies, and reports as they come.

use std::time::Duration;

use diogenes_proto::line::{self, Addressed, BadLine};
use diogenes_proto::{ErrorCode, Hello, Message, Request, WireError};
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Framed};

use crate::companion::Companion;

/// A peer that says nothing at all is let go after this time.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// A peer that does not read is let go after this time.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// What is read at once, to begin with: most requests are short.
const BUFFER_BYTES: usize = 1024;
/// Requests of one peer that may be under way.
const MAX_UNDER_WAY: usize = 32;

/// What a conversation goes over: a socket, or standard input and output.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// Over either, so that there is one conversation in the program and not one for each.
type Lines = Framed<Box<dyn Stream + Send>, AnyDelimiterCodec>;

/// Talks to one peer until either side ends it.
pub(crate) async fn run(stream: Box<dyn Stream + Send>, companion: Companion) {
    let codec = AnyDelimiterCodec::new_with_max_length(
        b"\n".to_vec(),
        b"\n".to_vec(),
        line::MAX_LINE_BYTES,
    );
    let mut lines = Framed::with_capacity(stream, codec, BUFFER_BYTES);
    // Whoever has gone, has gone; there is nobody to tell.
    let _ = converse(&mut lines, companion).await;
}

/// The conversation; None ends it.
async fn converse(lines: &mut Lines, companion: Companion) -> Option<()> {
    let mut hello = Hello::new(crate::build());
    hello.capabilities = Request::CAPABILITIES
        .iter()
        .map(|&one| one.into())
        .collect();
    let hello = serde_json::to_string(&hello).ok()?;
    send(lines, hello).await?;
    let first = tokio::time::timeout(HELLO_DEADLINE, lines.next())
        .await
        .ok()??;
    let greeted = first
        .map_err(describe)
        .and_then(|first| line::decode_hello(&first))
        .and_then(|peer| diogenes_proto::hello::SUPPORTED.negotiate(peer.protocol));
    if let Err(error) = greeted {
        return refuse(lines, error).await;
    }

    let mut under_way = FuturesUnordered::new();
    let mut reports = companion.follow();
    reports.mark_changed();
    loop {
        let reply = tokio::select! {
            received = lines.next() => match received? {
                Err(error) => return refuse(lines, describe(error)).await,
                Ok(bytes) if bytes.trim_ascii().is_empty() => continue,
                Ok(bytes) => match line::decode::<Request>(&bytes) {
                    Ok(Addressed { id, .. }) if under_way.len() == MAX_UNDER_WAY => {
                        let message = format!("{MAX_UNDER_WAY} requests are under way; wait for their replies");
                        encode(id, &Message::Error(WireError::new(ErrorCode::Busy, message)))
                    }
                    Ok(Addressed { id, body }) => {
                        let companion = companion.clone();
                        under_way.push(async move { (id, companion.ask(body).await) });
                        continue;
                    }
                    Err(BadLine { id, error }) => encode(id, &Message::Error(error)),
                },
            },
            Some((id, message)) = under_way.next(), if !under_way.is_empty() => encode(id, &message),
            changed = reports.changed() => {
                changed.ok()?;
                let report = reports.borrow_and_update().clone();
                let Some(report) = report else { continue };
                encode(None, &Message::Report(Box::new((*report).clone())))
            }
        };
        send(lines, reply).await?;
    }
}

/// A message as a line; where it does not fit, the error that says so.
fn encode(id: Option<u64>, message: &Message) -> String {
    line::encode(id, message)
        .unwrap_or_else(|error| line::encode(id, &Message::Error(error)).unwrap_or_default())
}

async fn send(lines: &mut Lines, text: String) -> Option<()> {
    tokio::time::timeout(WRITE_DEADLINE, lines.send(text))
        .await
        .ok()?
        .ok()
}

/// Says why the conversation ends, and ends it.
async fn refuse(lines: &mut Lines, error: WireError) -> Option<()> {
    send(lines, encode(None, &Message::Error(error))).await?;
    None
}

fn describe(error: AnyDelimiterCodecError) -> WireError {
    match error {
        AnyDelimiterCodecError::MaxChunkLengthExceeded => {
            let message = format!("a line may have {} bytes", line::MAX_LINE_BYTES);
            WireError::new(ErrorCode::LineTooLong, message)
        }
        AnyDelimiterCodecError::Io(error) => {
            WireError::new(ErrorCode::Internal, format!("cannot read: {error}"))
        }
    }
}
