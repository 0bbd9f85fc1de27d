//! `GET /discovery`, in the shape the platform expects of a component.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::health::COMPONENT_NAME;
use crate::api::operation::Operation;
use crate::supervisor::Supervisor;

/// What a component offers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Discovery {
    /// Its name.
    component: String,
    /// Its version.
    version: String,
    /// What it is for.
    description: String,
    /// All operations.
    endpoints: Vec<Endpoint>,
    /// What it can be asked for by name.
    capabilities: Vec<String>,
    /// Components it cannot do without.
    dependencies: Vec<String>,
    /// Where to learn more.
    metadata: Metadata,
}

/// An operation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Endpoint {
    /// With `{name}` for a container's name.
    path: String,
    /// GET or POST.
    method: String,
    /// What it does.
    description: String,
    /// The groups it belongs to.
    tags: Vec<String>,
}

/// Where to learn more.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Metadata {
    /// The path of the OpenAPI document.
    openapi: String,
}

impl Discovery {
    /// Of these operations.
    pub(crate) fn of(operations: &[Operation]) -> Self {
        let endpoint = |operation: &Operation| Endpoint {
            path: operation.path.to_owned(),
            method: operation.method.to_string(),
            description: operation.summary.to_owned(),
            tags: vec![operation.tag.to_owned()],
        };
        Self {
            component: COMPONENT_NAME.to_owned(),
            version: Supervisor::VERSION.to_owned(),
            description: "Tells how the containers of this host fare, in words and as data"
                .to_owned(),
            endpoints: operations.iter().map(endpoint).collect(),
            capabilities: vec!["container_ci".to_owned()],
            dependencies: Vec::new(),
            metadata: Metadata {
                openapi: "/openapi.json".to_owned(),
            },
        }
    }
}
