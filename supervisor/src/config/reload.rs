//! SIGHUP: the configuration is read again while everything goes on.
//!
//! What can change live reaches its users through a watch. What cannot stays as it is and is named in the log. A
//! configuration with mistakes changes nothing at all.

use std::sync::Arc;

use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::{Settings, Sources, keys};

/// Changes what is told in the log.
pub(crate) type SetLogFilter = Box<dyn Fn(EnvFilter) + Send>;

/// Who reads the configuration again.
pub(crate) struct Reloader {
    sources: Sources,
    settings: watch::Sender<Arc<Settings>>,
    set_log_filter: SetLogFilter,
}

impl Reloader {
    /// Starts from settings that are in force.
    pub(crate) fn new(sources: Sources, settings: Settings, set_log_filter: SetLogFilter) -> Self {
        Self {
            sources,
            settings: watch::Sender::new(Arc::new(settings)),
            set_log_filter,
        }
    }

    /// The settings in force, and every change of them.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Reads everything again, and says in the log what came of it.
    pub(crate) fn reload(&self) {
        let in_force = self.settings.borrow().clone();
        let (mut givens, mistakes) = self.sources.givens();
        let held = givens.hold_back(&in_force.givens, keys());
        let next = match Settings::read(givens, mistakes).and_then(Settings::with_secrets) {
            Ok(next) => {
                if !held.is_empty() {
                    tracing::warn!("changed, but needs a restart: {}", held.join(", "));
                }
                (self.set_log_filter)(next.general.log.env_filter());
                tracing::info!("the configuration was read again");
                next
            }
            Err(mistakes) => {
                tracing::error!("the configuration stays as it was: {mistakes}");
                Settings {
                    reload_error: Some(mistakes.to_string()),
                    ..Settings::clone(&in_force)
                }
            }
        };
        self.settings.send_replace(Arc::new(next));
    }
}
