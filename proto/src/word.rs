//! Words: short texts that programs compare, such as keys, kinds, codes and hashes.
//!
//! They come over the same wire as everything else, and an agent may have been taken over. The words of an
//! honest agent are short and printable; what is not, is made so when it is decoded. So a word can go into
//! a table, a label of a metric or a terminal as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::untrusted::{boundary, is_harmful};

/// Longest word kept, in bytes of UTF-8; what is beyond is dropped.
pub const MAX_WORD_BYTES: usize = 512;

/// Longest sentence of an error, in bytes of UTF-8; what is beyond is dropped.
pub const MAX_SENTENCE_BYTES: usize = 1024;

/// Makes a text printable on one line, and at most `max_bytes` long.
pub(crate) fn tame(mut text: String, max_bytes: usize) -> String {
    if text.contains(is_harmful) {
        text = text.replace(is_harmful, "\u{fffd}");
    }
    text.truncate(boundary(&text, max_bytes));
    text
}

/// Decodes a word.
pub(crate) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| tame(text, MAX_WORD_BYTES))
}

/// Decodes a word that may be missing; the field needs `default` as well.
pub(crate) fn maybe<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| tame(text, MAX_WORD_BYTES)))
}

/// Decodes words.
pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    Ok(texts
        .into_iter()
        .map(|text| tame(text, MAX_WORD_BYTES))
        .collect())
}

/// Decodes a map whose keys are words.
pub(crate) fn keys<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, V>, D::Error> {
    let map = BTreeMap::<String, V>::deserialize(deserializer)?;
    Ok(map
        .into_iter()
        .map(|(key, value)| (tame(key, MAX_WORD_BYTES), value))
        .collect())
}

/// Decodes an error's sentence.
pub(crate) fn sentence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| tame(text, MAX_SENTENCE_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_an_honest_word_alone() {
        assert_eq!(
            tame("fastapi-8000/ü".into(), MAX_WORD_BYTES),
            "fastapi-8000/ü"
        );
    }

    #[test]
    fn makes_a_hostile_word_short_and_printable() {
        assert_eq!(
            tame("a\x1b[2J\nb\u{202e}".into(), 64),
            "a\u{fffd}[2J\u{fffd}b\u{fffd}"
        );
        assert_eq!(tame("é".repeat(400), 511).len(), 510);
        let grown = tame("\x07".repeat(MAX_WORD_BYTES), MAX_WORD_BYTES);
        assert!(grown.len() <= MAX_WORD_BYTES && !grown.is_empty());
    }
}
