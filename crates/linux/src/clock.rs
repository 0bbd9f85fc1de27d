//! The system's clocks, read as one number.

use std::time::Duration;

use rustix::io::Errno;
pub use rustix::time::ClockId;

/// What a clock of the system says, in milliseconds. `CLOCK_BOOTTIME` cannot be set, and counts while the machine sleeps.
/// Source: clock_gettime(2).
#[must_use]
pub fn milliseconds(clock: ClockId) -> i64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec.saturating_mul(1000) + time.tv_nsec / 1_000_000
}

/// CPU time that a process has used, all its threads together, those that have ended included.
///
/// # Errors
/// `ESRCH` where there is no such process. Source: clock_getcpuclockid(3).
#[allow(unsafe_code)]
pub fn cpu_time(pid: u32) -> Result<Duration, Errno> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::SRCH)?;
    let mut clock = 0;
    // SAFETY: both calls write to a place of the type they ask for, which outlives them.
    let time = unsafe {
        match libc::clock_getcpuclockid(pid, &raw mut clock) {
            0 => {}
            error => return Err(Errno::from_raw_os_error(error)),
        }
        let mut time: libc::timespec = std::mem::zeroed();
        if libc::clock_gettime(clock, &raw mut time) != 0 {
            return Err(Errno::SRCH);
        }
        time
    };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Ok(Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_time_of_a_thread_counts_after_its_end() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let busy = || {
            let start = std::time::Instant::now();
            while start.elapsed() < Duration::from_millis(20) {}
        };
        std::thread::spawn(busy).join().unwrap();
        assert!(cpu_time(own).unwrap() > before);
        assert_eq!(cpu_time(u32::MAX), Err(Errno::SRCH));
    }
}
