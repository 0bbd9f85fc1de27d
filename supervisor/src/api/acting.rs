//! Bringing a companion in, and sending it away.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::api::Api;
use crate::api::asked::{NAMING, Named};
use crate::api::document::ACTING;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::api::view::ContainerView;
use crate::registry::Entry;

/// How long attach and detach wait for their end before they tell how far things are.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);

/// What is done.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/api/v1/containers/{name}/attach", "attach", attach)
            .is(ACTING, "Brings a companion into a container")
            .described("Waits until it is there; also where one was sent away by hand, or label or configuration say no.")
            .acting()
            .answers::<ContainerView>(StatusCode::OK, "The container with its companion.")
            .fails(NAMING)
            .fails(&[Code::NotRunning, Code::AttachFailed]),
        Operation::post("/api/v1/containers/{name}/detach", "detach", detach)
            .is(ACTING, "Sends a container's companion away")
            .described("It stays away until it is attached again, over restarts of the container and the supervisor.")
            .acting()
            .answers::<ContainerView>(StatusCode::OK, "The container without its companion.")
            .fails(NAMING),
    ]
}

async fn attach(
    State(api): State<Arc<Api>>,
    Named(entry): Named,
) -> Result<Json<ContainerView>, Problem> {
    if !entry.facts.state.has_processes() {
        let reason = entry.presence.reason(&entry.facts, entry.presence_since);
        let detail = format!("nothing to attach to: {reason}");
        return Err(Problem::of(Code::NotRunning, detail));
    }
    let view = settle(&api, &entry, api.attendants.attach(&entry.facts.id)).await?;
    if view.state == "absent" {
        let detail = format!("{}: {}", view.name, view.reason);
        return Err(Problem::of(Code::AttachFailed, detail));
    }
    Ok(Json(view))
}

async fn detach(
    State(api): State<Arc<Api>>,
    Named(entry): Named,
) -> Result<Json<ContainerView>, Problem> {
    let act = api.attendants.detach(&entry.facts.id);
    Ok(Json(settle(&api, &entry, act).await?))
}

/// Waits until what was asked for has come about, or failed, or takes too long.
async fn settle(
    api: &Api,
    entry: &Entry,
    act: impl Future<Output = ()>,
) -> Result<ContainerView, Problem> {
    let id = &entry.facts.id;
    let gone = || {
        let detail = format!("{} was deleted meanwhile", entry.facts.name);
        Problem::of(Code::NoSuchContainer, detail)
    };
    let mut changes = api.registry.subscribe();
    act.await;
    let settled = async {
        loop {
            let entry = api.registry.get(id).ok_or_else(gone)?;
            if entry.presence.is_settled() || changes.changed().await.is_err() {
                return Ok(());
            }
        }
    };
    if let Ok(Err(problem)) = tokio::time::timeout(SETTLE_DEADLINE, settled).await {
        return Err(problem);
    }
    api.registry
        .get(id)
        .map(|entry| ContainerView::new(&entry))
        .ok_or_else(gone)
}
