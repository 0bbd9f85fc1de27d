//! The terminal init was started on, if it was: its keys belong to the process group in its foreground (tty(4)).

use std::os::fd::RawFd;

/// A terminal in whose foreground init's own process group is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal(RawFd);

impl Terminal {
    /// The controlling terminal, if one of the standard descriptors is open on it and init may give it away. In the
    /// background it belongs to somebody else, and stays with them.
    pub(super) fn in_our_hands() -> Option<Self> {
        (0..=2).map(Self).find(Self::is_in_our_hands)
    }

    /// Whether init's own process group is in the foreground.
    pub(super) fn is_in_our_hands(&self) -> bool {
        // SAFETY: numbers only; a descriptor that is no terminal is answered by -1, which is no group.
        unsafe { libc::tcgetpgrp(self.0) == libc::getpgrp() }
    }

    /// Puts a process group into the foreground; 0 stands for the caller's own. A terminal that hung up is no matter.
    pub(super) fn give(&self, group: libc::pid_t) {
        // SAFETY: numbers only. Asked for from the background, SIGTTOU is blocked here, and then the kernel grants it.
        unsafe {
            let group = if group == 0 { libc::getpgrp() } else { group };
            libc::tcsetpgrp(self.0, group);
        }
    }
}
