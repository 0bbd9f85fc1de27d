//! How many containers are how.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::Registry;

/// How many containers are how. What no container is, is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Census {
    /// All of them.
    pub(crate) containers: usize,
    /// By the presence of their companion: `present`, `silent`, `absent`.
    pub(crate) by_state: BTreeMap<String, usize>,
    /// By health: `starting`, `healthy`, `degraded`, `unhealthy`, `unknown`.
    pub(crate) by_health: BTreeMap<String, usize>,
    /// Companions with whom there is a connection.
    pub(crate) sessions: usize,
}

impl Census {
    /// Counts them.
    pub(crate) fn of(registry: &Registry) -> Self {
        let mut census = Self::default();
        for entry in registry.all() {
            census.containers += 1;
            *census
                .by_state
                .entry(entry.presence.state().to_owned())
                .or_default() += 1;
            *census
                .by_health
                .entry(entry.health().0.to_string())
                .or_default() += 1;
            census.sessions += usize::from(entry.session.is_some());
        }
        census
    }
}
