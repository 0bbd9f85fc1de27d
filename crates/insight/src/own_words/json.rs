//! JSON (RFC 8259) whose every value knows where it stands, so that a mistake can be shown by line and column.
//!
//! serde_json tells a place only of what is no JSON at all; its values as they stand in the text (`RawValue`) would
//! tell theirs, and cost the agent 12 KB, most of it in everything that it writes. What is read here is short, and read seldom.

/// Most members of one object, or items of one list.
pub(super) const MAX_ITEMS: usize = 64;
/// Most levels of values within values.
const MAX_DEPTH: usize = 8;

/// A place in a text, both counted from 1, the column in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong, and where.
pub(super) type Wrong = (Place, String);

/// A value and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) place: Place,
    pub(super) shape: Shape,
}

/// What a value is. Of numbers there are only such as are needed here: None is any other.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Object(Vec<(Place, String, Value)>),
    List(Vec<Value>),
    Text(String),
    Number(Option<u16>),
    Truth(bool),
    Null,
}

impl Value {
    /// What is wrong with it.
    pub(super) fn wrong(&self, what: impl Into<String>) -> Wrong {
        (self.place, what.into())
    }

    /// That something else was expected.
    pub(super) fn not(&self, expected: &str) -> Wrong {
        let found = match self.shape {
            Shape::Object(_) => "an object",
            Shape::List(_) => "a list",
            Shape::Text(_) => "a text",
            Shape::Number(_) => "a number",
            Shape::Truth(_) => "true or false",
            Shape::Null => "null",
        };
        self.wrong(format!("expected {expected}, found {found}"))
    }
}

/// Reads a text.
///
/// # Errors
/// The first place where it is no JSON, or more than is read here.
pub(super) fn read(text: &[u8]) -> Result<Value, Wrong> {
    let mut reader = Reader { text, at: 0 };
    if let Err(error) = std::str::from_utf8(text) {
        reader.at = error.valid_up_to();
        return Err(reader.wrong("it is not UTF-8"));
    }
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("it is no JSON: nothing may follow here")),
    }
}

/// A text of which the beginning has been read.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn place(&self) -> Place {
        let before = &self.text[..self.at];
        let end = before.iter().rposition(|&byte| byte == b'\n');
        Place {
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            column: before.len() - end.map_or(0, |end| end + 1) + 1,
        }
    }

    fn wrong(&self, what: &str) -> Wrong {
        (self.place(), what.to_owned())
    }

    /// The next byte that is no white space; None at the end.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Steps over this byte, where it is the next one.
    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Result<Value, Wrong> {
        let first = self.peek();
        let place = self.place();
        let shape = match first {
            Some(b'{' | b'[') if depth == MAX_DEPTH => {
                return Err(self.wrong("too many levels of { } and [ ]"));
            }
            Some(b'{') => {
                let mut members = Vec::new();
                self.parts(b'}', &mut |reader| {
                    reader.peek();
                    let (place, key) = (reader.place(), reader.text()?);
                    if !reader.takes(b':') {
                        return Err(reader.wrong("it is no JSON: expected a colon"));
                    }
                    let value = reader.value(depth + 1)?;
                    members.push((place, key, value));
                    Ok(())
                })?;
                Shape::Object(members)
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.parts(b']', &mut |reader| {
                    items.push(reader.value(depth + 1)?);
                    Ok(())
                })?;
                Shape::List(items)
            }
            Some(b'"') => Shape::Text(self.text()?),
            _ => self.word()?,
        };
        Ok(Value { place, shape })
    }

    /// What stands between an opening bracket and this closing one, part by part.
    fn parts(
        &mut self,
        closing: u8,
        part: &mut dyn FnMut(&mut Self) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        self.at += 1;
        if self.takes(closing) {
            return Ok(());
        }
        for _ in 0..MAX_ITEMS {
            part(self)?;
            if self.takes(closing) {
                return Ok(());
            }
            if !self.takes(b',') {
                return Err(self.wrong("it is no JSON: expected a comma, or the closing bracket"));
            }
        }
        self.peek();
        Err(self.wrong("an object or a list may have no more than 64 parts"))
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self) -> Result<Shape, Wrong> {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|byte| !is_part(byte));
        let word = &rest[..end.unwrap_or(rest.len())];
        let shape = match word {
            b"true" => Shape::Truth(true),
            b"false" => Shape::Truth(false),
            b"null" => Shape::Null,
            // Whatever else begins like a number is one that is not needed, if it is one.
            [b'0'..=b'9' | b'-', ..] => Shape::Number(whole(word)),
            _ => return Err(self.wrong("it is no JSON: expected a value")),
        };
        self.at += word.len();
        Ok(shape)
    }

    /// A text in quotes.
    fn text(&mut self) -> Result<String, Wrong> {
        let mut text = Vec::new();
        let no_end = "it is no JSON: expected a text in quotes, closed on its line";
        if !self.takes(b'"') {
            return Err(self.wrong(no_end));
        }
        loop {
            let byte = self.text.get(self.at).copied().unwrap_or_default();
            match byte {
                b'"' => break,
                b'\\' => {
                    let character = self.escaped();
                    let character =
                        character.ok_or_else(|| self.wrong("it is no JSON: no such \\"))?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..0x20 => return Err(self.wrong(no_end)),
                _ => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        // What was UTF-8 still is, for it was cut at ASCII characters only.
        Ok(String::from_utf8(text).unwrap_or_default())
    }

    /// A character behind `\`; None where it is none.
    fn escaped(&mut self) -> Option<char> {
        let byte = *self.text.get(self.at + 1)?;
        if byte != b'u' {
            self.at += 2;
            return Some(match byte {
                b'"' | b'\\' | b'/' => char::from(byte),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                _ => return None,
            });
        }
        let unit = self.unit()?;
        // Characters beyond U+FFFF come as two (RFC 8259 §7).
        let code = match unit {
            0xd800..0xdc00 => {
                let second = self.unit().filter(|unit| (0xdc00..0xe000).contains(unit))?;
                0x1_0000 + ((unit - 0xd800) << 10) + (second - 0xdc00)
            }
            unit => unit,
        };
        char::from_u32(code)
    }

    /// `\u00fc`
    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 6)?.strip_prefix(b"\\u")?;
        self.at += 6;
        digits.iter().try_fold(0, |unit, &digit| {
            Some(unit * 16 + char::from(digit).to_digit(16)?)
        })
    }
}

