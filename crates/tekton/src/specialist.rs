//! The wire of Tekton's own CI specialists: TCP on the loopback, one JSON object a line, one answer for each line.
//!
//! ```text
//! {"type":"chat","content":"status"}  ─► {"type":"response","ai_id":"shop-container-ci","content":"…"}
//! {"type":"ping"}                     ─► {"type":"pong",…}
//! {"type":"health"}                   ─► {"type":"health_response",…}
//! {"type":"info"}                     ─► {"type":"info_response",…}
//! no JSON                             ─► {"type":"error","error":"Invalid JSON"}
//! ```
//!
//! Its clients have no time-out, and break where a line has 64 KiB or more: that is the limit of Python's asyncio.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Longest line in either direction, in bytes, with its line feed.
pub const MAX_LINE_BYTES: usize = 64 * 1024 - 1;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A question in words.
    Chat {
        /// The words.
        content: String,
    },
    /// Whether somebody is there.
    Ping,
    /// How the component is.
    Health,
    /// Who is there.
    Info,
    /// Something else, by its name.
    Other(String),
}

/// The line is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid JSON")]
pub struct NoJson;

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// Where it is no JSON object.
    pub fn read(line: &[u8]) -> Result<Self, NoJson> {
        let object: Map<String, Value> = serde_json::from_slice(line).map_err(|_| NoJson)?;
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(match text("type").unwrap_or_default().as_str() {
            // Some clients say "message".
            "chat" => Self::Chat {
                content: text("content")
                    .or_else(|| text("message"))
                    .unwrap_or_default(),
            },
            "ping" => Self::Ping,
            "health" => Self::Health,
            "info" => Self::Info,
            other => Self::Other(other.to_owned()),
        })
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Response {
    /// To a question.
    Response {
        /// Who answers.
        ai_id: String,
        /// In words.
        content: String,
    },
    /// To a ping.
    Pong {
        /// Who is there.
        ai_id: String,
        /// Seconds on a clock of the specialist's own.
        timestamp: f64,
    },
    /// How the component is.
    HealthResponse {
        /// Who answers.
        ai_id: String,
        /// `healthy`, or another word.
        status: String,
        /// What it looks after.
        component: String,
        /// `provider:name` of its language model.
        model: String,
        /// Connections at this moment.
        clients: usize,
    },
    /// Who is there.
    InfoResponse {
        /// Who answers.
        ai_id: String,
        /// What it looks after.
        component: String,
        /// A line for people.
        description: String,
        /// Who makes its language model.
        model_provider: String,
        /// The model's name: `tekton status` shows it.
        model_name: String,
        /// What it goes by.
        system_prompt: String,
        /// Where it listens.
        port: u16,
    },
    /// Something went wrong.
    Error {
        /// What.
        error: String,
    },
}

impl Response {
    /// The line, with its line feed; what makes it too long is cut from its content.
    #[must_use]
    pub fn line(mut self) -> String {
        loop {
            // These are texts and numbers: nothing in them cannot be JSON.
            let line = serde_json::to_string(&self).unwrap_or_default() + "\n";
            let excess = line.len().saturating_sub(MAX_LINE_BYTES);
            match &mut self {
                Self::Response { content, .. } if excess > 0 && !content.is_empty() => {
                    // Each byte of it has become one of the line, or several.
                    let most = content
                        .floor_char_boundary(content.len().saturating_sub(excess.div_ceil(6)));
                    content.truncate(most);
                }
                _ => return line,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_tektons_clients_write_them() {
        let chat = |content: &str| Request::Chat {
            content: content.into(),
        };
        for (line, request) in [
            (r#"{"type": "chat", "content": "status"}"#, chat("status")),
            (
                r#"{"type":"chat","message":"status","history":[1]}"#,
                chat("status"),
            ),
            (r#"{"type":"chat","content":7}"#, chat("")),
            (r#"{"type": "ping"}"#, Request::Ping),
            (r#"{"type": "health"}"#, Request::Health),
            (r#"{"type": "info"}"#, Request::Info),
            (r#"{"type": "sing"}"#, Request::Other("sing".into())),
            ("{}", Request::Other(String::new())),
        ] {
            assert_eq!(Request::read(line.as_bytes()), Ok(request), "{line}");
        }
        for line in ["", "{", "[]", "7", "GET / HTTP/1.1", "\"chat\""] {
            assert_eq!(Request::read(line.as_bytes()), Err(NoJson), "{line}");
        }
    }

    #[test]
    fn answers_look_as_tektons_own() {
        let pong = Response::Pong {
            ai_id: "shop-container-ci".into(),
            timestamp: 1.5,
        };
        assert_eq!(
            pong.line(),
            "{\"type\":\"pong\",\"ai_id\":\"shop-container-ci\",\"timestamp\":1.5}\n"
        );
        let error = Response::Error {
            error: NoJson.to_string(),
        };
        assert_eq!(
            error.line(),
            "{\"type\":\"error\",\"error\":\"Invalid JSON\"}\n"
        );
    }

    #[test]
    fn no_answer_is_longer_than_its_reader_can_take() {
        for unit in ["x", "ä", "\n", "\u{1}", "\u{1f980}"] {
            let response = Response::Response {
                ai_id: "a".into(),
                content: unit.repeat(MAX_LINE_BYTES),
            };
            let line = response.line();
            assert!(
                line.len() <= MAX_LINE_BYTES && line.len() > MAX_LINE_BYTES / 2,
                "{unit:?}: {}",
                line.len()
            );
            assert!(line.ends_with("}\n"));
        }
    }
}
