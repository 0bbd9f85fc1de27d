//! Patterns by which the configuration names containers: `shop-*`, or `image:redis:*` for what runs in them.
//!
//! `*` is any text, also none and also with slashes in it, `?` is any one character; all else is itself, and the
//! whole name must fit.

use std::fmt;

use crate::config::value::Word;

/// What a pattern for images begins with. No container's name has a colon.
const IMAGE: &str = "image:";
/// Longest pattern; a container's name has at most 255 characters.
const MAX_BYTES: usize = 255;

/// A pattern of names, of containers or of their images.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NamePattern(String);

impl NamePattern {
    /// Whether it names this container.
    pub(crate) fn fits(&self, name: &str, image: &str) -> bool {
        match self.0.strip_prefix(IMAGE) {
            Some(pattern) => glob(pattern, image),
            None => glob(&self.0, name),
        }
    }

    /// As it stands in the configuration.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NamePattern {
    /// In quotes, as it stands in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Word for NamePattern {
    fn read(word: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            Err(format!(
                "expected a pattern of containers' names, such as shop-*, or of images', such as {IMAGE}redis:*, found {word:?}: {why}"
            ))
        };
        let special = |specials: &'static [u8]| {
            move |byte: u8| byte.is_ascii_alphanumeric() || specials.contains(&byte)
        };
        if word.len() > MAX_BYTES {
            return wrong(&format!("it is longer than {MAX_BYTES} characters"));
        }
        match word.strip_prefix(IMAGE).unwrap_or(word) {
            "" => wrong("it is empty"),
            // What it may be made of, as Docker has it for the names of containers and images.
            name if name.len() == word.len() && !name.bytes().all(special(b"_.-*?")) => {
                wrong("no container's name has such a character")
            }
            name if !name.bytes().all(special(b"_.-*?/:@")) => {
                wrong("no image's name has such a character")
            }
            _ => Ok(Self(word.to_owned())),
        }
    }
}

/// Whether the whole text fits. Takes time in proportion to the product of the lengths at most: where a `*` took too
/// little, only the last one is tried again.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // The last star, and the end of what it has taken.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match (pattern.get(at), star) {
            (Some('*'), _) => {
                star = Some((at, from));
                at += 1;
            }
            (Some(wanted), _) if *wanted == '?' || *wanted == text[from] => {
                at += 1;
                from += 1;
            }
            (_, Some((star_at, taken))) => {
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                from = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(word: &str) -> NamePattern {
        NamePattern::read(word).unwrap()
    }

    #[test]
    fn names_containers_and_images() {
        for (word, name, image, fits) in [
            ("shop", "shop", "", true),
            ("shop", "shop-1", "", false),
            ("shop-*", "shop-", "", true),
            ("shop-*", "shop-web-1", "", true),
            ("shop-*", "a-shop-1", "", false),
            ("*-tmp", "build-tmp", "", true),
            ("*-tmp", "build-tmp-2", "", false),
            ("*", "anything", "", true),
            ("*a*b*", "xxaxxbxx", "", true),
            ("*a*b*", "xxbxxaxx", "", false),
            ("web-?", "web-1", "", true),
            ("web-?", "web-", "", false),
            ("web-?", "web-10", "", false),
            ("*-?b", "a-xb-yb", "", true),
            ("Shop", "shop", "", false),
            ("image:redis:*", "redis", "redis:7.2", true),
            ("image:redis:*", "redis", "redis", false),
            (
                "image:*/redis*",
                "cache",
                "registry.example:5000/x/redis:7",
                true,
            ),
            ("redis*", "cache", "redis:7", false),
            ("image:*", "any", "", true),
        ] {
            assert_eq!(
                pattern(word).fits(name, image),
                fits,
                "{word} {name} {image}"
            );
        }
    }

    #[test]
    fn what_could_never_fit_is_refused() {
        for (word, told) in [
            ("", "it is empty"),
            ("image:", "it is empty"),
            ("redis:7", "no container's name has such a character"),
            ("shop [a-z]", "no container's name has such a character"),
            ("image:redis latest", "no image's name has such a character"),
            (&"x".repeat(256), "it is longer than 255 characters"),
        ] {
            let mistake = NamePattern::read(word).unwrap_err();
            assert!(mistake.ends_with(told), "{mistake}");
        }
    }

    /// The definition, as short as it can be said, and exponential.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['*', rest @ ..], text) => {
                (0..=text.len()).any(|taken| by_definition(rest, &text[taken..]))
            }
            (['?', rest @ ..], [_, text @ ..]) => by_definition(rest, text),
            ([wanted, rest @ ..], [found, text @ ..]) => {
                wanted == found && by_definition(rest, text)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn is_what_its_definition_says(pattern in "[ab*?]{0,8}", text in "[abü]{0,10}") {
            let (as_chars, text_chars): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(glob(&pattern, &text), by_definition(&as_chars, &text_chars));
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let begun = std::time::Instant::now();
        let (pattern, text) = ("*a".repeat(127), "a".repeat(60_000) + "b");
        assert!(!glob(&pattern, &text));
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
}