/// A whole number without a sign, as it must be written; None where it is none, or too large.
fn whole(word: &[u8]) -> Option<u16> {
    let is_plain = word.iter().all(u8::is_ascii_digit) && (word.len() == 1 || word[0] != b'0');
    std::str::from_utf8(word)
        .ok()
        .filter(|_| is_plain)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(line: usize, column: usize) -> Place {
        Place { line, column }
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "{\n  \"a\": [1,\n    \"ü\", {\"b\": false}]}";
        let Shape::Object(members) = read(text.as_bytes()).unwrap().shape else {
            panic!("an object")
        };
        let (at, key, value) = &members[0];
        assert_eq!(
            (*at, key.as_str(), value.place),
            (place(2, 3), "a", place(2, 8))
        );
        let Shape::List(items) = &value.shape else {
            panic!("a list")
        };
        let places: Vec<Place> = items.iter().map(|item| item.place).collect();
        assert_eq!(places, [place(2, 9), place(3, 5), place(3, 11)]);
        assert_eq!(items[0].shape, Shape::Number(Some(1)));
        assert_eq!(items[1].shape, Shape::Text("ü".into()));
        assert_eq!(items[0].not("a list").1, "expected a list, found a number");
    }

    #[test]
    fn what_is_no_json_has_a_place_too() {
        let deep = "[".repeat(9);
        let many = format!("[{}]", "1, ".repeat(65));
        for (text, line, column, what) in [
            (
                &b"{\n \"a\": 1,\n}"[..],
                3,
                1,
                "it is no JSON: expected a text in quotes, closed on its line",
            ),
            (b"", 1, 1, "it is no JSON: expected a value"),
            (b"{}\nx", 2, 1, "it is no JSON: nothing may follow here"),
            (
                b"[1 2]",
                1,
                4,
                "it is no JSON: expected a comma, or the closing bracket",
            ),
            (b"{\"a\" 1}", 1, 6, "it is no JSON: expected a colon"),
            (
                b"\"a\nb\"",
                1,
                3,
                "it is no JSON: expected a text in quotes, closed on its line",
            ),
            (b"\"\\x\"", 1, 4, "it is no JSON: no such \\"),
            (b"\"\\ud800\"", 1, 8, "it is no JSON: no such \\"),
            (b"{\"a\":\n\"\xff\"}", 2, 2, "it is not UTF-8"),
            (deep.as_bytes(), 1, 9, "too many levels of { } and [ ]"),
            (
                many.as_bytes(),
                1,
                194,
                "an object or a list may have no more than 64 parts",
            ),
        ] {
            let (at, words) = read(text).unwrap_err();
            assert_eq!(
                (at, words.as_str()),
                (place(line, column), what),
                "{}",
                text.escape_ascii()
            );
        }
    }

    /// The same, as serde_json has it.
    fn same(value: &Value) -> serde_json::Value {
        match &value.shape {
            Shape::Object(members) => members
                .iter()
                .map(|(_, key, value)| (key.clone(), same(value)))
                .collect(),
            Shape::List(items) => items.iter().map(same).collect(),
            Shape::Text(text) => text.as_str().into(),
            Shape::Number(Some(number)) => (*number).into(),
            Shape::Number(None) => (-1).into(),
            Shape::Truth(truth) => (*truth).into(),
            Shape::Null => serde_json::Value::Null,
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(serde_json::Value::from),
            any::<u16>().prop_map(Into::into),
            any::<bool>().prop_map(Into::into),
            Just(serde_json::Value::Null),
            Just(serde_json::Value::from(-1)),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in json(), is_pretty: bool) {
            let text = match is_pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => serde_json::to_string(&value).unwrap(),
            };
            prop_assert_eq!(same(&read(text.as_bytes()).unwrap()), value);
        }

        #[test]
        fn takes_nothing_that_serde_json_does_not(text in "[\\[\\]{}\":,\\\\ua-c0-1 \n.-]{0,12}") {
            let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            // Numbers that are not needed here are not looked at closely.
            if !text.contains(|c: char| c.is_ascii_digit() || c == '-') {
                prop_assert_eq!(read(text.as_bytes()).is_ok(), is_json, "{}", text);
            }
        }
    }
}
