//! What this process costs its host, without the attacher and the companions.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cost of this process; null where it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Cost")]
pub(crate) struct Cost {
    /// CPU time used since it started, in milliseconds.
    pub(crate) cpu_ms: Option<u64>,
    /// Virtual size in bytes.
    pub(crate) virtual_bytes: Option<u64>,
    /// Resident memory in bytes, shared pages included.
    pub(crate) resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub(crate) fds: Option<u64>,
    /// Soft limit of open file descriptors; null also where there is none.
    pub(crate) fd_limit: Option<u64>,
    /// Threads.
    pub(crate) threads: Option<u64>,
}

impl Cost {
    /// The cost so far.
    pub(crate) fn now() -> Self {
        let own = Path::new("/proc/self");
        let entries = |folder: &str| Some(fs::read_dir(own.join(folder)).ok()?.count() as u64);
        let memory = memory_bytes(own);
        Self {
            cpu_ms: cpu_ms(),
            virtual_bytes: memory.map(|[size, _]| size),
            resident_bytes: memory.map(|[_, resident]| resident),
            // One of them is the folder that is being read.
            fds: entries("fd").map(|fds| fds.saturating_sub(1)),
            fd_limit: getrlimit(Resource::Nofile).current,
            threads: entries("task"),
        }
    }
}

fn cpu_ms() -> Option<u64> {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let s = u64::try_from(used.tv_sec).ok()?;
    Some(s * 1000 + u64::try_from(used.tv_nsec).ok()? / 1_000_000)
}

/// Virtual size and resident memory of a process in bytes (`/proc/PID/statm`, proc_pid_statm(5)); None where it
/// is gone.
fn memory_bytes(process: &Path) -> Option<[u64; 2]> {
    let pages = fs::read_to_string(process.join("statm")).ok()?;
    let mut pages = pages
        .split_whitespace()
        .map_while(|pages| pages.parse::<u64>().ok());
    let page_bytes = rustix::param::page_size() as u64;
    Some([pages.next()? * page_bytes, pages.next()? * page_bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_known_here_and_plausible() {
        let cost = Cost::now();
        let (size, resident) = (cost.virtual_bytes.unwrap(), cost.resident_bytes.unwrap());
        assert!(size >= resident && resident > 1 << 20, "{cost:?}");
        assert!(
            cost.fds.unwrap() >= 3 && cost.threads.unwrap() >= 2,
            "{cost:?}"
        );
        assert!(cost.cpu_ms.is_some(), "{cost:?}");
        assert!(
            cost.fd_limit.is_none_or(|limit| limit > cost.fds.unwrap()),
            "{cost:?}"
        );
    }
}
