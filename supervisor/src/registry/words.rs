//! Changes in plain words: a word, how good that is, and a sentence.
//!
//! ```text
//! unhealthy  Redis: its process (pid 10) ended at 14:08:59
//! ```

use diogenes_proto::untrusted::escape;
use diogenes_proto::{Health, Severity};

use crate::registry::change::Change;
use crate::registry::journal::Event;

/// Columns of the word before a sentence: that of the longest usual one.
pub(crate) const WORD: usize = 9;

/// One line about a change, safe for a terminal.
#[derive(Debug)]
pub(crate) struct Words {
    /// What it is now: `unhealthy`, `running`, `gone`.
    pub(crate) word: String,
    /// How good that is, as a health; None where it is neither good nor bad.
    pub(crate) weight: Option<Health>,
    /// Whom it is about, and why.
    pub(crate) sentence: String,
}

impl Words {
    fn plain(word: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            word: word.into(),
            weight: None,
            sentence: sentence.into(),
        }
    }

    fn weighed(word: impl Into<String>, weight: Health, sentence: impl Into<String>) -> Self {
        Self {
            weight: Some(weight),
            ..Self::plain(word, sentence)
        }
    }
}

impl Event {
    /// The lines about it: what was left out before it, where something was, and what changed.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Words> {
        let omitted = (self.omitted > 0).then(|| {
            let sentence = format!(
                "{} changes before this one are left out: they came too fast",
                self.omitted
            );
            Words::plain("…", sentence)
        });
        omitted.into_iter().chain([self.change.words()])
    }
}

impl Change {
    /// The change itself.
    pub(crate) fn words(&self) -> Words {
        match self {
            Self::ContainerAppeared { image, state } => {
                let (image, state) = (escape(image), escape(state));
                Words::plain(
                    "known",
                    format!("a container of the image {image}, {state}"),
                )
            }
            Self::ContainerRemoved {} => Words::plain("removed", "the container was deleted"),
            Self::ContainerRenamed { from } => {
                let sentence = format!("the container was called {}", escape(from));
                Words::plain("renamed", sentence)
            }
            Self::ContainerState {
                from,
                to,
                exit_code,
                oom_killed,
            } => Words::plain(
                escape(to).to_string(),
                state(from, to, *exit_code, *oom_killed),
            ),
            Self::Companion { to, reason, .. } => Words::plain(
                escape(to).to_string(),
                format!("companion: {}", escape(reason)),
            ),
            Self::Health { to, reason, .. } => {
                let sentence = format!("the container as a whole: {reason}");
                Words::weighed(to.to_string(), *to, sentence)
            }
            Self::ServiceHealth {
                name,
                from,
                to,
                reason,
                ..
            } => {
                let sentence = match (from, to) {
                    (None, Some(_)) if reason.is_empty() => format!("{name} is new"),
                    (None, Some(_)) => format!("{name} is new: {reason}"),
                    (Some(from), _) if reason.is_empty() => format!("{name}, {from} before"),
                    _ => format!("{name}: {reason}"),
                };
                match to {
                    Some(to) => Words::weighed(to.to_string(), *to, sentence),
                    None => Words::plain("gone", sentence),
                }
            }
            Self::FindingOpened {
                severity, summary, ..
            } => match severity {
                Severity::Critical => {
                    Words::weighed("critical", Health::Unhealthy, summary.to_string())
                }
                Severity::Warning => {
                    Words::weighed("warning", Health::Degraded, summary.to_string())
                }
                Severity::Info => Words::plain("notice", summary.to_string()),
            },
            Self::FindingClosed { code, service } => {
                let of = service
                    .as_ref()
                    .map_or_else(String::new, |service| format!(" of {}", escape(service)));
                Words::weighed("over", Health::Healthy, format!("{}{of}", escape(code)))
            }
            Self::Engine { reachable, error } => {
                let sentence = match (reachable, error) {
                    (true, _) => "the Engine answers".to_owned(),
                    (false, None) => "the Engine does not answer".to_owned(),
                    (false, Some(error)) => {
                        format!("the Engine does not answer: {}", escape(error))
                    }
                };
                Words::plain("engine", sentence)
            }
        }
    }
}

/// What became of the container.
fn state(from: &str, to: &str, exit_code: Option<i64>, oom_killed: bool) -> String {
    let what = match (from, to) {
        ("running", "running") => "was started again",
        ("paused", "running") => "goes on",
        (_, "running") => "started",
        (_, "paused") => "is frozen",
        (_, "restarting") => "ended and will be started again",
        (_, "exited" | "dead") => "ended",
        _ => return format!("the container was {} before", escape(from)),
    };
    let mut text = format!("the container {what}");
    if let Some(code) = exit_code {
        text += &format!(", exit code {code}");
    }
    if oom_killed {
        text += ", out of memory";
    }
    text
}
