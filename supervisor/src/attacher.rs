//! The supervisor's side of the attacher process (interface; the lead is writing the body).
use std::sync::Arc;

/// What to enter.
#[derive(Clone, Debug)]
pub struct Target {
    /// Full container id, 64 hex digits.
    pub container_id: String,
    /// The container's init, in the supervisor's pid namespace (`State.Pid` of the Engine).
    pub init_pid: u32,
}

/// An agent that was brought into a container.
#[derive(Debug)]
pub struct Attached {
    /// The session: JSON lines, the agent's `hello` comes first.
    pub session: tokio::net::UnixStream,
    /// The agent process.
    pub agent: PidFd,
    /// The container's init.
    pub init: PidFd,
}

/// Why a container could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The container ended in between.
    #[error("the container's first process is gone")]
    Gone,
    /// The supervisor may not do this, or is not where it could.
    #[error("{0}")]
    NotPermitted(String),
    /// A step failed.
    #[error("{0}")]
    Failed(String),
}

/// A process that cannot be mistaken for another.
#[derive(Clone, Debug)]
pub struct PidFd(Arc<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>>);

impl PidFd {
    /// Returns when the process has ended.
    pub async fn exited(&self) {
        let _ = self.0.readable().await;
    }

    /// Ends the process at once (SIGKILL); nothing happens where it has ended already.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(self.0.get_ref(), rustix::process::Signal::KILL);
    }
}

/// The handle to the attacher process, which it starts again when it dies.
#[derive(Clone, Debug)]
pub struct Attacher {}

impl Attacher {
    /// Starts the attacher with the agent program at hand (beside this executable, or embedded).
    ///
    /// # Errors
    /// Where no agent program is found or no process can be started.
    pub async fn start(agent: Option<&std::path::Path>) -> anyhow::Result<Self> {
        let _ = agent;
        anyhow::bail!("not yet written")
    }

    /// Brings an agent into a container.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub async fn attach(&self, target: &Target) -> Result<Attached, AttachError> {
        Err(AttachError::Failed(format!("not yet written: {}", target.container_id)))
    }
}
