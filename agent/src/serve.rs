//! The two ways of running, put together: attached to a supervisor, or unaided.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use diogenes_discovery::Scope;
use diogenes_linux::confine;
use diogenes_linux::contract::take_session;
use diogenes_linux::pidfd::PidFd;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::companion::Companion;
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
        let companion = Companion::start(Scope {
            init_pid,
            shared_pids: true,
            shared_net: true,
        });
        // In a pid namespace of its own the container's end ends this process anyway; in a shared one nothing else tells.
        let init = PidFd::open(init_pid)?;
        tokio::select! {
            () = session::run(stream, companion) => {}
            () = init.exited() => {}
        }
        Ok(())
    }))
}

/// Listens on `path` until it is told to stop.
pub(crate) fn unaided(path: &Path) -> ExitCode {
    confine::name_process();
    if let Err(why) = confine::install_filter() {
        eprintln!("diogenes-agent: {why}");
        return ExitCode::FAILURE;
    }
    let path = path.to_owned();
    run(Box::pin(async move {
        let listener = listen(&path)?;
        eprintln!("diogenes-agent: answering on {}", path.display());
        let companion = Companion::start(Scope {
            init_pid: 1,
            shared_pids: false,
            shared_net: false,
        });
        tokio::select! {
            biased;
            () = dial_in::keep(companion.clone()) => Ok(()),
            () = take_in(listener, companion) => Ok(()),
        }
    }))
}

/// Converses with whoever connects, so many at a time.
async fn take_in(listener: UnixListener, companion: Companion) {
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        // Waiting for a free place before accepting leaves what is too much in the socket's own queue.
        let Ok(place) = Arc::clone(&clients).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let companion = companion.clone();
                tokio::spawn(async move {
                    session::run(stream, companion).await;
                    drop(place);
                });
            }
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

/// Binds the socket for its owner alone, in place of one that a dead agent has left.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    let explain = |error: std::io::Error, what: &str| {
        let message = format!(
            "cannot {what} {}: {error}; choose another place with --socket",
            path.display()
        );
        std::io::Error::new(error.kind(), message)
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|error| explain(error, "make the directory of"))?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        let taken =
            std::io::Error::new(std::io::ErrorKind::AddrInUse, "another agent answers there");
        return Err(explain(taken, "listen on"));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
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
