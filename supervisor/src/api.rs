//! The HTTP interface: the same answers on the Unix socket and on TCP.
//!
//! ```text
//! operations() ─┬─► routes: local (all of them), tcp (what `access` allows)
//!               └─► the OpenAPI document, /discovery
//! ```
//!
//! Who may open the socket may act: that is a matter of file permissions. What TCP allows, [`access`] decides. There
//! are no CORS headers: a web page of another origin has no business here, and a browser then keeps it from reading
//! anything; a page that needs these facts has a server to fetch them.
//!
//! To add an operation, write its handler in a room of its kind, and name it in that room's `operations`.

pub(crate) mod access;
mod acting;
mod asked;
mod asking;
mod census;
pub(crate) mod ci;
mod component;
mod containers;
pub(crate) mod discovery;
mod document;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod http;
mod inside;
mod logs;
pub(crate) mod metrics;
mod operation;
mod own;
pub(crate) mod problem;
#[cfg(test)]
pub(crate) mod reference;
pub(crate) mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::api::access::Door;
pub(crate) use crate::api::asking::Question;
use crate::api::events::Followers;
use crate::api::metrics::Metrics;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::attendants::Attendants;
use crate::logs::Logs;
use crate::registry::names::resolve;
use crate::registry::{Entry, Registry};
use crate::relay::Relay;
use crate::supervisor::Supervisor;
use crate::tekton::specialist::Ports;

/// Longest request body.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest time until an answer begins, an attach included.
const REQUEST_DEADLINE: Duration = Duration::from_secs(15);

/// What the handlers work with.
pub(crate) struct Api {
    /// The supervisor's own facts.
    pub(crate) supervisor: Supervisor,
    /// What is known of the containers.
    pub(crate) registry: Arc<Registry>,
    /// Who attaches and detaches.
    pub(crate) attendants: Arc<Attendants>,
    /// Who asks.
    pub(crate) relay: Arc<Relay>,
    /// The texts that pollers are given.
    pub(crate) metrics: Metrics,
    /// Who follows the events.
    pub(crate) followers: Followers,
    /// What the containers write.
    pub(crate) logs: Logs,
    /// Where the companions speak as Tekton's specialists do.
    pub(crate) specialists: Arc<Ports>,
}

impl Api {
    /// The container that a person names.
    fn find(&self, name: &str) -> Result<Arc<Entry>, Problem> {
        Ok(resolve(&self.registry.all(), name)?)
    }
}

/// All there is.
fn operations() -> Vec<Operation> {
    [
        containers::operations(),
        history::operations(),
        inside::operations(),
        asking::operations(),
        acting::operations(),
        events::operations(),
        logs::operations(),
        own::operations(),
        component::operations(),
        ci::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The interface for the Unix socket: everything.
pub(crate) fn local(api: Arc<Api>) -> Router {
    bounded(whole(routes(operations())), api)
}

/// The interface for TCP: what [`access`] allows.
pub(crate) fn tcp(api: Arc<Api>, door: Door) -> Router {
    let acts = |operation: &Operation| operation.acts;
    let (acting, looking) = operations().into_iter().partition(acts);
    let acting = routes(acting).route_layer(middleware::from_fn(access::require_token));
    let admit = middleware::from_fn_with_state(door, access::admit);
    bounded(whole(routes(looking).merge(acting)).layer(admit), api)
}

fn routes(operations: Vec<Operation>) -> Router<Arc<Api>> {
    let add = |router, operation: Operation| operation.route(router);
    operations.into_iter().fold(Router::new(), add)
}

/// With an answer for all that is not routed.
fn whole(router: Router<Arc<Api>>) -> Router<Arc<Api>> {
    router
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
}

fn bounded(router: Router<Arc<Api>>, api: Arc<Api>) -> Router {
    router
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(limit_time))
        .layer(middleware::map_response(forbid_storing))
        .with_state(api)
}

async fn nowhere() -> Problem {
    Problem::of(
        Code::NoSuchPage,
        "nothing is here; GET /openapi.json describes all that is",
    )
}

async fn wrong_method() -> Problem {
    Problem::of(
        Code::WrongMethod,
        "facts are got with GET; ask, attach and detach take POST",
    )
}

async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("no result within {} s", REQUEST_DEADLINE.as_secs());
            Problem::of(Code::TooSlow, detail).into_response()
        }
    }
}

/// What was true a moment ago is not to be shown as true now.
async fn forbid_storing(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
