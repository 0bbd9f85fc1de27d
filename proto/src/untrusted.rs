//! Text that came out of a container.
//!
//! A command line, a log line or a probe's answer was written by whoever controls the container, so it may
//! hold terminal escapes, fake line ends or a megabyte of nothing. [`Untrusted`] bounds it when it is made
//! or decoded, escapes it when it is displayed, and does not dereference to `str`: it cannot slip into a
//! place where it would choose an action or a path.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// What stands in the place of a secret that was taken out of a text.
pub const REDACTED: &str = "[redacted]";

/// Longest text kept, in bytes of UTF-8; what is beyond is cut and replaced by `…`.
pub const MAX_BYTES: usize = 4096;

/// Text from inside a container: bounded in length, escaped by its [`fmt::Display`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Untrusted(String);

impl Untrusted {
    /// Takes a text, cutting it to [`MAX_BYTES`] at a character boundary.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() > MAX_BYTES {
            text.truncate(boundary(&text, MAX_BYTES - '…'.len_utf8()));
            text.push('…');
        }
        Self(text)
    }

    /// Takes raw bytes; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(String::from_utf8_lossy(
            &bytes[..bytes.len().min(2 * MAX_BYTES)],
        ))
    }

    /// The text as it is, control characters included: for comparing and for JSON, never for a terminal.
    #[must_use]
    pub fn as_raw(&self) -> &str {
        &self.0
    }

    /// True where there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines of the text, each safe for a terminal.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('\n').map(|line| escape(line).to_string())
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escape(&self.0).to_string())
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Untrusted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// The last place within the first `max_bytes` where a text can be cut without splitting a character.
pub(crate) fn boundary(text: &str, max_bytes: usize) -> usize {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Shows a text with everything that could move a cursor, change a colour, reorder or hide text escaped.
#[must_use]
pub fn escape(text: &str) -> impl fmt::Display + '_ {
    struct Escaped<'a>(&'a str);
    impl fmt::Display for Escaped<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for c in self.0.chars() {
                if is_harmful(c) {
                    write!(f, "{}", c.escape_default())?
                } else {
                    fmt::Write::write_char(f, c)?
                }
            }
            Ok(())
        }
    }
    Escaped(text)
}

/// The same JSON, in which no text holds what a terminal would obey: such characters stand as `\uXXXX`, as those below
/// U+0020 must anyway (RFC 8259, section 7). Line feeds between values stay.
#[must_use]
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmful(c) && c != '\n' {
            // All of them are within the first 65,536 characters. Writing to a String cannot fail.
            let _ = fmt::Write::write_fmt(&mut escaped, format_args!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the invisible characters that
/// reorder text (Unicode TR 36, "bidirectional text spoofing").
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        let text = Untrusted::from("a\x1b[31mred\r\nnext\u{202e}x");
        assert_eq!(text.to_string(), "a\\u{1b}[31mred\\r\\nnext\\u{202e}x");
        // The Arabic letter mark turns the direction of a line, too.
        assert_eq!(Untrusted::from("a\u{61c}1").to_string(), "a\\u{61c}1");
        assert_eq!(
            Untrusted::from("one\ntwo\x07").lines().collect::<Vec<_>>(),
            ["one", "two\\u{7}"]
        );
        assert_eq!(format!("{:>5}", Untrusted::from("é")), "    é");
    }

    #[test]
    fn json_means_the_same_and_moves_no_cursor() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}31m\u{61c}\u{202e}\u{feff}\"\\\r\né";
        let value = serde_json::json!({ text: [text, 1] });
        let json = serde_json::to_string_pretty(&value).unwrap();
        let escaped = escape_json(&json);
        assert!(!escaped.chars().any(|c| is_harmful(c) && c != '\n'));
        assert!(escaped.contains("\\u009b31m\\u061c\\u202e\\ufeff") && escaped.contains('é'));
        let same: serde_json::Value = serde_json::from_str(&escaped).unwrap();
        assert_eq!(same, value);
    }

    #[test]
    fn bounds_the_length_at_a_character() {
        let text = Untrusted::new("é".repeat(MAX_BYTES));
        assert!(text.as_raw().len() <= MAX_BYTES);
        assert!(text.as_raw().ends_with('…'));
        assert!(
            Untrusted::from_bytes(&vec![0xff; 3 * MAX_BYTES])
                .as_raw()
                .len()
                <= MAX_BYTES
        );
    }

    #[test]
    fn a_decoded_text_is_bounded_too() {
        let json = serde_json::to_string(&"x".repeat(10 * MAX_BYTES)).unwrap();
        let text: Untrusted = serde_json::from_str(&json).unwrap();
        assert!(text.as_raw().len() <= MAX_BYTES);
    }
}
