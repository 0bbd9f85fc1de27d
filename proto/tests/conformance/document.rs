//! `PROTOCOL.md` and the code say the same.

use std::collections::{BTreeMap, BTreeSet};

use diogenes_proto::hello::{MAX_HELLO_BYTES, SUPPORTED};
use diogenes_proto::line::{Body, MAX_LINE_BYTES, decode_hello, encode};
use diogenes_proto::probe::Verdict;
use diogenes_proto::request::MAX_QUESTION_BYTES;
use diogenes_proto::word::{MAX_SENTENCE_BYTES, MAX_WORD_BYTES};
use diogenes_proto::{
    Activity, ErrorCode, Health, Hello, Message, Request, Severity, Transport, WireError, untrusted,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::golden::{check, is_map, value};
use crate::vocabulary::words;
use crate::{arbitrary, golden};

const TEXT: &str = include_str!("../../PROTOCOL.md");

/// The part below a `## ` heading, up to the next.
fn chapter(title: &str) -> &'static str {
    let start = TEXT
        .find(&format!("\n## {title}\n"))
        .unwrap_or_else(|| panic!("no chapter \"{title}\""));
    let body = &TEXT[start + 1..];
    body.find("\n## ").map_or(body, |end| &body[..end])
}

/// The parts of a chapter below its `` ### `name` `` headings.
fn sections(chapter: &'static str) -> BTreeMap<&'static str, &'static str> {
    let parts = chapter.split("\n### `").skip(1);
    parts
        .map(|part| {
            part.split_once('`')
                .expect("a closing backtick in a heading")
        })
        .collect()
}

/// The lines within the ```` ```json ```` blocks of a part.
fn examples(part: &'static str) -> Vec<&'static str> {
    let blocks = part
        .split("```json\n")
        .skip(1)
        .map(|block| block.split("```").next().expect("the block's end"));
    blocks.flat_map(str::lines).collect()
}

/// The cells of the table rows of a part, without headings and rules.
fn rows(part: &'static str) -> Vec<Vec<&'static str>> {
    let lines = part
        .lines()
        .filter(|line| line.starts_with("| `") || line.starts_with("| **"));
    lines
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn check_chapter<T: Body>(title: &str) {
    let sections = sections(chapter(title));
    let described: Vec<&str> = sections.keys().copied().collect();
    let mut known = T::TYPES.to_vec();
    known.sort_unstable();
    assert_eq!(
        described, known,
        "every type has a section in \"{title}\", and no other"
    );
    for (kind, part) in sections {
        let examples = examples(part);
        assert!(!examples.is_empty(), "`{kind}` has no example");
        for line in examples {
            assert_eq!(check::<T>(line), kind, "{line}");
        }
    }
}

#[test]
fn every_request_is_described_and_its_examples_decode() {
    check_chapter::<Request>("Requests");
}

#[test]
fn every_message_is_described_and_its_examples_decode() {
    check_chapter::<Message>("Messages");
}

#[test]
fn the_example_of_a_hello_decodes() {
    let examples = examples(chapter("Hello"));
    assert!(!examples.is_empty());
    for line in examples {
        let hello = decode_hello(line.as_bytes()).unwrap();
        assert_eq!(hello.protocol, SUPPORTED);
        assert_eq!(serde_json::to_value(&hello).unwrap(), value(line));
    }
}

#[test]
fn no_example_escapes_the_tests() {
    let checked = ["Hello", "Requests", "Messages"].map(|title| examples(chapter(title)).len());
    assert_eq!(examples(TEXT).len(), checked.iter().sum::<usize>());
}

#[test]
fn the_version_is_the_codes() {
    assert_eq!((SUPPORTED.min, SUPPORTED.max), (1, 1));
    assert!(TEXT.starts_with("# The Diogenes protocol, version 1\n"));
}

#[test]
fn every_error_code_is_in_the_table() {
    let rows = rows(chapter("Errors"));
    let listed: Vec<String> = rows
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(listed, words::<ErrorCode>());
    assert_eq!(
        arbitrary::ERROR_CODES.iter().map(word).collect::<Vec<_>>(),
        words::<ErrorCode>()
    );
    for (code, row) in arbitrary::ERROR_CODES.iter().zip(&rows) {
        let error = WireError::new(*code, "");
        assert_eq!(row[2] == "yes", error.is_fatal(), "{row:?}");
        assert_eq!(row[3] == "yes", error.retryable, "{row:?}");
    }
}

fn word<T: Serialize>(of: &T) -> String {
    serde_json::to_value(of)
        .expect("a word")
        .as_str()
        .expect("a word is a string")
        .to_owned()
}

fn check_words<T: DeserializeOwned>(name: &str) {
    let rows = rows(chapter("Words"));
    let row = rows
        .iter()
        .find(|row| row[0] == format!("`{name}`"))
        .unwrap_or_else(|| panic!("no row `{name}`"));
    let listed: Vec<&str> = row[1]
        .split(", ")
        .map(|word| word.trim_matches('`'))
        .collect();
    assert_eq!(listed, words::<T>(), "{name}");
    let open = serde_json::from_value::<T>("no-such-word".into()).is_ok();
    assert_eq!(row[2] != "closed", open, "{name}: a word of a newer peer");
}

#[test]
fn every_word_is_in_the_table() {
    check_words::<Health>("health");
    check_words::<Activity>("activity");
    check_words::<Severity>("severity");
    check_words::<Transport>("transport");
    check_words::<Verdict>("verdict");
}

#[test]
fn the_bounds_are_the_codes() {
    let rows = rows(chapter("Bounds"));
    let listed: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row[0].trim_matches('*'), row[1]))
        .collect();
    let bounds = [
        ("line", MAX_LINE_BYTES),
        ("hello", MAX_HELLO_BYTES),
        ("text", untrusted::MAX_BYTES),
        ("question", MAX_QUESTION_BYTES),
        ("word", MAX_WORD_BYTES),
        ("sentence", MAX_SENTENCE_BYTES),
    ]
    .map(|(name, bytes)| (name, bytes.to_string()));
    assert_eq!(
        listed,
        bounds
            .each_ref()
            .map(|(name, bytes)| (*name, bytes.as_str()))
    );
}

#[test]
fn reserved_names_are_free() {
    let rows = rows(chapter("Evolution"));
    assert!(!rows.is_empty());
    for row in rows {
        let name = row[0].trim_matches('`');
        assert!(
            !Request::TYPES.contains(&name) && !Message::TYPES.contains(&name),
            "{name} is not reserved any more"
        );
    }
    for name in Request::RESERVED {
        assert!(
            chapter("Evolution").contains(&format!("| `{name}` |")),
            "{name}"
        );
    }
}

/// The names of all fields in a value, at any depth.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, field) in object {
                found.insert(name.clone());
                if !is_map(name) {
                    names(field, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

/// That every field of a line is named in the document, as code.
fn undescribed(line: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    names(&golden::value(line), &mut found);
    found
        .into_iter()
        .filter(|name| !TEXT.contains(&format!("`{name}`")))
        .collect()
}

proptest! {
    #[test]
    fn every_field_is_described(
        request in arbitrary::request(), message in arbitrary::message(), hello in arbitrary::hello(),
    ) {
        for line in [encode(Some(1), &request), encode(Some(1), &message), Ok(hello_line(&hello))] {
            prop_assert_eq!(undescribed(&line.unwrap()), Vec::<String>::new());
        }
    }
}

fn hello_line(hello: &Hello) -> String {
    serde_json::to_string(hello).expect("a hello")
}
