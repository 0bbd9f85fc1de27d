//! What a container says of itself: names of its services, how they are asked, limits, findings it can do without.
//!
//! ```text
//! labels  io.diogenes.service.8080.name=…  ─┐
//! label   io.diogenes.container={…}         ├─► entries, the first that says a thing counts ─► Own, for each service
//! file    /etc/diogenes/container.json      ─┘        └─► refused: place and reason ─► a finding
//! ```
//!
//! `OWN-WORDS.md` beside this crate's manifest is its reference. Whoever wrote them controls the container and nothing
//! else, and so do they: a name is text, a probe goes to the service's own sockets in protocols that are there anyway.
//! What cannot be is refused by itself, with its place; all else holds.

mod entry;
mod json;
mod nearest;
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
use entry::{Entry, Given, known_kind};
use json::{MAX_ITEMS, Text, Value, Wrong};
use nearest::nearest;

/// Where the file is in a container.
pub const FILE: &str = "/etc/diogenes/container.json";
/// Longest text that is read, from the file or a label, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// The label that holds the same as the file.
const WHOLE: &str = "container";
/// What labels that say one thing each are called after `io.diogenes.`.
const SERVICE: &str = "service";
const THRESHOLDS: &str = "thresholds";
const SILENCE: &str = "silence";
/// What the names of all labels of this project begin with.
const PREFIX: &str = "io.diogenes.";
/// The keys of the whole.
const KEYS: [&str; 3] = ["services", THRESHOLDS, SILENCE];
/// Most services that are told of by labels alone.
const MAX_LABELLED: usize = 64;
/// Most refusals that are told one by one.
const MAX_REFUSED: usize = 16;
/// Longest piece of a wrong word that is repeated, in characters.
const SHOWN: usize = 40;
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

/// Whose words are read.
type Source<'a> = Option<&'a str>;

