//! Which services a question is about: by name, kind, role or port.

use diogenes_proto::{Report, Service};

use crate::words::lower;

/// Other words for kinds and roles.
const ALIASES: &[(&str, &str)] = &[
    ("postgres", "postgresql"),
    ("pg", "postgresql"),
    ("psql", "postgresql"),
    ("nodejs", "node"),
    ("node.js", "node"),
    ("database", "db"),
    ("databases", "db"),
    ("webserver", "web"),
    ("website", "web"),
    ("broker", "queue"),
    ("workers", "worker"),
    ("caches", "cache"),
];

/// Words that name nothing: what stands where a name could, in a question about the whole.
const NOTHING_IN_PARTICULAR: &[&str] = &[
    "it",
    "this",
    "that",
    "the",
    "a",
    "an",
    "my",
    "your",
    "our",
    "everything",
    "anything",
    "something",
    "all",
    "any",
    "there",
    "container",
    "server",
    "service",
    "services",
    "app",
    "application",
    "system",
    "you",
    "things",
    "thing",
    "he",
    "she",
    "they",
    "we",
    "i",
    "going",
    "not",
    "so",
    "wrong",
    "up",
    "down",
    "ok",
    "okay",
    "going",
    "status",
    "state",
    "health",
    "healthy",
    "unhealthy",
    "reason",
    "problem",
    "cause",
    "issue",
    "matter",
    "here",
    "running",
    "still",
    "alive",
    "happening",
    "happened",
    "companion",
    "machine",
    "box",
    "memory",
    "cpu",
    "image",
    "version",
    "port",
    "ports",
    "uptime",
    "now",
    "alright",
    "fine",
    "your",
    "its",
    "one",
    "well",
    "these",
    "those",
    "someone",
    "anyone",
    "broken",
    "dead",
    "failing",
    "sick",
    "degraded",
    "each",
    "every",
    "what",
    "them",
    "role",
];

/// What a question is about.
#[derive(Debug)]
pub(super) enum Subject<'a> {
    /// The container as a whole.
    Whole,
    /// These services.
    Services(Vec<&'a Service>),
    /// Something that is not here.
    Absent(String),
}

/// Finds what a question is about.
pub(super) fn find<'a>(words: &[String], report: &'a Report) -> Subject<'a> {
    let is_meant = |service: &&Service, by: fn(&Service, &str) -> bool| {
        words
            .iter()
            .any(|word| by(service, word) || by(service, unaliased(word)))
    };
    let services = || report.services.iter();
    // A name says more than a role: in "is the redis cache ok" the role only repeats it.
    for by in [is_named, is_on_port, has_role] {
        let found: Vec<&Service> = services().filter(|service| is_meant(service, by)).collect();
        if !found.is_empty() {
            return Subject::Services(found);
        }
    }
    let spoken = words.join(" ");
    let called: Vec<&Service> = services()
        .filter(|service| {
            let name = lower(service.name.as_raw());
            name.contains(' ') && spoken.contains(&name)
        })
        .collect();
    if !called.is_empty() {
        return Subject::Services(called);
    }
    match absent(words) {
        Some(name) => Subject::Absent(name),
        None => Subject::Whole,
    }
}

fn unaliased(word: &str) -> &str {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == word)
        .map_or(word, |(_, kind)| kind)
}

fn is_named(service: &Service, word: &str) -> bool {
    let name = service.name.as_raw();
    // A script called "status" must not take every question for one about itself.
    let is_plain = !NOTHING_IN_PARTICULAR.contains(&word);
    service.kind == word && !matches!(word, "tcp" | "udp" | "unix" | "process")
        || service.key == word
        || is_plain && name.eq_ignore_ascii_case(word)
}

fn is_on_port(service: &Service, word: &str) -> bool {
    word.parse::<u16>()
        .is_ok_and(|port| service.ports.contains(&port))
}

fn has_role(service: &Service, word: &str) -> bool {
    service.role.as_deref() == Some(word)
}

/// The name of a service that is not here, where the question has one in the place of a name: "is X ok",
/// "why does X hang", "version of X".
fn absent(words: &[String]) -> Option<String> {
    let is_name = |word: &&String| {
        !NOTHING_IN_PARTICULAR.contains(&word.as_str())
            && word.chars().any(char::is_alphabetic)
            && word.len() > 2
            && word.len() <= 40
    };
    words
        .iter()
        .zip(words.iter().skip(1))
        .filter(|(before, _)| matches!(before.as_str(), "is" | "of" | "does" | "with" | "did"))
        .map(|(_, word)| word)
        .next()
        .filter(is_name)
        .cloned()
}
