//! From texts and labels to entries: whatever is wrong is refused by itself, with its place.

use diogenes_proto::Untrusted;

use super::entry::{self, Entry, Given, known_kind};
use super::json::{self, Place, Shape, Value, Wrong};
use super::nearest::nearest;
use super::thresholds::{BOUNDS, NAMES as LIMITS};
use super::{MAX_BYTES, MAX_REFUSED, OwnWords, Refused, silence};

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
pub(super) const MAX_LABELLED: usize = 64;
/// Longest piece of a wrong word that is repeated, in characters.
const SHOWN: usize = 40;

/// Whose words are read.
type Source<'a> = Option<&'a str>;

impl OwnWords {
    /// Reads the file, and the labels as `docker run --label` takes them (`name=value`). Of two that say the same thing
    /// of a service or limit differently, the first counts: labels before the label that is a text, and that before the
    /// file. Never fails: what is wrong is among [`Self::refused`].
    #[must_use]
    pub fn read(file: Option<&[u8]>, labels: &[Untrusted]) -> Self {
        let mut words = Self::default();
        let mut whole = None;
        for label in labels {
            let Some((name, value)) = label.as_raw().split_once('=') else {
                continue;
            };
            match name.strip_prefix(PREFIX) {
                Some(WHOLE) => whole = Some((name, value)),
                Some(rest) => {
                    if let Err(what) = words.labelled(rest, value) {
                        words.refuse(Some(name), None, what);
                    }
                }
                None => {}
            }
        }
        // Only now, for labels come in any order.
        for at in 0..words.entries.len() {
            if let Some(what) = words.entries[at].lacks() {
                let label = format!("{PREFIX}{SERVICE}.{}.expect", words.entries[at].meaning);
                words.refuse(Some(&label), None, what.to_owned());
            }
        }
        match whole {
            // No JSON ends so, but every text that was cut on its way here.
            Some((name, value)) if value.ends_with('…') => {
                let what = "it is too long for a label, and not read; put it into the file";
                words.refuse(Some(name), None, what.to_owned());
            }
            Some((name, value)) => words.text(Some(name), value.as_bytes()),
            None => {}
        }
        if let Some(file) = file {
            words.text(None, file);
        }
        words
    }

    /// Notes what cannot be.
    pub(super) fn refuse(&mut self, source: Source<'_>, place: Option<Place>, what: String) {
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
                let mut said = Ok(());
                for code in value.split(',') {
                    said = said.and(self.silence(code.trim()));
                }
                said
            }
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
        let mut known = self.entries.iter();
        let at = match known.position(|entry| entry.meaning == meaning) {
            Some(at) => at,
            None if self.entries.len() == MAX_LABELLED => {
                return Err(format!("labels tell of at most {MAX_LABELLED} services"));
            }
            None => {
                self.entries.push(Entry::of(meaning));
                self.entries.len() - 1
            }
        };
        self.entries[at].set(key, Given::Label(value))
    }

    /// The file, or the label that is like it.
    fn text(&mut self, source: Source<'_>, text: &[u8]) {
        if text.len() > MAX_BYTES {
            let what = format!("it is longer than {MAX_BYTES} bytes, and not read");
            return self.refuse(source, None, what);
        }
        let read = json::read(text).and_then(|whole| {
            self.each(source, &whole, &KEYS, &mut |words, key, value| match key {
                "services" => words.services(source, value),
                THRESHOLDS => words.each(source, value, &LIMITS, &mut |words, name, value| {
                    let said = words.threshold(name, Given::Json(value));
                    said.map_err(|what| value.wrong(what))
                }),
                _ => words.silences_in(source, value),
            })
        });
        if let Err(wrong) = read {
            self.refuse_at(source, wrong);
        }
    }

    /// Takes in the members of an object that have one of these names. Whatever is wrong is noted, member by member.
    fn each(
        &mut self,
        source: Source<'_>,
        object: &Value,
        known: &[&str],
        take: &mut dyn FnMut(&mut Self, &str, &Value) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let Shape::Object(members) = &object.shape else {
            return Err(object.not("an object in { }"));
        };
        for (at, (place, key, value)) in members.iter().enumerate() {
            let taken = if members[..at].iter().any(|(_, earlier, _)| earlier == key) {
                let what = format!("\"{}\" is said twice; the first counts", shown(key));
                Err((*place, what))
            } else if known.contains(&key.as_str()) {
                take(self, key, value)
            } else {
                Err((*place, unknown("key", key, known, "")))
            };
            if let Err(wrong) = taken {
                self.refuse_at(source, wrong);
            }
        }
        Ok(())
    }

    fn services(&mut self, source: Source<'_>, list: &Value) -> Result<(), Wrong> {
        let Shape::List(items) = &list.shape else {
            return Err(list.not("a list in [ ]"));
        };
        for item in items {
            let before = self.refusals();
            let mut entry = Entry::default();
            let read = self.each(source, item, &entry::KEYS, &mut |words, key, value| {
                if key == "match" {
                    let meaning = &mut entry.meaning;
                    return words.each(source, value, &entry::SIGNS, &mut |_, sign, value| {
                        let set = meaning.set(sign, Given::Json(value));
                        set.map_err(|what| value.wrong(what))
                    });
                }
                let set = entry.set(key, Given::Json(value));
                set.map_err(|what| value.wrong(what))
            });
            // An entry with a mistake in it counts as not there.
            let is_whole = self.refusals() == before;
            let read = read.and_then(|()| match entry.lacks() {
                Some(what) if is_whole => Err(item.wrong(what)),
                _ => Ok(()),
            });
            match read {
                Err(wrong) => self.refuse_at(source, wrong),
                Ok(()) if is_whole => self.entries.push(entry),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn threshold(&mut self, name: &str, given: Given<'_>) -> Result<(), String> {
        let at = LIMITS.iter().position(|known| *known == name);
        let at = at.ok_or_else(|| unknown("limit", name, &LIMITS, ""))?;
        let (least, most) = BOUNDS[at];
        let number = given.number(least, most)?;
        self.said[at].get_or_insert(number);
        Ok(())
    }

    fn silences_in(&mut self, source: Source<'_>, list: &Value) -> Result<(), Wrong> {
        let Shape::List(items) = &list.shape else {
            return Err(list.not("a list in [ ]"));
        };
        for item in items {
            let said = match &item.shape {
                Shape::Text(code) => self.silence(code).map_err(|what| item.wrong(what)),
                _ => Err(item.not("the code of a finding")),
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
        let code = known.ok_or_else(|| unknown("finding", code, &silence::FINDINGS, instead))?;
        if !self.silences(code) {
            self.silenced.push(code);
        }
        Ok(())
    }
}

/// That a word is not known, and which was perhaps meant; else `instead`, or all that are known.
pub(super) fn unknown(what: &str, word: &str, known: &[&str], instead: &str) -> String {
    let near = nearest(word, known);
    let word = shown(word);
    let all = || format!("there are {}", known.join(", "));
    let advice = match near {
        Some(near) => format!("the nearest is \"{near}\""),
        None if instead.is_empty() => all(),
        None => instead.to_owned(),
    };
    format!("no {what} is called \"{word}\"; {advice}")
}

/// A piece of the container's own text that is fit to be shown.
fn shown(word: &str) -> String {
    let start: String = word.chars().take(SHOWN).collect();
    Untrusted::new(start).to_string()
}
