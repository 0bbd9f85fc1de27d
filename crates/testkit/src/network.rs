//! A network of the Engine for the length of a test.

use crate::docker::{attempt, docker};
use crate::{Engine, run_id};

/// A bridge of its own, as `docker network create` makes it: unlike the Engine's default one, it cannot be spoilt by
/// other engines on the same machine. Removed when dropped, after the containers in it.
#[derive(Debug)]
pub struct Network {
    name: String,
}

impl Network {
    /// Makes one.
    ///
    /// # Panics
    /// Where the Engine refuses.
    #[track_caller]
    #[must_use = "a network ends with its handle"]
    pub fn create() -> Self {
        Engine::require();
        let name = run_id::unique_name("network");
        let label = format!("--label={}={}", run_id::LABEL, run_id::own());
        docker(&["network", "create", &label, &name]);
        Self { name }
    }

    /// Its name, for [`crate::ContainerSpec::network`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        attempt(&["network", "rm", &self.name]);
    }
}
