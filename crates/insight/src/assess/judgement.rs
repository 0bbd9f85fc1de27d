//! The four truths of a service, joined: its process lives, its listener's queue moves, its protocol
//! answers, its resources suffice.
//!
//! Each truth that speaks gives a health and a sentence. The worst health is the service's, and its sentence
//! comes first. One failed probe of a service that worked makes it degraded, the second in a row unhealthy;
//! what the kernel says (no process, no listener, stopped) needs no second opinion.

use diogenes_proto::{Health, ProbeKind, ProbeOutcome, Timestamp, Untrusted, Verdict};

use super::condition::{BURST, Recovery, what_is_left};
use super::track::{Presence, Track};
use crate::order::sort_by_key;
use crate::own_words::Asked;
use crate::recognise::{socket_words, takes_datagrams_only};
use crate::words::{clock, sentence, span};

/// Most sentences of evidence of one service.
const MAX_EVIDENCE: usize = 8;

/// Most connections that the probes of one service make at a time, one after the other and not yet accepted.
const OWN_CONNECTIONS: u32 = 4;

/// In a word, what is wrong with a service: it becomes the code of its finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing, or nothing with a name.
    #[default]
    None,
    /// No process.
    Gone,
    /// No listener.
    Deaf,
    /// No answer, or none that is one.
    Silent,
    /// Nobody accepts connections, though the process lives and listens.
    Refusing,
    /// It answers that something is wrong.
    Failing,
}

/// What a service's facts come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) health: Health,
    pub(crate) trouble: Trouble,
    /// The weightiest first.
    pub(crate) evidence: Vec<Untrusted>,
}

impl Judgement {
    /// What is to be said of a service that was stopped from outside: nothing, for it cannot show how it is.
    pub(crate) fn of_frozen(track: &Track) -> Self {
        let said = std::iter::once(sentence(FROZEN));
        Self {
            evidence: said.chain(track.seen.evidence.iter().cloned()).collect(),
            ..Self::default()
        }
    }
}

/// Why nothing can be said of a frozen container, for the container as for each of its services.
pub(crate) const FROZEN: &str = "the container is paused: nothing in it moves";

/// One truth that speaks.
struct Fact {
    health: Health,
    trouble: Trouble,
    words: String,
}

fn fact(health: Health, words: impl Into<String>) -> Fact {
    Fact {
        health,
        trouble: Trouble::None,
        words: words.into(),
    }
}

pub(crate) fn judge(track: &Track, now: Timestamp) -> Judgement {
    let mut facts = Vec::new();
    match presence(track, now) {
        Some(absence) => {
            facts.extend(zombie(track).filter(|_| absence.health == Health::Unhealthy));
            facts.insert(0, absence);
        }
        None => {
            facts.extend(abandoned(track, now));
            facts.extend(processes(track));
            facts.extend(queue(track, now));
            facts.extend(resources(track));
            facts.push(protocol(track, now));
        }
    }
    if track.is_crash_looping(now) {
        let restarts = track.recent_restarts(now);
        facts.push(fact(
            Health::Degraded,
            format!("its main process was replaced {restarts} times within a minute"),
        ));
    }
    // Stable: of equals, the earlier truth is the deeper cause.
    sort_by_key(&mut facts, |fact| std::cmp::Reverse(weight(fact.health)));
    let mut evidence: Vec<Untrusted> = facts.iter().map(|fact| sentence(&fact.words)).collect();
    match (track.presence, &track.seen.executable) {
        // What was seen of it does not hold any more, but for one thing.
        (Presence::Ended { .. }, Some(path)) => {
            evidence.push(sentence(format!("it ran {path:.200}")));
        }
        (Presence::Ended { .. }, None) => {}
        _ => evidence.extend(track.seen.evidence.iter().cloned()),
    }
    evidence.truncate(MAX_EVIDENCE);
    Judgement {
        health: facts.first().map_or(Health::Unknown, |fact| fact.health),
        trouble: facts
            .iter()
            .map(|f| f.trouble)
            .find(|&t| t != Trouble::None)
            .unwrap_or_default(),
        evidence,
    }
}

