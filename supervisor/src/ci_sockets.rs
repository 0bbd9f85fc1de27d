//! One socket per container on the host, speaking the companions' own protocol.
//!
//! Whoever knows how to talk to a companion inside its container talks to it the same way from outside:
//! `RUN_DIR/ci/<name>.sock`. Questions gain what the host knows; all else is passed on as it is. Where it is configured,
//! each has a second one, by its id in `/tmp`, where the first drafts of this system had it.

pub(crate) mod ci_session;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diogenes_linux::peer::Peer;
use interprocess::local_socket::tokio::{Listener, Stream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::http::accept_loop;
use crate::audit::Who;
use crate::ci_sockets::ci_session::serve;
use crate::registry::names::distinct;
use crate::registry::{Entry, Registry};
use crate::relay::Relay;
use crate::run_dir::{listen, listen_among_others, remove_stale_among_others};

/// Longest path of a Unix socket, in bytes: `sun_path` of unix(7) less its final zero.
const MAX_PATH_BYTES: usize = 107;
/// Clients of one companion at a time.
const MAX_CLIENTS: usize = 16;
/// Changes come in bursts: so long they are gathered.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the sockets are, and how they are called.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// By name, in a directory that is ours alone.
    Own(PathBuf),
    /// By id, in a directory that anybody may write into: `ci_<id>.sock`.
    Shared(PathBuf),
}

impl Place {
    /// That of the first drafts.
    pub(crate) fn first_drafts() -> Self {
        Self::Shared("/tmp".into())
    }

    /// The path of each container's socket, by id.
    fn paths(&self, entries: &[Arc<Entry>]) -> HashMap<String, PathBuf> {
        let containers = entries
            .iter()
            .map(|entry| (entry.facts.id.as_str(), entry.facts.name.as_str()));
        match self {
            Self::Own(directory) => {
                let names = file_names(containers, directory);
                names
                    .into_iter()
                    .map(|(id, name)| (id, directory.join(name)))
                    .collect()
            }
            Self::Shared(directory) => {
                let path = |id: &str| directory.join(format!("ci_{id}.sock"));
                containers
                    .map(|(id, _)| (id.to_owned(), path(id)))
                    .collect()
            }
        }
    }

    fn listen(&self, path: &Path, group: Option<u32>) -> Result<Listener, String> {
        match self {
            Self::Own(_) => listen(path, group),
            Self::Shared(_) => listen_among_others(path, group),
        }
    }
}

/// The sockets.
pub(crate) struct CiSockets {
    place: Place,
    group: Option<u32>,
    registry: Arc<Registry>,
    relay: Arc<Relay>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// One open socket.
struct Socket {
    /// Its file.
    path: PathBuf,
    /// Closes it, and its clients' sessions.
    stop: CancellationToken,
    /// Accepts its clients; the file is gone when this has ended.
    task: JoinHandle<()>,
}

impl CiSockets {
    /// Sockets at `place`, open to `group` as in [`listen`], which stop with `stop`; `tasks` knows when all have.
    pub(crate) fn new(
        place: Place,
        group: Option<u32>,
        registry: Arc<Registry>,
        relay: Arc<Relay>,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            place,
            group,
            registry,
            relay,
            stop,
            tasks,
        }
    }

    /// Keeps the sockets in line with the registry.
    pub(crate) async fn run(self) {
        if let Place::Shared(directory) = &self.place {
            // In one of our own, that is done when it is taken.
            let ours = |name: &str| name.starts_with("ci_") && name.ends_with(".sock");
            remove_stale_among_others(directory, ours);
        }
        let mut changes = self.registry.subscribe();
        let mut open: HashMap<String, Socket> = HashMap::new();
        // What the log has told already: every change brings another try.
        let mut told: HashMap<String, String> = HashMap::new();
        loop {
            let entries = self.registry.all();
            let wanted = self.place.paths(&entries);
            let unwanted: Vec<String> = open
                .iter()
                .filter(|(id, socket)| wanted.get(*id) != Some(&socket.path))
                .map(|(id, _)| id.clone())
                .collect();
            for socket in unwanted.iter().filter_map(|id| open.remove(id)) {
                // A listener takes its file with it: whoever is next to have this name must come after that.
                socket.stop.cancel();
                let _ = socket.task.await;
            }
            for (id, path) in wanted {
                if open.contains_key(&id) {
                    continue;
                }
                match self.open(&id, path) {
                    Ok(socket) => {
                        told.remove(&id);
                        open.insert(id, socket);
                    }
                    Err(error) if told.get(&id) == Some(&error) => {}
                    Err(error) => {
                        tracing::warn!("{error}");
                        told.insert(id, error);
                    }
                }
            }
            told.retain(|id, _| entries.iter().any(|entry| entry.facts.id == *id));
            let changed = crate::registry::changed(&mut changes, PAUSE);
            if !matches!(self.stop.run_until_cancelled(changed).await, Some(Ok(()))) {
                return;
            }
        }
    }

