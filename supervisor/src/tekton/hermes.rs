//! Hermes: the supervisor and every attended container as components of Tekton.
//!
//! ```text
//! registry ─► wishes (registration) ─► ledger ─► requests, a handful at a time ─► Hermes
//!  (a hint)                              ▲ who is known: /health, metrics, /api/v1/supervisor
//! ```
//! What is told, and when, the ledger decides (`diogenes_tekton::hermes`). Here is only the clock, the registry and the
//! HTTP. One task does it all, and nobody ever waits for it: a Hermes that hangs costs [`MAX_IN_FLIGHT`] connections and
//! nothing else.
//!
//! [`MAX_IN_FLIGHT`]: diogenes_tekton::hermes::MAX_IN_FLIGHT

mod registration;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diogenes_proto::untrusted::escape;
use diogenes_tekton::Address;
use diogenes_tekton::hermes::{Answer, Client, Component, Gate, Ledger, Request};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::registry::{Entry, Registry};
use crate::tekton::{here, is_attended, our_name};

/// How often the registry is looked at, at most: a host that is busy changes faster than anybody reads.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// How long taking leave may take when the supervisor stops: less than the whole shutdown may.
const FAREWELL: Duration = Duration::from_secs(3);

/// How it goes with Hermes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Hermes")]
pub(crate) struct HermesView {
    /// Where it is.
    pub(crate) address: String,
    /// Whether it answers; null where it was not asked yet.
    pub(crate) reachable: Option<bool>,
    /// Why it does not; null where it does.
    pub(crate) error: Option<String>,
    /// Components it is to know: the supervisor and every attended container.
    pub(crate) wanted: usize,
    /// Those it knows.
    pub(crate) registered: usize,
    /// Registrations so far, those at a change of health and to replace a token included.
    pub(crate) registrations: u64,
    /// Heartbeats so far.
    pub(crate) heartbeats: u64,
    /// Requests that it refused.
    pub(crate) refused: u64,
    /// Requests that it did not answer, or in no way that makes sense.
    pub(crate) failed: u64,
    /// What it said of the last refusal; null where there was none.
    pub(crate) last_refusal: Option<String>,
}

/// The way to one Hermes.
pub(crate) struct Hermes {
    client: Client,
    address: String,
    our: Our,
    /// Why containers cannot be entered; None where they can.
    attach_error: Option<String>,
    state: Mutex<State>,
}

/// What stands in every registration.
struct Our {
    /// Where our HTTP is.
    base: String,
    /// By what we know our own again.
    owner: String,
}

struct State {
    ledger: Ledger,
    last_refusal: Option<String>,
}

/// What the ledger was last told of a container.
struct Told {
    entry: Arc<Entry>,
    version: u64,
}

