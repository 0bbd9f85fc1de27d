//! What was given for which key, where, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::key::{Key, Takes};
use super::value::Value;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub(crate) enum Source {
    /// The command line.
    Flag {
        /// With its dashes.
        name: String,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        name: String,
    },
    /// The configuration file.
    File {
        /// Its path.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
    },
    /// Nobody gave it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { name } | Self::Environment { name } => f.write_str(name),
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Something wrong in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where: a flag, a variable, a place in a file, a file.
    pub(crate) place: String,
    /// Line and column in the file; zero for what is no place in a file.
    at: (usize, usize),
    /// What, and what was expected.
    pub(crate) what: String,
}

impl Mistake {
    /// A mistake in what came from `source`.
    pub(crate) fn at(source: &Source, what: String) -> Self {
        let at = match source {
            Source::File { line, column, .. } => (*line, *column),
            _ => (0, 0),
        };
        Self {
            place: source.to_string(),
            at,
            what,
        }
    }

    /// A mistake that concerns a whole file.
    pub(crate) fn in_file(path: &Path, what: String) -> Self {
        Self {
            place: path.display().to_string(),
            at: (0, 0),
            what,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Everything that is wrong; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Those found, the file's in the order of its lines.
    pub(crate) fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.at);
        Self(mistakes)
    }
}

/// One value as it was given, secrets included: only [`Key::shown`](Key) is for everybody's eyes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// Its words; none where nobody gave it and there is no default.
    pub(crate) words: Vec<String>,
    /// Where.
    pub(crate) source: Source,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} words from {}", self.words.len(), self.source)
    }
}

/// The value that counts for each key, by the key's path: the strongest source that gave one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Givens(BTreeMap<String, Given>);

impl Givens {
    /// Notes a value, unless a stronger source gave one already: sources come strongest first.
    pub(crate) fn note(&mut self, key: &Key, given: Given) {
        self.0.entry(key.path()).or_insert(given);
    }

    /// What counts for a key.
    pub(crate) fn get(&self, key: &Key) -> Given {
        self.0.get(&key.path()).cloned().unwrap_or_else(|| Given {
            words: key.default.map(|text| key.words(text)).unwrap_or_default(),
            source: Source::Default,
        })
    }

    /// Reads the value of a key.
    pub(crate) fn read<T: Value>(&self, key: &Key, mistakes: &mut Vec<Mistake>) -> Option<T> {
        let Given { words, source } = self.get(key);
        T::read(&words)
            .map_err(|what| mistakes.push(Mistake::at(&source, format!("{}: {what}", key.path()))))
            .ok()
    }

    /// Takes back every change that needs a restart, and says which keys those are.
    pub(crate) fn hold_back(
        &mut self,
        in_force: &Self,
        keys: impl Iterator<Item = &'static Key>,
    ) -> Vec<String> {
        let mut held = Vec::new();
        for key in keys.filter(|key| key.takes == Takes::Restart) {
            let old = in_force.get(key);
            if self.get(key).words != old.words {
                held.push(key.path());
            }
            self.0.insert(key.path(), old);
        }
        held
    }
}
