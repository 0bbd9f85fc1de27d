//! Errors over HTTP: problem details, RFC 9457.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::names::NameError;

/// Declares the kinds of problem: each stands here once, with its status and its meaning.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $word:literal $status:ident $meaning:literal)+) => {
        /// A kind of problem. Its word is for programs and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $(#[doc = $meaning] $name,)+
        }

        impl Code {
            /// Every kind.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];

            /// The word.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The status it comes with.
            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// When it comes.
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }
        }
    };
}

codes! {
    BadQuery "bad_query" BAD_REQUEST "a query parameter is not known here, or its value cannot be"
    BadName "bad_name" BAD_REQUEST "the name in the path is not UTF-8"
    BadBody "bad_body" BAD_REQUEST "the body is no JSON"
    TokenMissing "token_missing" UNAUTHORIZED "over TCP, where tokens are configured: the request brings none"
    WrongToken "wrong_token" UNAUTHORIZED "over TCP: the request brings a token that is not one of those configured"
    OnlyLocal "only_local" FORBIDDEN "over TCP without a token: this is offered on the Unix socket only"
    ForeignHost "foreign_host" FORBIDDEN "over TCP without a token: the Host header names another machine"
    NoSuchPage "no_such_page" NOT_FOUND "nothing is at this path"
    NoSuchContainer "no_such_container" NOT_FOUND "no container has this name, id or CI name; `near` has similar names"
    NoSuchService "no_such_service" NOT_FOUND "no service of the container has this key, kind or name; `near` has similar ones"
    NoSuchSnapshot "no_such_snapshot" NOT_FOUND "the companion has no such snapshot any more, or no such page in it: ask without `hash` for a new one"
    WrongMethod "wrong_method" METHOD_NOT_ALLOWED "the path is there and does not take this method; the header Allow has those it takes"
    AmbiguousName "ambiguous_name" CONFLICT "several ids begin like this; `near` has them"
    NoCompanion "no_companion" CONFLICT "no companion is in the container to be asked; `detail` says why"
    NotRunning "not_running" CONFLICT "the container has no processes to attach to"
    AttachFailed "attach_failed" CONFLICT "no companion could be brought in"
    TooLarge "too_large" PAYLOAD_TOO_LARGE "the body is longer than any request needs"
    WrongMediaType "wrong_media_type" UNSUPPORTED_MEDIA_TYPE "the body is not said to be application/json"
    BadQuestion "bad_question" UNPROCESSABLE_ENTITY "the body is JSON and no question, or one that is empty or too long"
    MetricsFailed "metrics_failed" INTERNAL_SERVER_ERROR "the metrics could not be written; the supervisor's log says why"
    StrangeCompanion "strange_companion" BAD_GATEWAY "the companion answered what makes no sense"
    NotReady "not_ready" SERVICE_UNAVAILABLE "the Engine has not answered yet; of a companion: none has reported"
    CompanionBusy "companion_busy" SERVICE_UNAVAILABLE "the companion has too many questions waiting: ask again later"
    TooManyFollowers "too_many_followers" SERVICE_UNAVAILABLE "no more can follow the events, or read logs, at one time"
    CompanionSlow "companion_slow" GATEWAY_TIMEOUT "the companion did not answer in time"
    TooSlow "too_slow" GATEWAY_TIMEOUT "no result in time"
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Problem {
    /// Where its kind is described: a reference into this document, `/openapi.json#/…`.
    #[serde(rename = "type")]
    #[schemars(extend("format" = "uri-reference"))]
    pub(crate) kind: Box<str>,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The status in words.
    pub(crate) title: Box<str>,
    /// The kind of problem, for programs: one of `x-problems`.
    pub(crate) code: String,
    /// What happened and what mends it.
    pub(crate) detail: String,
    /// Names that may have been meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) near: Vec<String>,
}

impl Problem {
    /// A problem of a kind.
    pub(crate) fn of(code: Code, detail: impl Into<String>) -> Self {
        let status = code.status();
        Self {
            kind: format!("/openapi.json#/x-problems/{}", code.as_str()).into(),
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("error").into(),
            code: code.as_str().to_owned(),
            detail: detail.into(),
            near: Vec::new(),
        }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        let code = match error {
            NameError::NotFound { .. } => Code::NoSuchContainer,
            NameError::Ambiguous { .. } => Code::AmbiguousName,
        };
        Self {
            near: error.near().to_vec(),
            ..Self::of(code, error.to_string())
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
