//! Which containers are attended: `(facts, policy, hand) → verdict`, without clock, task or Engine.
//!
//! The first that has an opinion decides:
//!
//! 1. a person, by `diogenes attach` or `diogenes detach`;
//! 2. the container's own label, [`ATTACH_LABEL`];
//! 3. `attach.exclude`, the first pattern that fits;
//! 4. `attach.include`, likewise;
//! 5. `attach.default`, where it is given;
//! 6. `attach.include` again: who names some means no others. Where it names none, all are attended.
//!
//! What is nearer to the container goes over what is further away, and no over yes.

use diogenes_engine::ContainerFacts;

use crate::attendants::name_pattern::NamePattern;
use crate::config::Attach;

/// The label by which a container's owner refuses (`false`) or wants (`true`) a companion.
pub(crate) const ATTACH_LABEL: &str = "io.diogenes.attach";

/// What a person said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hand {
    /// A companion shall be there: holds as long as the supervisor lives.
    Attach,
    /// None shall be there: remembered over restarts.
    Detach,
}

/// Who decided, and thereby what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A person.
    Hand(Hand),
    /// The container's label.
    Label(bool),
    /// A pattern of `attach.exclude`.
    Exclude(NamePattern),
    /// A pattern of `attach.include`.
    Include(NamePattern),
    /// `attach.default`, or what holds where nothing was configured at all.
    Default(bool),
    /// No pattern of `attach.include`, which has some.
    NotIncluded,
}

impl Verdict {
    /// Whether the container is to have a companion.
    pub(crate) fn wants(&self) -> bool {
        match self {
            Self::Hand(hand) => *hand == Hand::Attach,
            Self::Label(wanted) | Self::Default(wanted) => *wanted,
            Self::Exclude(_) | Self::NotIncluded => false,
            Self::Include(_) => true,
        }
    }

    /// Who decided, as a stable word.
    pub(crate) fn rule(&self) -> &'static str {
        match self {
            Self::Hand(_) => "hand",
            Self::Label(_) => "label",
            Self::Exclude(_) => "exclude",
            Self::Include(_) | Self::NotIncluded => "include",
            Self::Default(_) => "default",
        }
    }

    /// The pattern that decided; None where none did.
    pub(crate) fn pattern(&self) -> Option<&NamePattern> {
        match self {
            Self::Exclude(pattern) | Self::Include(pattern) => Some(pattern),
            Self::Hand(_) | Self::Label(_) | Self::Default(_) | Self::NotIncluded => None,
        }
    }

    /// The same as a sentence without its full stop.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Hand(Hand::Attach) => "attached by hand".into(),
            Self::Hand(Hand::Detach) => "detached by hand".into(),
            Self::Label(true) => {
                format!("the container's label {ATTACH_LABEL}=true asks for a companion")
            }
            Self::Label(false) => {
                format!("the container's label {ATTACH_LABEL}=false asks for no companion")
            }
            Self::Exclude(pattern) => format!("excluded by attach.exclude {pattern:?}"),
            Self::Include(pattern) => format!("included by attach.include {pattern:?}"),
            Self::Default(wanted) => {
                format!("nothing names this container, and attach.default is {wanted}")
            }
            Self::NotIncluded => "attach.include names others, and not this container".into(),
        }
    }
}

/// Decides on one container.
pub(crate) fn judge(facts: &ContainerFacts, policy: &Attach, hand: Option<Hand>) -> Verdict {
    let fitting = |patterns: &[NamePattern]| {
        let fits = |pattern: &&NamePattern| pattern.fits(&facts.name, &facts.image);
        patterns.iter().find(fits).cloned()
    };
    None.or_else(|| hand.map(Verdict::Hand))
        .or_else(|| label(facts).ok().flatten().map(Verdict::Label))
        .or_else(|| fitting(&policy.exclude).map(Verdict::Exclude))
        .or_else(|| fitting(&policy.include).map(Verdict::Include))
        .or_else(|| policy.default.map(Verdict::Default))
        .unwrap_or(if policy.include.is_empty() {
            Verdict::Default(true)
        } else {
            Verdict::NotIncluded
        })
}

/// What the container's label says; None where it has none.
///
/// # Errors
/// Its value where that is neither `true` nor `false`: it then counts as not set.
pub(crate) fn label(facts: &ContainerFacts) -> Result<Option<bool>, &str> {
    match facts.labels.get(ATTACH_LABEL).map(String::as_str) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(strange) => Err(strange),
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
