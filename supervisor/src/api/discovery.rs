//! `GET /discovery`, in the shape the platform expects of a component.

use diogenes_tekton::component::{Discovery, Endpoint};

use crate::api::health::COMPONENT_NAME;
use crate::api::operation::Operation;
use crate::supervisor::Supervisor;

/// What all of ours can do, as Tekton's programs look for it.
pub(crate) const CAPABILITY: &str = "container_ci";

/// What the supervisor offers: these operations.
pub(crate) fn own(operations: &[Operation]) -> Discovery {
    Discovery {
        component: COMPONENT_NAME.to_owned(),
        version: Supervisor::VERSION.to_owned(),
        description: "Tells how the containers of this host fare, in words and as data".to_owned(),
        endpoints: operations.iter().map(endpoint).collect(),
        capabilities: vec![CAPABILITY.to_owned()],
        dependencies: Vec::new(),
        metadata: [("openapi".to_owned(), "/openapi.json".to_owned())].into(),
    }
}

/// An operation, as it is told of.
pub(crate) fn endpoint(operation: &Operation) -> Endpoint {
    Endpoint {
        path: operation.path.to_owned(),
        method: operation.method.to_string(),
        description: operation.summary.to_owned(),
        tags: vec![operation.tag.to_owned()],
    }
}