impl Hermes {
    /// A way that nobody has taken yet.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub(crate) fn new(
        address: Address,
        listen: SocketAddr,
        run_dir: &Path,
        attach_error: Option<String>,
        registry: &Registry,
    ) -> anyhow::Result<Arc<Self>> {
        let our = Our {
            base: format!("http://{}", here(listen)),
            owner: our_name(run_dir),
        };
        let own = registration::own(&our, &registry.engine(), attach_error.as_deref());
        let seed = u64::from(std::process::id()) ^ diogenes_proto::Timestamp::now().as_unix_ms();
        Ok(Arc::new(Self {
            address: address.as_str().to_owned(),
            client: Client::new(address)?,
            our,
            attach_error,
            state: Mutex::new(State {
                ledger: Ledger::new(own, seed, Instant::now().into_std()),
                last_refusal: None,
            }),
        }))
    }

    /// Whether Hermes knows a companion by its CI name, or the supervisor by its component's.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.state().ledger.is_known(name)
    }

    /// How it goes.
    pub(crate) fn view(&self) -> HermesView {
        let state = self.state();
        let (ledger, counts) = (&state.ledger, state.ledger.counts());
        let (reachable, error) = match ledger.gate() {
            Gate::Untried => (None, None),
            Gate::Open => (Some(true), None),
            Gate::Away(why) => (Some(false), Some(why.clone())),
        };
        HermesView {
            address: self.address.clone(),
            reachable,
            error,
            wanted: ledger.wanted(),
            registered: ledger.known(),
            registrations: counts.registrations,
            heartbeats: counts.heartbeats,
            refused: counts.refused,
            failed: counts.failed,
            last_refusal: state.last_refusal.clone(),
        }
    }

    /// Keeps Hermes in step with `registry` until `stop`, and then takes leave.
    pub(crate) async fn run(self: Arc<Self>, registry: Arc<Registry>, stop: CancellationToken) {
        let mut changes = registry.subscribe();
        let mut told = HashMap::new();
        let mut under_way = FuturesUnordered::new();
        let mut look_at = None;
        // A moment for what is known at once: else its first word of all would be that it knows nothing yet.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_PAUSE) => self.look(&registry, &mut told),
        }
        loop {
            while let Some(request) = self.next() {
                under_way.push(self.clone().ask(request));
            }
            let wake_at = self.state().ledger.wake_at().map(Instant::from_std);
            tokio::select! {
                () = stop.cancelled() => break,
                Some((request, answer)) = under_way.next() => {
                    if let Some(next) = self.hear(&request, answer) {
                        under_way.push(self.clone().ask(next));
                    }
                }
                () = sleep_until_some(look_at) => {
                    self.look(&registry, &mut told);
                    look_at = None;
                }
                // The first of many changes; the others wait with it.
                Ok(()) = changes.changed(), if look_at.is_none() => {
                    look_at = Some(Instant::now() + LOOK_PAUSE);
                }
                () = sleep_until_some(wake_at) => {}
            }
        }
        let leaving = self.take_leave(&mut under_way);
        if tokio::time::timeout(FAREWELL, leaving).await.is_err() {
            tracing::warn!("Hermes at {} was not told of the end in time", self.address);
        }
    }

    /// Unregisters all, as long as Hermes answers.
    async fn take_leave<F>(self: &Arc<Self>, under_way: &mut FuturesUnordered<F>)
    where
        F: Future<Output = (Request, Answer)>,
    {
        self.state().ledger.unwish_all(Instant::now().into_std());
        let mut leaving = FuturesUnordered::new();
        while self.state().ledger.can_mend() {
            while let Some(request) = self.next() {
                leaving.push(self.clone().ask(request));
            }
            let wake_at = self.state().ledger.wake_at().map(Instant::from_std);
            let (request, answer) = tokio::select! {
                Some(answered) = under_way.next() => answered,
                Some(answered) = leaving.next() => answered,
                () = sleep_until_some(wake_at) => continue,
            };
            if let Some(next) = self.hear(&request, answer) {
                leaving.push(self.clone().ask(next));
            }
        }
    }

    /// Tells the ledger of all that is new in the registry.
    fn look(&self, registry: &Registry, told: &mut HashMap<String, Told>) {
        let now = Instant::now().into_std();
        let own = registration::own(&self.our, &registry.engine(), self.attach_error.as_deref());
        let attended = registry
            .all()
            .into_iter()
            .filter(|entry| is_attended(entry));
        let attended: HashMap<String, Arc<Entry>> =
            attended.map(|entry| (entry.ci_name(), entry)).collect();
        let is_gone = |name: &String| !attended.contains_key(name);
        let gone: Vec<String> = told.keys().filter(|name| is_gone(name)).cloned().collect();
        // Made before the lock is taken: others only ask who is known, and must not wait for it.
        let mut wishes = vec![own];
        for (name, entry) in attended {
            let known = told.get(&name);
            if known.is_some_and(|told| Arc::ptr_eq(&told.entry, &entry)) {
                continue;
            }
            let wish = registration::of(&entry, &self.our);
            let version = wish.version;
            if known.is_none_or(|told| told.version != version) {
                wishes.push(wish);
            }
            told.insert(name, Told { entry, version });
        }
        let mut state = self.state();
        for name in gone {
            state.ledger.unwish(&name);
            told.remove(&name);
        }
        for wish in wishes {
            state.ledger.wish(wish, now);
        }
    }

    fn next(&self) -> Option<Request> {
        self.state().ledger.next(Instant::now().into_std())
    }

    async fn ask(self: Arc<Self>, request: Request) -> (Request, Answer) {
        let is_ours = |component: &Component| {
            let owner = component.metadata.get(registration::OWNER);
            owner.and_then(|owner| owner.as_str()) == Some(&self.our.owner)
        };
        let answer = self.client.answer(&request, is_ours).await;
        (request, answer)
    }

    /// Takes an answer to the ledger, and says in the log what it changed.
    fn hear(&self, request: &Request, answer: Answer) -> Option<Request> {
        let refusal = match &answer {
            Answer::Refused(why) => Some(escape(why).to_string()),
            _ => None,
        };
        let mut state = self.state();
        let before = state.ledger.gate().clone();
        let next = state
            .ledger
            .answered(request, answer, Instant::now().into_std());
        let after = state.ledger.gate().clone();
        let is_first_refusal = state.last_refusal.is_none() && refusal.is_some();
        if let Some(refusal) = &refusal {
            state.last_refusal = Some(refusal.clone());
        }
        drop(state);
        let address = &self.address;
        match (before, after) {
            (Gate::Untried | Gate::Open, Gate::Away(why)) => tracing::warn!(
                "Hermes at {address} does not answer: {}; trying again, and nothing else waits for it",
                escape(&why)
            ),
            (Gate::Untried, Gate::Open) => tracing::info!("Hermes at {address} answers"),
            (Gate::Away(_), Gate::Open) => tracing::info!("Hermes at {address} answers again"),
            _ => {}
        }
        if let (true, Some(refusal)) = (is_first_refusal, refusal) {
            let id = request.id().unwrap_or_default();
            tracing::warn!("Hermes at {address} does not take what it is told of {id}: {refusal}");
        }
        next
    }

    // A ledger is never left half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sleeps; without a time, for ever.
async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
