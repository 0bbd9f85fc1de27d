//! The HTTP interface: the same answers on the Unix socket and on TCP, acting only on the Unix socket.
//!
//! Who may open the socket may act: that is a matter of file permissions. Anything on the machine, a browser
//! included, can reach a loopback port: there one may look and ask, and a `Host` header that is not a loopback
//! name is refused, so that no web page can get in by DNS rebinding.

pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod problem;
pub(crate) mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use diogenes_proto::Health;
use diogenes_proto::request::MAX_QUESTION_BYTES;
use serde::{Deserialize, Serialize};

use crate::api::problem::Problem;
use crate::api::view::{AnswerView, ContainerView, StatusView};
use crate::attendants::Attendants;
use crate::registry::names::resolve;
use crate::registry::{Entry, Registry};
use crate::relay::Relay;
use crate::supervisor::Supervisor;

/// Longest request body.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest time for one request, an attach included.
const REQUEST_DEADLINE: Duration = Duration::from_secs(15);
/// How long attach and detach wait for their end before they tell how far things are.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);

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
}

/// The body of a question.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    /// In words.
    pub(crate) question: String,
}

/// The interface for the Unix socket: everything.
pub(crate) fn local(api: Arc<Api>) -> Router {
    let acting = Router::new()
        .route("/api/v1/containers/{name}/attach", post(attach))
        .route("/api/v1/containers/{name}/detach", post(detach));
    finish(reading().merge(acting), api)
}

/// The interface for TCP: looking and asking.
pub(crate) fn tcp(api: Arc<Api>) -> Router {
    let acting = Router::new()
        .route("/api/v1/containers/{name}/attach", post(only_local))
        .route("/api/v1/containers/{name}/detach", post(only_local));
    finish(reading().merge(acting), api).layer(middleware::from_fn(refuse_foreign_hosts))
}

fn reading() -> Router<Arc<Api>> {
    Router::new()
        .route("/health", get(own_health))
        .route("/api/v1/containers", get(containers))
        .route("/api/v1/containers/{name}", get(container))
        .route("/api/v1/containers/{name}/ask", post(ask))
}

fn finish(router: Router<Arc<Api>>, api: Arc<Api>) -> Router {
    router
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(limit_time))
        .with_state(api)
}

async fn own_health(State(api): State<Arc<Api>>) -> Response {
    let told = health::health(&api.supervisor, &api.registry);
    // Tekton takes any 200 for health.
    let status = if told.status == Health::Unhealthy {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (status, Json(told)).into_response()
}

async fn containers(State(api): State<Arc<Api>>) -> Json<StatusView> {
    let containers = api
        .registry
        .all()
        .iter()
        .map(|entry| ContainerView::new(entry))
        .collect();
    Json(StatusView {
        containers,
        supervisor: api.supervisor.view(&api.registry.engine()),
    })
}

async fn container(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Json<ContainerView>, Problem> {
    Ok(Json(ContainerView::new(&*api.find(&name)?)))
}

async fn ask(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    body: Result<Json<Question>, JsonRejection>,
) -> Result<Json<AnswerView>, Problem> {
    let Json(Question { question }) = body.map_err(|error| {
        let status = error.status();
        let code = if status == StatusCode::PAYLOAD_TOO_LARGE {
            "too_large"
        } else {
            "bad_request"
        };
        Problem::new(
            status,
            code,
            format!(
                "a question is {{\"question\":\"…\"}} as application/json: {}",
                error.body_text()
            ),
        )
    })?;
    if question.trim().is_empty() || question.len() > MAX_QUESTION_BYTES {
        let detail = format!("a question has between 1 and {MAX_QUESTION_BYTES} bytes");
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_question",
            detail,
        ));
    }
    Ok(Json(api.relay.ask(&*api.find(&name)?, &question).await))
}

async fn attach(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Json<ContainerView>, Problem> {
    let entry = api.find(&name)?;
    if !entry.facts.state.has_processes() {
        let reason = entry.presence.reason(&entry.facts, entry.presence_since);
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "not_running",
            format!("nothing to attach to: {reason}"),
        ));
    }
    let view = api
        .settle(&entry, api.attendants.attach(&entry.facts.id))
        .await?;
    if view.state == "absent" {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "attach_failed",
            format!("{}: {}", view.name, view.reason),
        ));
    }
    Ok(Json(view))
}

async fn detach(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Json<ContainerView>, Problem> {
    let entry = api.find(&name)?;
    Ok(Json(
        api.settle(&entry, api.attendants.detach(&entry.facts.id))
            .await?,
    ))
}

async fn only_local() -> Problem {
    let detail = "attach and detach are offered only on the Unix socket, api.sock in the supervisor's run directory";
    Problem::new(StatusCode::FORBIDDEN, "only_local", detail)
}

async fn nowhere() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_page",
        "there is /health, and /api/v1/containers[/{name}[/ask]]",
    )
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "facts are got with GET; ask, attach and detach take POST",
    )
}

impl Api {
    fn find(&self, name: &str) -> Result<Arc<Entry>, Problem> {
        Ok(resolve(&self.registry.all(), name)?)
    }

    /// Waits until what was asked for has come about, or failed, or takes too long.
    async fn settle(
        &self,
        entry: &Entry,
        act: impl Future<Output = ()>,
    ) -> Result<ContainerView, Problem> {
        let id = &entry.facts.id;
        let gone = || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no_such_container",
                format!("{} was deleted meanwhile", entry.facts.name),
            )
        };
        let mut changes = self.registry.subscribe();
        act.await;
        let settled = async {
            loop {
                let entry = self.registry.get(id).ok_or_else(gone)?;
                if entry.presence.is_settled() || changes.changed().await.is_err() {
                    return Ok(());
                }
            }
        };
        if let Ok(Err(problem)) = tokio::time::timeout(SETTLE_DEADLINE, settled).await {
            return Err(problem);
        }
        self.registry
            .get(id)
            .map(|entry| ContainerView::new(&entry))
            .ok_or_else(gone)
    }
}

async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("no result within {} s", REQUEST_DEADLINE.as_secs());
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "too_slow", detail).into_response()
        }
    }
}

async fn refuse_foreign_hosts(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if host.is_some_and(is_loopback_host) {
        return next.run(request).await;
    }
    let detail = "the Host header must name this machine's loopback: localhost, 127.0.0.1 or [::1]";
    Problem::new(StatusCode::FORBIDDEN, "foreign_host", detail).into_response()
}

/// Whether a `Host` header, with or without port, names the loopback.
fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
            _ => return false,
        },
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
