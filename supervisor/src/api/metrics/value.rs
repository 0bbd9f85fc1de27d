//! Facts as the numbers of samples: Prometheus knows only floats of 64 bits, seconds and bytes.
#![expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 a count, a size or a time is a matter of 16 digits"
)]

use std::time::Duration;

use diogenes_proto::Timestamp;

/// A number of things.
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// A number as the kernel or the Engine counts it.
pub(crate) fn whole(number: u64) -> f64 {
    number as f64
}

/// Microseconds, as seconds.
pub(crate) fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

/// A moment, in seconds of Unix time.
pub(crate) fn moment(at: Timestamp) -> f64 {
    Duration::from_millis(at.as_unix_ms()).as_secs_f64()
}

/// Yes as 1, no as 0.
pub(crate) fn yes(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}
