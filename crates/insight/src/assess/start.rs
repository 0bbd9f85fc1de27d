//! How a service starts: how long that may take, learnt from how long it took.
//!
//! ```text
//! begins ─► not ready: no listener, no answer, or errors ─► ready ─► learnt, for the next time
//! ```
//!
//! What was ready when it was first looked at teaches nothing: its start was not seen.

use std::time::Duration;

/// Longest start that is waited for: who needs more than that to start has a trouble that should be told.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// What is known of a service's starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// How long the last one took that came to its end; None where none was seen.
    took: Option<Duration>,
    /// Whether it answered with errors on the way.
    through_errors: bool,
    /// Of the life it lives now.
    now: Life,
}

/// How far the present start is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    /// Nothing was seen yet.
    #[default]
    New,
    /// It was seen not to be ready.
    Starting {
        /// Whether it answered with errors.
        errors: bool,
    },
    /// It has answered.
    Ready,
}

impl Start {
    /// Another process has taken over.
    pub(crate) fn begins(&mut self) {
        self.now = Life::New;
    }

    /// It does not listen, or does not answer as it should.
    pub(crate) fn is_not_ready(&mut self, error: bool) {
        self.now = match self.now {
            Life::New => Life::Starting { errors: error },
            Life::Starting { errors } => Life::Starting {
                errors: errors || error,
            },
            Life::Ready => Life::Ready,
        };
    }

    /// It answers, so long after its process started.
    pub(crate) fn is_ready(&mut self, after: Option<Duration>) {
        if let (Life::Starting { errors }, Some(after)) = (self.now, after) {
            self.took = Some(after.min(LONGEST));
            self.through_errors = errors;
        }
        self.now = Life::Ready;
    }

    /// How long the last one took; None where none was seen.
    pub(crate) fn took(&self) -> Option<Duration> {
        self.took
    }

    /// So long took one that somebody else saw. What was seen since is known better.
    pub(crate) fn remember(&mut self, took: Duration) {
        self.took.get_or_insert(took.min(LONGEST));
    }

    /// How long it may take: the usual time, or a quarter more than the last one took, where that is longer.
    pub(crate) fn grace(&self, usual: Duration) -> Duration {
        let learnt = self.took.map(|took| took + took / 4);
        learnt.map_or(usual, |learnt| learnt.clamp(usual, LONGEST.max(usual)))
    }

    /// Whether errors are part of how it starts.
    pub(crate) fn errs(&self) -> bool {
        self.through_errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_secs(15);

    fn started(errors: bool, seconds: u64) -> Start {
        let mut start = Start::default();
        start.is_not_ready(errors);
        start.is_ready(Some(Duration::from_secs(seconds)));
        start
    }

    #[test]
    fn a_start_may_take_a_quarter_longer_than_the_last_one() {
        for (took, grace) in [(2, 15), (40, 50), (500, 600), (6_000, 600)] {
            let grace = Duration::from_secs(grace);
            assert_eq!(started(false, took).grace(USUAL), grace, "{took}");
        }
        assert_eq!(Start::default().grace(USUAL), USUAL);
    }

    #[test]
    fn who_was_ready_when_it_was_first_seen_teaches_nothing() {
        let mut start = Start::default();
        start.is_ready(Some(Duration::from_secs(4000)));
        assert_eq!(start.grace(USUAL), USUAL);
        // Nor does a trouble after that.
        start.is_not_ready(true);
        start.is_ready(Some(Duration::from_secs(5000)));
        assert_eq!((start.grace(USUAL), start.errs()), (USUAL, false));
    }

    #[test]
    fn a_start_that_does_not_end_changes_nothing() {
        let mut start = started(true, 40);
        start.begins();
        start.is_not_ready(false);
        assert_eq!((start.grace(USUAL).as_secs(), start.errs()), (50, true));
        start.is_ready(Some(Duration::from_secs(20)));
        assert_eq!((start.grace(USUAL).as_secs(), start.errs()), (25, false));
    }
}
