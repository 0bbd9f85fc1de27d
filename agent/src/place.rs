//! Where an agent is met that no supervisor brought in.
//!
//! ```text
//! 1.  /run/diogenes/agent.sock           where its directory can be made or is there: a baked image has it
//! 2.  @diogenes-agent-MNT-UID            else: the root file system is read-only, or root's
//! ```
//!
//! The second is an abstract socket (unix(7)): it needs no file system, leaves nothing behind and ends with its process.
//! `/tmp` and `/dev/shm` are no better: the one may be missing or read-only as well, the other the host's (`--ipc host`),
//! and in both anybody may have put something in the way.
//!
//! An abstract socket has no permissions and belongs to the network namespace, which containers may share:
//!
//! - In the host's own there is none: the agent says that it has no place.
//! - Its name has the mount namespace's number, in which containers differ that share a network.
//! - Who connects is let in where a file of mode 0600 would let it in, as the same user or root, and only from within
//!   sight: processes of other containers and of the host have no pid here.
//!
//! Another process of the container may take either place first. Then whoever asks is not deceived: of an agent that was
//! not named with `--socket`, its user must be one's own, root, or the one of the container's first process, who can do
//! to the agent whatever it likes anyway. An agent whose place was taken by another user goes to the next.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use diogenes_linux::peer::Peer;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::geteuid;

/// Where an agent listens that was not brought in by a supervisor.
pub(crate) const DEFAULT_SOCKET: &str = "/run/diogenes/agent.sock";

/// A file of this name is there in the host's own network namespace only, for what it sets is the host's
/// (net/core/sysctl_net_core.c registers it for `init_net` alone).
const IN_HOST_NETWORK: &str = "/proc/sys/net/core/netdev_max_backlog";

/// A place to listen or to ask at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A socket in the file system.
    Path(PathBuf),
    /// An abstract socket's name, without the zero in front.
    Abstract(String),
}

/// What is listened on.
pub(crate) struct Listening {
    pub(crate) listener: UnixListener,
    pub(crate) place: Place,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(formatter),
            // As ss(8) writes it.
            Self::Abstract(name) => write!(formatter, "@{name}"),
        }
    }
}

/// Listens where it was told to, else at the first place that can be had.
///
/// # Errors
/// Where none can be; the words say what to do.
pub(crate) fn listen(told: Option<&Path>) -> io::Result<Listening> {
    let path = told.unwrap_or(Path::new(DEFAULT_SOCKET));
    let error = match listen_at_path(path) {
        Ok(listener) => {
            let place = Place::Path(path.to_owned());
            return Ok(Listening { listener, place });
        }
        Err(error) => error,
    };
    let is_for_want_of_a_place = matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    );
    if told.is_none() && is_for_want_of_a_place && !Path::new(IN_HOST_NETWORK).exists() {
        let name = abstract_name(geteuid().as_raw())?;
        let address = SocketAddr::from_abstract_name(&name)?;
        let place = Place::Abstract(name);
        return match UnixListener::bind_addr(&address) {
            Ok(listener) => Ok(Listening { listener, place }),
            Err(error) => Err(explain(&error, "listen on", &place)),
        };
    }
    Err(error)
}

fn explain(error: &io::Error, what: &str, place: &dyn std::fmt::Display) -> io::Error {
    let message = format!("cannot {what} {place}: {error}; choose another place with --socket");
    io::Error::new(error.kind(), message)
}

/// Binds the socket for its owner alone, in place of one that a dead agent has left.
fn listen_at_path(path: &Path) -> io::Result<UnixListener> {
    let explain = |error: io::Error, what: &str| explain(&error, what, &path.display());
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|error| explain(error, "make the directory of"))?;
    }
    let other = Place::Path(path.to_owned()).connect();
    if other.is_ok_and(|stream| is_trusted(&stream)) {
        let taken = io::Error::new(io::ErrorKind::AddrInUse, "another agent answers there");
        return Err(explain(taken, "listen on"));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(explain(error, "replace"));
        }
        _ => {}
    }
    // The mode belongs to the socket from its first moment: nobody else can connect in between.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    listener.map_err(|error| explain(error, "listen on"))
}

