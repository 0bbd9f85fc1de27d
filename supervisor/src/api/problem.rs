//! Errors over HTTP: problem details, RFC 9457.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::registry::names::NameError;

/// A problem. `code` is for programs and never changes its meaning; `detail` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The status in words.
    pub(crate) title: String,
    /// `no_such_container`, `ambiguous_name`, `bad_request`, `attach_failed`, …
    pub(crate) code: String,
    /// What happened and what mends it.
    pub(crate) detail: String,
    /// Names that may have been meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) near: Vec<String>,
}

impl Problem {
    /// A problem with a status and a code.
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("error").to_owned();
        Self {
            status: status.as_u16(),
            title,
            code: code.to_owned(),
            detail: detail.into(),
            near: Vec::new(),
        }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        let (status, code) = match error {
            NameError::NotFound { .. } => (StatusCode::NOT_FOUND, "no_such_container"),
            NameError::Ambiguous { .. } => (StatusCode::CONFLICT, "ambiguous_name"),
        };
        Self {
            near: error.near().to_vec(),
            ..Self::new(status, code, error.to_string())
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            Json(self),
        )
            .into_response()
    }
}
