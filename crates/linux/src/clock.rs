//! The system's clocks, read as one number.

pub use rustix::time::ClockId;

/// What a clock of the system says, in milliseconds. `CLOCK_BOOTTIME` cannot be set, and counts while the machine sleeps.
/// Source: clock_gettime(2).
#[must_use]
pub fn milliseconds(clock: ClockId) -> i64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec.saturating_mul(1000) + time.tv_nsec / 1_000_000
}
