//! Lines of peers that mean harm, or are broken: each ends in a typed error that fits a line.

use std::fmt::Debug;

use diogenes_proto::hello::MAX_HELLO_BYTES;
use diogenes_proto::line::{
    BadLine, Body, MAX_LINE_BYTES, decode, decode_hello, encode, request_type,
};
use diogenes_proto::request::MAX_QUESTION_BYTES;
use diogenes_proto::word::{MAX_SENTENCE_BYTES, MAX_WORD_BYTES};
use diogenes_proto::{ErrorCode, Health, Message, Request, WireError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use crate::arbitrary;

fn refused<T: Body + Debug>(line: impl AsRef<[u8]>) -> BadLine {
    let line = line.as_ref();
    let bad = decode::<T>(line).expect_err(&String::from_utf8_lossy(&line[..line.len().min(200)]));
    // Every refusal can be sent, whatever it quotes.
    encode(bad.id, &Message::Error(bad.error.clone())).expect("an error fits a line");
    assert!(bad.error.message.len() <= MAX_SENTENCE_BYTES);
    assert!(
        !bad.error.message.contains(char::is_control),
        "{:?}",
        bad.error.message
    );
    bad
}

/// The code and id a request line is refused with.
fn verdict(line: impl AsRef<[u8]>) -> (ErrorCode, Option<u64>) {
    let bad = refused::<Request>(line);
    (bad.error.code, bad.id)
}

#[test]
fn what_is_no_message_is_malformed() {
    let lines: &[&[u8]] = &[
        b"",
        b" ",
        b"null",
        b"7",
        b"\"ping\"",
        b"[7,\"ping\"]",
        b"[]",
        b"{",
        b"{}",
        b"{\"id\":7,\"type\":\"ping\"",
        b"{\"id\":7,\"type\":\"ping\"}}",
        b"{\"id\":7,\"type\":\"ping\"} {\"id\":8,\"type\":\"ping\"}",
        b"{\"id\":-1,\"type\":\"ping\"}",
        b"{\"id\":1.5,\"type\":\"ping\"}",
        b"{\"id\":1e3,\"type\":\"ping\"}",
        b"{\"id\":\"1\",\"type\":\"ping\"}",
        b"{\"id\":18446744073709551616,\"type\":\"ping\"}",
        b"{\"id\":1e999,\"type\":\"ping\"}",
        b"{\"id\":NaN,\"type\":\"ping\"}",
        b"{\"id\":1,\"id\":1,\"type\":\"ping\"}",
        b"{'id':1,'type':'ping'}",
        b"\xef\xbb\xbf{\"type\":\"ping\"}",
        b"\x00{\"type\":\"ping\"}",
        b"{\"type\":\"ping\"}\x00",
    ];
    for line in lines {
        assert_eq!(
            verdict(line),
            (ErrorCode::Malformed, None),
            "{}",
            String::from_utf8_lossy(line)
        );
    }
}

#[test]
fn a_malformed_object_is_answered_to_its_id() {
    let lines: &[&[u8]] = &[
        b"{\"id\":7}",
        b"{\"id\":7,\"type\":5}",
        b"{\"id\":7,\"type\":null}",
        b"{\"type\":\"ping\",\"type\":\"ping\",\"id\":7}",
        b"{\"id\":7,\"type\":\"\\ud800\"}",
        b"{\"id\":7,\"type\":\"ask\",\"question\":\"\xff\"}",
    ];
    for line in lines {
        assert_eq!(
            verdict(line),
            (ErrorCode::Malformed, Some(7)),
            "{}",
            String::from_utf8_lossy(line)
        );
    }
}

#[test]
fn an_unknown_type_is_answered_to_its_id() {
    let long = "z".repeat(200_000);
    for kind in [
        "",
        "PING",
        "ping ",
        "profile",
        "act",
        "\\u001b[2J",
        "hello",
        &long,
    ] {
        let line = format!("{{\"type\":\"{kind}\",\"id\":7}}");
        assert_eq!(
            verdict(&line),
            (ErrorCode::Unsupported, Some(7)),
            "{kind:.20}"
        );
    }
    // What only the other side says is unknown as well.
    assert_eq!(
        verdict("{\"id\":7,\"type\":\"pong\"}"),
        (ErrorCode::Unsupported, Some(7))
    );
}

#[test]
fn a_request_is_known_by_its_type_however_its_fields_look() {
    for (line, expected) in [
        (r#"{"type":"ask","id":7}"#, Some((Some(7), "ask"))),
        (r#"{"type":"act","do":[{}]}"#, Some((None, "act"))),
        (r#"{"id":1,"type":"answer","text":""}"#, None),
        (r#"{"id":1,"type":"fly"}"#, None),
        (r#"["act"]"#, None),
        ("act", None),
    ] {
        let found = request_type(line.as_bytes()).map(|asked| (asked.id, asked.body));
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn fields_that_do_not_fit_are_answered_to_their_id() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let long = "q".repeat(200_000);
    for fields in [
        "\"type\":\"ask\"",
        "\"type\":\"ask\",\"question\":7",
        "\"type\":\"ask\",\"question\":null",
        "\"type\":\"ask\",\"question\":\"a\",\"question\":\"b\"",
        "\"type\":\"ask\",\"question\":\"\\ud800\"",
        "\"type\":\"ask\",\"question\":\"\\udc00\\ud800\"",
        "\"type\":\"ask\",\"question\":\"\",\"facts\":7",
        "\"type\":\"snapshot\",\"offset\":-1",
        "\"type\":\"snapshot\",\"offset\":4294967296",
        "\"type\":\"snapshot\",\"offset\":1e999",
        "\"type\":\"snapshot\",\"offset\":1.5",
        "\"type\":\"snapshot\",\"hash\":{}",
        "\"type\":\"probe\",\"service\":[]",
        &format!("\"type\":\"ask\",\"question\":{deep}"),
        &format!("\"type\":\"ping\",\"unknown\":{deep}"),
        &format!("\"type\":\"snapshot\",\"offset\":\"{long}\""),
        &format!("\"type\":\"snapshot\",\"offset\":{}", "9".repeat(200_000)),
    ] {
        let line = format!("{{\"id\":7,{fields}}}");
        assert_eq!(
            verdict(&line),
            (ErrorCode::Invalid, Some(7)),
            "{fields:.80}"
        );
    }
}

#[test]
fn unknown_fields_may_nest_sixteen_deep() {
    let nested = "[".repeat(16) + &"]".repeat(16);
    let line = format!("{{\"id\":7,\"type\":\"ping\",\"unknown\":{nested}}}");
    assert_eq!(
        decode::<Request>(line.as_bytes()).unwrap().body,
        Request::Ping {}
    );
}

#[test]
fn a_refusal_quotes_no_terminal_escapes() {
    let outcome = r#"{"verdict":"\u001b[2J\n\u202e","evidence":"","took_us":1}"#;
    let bad = refused::<Message>(format!(
        r#"{{"id":7,"type":"probe","service":"s","outcome":{outcome}}}"#
    ));
    assert!(
        bad.error.message.contains("`\u{fffd}[2J\u{fffd}\u{fffd}`"),
        "{}",
        bad.error.message
    );
    let line = "{\"type\":\"error\",\"code\":\"internal\",\"message\":\"\\u001b[2J\\nfake line\"}";
    let Message::Error(error) = decode::<Message>(line.as_bytes()).unwrap().body else {
        panic!("no error")
    };
    assert_eq!(error.to_string(), "\u{fffd}[2J\u{fffd}fake line");
}

#[test]
fn texts_are_bounded_when_they_are_read() {
    let long = "é".repeat(100_000);
    let ask = format!("{{\"type\":\"ask\",\"question\":\"{long}\"}}");
    let Request::Ask { question, .. } = decode::<Request>(ask.as_bytes()).unwrap().body else {
        panic!("no ask")
    };
    assert_eq!(question, "é".repeat(MAX_QUESTION_BYTES / 2));
    let probe = format!("{{\"type\":\"probe\",\"service\":\"{long}\"}}");
    let Request::Probe { service } = decode::<Request>(probe.as_bytes()).unwrap().body else {
        panic!("no probe")
    };
    assert_eq!(service, "é".repeat(MAX_WORD_BYTES / 2));
}

#[test]
fn words_of_newer_peers_do_not_break_a_message() {
    let health = "{\"type\":\"health\",\"health\":\"flourishing\",\"since\":\"2026-01-31T08:00:00Z\",\"reason\":\"\"}";
    let read = decode::<Message>(health.as_bytes()).unwrap().body;
    assert!(matches!(
        read,
        Message::Health {
            health: Health::Unknown,
            ..
        }
    ));
    let error = "{\"type\":\"error\",\"code\":\"out_of_wine\",\"message\":\"\"}";
    let read = decode::<Message>(error.as_bytes()).unwrap().body;
    assert_eq!(
        read,
        Message::Error(WireError::new(ErrorCode::Internal, ""))
    );
}

#[test]
fn only_a_hello_is_a_hello() {
    let good = r#"{"type":"hello","protocol":{"min":1,"max":1},"build":"b"}"#;
    assert!(decode_hello(good.as_bytes()).is_ok());
    assert!(decode_hello(format!("{good}\r").as_bytes()).is_ok());
    for bad in [
        "",
        "GET / HTTP/1.1",
        r#"{"type":"ping","id":1}"#,
        r#"{"protocol":{"min":1,"max":1},"build":"b"}"#,
        r#"{"type":"ping","protocol":{"min":1,"max":1},"build":"b"}"#,
        r#"{"type":"hello","build":"b"}"#,
        r#"{"type":"hello","protocol":{"min":1},"build":"b"}"#,
        r#"{"type":"hello","protocol":{"min":-1,"max":1},"build":"b"}"#,
        r#"[{"min":1,"max":1},"b",[]]"#,
    ] {
        let error = decode_hello(bad.as_bytes()).unwrap_err();
        assert_eq!(error.code, ErrorCode::HelloExpected, "{bad}");
        assert!(error.is_fatal());
    }
    let long = good.replace("\"b\"", &format!("\"{}\"", "b".repeat(MAX_HELLO_BYTES)));
    assert_eq!(
        decode_hello(long.as_bytes()).unwrap_err().code,
        ErrorCode::LineTooLong
    );
}

/// A line that was good until one of its values was exchanged.
fn damaged(mut line: Value, place: Index, damage: Value) -> String {
    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(fields) => fields.values().map(count).sum(),
            _ => 0_usize,
        }
    }
    fn exchange(value: &mut Value, place: &mut usize, damage: &Value) {
        if *place == 0 {
            *value = damage.clone();
        }
        *place = place.wrapping_sub(1);
        match value {
            Value::Array(items) => items
                .iter_mut()
                .for_each(|item| exchange(item, place, damage)),
            Value::Object(fields) => fields
                .values_mut()
                .for_each(|field| exchange(field, place, damage)),
            _ => {}
        }
    }
    let mut place = place.index(count(&line));
    exchange(&mut line, &mut place, &damage);
    line.to_string()
}

fn damage() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(serde_json::json!([[], {}])),
        Just(serde_json::json!({"type": "ping", "id": 1})),
    ]
}

/// What must hold of any line at all.
fn check<T: Body + Debug>(line: &[u8]) -> Result<(), TestCaseError> {
    let Err(bad) = decode::<T>(line) else {
        return Ok(());
    };
    prop_assert!(encode(bad.id, &Message::Error(bad.error.clone())).is_ok());
    // An independent reader of the id: where it finds one, the refusal must carry it.
    let object = std::str::from_utf8(line)
        .ok()
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(id) = object
        .as_ref()
        .and_then(|object| object.get("id"))
        .and_then(Value::as_u64)
    {
        prop_assert_eq!(bad.id, Some(id));
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(line in vec(any::<u8>(), 0..400)) {
        check::<Request>(&line)?;
        check::<Message>(&line)?;
        prop_assert!(decode_hello(&line).is_err());
    }

    #[test]
    fn arbitrary_json_never_panics(line in "[\\[\\]{}\",:0-9a-z\\\\u. -]{0,80}") {
        check::<Request>(line.as_bytes())?;
        check::<Message>(line.as_bytes())?;
    }

    #[test]
    fn a_damaged_request_is_answered_to_its_id(
        id: u64, body in arbitrary::request(), place: Index, damage in damage(),
    ) {
        let line = serde_json::from_str(&encode(Some(id), &body).unwrap()).unwrap();
        check::<Request>(damaged(line, place, damage).as_bytes())?;
    }

    #[test]
    fn a_damaged_message_is_answered_to_its_id(
        id: u64, body in arbitrary::message(), place: Index, damage in damage(),
    ) {
        let line = serde_json::from_str(&encode(Some(id), &body).unwrap()).unwrap();
        check::<Message>(damaged(line, place, damage).as_bytes())?;
    }

    #[test]
    fn a_cut_line_is_malformed(id: u64, body in arbitrary::message(), cut: Index) {
        let line = encode(Some(id), &body).unwrap();
        let half = &line.as_bytes()[..cut.index(line.len())];
        prop_assert_eq!(refused::<Message>(half).error.code, ErrorCode::Malformed);
    }

    #[test]
    fn an_exchanged_byte_never_panics(body in arbitrary::message(), place: Index, byte: u8) {
        let mut line = encode(Some(1), &body).unwrap().into_bytes();
        let place = place.index(line.len());
        line[place] = byte;
        check::<Message>(&line)?;
    }
}

#[test]
fn a_line_beyond_the_limit_ends_the_session() {
    let bad = refused::<Request>(vec![b' '; MAX_LINE_BYTES + 1]);
    assert_eq!(bad.error.code, ErrorCode::LineTooLong);
    assert!(bad.error.is_fatal());
}

/// The asker's session must outlive a reply that its writer did not cut.
#[test]
fn what_does_not_fit_is_not_written() {
    let request = Request::Probe {
        service: "s".repeat(MAX_LINE_BYTES),
    };
    let error = encode(Some(1), &request).unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert!(!error.is_fatal());
}
