//! All attendants: one a container, made when it is first seen running, dismissed when it is destroyed.

pub(crate) mod attacher;
pub(crate) mod attendance;
pub(crate) mod attendant;
mod briefing;
pub(crate) mod choice;
pub(crate) mod detached;
mod exec;
pub(crate) mod name_pattern;
pub(crate) mod policy;
pub(crate) mod visit;
pub(crate) mod way_in;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diogenes_engine::{ContainerFacts, ContainerState};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attendants::attendance::Attendance;
use crate::attendants::attendant::{Attendant, Command};
use crate::attendants::detached::Detached;
use crate::attendants::visit::{Unwelcome, Visitor};
use crate::attendants::way_in::WayIn;
use crate::config::Settings;
use crate::registry::Registry;

/// Attempts to enter a container at one time.
const CONCURRENT_ATTACHES: usize = 8;
/// Commands that may wait for one attendant. The follower waits with what is more: it loses nothing.
const COMMANDS: usize = 16;

/// The attendants.
pub(crate) struct Attendants {
    way_in: Arc<dyn WayIn>,
    registry: Arc<Registry>,
    detached: Detached,
    settings: watch::Receiver<Arc<Settings>>,
    gate: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
    by_id: Mutex<HashMap<String, mpsc::Sender<Command>>>,
}

impl Attendants {
    /// None yet. They heed the policy in `settings` and every change of it, and stop with `stop`; `tasks` knows when
    /// all have.
    pub(crate) fn new(
        way_in: Arc<dyn WayIn>,
        registry: Arc<Registry>,
        detached: Detached,
        settings: watch::Receiver<Arc<Settings>>,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let gate = Arc::new(Semaphore::new(CONCURRENT_ATTACHES));
        Self {
            way_in,
            registry,
            detached,
            settings,
            gate,
            stop,
            tasks,
            by_id: Mutex::default(),
        }
    }

    /// Tells a container's attendant what the Engine says of it, which the registry knows already; makes one where
    /// there is none.
    pub(crate) async fn container_changed(&self, facts: &ContainerFacts) {
        let init_pid = facts.init_pid.filter(|_| facts.state.has_processes());
        // An attendant ends early only with the supervisor.
        let _ = self
            .attendant(&facts.id)
            .send(Command::Runs {
                init_pid,
                is_frozen: facts.state == ContainerState::Paused,
            })
            .await;
    }

    /// Dismisses a container's attendant.
    pub(crate) fn container_destroyed(&self, id: &str) {
        self.lock().remove(id);
        self.detached.set(id, false);
    }

    /// A person wants a companion there. Returns once that is decided on; the registry shows what comes of it.
    pub(crate) async fn attach(&self, id: &str) {
        self.detached.set(id, false);
        self.tell(id, Command::Attach).await;
    }

    /// A person wants none there. Returns once that is decided on; the registry shows what comes of it.
    pub(crate) async fn detach(&self, id: &str) {
        self.detached.set(id, true);
        self.tell(id, Command::Detach).await;
    }

    /// A companion of this container dialled in.
    ///
    /// # Errors
    /// The companion, and why it is not received.
    pub(crate) async fn visit(
        &self,
        id: &str,
        visitor: Box<Visitor>,
    ) -> Result<(), (Box<Visitor>, Unwelcome)> {
        let attendant = self.lock().get(id).cloned();
        let Some(attendant) = attendant else {
            return Err((visitor, Unwelcome::NotRunning));
        };
        let (sender, received) = oneshot::channel();
        if let Err(error) = attendant.send(Command::Visit(visitor, sender)).await {
            return match error.0 {
                Command::Visit(visitor, _) => Err((visitor, Unwelcome::NotRunning)),
                _ => Ok(()),
            };
        }
        // Where nobody answers the supervisor is ending, and the visitor's session with it.
        received.await.unwrap_or(Ok(()))
    }

    async fn tell(&self, id: &str, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (sender, decided) = oneshot::channel();
        if self.attendant(id).send(command(sender)).await.is_ok() {
            let _ = decided.await;
        }
    }

    fn attendant(&self, id: &str) -> mpsc::Sender<Command> {
        let mut by_id = self.lock();
        if let Some(attendant) = by_id.get(id) {
            return attendant.clone();
        }
        let (sender, commands) = mpsc::channel(COMMANDS);
        let attendant = Attendant {
            id: id.to_owned(),
            way_in: self.way_in.clone(),
            registry: self.registry.clone(),
            settings: self.settings.clone(),
            gate: self.gate.clone(),
            attendance: Attendance::new(self.detached.contains(id)),
            commands,
        };
        self.tasks.spawn(attendant.run(self.stop.clone()));
        by_id.insert(id.to_owned(), sender.clone());
        sender
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Command>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
