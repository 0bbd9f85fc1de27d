//! The run directory: one supervisor's sockets, and the lock that keeps a second one out.
//!
//! ```text
//! RUN_DIR/lock       held (flock) as long as the supervisor lives, whatever becomes of it
//! RUN_DIR/api.sock   HTTP, mode 0660
//! RUN_DIR/ci/*.sock  one per container, the companions' own protocol, mode 0660
//! RUN_DIR/dial-in/   mounted into containers, if dial-in is on: nothing but supervisor.sock, mode 0666
//! ```

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use diogenes_linux::contract::DIAL_IN_SOCKET;
use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName as _};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::advice;
use crate::exit::Failure;

/// Where it is unless told otherwise.
pub(crate) const DEFAULT: &str = "/run/diogenes";
/// What gives another one.
const FLAG: &str = "--run-dir";
/// Who may open a socket: its owner and group. The kernel asks for write permission (unix(7)).
const SOCKET_MODE: u32 = 0o660;
/// The one for containers is for all their users: who comes in is told by the kernel, not by the file's mode.
const DIAL_IN_MODE: u32 = 0o666;
/// Its directory can be looked into and entered by all, and written by its owner alone.
const DIAL_IN_DIR_MODE: u32 = 0o755;

/// The path of the API's socket.
pub(crate) fn api_socket(run_dir: &Path) -> PathBuf {
    run_dir.join("api.sock")
}

/// The directory of the companions' sockets.
pub(crate) fn ci_dir(run_dir: &Path) -> PathBuf {
    run_dir.join("ci")
}

/// The directory that containers have mounted, to dial in.
pub(crate) fn dial_in_dir(run_dir: &Path) -> PathBuf {
    run_dir.join("dial-in")
}

/// The path of the lock, which the pid of its holder is noted in.
pub(crate) fn lock_file(run_dir: &Path) -> PathBuf {
    run_dir.join("lock")
}

/// A run directory that is ours.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// The kernel gives the lock back when this is closed, be it by a crash.
    _lock: File,
}

impl RunDir {
    /// Makes the directory where it is not there, and takes it into possession.
    ///
    /// # Errors
    /// Where it cannot be made or written, or another supervisor has it.
    pub(crate) fn take(path: &Path) -> Result<Self, Failure> {
        let cannot = |what: &str, error: std::io::Error| {
            let advice = advice::directory(error.kind(), FLAG);
            Failure::config(format!("cannot {what} {}: {error}{advice}", path.display()))
        };
        std::fs::create_dir_all(ci_dir(path))
            .map_err(|error| cannot("make the run directory", error))?;
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(lock_file(path))
            .map_err(|error| cannot("lock the run directory", error))?;
        let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(Errno::WOULDBLOCK) {
            let mut pid = String::new();
            let _ = lock.read_to_string(&mut pid);
            let who = pid
                .trim()
                .parse::<u32>()
                .map_or_else(|_| String::new(), |pid| format!(" (pid {pid})"));
            let path = path.display();
            return Err(Failure::config(format!(
                "another supervisor{who} already serves {path}; stop it, or give this one another --run-dir and --listen"
            )));
        }
        locked.map_err(|error| cannot("lock the run directory", error.into()))?;
        let noted = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()));
        noted.map_err(|error| cannot("write the lock of the run directory", error))?;
        remove_stale_sockets(&ci_dir(path));
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes what a supervisor that was killed left behind. Nobody else's sockets live here: the lock is ours.
fn remove_stale_sockets(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "sock")
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Listens on a Unix socket of a run directory that is ours, open to its owner and to a group (None for the group
/// this process runs as). The socket's file goes when the listener does.
///
/// # Errors
/// Where the path is too long, or the socket cannot be made or given away: in words, with what to do.
pub(crate) fn listen(path: &Path, group: Option<u32>) -> Result<Listener, String> {
    listen_as(path, SOCKET_MODE, group)
}

/// Listens on a Unix socket in a directory that others write into too, as all do in `/tmp`; open as in [`listen`].
///
/// Nothing that is there is followed or removed, but for a socket of this user's that nobody listens on any more: left
/// by a supervisor that was killed. In such a directory nobody else can put anything in its place.
///
/// # Errors
/// Where others could, where something is in the way, and as [`listen`].
pub(crate) fn listen_among_others(path: &Path, group: Option<u32>) -> Result<Listener, String> {
    let cannot =
        |why: &dyn std::fmt::Display| format!("cannot listen on {}: {why}", path.display());
    let directory = path.parent().unwrap_or(Path::new("/"));
    let meta = directory
        .symlink_metadata()
        .map_err(|error| cannot(&error))?;
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_dir()
        || ![0, own].contains(&meta.uid())
        || meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0
    {
        return Err(cannot(
            &"others could replace what is in its directory; make that root's, with mode 1777",
        ));
    }
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(&error)),
        Ok(_) if is_stale(path) => std::fs::remove_file(path).map_err(|error| cannot(&error))?,
        Ok(_) => {
            return Err(cannot(
                &"something is there that is not this supervisor's; look what it is, and remove it",
            ));
        }
    }
    // bind(2) makes the file, and fails where there is one, be it a link to nowhere.
    bind(path, SOCKET_MODE, group).map_err(|error| cannot(&error))
}

