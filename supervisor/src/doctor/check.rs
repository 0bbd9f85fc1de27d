//! One verdict: a precondition, how it stands, and what mends it.

use serde::Serialize;

/// How a precondition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Containers can be attended, but something is limited or not certain.
    Warning,
    /// As long as this is so, containers cannot be attended, or not all of them.
    Failed,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// Its name for scripts, which stays the same.
    pub(super) id: &'static str,
    /// Its name for people.
    pub(super) title: &'static str,
    /// How it stands.
    pub(super) status: Status,
    /// What was seen.
    pub(super) detail: String,
    /// What to do; null where there is nothing to do.
    pub(super) advice: Option<String>,
}

impl Check {
    /// All is well.
    pub(super) fn ok(id: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            id,
            title,
            status: Status::Ok,
            detail: detail.into(),
            advice: None,
        }
    }

    /// Something is limited.
    pub(super) fn warning(
        id: &'static str,
        title: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Warning,
            advice: Some(advice.into()),
            ..Self::ok(id, title, detail)
        }
    }

    /// The same, where something else stands in for what is missing.
    pub(super) fn or_else(self, stands_in: bool) -> Self {
        let is_mild = stands_in && self.status == Status::Failed;
        Self {
            status: if is_mild {
                Status::Warning
            } else {
                self.status
            },
            ..self
        }
    }

    /// Something is to be mended.
    pub(super) fn failed(
        id: &'static str,
        title: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Failed,
            ..Self::warning(id, title, detail, advice)
        }
    }
}
