//! Dialling in: where the container has the supervisor's directory mounted, a companion that nobody brought in comes to
//! the supervisor by itself, and is asked over that session like one that was.
//!
//! From in here nobody can tell who answers: a process of the host has no pid in a container. So only the mounted
//! directory is believed, which root of the container cannot have made, let alone another user: no link leads there, it
//! is the root of a mount, and it cannot be written from here. Sources: openat2(2), statx(2), statvfs(3).

use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use diogenes_linux::contract::{DIAL_IN_DIR, DIAL_IN_SOCKET};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxAttributes, StatxFlags,
    fstatvfs, openat2, statx,
};
use rustix::io::{Errno, Result};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use crate::companion::Companion;
use crate::place::Place;
use crate::session;

/// Between two calls, as many seconds at least, and at most twice as many: by chance, for all of a host notice its
/// supervisor's end at once. It doubles with each call that was in vain.
const FIRST_WAIT_S: u64 = 1;
const LONGEST_WAIT_S: u64 = 32;
/// The queue may be full for as long as another container floods it: a place in it is had by asking again soon. This
/// often and so long after each other, then the call was in vain.
const QUEUE_TRIES: u32 = 40;
const QUEUE_PAUSE: Duration = Duration::from_millis(50);
/// A session that lasted so long was not in vain.
const WORTH_IT: Duration = Duration::from_secs(60);

/// Calls, and calls again, for ever; never without the mount: none comes into a container that runs.
pub(crate) async fn keep(companion: Companion) {
    let Ok(directory) = mounted() else {
        return std::future::pending().await;
    };
    let mut wait_s = FIRST_WAIT_S;
    loop {
        let begun = Instant::now();
        if let Ok(stream) = dial(&directory).await {
            session::run(Box::new(stream), companion.clone()).await;
        }
        if begun.elapsed() >= WORTH_IT {
            wait_s = FIRST_WAIT_S;
        }
        // Two that notice it at the same microsecond are rare, and those below it are chance enough.
        let chance_ms = clock_gettime(ClockId::Monotonic).tv_nsec.cast_unsigned() % (wait_s * 1000);
        sleep(Duration::from_millis(wait_s * 1000 + chance_ms)).await;
        wait_s = (wait_s * 2).min(LONGEST_WAIT_S);
    }
}

/// The mounted directory.
fn mounted() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat2(
        CWD,
        DIAL_IN_DIR,
        flags,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )?;
    let is_root = statx(&directory, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())?
        .stx_attributes
        .contains(StatxAttributes::MOUNT_ROOT);
    let is_read_only = fstatvfs(&directory)?
        .f_flag
        .contains(StatVfsMountFlags::RDONLY);
    if is_root && is_read_only {
        Ok(directory)
    } else {
        Err(Errno::PERM)
    }
}

/// Connects to the very socket that is in the directory, and through no link.
async fn dial(directory: &OwnedFd) -> std::io::Result<UnixStream> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let socket = openat2(directory, DIAL_IN_SOCKET, flags, Mode::empty(), resolve)?;
    let place = Place::Path(format!("/proc/self/fd/{}", socket.as_raw_fd()).into());
    let mut tries = 1;
    let stream = loop {
        match place.connect() {
            Err(full) if full.kind() == ErrorKind::WouldBlock && tries < QUEUE_TRIES => {
                tries += 1;
                sleep(QUEUE_PAUSE).await;
            }
            connected => break connected?,
        }
    };
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_no_refusal() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = std::ffi::OsStr::from_bytes(DIAL_IN_SOCKET.to_bytes());
        let path = folder.path().join(name);
        let listener = UnixListener::bind(&path).expect("a socket");
        // The queue is made as short as can be, and filled.
        rustix::net::listen(&listener, 0).expect("a shorter queue");
        let place = Place::Path(path);
        let others: Vec<_> = std::iter::from_fn(|| place.connect().ok()).collect();
        assert!(!others.is_empty() && others.len() < 10, "{}", others.len());

        let directory = OwnedFd::from(std::fs::File::open(folder.path()).expect("the folder"));
        let mut dialled = std::pin::pin!(dial(&directory));
        let early = tokio::time::timeout(QUEUE_PAUSE * 2, &mut dialled).await;
        assert!(early.is_err(), "{early:?}");
        drop(listener.accept().expect("the first in the queue"));
        dialled.await.expect("a place in the queue");
    }
}
