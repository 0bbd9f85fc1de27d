//! Which container a person means: by name, CI name, id, or the beginning of an id.

use std::collections::HashMap;
use std::sync::Arc;

use crate::registry::{CI_SUFFIX, Entry};

/// Near matches named at most.
const MAX_NEAR: usize = 3;

/// Why a name means no container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// None is called like this.
    #[error("no container is called \"{}\"{}", diogenes_proto::untrusted::escape(.name), hint(.near))]
    NotFound {
        /// The name as it was given.
        name: String,
        /// Names that look like it, the nearest first.
        near: Vec<String>,
    },
    /// Several begin with this.
    #[error("\"{name}\" is the beginning of several ids: {}", .matches.join(", "))]
    Ambiguous {
        /// What was given.
        name: String,
        /// The names it may mean.
        matches: Vec<String>,
    },
}

impl NameError {
    /// Names the person may have meant.
    pub(crate) fn near(&self) -> &[String] {
        match self {
            Self::NotFound { near, .. } => near,
            Self::Ambiguous { matches, .. } => matches,
        }
    }
}

fn hint(near: &[String]) -> String {
    if near.is_empty() {
        "; diogenes ls lists all".into()
    } else {
        format!("; did you mean {}?", near.join(" or "))
    }
}

/// Finds the container a person means. An exact name wins over a CI name, this over an id, this over its beginning;
/// a CI name is found in any case, because aish lowers it.
///
/// # Errors
/// See [`NameError`].
pub(crate) fn resolve(all: &[Arc<Entry>], name: &str) -> Result<Arc<Entry>, NameError> {
    let container = name.strip_suffix(CI_SUFFIX);
    let find = |matches: &dyn Fn(&Entry) -> bool| all.iter().find(|entry| matches(entry)).cloned();
    let exact = find(&|entry| entry.facts.name == name)
        .or_else(|| find(&|entry| container == Some(&entry.facts.name)))
        .or_else(|| find(&|entry| entry.facts.id == name));
    if let Some(entry) = exact {
        return Ok(entry);
    }
    let loosely: [&dyn Fn(&Entry) -> bool; 2] = [
        &|entry| {
            container.is_some_and(|container| entry.facts.name.eq_ignore_ascii_case(container))
        },
        &|entry| {
            name.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !name.is_empty()
                && entry.facts.id.starts_with(name)
        },
    ];
    for matches in loosely {
        let found: Vec<_> = all.iter().filter(|entry| matches(entry)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(Arc::clone(one)),
            several => {
                let matches = several
                    .iter()
                    .map(|entry| format!("{} ({})", entry.facts.name, entry.facts.short_id()));
                return Err(NameError::Ambiguous {
                    name: name.to_owned(),
                    matches: matches.take(8).collect(),
                });
            }
        }
    }
    Err(NameError::NotFound {
        name: name.to_owned(),
        near: near(all, container.unwrap_or(name)),
    })
}

/// A name for each container, by id, that is no other's even where case is lost: its own, where that `fits`; else its
/// short id, or its whole id where even that is another's name. [`resolve`] finds it by each of them.
pub(crate) fn distinct<'a>(
    containers: impl IntoIterator<Item = (&'a str, &'a str)>,
    fits: impl Fn(&str) -> bool,
) -> HashMap<String, String> {
    let containers: Vec<_> = containers.into_iter().collect();
    let mut spellings: HashMap<String, usize> = HashMap::new();
    for (_, name) in &containers {
        *spellings.entry(name.to_lowercase()).or_default() += 1;
    }
    let distinct = |id: &str, name: &str| {
        let short = id.get(..12).unwrap_or(id);
        if fits(name) && spellings.get(&name.to_lowercase()) == Some(&1) {
            name.to_owned()
        } else if !spellings.contains_key(short) {
            short.to_owned()
        } else {
            id.to_owned()
        }
    };
    containers
        .iter()
        .map(|(id, name)| ((*id).to_owned(), distinct(id, name)))
        .collect()
}

/// The containers' names most like this one.
fn near(all: &[Arc<Entry>], name: &str) -> Vec<String> {
    nearest(all.iter().map(|entry| entry.facts.name.as_str()), name)
}

/// The names most like this one, the nearest first.
pub(crate) fn nearest<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Vec<String> {
    // Whoever asks with a megabyte gets no help: the comparison takes time by the product of the lengths.
    if name.len() > 256 {
        return Vec::new();
    }
    let lower = name.to_lowercase();
    let mut near: Vec<(f64, &str)> = names
        .map(|known| {
            let other = known.to_lowercase();
            let contains = !lower.is_empty() && (other.contains(&lower) || lower.contains(&other));
            let likeness = if contains {
                1.0
            } else {
                strsim::jaro_winkler(&lower, &other)
            };
            (likeness, known)
        })
        .filter(|(likeness, _)| *likeness >= 0.75)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup();
    near.into_iter()
        .take(MAX_NEAR)
        .map(|(_, name)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use diogenes_engine::ContainerFacts;

    use super::*;
    use crate::registry::Registry;

    fn all(names: &[(&str, &str)]) -> Vec<Arc<Entry>> {
        let registry = Registry::default();
        for (id, name) in names {
            registry.set_facts(ContainerFacts {
                id: (*id).into(),
                name: (*name).into(),
                ..ContainerFacts::default()
            });
        }
        registry.all()
    }

    #[test]
    fn finds_what_is_meant() {
        let all = all(&[
            ("abc1", "shop"),
            ("abd2", "Web"),
            ("e3", "abc1x"),
            ("f4", "shop-container-ci"),
            ("05", "cafe"),
        ]);
        for (name, id) in [
            ("shop", "abc1"),
            ("shop-container-ci", "f4"),
            ("shop-container-ci-container-ci", "f4"),
            ("Web-container-ci", "abd2"),
            ("web-container-ci", "abd2"),
            ("abc1", "abc1"),
            ("abc", "abc1"),
            ("abc1x", "e3"),
            ("cafe", "05"),
        ] {
            assert_eq!(resolve(&all, name).unwrap().facts.id, id, "{name}");
        }
    }

    #[test]
    fn says_what_may_have_been_meant() {
        let all = all(&[("abc1", "redis"), ("abd2", "web"), ("e3", "postgres")]);
        let error = resolve(&all, "reddis").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no container is called \"reddis\"; did you mean redis?"
        );
        assert_eq!(
            resolve(&all, "postgers-container-ci").unwrap_err().near(),
            ["postgres"]
        );
        assert_eq!(
            resolve(&all, "zzz").unwrap_err().to_string(),
            "no container is called \"zzz\"; diogenes ls lists all"
        );
        assert!(
            matches!(resolve(&all, "ab").unwrap_err(), NameError::Ambiguous { matches, .. } if matches.len() == 2)
        );
        assert!(resolve(&all, "").is_err());
        assert!(
            resolve(&all, &"x".repeat(1 << 20))
                .unwrap_err()
                .near()
                .is_empty()
        );
    }
}
