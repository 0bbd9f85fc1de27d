//! What an agent saw at one moment.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, Untrusted, fraction, word};

/// Everything an agent saw of its container at one moment. What could not be read is None or absent; why is
/// said in `gaps`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was taken, by the container's clock (which is the host's).
    pub taken_at: Timestamp,
    /// The container's processes by pid; the companion itself is not among them.
    pub processes: Vec<Process>,
    /// Listening TCP sockets, bound UDP sockets and listening Unix sockets.
    pub listeners: Vec<Listener>,
    /// The container's resources as its cgroup has them.
    pub resources: Resources,
    /// What could not be seen, in words: `sockets of other users: no permission`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Untrusted>,
}

/// One process, seen from the container's pid namespace. Sources: proc(5).
#[derive(Clone, Debug, Default, PartialEq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Process {
    /// Its pid in the container's pid namespace.
    pub container_pid: u32,
    /// Its pid in the host's pid namespace; None as long as only the agent has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_pid: Option<u32>,
    /// Its parent's pid in the container; 0 where the parent is outside (the init, and what `docker exec` started).
    pub parent_pid: u32,
    /// Its process group, by the leader's pid in the container (setpgid(2)): workers are in that of the process that
    /// forked them, a daemon begins its own. None where it is not known, or the leader is outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// Effective user id, in the container's user namespace.
    pub uid: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// `comm`: the kernel's name of the process, at most 15 bytes.
    pub name: Untrusted,
    /// Its command line, secrets redacted; empty for kernel threads and zombies.
    pub command: Vec<Untrusted>,
    /// What it executes (`/proc/PID/exe`); None where that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<Untrusted>,
    /// One letter: R running, S sleeping, D waiting for the disk, T stopped, t traced, Z zombie, I idle, X dead.
    pub state: char,
    /// Number of threads.
    pub threads: u32,
    /// CPU time used since it started, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory in bytes, shared pages included.
    pub rss_bytes: u64,
    /// Open file descriptors; None where the directory could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fds: Option<u64>,
    /// Soft limit of open file descriptors; None where unlimited or unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fd_limit: Option<u64>,
    /// Frameworks that the program it runs loads, as its source says: `fastapi`, `flask`, `django`, `express`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "word::list"
    )]
    pub frameworks: Vec<String>,
}

/// What a listening socket speaks below the application. A closed set: another word needs a new protocol version.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP, listening.
    #[default]
    Tcp,
    /// UDP, bound and not connected.
    Udp,
    /// A Unix stream or seqpacket socket, listening.
    Unix,
}

/// One listening socket with its owners. Sources: sock_diag(7), proc(5).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Listener {
    /// What it speaks.
    pub transport: Transport,
    /// Local address; None for Unix sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Local port; None for Unix sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Path of a Unix socket; an abstract one begins with `@`. None for TCP and UDP, and for unnamed sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Untrusted>,
    /// The socket's inode, which its owners' file descriptors name.
    pub inode: u64,
    /// The user who made it, in the container's user namespace.
    pub uid: u32,
    /// Connections waiting to be accepted; of UDP, bytes of datagrams waiting to be read, with what the kernel keeps
    /// beside them. None where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_queue: Option<u32>,
    /// How many may wait; None for UDP or where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u32>,
    /// Container pids of the processes that hold it, ascending; empty where they could not be found, and presumed where
    /// `gaps` says so.
    pub owners: Vec<u32>,
}

/// A container's resources. Sources: cgroup v1 and v2 control files (Documentation/admin-guide/cgroup-v1,
/// cgroup-v2.rst). Every None means: the file was not there or not readable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resources {
    /// 1 or 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_version: Option<u8>,
    /// Memory charged to the container in bytes, without the inactive file cache (what `docker stats` shows).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Memory limit in bytes; None also where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    /// Processes killed by the out-of-memory killer since the cgroup was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// CPU time used, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_usage_us: Option<u64>,
    /// CPU use between the last two snapshots, in percent of one core, in [thousandths](fraction::thousandths);
    /// None in the first one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "fraction::write"
    )]
    pub cpu_percent: Option<f64>,
    /// CPU limit in cores (quota over period), in [thousandths](fraction::thousandths); None also where there is no limit.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "fraction::write"
    )]
    pub cpu_limit_cores: Option<f64>,
    /// Scheduler periods in which the container was throttled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_periods: Option<u64>,
    /// Time the container's tasks waited throttled, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_us: Option<u64>,
    /// Whether the container's processes are frozen, as a paused container's are; absent means false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// Processes and threads in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// Limit of processes and threads; None also where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<u64>,
    /// File systems that are nearly full; empty also where none could be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
}

/// A file system of which little is left. Source: statvfs(3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Disk {
    /// Where it is mounted in the container.
    pub point: Untrusted,
    /// What can be stored on it by anybody, in bytes.
    pub total_bytes: u64,
    /// What is left of that, in bytes.
    pub free_bytes: u64,
    /// How many files can still be made, where those are what is short; None otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_inodes: Option<u64>,
    /// Container pids of processes that work or keep files open there, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<u32>,
}

impl Resources {
    /// Memory in percent of its limit; None without a limit.
    #[must_use]
    pub fn memory_percent(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
        match (self.memory_bytes, self.memory_limit_bytes) {
            (Some(used), Some(limit)) if limit > 0 => Some(used as f64 * 100.0 / limit as f64),
            _ => None,
        }
    }
}
