//! What aish and a CI say to each other over HTTP.
//!
//! The reply comes with status 200 whatever it says: with any other, aish throws it away.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What aish posts. It says nothing of who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("examples" = [{ "message": "status" }])))]
pub struct Message {
    /// What was typed.
    pub message: String,
}

/// What aish prints, and keeps in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reply {
    /// For people.
    pub response: String,
}

impl Reply {
    /// A reply of this text, cut where it is too long.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            response: unmistakable(bounded(text)).into_owned(),
        }
    }
}

/// Longest text of a reply, in bytes: aish keeps every one.
pub const MAX_REPLY_BYTES: usize = 128 * 1024;

fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_REPLY_BYTES)]
}

/// Phrases by which aish recognises the farewell of a CI that is about to be replaced: by so many of them in one reply,
/// in whatever case.
const FAREWELL: [&str; 7] = [
    "current context",
    "working on",
    "key decisions",
    "next steps",
    "current approach",
    "emotional state",
    "task trajectory",
];
/// How many different ones it takes.
const FAREWELL_AT: usize = 3;

/// The text so that it is not taken for a farewell: what an application logs may hold anything. Where it would be, the
/// blanks in the phrases become no-break spaces, which look the same.
fn unmistakable(text: &str) -> Cow<'_, str> {
    let places = |phrase: &str| -> Vec<usize> {
        let blank = phrase.find(' ').unwrap_or_default();
        let windows = text.as_bytes().windows(phrase.len()).enumerate();
        windows
            .filter(|(_, window)| window.eq_ignore_ascii_case(phrase.as_bytes()))
            .map(|(at, _)| at + blank)
            .collect()
    };
    let found: Vec<Vec<usize>> = FAREWELL
        .iter()
        .map(|phrase| places(phrase))
        .filter(|places| !places.is_empty())
        .collect();
    if found.len() < FAREWELL_AT {
        return Cow::Borrowed(text);
    }
    let blanks: std::collections::BTreeSet<usize> = found.into_iter().flatten().collect();
    let told = text
        .char_indices()
        .map(|(at, c)| if blanks.contains(&at) { '\u{a0}' } else { c });
    Cow::Owned(told.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As aish does it.
    fn is_farewell(text: &str) -> bool {
        let text = text.to_lowercase();
        FAREWELL
            .iter()
            .filter(|phrase| text.contains(*phrase))
            .count()
            >= FAREWELL_AT
    }

    #[test]
    fn no_reply_is_taken_for_a_farewell() {
        let log = "Working ON it: Next Steps, next steps; ä KEY decisions";
        assert!(is_farewell(log));
        let told = Reply::new(log).response;
        assert!(!is_farewell(&told), "{told}");
        assert_eq!(told.replace('\u{a0}', " "), log);
        let usual = "Working on it: next steps";
        assert_eq!(Reply::new(usual).response, usual);
    }

    #[test]
    fn a_reply_has_an_end() {
        let long = "ä".repeat(MAX_REPLY_BYTES);
        assert_eq!(Reply::new(&long).response.len(), MAX_REPLY_BYTES);
    }
}