    /// Opens one socket.
    fn open(&self, id: &str, path: PathBuf) -> Result<Socket, String> {
        let listener = self.place.listen(&path, self.group)?;
        let stop = self.stop.child_token();
        let (id, registry, relay) = (id.to_owned(), self.registry.clone(), self.relay.clone());
        let stopping = stop.clone();
        let serve = move |io: Stream| {
            let Stream::UdSocket(socket) = &io;
            let who = Peer::of(socket.inner()).map_or(Who::Unknown, |peer| Who::Process {
                uid: peer.uid,
                pid: peer.pid,
            });
            let session = serve(io, who, id.clone(), registry.clone(), relay.clone());
            let stopping = stopping.clone();
            async move {
                let _ = stopping.run_until_cancelled(session).await;
            }
        };
        let task = self.tasks.spawn(accept_loop(
            listener,
            MAX_CLIENTS,
            stop.clone(),
            self.tasks.clone(),
            serve,
        ));
        Ok(Socket { path, stop, task })
    }
}

/// The file name of each container's socket, by id: its name, where that leaves room in a path, or as [`distinct`] says.
fn file_names<'a>(
    containers: impl IntoIterator<Item = (&'a str, &'a str)>,
    directory: &Path,
) -> HashMap<String, String> {
    let room = MAX_PATH_BYTES.saturating_sub(directory.as_os_str().len() + "/.sock".len());
    let mut names = distinct(containers, |name| name.len() <= room);
    names.values_mut().for_each(|name| name.push_str(".sock"));
    names
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::fakes::{FakeEngine, running, until};

    #[tokio::test]
    async fn a_container_that_takes_anothers_place_gets_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::default());
        let (relay, stop) = (
            Arc::new(Relay::new(
                Arc::new(FakeEngine::default()),
                registry.clone(),
            )),
            CancellationToken::new(),
        );
        let tasks = TaskTracker::new();
        tokio::spawn(
            CiSockets::new(
                Place::Own(dir.path().into()),
                None,
                registry.clone(),
                relay,
                stop.clone(),
                tasks,
            )
            .run(),
        );
        let path = dir.path().join("shop.sock");
        registry.set_facts(running("c1", "shop", 7));
        until("the socket is there", || path.exists()).await;
        registry.remove("c1");
        registry.set_facts(running("c2", "shop", 8));
        tokio::time::sleep(3 * PAUSE).await;
        assert!(path.exists());
        registry.set_facts(running("c2", "store", 8));
        until("the socket is renamed", || {
            !path.exists() && dir.path().join("store.sock").exists()
        })
        .await;
        stop.cancel();
        until("all is gone", || {
            std::fs::read_dir(dir.path()).unwrap().count() == 0
        })
        .await;
    }

    #[test]
    fn in_a_shared_place_a_socket_is_called_by_its_containers_id() {
        let registry = Registry::default();
        registry.set_facts(running("0123abcd", "shop", 7));
        let paths = Place::first_drafts().paths(&registry.all());
        assert_eq!(paths["0123abcd"], Path::new("/tmp/ci_0123abcd.sock"));
    }

    #[test]
    fn no_container_shadows_another() {
        let long = "x".repeat(100);
        let containers = [
            ("aaaaaaaaaaaaaaaa", "shop"),
            ("bbbbbbbbbbbbbbbb", "Web"),
            ("cccccccccccccccc", "web"),
            ("dddddddddddddddd", long.as_str()),
            ("eeeeeeeeeeeeeeee", "dddddddddddd"),
        ];
        let names = file_names(containers, Path::new("/run/diogenes/ci"));
        for (id, file) in [
            ("aaaaaaaaaaaaaaaa", "shop.sock"),
            ("bbbbbbbbbbbbbbbb", "bbbbbbbbbbbb.sock"),
            ("cccccccccccccccc", "cccccccccccc.sock"),
            ("dddddddddddddddd", "dddddddddddddddd.sock"),
            ("eeeeeeeeeeeeeeee", "dddddddddddd.sock"),
        ] {
            assert_eq!(names[id], file);
        }
        let different: HashSet<_> = names.values().collect();
        assert_eq!(different.len(), containers.len());
    }
}
