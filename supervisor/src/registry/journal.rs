//! The journal: what happened, in order, numbered through; the newest is kept for those who come back for it.
//!
//! ```text
//! registry ─► record ─┬─► ring of the newest 4,096 events ─► whoever resumes from a number
//!                     └─► broadcast ───────────────────────► events over HTTP, alerts
//! ```
//! An event is made where the registry changes, under its lock: nothing is missed between two looks, and the order
//! is that in which things became known. Numbers begin with the moment the supervisor started, so those of an
//! earlier one are lower, and whoever comes back after a restart is told that something may be missing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diogenes_proto::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::registry::Entry;
use crate::registry::change::Change;

/// Events kept for all containers together. A usual one takes some 300 bytes; with texts at their longest, 4 KiB.
const KEPT: usize = 4096;
/// Events a follower may lag behind before it loses some; it is told so, and can resume from the ring.
const LAG: usize = 1024;

/// Whom an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Subject {
    /// The container's full id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its companion's name.
    pub(crate) ci_name: String,
}

impl Subject {
    /// The container of an entry.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            id: entry.facts.id.clone(),
            name: entry.facts.name.clone(),
            ci_name: entry.ci_name(),
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Event {
    /// Its number; a later event has a higher one.
    pub(crate) id: u64,
    /// When it became known.
    pub(crate) at: Timestamp,
    /// The container; null where it is about none.
    pub(crate) container: Option<Subject>,
    /// Changes of this container that were left out before this one, because they came too fast; mostly 0.
    pub(crate) omitted: u64,
    /// What changed.
    #[serde(flatten)]
    pub(crate) change: Change,
}

/// What is known to somebody who comes back.
pub(crate) struct Resumed {
    /// The events after the number that was given, the oldest first.
    pub(crate) events: VecDeque<Arc<Event>>,
    /// Whether events between that number and the first of these are lost.
    pub(crate) lost: bool,
    /// What happens from now on: together with `events`, without gap and without repetition.
    pub(crate) live: broadcast::Receiver<Arc<Event>>,
}

/// The journal.
#[derive(Debug)]
pub(crate) struct Journal {
    /// The number of its first event.
    first_id: u64,
    ring: Mutex<Ring>,
    live: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    next_id: u64,
}

impl Default for Journal {
    fn default() -> Self {
        // In microseconds, so that a supervisor started again right away cannot have caught up with its numbers.
        let first = Timestamp::now().as_unix_ms().saturating_mul(1000);
        Self {
            first_id: first,
            ring: Mutex::new(Ring {
                events: VecDeque::new(),
                next_id: first,
            }),
            live: broadcast::Sender::new(LAG),
        }
    }
}

impl Journal {
    /// Notes a change and tells it to all who follow.
    pub(crate) fn record(
        &self,
        container: Option<Subject>,
        change: Change,
        omitted: u64,
    ) -> Arc<Event> {
        let mut ring = self.ring();
        let event = Arc::new(Event {
            id: ring.next_id,
            at: Timestamp::now(),
            container,
            omitted,
            change,
        });
        ring.next_id += 1;
        if ring.events.len() == KEPT {
            ring.events.pop_front();
        }
        ring.events.push_back(event.clone());
        // Sent under the lock, so that whoever resumes at this moment gets the event once. Nobody may be listening.
        let _ = self.live.send(event.clone());
        event
    }

    /// How many changes were noted so far, those that the ring has lost included.
    pub(crate) fn recorded(&self) -> u64 {
        self.ring().next_id - self.first_id
    }

    /// The number of the newest event; before the first one, of none that was told.
    pub(crate) fn newest(&self) -> u64 {
        self.ring().next_id - 1
    }

    /// What happens from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Event>> {
        self.live.subscribe()
    }

    /// What happened after event `id`, and what happens from now on.
    pub(crate) fn resume(&self, id: u64) -> Resumed {
        let ring = self.ring();
        let oldest = ring.events.front().map_or(ring.next_id, |event| event.id);
        Resumed {
            events: ring
                .events
                .iter()
                .filter(|event| event.id > id)
                .cloned()
                .collect(),
            // A number of the future is that of another supervisor too: the clock was set back.
            lost: id.saturating_add(1) < oldest || id >= ring.next_id,
            live: self.live.subscribe(),
        }
    }

    // A push and a pop cannot leave the ring half changed.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(journal: &Journal, reachable: bool) -> u64 {
        let error = None;
        journal
            .record(None, Change::Engine { reachable, error }, 0)
            .id
    }

    #[tokio::test]
    async fn whoever_comes_back_misses_nothing_and_hears_nothing_twice() {
        let journal = Journal::default();
        let first = engine(&journal, true);
        let second = engine(&journal, false);
        let mut resumed = journal.resume(first);
        let third = engine(&journal, true);
        assert!(!resumed.lost);
        let ids: Vec<u64> = resumed.events.iter().map(|event| event.id).collect();
        assert_eq!(ids, [second]);
        assert_eq!(resumed.live.recv().await.unwrap().id, third);
    }

    #[test]
    fn what_the_ring_has_lost_is_said_to_be_lost() {
        let journal = Journal::default();
        let first = engine(&journal, true);
        assert!(!journal.resume(first).lost, "nothing came after it");
        assert!(
            journal.resume(first - 1).events.len() == 1 && !journal.resume(first - 1).lost,
            "the oldest that is kept follows right on it"
        );
        for _ in 0..KEPT {
            engine(&journal, false);
        }
        let resumed = journal.resume(first - 1);
        assert!(resumed.lost);
        assert_eq!(resumed.events.len(), KEPT);
        assert!(!journal.resume(first).lost);
    }

    #[test]
    fn a_number_of_another_supervisor_is_known_for_one() {
        let journal = Journal::default();
        let newest = engine(&journal, true);
        assert!(journal.resume(1).lost, "of an earlier one");
        assert!(journal.resume(newest + 1000).lost, "of a later clock");
    }
}