/// The order of [`Health::worst`], as a number.
fn weight(health: Health) -> usize {
    use Health::{Degraded, Healthy, Starting, Unhealthy, Unknown};
    let order = [Healthy, Unknown, Starting, Degraded, Unhealthy];
    order.iter().position(|&h| h == health).unwrap_or(0)
}

/// Why it is no trouble yet that a service is gone, or about to go.
const AWAITED: &str = "; the script that may have started it goes on";

/// That it is not there, or does not listen; None where it does.
fn presence(track: &Track, now: Timestamp) -> Option<Fact> {
    let socket = socket_words(&track.seen.ports, &track.seen.listeners);
    let pid = track.seen.pids.first();
    let process = pid.map_or_else(
        || "its process".to_owned(),
        |pid| format!("its process (pid {pid})"),
    );
    match track.presence {
        Presence::Running => None,
        Presence::Ended { at, absence } => {
            let port = if track.seen.ports.is_empty() && track.seen.listeners.is_empty() {
                String::new()
            } else if absence.port_taken {
                format!(", {socket} is held by another process")
            } else if track.seen.ports.len() > 1 {
                format!(", {socket} are closed")
            } else {
                format!(", {socket} is closed")
            };
            let mut words = format!("{process} ended at {}{port}", clock(at, now));
            if let Some((pid, at)) = absence.successor {
                let age = span(now.since(track.succeeds_at(at)));
                words += &format!(
                    "; pid {pid} was started in its place {age} ago, and does not listen yet"
                );
            }
            let is_awaited = absence.successor.is_none() && track.is_over_but_awaited(now);
            if is_awaited {
                words += AWAITED;
            }
            if is_awaited || track.is_succeeded(now) {
                return Some(fact(Health::Starting, words));
            }
            Some(Fact {
                health: Health::Unhealthy,
                trouble: Trouble::Gone,
                words,
            })
        }
        Presence::Deaf { at, .. } => {
            let words = format!(
                "{process} lives, but has not listened on {socket} since {}",
                clock(at, now)
            );
            if track.is_over_but_awaited(now) {
                return Some(fact(Health::Starting, words + AWAITED));
            }
            Some(Fact {
                health: Health::Unhealthy,
                trouble: Trouble::Deaf,
                words,
            })
        }
    }
}

fn zombie(track: &Track) -> Option<Fact> {
    let Presence::Ended { absence, .. } = track.presence else {
        return None;
    };
    let pid = absence.zombie?;
    Some(fact(
        Health::Unhealthy,
        format!("pid {pid} is a zombie: its parent has not reaped it"),
    ))
}

/// Workers go on serving when their main process is gone; nobody replaces them, or reads their configuration.
fn abandoned(track: &Track, now: Timestamp) -> Option<Fact> {
    let (pid, at) = track.abandoned_by?;
    let left = crate::words::count(track.seen.pids.len(), "process");
    let words = format!(
        "its main process (pid {pid}) ended at {}; {left} it left behind still serve",
        clock(at, now)
    );
    Some(fact(Health::Degraded, words))
}

fn processes(track: &Track) -> Option<Fact> {
    let condition = &track.condition;
    let first = condition.stopped.first()?;
    let total = track.seen.pids.len();
    let words = match condition.stopped.len() {
        1 => format!("pid {first} is stopped (SIGSTOP)"),
        number if number == total => {
            format!("all its {total} processes are stopped (SIGSTOP), pid {first} among them")
        }
        number => format!(
            "{number} of its {total} processes are stopped (SIGSTOP), pid {first} among them"
        ),
    };
    let health = if condition.all_stopped {
        Health::Unhealthy
    } else {
        Health::Degraded
    };
    let trouble = if condition.all_stopped {
        Trouble::Silent
    } else {
        Trouble::None
    };
    Some(Fact {
        health,
        trouble,
        words,
    })
}

