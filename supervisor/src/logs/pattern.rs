//! What lines must match: a regular expression that takes time in proportion to the line, and bounded memory.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Longest pattern.
const MAX_BYTES: usize = 1024;
/// Most memory of a compiled pattern, and of what it keeps while it matches. `\w{100}` needs more.
const MAX_COMPILED_BYTES: usize = 1024 * 1024;

/// A regular expression, case-sensitive unless it begins with `(?i)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Pattern(Regex);

/// Why a text is no pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPattern {
    /// The pattern is too long, or would take too much memory.
    #[error(
        "the pattern is too large: at most {MAX_BYTES} bytes, and {} KiB compiled",
        MAX_COMPILED_BYTES / 1024
    )]
    TooLarge,
    /// It makes no sense.
    #[error("the pattern makes no sense at character {position}: {reason}")]
    Senseless {
        /// Where, counted from 1.
        position: usize,
        /// Why.
        reason: String,
    },
}

impl Pattern {
    /// Whether a line matches.
    pub(crate) fn matches(&self, line: &str) -> bool {
        self.0.is_match(line)
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if text.len() > MAX_BYTES {
            return Err(BadPattern::TooLarge);
        }
        // Parsed on its own first: only this error knows its place.
        regex_syntax::parse(text).map_err(|error| senseless(text, &error))?;
        let built = RegexBuilder::new(text)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_COMPILED_BYTES)
            .build();
        built.map(Self).map_err(|_| BadPattern::TooLarge)
    }
}

fn senseless(text: &str, error: &regex_syntax::Error) -> BadPattern {
    let (offset, reason) = match error {
        regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => {
            (error.span().start.offset, error.kind().to_string())
        }
        other => (0, other.to_string()),
    };
    let before = text.get(..offset).unwrap_or_default();
    BadPattern::Senseless {
        position: before.chars().count() + 1,
        reason,
    }
}

impl TryFrom<String> for Pattern {
    type Error = BadPattern;

    fn try_from(text: String) -> Result<Self, BadPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_matters_unless_the_pattern_says_otherwise() {
        let matches = |pattern: &str, line| pattern.parse::<Pattern>().unwrap().matches(line);
        assert!(matches(r"^GET /\w+ 5\d\d$", "GET /cart 503"));
        assert!(!matches("error", "ERROR: no such table"));
        assert!(matches("(?i)error", "ERROR: no such table"));
    }

    #[test]
    fn a_bad_pattern_is_told_with_its_place() {
        let error = |pattern: &str| pattern.parse::<Pattern>().unwrap_err().to_string();
        assert_eq!(
            error("é(a|b"),
            "the pattern makes no sense at character 2: unclosed group"
        );
        assert_eq!(
            error(r"a\p{Nonsense}"),
            "the pattern makes no sense at character 2: Unicode property not found"
        );
        // Look-around would take more than linear time, so there is none.
        assert!(error("a(?=b)").contains("at character 2"));
    }

    #[test]
    fn no_pattern_takes_much_memory_or_time() {
        for pattern in [
            r"\w{100000}",
            "((a{100}){100}){100}",
            &"a".repeat(MAX_BYTES + 1),
        ] {
            let error = pattern.parse::<Pattern>().unwrap_err();
            assert!(matches!(error, BadPattern::TooLarge), "{error}");
        }
        assert!("(".repeat(900).parse::<Pattern>().is_err());
        // Exponential where a pattern is matched by trying.
        let begun = std::time::Instant::now();
        let pattern: Pattern = "(a*)*(a*)*(a|aa)+$".parse().unwrap();
        assert!(!pattern.matches(&("a".repeat(4000) + "!")));
        assert!(begun.elapsed().as_secs() < 2);
    }
}
