//! Images with the agent in them, as `diogenes bake` makes them.

use std::process::Command;

use diogenes_testkit::{Engine, dist};

/// Where the agent is in a baked image: a promise to those who call it.
pub const AGENT: &str = "/usr/libexec/diogenes/diogenes-agent";

/// A baked image; removed when dropped.
#[derive(Debug)]
pub struct BakedImage(String);

impl BakedImage {
    /// Bakes an image.
    ///
    /// # Panics
    /// Where that is refused: the words are in the message.
    #[track_caller]
    #[must_use = "the image goes with its handle"]
    pub fn of(image: &str, hint: &str) -> Self {
        Engine::require();
        let name = format!("diogenes-test/{hint}-baked-{}:1", std::process::id());
        let mut bake = Command::new(dist("diogenes"));
        let output = bake.args(["bake", image, "-t", &name]).output();
        let output = output.expect("diogenes runs");
        let baked = Self(name);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        baked
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for BakedImage {
    fn drop(&mut self) {
        // There is none where baking was refused.
        let mut remove = Command::new("docker");
        let _ = remove.args(["rmi", "-f", &self.0]).output();
    }
}