/// Removes the sockets of a directory that others write into too whose names are `ours`, and that a supervisor of this
/// user's left behind when it was killed.
pub(crate) fn remove_stale_among_others(directory: &Path, ours: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(&ours) && is_stale(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether this is a socket of this user's that nobody listens on any more. A link is none.
fn is_stale(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let meta = path.symlink_metadata();
    if !meta.is_ok_and(|meta| meta.file_type().is_socket() && meta.uid() == own) {
        return false;
    }
    let connected = std::os::unix::net::UnixStream::connect(path);
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Makes the directory for containers where it is not there, and listens in it. It stays when the listener goes: what
/// containers have mounted is this very directory.
///
/// # Errors
/// As [`listen`].
pub(crate) fn listen_for_containers(directory: &Path) -> Result<Listener, String> {
    let made = std::fs::create_dir_all(directory).and_then(|()| {
        let mode = Permissions::from_mode(DIAL_IN_DIR_MODE);
        std::fs::set_permissions(directory, mode)
    });
    made.map_err(|error| {
        let advice = advice::directory(error.kind(), FLAG);
        format!("cannot make {}: {error}{advice}", directory.display())
    })?;
    let name = OsStr::from_bytes(DIAL_IN_SOCKET.to_bytes());
    listen_as(&directory.join(name), DIAL_IN_MODE, None)
}

fn listen_as(path: &Path, mode: u32, group: Option<u32>) -> Result<Listener, String> {
    try_listen(path, mode, group).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::InvalidInput => {
                format!("; its path is too long for a socket, give a shorter {FLAG}")
            }
            kind => advice::directory(kind, FLAG),
        };
        format!("cannot listen on {}: {error}{advice}", path.display())
    })
}

fn try_listen(path: &Path, mode: u32, group: Option<u32>) -> std::io::Result<Listener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    bind(path, mode, group)
}

