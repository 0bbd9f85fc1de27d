//! Questions about the past: answered from a container's history, which only the supervisor keeps.
//!
//! ```text
//! 2 changes in the last 12 min, the newest 5 min ago: Redis: its process (pid 17) ended at 14:08:59 (unhealthy).
//!   14:02:00  running    the container started
//!   14:09:00  unhealthy  Redis: its process (pid 17) ended at 14:08:59
//! ```

use std::sync::Arc;

use diogenes_insight::words::{ago, clock, count, list, span};
use diogenes_insight::{Intent, services_named};
use diogenes_proto::untrusted::escape;
use diogenes_proto::{Answer, Report, Service, Timestamp, Untrusted};

use crate::logs::When;
use crate::registry::Entry;
use crate::registry::change::Change;
use crate::registry::history::History;
use crate::registry::journal::Event;
use crate::registry::words::WORD;

/// Most changes told as evidence, the newest ones; the command `history` has the others too.
const MAX_TOLD: usize = 10;

/// Answers what changed, lately or since the moment the question names. `history` is None where the container
/// was deleted meanwhile.
pub(super) fn answer(
    question: &str,
    entry: &Entry,
    history: Option<&History>,
    now: Timestamp,
) -> Answer {
    let (text, evidence) = match history.and_then(|history| Some((history, oldest(history)?))) {
        Some((history, oldest)) => {
            let services = named(question, entry);
            let about: Vec<_> = changes(history, &services).collect();
            let since = since(question, now).unwrap_or(oldest.at).max(oldest.at);
            let (before, told) = about.split_at(about.partition_point(|event| event.at < since));
            let text = if told.is_empty() {
                nothing(&services, before.last(), oldest, since, now)
            } else {
                some(&services, told, since, now)
            };
            (text, evidence(told, entry, now))
        }
        None => {
            let text = "The container was deleted meanwhile, and its history with it.";
            (text.to_owned(), Vec::new())
        }
    };
    let answer = Answer {
        intent: Intent::Changes.as_str().to_owned(),
        text: text.into(),
        evidence,
        as_of: now,
        ..Answer::default()
    };
    answer.fitted()
}

/// What whoever asks "since when" wants next: the last change before what is asked about has its health; of a
/// container that is not up, what ended it. None where that is not known.
pub(super) fn before(
    question: &str,
    entry: &Entry,
    history: &History,
    now: Timestamp,
) -> Option<Untrusted> {
    let mut newest_first = changes(history, &[]).rev();
    if !entry.facts.state.is_up() {
        let is_end = |event: &&Arc<Event>| matches!(event.change, Change::ContainerState { .. });
        let event = newest_first.find(is_end)?;
        return Some(format!("{}: {}", ago(event.at, now), in_a_sentence(event)).into());
    }
    let since = match named(question, entry).first() {
        Some(service) => service.since,
        None => entry.last_report()?.since,
    };
    let event = newest_first.find(|event| event.at < since)?;
    let (at, what) = (ago(event.at, now), in_a_sentence(event));
    Some(format!("the change before that was at {at}: {what}").into())
}

/// The oldest event kept: with it the container was met, or what was before it is forgotten.
fn oldest(history: &History) -> Option<&Event> {
    history.events().next().map(Arc::as_ref)
}

/// The services that the question names, as far as the last report has them.
fn named<'a>(question: &str, entry: &'a Entry) -> Vec<&'a Service> {
    let services = |report: &'a Arc<Report>| services_named(question, report);
    entry.report.as_ref().map_or_else(Vec::new, services)
}

/// The changes of these services, of everything where there are none, the oldest first. That the supervisor met
/// the container is none.
fn changes<'a>(
    history: &'a History,
    services: &[&Service],
) -> impl DoubleEndedIterator<Item = &'a Arc<Event>> {
    history.events().filter(|event| {
        let service = event.change.service();
        let is_meant = services.is_empty()
            || services
                .iter()
                .any(|meant| service == Some(meant.key.as_str()));
        is_meant && !is_meeting(event)
    })
}

