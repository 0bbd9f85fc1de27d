//! Delivering alerts to one receiver: a queue that cannot grow, and one task that empties it.
//!
//! ```text
//! push ─► waiting: one alert a container, the newest ─► attempt ─► done
//!              ▲                                          │
//!              └── at the end, after 1 s … 5 min ◄── not now ──► not ever, or an hour over: dropped, and said so
//! ```
//! Pushing never waits. A newer alert takes the place of one about the same container that has not been delivered,
//! also of one under way that fails: the receiver gets the newest, and how many it stands for. So a receiver that
//! hangs costs one alert a container at most, and never the newest. A failed attempt goes to the end of the queue, so
//! that an alert which the receiver chokes on does not hold up the others; the pause after it is for all of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diogenes_proto::Timestamp;
use diogenes_proto::untrusted::escape;
use futures_util::future::BoxFuture;
use ring::rand::SecureRandom as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::alerts::alert::Alert;

/// Most alerts that wait: far more containers than a host has.
const MAX_WAITING: usize = 1000;
/// The pause after a first failure, and the longest by doubling it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// For so long an alert is tried; after that it is old news. Also the longest that a receiver may ask to wait.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3600);
/// How long what waits may take when the supervisor stops: less than the whole shutdown may.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why an alert was not delivered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Trying again may help, where the receiver says so not before that time has passed.
    NotNow {
        /// In words; may have been said by the receiver.
        why: String,
        /// What the receiver asks for.
        after: Option<Duration>,
    },
    /// Trying again is of no use.
    NotEver {
        /// In words; may have been said by the receiver.
        why: String,
    },
}

impl Refusal {
    /// Trying again may help.
    pub(crate) fn not_now(why: impl Into<String>) -> Self {
        let why = why.into();
        Self::NotNow { why, after: None }
    }
}

/// Somebody who takes alerts.
pub(crate) trait Receiver: Send + Sync {
    /// Tries once, within a deadline of its own. Dropping the future ends the attempt.
    fn take<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), Refusal>>;
}

/// An alert on its way.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// The same at every attempt, so that the receiver knows a repetition for one.
    pub(crate) id: String,
    /// What is told.
    pub(crate) alert: Alert,
    /// When it was first tried; None before that.
    tried: Option<Instant>,
}

impl Parcel {
    /// A parcel for an alert.
    pub(crate) fn new(alert: Alert) -> Self {
        Self {
            id: format!("msg_{:032x}", u128::from_ne_bytes(random())),
            alert,
            tried: None,
        }
    }

    fn is_about(&self, other: &Self) -> bool {
        self.alert.data.container.id == other.alert.data.container.id
    }

    /// Takes the place of an older one about the same container.
    fn supersede(&mut self, older: &Self) {
        self.alert.data.superseded += 1 + older.alert.data.superseded;
    }
}

/// How delivering goes, for those who look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DeliveryState {
    /// Alerts that wait or are under way.
    pub(crate) waiting: usize,
    /// Alerts that arrived.
    pub(crate) delivered: u64,
    /// Attempts that failed.
    pub(crate) failed_attempts: u64,
    /// Alerts that a newer one about the same container took the place of.
    pub(crate) superseded: u64,
    /// Alerts that were given up.
    pub(crate) dropped: u64,
    /// When one last arrived; null before that.
    pub(crate) last_success: Option<Timestamp>,
    /// When an attempt last failed; null before that.
    pub(crate) last_failure: Option<Timestamp>,
    /// Why; null before that.
    pub(crate) last_error: Option<String>,
}

#[derive(Default)]
struct Queue {
    receiver: Option<Arc<dyn Receiver>>,
    waiting: VecDeque<Parcel>,
    under_way: Option<Parcel>,
    /// Failures since the last success.
    failures: u32,
    /// Not before this; None for at once.
    not_before: Option<Instant>,
    state: DeliveryState,
}

/// The way to one receiver.
pub(crate) struct Delivery {
    /// What the log calls the receiver.
    name: &'static str,
    queue: Mutex<Queue>,
    changed: Notify,
}

impl Delivery {
    /// A way to nobody yet.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Sets who receives, also what waits already; None for nobody.
    pub(crate) fn set_receiver(&self, receiver: Option<Arc<dyn Receiver>>) {
        let mut queue = self.queue();
        if receiver.is_none() {
            queue.drop_all(self.name, "nobody is configured to receive it any more");
        }
        queue.receiver = receiver;
        // Another receiver, another chance.
        (queue.failures, queue.not_before) = (0, None);
        drop(queue);
        self.changed.notify_one();
    }

