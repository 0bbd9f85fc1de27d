//! The way in through the Engine, for where the supervisor is not on the Engine's host or may not enter containers.
//!
//! ```text
//! exec created ─► agent uploaded ─► exec started ─► its first word ─► bridge ═ session
//!                                                                        │
//!                       the agent removes its own file at once           └ its end: the agent's
//! ```
//! The agent is then a further program of the container: its root with its capabilities, in its cgroup and under its
//! limits, frozen with it. The upload may be exchanged by the container before it is started: then the container runs
//! a program of its own as its own root, which speaks for no other container, since the session is the connection
//! over which the Engine was told to start it.

mod bridge;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use diogenes_engine::{Bytes, ContainerFacts, Docker, Engine, EngineError, ExecOutput, LogStream};
use diogenes_linux::contract::{UPLOAD_PATH, exec_args};
use diogenes_proto::Untrusted;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use crate::attendants::attacher::{AttachError, Target, beside_this_executable};
use crate::attendants::way_in::{Companion, Via, WayIn};

/// Root may read and run it, and nobody write it. The agent removes it anyway.
const MODE: u32 = 0o500;
/// No agent is larger.
const MAX_PROGRAM_BYTES: u64 = 64 << 20;
/// How long a program that was started may be silent. An agent says hello within milliseconds.
const FIRST_WORD_DEADLINE: Duration = Duration::from_secs(5);
/// How much is kept of the last words of one that says no hello.
const LAST_WORDS_BYTES: usize = 512;

/// The way in through the Engine.
pub(crate) struct Exec {
    docker: Arc<Docker>,
    /// The agent's program, read each time: it is needed seldom.
    agent: PathBuf,
}

impl Exec {
    /// With the agent program at `agent`, or the one beside this executable. It need not be made for this machine.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn new(docker: Arc<Docker>, agent: Option<&Path>) -> anyhow::Result<Self> {
        let agent = agent.map_or_else(beside_this_executable, |path| Ok(path.to_owned()))?;
        read_program(&agent).with_context(|| {
            format!(
                "cannot read the agent program {}; `make build` makes one beside diogenes, or name it with --agent",
                agent.display()
            )
        })?;
        Ok(Self { docker, agent })
    }

    async fn bring_in(&self, target: &Target) -> Result<Companion, AttachError> {
        let id = &target.container_id;
        let facts = self.docker.inspect(id).await.map_err(explain)?;
        if facts.init_pid != Some(target.init_pid) {
            return Err(AttachError::Gone);
        }
        let command = exec_args(facts.shares_pids(), facts.shares_network());
        // First, for it fails where the container is paused, and then nothing is left in it.
        let exec_id = self
            .docker
            .create_exec(id, &command)
            .await
            .map_err(explain)?;
        self.upload(&facts).await?;
        let mut exec = self.docker.start_exec(&exec_id).await.map_err(explain)?;
        let hello = timeout(FIRST_WORD_DEADLINE, first_word(&mut exec.output));
        let hello = hello.await.map_err(|_| {
            let waited = FIRST_WORD_DEADLINE.as_secs();
            AttachError::Failed(format!("it was started, and silent for {waited} s"))
        })??;
        let (session, agent) = bridge::open(exec, hello)
            .map_err(|error| AttachError::Failed(format!("cannot make a socket: {error}")))?;
        let init = bridge::Init::new(&agent, self.docker.clone(), target.clone());
        Ok(Companion {
            via: Via::Exec,
            session,
            agent: Box::new(agent),
            init: Box::new(init),
        })
    }

    async fn upload(&self, facts: &ContainerFacts) -> Result<(), AttachError> {
        let program = read_program(&self.agent).map_err(|error| {
            let path = self.agent.display();
            AttachError::Failed(format!("cannot read the agent program {path}: {error}"))
        })?;
        let name = UPLOAD_PATH.trim_start_matches('/');
        let archive = diogenes_images::archive_of(name, &program, MODE);
        let uploaded = self.docker.upload(&facts.id, Bytes::from(archive)).await;
        uploaded.map_err(|error| match error {
            EngineError::Api { message } if facts.is_read_only => AttachError::NotPermitted(format!(
                "its root file system is read-only, and the Engine puts no agent there ({message}); \
                 attach from the Engine's own host instead, bake the agent into the image, or make it writable"
            )),
            error => explain(error),
        })
    }
}

impl WayIn for Exec {
    fn enter(&self, target: Target) -> BoxFuture<'_, Result<Companion, AttachError>> {
        async move { self.bring_in(&target).await }.boxed()
    }

    fn via(&self) -> Via {
        Via::Exec
    }
}

fn explain(error: EngineError) -> AttachError {
    match error {
        EngineError::NotFound { .. } => AttachError::Gone,
        error => AttachError::Failed(error.to_string()),
    }
}

fn read_program(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_PROGRAM_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first bytes of a hello; where something else comes, that is why there is none: the Engine's words, or those of
/// the program.
async fn first_word(output: &mut ExecOutput) -> Result<Vec<u8>, AttachError> {
    let (mut last_words, mut is_said) = (Vec::new(), false);
    loop {
        match output.next().await {
            Ok(Some((LogStream::Stdout, bytes))) if !is_said && bytes.starts_with(b"{") => {
                return Ok(bytes.to_vec());
            }
            Ok(Some((stream, bytes))) => {
                is_said |= stream == LogStream::Stdout;
                last_words.extend_from_slice(bytes);
                let superfluous = last_words.len().saturating_sub(LAST_WORDS_BYTES);
                last_words.drain(..superfluous);
            }
            Ok(None) => return Err(AttachError::Failed(end_of(&last_words))),
            Err(error) => {
                let message = format!("the Engine broke off its connection: {error}");
                return Err(AttachError::Failed(message));
            }
        }
    }
}

/// What a program that said no hello died of, by its last words.
fn end_of(last_words: &[u8]) -> String {
    let words = Untrusted::from_bytes(last_words.trim_ascii());
    match words.as_raw() {
        "" => "it was started, and ended without a word".into(),
        raw if raw.contains("exec format error") => format!(
            "the agent is made for another processor than the container's host ({words}); name one that fits with --agent"
        ),
        _ => format!("it could not be started: {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_told_as_what_they_mean() {
        let told = end_of(b"exec /.diogenes-agent: exec format error\n");
        assert!(
            told.contains("another processor") && told.contains("--agent"),
            "{told}"
        );
        let told = end_of(b"OCI runtime exec failed: \x1b[2Jpermission denied\r\n");
        assert!(
            told.contains("permission denied") && !told.contains('\x1b'),
            "{told}"
        );
        assert!(end_of(b" \r\n").contains("without a word"));
    }
}