impl Place {
    /// Whether somebody who has connected here may ask.
    pub(crate) fn lets_in(&self, peer: Peer) -> bool {
        match self {
            // The file's mode has let it in.
            Self::Path(_) => true,
            Self::Abstract(_) => {
                peer.pid.is_some() && (peer.uid == 0 || peer.uid == geteuid().as_raw())
            }
        }
    }

    /// Connects at once or not at all: the queue of an agent that hangs may be full.
    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        let address = match self {
            Self::Path(path) => SocketAddrUnix::new(path)?,
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let stream =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&stream, &address)?;
        let stream = UnixStream::from(stream);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }
}

/// Connects to the agent that listens where it was told to, else at the first place where a trusted one does.
///
/// # Errors
/// A sentence: that no agent answers, and where.
pub(crate) fn connect(told: Option<&Path>) -> Result<UnixStream, String> {
    let path = Place::Path(told.unwrap_or(Path::new(DEFAULT_SOCKET)).to_owned());
    let why = match path.connect() {
        Ok(stream) if told.is_some() || is_trusted(&stream) => return Ok(stream),
        Ok(_) => "another user of the container has taken its place".to_owned(),
        Err(error) => error.to_string(),
    };
    if told.is_none() {
        for uid in trusted() {
            let stream = abstract_name(uid).and_then(|name| Place::Abstract(name).connect());
            let is_its_own = |stream: &UnixStream| {
                Peer::of(stream).is_ok_and(|peer| peer.pid.is_some() && peer.uid == uid)
            };
            if let Some(stream) = stream.ok().filter(is_its_own) {
                return Ok(stream);
            }
        }
    }
    Err(format!("no agent answers at {path}: {why}"))
}

/// Users whose agent is believed: oneself, the one of the container's first process, and root.
fn trusted() -> [u32; 3] {
    let own = geteuid().as_raw();
    // Of a directory in /proc itself the kernel tells the process' effective user.
    let first = std::fs::metadata("/proc/1").map_or(own, |first| first.uid());
    [own, first, 0]
}

fn is_trusted(stream: &UnixStream) -> bool {
    Peer::of(stream).is_ok_and(|peer| trusted().contains(&peer.uid))
}

/// The name of the abstract socket of a user's agent in this container.
fn abstract_name(uid: u32) -> io::Result<String> {
    let namespace = std::fs::read_link("/proc/self/ns/mnt")?;
    let number: String = namespace
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    Ok(format!("diogenes-agent-{number}-{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_place_is_for_the_same_user_and_root_within_sight() {
        let own = geteuid().as_raw();
        let place = Place::Abstract("x".into());
        for (pid, uid, is_let_in) in [
            (Some(7), own, true),
            (Some(7), 0, true),
            (Some(7), own + 4711, false),
            (None, own, false),
            (None, 0, false),
        ] {
            assert_eq!(place.lets_in(Peer { pid, uid }), is_let_in, "{pid:?} {uid}");
        }
    }

    #[test]
    fn a_place_that_was_told_is_the_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/agent.sock");
        let listening = listen(Some(&path)).unwrap();
        assert_eq!(listening.place, Place::Path(path.clone()));
        assert!(connect(Some(&path)).is_ok());
        let taken = listen(Some(&path)).err().unwrap();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(listening);
        assert!(
            connect(Some(&path))
                .unwrap_err()
                .contains("below/agent.sock")
        );
        assert!(listen(Some(&path)).is_ok(), "a dead agent's is replaced");
    }

    #[test]
    fn the_name_tells_container_and_user() {
        let name = abstract_name(1000).unwrap();
        let number = name.strip_prefix("diogenes-agent-").unwrap();
        let number = number.strip_suffix("-1000").unwrap();
        assert!(number.parse::<u64>().unwrap() > 0, "{name}");
    }
}
