//! Text out of a container on its way to a terminal, a table and JSON.

use diogenes_proto::untrusted::{MAX_BYTES, escape};
use diogenes_proto::{ErrorCode, Untrusted, WireError};

/// See the module: bounded, escaped once and for all, and the same after a journey.
pub fn check(bytes: &[u8]) {
    let text = Untrusted::from_bytes(bytes);
    assert!(text.as_raw().len() <= MAX_BYTES);
    let shown = text.to_string();
    assert_harmless(&shown);
    assert_eq!(escape(&shown).to_string(), shown, "escaped is escaped");
    let lines: Vec<String> = text.lines().collect();
    assert_eq!(lines.len(), text.as_raw().split('\n').count());
    assert_eq!(lines.join("\\n"), shown);
    assert!(format!("{text:.40}").chars().count() <= 40);
    assert!(format!("{text:>40}").chars().count() >= 40);
    let json = serde_json::to_string(&text).expect("a text can be written");
    assert_eq!(
        serde_json::from_str::<Untrusted>(&json).ok(),
        Some(text.clone())
    );
    // A sentence quotes it without its harm.
    assert_harmless(&WireError::new(ErrorCode::Invalid, text.as_raw()).message);
}

/// Nothing that a terminal obeys, and nothing that turns the direction of a line: control characters, the
/// separators of lines and paragraphs, and what Unicode calls `Bidi_Control` (PropList.txt).
pub(crate) fn assert_harmless(text: &str) {
    let harmful = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            )
    };
    assert!(!text.contains(harmful), "{text:?}");
}
