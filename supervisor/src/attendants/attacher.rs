//! The supervisor's side of the attacher process: keeps one running, and turns its datagrams into `attach().await`.
//!
//! The attacher itself is `diogenes_linux::attacher`; here it is started from this very executable, its replies are
//! read by a thread of their own, and when it dies the next request starts another.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use diogenes_discovery::identity::Standing;
use diogenes_linux::attacher::{self, Link, Refusal, Reply};
use diogenes_linux::contract::AGENT_NAME;
use diogenes_linux::pidfd::PidFd;
use diogenes_linux::program::Program;
use rustix::io::Errno;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// The hidden subcommand that this executable is started with to become the attacher.
pub(crate) const SUBCOMMAND: &str = "attacher";

/// The attacher gives a launch up after 5 s; when even that does not come, it is not well itself.
const REPLY_DEADLINE: Duration = Duration::from_secs(8);

/// What to enter.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Full container id, 64 hex digits.
    pub(crate) container_id: String,
    /// The container's init, in the supervisor's pid namespace (`State.Pid` of the Engine).
    pub(crate) init_pid: u32,
    /// Whether that only stands for processes that are not the host's to see.
    pub(crate) is_sandboxed: bool,
}

/// An agent that was brought into a container.
#[derive(Debug)]
pub(crate) struct Attached {
    /// The session: JSON lines, the agent's `hello` comes first.
    pub(crate) session: UnixStream,
    /// The agent process.
    pub(crate) agent: PidFd,
    /// The container's init.
    pub(crate) init: PidFd,
}

/// Why a container could not be entered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
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

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Reply>>>>;

/// One attacher process: where to send requests, and who waits for its replies.
#[derive(Debug)]
struct Process {
    link: Arc<Link>,
    pending: Pending,
}

/// The handle to the attacher process, which it starts again when it dies.
#[derive(Clone, Debug)]
pub(crate) struct Attacher {
    program: Arc<Program>,
    process: Arc<tokio::sync::Mutex<Process>>,
    last_id: Arc<AtomicU64>,
}

impl Attacher {
    /// Starts the attacher with the agent program at `agent`, or the one beside this executable. `run_dir` takes the
    /// program where the system forbids executable memory.
    ///
    /// # Errors
    /// Where no fit agent program is found or no process can be started.
    pub(crate) fn start(agent: Option<&Path>, run_dir: &Path) -> anyhow::Result<Self> {
        let path = agent.map_or_else(beside_this_executable, |path| Ok(path.to_owned()))?;
        let program = Program::load(&path, run_dir)
            .context("no agent to bring into containers; `make build` makes one beside diogenes, or name it with --agent")?;
        if !program.is_in_memory() {
            tracing::warn!(
                "this system forbids executable memory files (vm.memfd_noexec=2): the agent runs from an unnamed file in {}",
                run_dir.display()
            );
        }
        attacher::adopt_orphans().context("cannot become the parent of orphaned agents")?;
        let process = Process::start(&program)?;
        Ok(Self {
            program: Arc::new(program),
            process: Arc::new(tokio::sync::Mutex::new(process)),
            last_id: Arc::default(),
        })
    }

    /// Brings an agent into a container.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub(crate) async fn attach(&self, target: &Target) -> Result<Attached, AttachError> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            AttachError::Failed(format!("{what}: {error}"))
        };
        let init = open_init(target)?;
        let reply = self.request(pid_inside(target)?, init.as_fd()).await?;
        match reply.result {
            Ok(attached) => {
                let session = std::os::unix::net::UnixStream::from(attached.session);
                let session = session
                    .set_nonblocking(true)
                    .and_then(|()| UnixStream::from_std(session))
                    .map_err(|error| failed("cannot use the session's socket", &error))?;
                let agent = PidFd::new(attached.agent)
                    .map_err(|error| failed("cannot watch the agent", &error))?;
                Ok(Attached {
                    session,
                    agent,
                    init,
                })
            }
            Err((Refusal::Gone, _)) => Err(AttachError::Gone),
            Err((Refusal::NotPermitted, why)) => Err(AttachError::NotPermitted(format!(
                "{why}; diogenes doctor says which privilege the supervisor lacks"
            ))),
            Err((Refusal::Failed, why)) => Err(AttachError::Failed(why)),
        }
    }

    /// Sends a request and waits for its reply, through a new attacher where the old one has died.
    async fn request(&self, init_pid: u32, init: BorrowedFd<'_>) -> Result<Reply, AttachError> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        {
            let mut process = self.process.lock().await;
            // An attacher that was killed is noticed here, by whoever asks first.
            if process.has_ended() {
                tracing::warn!("the attacher has ended; starting another");
                *process = Process::start(&self.program)
                    .map_err(|error| AttachError::Failed(format!("{error:#}")))?;
            }
            process.expect(id, sender);
            let sent = process.link.request(id, init_pid, init);
            sent.map_err(|errno| {
                AttachError::Failed(format!("the attacher cannot be asked: {errno}"))
            })?;
        }
        match tokio::time::timeout(REPLY_DEADLINE, receiver).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(AttachError::Failed(
                "the attacher died during the launch".into(),
            )),
            Err(_) => Err(AttachError::Failed(format!(
                "the attacher was silent for {} s",
                REPLY_DEADLINE.as_secs()
            ))),
        }
    }
}

