//! What a container says of itself: names of its services, how they are asked, limits, findings it can do without.
//!
//! ```text
//! labels  io.diogenes.service.8080.name=…  ─┐
//! label   io.diogenes.container={…}         ├─► entries, the first that says a thing counts ─► Own, for each service
//! file    /etc/diogenes/container.json      ─┘        └─► refused: place and reason ─► a finding
//! ```
//!
//! `supervisor/OWN-WORDS.md` is their reference. Whoever wrote them controls the container and nothing
//! else, and so do they: a name is text, a probe goes to the service's own sockets in protocols that are there anyway.
//! What cannot be is refused by itself, with its place; all else holds.

mod entry;
mod json;
mod nearest;
mod reading;
mod silence;
mod thresholds;

use std::fmt;
use std::time::Duration;

use diogenes_proto::{Finding, Severity, Timestamp, Untrusted};

pub use json::Place;
pub(crate) use thresholds::MAX_RESTARTS;
pub use thresholds::Thresholds;

use crate::recognise::Recognised;
use crate::words::sentence;
use entry::Entry;

/// Where the file is in a container.
pub const FILE: &str = "/etc/diogenes/container.json";
/// Longest file that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Most refusals that are told one by one.
const MAX_REFUSED: usize = 16;
/// The finding that some are refused.
const CODE: &str = "own-words-refused";

/// What one container says of itself, as far as it can be.
#[derive(Clone, Debug, Default)]
pub struct OwnWords {
    entries: Vec<Entry>,
    said: thresholds::Said,
    silenced: Vec<&'static str>,
    refused: Vec<Refused>,
    /// Refusals beyond those.
    beyond: usize,
}

/// Something that cannot be, and counts as not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The name of the label that says it; None for the file.
    pub label: Option<String>,
    /// Where in the text; None where a label is no text, or none of it was read.
    pub place: Option<Place>,
    /// What is wrong with it, and what would be right. May hold the container's own words, escaped.
    pub what: String,
}

/// How the owner wants a service to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Nothing was said.
    #[default]
    AsUsual,
    /// Not at all.
    Never,
    /// As the service's probes now are.
    AsSaid,
}

/// What holds of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// Its name for people.
    pub name: Option<Untrusted>,
    /// What it does for the container.
    pub role: Option<&'static str>,
    /// Whether it is asked as usual.
    pub asked: Asked,
    /// The time between two probes while it works.
    pub every: Option<Duration>,
    /// Whether it was said that its process is a service: it is missed, though it be of no known kind.
    pub introduced: bool,
    /// From where on something is too much.
    pub thresholds: Thresholds,
}

impl OwnWords {
    /// Notes that there is a file that could not be read.
    pub fn unreadable(&mut self, why: &str) {
        self.refuse(None, None, why.to_owned());
    }

    /// What cannot be, in the order in which it was read, as far as it is told one by one; and how much more there is.
    #[must_use]
    pub fn refused(&self) -> (&[Refused], usize) {
        (&self.refused, self.beyond)
    }

    /// How much there is to be said: entries of services, limits, findings that are silenced.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let limits = self.said.iter().flatten().count();
        (self.entries.len(), limits, self.silenced.len())
    }

    /// The limits of the container.
    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds::with(&self.said)
    }

    /// Whether findings of this code are not to be told.
    pub(crate) fn silences(&self, code: &str) -> bool {
        self.silenced.contains(&code)
    }

    /// Whether any process is called a service.
    pub(crate) fn introduce_any(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.meaning.process.is_some())
    }

    /// Whether a process is a service by its container's own words.
    pub(crate) fn introduce(&self, service: &Recognised) -> bool {
        self.entries.iter().any(|entry| entry.introduces(service))
    }

    /// Lets a service be as is said of it. `learnt` is the kind that it turned out to be.
    pub(crate) fn apply(&self, service: &mut Recognised, learnt: Option<&str>) {
        let mut own = Own {
            thresholds: self.thresholds(),
            ..Own::default()
        };
        let mut probes = None;
        for entry in self.entries.iter().filter(|it| it.fits(service, learnt)) {
            own.name = own.name.or_else(|| entry.name.clone());
            own.role = own.role.or(entry.role);
            own.every = own.every.or(entry.every);
            own.introduced |= entry.meaning.process.is_some();
            probes = probes.or_else(|| entry.probes(service));
        }
        if let Some((asked, probes)) = probes {
            own.asked = asked;
            service.probes = probes;
        }
        service.own = own;
    }

    /// That some of it is refused, found just now; None where nothing is.
    pub(crate) fn finding(&self, now: Timestamp) -> Option<Finding> {
        let first = self.refused.first()?;
        let summary = match self.refusals() {
            1 => format!("an entry of the container's own words is refused: {first}"),
            number => {
                format!(
                    "{number} entries of the container's own words are refused, the first: {first}"
                )
            }
        };
        let advice = "what is refused counts as not said; `diogenes check FILE` tells before an image is built";
        let told = self.refused.iter().map(Refused::to_string);
        Some(Finding {
            code: CODE.to_owned(),
            severity: Severity::Warning,
            summary: sentence(summary),
            service: None,
            evidence: told.chain([advice.to_owned()]).map(sentence).collect(),
            since: now,
        })
    }

    /// How much was refused so far.
    fn refusals(&self) -> usize {
        self.refused.len() + self.beyond
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => write!(f, "label {label}")?,
            None => f.write_str(FILE)?,
        }
        if let Some(Place { line, column }) = self.place {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

#[cfg(test)]
mod tests;
