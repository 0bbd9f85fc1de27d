//! All signals, blocked and awaited, by the kernel's own calls.
//!
//! The C library's would leave out those it keeps for its threads (32 to 34 in musl): here there are no threads, and the
//! application may want them. Sources: rt_sigprocmask(2), rt_sigtimedwait(2), signal(7).

use std::ptr::{null, null_mut};
use std::time::Duration;

/// A set as the kernel has it: bit N - 1 is signal N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignalSet(u64);

impl SignalSet {
    /// Every signal there is; the kernel leaves out SIGKILL and SIGSTOP by itself.
    const ALL: Self = Self(!0);

    /// Blocks all signals and returns those that were blocked before.
    pub(super) fn block_all() -> Self {
        Self::ALL.block()
    }

    /// Blocks exactly these signals and returns those that were blocked before.
    pub(super) fn block(self) -> Self {
        let mut before = Self(0);
        // SAFETY: both pointers are to live sets of the size that is named.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const self,
                &raw mut before,
                size_of::<Self>(),
            );
        }
        before
    }
}

/// Takes the next signal that is pending or comes; None when `timeout` passes, or at some other end of the wait, after
/// which one waits anew. A `timeout` of None waits as long as it takes.
pub(super) fn next(timeout: Option<Duration>) -> Option<libc::c_int> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let all = SignalSet::ALL;
    // SAFETY: the set and the time live until the call's end; nothing is written to the null pointer.
    let signal = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const all,
            null_mut::<libc::siginfo_t>(),
            timeout.as_ref().map_or(null(), std::ptr::from_ref),
            size_of::<SignalSet>(),
        )
    };
    libc::c_int::try_from(signal)
        .ok()
        .filter(|&signal| signal > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Runs `body` with all signals blocked in its thread.
    fn blocked(body: impl FnOnce()) {
        let before = SignalSet::block_all();
        body();
        assert_ne!(before.block(), before, "all were blocked meanwhile");
    }

    fn send_to_this_thread(signal: libc::c_int) {
        // SAFETY: numbers only.
        unsafe { libc::syscall(libc::SYS_tkill, libc::gettid(), signal) };
    }

    #[test]
    fn signals_come_one_by_one_also_those_a_c_library_keeps_for_itself() {
        blocked(|| {
            for signal in [libc::SIGTERM, libc::SIGWINCH, 32, 33, 34, 64] {
                send_to_this_thread(signal);
                assert_eq!(next(None), Some(signal));
            }
        });
    }

    #[test]
    fn a_wait_ends_with_its_time() {
        blocked(|| {
            let start = Instant::now();
            assert_eq!(next(Some(Duration::from_millis(30))), None);
            assert!(start.elapsed() >= Duration::from_millis(30));
        });
    }
}
