//! The supervisor itself: how it is, and what it offers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alerts::{Alerts, DeliveryState};
use crate::api::census::Census;
use crate::api::document::{SUPERVISOR, openapi};
use crate::api::operation::Operation;
use crate::api::view::SupervisorView;
use crate::api::{Api, operations as all};
use crate::supervisor::cost::Cost;
use crate::tekton::hermes::HermesView;

/// The supervisor, with its work and its cost.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SupervisorState")]
struct StateView {
    #[serde(flatten)]
    supervisor: SupervisorView,
    /// What it looks after.
    census: Census,
    /// What it costs.
    cost: Cost,
    /// How telling of changes goes.
    alerts: AlertsView,
    /// How registering with Hermes goes; null where none is configured.
    hermes: Option<HermesView>,
}

/// How alerts fare, by receiver; null where none is configured.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Alerts")]
struct AlertsView {
    /// The calls of `alerts.webhook`.
    webhook: Option<DeliveryState>,
    /// The runs of `alerts.on_change`.
    on_change: Option<DeliveryState>,
}

impl From<&Alerts> for AlertsView {
    fn from(alerts: &Alerts) -> Self {
        Self {
            webhook: alerts.webhook(),
            on_change: alerts.on_change(),
        }
    }
}

/// What is told.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/supervisor", "supervisor", supervisor)
            .is(SUPERVISOR, "The supervisor's own state")
            .answers::<StateView>(StatusCode::OK, "Its state."),
        Operation::get("/openapi.json", "openapi", document)
            .is(SUPERVISOR, "This document")
            .answers::<serde_json::Map<String, serde_json::Value>>(
                StatusCode::OK,
                "The OpenAPI 3.1 document.",
            ),
    ]
}

async fn supervisor(State(api): State<Arc<Api>>) -> Json<StateView> {
    Json(StateView {
        supervisor: api.supervisor.view(&api.registry.engine()),
        census: Census::of(&api.registry),
        cost: Cost::now(),
        alerts: AlertsView::from(&*api.supervisor.alerts),
        hermes: api.supervisor.hermes.as_ref().map(|hermes| hermes.view()),
    })
}

async fn document() -> Response {
    // Made anew each time: it takes milliseconds, and hardly anybody asks for it twice.
    Json(openapi(&all())).into_response()
}
