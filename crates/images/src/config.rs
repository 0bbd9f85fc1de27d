//! An image's configuration, and what baking changes in it.
//!
//! | field | becomes |
//! |---|---|
//! | `config.Entrypoint` | the agent's init, then what it was; `Cmd` stays, as Docker appends it |
//! | `config.Healthcheck` | the agent's, only where there was none |
//! | `config.Labels` | and [`labels`] |
//! | `rootfs.diff_ids`, `history` | and one layer, as old as the image |
//!
//! All else stays as it is. What was replaced is kept in a label, so that a baked image can be baked anew with another
//! agent, to the same bytes as from its base. Source: OCI image specification, config.md; Docker image specification
//! v1.2.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::agent::{AGENT_PATH, Agent};
use crate::layer::Layer;
use crate::{ArchiveError, BakeError, Digest};

/// The labels of a baked image.
pub mod labels {
    /// The version of the agent inside.
    pub const AGENT_VERSION: &str = "io.diogenes.agent.version";
    /// The digest of the agent's program.
    pub const AGENT_DIGEST: &str = "io.diogenes.agent.digest";
    /// The digest of the configuration of the image that was baked.
    pub const BASE_DIGEST: &str = "io.diogenes.base.digest";
    /// What was replaced in that configuration, as JSON.
    pub const BASE_REPLACED: &str = "io.diogenes.base.replaced";
    /// The `DiffID` of the added layer.
    pub const LAYER_DIGEST: &str = "io.diogenes.layer.digest";
    /// The digest of the label set or the manifest that gave the role.
    pub const ROLE_DIGEST: &str = "io.diogenes.role.digest";

    /// All of them.
    pub(crate) const ALL: [&str; 6] = [
        AGENT_VERSION,
        AGENT_DIGEST,
        BASE_DIGEST,
        BASE_REPLACED,
        LAYER_DIGEST,
        ROLE_DIGEST,
    ];
}

const ENTRYPOINT: &str = "Entrypoint";
const HEALTHCHECK: &str = "Healthcheck";
const LABELS: &str = "Labels";

/// What precedes the image's own entrypoint.
const INIT: [&str; 3] = [AGENT_PATH, "init", "--"];

/// How the history tells of us, before the agent's version.
const CREATED_BY: &str = "diogenes bake, diogenes-agent ";

/// Whether the baked image has Docker's own health field filled by its companion.
///
/// What Docker takes for unhealthy may be restarted or taken out of service by whoever runs it, so this is for people to
/// ask for: a companion that may not see whose a socket is (other users' processes, without CAP_SYS_PTRACE) cannot vouch
/// for a service, and says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthCheck {
    /// The image's HEALTHCHECK, or its lack of one, stays as it is.
    #[default]
    Leave,
    /// An image without a HEALTHCHECK gets one that asks its companion; `NONE` counts as having one.
    AddWhereNone,
}

/// The configuration of an image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config(Map<String, Value>);

/// An image without our additions, as far as its configuration tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Base {
    pub(crate) config: Config,
    /// Of the configuration as it was before any baking.
    pub(crate) digest: Digest,
}

impl Config {
    /// Reads it, as far as it is looked at.
    pub(crate) fn read(text: &[u8]) -> Result<Self, ArchiveError> {
        let config: Map<String, Value> =
            serde_json::from_slice(text).map_err(|error| unclear(&error.to_string()))?;
        let config = Self(config);
        // No Engine takes such an image in.
        if config.layers_in_history() > Some(config.diff_ids()?.len()) {
            return Err(unclear("history tells of more layers than rootfs"));
        }
        config.labels()?;
        config.words(ENTRYPOINT)?;
        config.words("Cmd")?;
        Ok(config)
    }

