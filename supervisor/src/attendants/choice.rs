//! Which way in is taken.
//!
//! ```text
//! via = attach ─► the attacher
//! via = exec   ─► exec
//! via = auto   ─┬─ the Engine is reached over TCP ─────────────────────────► exec
//!               └─ over its socket: container by container
//!                    its runtime is a sandbox ─────────────────────────────► exec
//!                    else the attacher, and where it finds
//!                      that it may not (no privilege, another namespace), ─► exec
//!                      or that the container's first process is not here
//! ```
//! Attaching is tried anew each time: it takes milliseconds, and what stood in its way may be gone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diogenes_engine::{Docker, Endpoint, Engine};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::attendants::attacher::{AttachError, Attacher, Target};
use crate::attendants::exec::Exec;
use crate::attendants::way_in::{Companion, Via, WayIn};

/// What the configuration says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Attach where that can be, else exec.
    Auto,
    /// Attach or nothing.
    Attach,
    /// Exec or nothing.
    Exec,
}

impl Choice {
    /// Why exec is taken whatever is tried; None where attaching is tried.
    pub(crate) fn rules_attaching_out(self, endpoint: &Endpoint) -> Option<&'static str> {
        match (self, endpoint) {
            (Self::Exec, _) => Some("the configuration wants it so (via)"),
            (Self::Auto, Endpoint::Http(_)) => {
                Some("an Engine that is reached over TCP counts as another host's")
            }
            (Self::Auto, Endpoint::Unix(_)) | (Self::Attach, _) => None,
        }
    }

    /// Opens the way or ways in.
    ///
    /// # Errors
    /// Where no fit agent program is found, or no attacher can be started.
    pub(crate) fn open(
        self,
        docker: Arc<Docker>,
        agent: Option<&Path>,
        run_dir: &Path,
    ) -> anyhow::Result<Arc<dyn WayIn>> {
        let reason = self.rules_attaching_out(docker.endpoint());
        if let Some(reason) = reason {
            let exec = Exec::new(docker, agent)?;
            tell(reason);
            return Ok(Arc::new(exec));
        }
        let attacher = Attacher::start(agent, run_dir)?;
        Ok(match self {
            Self::Attach => Arc::new(attacher),
            Self::Auto | Self::Exec => Arc::new(Either {
                attacher,
                exec: Exec::new(docker.clone(), agent)?,
                docker,
                is_told: AtomicBool::new(false),
            }),
        })
    }
}

fn tell(reason: &str) {
    tracing::info!("companions are brought in by exec, through the Engine: {reason}");
}

/// Attach, else exec.
struct Either {
    attacher: Attacher,
    exec: Exec,
    docker: Arc<Docker>,
    /// A companion came in by exec, and the log tells why.
    is_told: AtomicBool,
}

impl Either {
    /// Why the container is not one to attach to; else what came of attaching.
    async fn attach(&self, target: &Target) -> Result<Result<Companion, AttachError>, String> {
        if target.is_sandboxed {
            return Err("its runtime keeps its processes from the host".into());
        }
        match self.attacher.enter(target.clone()).await {
            Err(AttachError::NotPermitted(why)) => Err(why),
            // Ended, or never here: the Engine knows.
            Err(AttachError::Gone) => match self.docker.inspect(&target.container_id).await {
                Ok(facts) if facts.init_pid == Some(target.init_pid) => Err(format!(
                    "there is no process {} here, which is the container's first",
                    target.init_pid
                )),
                _ => Ok(Err(AttachError::Gone)),
            },
            done => Ok(done),
        }
    }
}

impl WayIn for Either {
    fn enter(&self, target: Target) -> BoxFuture<'_, Result<Companion, AttachError>> {
        async move {
            let reason = match self.attach(&target).await {
                Ok(done) => return done,
                Err(reason) => reason,
            };
            let companion = self.exec.enter(target).await.map_err(|error| match error {
                AttachError::Gone => AttachError::Gone,
                error => AttachError::Failed(format!("{reason}; nor by exec: {error}")),
            })?;
            if !self.is_told.swap(true, Ordering::Relaxed) {
                tell(&reason);
            }
            Ok(companion)
        }
        .boxed()
    }

    fn via(&self) -> Via {
        if self.is_told.load(Ordering::Relaxed) {
            Via::Exec
        } else {
            Via::Attached
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_over_tcp_counts_as_another_hosts_unless_told_otherwise() {
        let socket = Endpoint::default();
        let tcp = "tcp://127.0.0.1:2375".parse().unwrap();
        for (choice, endpoint, attaches) in [
            (Choice::Auto, &socket, true),
            (Choice::Auto, &tcp, false),
            (Choice::Attach, &socket, true),
            (Choice::Attach, &tcp, true),
            (Choice::Exec, &socket, false),
            (Choice::Exec, &tcp, false),
        ] {
            let is_out = choice.rules_attaching_out(endpoint).is_some();
            assert_eq!(is_out, !attaches, "{choice:?} {endpoint}");
        }
    }

    #[test]
    fn without_a_program_there_is_no_way_in() {
        let dir = tempfile::tempdir().unwrap();
        let docker = Arc::new(Docker::new(Endpoint::default()));
        let nowhere = dir.path().join("agent");
        for choice in [Choice::Auto, Choice::Attach, Choice::Exec] {
            let opened = choice.open(docker.clone(), Some(&nowhere), dir.path());
            let error = opened.err().map(|error| format!("{error:#}"));
            assert!(
                error.is_some_and(|error| error.contains("--agent")),
                "{choice:?}"
            );
        }
    }
}
