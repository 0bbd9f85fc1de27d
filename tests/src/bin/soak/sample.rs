//! One look at a supervisor from outside.

use std::fmt;
use std::fs;

use diogenes_testkit::Supervisor;
use diogenes_tests::{attacher_of, children_of, rollup_kib, status_of};

/// What can be counted, and must be as it was once everything is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Open descriptors of the supervisor, and of its attacher.
    pub(crate) fds: [usize; 2],
    /// Threads of both.
    pub(crate) threads: [usize; 2],
    /// Zombies among all that descend from the supervisor.
    pub(crate) zombies: usize,
    /// Companions and launchers, dead or alive.
    pub(crate) companions: usize,
    /// Containers that its API tells of.
    pub(crate) entries: usize,
    /// Companions' sockets on the host.
    pub(crate) sockets: usize,
    /// Everything else in the run directory.
    pub(crate) files: usize,
}

/// A supervisor at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Containers that had lived and died.
    pub(crate) cycles: usize,
    /// What can be counted.
    pub(crate) counts: Counts,
    /// Resident memory of the supervisor in KiB (`/proc/PID/smaps_rollup`), and of that what is no part of a file: the
    /// part of it that nobody else's use of the same program changes.
    pub(crate) memory_kib: [u64; 2],
    /// The same of its attacher.
    pub(crate) attacher_memory_kib: [u64; 2],
}

impl Sample {
    /// The columns of its line.
    pub(crate) const HEADINGS: &str = "cycles    fds  threads  zombies  companions  entries  sockets  files  RSS KiB  anonymous  attacher fds  threads  RSS KiB  anonymous";

    /// Looks.
    pub(crate) fn take(supervisor: &Supervisor, cycles: usize) -> Self {
        let attacher = attacher_of(supervisor);
        let both = [supervisor.pid(), attacher];
        let run_dir = supervisor.run_dir();
        let counts = Counts {
            fds: both.map(|pid| entries(&format!("/proc/{pid}/fd"))),
            threads: both.map(|pid| entries(&format!("/proc/{pid}/task"))),
            zombies: zombies_below(supervisor.pid()),
            companions: children_of(attacher).len(),
            entries: supervisor.status()["containers"]
                .as_array()
                .map_or(0, Vec::len),
            sockets: entries(&run_dir.join("ci").display().to_string()),
            files: entries(&run_dir.display().to_string()),
        };
        Self {
            cycles,
            counts,
            memory_kib: memory_kib(supervisor.pid()),
            attacher_memory_kib: memory_kib(attacher),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            fds,
            threads,
            zombies,
            companions,
            entries,
            sockets,
            files,
        } = &self.counts;
        let [rss, anonymous] = self.memory_kib;
        let [attacher_rss, attacher_anonymous] = self.attacher_memory_kib;
        write!(
            f,
            "{:>6} {:>6} {:>8} {zombies:>8} {companions:>11} {entries:>8} {sockets:>8} {files:>6} {rss:>8} {anonymous:>10} {:>13} {:>8} {attacher_rss:>8} {attacher_anonymous:>10}",
            self.cycles, fds[0], threads[0], fds[1], threads[1],
        )
    }
}

fn memory_kib(pid: u32) -> [u64; 2] {
    ["Rss:", "Anonymous:"].map(|key| rollup_kib(pid, key))
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .count()
}

fn zombies_below(pid: u32) -> usize {
    children_of(pid)
        .into_iter()
        .map(|child| {
            let state = status_of(child, "State").unwrap_or_default();
            usize::from(state.starts_with('Z')) + zombies_below(child)
        })
        .sum()
}
