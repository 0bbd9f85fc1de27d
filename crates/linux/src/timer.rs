//! A timer that wakes who waits for it once (timerfd_create(2)), to be awaited on a tokio runtime with I/O enabled.
//!
//! tokio's own timers are kept in slots of 64 ms and of 4 s, and each slot that a timer passes through is a wake of its
//! own: half of what a companion costs that does nothing but wait.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::pidfd::watched;

/// Timers that wait at the same time need one each.
#[derive(Debug)]
pub struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// `EMFILE` and the like where no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(watched(fd)?))
    }

    /// Returns after this time. What it was set to before is forgotten.
    pub async fn after(&self, time: Duration) {
        // Zero would switch it off.
        let time = time.max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: time.subsec_nanos().into(),
            },
        };
        // It cannot fail: the descriptor is a timer's, and the time a valid one.
        let _ = timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once);
        loop {
            // Failing means that the runtime is shutting down: then nobody waits any more.
            let Ok(mut ready) = self.0.readable().await else {
                return;
            };
            // What is read is how often it went off. That it is ready may be left over from an earlier time.
            let read = |fd: &AsyncFd<OwnedFd>| Ok(rustix::io::read(fd.get_ref(), &mut [0; 8])?);
            if ready.try_io(read).is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn it_goes_off_each_time_and_not_before() {
        let timer = Timer::new().unwrap();
        for ms in [30, 0, 20] {
            let start = Instant::now();
            timer.after(Duration::from_millis(ms)).await;
            assert!(start.elapsed() >= Duration::from_millis(ms), "{ms} ms");
        }
        // A wait that was given up is no wait that is over.
        tokio::select! {
            biased;
            () = timer.after(Duration::from_millis(10)) => panic!("too early"),
            () = std::future::ready(()) => {}
        }
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        timer.after(Duration::from_millis(30)).await;
        assert!(start.elapsed() >= Duration::from_millis(30));
    }
}
