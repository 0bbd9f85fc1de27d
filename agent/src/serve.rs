//! The ways of running, put together: attached to a supervisor, by a socket or by standard input and output, or
//! unaided.

use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use diogenes_discovery::Scope;
use diogenes_linux::confine;
use diogenes_linux::contract::{UPLOAD_PATH, take_session};
use diogenes_linux::peer::Peer;
use diogenes_linux::pidfd::PidFd;
use tokio::io::join;
use tokio::net::unix::pipe;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::companion::Companion;
use crate::place::{self, Listening, Place};
use crate::{dial_in, session};

/// Events taken from the kernel at once; there are a few sockets and some processes to watch.
const MAX_EVENTS: usize = 64;
/// How many clients may be connected to an unaided agent's socket.
const MAX_CLIENTS: usize = 16;

/// Runs for the supervisor that started this process, until its session ends or the container's init does. Prints
/// nothing: its words would be the container's.
pub(crate) fn attached(init_pid: u32) -> ExitCode {
    confine::name_process();
    let Ok(stream) = take_session() else {
        eprintln!(
            "diogenes-agent: \"attached\" is how the supervisor starts it; by hand, use: diogenes-agent serve"
        );
        return ExitCode::from(2);
    };
    if confine::install_filter().is_err() {
        return ExitCode::FAILURE;
    }
    run(Box::pin(async move {
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        // The namespaces may be shared, now or later, and the Engine may have sockets in them: only what belongs to
        // the container's own processes is told.
        let companion = Companion::start(
            Scope {
                init_pid,
                shared_pids: true,
                shared_net: true,
            },
            false,
        );
        // In a pid namespace of its own the container's end ends this process anyway; in a shared one nothing else tells.
        let init = PidFd::open(init_pid)?;
        tokio::select! {
            () = session::run(Box::new(stream), companion) => {}
            () = init.exited() => {}
        }
        Ok(())
    }))
}

/// Runs for the supervisor that had the Engine start this process, until standard input ends. Standard output carries
/// the session alone.
pub(crate) fn on_stdio(shared_pids: bool, shared_net: bool) -> ExitCode {
    remove_own_file();
    confine::name_process();
    if let Err(why) = confine::install_filter() {
        eprintln!("diogenes-agent: {why}");
        return ExitCode::FAILURE;
    }
    run(Box::pin(async move {
        // Unchecked, for they are pipes by the Engine's promise; what cannot be waited for is refused anyway.
        let pipe = |fd: BorrowedFd<'_>| -> std::io::Result<OwnedFd> {
            rustix::io::ioctl_fionbio(fd, true)?;
            fd.try_clone_to_owned()
        };
        let input = pipe::Receiver::from_owned_fd_unchecked(pipe(std::io::stdin().as_fd())?)?;
        let output = pipe::Sender::from_owned_fd_unchecked(pipe(std::io::stdout().as_fd())?)?;
        let companion = Companion::start(
            Scope {
                // Started by the Engine in the container's cgroup, which is what tells its processes from others.
                init_pid: if shared_pids { std::process::id() } else { 1 },
                shared_pids,
                shared_net,
            },
            false,
        );
        session::run(Box::new(join(input, output)), companion).await;
        Ok(())
    }))
}

/// Nothing is left of what was uploaded, however this process ends. Where another file stands there by now, it is the
/// container's own.
fn remove_own_file() {
    let own = std::fs::metadata("/proc/self/exe");
    let there = std::fs::symlink_metadata(UPLOAD_PATH);
    if let (Ok(own), Ok(there)) = (own, there)
        && (own.dev(), own.ino()) == (there.dev(), there.ino())
    {
        // A file system that has become read-only keeps it: there is nobody to tell.
        let _ = std::fs::remove_file(UPLOAD_PATH);
    }
}

/// Listens until it is told to stop.
pub(crate) fn unaided(socket: Option<&Path>) -> ExitCode {
    confine::name_process();
    if let Err(why) = confine::install_filter() {
        eprintln!("diogenes-agent: {why}");
        return ExitCode::FAILURE;
    }
    let listening = place::listen(socket);
    run(Box::pin(async move {
        let Listening { listener, place } = listening?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        eprintln!("diogenes-agent: answering on {place}");
        let companion = Companion::start(
            Scope {
                init_pid: 1,
                shared_pids: false,
                shared_net: false,
            },
            true,
        );
        tokio::select! {
            biased;
            () = dial_in::keep(companion.clone()) => Ok(()),
            () = take_in(listener, place, companion) => Ok(()),
        }
    }))
}

/// Converses with whoever connects and may, so many at a time.
async fn take_in(listener: UnixListener, place: Place, companion: Companion) {
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        // Waiting for a free seat before accepting leaves what is too much in the socket's own queue.
        let Ok(seat) = Arc::clone(&clients).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) if Peer::of(&stream).is_ok_and(|peer| place.lets_in(peer)) => {
                let companion = companion.clone();
                tokio::spawn(async move {
                    session::run(Box::new(stream), companion).await;
                    drop(seat);
                });
            }
            Ok(_) => {}
            // Out of descriptors, most likely: they come back when a client leaves.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
}

/// Runs a body to its end. It comes in a box so that there is one runtime's loop in the program and not one for each.
fn run(body: Pin<Box<dyn Future<Output = std::io::Result<()>>>>) -> ExitCode {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_io_events_per_tick(MAX_EVENTS)
        .build()
        .and_then(|runtime| {
            let result = runtime.block_on(body);
            // A thread that hangs in a file of the container must not keep this process alive.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("diogenes-agent: {error}");
            ExitCode::FAILURE
        }
    }
}
