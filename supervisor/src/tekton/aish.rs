//! The supervisor's side of aish's registry: says who is to be in it, and keeps a [`registrar`](super::registrar) that
//! puts them there.
//!
//! ```text
//! supervisor ── stdin: orders, a JSON line each ────────────────────► registrar ─► wrapped_cis.json
//!            ◄─ stdout: notices, a JSON line each; its end is the end ──
//! ```
//!
//! Who is there: every container that is up and to be attended. One that was removed by aish stays away until it has
//! been away by itself: stopped, restarted or detached.
//!
//! The registrar's user could take it over, so what it says is bounded, and says nothing that could do harm.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diogenes_insight::Intent;
use diogenes_linux::pidfd::PidFd;
use diogenes_proto::Timestamp;
use diogenes_proto::untrusted::escape;
use diogenes_tekton::aish::contact::is_sound;
use diogenes_tekton::aish::{Contact, Notice};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::sync::CancellationToken;

use crate::api::ci;
use crate::config::value::{User, Word as _};
use crate::registry::names::distinct;
use crate::registry::{Entry, Registry, ci_name};
use crate::tekton::registrar::{Order, SUBCOMMAND};
use crate::tekton::{here, is_attended, our_name};

/// Changes come in bursts: so long they are gathered.
const PAUSE: Duration = Duration::from_millis(200);
/// The pause before another registrar is started: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// One that has lived so long was well.
const WELL_AFTER: Duration = Duration::from_secs(30);
/// How long a registrar may take to read an order, and to leave.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause after each line from a registrar: one that never stops talking costs nothing.
const NOTICE_PAUSE: Duration = Duration::from_millis(50);
/// Longest line from a registrar, in bytes.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// What a companion can be asked for, as aish lists it.
pub(crate) const CAPABILITIES: [Intent; 9] = [
    Intent::Status,
    Intent::Why,
    Intent::Services,
    Intent::Ports,
    Intent::Health,
    Intent::Findings,
    Intent::Changes,
    Intent::Memory,
    Intent::Cpu,
];

/// Keeps the companions in aish's registry.
pub(crate) struct AishRegistry {
    /// Tekton's directory.
    pub(crate) root: PathBuf,
    /// Who runs aish; None for the owner of that directory.
    pub(crate) user: Option<User>,
    /// This supervisor's run directory, which tells it from others on this host.
    pub(crate) run_dir: PathBuf,
    /// The address that HTTP listens on.
    pub(crate) listen: SocketAddr,
    /// Who is known.
    pub(crate) registry: Arc<Registry>,
    /// This executable.
    pub(crate) program: PathBuf,
}

/// A container that was removed by aish, in the life it was removed in.
type Removed = HashMap<String, Option<Timestamp>>;

/// Who is in the registry, and under which names.
#[derive(Default)]
struct Present {
    contacts: Vec<Contact>,
    /// The containers' ids, by their contacts' names.
    ids: HashMap<String, String>,
}

/// A registrar that runs.
struct Process {
    orders: pipe::Sender,
    notices: FramedRead<pipe::Receiver, LinesCodec>,
    process: PidFd,
}

/// How a registrar came to its end.
enum Ended {
    /// It was time.
    Stopped,
    /// By itself, or by aish.
    Died,
}

