//! Whose turn it is: one greeting a container at a time, so many altogether, and no container too often.
//!
//! A companion dials once, and again when its session ended. A container that does it without end gets the connection
//! closed after a few microseconds of work, and the others their turns between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::session::token_bucket::TokenBucket;

/// Greetings under way at one time, of all containers.
const MAX_GREETINGS: usize = 256;
/// Greetings of one container: so many at once, and then one each so often.
const GREETINGS_BURST: u32 = 8;
const GREETING_INTERVAL: Duration = Duration::from_secs(1);
/// Containers that are remembered. Those who were quiet for long are forgotten; beyond that a new one has to wait.
const MAX_REMEMBERED: usize = 1024;

/// Why it is not a caller's turn.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMuch {
    /// The container dials too often.
    #[error("this container dials in too often; dial again in a while")]
    Often,
    /// Another greeting of the container is under way.
    #[error("another hello of this container is awaited; dial again in a while")]
    Twice,
    /// Too many greetings are under way.
    #[error("too many other containers dial in; dial again in a while")]
    Many,
}

/// All who dialled in lately.
#[derive(Debug, Default)]
pub(crate) struct Callers(Mutex<HashMap<String, Known>>);

/// One container.
#[derive(Debug)]
struct Known {
    pace: TokenBucket,
    is_greeting: bool,
}

/// A greeting under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    callers: Arc<Callers>,
    id: String,
}

impl Callers {
    /// Gives a container its turn.
    ///
    /// # Errors
    /// Why it has to wait; a container that does not wait loses nothing by being told so.
    pub(crate) fn turn_of(self: &Arc<Self>, id: &str, now: Instant) -> Result<Turn, TooMuch> {
        let mut known = self.lock();
        if known.len() >= MAX_REMEMBERED {
            known.retain(|_, known| known.is_greeting || !known.pace.is_full(now));
        }
        if known.len() >= MAX_REMEMBERED && !known.contains_key(id) {
            return Err(TooMuch::Many);
        }
        let greetings = known.values().filter(|known| known.is_greeting).count();
        let caller = known.entry(id.to_owned()).or_insert_with(|| Known {
            pace: TokenBucket::every(GREETING_INTERVAL, GREETINGS_BURST, now),
            is_greeting: false,
        });
        if !caller.pace.try_take(now) {
            return Err(TooMuch::Often);
        }
        if caller.is_greeting {
            return Err(TooMuch::Twice);
        }
        if greetings >= MAX_GREETINGS {
            return Err(TooMuch::Many);
        }
        caller.is_greeting = true;
        Ok(Turn {
            callers: self.clone(),
            id: id.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(known) = self.callers.lock().get_mut(&self.id) {
            known.is_greeting = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_one_greeting_at_a_time() {
        let (callers, now) = (Arc::new(Callers::default()), Instant::now());
        let turn = callers.turn_of("c1", now).unwrap();
        assert_eq!(callers.turn_of("c1", now).unwrap_err(), TooMuch::Twice);
        let other = callers.turn_of("c2", now).unwrap();
        drop(turn);
        let again = callers.turn_of("c1", now).unwrap();
        drop((other, again));
    }

    #[test]
    fn one_that_dials_without_end_waits_and_the_others_do_not() {
        let (callers, start) = (Arc::new(Callers::default()), Instant::now());
        let turns = |id: &str, now: Instant| {
            let turns = (0..1000).filter(|_| callers.turn_of(id, now).is_ok());
            turns.count()
        };
        assert_eq!(turns("mad", start), GREETINGS_BURST as usize);
        assert_eq!(turns("mad", start + GREETING_INTERVAL), 1);
        assert!(callers.turn_of("calm", start + GREETING_INTERVAL).is_ok());
        assert_eq!(callers.turn_of("mad", start).unwrap_err(), TooMuch::Often);
    }

    #[test]
    fn greetings_and_memory_are_bounded() {
        let (callers, start) = (Arc::new(Callers::default()), Instant::now());
        let turns: Vec<_> = (0..10_000)
            .filter_map(|id: u32| callers.turn_of(&id.to_string(), start).ok())
            .collect();
        assert_eq!(turns.len(), MAX_GREETINGS);
        assert!(callers.lock().len() <= MAX_REMEMBERED);
        drop(turns);
        let later = start + GREETINGS_BURST * GREETING_INTERVAL;
        drop(callers.turn_of("another", later).unwrap());
        assert_eq!(callers.lock().len(), 1);
    }
}
