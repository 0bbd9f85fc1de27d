//! `diogenes config`: every key, its value in force, and where that comes from.

use serde::Serialize;

use super::given::{Given, Source};
use super::value::Shape;
use super::{Key, Settings, keys};

/// One key as it is listed. Secrets are not in it: files of secrets are named, not read.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    key: String,
    /// A text, a list of texts, true or false, or null where there is none.
    value: serde_json::Value,
    source: Source,
    #[serde(skip)]
    definition: &'static Key,
}

/// All keys, in the order of the table.
pub(crate) fn list(settings: &Settings) -> Vec<Listed> {
    let listed = |key: &'static Key| {
        let Given { words, source } = settings.givens.get(key);
        let mut shown = words.iter().map(|word| (key.shown)(word));
        let value = match key.shape {
            Shape::Text => shown.next().into(),
            Shape::Switch => shown.next().map(|word| word == "true").into(),
            Shape::List => shown.collect(),
        };
        Listed {
            key: key.path(),
            value,
            source,
            definition: key,
        }
    };
    keys().map(listed).collect()
}

/// The list as people read it: like the file, with the sources as comments.
pub(crate) fn text(listed: &[Listed]) -> String {
    let mut text = String::new();
    let mut section = "";
    let left = |one: &Listed| match &one.value {
        serde_json::Value::Null => format!("# {}", one.definition.name),
        // A JSON text, and a list of them, is one of TOML too.
        value => format!("{} = {value}", one.definition.name),
    };
    let width = listed
        .iter()
        .map(|one| left(one).chars().count())
        .max()
        .unwrap_or(0);
    for one in listed {
        if one.definition.section != section {
            section = one.definition.section;
            text += &format!("\n[{section}]\n");
        }
        let source = match &one.source {
            Source::Default if one.definition.default.is_none() => {
                format!("default: {}", one.definition.without)
            }
            Source::File { file, line, .. } => format!("{}:{line}", file.display()),
            source => source.to_string(),
        };
        text += &format!("{:width$}  # {source}\n", left(one));
    }
    text
}
