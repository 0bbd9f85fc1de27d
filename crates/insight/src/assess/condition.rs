//! What one snapshot shows of a service beyond its being there: stopped processes, waiting connections,
//! file descriptors.

use std::time::Duration;

use diogenes_proto::{Disk, Listener, Process, Timestamp, Transport};

use crate::order::ByPid;
use crate::own_words::Thresholds;
use crate::recognise::{Recognised, takes_datagrams_only};
use crate::words::bytes;

/// A queue that stands still, or is full, for so long is no burst.
pub(crate) const BURST: Duration = Duration::from_secs(5);

/// So little is left of a full disk: less than this share, and less than these bytes. An append fails sooner or later.
const FULL_PERCENT: u64 = 99;
const FULL_BYTES: u64 = 64 << 20;

/// Whether nothing more can be kept on a disk, or next to nothing.
pub(crate) fn is_full(disk: &Disk) -> bool {
    let used = disk.total_bytes.saturating_sub(disk.free_bytes);
    let has_no_room = disk.free_bytes < FULL_BYTES
        && used.saturating_mul(100) >= disk.total_bytes.saturating_mul(FULL_PERCENT);
    has_no_room || disk.free_inodes == Some(0)
}

/// `the file system at /data has 0 B of 64 MiB left`.
pub(crate) fn what_is_left(disk: &Disk) -> String {
    let point = &disk.point;
    match disk.free_inodes {
        Some(files) => format!("the file system at {point:.200} has room for {files} more files"),
        None => format!(
            "the file system at {point:.200} has {} of {} left",
            bytes(disk.free_bytes),
            bytes(disk.total_bytes)
        ),
    }
}

/// The fullest of a service's accept queues, or, where it is reached by datagrams alone, of those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Its port; None for a Unix socket.
    pub(crate) port: Option<u16>,
    /// Connections that wait, or bytes of datagrams.
    pub(crate) waiting: u32,
    /// How many may wait; the most there can be where that is not known, as with datagrams.
    pub(crate) backlog: u32,
}

impl Queue {
    pub(crate) fn is_full(&self) -> bool {
        self.waiting > 0 && self.waiting >= self.backlog
    }

    /// `port 6379`.
    pub(crate) fn place(&self) -> String {
        self.port.map_or_else(
            || "its Unix socket".to_owned(),
            |port| format!("port {port}"),
        )
    }
}

/// Whether PostgreSQL replays its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// After a crash: it takes no queries yet.
    AfterCrash,
    /// As a standby, for as long as it lives: it works.
    Standby,
}

/// A process close to its limit of file descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    pub(crate) pid: u32,
    pub(crate) open: u64,
    pub(crate) limit: u64,
}

/// What a snapshot shows of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Its stopped processes (state T: SIGSTOP, SIGTSTP; proc(5)).
    pub(crate) stopped: Vec<u32>,
    /// Whether no process of it runs.
    pub(crate) all_stopped: bool,
    /// Whether its main process is stopped.
    pub(crate) main_stopped: bool,
    pub(crate) queue: Option<Queue>,
    pub(crate) descriptors: Option<Descriptors>,
    /// A full file system on which it keeps files.
    pub(crate) full_disk: Option<Disk>,
    pub(crate) recovery: Option<Recovery>,
    /// Whether all its processes are the superuser's.
    pub(crate) all_root: bool,
    /// Whether one of its processes leads others: those that listen, where some do. What only helps does not count.
    pub(crate) is_led: bool,
    /// CPU time that its processes have used in their lives, in milliseconds.
    pub(crate) cpu_ms: u64,
    /// The process group of its main process; None where that is not known.
    pub(crate) group: Option<u32>,
}

impl Condition {
    /// `disks` are those that are nearly full.
    pub(crate) fn of(service: &Recognised, processes: &ByPid<'_>, disks: &[Disk]) -> Self {
        let own = || service.pids.iter().filter_map(|&pid| processes.get(pid));
        let stopped: Vec<u32> = own()
            .filter(|p| p.state == 'T')
            .map(|p| p.container_pid)
            .collect();
        let mut pids = service.pids.clone();
        pids.sort_unstable();
        let listens = |pid| service.listeners.iter().any(|l| l.owners.contains(&pid));
        Self {
            all_stopped: !stopped.is_empty() && stopped.len() == own().count(),
            main_stopped: service
                .pids
                .first()
                .is_some_and(|main| stopped.contains(main)),
            stopped,
            queue: fullest(&service.listeners),
            descriptors: own()
                .filter_map(|process| descriptors(process, service.own.thresholds))
                .max_by_key(|d| d.open * 100 / d.limit),
            full_disk: disks
                .iter()
                .find(|disk| {
                    is_full(disk) && disk.holders.iter().any(|pid| service.pids.contains(pid))
                })
                .cloned(),
            recovery: recovery(service.kind, own()),
            is_led: own()
                .filter(|p| service.listeners.is_empty() || listens(p.container_pid))
                .any(|p| pids.binary_search(&p.parent_pid).is_ok()),
            cpu_ms: own().fold(0, |sum, p| p.cpu_ms.saturating_add(sum)),
            group: own().next().and_then(|main| main.group),
            all_root: own().next().is_some() && own().all(|p| p.uid == 0),
        }
    }
}

