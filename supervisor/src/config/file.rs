//! The configuration file: TOML, read so that everything wrong in it can be pointed at.

use std::io::ErrorKind;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::given::{Given, Givens, Mistake, Source};
use super::key::Key;
use super::value::Shape;
use super::{keys, nearest};

/// Where the file is unless told otherwise.
pub(crate) const DEFAULT: &str = "/etc/diogenes/diogenes.toml";
/// Largest file that is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// Notes what the file gives. `required` where somebody named it: it must then be there.
pub(crate) fn note(path: &Path, required: bool, givens: &mut Givens, mistakes: &mut Vec<Mistake>) {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !required => return,
        Err(error) => {
            let what = match error.kind() {
                ErrorKind::NotFound => {
                    "there is no such file; name one that exists with --config or DIOGENES_CONFIG"
                        .into()
                }
                ErrorKind::PermissionDenied => {
                    format!("cannot be read: {error}; run as root, or name another with --config")
                }
                _ => format!("cannot be read: {error}"),
            };
            mistakes.push(Mistake::in_file(path, what));
            return;
        }
    };
    let mut document = Document {
        path,
        text: &text,
        givens,
        mistakes,
    };
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        document.mistake(at, format!("this is no TOML: {}", error.message()));
    }
    document.table("", table.get_ref());
}

/// Reads a file that may be anything: nothing endless, nothing that waits for a writer.
fn read(path: &Path) -> std::io::Result<String> {
    super::secrets::read_bounded(path, MAX_BYTES).map(|(text, _)| text)
}

/// A file while it is read.
struct Document<'a> {
    path: &'a Path,
    text: &'a str,
    givens: &'a mut Givens,
    mistakes: &'a mut Vec<Mistake>,
}

impl Document<'_> {
    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let at = name.span().start;
            let path = match section {
                "" => name.get_ref().to_string(),
                section => format!("{section}.{}", name.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(table) if keys().any(|key| key.section == path) => {
                    self.table(&path, table);
                }
                value_here => match keys().find(|key| key.path() == path) {
                    Some(key) => self.value(key, value_here, value.span().start),
                    None => self.unknown(&path, value_here, at),
                },
            }
        }
    }

    fn value(&mut self, key: &'static Key, value: &DeValue<'_>, at: usize) {
        let words = match (key.shape, value) {
            (Shape::Text, DeValue::String(text)) => Some(vec![text.to_string()]),
            (Shape::Switch, DeValue::Boolean(on)) => Some(vec![on.to_string()]),
            (Shape::List, DeValue::Array(items)) => items.iter().map(text).collect(),
            _ => None,
        };
        let Some(words) = words else {
            let expected = match key.shape {
                Shape::Text => "a text in quotes",
                Shape::Switch => "true or false",
                Shape::List => "a list of texts, [\"…\", \"…\"]",
            };
            let found = value.type_str();
            return self.mistake(
                at,
                format!("{}: expected {expected}, found {found}", key.path()),
            );
        };
        let source = self.source(at);
        self.givens.note(key, Given { words, source });
    }

    fn unknown(&mut self, path: &str, value: &DeValue<'_>, at: usize) {
        let known = keys().map(Key::path);
        let (what, near) = if matches!(value, DeValue::Table(_)) {
            let sections = keys()
                .map(|key| key.section.to_owned())
                .filter(|section| !section.is_empty());
            ("section", nearest(path, sections))
        } else {
            ("key", nearest(path, known))
        };
        let advice = near.map_or_else(
            || "diogenes config lists all that exist".into(),
            |near| format!("the nearest that exists is {near}"),
        );
        self.mistake(at, format!("unknown {what} {path:?}; {advice}"));
    }

    fn mistake(&mut self, at: usize, what: String) {
        let source = self.source(at);
        self.mistakes.push(Mistake::at(&source, what));
    }

    /// The place of a byte, for people.
    fn source(&self, at: usize) -> Source {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Source::File {
            file: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn text(item: &Spanned<DeValue<'_>>) -> Option<String> {
    item.get_ref().as_str().map(str::to_owned)
}
