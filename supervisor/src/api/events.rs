//! What changes, as it happens: server-sent events (HTML Living Standard, 9.2).
//!
//! ```text
//! journal ─┬─ ring: what came after the number that was given ─┐
//!          └─ live: what comes ────────────────────────────────┴─► filter ─► the peer
//! ```
//! Whoever lags behind goes on from the ring; where that does not reach back far enough, `lost` says so. A quiet
//! stream repeats the last number every few seconds: the peer learns that it is alive, and a filtered stream is
//! resumed where it was. Each stream ends after an hour: who still listens comes back for the next event by itself,
//! and who has forgotten about it gives up its place.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::api::Api;
use crate::api::asked::Asked;
use crate::api::document::EVENTS;
use crate::api::http::Lease;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::registry::change::Change;
use crate::registry::journal::{Event, Resumed};

/// Who may follow at one time. Each holds at most the ring's events, which all share.
pub(crate) const MAX_FOLLOWERS: usize = 64;
/// How long a stream may be quiet.
const QUIET: Duration = Duration::from_secs(15);
/// How long a stream lasts.
pub(crate) const STREAM_DEADLINE: Duration = Duration::from_secs(3600);
/// How long a peer waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(2);
/// Where a peer that comes back says what it knows.
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// The type of the event that tells of lost ones.
const LOST: &str = "lost";

/// The places for followers.
#[derive(Clone, Debug)]
pub(crate) struct Followers(Arc<Semaphore>);

impl Default for Followers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_FOLLOWERS)))
    }
}

#[cfg(test)]
impl Followers {
    /// How many places are free.
    pub(crate) fn free(&self) -> usize {
        self.0.available_permits()
    }
}

/// Which events are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// Only what comes after this number, and not what happened before; without it, only what happens from now on.
    /// The header Last-Event-ID counts more.
    #[schemars(with = "u64", range(max = u64::MAX))]
    after: Option<u64>,
    /// Only what is about this container: its name, CI name, id, or the beginning of its id.
    #[schemars(with = "String", length(min = 1))]
    container: Option<String>,
    /// Only events of these types, separated by commas.
    #[serde(rename = "type")]
    #[schemars(with = "Kinds")]
    kinds: Option<Kinds>,
}

/// Types of events, some of [`Change::KINDS`].
#[derive(Debug)]
struct Kinds(Vec<&'static str>);

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind = |word: &str| {
            let known = Change::KINDS.iter().find(|kind| **kind == word);
            known.copied().ok_or_else(|| {
                let word = diogenes_proto::untrusted::escape(word);
                let known = Change::KINDS.join(", ");
                D::Error::custom(format!("there is no type \"{word}\"; there are {known}"))
            })
        };
        let kinds = String::deserialize(deserializer)?;
        kinds
            .split(',')
            .map(kind)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl JsonSchema for Kinds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Kinds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let items = json_schema!({ "type": "string", "enum": Change::KINDS });
        json_schema!({ "type": "array", "items": items, "minItems": 1 })
    }
}

/// Events are lost: what a follower knows of the containers may be out of date.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Lost {
    /// The last number before the gap.
    pub(crate) after: u64,
}

/// An event as a reader of the stream has it before it.
struct Sent;

impl JsonSchema for Sent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SentEvent".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let data = [
            schemas.subschema_for::<Event>(),
            schemas.subschema_for::<Lost>(),
        ];
        let kinds: Vec<_> = Change::KINDS.iter().chain(&[LOST]).collect();
        json_schema!({
            "description": "One of the stream's events; without `data` it is but a sign of life.",
            "type": "object",
            "properties": {
                "event": { "description": "The type of the change, or `lost`.", "type": "string", "enum": kinds },
                "id": { "description": "The event's number; `lost` has none.", "type": "string", "pattern": "^[0-9]+$" },
                "data": {
                    "description": "JSON: an `Event`, or `Lost`.",
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": { "oneOf": data },
                },
                "retry": { "description": "How long to wait before coming back, in milliseconds." },
            },
        })
    }
}

/// What is followed.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/events", "events", events)
            .is(EVENTS, "What changes, as it happens")
            .described(
                "Server-sent events. `event` is the type of the change, `id` its number, `data` an `Event` as JSON. An \
                 event `lost` (data: `Lost`) says that some were lost: look at the containers anew. The stream ends \
                 after an hour and when the supervisor stops; come back with the last number, as an EventSource does.",
            )
            .takes::<Wanted>()
            .heeds(LAST_EVENT_ID, "The last number that is known: what came after it is told first.")
            .answers_as::<Sent>(StatusCode::OK, "The events, without end.", "text/event-stream")
            .fails(&[Code::NoSuchContainer, Code::AmbiguousName, Code::TooManyFollowers]),
    ]
}

