//! Bytes to messages and back. Framing (finding the line ends) is the transport's; the limit is stated here.
//!
//! A line is read in two steps: the envelope (`type`, `id`), then the body its type calls for. So an unknown
//! type, or a known one with wrong fields, still yields the `id` its error must carry, and the session lives.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, WireError};
use crate::hello::{Hello, MAX_HELLO_BYTES};
use crate::{Message, Request};

/// Longest line in bytes, the line feed not counted.
pub const MAX_LINE_BYTES: usize = 256 * 1024;

/// A message with the `id` that joins a reply to its request; None for what is said unasked.
#[derive(Clone, Debug, PartialEq)]
pub struct Addressed<T> {
    /// The asker's id.
    pub id: Option<u64>,
    /// The message.
    pub body: T,
}

/// A line that could not be understood, with the id it carried if that much could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct BadLine {
    /// The id to answer to.
    pub id: Option<u64>,
    /// What to answer.
    pub error: WireError,
}

/// One direction of the protocol: an enum tagged by `type`.
pub trait Body: Serialize + DeserializeOwned {
    /// Every `type` there is.
    const TYPES: &'static [&'static str];
}

impl Body for Request {
    const TYPES: &'static [&'static str] = Request::TYPES;
}

impl Body for Message {
    const TYPES: &'static [&'static str] = Message::TYPES;
}

/// Writes a message as one line, without the line feed.
///
/// # Errors
/// [`ErrorCode::Internal`] where it would not fit [`MAX_LINE_BYTES`]; such a message must be paged or cut. The
/// error can be sent in the message's place: unlike `line_too_long` it does not end the session.
pub fn encode<T: Body>(id: Option<u64>, body: &T) -> Result<String, WireError> {
    #[derive(Serialize)]
    struct Line<'a, T> {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        #[serde(flatten)]
        body: &'a T,
    }
    let text = serde_json::to_string(&Line { id, body }).map_err(|error| {
        WireError::new(
            ErrorCode::Internal,
            format!("cannot write the message: {error}"),
        )
    })?;
    if text.len() > MAX_LINE_BYTES {
        let message = format!(
            "a line of {} bytes would exceed the limit of {MAX_LINE_BYTES}",
            text.len()
        );
        return Err(WireError::new(ErrorCode::Internal, message));
    }
    Ok(text)
}

/// Reads one line, without its line feed.
///
/// # Errors
/// [`BadLine`], holding the reply to send: `malformed`, `unsupported`, `invalid` or `line_too_long`.
pub fn decode<T: Body>(line: &[u8]) -> Result<Addressed<T>, BadLine> {
    if line.len() > MAX_LINE_BYTES {
        return Err(BadLine {
            id: None,
            error: too_long(MAX_LINE_BYTES),
        });
    }
    let envelope = envelope(line).map_err(|reason| {
        let message = format!("not a message (one JSON object a line, with a \"type\"): {reason}");
        BadLine {
            id: readable_id(line),
            error: WireError::new(ErrorCode::Malformed, message),
        }
    })?;
    let id = envelope.id;
    if !T::TYPES.contains(&envelope.kind.as_str()) {
        let kind = crate::Untrusted::new(envelope.kind);
        let message = format!(
            "type \"{kind:.64}\" is not known here; known are: {}",
            T::TYPES.join(", ")
        );
        return Err(BadLine {
            id,
            error: WireError::new(ErrorCode::Unsupported, message),
        });
    }
    match serde_json::from_slice(line) {
        Ok(body) => Ok(Addressed { id, body }),
        Err(error) => {
            let message = format!("the fields of \"{}\" do not fit: {error}", envelope.kind);
            Err(BadLine {
                id,
                error: WireError::new(ErrorCode::Invalid, message),
            })
        }
    }
}

/// The type of a line that is a request of this version or a later one, however its fields look; None for all other
/// lines. It is what a peer's rights are judged by, before anything else of the request is read.
#[must_use]
pub fn request_type(line: &[u8]) -> Option<Addressed<&'static str>> {
    let envelope = envelope(line).ok()?;
    let mut known = Request::TYPES.iter().chain(Request::RESERVED);
    let kind = known.find(|kind| **kind == envelope.kind)?;
    Some(Addressed {
        id: envelope.id,
        body: kind,
    })
}

/// Reads a session's first line, without its line feed.
///
/// # Errors
/// [`ErrorCode::HelloExpected`], or [`ErrorCode::LineTooLong`] beyond [`MAX_HELLO_BYTES`]; both end the session.
pub fn decode_hello(line: &[u8]) -> Result<Hello, WireError> {
    if line.len() > MAX_HELLO_BYTES {
        return Err(too_long(MAX_HELLO_BYTES));
    }
    let hello = envelope(line).and_then(|envelope| match envelope.kind.as_str() {
        // The derived decoder does not look at the tag of a struct, so it is looked at here.
        "hello" => serde_json::from_slice(line).map_err(|error| error.to_string()),
        _ => Err("its type is another".to_owned()),
    });
    hello.map_err(|reason| {
        let example = r#"{"type":"hello","protocol":{"min":1,"max":1},"build":"…"}"#;
        WireError::new(
            ErrorCode::HelloExpected,
            format!("the first line must be a hello, like {example}: {reason}"),
        )
    })
}

/// What every line has.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    id: Option<u64>,
    #[serde(rename = "type")]
    kind: String,
}

/// The first of the two steps; what is wrong, in words.
fn envelope(line: &[u8]) -> Result<Envelope, String> {
    std::str::from_utf8(line).map_err(|error| error.to_string())?;
    // A derived decoder would take an array for a struct as well.
    if !is_object(line) {
        return Err("it does not begin with \"{\"".to_owned());
    }
    // From bytes, as everything else: a second decoder, for texts, would be 5 KB more in the agent.
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

/// The id of a line that has no readable `type`, or is not UTF-8 throughout.
fn readable_id(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Id {
        #[serde(default)]
        id: Option<u64>,
    }
    if !is_object(line) {
        return None;
    }
    serde_json::from_slice(line).map_or(None, |line: Id| line.id)
}

fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
}

fn too_long(max_bytes: usize) -> WireError {
    WireError::new(
        ErrorCode::LineTooLong,
        format!("a line may have {max_bytes} bytes here"),
    )
}
