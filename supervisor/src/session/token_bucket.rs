//! A limit on how much may come in how short a time.

use std::time::Duration;

use tokio::time::Instant;

/// Lets a burst through, and then so much a second. What exceeds that has to wait, or is dropped.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    /// Tokens there are; below zero where more was taken than there was.
    level: f64,
    /// When `level` was right.
    at: Instant,
    /// Tokens gained in a second.
    per_second: f64,
    /// Most tokens there can be.
    burst: f64,
}

impl TokenBucket {
    /// A full bucket.
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self {
            level: f64::from(burst),
            at: now,
            per_second: f64::from(per_second),
            burst: f64::from(burst),
        }
    }

    /// A full bucket that gains one token each so often.
    pub(crate) fn every(interval: Duration, burst: u32, now: Instant) -> Self {
        Self {
            per_second: interval.as_secs_f64().recip(),
            ..Self::new(1, burst, now)
        }
    }

    /// Takes one token if there is one: for what is dropped and does not wait.
    pub(crate) fn try_take(&mut self, now: Instant) -> bool {
        let there_is_one = self.gain(now) >= 1.0;
        if there_is_one {
            self.level -= 1.0;
        }
        there_is_one
    }

    /// Whether nothing was taken for so long that it makes no difference any more.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.gain(now) >= self.burst
    }

    /// Adds what was gained by now; the tokens there are.
    fn gain(&mut self, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.level = (self.level + gained).min(self.burst);
        self.at = now;
        self.level
    }

    /// Takes so many tokens, and says how long to wait before the next are taken.
    pub(crate) fn take(&mut self, tokens: u32, now: Instant) -> Duration {
        self.level = self.gain(now) - f64::from(tokens);
        if self.level >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.level / self.per_second)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10, 20, start);
        assert_eq!(bucket.take(20, start), Duration::ZERO);
        assert_eq!(bucket.take(5, start), Duration::from_millis(500));
        assert_eq!(
            bucket.take(5, start + Duration::from_secs(1)),
            Duration::ZERO
        );
        // An hour of calm earns no more than one burst.
        assert_eq!(
            bucket.take(30, start + Duration::from_secs(3600)),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn what_does_not_wait_is_dropped_and_costs_nothing() {
        let start = Instant::now();
        let mut bucket = TokenBucket::every(Duration::from_secs(10), 2, start);
        let taken = |bucket: &mut TokenBucket, s| {
            let now = start + Duration::from_secs(s);
            (0..100).filter(|_| bucket.try_take(now)).count()
        };
        assert_eq!(taken(&mut bucket, 0), 2);
        assert_eq!(taken(&mut bucket, 9), 0);
        assert_eq!(taken(&mut bucket, 10), 1);
        assert!(!bucket.is_full(start + Duration::from_secs(29)));
        assert!(bucket.is_full(start + Duration::from_secs(31)));
    }
}