fn is_meeting(event: &Event) -> bool {
    matches!(event.change, Change::ContainerAppeared { .. })
}

/// The moment a question names: "in the last 10 minutes", "the last hour", "today", "since 2026-11-21T14:00:00Z".
fn since(question: &str, now: Timestamp) -> Option<Timestamp> {
    let words: Vec<&str> = question
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .collect();
    let span = |pair: &[&str]| {
        let amount = match pair[0].to_ascii_lowercase().as_str() {
            "last" | "past" | "a" | "an" => 1,
            amount => amount.parse::<u32>().ok()?,
        };
        let unit = pair[1].to_ascii_lowercase();
        let is_word = unit.bytes().all(|byte| byte.is_ascii_alphabetic());
        moment(&format!("{amount}{unit}"), now).filter(|_| is_word)
    };
    let single = |word: &&str| match *word {
        word if word.eq_ignore_ascii_case("today") => moment(now.to_string().get(..10)?, now),
        // A bare number is a port or a pid: as a time of Unix it would be long ago.
        word if word.parse::<f64>().is_ok() => None,
        word => moment(word, now),
    };
    let in_pairs = words.windows(2).find_map(span);
    in_pairs.or_else(|| words.iter().find_map(single))
}

fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    When::read(text, now).map(Timestamp::from)
}

/// `2 changes in the last 12 min, the newest 5 min ago: the container started (running).`
fn some(services: &[&Service], told: &[&Arc<Event>], since: Timestamp, now: Timestamp) -> String {
    let omitted: u64 = told.iter().map(|event| event.omitted).sum();
    let omitted = usize::try_from(omitted).unwrap_or(usize::MAX);
    let number = count(told.len().saturating_add(omitted), "change");
    let period = span(now.since(since));
    let newest = told.last().map_or_else(String::new, |newest| {
        let at = span(now.since(newest.at));
        format!(", the newest {at} ago: {}", in_a_sentence(newest))
    });
    format!("{number}{} in the last {period}{newest}.", of(services))
}

/// `Nothing changed since 14:00:00 (12 min ago), when the supervisor first met it.`
fn nothing(
    services: &[&Service],
    last: Option<&&Arc<Event>>,
    oldest: &Event,
    since: Timestamp,
    now: Timestamp,
) -> String {
    let mut text = format!("Nothing{} changed", of(services));
    if since > oldest.at {
        text += &format!(" in the last {}", span(now.since(since)));
        if let Some(last) = last {
            let (at, what) = (ago(last.at, now), in_a_sentence(last));
            text += &format!("; the last change was at {at}: {what}");
        }
    } else {
        text += &format!(" since {}", ago(oldest.at, now));
        text += if is_meeting(oldest) {
            ", when the supervisor first met it"
        } else {
            "; what was before that is forgotten"
        };
    }
    text + "."
}

/// ` of Redis and nginx`; nothing where it is about the whole.
fn of(services: &[&Service]) -> String {
    let names: Vec<String> = services.iter().map(|s| s.name.to_string()).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" of {}", list(names)),
    }
}

/// `the container started (running)`.
fn in_a_sentence(event: &Event) -> String {
    let words = event.change.words();
    format!("{} ({})", words.sentence, words.word)
}

/// The newest changes, a line each as `history` has them.
fn evidence(told: &[&Arc<Event>], entry: &Entry, now: Timestamp) -> Vec<Untrusted> {
    let older = told.len().saturating_sub(MAX_TOLD);
    let hint = (older > 0).then(|| {
        let name = escape(&entry.facts.name);
        Untrusted::new(format!(
            "{older} more before these: diogenes history {name}"
        ))
    });
    let lines = told[older..].iter().flat_map(|event| {
        let at = clock(event.at, now);
        event.lines().map(move |line| {
            Untrusted::new(format!("{at}  {:WORD$}  {}", line.word, line.sentence))
        })
    });
    hint.into_iter().chain(lines).collect()
}

#[cfg(test)]
#[path = "past_tests.rs"]
mod tests;
