//! A limit on how much may come in how short a time.

use std::time::Duration;

use tokio::time::Instant;

/// Lets a burst through, and then so much a second. What exceeds that has to wait; nothing is dropped.
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

    /// Takes so many tokens, and says how long to wait before the next are taken.
    pub(crate) fn take(&mut self, tokens: u32, now: Instant) -> Duration {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.level = (self.level + gained).min(self.burst) - f64::from(tokens);
        self.at = now;
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
}
