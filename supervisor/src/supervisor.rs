//! The supervisor's facts about itself.

pub(crate) mod cost;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use diogenes_proto::Timestamp;
use diogenes_tekton::Address;
use tokio::sync::watch;

use crate::alerts::Alerts;
use crate::api::view::{EngineView, SupervisorView, TektonView};
use crate::config::Settings;
use crate::registry::EngineStatus;
use crate::tekton::hermes::Hermes;

/// This supervisor.
#[derive(Clone)]
pub(crate) struct Supervisor {
    /// When it started.
    pub(crate) started_at: Timestamp,
    /// The same on a clock that nobody sets.
    pub(crate) started: Instant,
    /// Where its sockets are.
    pub(crate) run_dir: PathBuf,
    /// The address of its TCP listener.
    pub(crate) listen: SocketAddr,
    /// Where its Engine is.
    pub(crate) engine: String,
    /// Why it cannot enter any container; None where it can.
    pub(crate) attach_error: Option<String>,
    /// The configuration in force.
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    /// The way to Hermes; None where none is configured.
    pub(crate) hermes: Option<Arc<Hermes>>,
    /// Who is told of changes, and how that goes.
    pub(crate) alerts: Arc<Alerts>,
}

impl Supervisor {
    /// Its version.
    pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Whether Hermes knows a component: a companion by its CI name, or the supervisor itself.
    pub(crate) fn is_known_to_hermes(&self, name: &str) -> bool {
        self.hermes
            .as_ref()
            .is_some_and(|hermes| hermes.knows(name))
    }

    /// Its facts with those of the Engine.
    pub(crate) fn view(&self, engine: &EngineStatus) -> SupervisorView {
        let settings = self.settings.borrow();
        let tekton = &settings.tekton;
        let text = |address: Option<&Address>| address.map(|it| it.as_str().to_owned());
        SupervisorView {
            version: Self::VERSION.to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            uptime_s: self.started.elapsed().as_secs(),
            run_dir: self.run_dir.display().to_string(),
            listen: self.listen.to_string(),
            engine: EngineView {
                endpoint: self.engine.clone(),
                reachable: engine.error.is_none(),
                version: engine
                    .version
                    .as_ref()
                    .map(|version| version.version.clone()),
                api_version: engine
                    .version
                    .as_ref()
                    .map(|version| version.api_version.clone()),
                error: engine.error.clone(),
                since: engine.since,
            },
            attach_error: self.attach_error.clone(),
            config_error: settings.reload_error.clone(),
            tekton: TektonView {
                root: tekton.root.clone(),
                hermes: text(tekton.hermes.as_ref()),
                ergon: text(tekton.ergon.as_ref()),
            },
        }
    }
}
