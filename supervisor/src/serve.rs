//! `diogenes serve`: assembles the supervisor, and takes it apart in order.
//!
//! Nothing is bound before the configuration is found valid. Shutdown: stop accepting, let requests under way
//! end and companions leave, under one deadline; the sockets' files go with their listeners. A second signal
//! ends the process at once, and companions end with the attacher whatever happens here.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diogenes_engine::{Docker, Endpoint};
use diogenes_proto::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::http;
use crate::api::{self, Api};
use crate::attendants::Attendants;
use crate::attendants::attacher::Attacher;
use crate::attendants::detached::Detached;
use crate::attendants::way_in::{NoWayIn, WayIn};
use crate::ci_sockets::CiSockets;
use crate::exit::Failure;
use crate::registry::Registry;
use crate::registry::engine_follower::EngineFollower;
use crate::relay::Relay;
use crate::run_dir::{self, RunDir};
use crate::supervisor::Supervisor;

/// How long the whole shutdown may take.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// What a supervisor is told.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where TCP listens: a loopback address.
    pub(crate) listen: SocketAddr,
    /// Where the sockets go.
    pub(crate) run_dir: PathBuf,
    /// Where what must be remembered goes.
    pub(crate) state_dir: PathBuf,
    /// Where the Engine is.
    pub(crate) engine: Endpoint,
    /// The agent's program; None for the one at hand.
    pub(crate) agent: Option<PathBuf>,
}

/// Serves until a signal says otherwise.
///
/// # Errors
/// A [`Failure`] where the configuration cannot work.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    if !config.listen.ip().is_loopback() {
        return Err(Failure::config(format!(
            "--listen {} is no loopback address: this interface has no tokens yet, so anybody who reaches it could \
             read everything; give 127.0.0.1:PORT or [::1]:PORT",
            config.listen
        ))
        .into());
    }
    // Before anything is made, so that no signal finds things half made.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let run_dir = RunDir::take(&config.run_dir)?;
    let tcp = TcpListener::bind(config.listen)
        .await
        .map_err(|error| cannot_listen(config.listen, &error))?;
    let listen = tcp.local_addr()?;
    let socket_path = run_dir::api_socket(run_dir.path());
    let socket = run_dir::listen(&socket_path).map_err(|error| {
        Failure::config(format!(
            "cannot listen on {}: {error}",
            socket_path.display()
        ))
    })?;

    let (way_in, attach_error): (Arc<dyn WayIn>, _) =
        match Attacher::start(config.agent.as_deref(), run_dir.path()) {
            Ok(attacher) => (Arc::new(attacher), None),
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::error!("no container can be entered: {reason}");
                (Arc::new(NoWayIn(reason.clone())), Some(reason))
            }
        };
    // Listeners stop first, then what they rely on.
    let (accepting, working) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let engine: Arc<Docker> = Arc::new(Docker::new(config.engine.clone()));
    let registry = Arc::new(Registry::default());
    let detached = Detached::load(&config.state_dir);
    let attendants = Arc::new(Attendants::new(
        way_in,
        registry.clone(),
        detached,
        working.clone(),
        tasks.clone(),
    ));
    let relay = Arc::new(Relay::new(engine.clone()));
    let supervisor = Supervisor {
        started_at: Timestamp::now(),
        run_dir: run_dir.path().to_owned(),
        listen,
        engine: config.engine.to_string(),
        attach_error,
    };
    let api = Arc::new(Api {
        supervisor,
        registry: registry.clone(),
        attendants: attendants.clone(),
        relay: relay.clone(),
    });

    tasks.spawn(EngineFollower::new(engine, registry.clone(), attendants).run(working.clone()));
    let ci_dir = run_dir::ci_dir(run_dir.path());
    tasks.spawn(CiSockets::new(ci_dir, registry, relay, accepting.clone(), tasks.clone()).run());
    tasks.spawn(http::serve(
        socket,
        api::local(api.clone()),
        accepting.clone(),
        tasks.clone(),
    ));
    tasks.spawn(http::serve(
        tcp,
        api::tcp(api),
        accepting.clone(),
        tasks.clone(),
    ));
    tracing::info!("serving on {} and http://{listen}", socket_path.display());

    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!("{name}: stopping; a second signal ends at once");
    tasks.close();
    accepting.cancel();
    working.cancel();
    tokio::select! {
        drained = tokio::time::timeout(SHUTDOWN_DEADLINE, tasks.wait()) => match drained {
            Ok(()) => tracing::info!("stopped; all companions have left"),
            Err(_) => tracing::warn!("stopped with {} tasks still busy after {} s", tasks.len(), SHUTDOWN_DEADLINE.as_secs()),
        },
        _ = terminate.recv() => tracing::warn!("stopped at once"),
        _ = interrupt.recv() => tracing::warn!("stopped at once"),
    }
    Ok(())
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::AddrInUse => Failure::config(format!(
            "port {} on {} is taken, perhaps by another supervisor; give another one with --listen {}:PORT",
            address.port(),
            address.ip(),
            address.ip()
        )),
        _ => Failure::config(format!(
            "cannot listen on {address}: {error}; give another address with --listen"
        )),
    }
}
