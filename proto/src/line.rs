//! Bytes to messages and back. Framing (finding the line ends) is the transport's; the limit is stated here.
//!
//! A line is read in two steps: the envelope (`type`, `id`), then the body its type calls for. So an unknown
//! type, or a known one with wrong fields, still yields the `id` its error must carry, and the session lives.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, WireError};
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
/// [`ErrorCode::LineTooLong`] where it would not fit [`MAX_LINE_BYTES`]; such a message must be paged or cut.
pub fn encode<T: Body>(id: Option<u64>, body: &T) -> Result<String, WireError> {
    #[derive(Serialize)]
    struct Line<'a, T> {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        #[serde(flatten)]
        body: &'a T,
    }
    let text = serde_json::to_string(&Line { id, body })
        .map_err(|error| WireError::new(ErrorCode::Internal, format!("cannot write the message: {error}")))?;
    if text.len() > MAX_LINE_BYTES {
        let message = format!("a line of {} bytes would exceed the limit of {MAX_LINE_BYTES}", text.len());
        return Err(WireError::new(ErrorCode::LineTooLong, message));
    }
    Ok(text)
}

/// Reads one line, without its line feed.
///
/// # Errors
/// [`BadLine`], holding the reply to send: `malformed`, `unsupported` or `invalid`.
pub fn decode<T: Body>(line: &[u8]) -> Result<Addressed<T>, BadLine> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        id: Option<u64>,
        #[serde(rename = "type")]
        kind: String,
    }
    if line.len() > MAX_LINE_BYTES {
        let message = format!("a line may have {MAX_LINE_BYTES} bytes");
        return Err(BadLine { id: None, error: WireError::new(ErrorCode::LineTooLong, message) });
    }
    let envelope: Envelope = serde_json::from_slice(line).map_err(|error| {
        let message = format!("not a message (one JSON object a line, with a \"type\"): {error}");
        BadLine { id: None, error: WireError::new(ErrorCode::Malformed, message) }
    })?;
    let id = envelope.id;
    if !T::TYPES.contains(&envelope.kind.as_str()) {
        let kind = crate::Untrusted::new(envelope.kind);
        let message = format!("type \"{kind:.64}\" is not known here; known are: {}", T::TYPES.join(", "));
        return Err(BadLine { id, error: WireError::new(ErrorCode::Unsupported, message) });
    }
    match serde_json::from_slice(line) {
        Ok(body) => Ok(Addressed { id, body }),
        Err(error) => {
            let message = format!("the fields of \"{}\" do not fit: {error}", envelope.kind);
            Err(BadLine { id, error: WireError::new(ErrorCode::Invalid, message) })
        }
    }
}

/// Reads a session's first line.
///
/// # Errors
/// [`ErrorCode::HelloExpected`], which ends the session.
pub fn decode_hello(line: &[u8]) -> Result<crate::Hello, WireError> {
    serde_json::from_slice(line).map_err(|error| {
        let message = format!("the first line must be a hello, like {{\"type\":\"hello\",\"protocol\":{{\"min\":1,\"max\":1}},\"build\":\"…\"}}: {error}");
        WireError::new(ErrorCode::HelloExpected, message)
    })
}
