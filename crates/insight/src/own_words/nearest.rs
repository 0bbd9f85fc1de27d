//! The word that was perhaps meant.

/// Longest word that is compared, in bytes.
const LONGEST: usize = 32;

/// The known word that fewest changes of a letter lead to, where these are few beside its length; None where none is
/// near.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let changes = |known: &&'a str| (distance(word.as_bytes(), known.as_bytes()), *known);
    let (changes, known) = known.iter().map(changes).min_by_key(|near| near.0)?;
    (changes <= 1 + known.len() / 4).then_some(known)
}

/// Levenshtein's distance: letters to be put in, left out or replaced.
fn distance(word: &[u8], known: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, letter) in word.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, other) in known.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[known.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let known = ["name", "role", "probe", "runs-as-root", "memory_percent"];
        for (word, near) in [
            ("nam", Some("name")),
            ("rolle", Some("role")),
            ("porbe", Some("probe")),
            ("run-as-root", Some("runs-as-root")),
            ("memory", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), near, "{word}");
        }
    }
}
