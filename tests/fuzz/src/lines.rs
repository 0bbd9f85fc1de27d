//! A line of the protocol, in all three roles: as a hello, a request and a message.
//!
//! What can be read is written again as it was read; what cannot is answered by an error that fits a line, is
//! printable, and goes to the id that the line carried.

use std::fmt::Debug;

use diogenes_proto::hello::{MAX_HELLO_BYTES, SUPPORTED};
use diogenes_proto::line::{Addressed, Body, MAX_LINE_BYTES, decode, decode_hello, encode};
use diogenes_proto::word::MAX_SENTENCE_BYTES;
use diogenes_proto::{ErrorCode, Message, Request, WireError};
use serde_json::Value;

use crate::text::assert_harmless;

/// See the module.
pub fn check(line: &[u8]) {
    hello(line);
    body::<Request>(line, fitted_request);
    body::<Message>(line, fitted_message);
}

fn hello(line: &[u8]) {
    match decode_hello(line) {
        Ok(hello) => {
            let written = serde_json::to_string(&hello).expect("a hello can be written");
            // What is made printable may grow beyond the little room a hello has.
            if written.len() <= MAX_HELLO_BYTES {
                assert_eq!(decode_hello(written.as_bytes()), Ok(hello.clone()));
            }
            let ours = SUPPORTED.negotiate(hello.protocol).ok();
            assert_eq!(ours, hello.protocol.negotiate(SUPPORTED).ok());
            for range in [SUPPORTED, hello.protocol] {
                assert!(ours.is_none_or(|version| (range.min..=range.max).contains(&version)));
            }
        }
        Err(error) => assert!(error.is_fatal()),
    }
}

/// The parts of a request that its sender cuts to a line.
fn fitted_request(request: Request) -> Request {
    match request {
        Request::Ask { question, facts } => Request::Ask {
            question,
            facts: facts.map(|facts| Box::new(facts.fitted())),
        },
        other => other,
    }
}

/// A message as an agent would send it, and whether it promises to fit a line.
fn fitted_message(message: Message) -> Message {
    match message {
        Message::Report(report) => Message::Report(Box::new(report.fitted())),
        Message::Answer(answer) => Message::Answer(Box::new(answer.fitted())),
        other => other,
    }
}

fn body<T: Body + PartialEq + Debug + Clone>(line: &[u8], fitted: fn(T) -> T) {
    let read = match decode::<T>(line) {
        Ok(read) => read,
        Err(bad) => return refused(line, bad.id, &bad.error),
    };
    // What a line grows by when it is written again, in full words and with every default, stays far below this.
    if line.len() < MAX_LINE_BYTES / 8 {
        rewritten(&read);
    }
    let id = read.id;
    rewritten(&Addressed {
        id,
        body: fitted(read.body),
    });
}

fn rewritten<T: Body + PartialEq + Debug>(read: &Addressed<T>) {
    let line = encode(read.id, &read.body).expect("what was read can be written");
    assert!(!line.contains('\n'), "{line}");
    let again = decode::<T>(line.as_bytes()).expect("what was written can be read");
    assert_eq!(&again, read);
}

fn refused(line: &[u8], id: Option<u64>, error: &WireError) {
    use ErrorCode::{Invalid, LineTooLong, Malformed, Unsupported};
    assert!(matches!(
        error.code,
        Malformed | LineTooLong | Unsupported | Invalid
    ));
    assert_eq!(error.code == LineTooLong, line.len() > MAX_LINE_BYTES);
    assert_harmless(&error.message);
    assert!(error.message.len() <= MAX_SENTENCE_BYTES);
    encode(id, &Message::Error(error.clone())).expect("a refusal fits a line");
    if let Some(expected) = plain_id(line) {
        assert_eq!(id, Some(expected), "{error}");
    }
}

/// The id by an independent reader, where there is no doubt: written once, without escapes.
fn plain_id(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    if line.len() > MAX_LINE_BYTES || text.contains('\\') || text.matches("\"id\"").count() != 1 {
        return None;
    }
    serde_json::from_str::<Value>(text)
        .ok()?
        .get("id")?
        .as_u64()
}