fn bind(path: &Path, mode: u32, group: Option<u32>) -> std::io::Result<Listener> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    let listener = ListenerOptions::new()
        .name(name)
        .mode(mode)
        .create_tokio()?;
    // The umask took its part of the mode above; what that left is never more than is meant here.
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    if let Some(gid) = group {
        std::os::unix::fs::chown(path, None, Some(gid)).map_err(|error| {
            std::io::Error::new(
                error.kind(),
                format!("its group cannot be set to {gid}: {error}"),
            )
        })?;
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_one_supervisor_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunDir::take(dir.path()).unwrap();
        let second = RunDir::take(dir.path()).unwrap_err();
        assert!(
            second.message.contains(&format!(
                "another supervisor (pid {}) already serves",
                std::process::id()
            )),
            "{second}"
        );
        drop(first);
        RunDir::take(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_ours_is_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let stale = ci_dir(dir.path()).join("gone.sock");
        std::fs::create_dir_all(ci_dir(dir.path())).unwrap();
        // A socket whose owner was killed: the file stays.
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        drop(std::os::unix::net::UnixListener::bind(api_socket(dir.path())).unwrap());
        let run_dir = RunDir::take(dir.path()).unwrap();
        assert!(!stale.exists());
        let path = api_socket(run_dir.path());
        let listener = listen(&path, None).unwrap();
        assert_eq!(
            path.metadata().unwrap().permissions().mode() & 0o777,
            SOCKET_MODE
        );
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_can_be_given_to_a_group() {
        let dir = tempfile::tempdir().unwrap();
        let path = api_socket(dir.path());
        let own = rustix::process::getgid().as_raw();
        let listener = listen(&path, Some(own)).unwrap();
        assert_eq!(path.metadata().unwrap().gid(), own);
        drop(listener);
        let long = dir.path().join("x".repeat(120));
        let told = listen(&long, None).unwrap_err();
        assert!(told.contains("give a shorter --run-dir"), "{told}");
    }

    #[tokio::test]
    async fn among_others_nothing_is_followed_and_nothing_of_theirs_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mode =
            |mode| std::fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        let path = dir.path().join("ci_x.sock");
        mode(0o777);
        let told = listen_among_others(&path, None).unwrap_err();
        assert!(told.contains("others could replace"), "{told}");
        mode(0o1777);
        let elsewhere = dir.path().join("elsewhere");
        for plant in [
            &|| std::os::unix::fs::symlink(&elsewhere, &path).unwrap(),
            &|| std::fs::write(&path, "theirs").unwrap(),
            &|| std::fs::create_dir(&path).unwrap(),
        ] as [&dyn Fn(); 3]
        {
            plant();
            let told = listen_among_others(&path, None).unwrap_err();
            assert!(told.contains("not this supervisor's"), "{told}");
            assert!(!elsewhere.exists() && path.symlink_metadata().is_ok());
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        }
        let alive = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(
            listen_among_others(&path, None).is_err(),
            "somebody listens there"
        );
        let left = dir.path().join("ci_left.sock");
        drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
        std::fs::write(dir.path().join("ci_file.sock"), "theirs").unwrap();
        remove_stale_among_others(dir.path(), |name| name.starts_with("ci_"));
        assert!(path.exists() && !left.exists() && dir.path().join("ci_file.sock").exists());
        drop(alive);
        let listener = listen_among_others(&path, None).unwrap();
        assert_eq!(
            path.metadata().unwrap().permissions().mode() & 0o777,
            SOCKET_MODE
        );
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_told_of_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let told = |path: &Path| RunDir::take(path).unwrap_err().message;
        let in_the_way = told(&dir.path().join("file"));
        assert!(
            in_the_way.contains("a file is in its place"),
            "{in_the_way}"
        );
        assert!(
            told(Path::new("/proc/self/no-such-place"))
                .starts_with("cannot make the run directory /proc/self")
        );
    }

    /// Where the tests may not mount, the messages are those of the errors a mount would bring.
    #[test]
    fn a_full_or_read_only_place_is_told_of_with_advice() {
        let Some(place) = crate::fakes::Mount::tmpfs("size=4k,nr_inodes=8") else {
            assert!(advice::directory(ErrorKind::StorageFull, FLAG).contains("free some space"));
            return;
        };
        let run_dir = place.path().join("run");
        drop(RunDir::take(&run_dir).unwrap());
        std::fs::write(lock_file(&run_dir), "").unwrap();
        std::fs::write(place.path().join("filler"), [0; 4096]).unwrap();
        let full = RunDir::take(&run_dir).unwrap_err().message;
        assert!(
            full.contains("No space left on device") && full.contains("free some space there"),
            "{full}"
        );
        place.make_read_only();
        let read_only = RunDir::take(&run_dir).unwrap_err().message;
        assert!(
            read_only.contains("its file system is read-only"),
            "{read_only}"
        );
    }
}