impl Process {
    fn start(program: &Program) -> anyhow::Result<Self> {
        let (mut command, link) =
            attacher::command(program, SUBCOMMAND).context("cannot make the attacher's socket")?;
        // Nobody waits for it: the kernel reaps it, and it ends by itself when the link is closed.
        command
            .spawn()
            .context("cannot start the attacher process")?;
        let (link, pending) = (Arc::new(link), Pending::default());
        let (reading, waiting) = (Arc::clone(&link), Arc::clone(&pending));
        std::thread::Builder::new()
            .name("attacher-replies".into())
            .spawn(move || {
                while let Ok(Some(reply)) = reading.receive() {
                    if let Some(sender) = lock(&waiting).remove(&reply.id) {
                        // Nobody waits any more: dropping the session ends the agent.
                        let _ = sender.send(reply);
                    }
                }
                lock(&waiting).clear();
            })
            .context("cannot start a thread for the attacher's replies")?;
        Ok(Self { link, pending })
    }

    /// Whether nothing can be sent to it any more.
    fn has_ended(&self) -> bool {
        self.link.is_closed()
    }

    fn expect(&self, id: u64, sender: oneshot::Sender<Reply>) {
        lock(&self.pending).insert(id, sender);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Becomes the attacher: what the hidden subcommand runs, before there is any thread. Returns the exit code.
pub(crate) fn run() -> std::process::ExitCode {
    match attacher::serve() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err((step, errno)) => {
            eprintln!("the attacher failed while {step}: {errno}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Where the agent's program is unless its place is given.
pub(crate) fn beside_this_executable() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()
        .context("cannot tell where this executable is; name the agent with --agent")?;
    Ok(own.with_file_name(AGENT_NAME))
}

/// Opens the container's init so that no other process can be taken for it: first the pidfd, then the proof that
/// the process it stands for belongs to the container. A pid that was reused in between fails the proof.
pub(crate) fn open_init(target: &Target) -> Result<PidFd, AttachError> {
    let init = PidFd::open(target.init_pid).map_err(|error| match error.raw_os_error() {
        Some(errno) if errno == Errno::SRCH.raw_os_error() => AttachError::Gone,
        _ => AttachError::Failed(format!("cannot open process {}: {error}", target.init_pid)),
    })?;
    let standing = Standing::parse(read_proc(target, "cgroup")?.as_bytes());
    if !standing.names(&target.container_id) {
        return Err(AttachError::NotPermitted(format!(
            "process {} is not the container's by its cgroup; is the Engine on this host, and the supervisor in the host's pid namespace?",
            target.init_pid
        )));
    }
    Ok(init)
}

/// The init's pid in its own pid namespace, the innermost: 1 unless that is shared. Source: `NSpid` in proc(5).
fn pid_inside(target: &Target) -> Result<u32, AttachError> {
    let status = read_proc(target, "status")?;
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let innermost = pids
        .and_then(|pids| pids.split_whitespace().last())
        .and_then(|pid| pid.parse().ok());
    innermost.ok_or_else(|| {
        AttachError::Failed(format!(
            "/proc/{}/status has no NSpid: Linux 4.1 or later is needed",
            target.init_pid
        ))
    })
}

fn read_proc(target: &Target, file: &str) -> Result<String, AttachError> {
    std::fs::read_to_string(format!("/proc/{}/{file}", target.init_pid)).map_err(
        |error| match error.kind() {
            io::ErrorKind::NotFound => AttachError::Gone,
            _ if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => AttachError::Gone,
            _ => AttachError::Failed(format!(
                "cannot read /proc/{}/{file}: {error}",
                target.init_pid
            )),
        },
    )
}
