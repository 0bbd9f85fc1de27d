//! The container as a whole over time: its resources, and who used the CPU.

use std::time::Duration;

use diogenes_proto::{Activity, Resources, Snapshot, Timestamp};

use crate::order::ByPid;
use crate::own_words::Thresholds;

/// How long after an out-of-memory kill it is still news.
const NEWS: Duration = Duration::from_secs(10 * 60);
/// A service is busy from this share of one core on.
const BUSY_PERCENT: u64 = 1;
/// Two looks closer together than this tell nothing of who is busy.
const SHORTEST_LOOK: Duration = Duration::from_millis(500);

/// Out-of-memory kills that were noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kills {
    /// How many there were since the container was first looked at.
    pub(crate) number: u64,
    /// When the last one was noticed.
    pub(crate) at: Timestamp,
}

/// What is remembered of the container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Container {
    pub(crate) thresholds: Thresholds,
    pub(crate) resources: Resources,
    pub(crate) processes: u32,
    pub(crate) kills: Option<Kills>,
    /// Kills before the first look.
    first_kills: Option<u64>,
    /// Pid, start and CPU time of each process at the last look that counted, by ascending pid.
    cpu_ms: Vec<(u32, Timestamp, u64)>,
    looked_at: Option<Timestamp>,
}

/// How much CPU time each process used since the last look.
pub(crate) struct CpuUse {
    lasting: Duration,
    /// Pid and time, by ascending pid.
    used_ms: Vec<(u32, u64)>,
}

impl Container {
    /// Takes in a snapshot; tells who used the CPU since the one before, None where that cannot be told.
    /// `processes` are the snapshot's.
    pub(crate) fn observe(
        &mut self,
        now: Timestamp,
        snapshot: &Snapshot,
        processes: &ByPid<'_>,
    ) -> Option<CpuUse> {
        self.resources = snapshot.resources.clone();
        self.processes = u32::try_from(snapshot.processes.len()).unwrap_or(u32::MAX);
        if let Some(kills) = snapshot.resources.oom_kills {
            let first = *self.first_kills.get_or_insert(kills);
            let known = self.kills.map_or(0, |k| k.number);
            let number = kills.saturating_sub(first);
            if number > known {
                self.kills = Some(Kills { number, at: now });
            }
        }
        let lasting = self.looked_at.map(|at| now.since(at));
        if lasting.is_some_and(|lasting| lasting < SHORTEST_LOOK) {
            return None;
        }
        self.looked_at = Some(now);
        let cpu_ms = processes
            .iter()
            .map(|p| (p.container_pid, p.started_at, p.cpu_ms))
            .collect();
        let before = std::mem::replace(&mut self.cpu_ms, cpu_ms);
        let used_ms = self
            .cpu_ms
            .iter()
            .map(|&(pid, started_at, ms)| {
                let known = before.binary_search_by_key(&pid, |process| process.0);
                // One that started at another time is another process with the same number.
                let earlier = known
                    .ok()
                    .map(|at| before[at])
                    .filter(|process| process.1 == started_at);
                (
                    pid,
                    ms.saturating_sub(earlier.map_or(0, |process| process.2)),
                )
            })
            .collect();
        lasting.map(|lasting| CpuUse { lasting, used_ms })
    }

    pub(crate) fn is_memory_short(&self) -> bool {
        self.resources
            .memory_percent()
            .is_some_and(|percent| percent >= f64::from(self.thresholds.memory_percent))
    }

    /// Whether nothing in it moves.
    pub(crate) fn is_frozen(&self) -> bool {
        self.resources.frozen
    }

    /// Processes and threads, and their limit, where they are near it.
    pub(crate) fn pids_near_limit(&self) -> Option<(u64, u64)> {
        let (pids, limit) = (self.resources.pids?, self.resources.pids_limit?);
        let share = u64::from(self.thresholds.pids_percent);
        (pids.saturating_mul(100) >= limit.saturating_mul(share)).then_some((pids, limit))
    }

    /// Kills that are still news.
    pub(crate) fn recent_kills(&self, now: Timestamp) -> Option<Kills> {
        self.kills.filter(|kills| now.since(kills.at) <= NEWS)
    }
}

impl CpuUse {
    /// Whether these processes together had work to do.
    pub(crate) fn activity(&self, pids: &[u32]) -> Option<Activity> {
        if pids.is_empty() {
            return None;
        }
        let used: u64 = pids
            .iter()
            .filter_map(|pid| self.used_ms.binary_search_by_key(pid, |used| used.0).ok())
            .fold(0, |sum, at| sum.saturating_add(self.used_ms[at].1));
        let lasting = u64::try_from(self.lasting.as_millis()).unwrap_or(u64::MAX);
        let is_busy = used.saturating_mul(100) >= lasting.saturating_mul(BUSY_PERCENT);
        Some(if is_busy {
            Activity::Busy
        } else {
            Activity::Idle
        })
    }
}