impl OwnWords {
    /// Reads the file, and the labels as `docker run --label` takes them (`name=value`). Of two that say the same thing
    /// of a service or limit differently, the first counts: labels before the label that is a text, and that before the
    /// file. Never fails: what is wrong is among [`Self::refused`].
    #[must_use]
    pub fn read(file: Option<&[u8]>, labels: &[String]) -> Self {
        let mut words = Self::default();
        let labels = || {
            let ours = |label: &'_ String| label.starts_with(PREFIX);
            labels
                .iter()
                .filter(move |label| ours(label))
                .filter_map(|label| label.split_once('='))
        };
        for (label, value) in labels() {
            if let Err(what) = words.labelled(&label[PREFIX.len()..], value) {
                words.refuse(Some(label), None, what);
            }
        }
        for (label, value) in labels() {
            if &label[PREFIX.len()..] == WHOLE {
                words.text(Some(label), value.as_bytes());
            }
        }
        if let Some(file) = file {
            words.text(None, file);
        }
        words
    }

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
        let meant = || {
            self.entries
                .iter()
                .filter(|entry| entry.fits(service, learnt))
        };
        let said = meant().find_map(|entry| entry.probes(service));
        service.own = Own {
            name: meant().find_map(|entry| entry.name.clone()),
            role: meant().find_map(|entry| entry.role),
            asked: said.as_ref().map_or(Asked::AsUsual, |said| said.0),
            every: meant().find_map(|entry| entry.every),
            introduced: self.introduce(service),
            thresholds: self.thresholds(),
        };
        if let Some((_, probes)) = said {
            service.probes = probes;
        }
    }

    /// That some of it is refused, found just now; None where nothing is.
    pub(crate) fn finding(&self, now: Timestamp) -> Option<Finding> {
        let first = self.refused.first()?;
        let summary = match self.refused.len() + self.beyond {
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

    fn refuse(&mut self, source: Source<'_>, place: Option<Place>, what: String) {
        if self.refused.len() == MAX_REFUSED {
            self.beyond += 1;
            return;
        }
        self.refused.push(Refused {
            label: source.map(shown),
            place,
            what,
        });
    }

    fn refuse_at(&mut self, source: Source<'_>, (place, what): Wrong) {
        self.refuse(source, Some(place), what);
    }

    /// A label that says one thing.
    fn labelled(&mut self, name: &str, value: &str) -> Result<(), String> {
        let ours = [WHOLE, SERVICE, THRESHOLDS, SILENCE];
        let (room, rest) = name.split_once('.').unwrap_or((name, ""));
        match room {
            SERVICE => self.labelled_service(rest, value),
            THRESHOLDS => self.threshold(rest, Given::Label(value)),
            SILENCE if rest.is_empty() => {
                for code in value.split(',') {
                    self.silence(code.trim())?;
                }
                Ok(())
            }
            WHOLE if rest.is_empty() => Ok(()),
            // Others of this name are for the supervisor, or were put there by `bake`.
            _ => match nearest(room, &ours) {
                None => Ok(()),
                Some(near) => Err(format!(
                    "this label means nothing; the nearest is {PREFIX}{near}"
                )),
            },
        }
    }

    /// `8080.name`, `redis.probe`.
    fn labelled_service(&mut self, rest: &str, value: &str) -> Result<(), String> {
        let (sign, key) = rest.rsplit_once('.').ok_or_else(|| {
            format!("expected {PREFIX}{SERVICE}.PORT.name, or a kind for the port, and role, probe, expect or every for the name")
        })?;
        let mut meaning = entry::Meaning::default();
        if sign.bytes().all(|byte| byte.is_ascii_digit()) {
            meaning.set("port", Given::Label(sign))?;
        } else {
            meaning.kind = Some(known_kind(sign)?);
        }
        let known = self
            .entries
            .iter()
            .position(|entry| entry.meaning == meaning);
        let mut entry = known.map_or_else(Entry::default, |at| self.entries[at].clone());
        entry.set(key, Given::Label(value))?;
        entry.meaning = meaning;
        match known {
            Some(at) => self.entries[at] = entry,
            None if self.entries.len() < MAX_LABELLED => self.entries.push(entry),
            None => return Err(format!("labels tell of at most {MAX_LABELLED} services")),
        }
        Ok(())
    }

    /// The file, or the label that is like it.
    fn text(&mut self, source: Source<'_>, text: &[u8]) {
        if text.len() > MAX_BYTES {
            let what = format!("it is longer than {MAX_BYTES} bytes, and not read");
            return self.refuse(source, None, what);
        }
        match Text::read(text).and_then(|whole| self.members(source, whole)) {
            Err(wrong) => self.refuse_at(source, wrong),
            Ok(members) => {
                for (key, word, value) in members {
                    let read = match word.as_str() {
                        "services" => self.services(source, value),
                        THRESHOLDS => self.thresholds_in(source, value),
                        SILENCE => self.silences_in(source, value),
                        _ => Err(key.wrong(unknown("key", &word, &mut KEYS.into_iter(), ""))),
                    };
                    if let Err(wrong) = read {
                        self.refuse_at(source, wrong);
                    }
                }
            }
        }
    }

    /// The members of an object, each with its key as a word. What is said twice counts once.
    fn members<'a>(
        &mut self,
        source: Source<'_>,
        object: Value<'a>,
    ) -> Result<Vec<(Value<'a>, String, Value<'a>)>, Wrong> {
        let mut members: Vec<(Value<'a>, String, Value<'a>)> = Vec::new();
        for (key, value) in object.members()? {
            let word: String = key.get().unwrap_or_default();
            if members.len() == MAX_ITEMS {
                return Err(key.wrong(format!("an object may have {MAX_ITEMS} members here")));
            }
            if members.iter().any(|member| member.1 == word) {
                let what = format!("\"{}\" is said twice; the first counts", shown(&word));
                self.refuse_at(source, key.wrong(what));
                continue;
            }
            members.push((key, word, value));
        }
        Ok(members)
    }

    /// The items of a list, as far as they are looked at.
    fn items<'a>(&mut self, source: Source<'_>, list: Value<'a>) -> Result<Vec<Value<'a>>, Wrong> {
        let mut items = list.items()?;
        if items.len() > MAX_ITEMS {
            let what =
                format!("a list may have {MAX_ITEMS} items here; what comes after is not read");
            self.refuse_at(source, items[MAX_ITEMS].wrong(what));
            items.truncate(MAX_ITEMS);
        }
        Ok(items)
    }

    fn services(&mut self, source: Source<'_>, list: Value<'_>) -> Result<(), Wrong> {
        for item in self.items(source, list)? {
            match self.service(source, item) {
                Ok(entry) => self.entries.extend(entry),
                Err(wrong) => self.refuse_at(source, wrong),
            }
        }
        Ok(())
    }

    /// One entry; None where something in it is wrong, which has been noted.
    fn service(&mut self, source: Source<'_>, object: Value<'_>) -> Result<Option<Entry>, Wrong> {
        let mut entry = Entry::default();
        let mut is_whole = true;
        for (key, word, value) in self.members(source, object)? {
            let set = match word.as_str() {
                "match" => self.meaning(source, value).map(|meaning| match meaning {
                    Some(meaning) => entry.meaning = meaning,
                    None => is_whole = false,
                }),
                // The key itself is wrong, and not its value.
                _ if !entry::KEYS.contains(&word.as_str()) => entry
                    .set(&word, Given::Json(value))
                    .map_err(|what| key.wrong(what)),
                _ => entry
                    .set(&word, Given::Json(value))
                    .map_err(|what| value.wrong(what)),
            };
            if let Err(wrong) = set {
                self.refuse_at(source, wrong);
                is_whole = false;
            }
        }
        if is_whole && entry.meaning == entry::Meaning::default() {
            return Err(
                object.wrong("it does not say which service it means: \"match\": {\"port\": 8080}")
            );
        }
        if is_whole && entry.expects_in_vain() {
            return Err(object.wrong("\"expect\" is a status, for which \"probe\" must be a path"));
        }
        Ok(is_whole.then_some(entry))
    }

    /// Which service is meant; None where something in it is wrong, which has been noted.
    fn meaning(
        &mut self,
        source: Source<'_>,
        object: Value<'_>,
    ) -> Result<Option<entry::Meaning>, Wrong> {
        let mut meaning = entry::Meaning::default();
        let mut is_whole = true;
        for (_, word, value) in self.members(source, object)? {
            if let Err(what) = meaning.set(&word, Given::Json(value)) {
                self.refuse_at(source, value.wrong(what));
                is_whole = false;
            }
        }
        Ok(is_whole.then_some(meaning))
    }

    fn thresholds_in(&mut self, source: Source<'_>, object: Value<'_>) -> Result<(), Wrong> {
        for (_, word, value) in self.members(source, object)? {
            if let Err(what) = self.threshold(&word, Given::Json(value)) {
                self.refuse_at(source, value.wrong(what));
            }
        }
        Ok(())
    }

    fn threshold(&mut self, name: &str, given: Given<'_>) -> Result<(), String> {
        let names = thresholds::NAMES;
        let known = names.iter().position(|known| known.0 == name);
        let at = known
            .ok_or_else(|| unknown("limit", name, &mut names.iter().map(|known| known.0), ""))?;
        let (_, least, most) = names[at];
        let number = given.number(least, most)?;
        self.said[at].get_or_insert(number);
        Ok(())
    }

    fn silences_in(&mut self, source: Source<'_>, list: Value<'_>) -> Result<(), Wrong> {
        for item in self.items(source, list)? {
            let said = match item.get::<String>() {
                Some(code) => self.silence(&code).map_err(|what| item.wrong(what)),
                None => Err(item.not("the code of a finding")),
            };
            if let Err(wrong) = said {
                self.refuse_at(source, wrong);
            }
        }
        Ok(())
    }

    fn silence(&mut self, code: &str) -> Result<(), String> {
        let known = silence::FINDINGS.into_iter().find(|known| *known == code);
        let instead = "only what the companion itself finds can be silenced, by its code in `diogenes status NAME`";
        let code = known
            .ok_or_else(|| unknown("finding", code, &mut silence::FINDINGS.into_iter(), instead))?;
        if !self.silences(code) {
            self.silenced.push(code);
        }
        Ok(())
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

/// That a word is not known, and which was perhaps meant; else `instead`, or all that are known.
fn unknown<'a>(
    what: &str,
    word: &str,
    known: &mut dyn Iterator<Item = &'a str>,
    instead: &str,
) -> String {
    let mut all: Vec<&str> = Vec::new();
    for one in known {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    let near = nearest(word, &all);
    let word = shown(word);
    match near {
        Some(near) => format!("no {what} is called \"{word}\"; the nearest is \"{near}\""),
        None if instead.is_empty() => {
            let all = all.join(", ");
            format!("no {what} is called \"{word}\"; there are {all}")
        }
        None => format!("no {what} is called \"{word}\"; {instead}"),
    }
}

/// A piece of the container's own text that is fit to be shown.
fn shown(word: &str) -> String {
    let start: String = word.chars().take(SHOWN).collect();
    Untrusted::new(start).to_string()
}

#[cfg(test)]
mod tests;
