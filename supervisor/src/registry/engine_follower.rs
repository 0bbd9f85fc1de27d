//! Follows the Engine: its containers into the registry, their starts and ends to the attendants.
//!
//! ```text
//!  connect ─► version ─► list, inspect ─► reconcile ─► events: inspect what changed ─┐
//!     ▲                                                                             │
//!     └──────── wait, 0.5 s doubling to 10 s ◄──────── any doubt about the connection ┘
//! ```
//! An event is only a hint; what counts is the inspection after it. After every reconnect all is listed
//! and compared, so nothing depends on having heard everything. Sessions live on while the Engine is away.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use diogenes_engine::{Change, ContainerFacts, Engine, EngineError, Listing};
use diogenes_proto::Timestamp;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::attendants::Attendants;
use crate::registry::Registry;

/// The first wait before another try, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Inspections at one time.
const CONCURRENT_INSPECTS: usize = 8;
/// Without any event for so long, the Engine is asked whether it is still there: a hung one closes no stream.
const QUIET: Duration = Duration::from_secs(15);

/// A container's id with what its inspection brought.
type Inspected = (String, Result<ContainerFacts, EngineError>);

/// The follower of one Engine.
pub(crate) struct EngineFollower {
    engine: Arc<dyn Engine>,
    registry: Arc<Registry>,
    attendants: Arc<Attendants>,
}

impl EngineFollower {
    /// Follows `engine`.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        registry: Arc<Registry>,
        attendants: Arc<Attendants>,
    ) -> Self {
        Self {
            engine,
            registry,
            attendants,
        }
    }

    /// Follows until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.follow_for_ever()).await;
    }

    async fn follow_for_ever(&self) {
        let mut wait = FIRST_WAIT;
        let mut told = false;
        loop {
            let Err(error) = self.follow(&mut wait).await;
            // Once for each absence: the log need not repeat what status and health say all the time.
            if !told || self.registry.engine().error.is_none() {
                tracing::warn!("without the Engine: {error}; trying until it answers");
                told = true;
            }
            self.registry.engine_failed(error.to_string());
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// One connection, from its beginning to its end.
    async fn follow(&self, wait: &mut Duration) -> Result<std::convert::Infallible, EngineError> {
        let version = self.engine.version().await?;
        let since = Timestamp::now();
        self.reconcile(self.engine.list().await?).await?;
        tracing::info!(
            "following the Engine {} at {}",
            version.version,
            self.engine.endpoint()
        );
        self.registry.engine_answered(version);
        *wait = FIRST_WAIT;

        let mut events = self.engine.events(since);
        let mut inspections: FuturesUnordered<BoxFuture<'_, Inspected>> = FuturesUnordered::new();
        let mut in_hand: HashSet<String> = HashSet::new();
        let mut waiting: VecDeque<String> = VecDeque::new();
        let mut quiet_at = Instant::now() + QUIET;
        loop {
            tokio::select! {
                event = timeout_at(quiet_at, events.next()) => {
                    quiet_at = Instant::now() + QUIET;
                    match event {
                        Err(_) => self.engine.ping().await?,
                        Ok(None) => {
                            let (endpoint, reason) = (self.engine.endpoint().clone(), "it closed the stream of events".into());
                            return Err(EngineError::Unreachable { endpoint, reason });
                        }
                        Ok(Some(event)) => {
                            let event = event?;
                            match event.change {
                                Change::Destroyed => {
                                    self.forget(&event.container_id);
                                    // What is being inspected may have been seen alive: look once more.
                                    if in_hand.contains(&event.container_id) {
                                        waiting.push_back(event.container_id);
                                    }
                                }
                                Change::Changed if waiting.contains(&event.container_id) => {}
                                Change::Changed => waiting.push_back(event.container_id),
                            }
                        }
                    }
                }
                Some((id, inspected)) = inspections.next() => {
                    in_hand.remove(&id);
                    self.take(&id, inspected).await?;
                }
            }
            // A container that changed again while it was inspected is inspected again, after that.
            while in_hand.len() < CONCURRENT_INSPECTS {
                let Some(at) = waiting.iter().position(|id| !in_hand.contains(id)) else {
                    break;
                };
                let Some(id) = waiting.remove(at) else { break };
                in_hand.insert(id.clone());
                inspections.push(self.inspect(id).boxed());
            }
        }
    }

    async fn inspect(&self, id: String) -> Inspected {
        let inspected = self.engine.inspect(&id).await;
        (id, inspected)
    }

    /// Brings the registry in line with a list of everything.
    async fn reconcile(&self, list: Vec<Listing>) -> Result<(), EngineError> {
        let known: HashSet<String> = self.registry.ids().into_iter().collect();
        let listed: HashSet<&str> = list.iter().map(|listing| listing.id.as_str()).collect();
        for id in known.iter().filter(|id| !listed.contains(id.as_str())) {
            self.forget(id);
        }
        let relevant: Vec<Listing> = list
            .into_iter()
            .filter(|listing| listing.state.is_up() || known.contains(&listing.id))
            .collect();
        let inspections = relevant.into_iter().map(|listing| {
            async move { (self.engine.inspect(&listing.id).await, listing) }.boxed()
        });
        let mut inspections = stream::iter(inspections).buffer_unordered(CONCURRENT_INSPECTS);
        while let Some((inspected, listing)) = inspections.next().await {
            let id = listing.id.clone();
            match inspected {
                // Listed it must be, even where nothing more is known.
                Err(EngineError::Api { message }) => {
                    tracing::warn!(
                        "the Engine does not describe container {}: {message}",
                        listing.name
                    );
                    self.registry
                        .set_facts(ContainerFacts::from_listing(listing));
                }
                inspected => self.take(&id, inspected).await?,
            }
        }
        self.registry.have_seen_all();
        Ok(())
    }

    /// Takes what an inspection brought.
    async fn take(
        &self,
        id: &str,
        inspected: Result<ContainerFacts, EngineError>,
    ) -> Result<(), EngineError> {
        match inspected {
            Ok(facts) => {
                // What never ran under this supervisor's eyes and does not run is nobody's companion.
                if facts.state.is_up() || self.registry.get(id).is_some() {
                    self.registry.set_facts(facts.clone());
                    self.attendants.container_changed(&facts).await;
                }
            }
            Err(EngineError::NotFound { .. }) => self.forget(id),
            Err(error) if error.is_absence() => return Err(error),
            Err(error) => tracing::warn!("cannot inspect container {id}: {error}"),
        }
        Ok(())
    }

    fn forget(&self, id: &str) {
        self.registry.remove(id);
        self.attendants.container_destroyed(id);
    }
}

#[cfg(test)]
#[path = "engine_follower_tests.rs"]
mod tests;
