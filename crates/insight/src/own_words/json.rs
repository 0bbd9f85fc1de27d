//! JSON whose every value knows where it stands, so that a mistake can be shown by line and column.
//!
//! serde_json tells a place only of what is no JSON at all. What it gives as it stands in the text
//! ([`RawValue`]) is a piece of that text: how far from its beginning is its place.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Most members of one object, or items of one list, that are looked at; what comes after is read as one more.
pub(super) const MAX_ITEMS: usize = 64;

/// A place in a text, both counted from 1, the column in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A text in JSON.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(&'a [u8]);

/// A value in it.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    text: Text<'a>,
    raw: &'a RawValue,
}

/// What is wrong, and where.
pub(super) type Wrong = (Place, String);

impl<'a> Text<'a> {
    /// The value that a text is.
    ///
    /// # Errors
    /// Where it is no JSON, or not UTF-8.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Value<'a>, Wrong> {
        let text = Self(bytes);
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err((
                text.place(error.valid_up_to()),
                "it is not UTF-8".to_owned(),
            ));
        }
        match serde_json::from_slice(bytes) {
            Ok(raw) => Ok(Value { text, raw }),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let words = error.to_string();
                // It names the place once more.
                let words = words.split(" at line ").next().unwrap_or_default();
                Err((Place { line, column }, format!("it is no JSON: {words}")))
            }
        }
    }

    fn place(self, offset: usize) -> Place {
        let before = &self.0[..offset.min(self.0.len())];
        let ends = before.iter().filter(|&&byte| byte == b'\n');
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n');
        Place {
            line: ends.count() + 1,
            column: column.count() + 1,
        }
    }
}

impl<'a> Value<'a> {
    /// Where it stands.
    pub(super) fn place(self) -> Place {
        let start = self.text.0.as_ptr().addr();
        self.text
            .place(self.raw.get().as_ptr().addr().saturating_sub(start))
    }

    /// What is wrong with it.
    pub(super) fn wrong(self, what: impl Into<String>) -> Wrong {
        (self.place(), what.into())
    }

    /// As this type; None where it is of another.
    pub(super) fn get<T: DeserializeOwned>(self) -> Option<T> {
        serde_json::from_slice(self.raw.get().as_bytes()).ok()
    }

    /// The members of an object, at most [`MAX_ITEMS`] and one.
    ///
    /// # Errors
    /// Where it is no object.
    pub(super) fn members(self) -> Result<Vec<(Value<'a>, Value<'a>)>, Wrong> {
        let pairs = self.parts('{').map(|parts| parts.0.into_iter());
        let pairs = pairs.ok_or_else(|| self.not("an object in { }"))?;
        let at = |raw| Value {
            text: self.text,
            raw,
        };
        Ok(pairs
            .filter_map(|(key, value)| Some((at(key?), at(value))))
            .collect())
    }

    /// The items of a list, at most [`MAX_ITEMS`] and one.
    ///
    /// # Errors
    /// Where it is no list.
    pub(super) fn items(self) -> Result<Vec<Value<'a>>, Wrong> {
        let items = self.parts('[').map(|parts| parts.0.into_iter());
        let items = items.ok_or_else(|| self.not("a list in [ ]"))?;
        let at = |(_, raw)| Value {
            text: self.text,
            raw,
        };
        Ok(items.map(at).collect())
    }

    /// That something else was expected.
    pub(super) fn not(self, expected: &str) -> Wrong {
        self.wrong(format!("expected {expected}, found {}", self.kind()))
    }

    fn parts(self, opening: char) -> Option<Parts<'a>> {
        let text = self.raw.get();
        text.starts_with(opening)
            .then(|| serde_json::from_slice(text.as_bytes()).ok())?
    }

    /// What it is, in words.
    fn kind(self) -> &'static str {
        match self.raw.get().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a text",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

/// The parts of an object, with their keys, or of a list.
struct Parts<'a>(Vec<(Option<&'a RawValue>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(Option<&'de RawValue>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("parts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some((key, value)) = map.next_entry()? {
                    if parts.len() <= MAX_ITEMS {
                        parts.push((Some(key), value));
                    }
                }
                Ok(parts)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(value) = list.next_element()? {
                    if parts.len() <= MAX_ITEMS {
                        parts.push((None, value));
                    }
                }
                Ok(parts)
            }
        }

        deserializer.deserialize_any(Collect).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place() {
        let text = b"{\n  \"a\": [1,\n    \"\xc3\xbc\", {\"b\": false}]}";
        let whole = Text::read(text).unwrap();
        let (key, list) = whole.members().unwrap()[0];
        let place = |value: Value<'_>| (value.place().line, value.place().column);
        assert_eq!(
            (place(whole), place(key), place(list)),
            ((1, 1), (2, 3), (2, 8))
        );
        let items = list.items().unwrap();
        assert_eq!(
            items.iter().map(|it| place(*it)).collect::<Vec<_>>(),
            [(2, 9), (3, 5), (3, 11)]
        );
        assert_eq!(items[0].get::<u16>(), Some(1));
        assert_eq!(items[1].get::<String>().as_deref(), Some("ü"));
        assert_eq!(
            items[0].members().err(),
            Some((
                list.items().unwrap()[0].place(),
                "expected an object in { }, found a number".to_owned()
            ))
        );
    }

    #[test]
    fn what_is_no_json_has_a_place_too() {
        for (text, line, what) in [
            (
                &b"{\n \"a\": 1,\n}"[..],
                3,
                "it is no JSON: key must be a string",
            ),
            (b"", 1, "it is no JSON: EOF while parsing a value"),
            (b"{}\nx", 2, "it is no JSON: trailing characters"),
            (b"{\"a\":\n\"\xff\"}", 2, "it is not UTF-8"),
        ] {
            let (place, words) = Text::read(text).err().unwrap();
            assert_eq!(
                (place.line.max(1), words.as_str()),
                (line, what),
                "{}",
                text.escape_ascii()
            );
        }
    }

    #[test]
    fn no_more_parts_are_kept_than_are_looked_at() {
        let many = format!("[{}1]", "1,".repeat(5000));
        let whole = Text::read(many.as_bytes()).unwrap();
        assert_eq!(whole.items().unwrap().len(), MAX_ITEMS + 1);
    }
}
