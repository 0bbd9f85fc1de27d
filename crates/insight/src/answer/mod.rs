//! Questions answered from a report: question → intent → facts → sentence and evidence.
//!
//! Deterministic and offline. What only the host knows ([`HostFacts`]) makes the answer better where it is
//! given; where the companion itself could not be asked, the answer says from when its facts are.

mod intent;
mod subject;
mod tell;

use std::collections::BTreeMap;

use diogenes_proto::{Answer, HostFacts, Report, Service, Timestamp, Untrusted};

pub use intent::{Intent, understand};
use subject::Subject;

use crate::words::{clock, list};

/// What can be asked, for people.
const HELP: &str = "You can ask: status, health, why (\"why is redis down?\"), services, ports, memory, cpu, \
processes, uptime, restarts, image, version (\"version of nginx\"), findings, changes (\"what happened in the last \
hour?\").";

/// What a companion says of the past.
const NO_HISTORY: &str = "A companion keeps no history: its supervisor does. You can ask here: uptime (since when it is \
as it is), why, findings.";

/// A question with everything that may be used to answer it.
struct Asked<'a> {
    report: &'a Report,
    facts: Option<&'a HostFacts>,
    now: Timestamp,
    /// The services it is about; empty for the whole container.
    about: Vec<&'a Service>,
}

/// What an answer says, before what is always said is added.
#[derive(Debug, Default)]
struct Told {
    text: String,
    evidence: Vec<Untrusted>,
    data: Vec<(String, Untrusted)>,
}

impl From<String> for Told {
    fn from(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

/// Answers a question from a report.
#[must_use]
pub fn answer(
    question: &str,
    report: &Report,
    facts: Option<&HostFacts>,
    now: Timestamp,
) -> Answer {
    let words = intent::words(question);
    let mut intent = intent::of_words(&words);
    let subject = subject::find(&words, report);
    let mut asked = Asked {
        report,
        facts,
        now,
        about: Vec::new(),
    };
    let told = match subject {
        // Nothing but a name: how is it?
        Subject::Services(services) if intent == Intent::Help && words.len() == 1 => {
            intent = Intent::Status;
            asked.about = services;
            asked.tell(intent)
        }
        Subject::Services(services) => {
            asked.about = services;
            asked.tell(intent)
        }
        Subject::Absent(name) if is_about_services(intent) => asked.absent(&name),
        Subject::Absent(_) | Subject::Whole => asked.tell(intent),
    };
    let framed = intent != Intent::Help;
    let mut lines = Vec::new();
    lines.extend(asked.state().filter(|_| framed));
    lines.push(told.text);
    lines.extend(asked.staleness().filter(|_| framed));
    // Filled in a loop: collecting would bring a sort of its own, 4 KB of the agent's megabyte.
    let mut data = BTreeMap::new();
    for (name, value) in told.data {
        data.insert(name, value);
    }
    let answer = Answer {
        intent: intent.as_str().to_owned(),
        text: Untrusted::new(lines.join("\n")),
        evidence: told.evidence,
        data,
        as_of: report.at,
    };
    answer.fitted()
}

/// The services of a report that a question names; none where it is about the container as a whole.
#[must_use]
pub fn services_named<'a>(question: &str, report: &'a Report) -> Vec<&'a Service> {
    match subject::find(&intent::words(question), report) {
        Subject::Services(services) => services,
        Subject::Absent(_) | Subject::Whole => Vec::new(),
    }
}

/// Whether a question of this kind is about some service, if it names one.
fn is_about_services(intent: Intent) -> bool {
    matches!(
        intent,
        Intent::Why
            | Intent::Status
            | Intent::Health
            | Intent::Version
            | Intent::Uptime
            | Intent::Ports
    )
}

impl Asked<'_> {
    fn tell(&self, intent: Intent) -> Told {
        let of_its_inside = !matches!(
            intent,
            Intent::Help | Intent::Image | Intent::Restarts | Intent::Changes
        );
        if of_its_inside && !self.is_known() {
            return Told::from("Nothing is known of its inside yet.".to_owned());
        }
        match intent {
            Intent::Status => self.status(),
            Intent::Why => self.why(),
            Intent::Services => self.services(),
            Intent::Ports => self.ports(),
            Intent::Memory => self.memory(),
            Intent::Cpu => self.cpu(),
            Intent::Processes => self.processes(),
            Intent::Uptime => self.uptime(),
            Intent::Restarts => self.restarts(),
            Intent::Image => self.image(),
            Intent::Version => self.version(),
            Intent::Findings => self.findings(),
            Intent::Changes => Told::from(NO_HISTORY.to_owned()),
            Intent::Health => self.health(),
            Intent::Help => Told::from(HELP.to_owned()),
        }
    }

    /// Whether there ever was a report.
    fn is_known(&self) -> bool {
        self.report.at != Timestamp::default()
    }

    /// What the question is about: the services it names, else all.
    fn services_meant(&self) -> Vec<&Service> {
        if self.about.is_empty() {
            self.report.services.iter().collect()
        } else {
            self.about.clone()
        }
    }

    /// A service was named that is not here.
    fn absent(&self, name: &str) -> Told {
        let name = Untrusted::from(name);
        let here: Vec<String> = self
            .report
            .services
            .iter()
            .take(8)
            .map(|s| s.name.to_string())
            .collect();
        let text = if here.is_empty() {
            format!("No service here is called \"{name}\"; none is known at all.")
        } else {
            format!(
                "No service here is called \"{name}\". There is {}.",
                list(&here)
            )
        };
        Told::from(text)
    }

    /// What has to be said first: that the container does not run.
    fn state(&self) -> Option<String> {
        let facts = self.facts?;
        match facts.state.as_str() {
            "" | "running" => None,
            "paused" => Some(
                "The container is paused: its processes stand still until it is resumed."
                    .to_owned(),
            ),
            "exited" | "dead" => {
                let code = facts.exit_code.map(|code| match code {
                    129..=192 => format!(" with code {code} (128 + signal {})", code - 128),
                    _ => format!(" with code {code}"),
                });
                let oom = if facts.oom_killed {
                    "; the out-of-memory killer ended it"
                } else {
                    ""
                };
                Some(format!(
                    "The container has exited{}{oom}.",
                    code.unwrap_or_default()
                ))
            }
            other => Some(format!("The container is {:.40}.", Untrusted::from(other))),
        }
    }

    /// What has to be said last: that the facts are not from now.
    fn staleness(&self) -> Option<String> {
        let why = Untrusted::from(self.facts?.without_agent.as_deref()?);
        if !self.is_known() {
            return Some(format!("(the companion is {why})"));
        }
        let at = clock(self.report.at, self.now);
        Some(format!(
            "(from the last look at {at}; the companion is {why})"
        ))
    }
}

#[cfg(test)]
mod tests;