    /// Takes an alert; nothing happens where nobody receives.
    pub(crate) fn push(&self, alert: &Alert) {
        let mut queue = self.queue();
        if queue.receiver.is_none() {
            return;
        }
        let mut parcel = Parcel::new(alert.clone());
        if let Some(older) = queue
            .waiting
            .iter_mut()
            .find(|older| parcel.is_about(older))
        {
            parcel.supersede(older);
            *older = parcel;
            queue.state.superseded += 1;
        } else {
            if queue.waiting.len() == MAX_WAITING
                && let Some(oldest) = queue.waiting.pop_front()
            {
                queue.drop_one(self.name, &oldest, "too many alerts wait");
            }
            queue.waiting.push_back(parcel);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// How it goes; None where nobody is configured to receive.
    pub(crate) fn state(&self) -> Option<DeliveryState> {
        let queue = self.queue();
        queue.receiver.is_some().then(|| DeliveryState {
            waiting: queue.waiting.len() + usize::from(queue.under_way.is_some()),
            ..queue.state.clone()
        })
    }

    /// Delivers until `stop`; then what waits is tried once more, and what is left is named in the log.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let deliver = async {
            while let Some((receiver, parcel)) = self.next(&stop).await {
                let taken = receiver.take(&parcel).await;
                self.conclude(taken);
            }
            let mut left = self.queue().waiting.len();
            while left > 0
                && let Some((receiver, parcel)) = self.begin()
            {
                let taken = receiver.take(&parcel).await;
                self.conclude(taken);
                left -= 1;
            }
        };
        let deadline = async {
            stop.cancelled().await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            () = deliver => {}
            () = deadline => {}
        }
        self.queue().drop_all(self.name, "the supervisor stops");
    }

    /// Waits until there is something to try; None when it is time to stop.
    async fn next(&self, stop: &CancellationToken) -> Option<(Arc<dyn Receiver>, Parcel)> {
        loop {
            let pause = {
                let queue = self.queue();
                match queue.not_before {
                    _ if queue.waiting.is_empty() => None,
                    Some(at) if Instant::now() < at => Some(at),
                    _ => Some(Instant::now()),
                }
            };
            let ripe = async {
                match pause {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = self.changed.notified() => {}
                () = ripe => if let Some(begun) = self.begin() { return Some(begun) },
            }
        }
    }

    /// Takes the first that waits under way.
    fn begin(&self) -> Option<(Arc<dyn Receiver>, Parcel)> {
        let mut queue = self.queue();
        let receiver = queue.receiver.clone()?;
        let mut parcel = queue.waiting.pop_front()?;
        parcel.tried.get_or_insert_with(Instant::now);
        queue.under_way = Some(parcel.clone());
        Some((receiver, parcel))
    }

    /// Notes how an attempt ended.
    fn conclude(&self, taken: Result<(), Refusal>) {
        let mut queue = self.queue();
        let Some(parcel) = queue.under_way.take() else {
            return;
        };
        let (why, after) = match taken {
            Ok(()) => {
                if queue.failures > 0 {
                    tracing::info!("{}: alerts arrive again", self.name);
                }
                (queue.failures, queue.not_before) = (0, None);
                queue.state.delivered += 1;
                queue.state.last_success = Some(Timestamp::now());
                return;
            }
            Err(Refusal::NotEver { why }) => {
                queue.failed(&why);
                queue.drop_one(self.name, &parcel, &why);
                return;
            }
            Err(Refusal::NotNow { why, after }) => (why, after),
        };
        queue.failed(&why);
        let why = escape(&why).to_string();
        // Once for each absence; all of them are counted in the state.
        if queue.failures == 0 {
            tracing::warn!("{}: {why}; trying again", self.name);
        }
        let pause = after.unwrap_or_else(|| pause(queue.failures));
        queue.failures = queue.failures.saturating_add(1);
        queue.not_before = Some(Instant::now() + pause.min(GIVE_UP_AFTER));
        if let Some(newer) = queue
            .waiting
            .iter_mut()
            .find(|newer| parcel.is_about(newer))
        {
            newer.supersede(&parcel);
            queue.state.superseded += 1;
        } else if parcel.tried.is_some_and(|at| at.elapsed() >= GIVE_UP_AFTER) {
            queue.drop_one(self.name, &parcel, &format!("tried for an hour: {why}"));
        } else {
            queue.waiting.push_back(parcel);
        }
    }

    // Nothing under this lock can panic half-way through a change.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn failed(&mut self, why: &str) {
        self.state.failed_attempts += 1;
        self.state.last_failure = Some(Timestamp::now());
        self.state.last_error = Some(why.to_owned());
    }

    fn drop_one(&mut self, name: &str, parcel: &Parcel, why: &str) {
        self.state.dropped += 1;
        tracing::warn!(
            "{name}: an alert was not delivered ({}): {}",
            escape(why),
            parcel.alert.text
        );
    }

    fn drop_all(&mut self, name: &str, why: &str) {
        let under_way = self.under_way.take();
        let waiting = std::mem::take(&mut self.waiting);
        for parcel in under_way.iter().chain(&waiting) {
            self.drop_one(name, parcel, why);
        }
    }
}

/// The pause after so many failures in a row before this one: doubled with each, and a random part of its half
/// taken off, so that the supervisors of many hosts do not come back all at once.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_PAUSE);
    longest - longest / 2 * u32::from(u8::from_ne_bytes(random())) / u32::from(u8::MAX)
}

/// Random bytes; zeros where the system has none to give, which costs no more than distinctness.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    bytes
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
