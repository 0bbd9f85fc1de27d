//! From where on something is told as too much: what holds where nobody has said anything else.

/// Shares are in percent, all of them inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The container's memory is near its limit from this share of it on.
    pub memory_percent: u16,
    /// So are its processes and threads.
    pub pids_percent: u16,
    /// A process is near its limit of file descriptors from this share of it on.
    pub fds_percent: u16,
    /// So many new main processes within a minute make a crash loop.
    pub restarts: u16,
    /// A certificate that expires within so many days should have been renewed: most are, a month before.
    pub certificate_days: u16,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            memory_percent: 95,
            pids_percent: 90,
            fds_percent: 90,
            restarts: 3,
            certificate_days: 14,
        }
    }
}

/// Most restarts that can be asked for: so many are remembered of each service.
pub(crate) const MAX_RESTARTS: u16 = 60;

/// Their names.
pub(super) const NAMES: [&str; 5] = [
    "memory_percent",
    "pids_percent",
    "fds_percent",
    "restarts",
    "certificate_days",
];

/// The least and the most that each may be.
pub(super) const BOUNDS: [(u16, u16); NAMES.len()] =
    [(1, 100), (1, 100), (1, 100), (1, MAX_RESTARTS), (0, 365)];

/// What was said of them, in the order of [`NAMES`]; None where nothing was.
pub(super) type Said = [Option<u16>; NAMES.len()];

impl Thresholds {
    /// The usual ones, but for what was said.
    pub(super) fn with(said: &Said) -> Self {
        let usual = Self::default();
        let [memory, pids, fds, restarts, days] = *said;
        Self {
            memory_percent: memory.unwrap_or(usual.memory_percent),
            pids_percent: pids.unwrap_or(usual.pids_percent),
            fds_percent: fds.unwrap_or(usual.fds_percent),
            restarts: restarts.unwrap_or(usual.restarts),
            certificate_days: days.unwrap_or(usual.certificate_days),
        }
    }
}
