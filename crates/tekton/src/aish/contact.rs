//! A CI as aish is to know it, and the entry in the file that says so.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest key, in bytes: with `.sock` it is the name of a file.
pub const MAX_KEY_BYTES: usize = 240;

/// A CI that people are to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// What aish calls it: lower case, for aish lowers what people type.
    pub name: String,
    /// Where messages are posted to: scheme, host and port.
    pub endpoint: String,
    /// The path there.
    pub message_endpoint: String,
    /// A line for people.
    pub description: String,
    /// What it can be asked for.
    pub capabilities: Vec<String>,
}

impl Contact {
    /// Whether the name can be a key, and the name of its mark.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        is_sound(&self.name)
    }

    /// The entry. `pid` is of a process that the user of aish may signal, `mark` a file that is there, and
    /// `registered_by` tells whose entry this is: aish keeps keys it does not know.
    pub(crate) fn entry(&self, pid: u32, mark: &Path, registered_by: &str) -> Value {
        json!({
            "name": self.name,
            "type": "ci_tool",
            "socket": mark.to_string_lossy(),
            "pid": pid,
            "message_format": "json_simple",
            "endpoint": self.endpoint,
            "message_endpoint": self.message_endpoint,
            "description": self.description,
            "capabilities": self.capabilities,
            "working_directory": "/",
            "registered_by": registered_by,
        })
    }
}

/// Whether a text is fit for a key: what Docker takes for a name, in lower case, and not too long.
#[must_use]
pub fn is_sound(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    let begins_well = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    begins_well && name.len() <= MAX_KEY_BYTES && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_name_of_a_file_and_nothing_else() {
        for sound in ["shop-container-ci", "0a", "a.b_c-d"] {
            assert!(is_sound(sound), "{sound}");
        }
        let long = "x".repeat(MAX_KEY_BYTES + 1);
        for not in [
            "",
            "..",
            ".a",
            "a/b",
            "Shop",
            "a b",
            "ä",
            "a\n",
            long.as_str(),
        ] {
            assert!(!is_sound(not), "{not}");
        }
    }
}
