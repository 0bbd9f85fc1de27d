//! What a container writes, over HTTP: a JSON object a line, for as long as somebody reads.
//!
//! A quiet stream sends a blank every few seconds, which no reader of JSON minds: so a peer that is gone is noticed,
//! and one that reads is known to do so.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::api::Api;
use crate::api::asked::{Asked, NAMING, Named};
use crate::api::document::INSIDE;
use crate::api::http::Lease;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::logs::{Item, Query, Refusal};

/// How long a stream may be quiet.
const QUIET: Duration = Duration::from_secs(15);
/// Items told in one piece, where so many are at hand.
const BATCH: usize = 64;
/// A line of JSON each.
const MEDIA_TYPE: &str = "application/x-ndjson";

/// What is told of logs.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/containers/{name}/logs", "logs", logs)
            .is(INSIDE, "What a container writes: stdout, stderr and log files")
            .described(
                "An `Item` a line. The first has the sources: `stdout` and `stderr` from the Engine, and the log files \
                 that processes hold open for writing inside, found by the companion. Lines written until now are \
                 ordered by time, those of one source as they were written. A line of a file has the time it begins \
                 with, or that of the line before; without an offset it is taken as UTC. Notes say what is missing: \
                 without a companion the files are, and of a file all but its last 64 KiB. Secrets are redacted before \
                 `grep` looks. With `follow` the stream goes on until the container ends, and a note says how.",
            )
            .takes::<Query>()
            .answers_as::<Item>(StatusCode::OK, "The lines.", MEDIA_TYPE)
            .fails(NAMING)
            .fails(&[Code::NoSuchService, Code::TooManyFollowers]),
    ]
}

async fn logs(
    State(api): State<Arc<Api>>,
    Named(entry): Named,
    Asked(query): Asked<Query>,
    lease: Option<Extension<Lease>>,
) -> Result<Response, Problem> {
    if query.follow && query.until.is_some() {
        let detail = "what is followed has no end: leave out either follow or until";
        return Err(Problem::of(Code::BadQuery, detail));
    }
    let telling = Telling {
        items: api.logs.tell(&entry, query).await?,
        batch: Vec::new(),
        lease: lease.map(|Extension(lease)| lease),
        has_ended: false,
    };
    let pieces = stream::unfold(telling, |mut telling| async {
        let piece = telling.next().await?;
        Some((Ok::<_, Infallible>(piece), telling))
    });
    let body = Body::from_stream(pieces);
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response())
}

/// What is being told to one peer.
struct Telling {
    items: mpsc::Receiver<Item>,
    batch: Vec<Item>,
    /// None where nothing but a test serves the connection.
    lease: Option<Lease>,
    /// Whether the last piece was told.
    has_ended: bool,
}

impl Telling {
    /// The next piece; None at the end. It is asked for only when the peer has taken what was before.
    async fn next(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        if let Some(lease) = &self.lease {
            lease.renew();
        }
        let stopped = async {
            match &self.lease {
                Some(lease) => lease.stopped().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            count = self.items.recv_many(&mut self.batch, BATCH) => {
                if count == 0 {
                    return None;
                }
                piece(self.batch.drain(..))
            }
            () = sleep(QUIET) => Some(Bytes::from_static(b" ")),
            () = stopped => {
                self.has_ended = true;
                let note = "the supervisor stops".to_owned();
                piece([Item::Note { note }])
            }
        }
    }
}

/// Items as they are sent; None where that cannot be done.
fn piece(items: impl IntoIterator<Item = Item>) -> Option<Bytes> {
    let mut piece = Vec::new();
    for item in items {
        serde_json::to_writer(&mut piece, &item).ok()?;
        piece.push(b'\n');
    }
    Some(piece.into())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NoSuchService(error) => Self {
                near: error.near,
                ..Self::of(Code::NoSuchService, detail)
            },
            Refusal::TooMany => Self::of(Code::TooManyFollowers, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_gives_signs_of_life_and_a_busy_one_is_told_in_pieces() {
        let (sender, items) = mpsc::channel(200);
        let mut telling = Telling {
            items,
            batch: Vec::new(),
            lease: None,
            has_ended: false,
        };
        assert_eq!(telling.next().await.unwrap(), " ");
        for number in 0..100 {
            let note = number.to_string();
            sender.send(Item::Note { note }).await.unwrap();
        }
        let mut pieces = Vec::new();
        drop(sender);
        while let Some(piece) = telling.next().await {
            pieces.push(piece);
        }
        assert_eq!(pieces.len(), 100_usize.div_ceil(BATCH));
        let text = [&[b' '][..], &pieces.concat()].concat();
        let text = String::from_utf8(text).unwrap();
        for (number, line) in text.lines().enumerate() {
            let note = number.to_string();
            // The sign of life is no part of the line that follows it.
            assert_eq!(Item::decode(line.as_bytes()).unwrap(), Item::Note { note });
        }
    }
}