async fn events(
    State(api): State<Arc<Api>>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
    lease: Option<Extension<Lease>>,
) -> Result<Response, Problem> {
    let after = last_event_id(&headers)?.or(wanted.after);
    let container = match wanted.container {
        Some(name) => Some(api.find(&name)?.facts.id.clone()),
        None => None,
    };
    let place = api.followers.0.clone().try_acquire_owned().map_err(|_| {
        let detail = format!(
            "{MAX_FOLLOWERS} follow the events already; close a stream, or try again later"
        );
        Problem::of(Code::TooManyFollowers, detail)
    })?;
    let journal = api.registry.journal();
    let after = after.unwrap_or_else(|| journal.newest());
    let follower = Follower {
        resumed: journal.resume(after),
        last: after,
        container,
        kinds: wanted.kinds,
        lease: lease.map(|Extension(lease)| lease),
        quiet_until: Instant::now(),
        ends_at: Instant::now() + STREAM_DEADLINE,
        api: api.clone(),
        _place: place,
    };
    let told = stream::unfold(follower, |mut follower| async {
        let told = follower.next().await?;
        Some((Ok::<_, Infallible>(told), follower))
    });
    Ok(Sse::new(told).into_response())
}

/// The number in the header; an empty one is none, as an EventSource sends it.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        let detail = format!("{LAST_EVENT_ID} is the number of an event that was told");
        Problem::of(Code::BadQuery, detail)
    })
}

/// Somebody who follows.
struct Follower {
    api: Arc<Api>,
    /// What is to be told.
    resumed: Resumed,
    /// The number of the last event that was told or passed over.
    last: u64,
    /// A container's full id; None for all.
    container: Option<String>,
    /// None for all.
    kinds: Option<Kinds>,
    /// None where nothing but a test serves the connection.
    lease: Option<Lease>,
    quiet_until: Instant,
    ends_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// What the peer is told next; None at the end. It is asked for only when the peer has taken what was before.
    async fn next(&mut self) -> Option<sse::Event> {
        if let Some(lease) = &self.lease {
            lease.renew();
        }
        let told = self.find().await;
        self.quiet_until = Instant::now() + QUIET;
        told
    }

    async fn find(&mut self) -> Option<sse::Event> {
        let ended = async |lease: &Option<Lease>| match lease {
            Some(lease) => lease.stopped().await,
            None => std::future::pending().await,
        };
        loop {
            if std::mem::take(&mut self.resumed.lost) {
                return lost(self.last);
            }
            if let Some(event) = self.resumed.events.pop_front() {
                self.last = event.id;
                if self.wants(&event) {
                    return tell(&event);
                }
                continue;
            }
            tokio::select! {
                heard = self.resumed.live.recv() => match heard {
                    Ok(event) => self.resumed.events.push_back(event),
                    Err(RecvError::Lagged(_)) => self.resumed = self.api.registry.journal().resume(self.last),
                    Err(RecvError::Closed) => return None,
                },
                () = sleep_until(self.quiet_until) => return Some(sign_of_life(self.last)),
                () = sleep_until(self.ends_at) => return None,
                () = ended(&self.lease) => return None,
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let about = event.container.as_ref().map(|subject| &subject.id);
        (self.container.is_none() || about == self.container.as_ref())
            && self
                .kinds
                .as_ref()
                .is_none_or(|Kinds(kinds)| kinds.contains(&event.change.kind()))
    }
}

/// None, and with it the stream's end, where it cannot be written: that is better than a gap nobody hears of.
fn tell(event: &Event) -> Option<sse::Event> {
    let told = sse::Event::default()
        .id(event.id.to_string())
        .event(event.change.kind());
    told.json_data(event).ok()
}

fn lost(after: u64) -> Option<sse::Event> {
    sse::Event::default()
        .event(LOST)
        .json_data(Lost { after })
        .ok()
}

/// An id without data dispatches no event (9.2.6), yet the peer keeps the number.
fn sign_of_life(last: u64) -> sse::Event {
    sse::Event::default()
        .retry(COME_BACK)
        .id(last.to_string())
        .comment("following")
}
