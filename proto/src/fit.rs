//! Measures of what would be written, and cuts to a measure. What is measured is the JSON, escapes included:
//! a text of 4 KiB may take six times that on the wire.

use serde::Serialize;

use crate::Untrusted;
use crate::line::MAX_LINE_BYTES;

/// Room for a message's own fields in a line: what the `id` and the `type` take at most is set aside.
pub(crate) const BODY_BYTES: usize = MAX_LINE_BYTES - 64;

/// Length of a value as JSON, in bytes. Nothing is allocated. What cannot be written never fits.
pub(crate) fn json_bytes<T: Serialize>(value: &T) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}

/// How many of the first items fit into `max_bytes` together, their commas included.
pub(crate) fn fitting<T: Serialize>(items: impl IntoIterator<Item = T>, max_bytes: usize) -> usize {
    let mut room = max_bytes;
    items
        .into_iter()
        .take_while(
            |item| match room.checked_sub(json_bytes(item).saturating_add(1)) {
                Some(left) => {
                    room = left;
                    true
                }
                None => false,
            },
        )
        .count()
}

/// Keeps the first items, as many as fit into `max_bytes` together; says whether any were dropped.
pub(crate) fn keep_fitting<T: Serialize>(items: &mut Vec<T>, max_bytes: usize) -> bool {
    let kept = fitting(items.iter(), max_bytes);
    let dropped = kept < items.len();
    items.truncate(kept);
    dropped
}

/// Keeps the first texts, as many as fit into `max_bytes` together; where some are dropped, a last one says
/// how many.
pub(crate) fn keep_fitting_texts(texts: &mut Vec<Untrusted>, max_bytes: usize) {
    let all = texts.len();
    if keep_fitting(texts, max_bytes) {
        texts.push(Untrusted::new(format!("… and {} more", all - texts.len())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_what_serde_json_writes() {
        let value = ("a\u{1}\"é", vec![1, 22], None::<u8>);
        assert_eq!(
            json_bytes(&value),
            serde_json::to_string(&value).unwrap().len()
        );
    }

    #[test]
    fn keeps_the_first_that_fit() {
        let mut numbers = vec![10, 20, 30];
        assert!(!keep_fitting(&mut numbers, 9));
        assert!(keep_fitting(&mut numbers, 8));
        assert_eq!(numbers, [10, 20]);
        assert!(keep_fitting(&mut numbers, 2));
        assert!(numbers.is_empty());
    }
}