    /// As JSON with sorted keys and no blanks.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut text = Vec::new();
        write_object(&self.0, &mut text);
        text
    }

    /// What the image was before it was baked, or itself.
    pub(crate) fn base(self, own: Digest) -> Result<Base, BakeError> {
        let labels = self.labels()?;
        if !labels.contains_key(labels::AGENT_DIGEST) {
            return Ok(Base {
                config: self,
                digest: own,
            });
        }
        self.without_agent(&labels).ok_or(BakeError::BuiltOnBaked)
    }

    /// With an agent in it.
    pub(crate) fn with_agent(
        &self,
        agent: &Agent,
        layer: &Layer,
        base: Digest,
        role: Digest,
        healthcheck: HealthCheck,
    ) -> Result<Self, ArchiveError> {
        let entrypoint = INIT.into_iter().chain(self.words(ENTRYPOINT)?);
        let entrypoint = json!(entrypoint.collect::<Vec<_>>());
        let mut changes = vec![(ENTRYPOINT, entrypoint)];
        if healthcheck == HealthCheck::AddWhereNone && self.lacks_healthcheck() {
            changes.push((HEALTHCHECK, our_healthcheck()));
        }
        let mut labels = self.own_labels()?;
        // Labels come out again one by one, unless there are none left: null, nothing and {} are not the same.
        let kept = changes.iter().map(|(key, _)| *key);
        let kept = kept.chain(labels.is_empty().then_some(LABELS));
        let settings = self.settings();
        let replaced = kept.filter_map(|key| Some((key.to_owned(), settings?.get(key)?.clone())));
        let mut replaced_json = Vec::new();
        write_object(&replaced.collect(), &mut replaced_json);
        let ours = [
            (labels::AGENT_VERSION, agent.version.clone()),
            (labels::AGENT_DIGEST, agent.digest.to_string()),
            (labels::BASE_DIGEST, base.to_string()),
            (
                labels::BASE_REPLACED,
                String::from_utf8_lossy(&replaced_json).into_owned(),
            ),
            (labels::LAYER_DIGEST, layer.diff_id.to_string()),
            (labels::ROLE_DIGEST, role.to_string()),
        ];
        labels.extend(ours.map(|(name, value)| (name.to_owned(), value)));
        changes.push((LABELS, json!(labels)));

        let mut baked = self.clone();
        baked.change_settings(|settings| {
            for (key, value) in changes {
                settings.insert(key.to_owned(), value);
            }
        });
        if self.has_full_history()
            && let Some(Value::Array(history)) = baked.0.get_mut("history")
        {
            let mut entry = Map::new();
            if let Some(created) = self.0.get("created") {
                entry.insert("created".to_owned(), created.clone());
            }
            entry.insert("created_by".to_owned(), json!(created_by(&agent.version)));
            history.push(Value::Object(entry));
        }
        baked.change_diff_ids(|ids| ids.push(json!(layer.diff_id.to_string())));
        Ok(baked)
    }

    /// Takes out what [`Self::with_agent`] put in; None where something was changed since.
    fn without_agent(&self, labels: &BTreeMap<String, String>) -> Option<Base> {
        let label = |name: &str| labels.get(name).map(String::as_str);
        let digest = Digest::parse(label(labels::BASE_DIGEST)?)?;
        let replaced: Map<String, Value> =
            serde_json::from_str(label(labels::BASE_REPLACED)?).ok()?;
        let mut config = self.clone();
        let top = config.change_diff_ids(Vec::pop)?;
        if top.as_str() != label(labels::LAYER_DIGEST) {
            return None;
        }
        if self.has_full_history() {
            let top = config.0.get_mut("history")?.as_array_mut()?.pop()?;
            if top.get("created_by")?.as_str()? != created_by(label(labels::AGENT_VERSION)?) {
                return None;
            }
        }
        let own_labels = self.own_labels().ok()?;
        let has_our_check = self.settings()?.get(HEALTHCHECK) == Some(&our_healthcheck());
        config.change_settings(|settings| {
            for (key, is_replaced) in [
                (ENTRYPOINT, true),
                (HEALTHCHECK, has_our_check),
                (LABELS, own_labels.is_empty()),
            ] {
                match replaced.get(key).filter(|_| is_replaced) {
                    Some(value) => drop(settings.insert(key.to_owned(), value.clone())),
                    None if is_replaced => drop(settings.remove(key)),
                    None => {}
                }
            }
            if !own_labels.is_empty() {
                settings.insert(LABELS.to_owned(), json!(own_labels));
            }
        });
        // Behind our init is what the base had, or somebody gave the image another entrypoint.
        let expected = INIT.into_iter().chain(config.words(ENTRYPOINT).ok()?);
        let is_sound = self.words(ENTRYPOINT).ok()? == expected.collect::<Vec<_>>();
        is_sound.then_some(Base { config, digest })
    }

    /// A text of the top level, as `os` and `architecture` are; empty where it is not told.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The command line of a container, before the user says anything.
    pub(crate) fn command(&self) -> Result<impl Iterator<Item = &str>, ArchiveError> {
        Ok(self
            .words(ENTRYPOINT)?
            .into_iter()
            .chain(self.words("Cmd")?))
    }

    /// All labels.
    fn labels(&self) -> Result<BTreeMap<String, String>, ArchiveError> {
        match self.setting(LABELS) {
            None => Ok(BTreeMap::new()),
            Some(labels) => {
                serde_json::from_value(labels.clone()).map_err(|_| unclear("Labels are no texts"))
            }
        }
    }

    /// The labels without those of a baked image.
    pub(crate) fn own_labels(&self) -> Result<BTreeMap<String, String>, ArchiveError> {
        let mut labels = self.labels()?;
        labels.retain(|name, _| !labels::ALL.contains(&name.as_str()));
        Ok(labels)
    }

    /// The names of the unpacked layers, from the lowest up.
    pub(crate) fn diff_ids(&self) -> Result<Vec<Digest>, ArchiveError> {
        let ids = self
            .0
            .get("rootfs")
            .and_then(|rootfs| rootfs.get("diff_ids"));
        match ids {
            // An image `FROM scratch` with nothing in it.
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(ids) => ids
                .as_array()
                .and_then(|ids| ids.iter().map(|id| Digest::parse(id.as_str()?)).collect())
                .ok_or_else(|| unclear("rootfs.diff_ids are no digests")),
        }
    }

    /// Changes the list of layers.
    fn change_diff_ids<T>(&mut self, change: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        let mut rootfs = take_object(&mut self.0, "rootfs");
        let mut ids = match rootfs.remove("diff_ids") {
            Some(Value::Array(ids)) => ids,
            _ => Vec::new(),
        };
        let changed = change(&mut ids);
        rootfs.insert("diff_ids".to_owned(), Value::Array(ids));
        rootfs.entry("type").or_insert(json!("layers"));
        self.0.insert("rootfs".to_owned(), Value::Object(rootfs));
        changed
    }

    /// Whether the history names each layer. One that does not is left alone: what was added to it would be taken for
    /// another layer.
    fn has_full_history(&self) -> bool {
        let told = self.layers_in_history();
        told.is_some() && told == self.diff_ids().ok().map(|ids| ids.len())
    }

    /// How many layers the history tells of; None where there is no history.
    fn layers_in_history(&self) -> Option<usize> {
        let is_empty = |entry: &&Value| entry.get("empty_layer") == Some(&Value::Bool(true));
        let history = self.0.get("history")?.as_array()?;
        Some(history.len() - history.iter().filter(is_empty).count())
    }

    /// Docker takes a check without words as none at all; `NONE` is the wish to have none.
    fn lacks_healthcheck(&self) -> bool {
        let test = self
            .setting(HEALTHCHECK)
            .and_then(|check| check.get("Test"));
        test.is_none_or(|test| test.as_array().is_none_or(Vec::is_empty))
    }

    /// A list of words, which may be null or a single text.
    fn words(&self, key: &'static str) -> Result<Vec<&str>, ArchiveError> {
        match self.setting(key) {
            None => Ok(Vec::new()),
            Some(Value::String(word)) => Ok(vec![word]),
            Some(words) => words
                .as_array()
                .and_then(|words| words.iter().map(Value::as_str).collect())
                .ok_or_else(|| unclear(&format!("{key} is no list of words"))),
        }
    }

    /// A setting of containers; None also where it is null.
    fn setting(&self, key: &str) -> Option<&Value> {
        self.settings()?.get(key).filter(|value| !value.is_null())
    }

    fn settings(&self) -> Option<&Map<String, Value>> {
        self.0.get("config")?.as_object()
    }

    /// Changes the settings of containers.
    fn change_settings(&mut self, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut settings = take_object(&mut self.0, "config");
        change(&mut settings);
        self.0.insert("config".to_owned(), Value::Object(settings));
    }
}

/// The health check of an image that had none. The agent answers with what it knows already, so Docker's own interval
/// and patience will do.
fn our_healthcheck() -> Value {
    json!({ "Test": ["CMD", AGENT_PATH, "health"] })
}

fn created_by(version: &str) -> String {
    format!("{CREATED_BY}{version}")
}

fn unclear(why: &str) -> ArchiveError {
    ArchiveError::Json {
        path: "the configuration".to_owned(),
        why: why.to_owned(),
    }
}

/// The object under a key, which is no longer there; an empty one where there is none.
fn take_object(map: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match map.remove(key) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// Writes with sorted keys, whether or not serde_json was built to keep another order.
fn write_object(object: &Map<String, Value>, text: &mut Vec<u8>) {
    let sorted: BTreeMap<_, _> = object.iter().collect();
    text.push(b'{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend(json!(key).to_string().bytes());
        text.push(b':');
        write_value(value, text);
    }
    text.push(b'}');
}

/// How deep it may go, the parser has seen to.
fn write_value(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(object) => write_object(object, text),
        Value::Array(values) => {
            text.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_value(value, text);
            }
            text.push(b']');
        }
        scalar => text.extend(scalar.to_string().bytes()),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
