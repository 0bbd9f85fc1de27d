//! The container engine a test needs, and the sweep of what killed tests left in it.

use std::sync::Once;

use crate::docker::{attempt, docker};
use crate::run_id;

/// Proof that a container engine answers.
#[derive(Clone, Copy, Debug)]
pub struct Engine(());

impl Engine {
    /// The engine of this machine. The first call of a test process sweeps.
    ///
    /// # Panics
    /// Where no engine answers. A test that needs one fails without it, and is never skipped.
    #[track_caller]
    pub fn require() -> Self {
        static ONCE: Once = Once::new();
        let output = attempt(&["version", "--format", "{{.Server.Version}}"]);
        assert!(
            output.status.success(),
            "this test needs a container engine and none answers (deploy/scripts/engine.sh starts one): {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        ONCE.call_once(sweep);
        Self(())
    }

    /// The path of the Engine's socket; None where it is reached in another way.
    #[must_use]
    pub fn socket(self) -> Option<String> {
        let host = match std::env::var("DOCKER_HOST") {
            Ok(host) => host,
            Err(_) => docker(&[
                "context",
                "inspect",
                "--format",
                "{{.Endpoints.docker.Host}}",
            ]),
        };
        host.strip_prefix("unix://").map(str::to_owned)
    }
}

/// Removes the containers and networks of test processes that are no more. Those of living ones, also of another run
/// beside this one, stay.
///
/// # Panics
/// Where the engine does not answer.
#[track_caller]
pub fn sweep() {
    let label = run_id::LABEL;
    let filter = format!("label={label}");
    let format = format!("{{{{.ID}}}} {{{{.Label \"{label}\"}}}}");
    let list =
        |what: &[&str]| docker(&[what, &["--filter", &filter, "--format", &format]].concat());
    // Another process may sweep at the same time: what is gone already is as good.
    for (listing, removal) in [
        (list(&["ps", "-a"]), &["rm", "-f", "-v"][..]),
        (list(&["network", "ls"]), &["network", "rm"][..]),
    ] {
        for line in listing.lines() {
            if let Some((id, run)) = line.split_once(' ')
                && !run_id::lives(run)
            {
                attempt(&[removal, &[id]].concat());
            }
        }
    }
}
