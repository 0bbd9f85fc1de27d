//! How long to wait before a companion that ended is started again.

use std::time::Duration;

/// The first pause.
const SHORTEST: Duration = Duration::from_secs(1);
/// Pauses double up to this one.
const LONGEST: Duration = Duration::from_secs(300);
/// A companion that lived as long as this was well: the next pause is the first again.
const CALM: Duration = Duration::from_secs(60);

/// The next pause.
#[derive(Debug)]
pub(super) struct BackOff(Duration);

impl BackOff {
    pub(super) fn new() -> Self {
        Self(SHORTEST)
    }

    /// The pause after a life of this length.
    pub(super) fn after(&mut self, lived: Duration) -> Duration {
        if lived >= CALM {
            self.0 = SHORTEST;
        }
        let pause = self.0;
        self.0 = LONGEST.min(pause * 2);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_a_calm_life_makes_them_short_again() {
        let mut back_off = BackOff::new();
        let crash = Duration::from_millis(3);
        let pauses: Vec<_> = (0..10).map(|_| back_off.after(crash).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(back_off.after(CALM - crash).as_secs(), 300);
        assert_eq!(back_off.after(CALM).as_secs(), 1);
        assert_eq!(back_off.after(crash).as_secs(), 2);
    }
}