fn queue(track: &Track, now: Timestamp) -> Option<Fact> {
    let queue = track.condition.queue?;
    if queue.is_full() {
        let lasting = track
            .full_since
            .is_some_and(|since| now.since(since) >= BURST);
        let health = match lasting || track.failures > 0 {
            true => Health::Unhealthy,
            // So few places are taken for a moment by whoever asks how it is.
            false if queue.backlog <= OWN_CONNECTIONS => return None,
            false => Health::Degraded,
        };
        let words = format!(
            "its accept queue on {} is full: {} of {} connections wait",
            queue.place(),
            queue.waiting,
            queue.backlog
        );
        return Some(fact(health, words));
    }
    // Many programs listen first, and accept when all else is ready.
    if track.is_young(now) || track.is_still_loading(now) {
        return None;
    }
    let lasting = track.stuck.and_then(|stuck| stuck.lasting(now))?;
    let by_datagrams = takes_datagrams_only(&track.seen.listeners);
    let (what_have, takes) = match queue.waiting {
        _ if by_datagrams => ("bytes have", "reads"),
        1 => ("connection has", "accepts"),
        _ => ("connections have", "accepts"),
    };
    let words = format!(
        "{} {what_have} waited on {} for {} and nobody {takes}",
        queue.waiting,
        queue.place(),
        span(lasting)
    );
    // Where the protocol answers, somebody is merely slow; where nothing else can be asked, this is the answer.
    let mute = match track.probe() {
        Some(spec) => spec.kind == ProbeKind::Tcp,
        None => by_datagrams,
    };
    if mute && lasting >= super::schedule::STEADY {
        return Some(Fact {
            health: Health::Unhealthy,
            trouble: Trouble::Silent,
            words,
        });
    }
    Some(fact(Health::Degraded, words))
}

fn resources(track: &Track) -> impl Iterator<Item = Fact> {
    let descriptors = track.condition.descriptors.map(|near| {
        let words = format!(
            "pid {} has {} of {} file descriptors open",
            near.pid, near.open, near.limit
        );
        fact(Health::Degraded, words)
    });
    let disk = track.condition.full_disk.as_ref().map(|disk| {
        let words = format!("{}, where it keeps files", what_is_left(disk));
        fact(Health::Degraded, words)
    });
    disk.into_iter().chain(descriptors)
}

fn protocol(track: &Track, now: Timestamp) -> Fact {
    match track.condition.recovery {
        Some(Recovery::AfterCrash) => {
            return fact(
                Health::Starting,
                "it replays its log after a crash, and takes no queries yet",
            );
        }
        Some(Recovery::Standby) | None => {}
    }
    if track.probe().is_none() {
        return unasked(track, now);
    }
    match &track.outcome {
        Some((_, outcome)) => answered(track, outcome, now),
        None if track.is_young(now) => fact(Health::Starting, "it has just started"),
        None if track.schedule.is_in_flight(now) => {
            fact(Health::Unknown, "it was asked and has not answered yet")
        }
        None => fact(Health::Unknown, "it has not been asked yet"),
    }
}

