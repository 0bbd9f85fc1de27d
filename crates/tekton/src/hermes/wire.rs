//! What goes to Hermes and comes from it, as JSON.
//!
//! It answers in snake_case here and in camelCase there: both are understood everywhere, and so is null for whatever
//! it leaves out.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// What Hermes is told of a component: the body of `POST /register`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registration {
    /// Its id, by which it beats and is unregistered.
    pub component_id: String,
    /// Its name, by which it is looked up.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What kind of component it is. Hermes keeps it in `metadata` under `type`, so a `type` there takes its place.
    #[serde(rename = "type")]
    pub component_type: String,
    /// Where it answers.
    pub endpoint: String,
    /// What it can be asked for by name.
    pub capabilities: Vec<String>,
    /// Whatever else there is to read of it; replaced as a whole by the next registration.
    pub metadata: Map<String, Value>,
}

/// What a component shows so that nobody beats or unregisters in its place: an opaque text, good for an hour.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a text that a header can carry; None for any other.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let carried = |byte: u8| (0x20..0x7f).contains(&byte);
        (!text.is_empty() && text.bytes().all(carried)).then_some(Self(text))
    }

    /// The text.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The answer to a registration.
#[derive(Debug, Deserialize)]
pub(super) struct Registered {
    pub(super) success: bool,
    #[serde(default)]
    pub(super) token: Option<String>,
}

/// The answer to a heartbeat and to the end of a registration.
#[derive(Debug, Deserialize)]
pub(super) struct Noted {
    pub(super) success: bool,
}

/// What Hermes knows of a component.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Component {
    /// Its id.
    #[serde(alias = "componentId", deserialize_with = "or_default")]
    pub component_id: String,
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Its version.
    #[serde(default, deserialize_with = "or_default")]
    pub version: String,
    /// Where it answers.
    #[serde(default, deserialize_with = "or_default")]
    pub endpoint: String,
    /// What it can be asked for.
    #[serde(default, deserialize_with = "or_default")]
    pub capabilities: Vec<String>,
    /// What it told of itself, and its type under `type`.
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Map<String, Value>,
    /// When it last beat, in seconds of Unix time; None since its last registration.
    #[serde(default, alias = "lastHeartbeat")]
    pub last_heartbeat: Option<f64>,
}

impl Component {
    /// A registration that Hermes takes for the same.
    #[must_use]
    pub fn into_registration(mut self) -> Registration {
        let component_type = match self.metadata.remove("type") {
            Some(Value::String(word)) => word,
            _ => String::new(),
        };
        Registration {
            component_id: self.component_id,
            name: self.name,
            version: self.version,
            component_type,
            endpoint: self.endpoint,
            capabilities: self.capabilities,
            metadata: self.metadata,
        }
    }
}

/// `GET /components`.
#[derive(Debug, Deserialize)]
pub(super) struct Components {
    #[serde(deserialize_with = "or_default")]
    pub(super) components: Vec<Component>,
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As Hermes keeps it: the type in `metadata`, and names in the one way of writing or the other.
        #[test]
        fn what_was_registered_comes_back_the_same(
            [component_id, name, version, component_type, endpoint] in any::<[String; 5]>(),
            capabilities in any::<Vec<String>>(),
            metadata in any::<std::collections::BTreeMap<String, u32>>(),
            is_camel in any::<bool>(),
        ) {
            let metadata = metadata.into_iter().map(|(key, value)| (key, value.into()));
            let metadata: Map<String, Value> = metadata.filter(|(key, _)| key != "type").collect();
            let registration =
                Registration { component_id, name, version, component_type, endpoint, capabilities, metadata };
            let mut told = serde_json::to_value(&registration).unwrap();
            told["metadata"]["type"] = told["type"].clone();
            if is_camel {
                let id = told.as_object_mut().unwrap().remove("component_id").unwrap();
                told["componentId"] = id;
            }
            let component: Component = serde_json::from_value(told).unwrap();
            prop_assert_eq!(component.into_registration(), registration);
        }
    }

    #[test]
    fn both_ways_of_writing_names_are_understood() {
        // As Hermes answers GET /components and POST /query.
        let snake = r#"{"component_id":"a","name":"a","version":"1","type":null,"port":null,"status":"unknown",
            "capabilities":["container_ci"],"endpoint":"http://x","last_heartbeat":2.5,"registered_at":1.5,
            "metadata":{"type":"container_ci","health":"healthy"}}"#;
        let camel = r#"{"componentId":"a","name":"a","version":"1","type":"container_ci","endpoint":"http://x",
            "capabilities":["container_ci"],"metadata":{"type":"container_ci","health":"healthy"},"healthy":null,
            "lastHeartbeat":2.5}"#;
        let snake: Component = serde_json::from_str(snake).unwrap();
        let camel: Component = serde_json::from_str(camel).unwrap();
        assert_eq!(snake, camel);
        let registration = snake.into_registration();
        assert_eq!(registration.component_type, "container_ci");
        assert!(!registration.metadata.contains_key("type"));
        let bare: Component =
            serde_json::from_str(r#"{"component_id":"a","metadata":null,"endpoint":null}"#)
                .unwrap();
        assert_eq!(
            (bare.component_id.as_str(), bare.endpoint.as_str()),
            ("a", "")
        );
    }

    #[test]
    fn a_token_is_what_a_header_can_carry_and_never_shown() {
        let token = Token::new(r#"{"payload": {"a": 1}}"#.into()).unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        for wrong in ["", "a\nb", "a\u{7f}", "ä"] {
            assert_eq!(Token::new(wrong.into()), None, "{wrong:?}");
        }
    }
}