impl AishRegistry {
    /// Keeps them there until `stop`; then takes them out.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut removed = Removed::new();
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        loop {
            let started = Instant::now();
            match self.keep(&mut removed, &stop).await {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Died) => {
                    tracing::debug!("the registrar of aish has ended; starting another")
                }
                Err(error) if told == error.to_string() => {}
                Err(error) => {
                    told = error.to_string();
                    tracing::warn!("the companions are not in aish's registry: {told}");
                }
            }
            if started.elapsed() >= WELL_AFTER {
                pause = FIRST_PAUSE;
            }
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
            pause = (2 * pause).min(LAST_PAUSE);
        }
    }

    /// Works with one registrar until its end.
    async fn keep(&self, removed: &mut Removed, stop: &CancellationToken) -> io::Result<Ended> {
        let mut changes = self.registry.subscribe();
        let Process {
            mut orders,
            mut notices,
            process,
        } = self.start().await?;
        let mut present = None;
        loop {
            let now = self.present(removed);
            if present
                .as_ref()
                .is_none_or(|present: &Present| present.contacts != now.contacts)
            {
                let sent = timeout(PATIENCE, self.order(&mut orders, &now.contacts)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    // One that hangs would keep the next one out.
                    process.kill();
                    return Ok(Ended::Died);
                }
            }
            let present = present.insert(now);
            tokio::select! {
                () = stop.cancelled() => {
                    drop(orders);
                    // It says nothing more that anybody wants to know; that it ends is what counts.
                    let left = async { while let Some(Ok(_)) = notices.next().await {} };
                    if timeout(PATIENCE, left).await.is_err() {
                        process.kill();
                    }
                    return Ok(Ended::Stopped);
                }
                // The registry outlives this task.
                _ = crate::registry::changed(&mut changes, PAUSE) => {}
                notice = notices.next() => match notice {
                    Some(Ok(line)) => {
                        self.heed(&line, present, removed);
                        sleep(NOTICE_PAUSE).await;
                    }
                    _ => return Ok(Ended::Died),
                },
            }
        }
    }

    /// Starts a registrar as the user of aish.
    async fn start(&self) -> io::Result<Process> {
        let user = self.user().await?;
        let (their_orders, our_orders) = io::pipe()?;
        let (our_notices, their_notices) = io::pipe()?;
        let mut command = Command::new(&self.program);
        command.arg(SUBCOMMAND).env_clear().current_dir("/");
        if let Some(User { uid, gid }) = user {
            // With this the standard library gives up root's further groups too.
            command.uid(uid).gid(gid);
        }
        command
            .stdin(their_orders)
            .stdout(their_notices)
            .stderr(Stdio::null());
        // Nobody waits for it: the kernel reaps it, and it ends when the orders' pipe is closed.
        let child = command.spawn().map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::PermissionDenied => "; the user of aish must be able to execute this program, and another user than this one's takes root",
                _ => "",
            };
            io::Error::new(error.kind(), format!("cannot start their registrar: {error}{advice}"))
        })?;
        let process = PidFd::open(child.id())?;
        let orders = pipe::Sender::from_file(File::from(OwnedFd::from(our_orders)))?;
        let notices = pipe::Receiver::from_file(File::from(OwnedFd::from(our_notices)))?;
        Ok(Process {
            orders,
            notices: FramedRead::new(notices, LinesCodec::new_with_max_length(MAX_LINE_BYTES)),
            process,
        })
    }

    /// Who the registrar is to be; None for the user this program runs as.
    async fn user(&self) -> io::Result<Option<User>> {
        let own = rustix::process::geteuid();
        let user = match self.user {
            Some(user) => user,
            None => {
                // On a thread that may hang: the directory may be another machine's.
                let root = self.root.clone();
                let owner = tokio::task::spawn_blocking(move || owner(&root));
                timeout(PATIENCE, owner).await???
            }
        };
        // Who is not root can be nobody else; whether that will do, the registrar finds out.
        Ok((user.uid != own.as_raw() && (own.is_root() || self.user.is_some())).then_some(user))
    }

    async fn order(&self, orders: &mut pipe::Sender, contacts: &[Contact]) -> io::Result<()> {
        let order = Order {
            root: self.root.clone(),
            owner: our_name(&self.run_dir),
            contacts: contacts.to_vec(),
        };
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        orders.write_all(&line).await
    }

    /// Who is to be in the registry now.
    fn present(&self, removed: &mut Removed) -> Present {
        let entries = self.registry.all();
        let reachable: Vec<_> = entries.iter().filter(|entry| is_attended(entry)).collect();
        removed.retain(|id, life| {
            let is_in =
                |entry: &&&Arc<Entry>| entry.facts.id == *id && entry.facts.started_at == *life;
            reachable.iter().any(|entry| is_in(&entry))
        });
        let names = reachable
            .iter()
            .map(|entry| (entry.facts.id.as_str(), entry.facts.name.as_str()));
        let names = distinct(names, |name| is_sound(&ci_name(name).to_lowercase()));
        let mut present = Present::default();
        for entry in reachable
            .iter()
            .filter(|entry| !removed.contains_key(&entry.facts.id))
        {
            let Some(name) = names.get(&entry.facts.id) else {
                continue;
            };
            let contact = Contact {
                name: ci_name(name).to_lowercase(),
                endpoint: format!("http://{}", here(self.listen)),
                message_endpoint: ci::MESSAGE.replace("{name}", name),
                description: ci::description(entry),
                capabilities: CAPABILITIES.map(|intent| intent.as_str().to_owned()).into(),
            };
            present
                .ids
                .insert(contact.name.clone(), entry.facts.id.clone());
            present.contacts.push(contact);
        }
        present
    }

    /// Does what follows from a registrar's words.
    fn heed(&self, line: &str, present: &Present, removed: &mut Removed) {
        match serde_json::from_str(line) {
            Ok(Notice::Registered(number)) => tracing::info!("aish reaches {number} companions"),
            Ok(Notice::Removed(name)) => {
                let Some(entry) = present.ids.get(&name).and_then(|id| self.registry.get(id))
                else {
                    return;
                };
                tracing::info!(
                    "{name} was removed by aish, and stays away until its container is started or attached again"
                );
                removed.insert(entry.facts.id.clone(), entry.facts.started_at);
            }
            Ok(Notice::Taken(name)) => tracing::warn!(
                "aish knows another {}, which is not this supervisor's: rename the container to reach it by aish",
                escape(&name)
            ),
            Ok(Notice::Trouble(why)) => tracing::warn!("aish's registry: {}", escape(&why)),
            Err(error) => {
                tracing::debug!("the registrar of aish said what makes no sense: {error}")
            }
        }
    }
}

/// Who owns Tekton's directory.
fn owner(root: &Path) -> io::Result<User> {
    let told = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!(
                "{}: {error}; give Tekton's directory as tekton.root",
                root.display()
            ),
        )
    };
    let meta = root.metadata().map_err(told)?;
    // The group of a user, not of a directory, which may be any.
    Ok(User::read(&meta.uid().to_string()).unwrap_or(User {
        uid: meta.uid(),
        gid: meta.gid(),
    }))
}
