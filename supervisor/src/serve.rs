//! `diogenes serve`: assembles the supervisor, and takes it apart in order.
//!
//! Nothing is bound before the configuration is found valid. Shutdown: stop accepting, let requests under way
//! end and companions leave, under one deadline; the sockets' files go with their listeners. A second signal
//! ends the process at once, and companions end with the attacher whatever happens here. SIGHUP reads the
//! configuration again.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diogenes_engine::Docker;
use diogenes_proto::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alerts::Alerts;
use crate::api::access::Door;
use crate::api::http;
use crate::api::{self, Api};
use crate::attendants::Attendants;
use crate::attendants::detached::Detached;
use crate::attendants::way_in::{NoWayIn, WayIn};
use crate::ci_sockets::{CiSockets, Place};
use crate::config::General;
use crate::config::reload::Reloader;
use crate::dial_in::DialIn;
use crate::exit::Failure;
use crate::logs::Logs;
use crate::registry::Registry;
use crate::registry::engine_follower::EngineFollower;
use crate::registry::past::Keeper;
use crate::relay::Relay;
use crate::run_dir::{self, RunDir};
use crate::supervisor::Supervisor;
use crate::tekton::aish::AishRegistry;
use crate::tekton::hermes::Hermes;
use crate::tekton::specialist::Specialists;

/// How long the whole shutdown may take.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// Serves until a signal says otherwise.
///
/// # Errors
/// A [`Failure`] where the configuration cannot work.
pub(crate) async fn run(reloader: Reloader) -> anyhow::Result<()> {
    let settings = reloader.subscribe();
    let General {
        listen,
        run_dir,
        state_dir,
        engine,
        agent,
        via,
        socket_group,
        dial_in,
        ..
    } = settings.borrow().general.clone();
    let tekton = settings.borrow().tekton.clone();
    let socket_group = socket_group.map(|group| group.gid);
    // Before anything is made, so that no signal finds things half made.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let run_dir = RunDir::take(&run_dir)?;
    let tcp = TcpListener::bind(listen)
        .await
        .map_err(|error| cannot_listen(listen, &error))?;
    let listen = tcp.local_addr()?;
    let socket_path = run_dir::api_socket(run_dir.path());
    let socket = run_dir::listen(&socket_path, socket_group).map_err(Failure::config)?;

    let endpoint = engine.to_string();
    let engine: Arc<Docker> = Arc::new(Docker::new(engine));
    let (way_in, attach_error): (Arc<dyn WayIn>, _) =
        match via.open(engine.clone(), agent.as_deref(), run_dir.path()) {
            Ok(way_in) => (way_in, None),
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::error!("no container can be entered: {reason}");
                (Arc::new(NoWayIn(reason.clone())), Some(reason))
            }
        };
    // Listeners stop first, then what they rely on.
    let (accepting, working) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let registry = Arc::new(Registry::default());
    let detached = Detached::load(&state_dir);
    let keeper = Keeper::recall(registry.clone(), &state_dir);
    tasks.spawn(keeper.run(working.clone()));
    let attendants = Arc::new(Attendants::new(
        way_in,
        registry.clone(),
        detached,
        settings.clone(),
        working.clone(),
        tasks.clone(),
    ));
    let hermes = settings.borrow().tekton.hermes.clone();
    let hermes = hermes
        .map(|address| {
            let run_dir = run_dir.path();
            Hermes::new(address, listen, run_dir, attach_error.clone(), &registry)
        })
        .transpose()?;
    if let Some(hermes) = &hermes {
        tasks.spawn(hermes.clone().run(registry.clone(), working.clone()));
    }
    let relay = Arc::new(Relay::new(engine.clone(), registry.clone()));
    let supervisor = Supervisor {
        started_at: Timestamp::now(),
        started: Instant::now(),
        run_dir: run_dir.path().to_owned(),
        listen,
        engine: endpoint,
        attach_error,
        hermes,
        alerts: Alerts::start(registry.clone(), settings.clone(), working.clone(), &tasks),
        settings: settings.clone(),
    };
    let api = Arc::new(Api {
        supervisor,
        registry: registry.clone(),
        attendants: attendants.clone(),
        relay: relay.clone(),
        metrics: api::metrics::Metrics::default(),
        followers: api::events::Followers::default(),
        logs: Logs::new(engine.clone(), registry.clone()),
        specialists: Arc::default(),
    });

    if dial_in {
        let dial_in = DialIn::listen(
            &run_dir::dial_in_dir(run_dir.path()),
            registry.clone(),
            attendants.clone(),
            accepting.clone(),
            tasks.clone(),
        );
        tasks.spawn(dial_in.map_err(Failure::config)?.run());
    }
    let (audited, stop) = (registry.clone(), working.clone());
    tasks.spawn(async move {
        let _ = stop.run_until_cancelled(audited.audit().run()).await;
    });
    tasks.spawn(EngineFollower::new(engine, registry.clone(), attendants).run(working.clone()));
    if let Some(root) = tekton.root {
        let aish = AishRegistry {
            root: std::path::absolute(root)?,
            user: tekton.user,
            run_dir: run_dir.path().to_owned(),
            listen,
            registry: registry.clone(),
            program: "/proc/self/exe".into(),
        };
        tasks.spawn(aish.run(accepting.clone()));
    }
    if let Some(range) = tekton.specialist_ports {
        let specialists = Specialists {
            range,
            registry: registry.clone(),
            relay: relay.clone(),
            ports: api.specialists.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(specialists.run(accepting.clone()));
    }
    let own = Place::Own(run_dir::ci_dir(run_dir.path()));
    let drafts = tekton.first_draft_sockets.then(Place::first_drafts);
    for place in [Some(own), drafts].into_iter().flatten() {
        let ci_sockets = CiSockets::new(
            place,
            socket_group,
            registry.clone(),
            relay.clone(),
            accepting.clone(),
            tasks.clone(),
        );
        tasks.spawn(ci_sockets.run());
    }
    tasks.spawn(http::serve(
        socket,
        api::local(api.clone()),
        accepting.clone(),
        tasks.clone(),
    ));
    tasks.spawn(http::serve(
        tcp,
        api::tcp(api, Door { listen, settings }),
        accepting.clone(),
        tasks.clone(),
    ));
    tracing::info!("serving on {} and http://{listen}", socket_path.display());

    let name = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hangup.recv() => reloader.reload(),
        }
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
