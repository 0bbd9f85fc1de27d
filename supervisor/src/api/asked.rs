//! What a request brings, read strictly: every mistake in it becomes a [`Problem`] that says what is right.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::api::Api;
use crate::api::problem::{Code, Problem};
use crate::registry::Entry;

/// The container that the path names.
pub(crate) struct Named(pub(crate) Arc<Entry>);

impl FromRequestParts<Arc<Api>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|error| Problem::of(Code::BadName, error.body_text()))?;
        Ok(Self(api.find(&name)?))
    }
}

/// What [`Named`] may fail in.
pub(crate) const NAMING: &[Code] = &[Code::BadName, Code::NoSuchContainer, Code::AmbiguousName];

/// How many items are wanted at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(u16);

impl Limit {
    /// The most that may be wanted.
    const MOST: u16 = 1000;

    /// The number.
    pub(crate) fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer)? {
            limit @ 1..=Self::MOST => Ok(Self(limit)),
            limit => Err(D::Error::custom(format!(
                "{limit} is not between 1 and {}",
                Self::MOST
            ))),
        }
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": Self::MOST })
    }
}

/// The query's parameters.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Api>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|error| Problem::of(Code::BadQuery, error.body_text()))
    }
}

/// The body, as JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        match Json::from_request(request, api).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(error) => {
                let code = match &error {
                    JsonRejection::JsonDataError(_) => Code::BadQuestion,
                    JsonRejection::MissingJsonContentType(_) => Code::WrongMediaType,
                    error if error.status() == Code::TooLarge.status() => Code::TooLarge,
                    _ => Code::BadBody,
                };
                let what = "the body is {\"question\":\"…\"} as application/json";
                Err(Problem::of(code, format!("{what}: {}", error.body_text())))
            }
        }
    }
}
