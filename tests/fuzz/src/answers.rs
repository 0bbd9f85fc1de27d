//! Any question over any report: the question, the report and the host's facts are the parts of the input.

use diogenes_insight::{answer, understand};
use diogenes_proto::line::{decode, encode};
use diogenes_proto::{HostFacts, Message, Report};

use crate::parts;
use crate::replay::{GOLDEN_REPORT, now};

/// See the module. What is no report is a question over a golden one.
pub fn check(input: &[u8]) {
    let parts = parts::of(input);
    let question = String::from_utf8_lossy(parts[0]);
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    let told = serde_json::from_slice::<Report>(part(1)).ok();
    let report = told.as_ref().unwrap_or(&GOLDEN_REPORT);
    let facts = serde_json::from_slice::<HostFacts>(part(2)).ok();
    asked(&question, report, None);
    if facts.is_some() {
        asked(&question, report, facts.as_ref());
    }
}

fn asked(question: &str, report: &Report, facts: Option<&HostFacts>) {
    let told = answer(question, report, facts, now());
    assert_eq!(told, answer(question, report, facts, now()));
    assert_eq!(told.as_of, report.at);
    assert!(!told.text.is_empty());
    // A name alone asks for its status; all else is answered as it was understood.
    let intent = understand(question).as_str();
    assert!(told.intent == intent || (intent == "help" && told.intent == "status"));
    assert_eq!(understand(&format!(" {question} ")).as_str(), intent);
    let message = Message::Answer(Box::new(told));
    let line = encode(Some(u64::MAX), &message).expect("an answer fits a line");
    let read = decode::<Message>(line.as_bytes()).expect("an answer can be read");
    assert_eq!(read.body, message);
}
