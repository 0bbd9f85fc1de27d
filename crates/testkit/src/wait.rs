//! Waiting for something that comes by itself, with a bound.

use std::time::{Duration, Instant};

/// Waits until `ready` has something, looking every 10 ms, and returns it with the time it took.
///
/// # Panics
/// When the deadline passes: `what` says what was waited for.
#[track_caller]
pub fn wait_until<T>(
    deadline: Duration,
    what: &str,
    mut ready: impl FnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return (value, start.elapsed());
        }
        assert!(
            start.elapsed() < deadline,
            "waited {deadline:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_returned() {
        let mut looks = 0;
        let (value, _) = wait_until(Duration::from_secs(5), "three looks", || {
            looks += 1;
            (looks == 3).then_some("seen")
        });
        assert_eq!((value, looks), ("seen", 3));
    }

    #[test]
    #[should_panic(expected = "in vain for a miracle")]
    fn what_does_not_come_is_named() {
        wait_until(Duration::from_millis(30), "a miracle", || None::<()>);
    }
}
