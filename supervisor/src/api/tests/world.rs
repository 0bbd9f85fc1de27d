//! The supervisor that the tests of this interface talk to.

use std::sync::Arc;

use axum::Router;
use diogenes_proto::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::access::Door;
use crate::api::events::Followers;
use crate::api::metrics::Metrics;
use crate::api::{self, Api, http};
use crate::attendants::Attendants;
use crate::attendants::detached::Detached;
use crate::cli::client::Client;
use crate::config::Settings;
use crate::fakes::{FakeEngine, FakeWayIn, running, until};
use crate::registry::Registry;
use crate::relay::Relay;
use crate::run_dir;
use crate::supervisor::Supervisor;
use crate::tekton::hermes::Hermes;

/// A supervisor over fakes, served on its two doors.
pub(super) struct World {
    pub(super) registry: Arc<Registry>,
    pub(super) engine: Arc<FakeEngine>,
    pub(super) way_in: Arc<FakeWayIn>,
    pub(super) attendants: Arc<Attendants>,
    pub(super) client: Client,
    pub(super) settings: watch::Sender<Arc<Settings>>,
    /// The base of TCP's addresses.
    pub(super) tcp: String,
    pub(super) dir: tempfile::TempDir,
    /// What the doors serve, for requests without a connection.
    pub(super) doors: [Router; 2],
    /// Ends what is served.
    pub(super) stop: CancellationToken,
    pub(super) api: Arc<Api>,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::start_beside(None).await
    }

    /// One that registers with the Hermes at this address.
    pub(super) async fn start_beside(hermes: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (registry, engine) = (
            Arc::new(Registry::default()),
            Arc::new(FakeEngine::default()),
        );
        let (way_in, stop, tasks) = (
            Arc::new(FakeWayIn::default()),
            CancellationToken::new(),
            TaskTracker::new(),
        );
        let detached = Detached::load(dir.path());
        let settings = watch::Sender::new(Arc::new(Settings::with(&[])));
        let attendants = Arc::new(Attendants::new(
            way_in.clone(),
            registry.clone(),
            detached,
            settings.subscribe(),
            stop.clone(),
            tasks.clone(),
        ));
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = tcp.local_addr().unwrap();
        let door = Door {
            listen,
            settings: settings.subscribe(),
        };
        let hermes = hermes.map(|url| {
            let address = diogenes_tekton::Address::parse(url).unwrap();
            Hermes::new(address, listen, dir.path(), None, &registry).unwrap()
        });
        if let Some(hermes) = &hermes {
            tasks.spawn(hermes.clone().run(registry.clone(), stop.clone()));
        }
        let supervisor = Supervisor {
            started_at: Timestamp::now(),
            started: std::time::Instant::now(),
            run_dir: dir.path().to_owned(),
            listen,
            engine: "/var/run/docker.sock".into(),
            attach_error: None,
            hermes,
            settings: settings.subscribe(),
            alerts: Arc::default(),
        };
        registry.engine_answered(diogenes_engine::EngineVersion {
            version: "20.10".into(),
            api_version: "1.41".into(),
        });
        let relay = Arc::new(Relay::new(engine.clone(), registry.clone()));
        let api = Arc::new(Api {
            supervisor,
            registry: registry.clone(),
            attendants: attendants.clone(),
            relay,
            metrics: Metrics::default(),
            followers: Followers::default(),
            logs: crate::logs::Logs::new(engine.clone(), registry.clone()),
            specialists: Arc::default(),
        });
        let socket = run_dir::listen(&run_dir::api_socket(dir.path()), None).unwrap();
        let doors = [api::local(api.clone()), api::tcp(api.clone(), door)];
        let [local, over_tcp] = doors.clone();
        tokio::spawn(http::serve(socket, local, stop.clone(), tasks.clone()));
        tokio::spawn(http::serve(tcp, over_tcp, stop.clone(), tasks));
        let client = Client::new(dir.path()).unwrap();
        Self {
            registry,
            engine,
            way_in,
            attendants,
            client,
            settings,
            tcp: format!("http://{listen}"),
            dir,
            doors,
            stop,
            api,
        }
    }

    pub(super) async fn add(&self, id: &str, name: &str) {
        let facts = running(id, name, 7);
        self.registry.set_facts(facts.clone());
        self.attendants.container_changed(&facts).await;
    }

    pub(super) async fn add_attended(&self, id: &str, name: &str) {
        self.add(id, name).await;
        until("it has reported", || {
            self.registry
                .get(id)
                .is_some_and(|entry| entry.report.is_some())
        })
        .await;
    }
}

/// Status and body of a request .
pub(super) async fn get(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}
