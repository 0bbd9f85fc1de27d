//! Between an exec's connection and the socket that the session speaks over.
//!
//! ```text
//! session ═ socket pair ─► standard input     the session's end is the agent's: it reads the end of its input
//!                       ◄─ standard output    the agent's end is the session's
//! ```
//! Neither side is read faster than the other takes it: nothing is kept but what one read brought. Standard error is
//! read and dropped from here on, for a pipe that nobody reads would stop its writer.

use std::sync::Arc;
use std::time::Duration;

use diogenes_engine::{Docker, Engine, Exec, ExecInput, ExecOutput, LogStream};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::attendants::attacher::Target;
use crate::attendants::way_in::Process;

/// How often the Engine is asked whether the agent's end was the container's. It takes it some milliseconds to know.
const INIT_INTERVAL: Duration = Duration::from_millis(100);

/// The agent that the Engine started: it lives as long as its connection.
pub(super) struct Agent {
    hang_up: CancellationToken,
    _hang_up_at_last: DropGuard,
    ended: CancellationToken,
}

/// Puts a bridge up, over which `hello` has come already.
///
/// # Errors
/// Where there are no descriptors left.
pub(super) fn open(exec: Exec, hello: Vec<u8>) -> std::io::Result<(UnixStream, Agent)> {
    let (session, far) = UnixStream::pair()?;
    let (from_session, to_session) = far.into_split();
    let (hang_up, ended) = (CancellationToken::new(), CancellationToken::new());
    let agent = Agent {
        _hang_up_at_last: hang_up.clone().drop_guard(),
        hang_up: hang_up.clone(),
        ended: ended.clone(),
    };
    tokio::spawn(async move {
        let _ended = ended.drop_guard();
        let Exec { input, output } = exec;
        tokio::select! {
            () = hang_up.cancelled() => {}
            () = hear(output, hello, to_session) => {}
            () = tell(from_session, input) => {}
        }
    });
    Ok((session, agent))
}

/// The agent's words to the session, until the agent ends.
async fn hear(mut output: ExecOutput, hello: Vec<u8>, session: OwnedWriteHalf) {
    // None where the session has been closed: then only the agent's end is waited for.
    let mut session = Some(session);
    let mut bytes = &hello[..];
    let mut stream = LogStream::Stdout;
    loop {
        if stream == LogStream::Stdout
            && let Some(writer) = &mut session
            && writer.write_all(bytes).await.is_err()
        {
            session = None;
        }
        match output.next().await {
            Ok(Some(next)) => (stream, bytes) = next,
            Ok(None) | Err(_) => return,
        }
    }
}

/// The session's words to the agent, and that there are no more. Never returns: the agent's end is told by its output.
async fn tell(mut session: OwnedReadHalf, mut input: ExecInput) {
    // Where the agent reads no more, it has ended or is about to.
    let _ = tokio::io::copy(&mut session, &mut input).await;
    let _ = input.shutdown().await;
    std::future::pending().await
}

impl Process for Agent {
    fn exited(&self) -> BoxFuture<'_, ()> {
        self.ended.cancelled().boxed()
    }

    /// Hangs up: the Engine then closes the agent's standard input, which is the agent's end.
    fn kill(&self) {
        self.hang_up.cancel();
    }
}

/// The container's init, of which only the Engine knows.
pub(super) struct Init {
    agent_ended: CancellationToken,
    docker: Arc<Docker>,
    target: Target,
}

impl Init {
    /// The one in whose life this agent was started.
    pub(super) fn new(agent: &Agent, docker: Arc<Docker>, target: Target) -> Self {
        Self {
            agent_ended: agent.ended.clone(),
            docker,
            target,
        }
    }
}

impl Process for Init {
    /// The agent cannot outlive the container: the Engine is asked only once it has ended.
    fn exited(&self) -> BoxFuture<'_, ()> {
        async {
            self.agent_ended.cancelled().await;
            // An Engine that does not answer does not know either.
            while self
                .docker
                .inspect(&self.target.container_id)
                .await
                .map_or_else(
                    |error| error.is_absence(),
                    |facts| facts.init_pid == Some(self.target.init_pid),
                )
            {
                tokio::time::sleep(INIT_INTERVAL).await;
            }
        }
        .boxed()
    }

    /// Never done: a container's own life is not the supervisor's to end.
    fn kill(&self) {}
}
