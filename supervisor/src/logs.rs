//! What a container writes: stdout and stderr as its Engine keeps them, and the log files its companion finds.
//!
//! ```text
//! Engine ─► secrets out ─┐                                  ┌─ history, ordered by time
//!                        ├─► in the span? does it match? ─► telling ─► items ─► whoever asked
//! companion ─► times in ─┘                                  └─ then whatever comes, as it comes
//! ```
//! Files are read in the container, where they are; here they get their times ([`line_time`]). Within one source
//! the order stays as it was written. Whoever asks sets the pace: what is not taken off a bounded queue is not
//! read from the Engine either.

mod files;
mod line_time;
mod pattern;
mod telling;
mod wanted;
mod when;

use diogenes_proto::{Timestamp, Untrusted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub(crate) use crate::logs::pattern::Pattern;
pub(crate) use crate::logs::telling::{Logs, Refusal};
pub(crate) use crate::logs::when::When;

/// Items that wait for a reader.
const QUEUE: usize = 256;

/// What is asked for: the query of the endpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Query {
    /// Only this service, by its key, kind or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) service: Option<String>,
    /// Nothing written before: a time as of RFC 3339, or how long ago, as `10m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) since: Option<When>,
    /// Nothing written after: a time, or how long ago. Not together with `follow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) until: Option<When>,
    /// The last so many lines of the container's output, and of each file, of those that match; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub(crate) tail: Option<u32>,
    /// Only lines that match this regular expression; case-sensitive unless it begins with `(?i)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) grep: Option<Pattern>,
    /// Whether to go on with what is written from now on.
    pub(crate) follow: bool,
}

impl Query {
    /// Whether a line is asked for. One without a time is.
    fn wants(&self, at: Option<Timestamp>, text: &str) -> bool {
        let in_span = at.is_none_or(|at| {
            self.since.is_none_or(|since| at >= since.0)
                && self.until.is_none_or(|until| at <= until.0)
        });
        in_span
            && self
                .grep
                .as_ref()
                .is_none_or(|pattern| pattern.matches(text))
    }

    /// The tail, where the last lines as they were written are the last of those asked for.
    fn plain_tail(&self) -> Option<u32> {
        let picks = self.grep.is_some() || self.until.is_some();
        self.tail.filter(|_| !picks)
    }
}

/// A line, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Line {
    /// When it was written; null where nobody knows.
    pub(crate) at: Option<Timestamp>,
    /// `stdout`, `stderr`, or the path of a file in the container.
    pub(crate) source: Untrusted,
    /// The line, secrets redacted.
    pub(crate) text: Untrusted,
}

/// One thing told to whoever asked: a line of JSON each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Item {
    /// First of all, where lines may come from. Files may come and go later.
    Sources {
        /// `stdout`, `stderr`, paths.
        sources: Vec<Untrusted>,
    },
    /// A line.
    Line(Line),
    /// What is missing, and why, in words.
    Note {
        /// The words.
        note: String,
    },
}

/// An item as it is read: what is absent tells which it is. (With `untagged`, an error would not say what is wrong.)
#[derive(Deserialize)]
struct Wire {
    sources: Option<Vec<Untrusted>>,
    note: Option<String>,
    #[serde(default)]
    at: Option<Timestamp>,
    source: Option<Untrusted>,
    text: Option<Untrusted>,
}

impl Item {
    /// An item of a line of JSON.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn decode(json: &[u8]) -> Result<Self, serde_json::Error> {
        use serde::de::Error as _;
        let Wire {
            sources,
            note,
            at,
            source,
            text,
        } = serde_json::from_slice(json)?;
        match (sources, note, source, text) {
            (Some(sources), ..) => Ok(Self::Sources { sources }),
            (_, Some(note), ..) => Ok(Self::Note { note }),
            (_, _, Some(source), Some(text)) => Ok(Self::Line(Line { at, source, text })),
            _ => Err(serde_json::Error::missing_field("text")),
        }
    }
}

/// Nobody reads any more.
#[derive(Debug)]
struct Gone;

/// The way to whoever asked.
struct Out(mpsc::Sender<Item>);

impl Out {
    async fn say(&self, item: Item) -> Result<(), Gone> {
        self.0.send(item).await.map_err(|_| Gone)
    }

    async fn note(&self, note: impl Into<String>) -> Result<(), Gone> {
        self.say(Item::Note { note: note.into() }).await
    }
}

#[cfg(test)]
mod tests;
