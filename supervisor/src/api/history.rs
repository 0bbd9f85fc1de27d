//! A container's recent past.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use diogenes_proto::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::api::asked::{Asked, Limit, NAMING, Named};
use crate::api::document::CONTAINERS;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::registry::history::Sample;
use crate::registry::journal::Event;

/// How much is told.
#[derive(Debug, Deserialize, JsonSchema)]
struct Length {
    /// Events, and samples, at most: the newest of each. Without it, all that are kept.
    #[schemars(with = "Limit")]
    limit: Option<Limit>,
}

/// A container's recent past, the oldest first.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "History")]
pub(crate) struct HistoryView {
    /// The container's name.
    pub(crate) container: String,
    /// Its companion's name.
    pub(crate) ci_name: String,
    /// What changed.
    pub(crate) events: Vec<Event>,
    /// Its figures, about every 30 s while its companion reports.
    pub(crate) samples: Vec<SampleView>,
}

/// A container's figures at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Sample")]
pub(crate) struct SampleView {
    /// When.
    pub(crate) at: Timestamp,
    /// Memory in bytes; null where unknown.
    pub(crate) memory_bytes: Option<u64>,
    /// CPU in percent of one core; null where unknown.
    pub(crate) cpu_percent: Option<f32>,
    /// Processes.
    pub(crate) processes: u32,
}

impl From<&Sample> for SampleView {
    fn from(sample: &Sample) -> Self {
        Self {
            at: sample.at,
            memory_bytes: sample.memory_bytes(),
            cpu_percent: sample.cpu_percent(),
            processes: sample.processes,
        }
    }
}

/// What is told.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/containers/{name}/history", "history", history)
            .is(CONTAINERS, "A container's recent past")
            .described("Its last changes and an hour of figures, in memory: a restart of the supervisor forgets them.")
            .takes::<Length>()
            .answers::<HistoryView>(StatusCode::OK, "The past, the oldest first.")
            .fails(NAMING),
    ]
}

async fn history(
    State(api): State<Arc<Api>>,
    Named(entry): Named,
    Asked(Length { limit }): Asked<Length>,
) -> Result<Json<HistoryView>, Problem> {
    let history = api.registry.history(&entry.facts.id).ok_or_else(|| {
        let detail = format!("{} was deleted meanwhile", entry.facts.name);
        Problem::of(Code::NoSuchContainer, detail)
    })?;
    let limit = limit.map_or(usize::MAX, Limit::get);
    let mut events: Vec<Event> = history
        .events()
        .rev()
        .take(limit)
        .map(|event| Event::clone(event))
        .collect();
    let mut samples: Vec<SampleView> = history
        .samples()
        .rev()
        .take(limit)
        .map(SampleView::from)
        .collect();
    events.reverse();
    samples.reverse();
    Ok(Json(HistoryView {
        container: entry.facts.name.clone(),
        ci_name: entry.ci_name(),
        events,
        samples,
    }))
}