/// There is no way to ask it.
fn unasked(track: &Track, now: Timestamp) -> Fact {
    if track.seen.own.asked == Asked::Never {
        return fact(
            Health::Unknown,
            "it is not asked, as its container wants it: nothing proves that it works, or that it does not",
        );
    }
    if track.is_worker() {
        return at_work(track, now);
    }
    // Nobody can be asked by datagrams whose protocol is not known; who reads them works.
    if takes_datagrams_only(&track.seen.listeners) {
        let port = socket_words(&track.seen.ports, &track.seen.listeners);
        return fact(
            Health::Healthy,
            format!("its process lives, and nothing that was sent to {port} is left unread"),
        );
    }
    if track.seen.entry.is_none() {
        return fact(
            Health::Unknown,
            "it listens on no port: nothing proves that it works, or that it does not",
        );
    }
    // Some listener that nobody could be seen to hold may be its own, and is told of by its port.
    if track.seen.is_closed {
        return fact(
            Health::Unknown,
            "it cannot be looked into: whether it listens is not known",
        );
    }
    match track.age(now) {
        Some(age) if age < track.listens_by(now) => fact(
            Health::Starting,
            format!("it started {} ago and does not listen yet", span(age)),
        ),
        Some(age) if track.seen.listeners.is_empty() => Fact {
            health: Health::Unhealthy,
            trouble: Trouble::Deaf,
            words: format!("it started {} ago and listens nowhere", span(age)),
        },
        _ => fact(Health::Unknown, "there is no way to ask it"),
    }
}

/// A worker: that it lives on is the proof that it works, as long as there is somebody to take work from.
fn at_work(track: &Track, now: Timestamp) -> Fact {
    if track.is_young(now) {
        return fact(Health::Starting, "it has just started");
    }
    if let Some((health, words)) = track.unlinked(now) {
        return fact(health, words);
    }
    if let Some(broker) = &track.lost_broker {
        let words =
            format!("{broker} beside it does not work, where it probably takes its work from");
        return fact(Health::Degraded, words);
    }
    let lives = match track.seen.pids.len() {
        0 | 1 => "its process lives".to_owned(),
        number => format!("its {number} processes live"),
    };
    fact(
        Health::Healthy,
        format!("it takes its work elsewhere and listens nowhere; {lives}"),
    )
}

fn answered(track: &Track, outcome: &ProbeOutcome, now: Timestamp) -> Fact {
    let words = &outcome.evidence;
    let sick = |trouble: Trouble| Fact {
        health: if track.failures >= 2 {
            Health::Unhealthy
        } else {
            Health::Degraded
        },
        trouble,
        words: match track.failures {
            0 | 1 => words.to_string(),
            times => format!("{words} ({times} times in a row)"),
        },
    };
    match outcome.verdict {
        Verdict::Alive => alive(track, outcome),
        Verdict::Starting => fact(Health::Starting, format!("it {words}")),
        Verdict::Impossible => fact(Health::Unknown, words.to_string()),
        failure if track.is_excused(failure, now) => {
            fact(Health::Starting, format!("it is starting: {words}"))
        }
        // What never answered as its kind does may be of another kind: no claim is made about it.
        Verdict::Garbled if !track.proven && !track.is_asked_as_said() => {
            fact(Health::Unknown, words.to_string())
        }
        Verdict::Garbled | Verdict::Silent => sick(Trouble::Silent),
        Verdict::Refused => sick(Trouble::Refusing),
        Verdict::Failing => sick(Trouble::Failing),
    }
}

fn alive(track: &Track, outcome: &ProbeOutcome) -> Fact {
    let words = outcome.evidence.to_string();
    let protocol = outcome.protocol.as_deref();
    if protocol == Some("tls") && !track.does_only_tls() {
        return fact(
            Health::Unknown,
            format!("{words}; what lies below cannot be asked"),
        );
    }
    if track.is_visited() {
        return fact(
            Health::Healthy,
            format!("{words}; it answered when it was last asked"),
        );
    }
    // A connection is made by the kernel alone; that it left the queue is the service's own doing.
    let is_mere_connection = matches!(protocol, None | Some("tcp"))
        && (track.seen.entry.is_none() || track.covers())
        && track
            .probe()
            .is_some_and(|spec| matches!(spec.kind, ProbeKind::Tcp | ProbeKind::Discover));
    match track.accepts {
        _ if !is_mere_connection => fact(Health::Healthy, words),
        Some(true) => fact(Health::Healthy, format!("{words}, and is accepted")),
        Some(false) | None => fact(
            Health::Unknown,
            format!("{words}; whether it is accepted is not known yet"),
        ),
    }
}
