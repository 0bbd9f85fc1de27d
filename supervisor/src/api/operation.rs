//! An operation: one method on one path. Its route and what the document says of it are one value, so that neither
//! can be without the other.
//!
//! A request with a query parameter that the operation does not describe is refused: a misspelt `?stric=true` must not
//! silently mean something else.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::api::Api;
use crate::api::problem::{Code, Problem};
use crate::registry::names::nearest;

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// An operation.
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// With `{name}` for the container's name.
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    /// The group it belongs to, one of [`crate::api::document::TAGS`].
    pub(crate) tag: &'static str,
    /// One line.
    pub(crate) summary: &'static str,
    /// What else is to be said; may be empty.
    pub(crate) description: &'static str,
    /// Whether it changes anything: over TCP that takes a token.
    pub(crate) acts: bool,
    /// A struct whose fields are the query's parameters; None where it takes none.
    pub(crate) query: Option<SchemaOf>,
    /// The request's JSON body; None where it takes none.
    pub(crate) body: Option<SchemaOf>,
    /// Request headers with a meaning of their own: name and description.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) answers: Vec<Answered>,
    /// Besides those that every operation may end in.
    pub(crate) problems: Vec<Code>,
    route: MethodRouter<Arc<Api>>,
}

/// A way in which an operation answers.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    /// When.
    pub(crate) meaning: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) schema: SchemaOf,
}

impl Operation {
    /// Something to look at. HEAD works too.
    pub(crate) fn get<H, T>(path: &'static str, id: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<Api>>,
        T: 'static,
    {
        Self::new(Method::GET, path, id, get(handler))
    }

    /// Something to be done or asked.
    pub(crate) fn post<H, T>(path: &'static str, id: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<Api>>,
        T: 'static,
    {
        Self::new(Method::POST, path, id, post(handler))
    }

    fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        route: MethodRouter<Arc<Api>>,
    ) -> Self {
        Self {
            method,
            path,
            id,
            tag: "",
            summary: "",
            description: "",
            acts: false,
            query: None,
            body: None,
            headers: Vec::new(),
            answers: Vec::new(),
            problems: Vec::new(),
            route,
        }
    }

    /// What it is, in one line, and which group it belongs to.
    pub(crate) fn is(self, tag: &'static str, summary: &'static str) -> Self {
        Self {
            tag,
            summary,
            ..self
        }
    }

    /// What else is to be said.
    pub(crate) fn described(self, description: &'static str) -> Self {
        Self {
            description,
            ..self
        }
    }

    /// It changes something.
    pub(crate) fn acting(self) -> Self {
        Self { acts: true, ..self }
    }

    /// Its query's parameters are the fields of `T`.
    pub(crate) fn takes<T: JsonSchema>(self) -> Self {
        let query: SchemaOf = T::json_schema;
        Self {
            query: Some(query),
            ..self
        }
    }

    /// It takes `T` as JSON.
    pub(crate) fn reads<T: JsonSchema>(self) -> Self {
        Self {
            body: Some(|schemas| schemas.subschema_for::<T>()),
            ..self
        }
    }

    /// It heeds a request header.
    pub(crate) fn heeds(mut self, name: &'static str, description: &'static str) -> Self {
        self.headers.push((name, description));
        self
    }

    /// It answers with `T` as JSON.
    pub(crate) fn answers<T: JsonSchema>(self, status: StatusCode, meaning: &'static str) -> Self {
        self.answers_as::<T>(status, meaning, "application/json")
    }

    /// It answers with `T` in some other form.
    pub(crate) fn answers_as<T: JsonSchema>(
        mut self,
        status: StatusCode,
        meaning: &'static str,
        media_type: &'static str,
    ) -> Self {
        self.answers.push(Answered {
            status,
            meaning,
            media_type,
            schema: |schemas| schemas.subschema_for::<T>(),
        });
        self
    }

    /// It may end in these.
    pub(crate) fn fails(mut self, codes: &[Code]) -> Self {
        self.problems.extend(codes);
        self
    }

    /// Puts it on its path.
    pub(crate) fn route(self, router: Router<Arc<Api>>) -> Router<Arc<Api>> {
        let known = Arc::new(self.parameters());
        let refuse = middleware::from_fn_with_state(known, refuse_unknown_parameters);
        router.route(self.path, self.route.route_layer(refuse))
    }

    /// The names of its query's parameters.
    pub(crate) fn parameters(&self) -> Vec<String> {
        let mut schemas = SchemaGenerator::default();
        let schema = self.query.map(|query| query(&mut schemas));
        let properties = schema.as_ref().and_then(|schema| schema.get("properties"));
        let properties = properties.and_then(|properties| properties.as_object());
        properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    }
}

async fn refuse_unknown_parameters(
    State(known): State<Arc<Vec<String>>>,
    request: Request,
    next: Next,
) -> Response {
    // Where the query cannot be read, whoever reads it tells so; where nobody does, it is unknown as a whole.
    let given = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let unknown = match given {
        Ok(Query(given)) => given
            .into_iter()
            .map(|(name, _)| name)
            .find(|name| !known.contains(name)),
        Err(_) if known.is_empty() => request.uri().query().map(str::to_owned),
        Err(_) => None,
    };
    match unknown {
        Some(name) => unknown_parameter(&name, &known).into_response(),
        None => next.run(request).await,
    }
}

fn unknown_parameter(name: &str, known: &[String]) -> Problem {
    let near = nearest(known.iter().map(String::as_str), name);
    let name = diogenes_proto::untrusted::escape(name);
    let others = match known {
        [] => "it takes none".to_owned(),
        known => format!("there are {}", known.join(", ")),
    };
    let detail = format!("there is no query parameter \"{name}\" here; {others}");
    Problem {
        near,
        ..Problem::of(Code::BadQuery, detail)
    }
}
