//! The environment: `DIOGENES_*` and the few variables of other programs that are looked at too.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::given::{Given, Givens, Mistake, Source};
use super::key::PREFIX;
use super::{Key, keys, nearest};
use crate::cli::tekton::stanza;

/// The variable that names the configuration file.
pub(crate) const CONFIG: &str = "DIOGENES_CONFIG";

/// The variables of a process. An empty one counts as not set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect()
    }

    fn get(&self, name: &str) -> Option<&OsString> {
        self.0.get(name).filter(|value| !value.is_empty())
    }

    /// The configuration file it names.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.get(CONFIG).map(PathBuf::from)
    }

    /// Notes what it gives.
    pub(crate) fn note(&self, givens: &mut Givens, mistakes: &mut Vec<Mistake>) {
        for key in keys() {
            let names = [Some(key.variable()), key.borrowed.map(str::to_owned)];
            for name in names.into_iter().flatten() {
                let Some(value) = self.get(&name) else {
                    continue;
                };
                let source = Source::Environment { name };
                match value.to_str() {
                    Some(text) => givens.note(
                        key,
                        Given {
                            words: key.words(text),
                            source,
                        },
                    ),
                    None => mistakes.push(Mistake::at(&source, "this is no UTF-8 text".into())),
                }
            }
        }
    }

    /// A warning for each variable that looks like ours and is not.
    pub(crate) fn warnings(&self) -> Vec<String> {
        // In Tekton's environment there is one that is for Tekton.
        let known: Vec<String> = keys()
            .map(Key::variable)
            .chain([CONFIG.to_owned(), stanza::own().port_variable()])
            .collect();
        let strange = |name: &&String| name.starts_with(PREFIX) && !known.contains(name);
        let warning = |name: &String| {
            let near = nearest(name, known.iter().cloned());
            let advice = near.map_or_else(String::new, |near| {
                format!("; the nearest that exists is {near}")
            });
            format!("the variable {name} means nothing to this program{advice}")
        };
        self.0.keys().filter(strange).map(warning).collect()
    }
}

impl FromIterator<(String, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}