fn fullest(listeners: &[Listener]) -> Option<Queue> {
    let by_datagrams = takes_datagrams_only(listeners);
    listeners
        .iter()
        .filter(|l| by_datagrams || l.transport != Transport::Udp)
        .filter_map(|l| {
            Some(Queue {
                port: l.port,
                waiting: l.accept_queue?,
                backlog: l.backlog.unwrap_or(u32::MAX),
            })
        })
        .max_by_key(|queue| (queue.is_full(), queue.waiting))
}

fn descriptors(process: &Process, thresholds: Thresholds) -> Option<Descriptors> {
    let (open, limit) = (process.fds?, process.fd_limit.filter(|&limit| limit > 0)?);
    let is_near =
        open.saturating_mul(100) >= limit.saturating_mul(u64::from(thresholds.fds_percent));
    is_near.then_some(Descriptors {
        pid: process.container_pid,
        open: open.min(u64::MAX / 100),
        limit,
    })
}

/// PostgreSQL's startup process lives while the log is replayed: for a moment after a crash, for ever on a
/// standby. A standby receives its log (walreceiver) or waits for it. Source: PostgreSQL documentation,
/// "Monitoring Database Activity"; src/backend/access/transam/xlogrecovery.c for the titles.
fn recovery<'a>(kind: &str, processes: impl Iterator<Item = &'a Process>) -> Option<Recovery> {
    if kind != "postgresql" {
        return None;
    }
    let titles: Vec<&str> = processes
        .filter_map(|p| p.command.first())
        .map(|title| title.as_raw())
        .filter(|title| title.starts_with("postgres: "))
        .collect();
    let startup = titles.iter().find(|title| has_word(title, "startup"))?;
    let is_standby =
        has_word(startup, "waiting") || titles.iter().any(|t| has_word(t, "walreceiver"));
    Some(if is_standby {
        Recovery::Standby
    } else {
        Recovery::AfterCrash
    })
}

fn has_word(title: &str, word: &str) -> bool {
    title.split_ascii_whitespace().any(|w| w == word)
}

/// An accept queue that does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// Since when nobody has taken a connection.
    pub(crate) since: Timestamp,
    /// Connections that wait now.
    pub(crate) waiting: u32,
}

impl Stuck {
    /// Follows a queue from snapshot to snapshot: stuck as long as connections wait and get no fewer.
    pub(crate) fn follow(
        before: Option<Self>,
        queue: Option<Queue>,
        now: Timestamp,
    ) -> Option<Self> {
        let waiting = queue?.waiting;
        match before {
            _ if waiting == 0 => None,
            Some(before) if waiting >= before.waiting => Some(Self { waiting, ..before }),
            _ => Some(Self {
                since: now,
                waiting,
            }),
        }
    }

    /// For how long, where that is long enough to mean anything.
    pub(crate) fn lasting(&self, now: Timestamp) -> Option<Duration> {
        let lasting = now.since(self.since);
        (lasting >= BURST).then_some(lasting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recoveries() {
        for (titles, expected) in [
            (&["postgres: checkpointer "][..], None),
            (
                &["postgres: startup recovering 000000010000000000000001"],
                Some(Recovery::AfterCrash),
            ),
            (
                &["postgres: 15/main: startup recovering 0000"],
                Some(Recovery::AfterCrash),
            ),
            (
                &["postgres: startup waiting for 0000"],
                Some(Recovery::Standby),
            ),
            (
                &[
                    "postgres: startup recovering 0",
                    "postgres: walreceiver streaming 0/3",
                ],
                Some(Recovery::Standby),
            ),
            (&["startup"], None),
        ] {
            let processes: Vec<Process> = titles
                .iter()
                .map(|&title| Process {
                    command: vec![title.into()],
                    ..Process::default()
                })
                .collect();
            assert_eq!(
                recovery("postgresql", processes.iter()),
                expected,
                "{titles:?}"
            );
        }
    }

    #[test]
    fn a_queue_is_full_as_listen_2_counts() {
        let queue = |waiting, backlog| Queue {
            port: None,
            waiting,
            backlog,
        };
        assert!(queue(129, 128).is_full());
        assert!(queue(128, 128).is_full());
        assert!(!queue(0, 0).is_full());
        assert!(!queue(1, 128).is_full());
    }
}
