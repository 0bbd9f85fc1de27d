//! Lines that were shipped once must be understood for ever. Lines are added to `tests/golden`, never changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use diogenes_proto::line::{Body, decode, decode_hello, encode};
use diogenes_proto::{Message, Request};
use serde_json::Value;

fn files(ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(folder).expect("the folder of golden lines");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no file ends in {ending}");
    files
}

fn lines(ending: &str) -> Vec<String> {
    let texts = files(ending)
        .into_iter()
        .map(|path| std::fs::read_to_string(path).expect("golden lines"));
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

pub(crate) fn value(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Decodes a line and checks that it is written again as it was; returns its type.
pub(crate) fn check<T: Body>(line: &str) -> String {
    let read = decode::<T>(line.as_bytes()).unwrap_or_else(|bad| panic!("{bad:?}: {line}"));
    let written = encode(read.id, &read.body).expect("a golden line fits a line");
    assert_eq!(value(&written), value(line), "{line}");
    value(line)["type"].as_str().expect("a type").to_owned()
}

fn check_all<T: Body>(ending: &str) {
    let seen: BTreeSet<String> = lines(ending).iter().map(|line| check::<T>(line)).collect();
    let all: BTreeSet<String> = T::TYPES.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(seen, all, "every type has a golden line");
}

#[test]
fn every_request_ever_shipped() {
    check_all::<Request>("-requests.jsonl");
}

#[test]
fn every_message_ever_shipped() {
    check_all::<Message>("-messages.jsonl");
}

#[test]
fn every_hello_ever_shipped() {
    for line in lines("-hello.jsonl") {
        let hello = decode_hello(line.as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&hello).unwrap(), value(&line));
    }
}

#[test]
fn no_file_is_left_out() {
    let known = ["-hello.jsonl", "-requests.jsonl", "-messages.jsonl"];
    for file in files("") {
        assert!(
            known
                .iter()
                .any(|ending| file.to_string_lossy().ends_with(ending)),
            "{}",
            file.display()
        );
    }
}

/// Adds an unknown field to every object, of several shapes.
fn with_unknown_fields(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object
                .iter_mut()
                .filter(|(key, _)| !is_map(key))
                .for_each(|(_, value)| with_unknown_fields(value));
            object.insert(
                "from_a_newer_peer".into(),
                serde_json::json!({"a": [1, null, "x"], "b": -0.5}),
            );
        }
        Value::Array(items) => items.iter_mut().for_each(with_unknown_fields),
        _ => {}
    }
}

/// Fields whose keys are data, not names of fields.
pub(crate) fn is_map(key: &str) -> bool {
    key == "roles" || key == "data"
}

fn check_unknown_fields<T: Body + PartialEq + std::fmt::Debug>(ending: &str) {
    for line in lines(ending) {
        let mut newer = value(&line);
        with_unknown_fields(&mut newer);
        let newer = newer.to_string();
        assert!(newer.len() > line.len());
        assert_eq!(
            decode::<T>(newer.as_bytes()),
            decode::<T>(line.as_bytes()),
            "{newer}"
        );
    }
}

#[test]
fn unknown_fields_are_ignored() {
    check_unknown_fields::<Request>("-requests.jsonl");
    check_unknown_fields::<Message>("-messages.jsonl");
    for line in lines("-hello.jsonl") {
        let mut newer = value(&line);
        with_unknown_fields(&mut newer);
        assert_eq!(
            decode_hello(newer.to_string().as_bytes()),
            decode_hello(line.as_bytes())
        );
    }
}
