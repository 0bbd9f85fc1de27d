//! What the supervisor knows of itself, of its Engine, and of the processes it keeps, as samples.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::api::metrics::exposition::Samples;
use crate::api::metrics::table::Id;
use crate::api::metrics::value::{count, moment, whole, yes};
use crate::registry::Registry;
use crate::supervisor::Supervisor;

/// Writes the supervisor and its Engine.
pub(crate) fn write(samples: &mut Samples, supervisor: &Supervisor, registry: &Registry) {
    samples.add(Id::BuildInfo, &[Supervisor::VERSION], 1.0);
    samples.add(Id::AttachReady, &[], yes(supervisor.attach_error.is_none()));
    samples.add(Id::Events, &[], whole(registry.journal().recorded()));
    let engine = registry.engine();
    samples.add(Id::EngineReachable, &[], yes(engine.error.is_none()));
    samples.add(Id::EngineSince, &[], moment(engine.since));
    if let Some(version) = &engine.version {
        let told = [
            supervisor.engine.as_str(),
            &version.version,
            &version.api_version,
        ];
        samples.add(Id::EngineInfo, &told, 1.0);
    }
    samples.add(Id::ProcessStart, &[], moment(supervisor.started_at));
    process(samples);
    children(samples);
}

/// The supervisor's own cost, under the names that every client library has for it.
fn process(samples: &mut Samples) {
    // Without the attacher and the companions: this clock is the process's own.
    let used = clock_gettime(ClockId::ProcessCPUTime);
    if let (Ok(s), Ok(ns)) = (u64::try_from(used.tv_sec), u32::try_from(used.tv_nsec)) {
        samples.add(
            Id::ProcessCpu,
            &[],
            std::time::Duration::new(s, ns).as_secs_f64(),
        );
    }
    let own = Path::new("/proc/self");
    if let Some(memory) = Memory::of(own) {
        samples.add(Id::ProcessVirtual, &[], whole(memory.virtual_bytes));
        samples.add(Id::ProcessResident, &[], whole(memory.resident_bytes));
    }
    let entries = |folder: &str| Some(fs::read_dir(own.join(folder)).ok()?.count());
    // One of them is the folder that is being read.
    let fds = entries("fd").map(|fds| count(fds.saturating_sub(1)));
    samples.add_known(Id::ProcessFds, &[], fds);
    let most = getrlimit(Resource::Nofile).current.map(whole);
    samples.add_known(Id::ProcessMaxFds, &[], most);
    samples.add_known(Id::ProcessThreads, &[], entries("task").map(count));
}

/// The attacher, and its children: the companions. Their CPU time is not told: added up over those that live, it
/// would fall with each that leaves, and a scraper would take that for a new beginning.
fn children(samples: &mut Samples) {
    let is_attacher = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.ends_with(b"\0attacher\0")
    };
    let mut attachers = children_of(std::process::id());
    attachers.retain(is_attacher);
    let companions = attachers.iter().flat_map(|&pid| children_of(pid)).collect();
    for (role, pids) in [("attacher", attachers), ("companion", companions)] {
        samples.add(Id::Children, &[role], count(pids.len()));
        let memory = pids
            .iter()
            .filter_map(|pid| Memory::of(Path::new(&format!("/proc/{pid}"))));
        let private = memory.map(|memory| memory.private_bytes).sum();
        samples.add(Id::ChildrenMemory, &[role], whole(private));
    }
}

/// The direct children of a process, by the list that the kernel keeps for each of its threads
/// (`/proc/PID/task/TID/children`, proc_pid_task(5)); none where it keeps no such lists.
fn children_of(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let lists = threads.into_iter().flatten().flatten();
    let lists = lists.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids = |list: String| -> Vec<u32> {
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.collect()
    };
    lists.flat_map(pids).collect()
}

/// What memory a process has (`/proc/PID/statm`, proc_pid_statm(5)).
struct Memory {
    virtual_bytes: u64,
    resident_bytes: u64,
    /// Resident, and not that of a file or of shared memory: the sealed program is such.
    private_bytes: u64,
}

impl Memory {
    /// That of the process in a folder of `/proc`; None where it is gone.
    fn of(process: &Path) -> Option<Self> {
        let statm = fs::read_to_string(process.join("statm")).ok()?;
        let mut pages = statm
            .split_whitespace()
            .map_while(|pages| pages.parse::<u64>().ok());
        let page_bytes = rustix::param::page_size() as u64;
        let (size, resident, shared) = (pages.next()?, pages.next()?, pages.next()?);
        Some(Self {
            virtual_bytes: size * page_bytes,
            resident_bytes: resident * page_bytes,
            private_bytes: resident.saturating_sub(shared) * page_bytes,
        })
    }
}
