//! The container's resources from its control groups, v1 and v2.
//!
//! ```text
//! /proc/INIT/cgroup     where it stands    ┐
//! /proc/INIT/mountinfo  what is mounted    ┴► directory of each controller ─► open files, read each time
//! ```
//!
//! The path in `/proc/INIT/cgroup` is that of the whole hierarchy, while a container mostly sees only its
//! own part of it, mounted at `/sys/fs/cgroup/CONTROLLER`: what counts is the path relative to the mount's
//! root. Sources: Documentation/admin-guide/cgroup-v1, cgroup-v2.rst, sched-bwc.rst.

use std::path::{Path, PathBuf};
use std::time::Instant;

use diogenes_proto::Resources;
use diogenes_proto::fraction::thousandths;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, pread};

use crate::procfs::cgroup::{Place, below};
use crate::procfs::mountinfo::CgroupMount;
use crate::procfs::{number, words};

/// v1 says "no limit" with the greatest number of pages there is; anything near it is none.
const V1_UNLIMITED_BYTES: u64 = 1 << 62;
/// `memory.stat` is the longest of the files, at some 2 KiB.
const FILE_BYTES: usize = 4 * 1024;

/// The container's control files.
#[derive(Debug)]
pub(crate) struct ControlGroup {
    version: Option<u8>,
    memory: Option<Controller>,
    cpu: Option<Controller>,
    cpuacct: Option<Controller>,
    pids: Option<Controller>,
    freezer: Option<Controller>,
    buffer: Vec<u8>,
    /// CPU time in microseconds and when it was read, for the percentage of the next reading.
    last_cpu: Option<(u64, Instant)>,
}

/// The directory of one controller, and its files as far as they were opened.
#[derive(Debug)]
struct Controller {
    version: u8,
    directory: PathBuf,
    /// Kept open: a path through `/sys/fs/cgroup` costs more than the reading.
    open: Vec<(&'static str, Option<OwnedFd>)>,
}

impl ControlGroup {
    /// Finds the directories. `root` is put before every mount point.
    pub(crate) fn locate(root: &Path, places: &[Place], mounts: &[CgroupMount]) -> Self {
        let find = |controller| locate(root, places, mounts, controller);
        let mut group = Self {
            version: None,
            memory: find("memory"),
            cpu: find("cpu"),
            cpuacct: find("cpuacct"),
            pids: find("pids"),
            freezer: find("freezer"),
            buffer: Vec::with_capacity(FILE_BYTES),
            last_cpu: None,
        };
        // On a hybrid system some controllers are v1; then it is v1 that limits the container.
        let found = [&group.memory, &group.cpu, &group.cpuacct, &group.pids];
        group.version = found.into_iter().flatten().map(|one| one.version).min();
        group
    }

    /// Whether any controller was found.
    pub(crate) fn is_known(&self) -> bool {
        self.version.is_some()
    }

    /// Reads the present figures.
    pub(crate) fn read(&mut self, now: Instant) -> Resources {
        let mut resources = Resources {
            cgroup_version: self.version,
            ..Resources::default()
        };
        self.read_memory(&mut resources);
        self.read_cpu(&mut resources);
        self.read_pids(&mut resources);
        resources.frozen = self.is_frozen();
        if let Some(usage) = resources.cpu_usage_us {
            if let Some((before, then)) = self.last_cpu {
                resources.cpu_percent = percent(usage.checked_sub(before), now - then);
            }
            self.last_cpu = Some((usage, now));
        }
        resources
    }

    fn read_memory(&mut self, resources: &mut Resources) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let buffer = &mut self.buffer;
        let v1 = memory.version == 1;
        let (usage, limit, cache, events) = if v1 {
            (
                "memory.usage_in_bytes",
                "memory.limit_in_bytes",
                "total_inactive_file",
                "memory.oom_control",
            )
        } else {
            (
                "memory.current",
                "memory.max",
                "inactive_file",
                "memory.events",
            )
        };
        let stat = memory.read("memory.stat", buffer);
        let inactive = stat.and_then(|stat| value(stat, cache)).unwrap_or(0);
        // The tightest limit of all the groups above, which a pod or a slice may set.
        let above = stat.and_then(|stat| value(stat, "hierarchical_memory_limit"));
        let own = memory.number(limit, buffer);
        resources.memory_bytes = memory
            .number(usage, buffer)
            .map(|bytes| bytes.saturating_sub(inactive));
        resources.memory_limit_bytes = own
            .into_iter()
            .chain(above)
            .min()
            .filter(|limit| *limit < V1_UNLIMITED_BYTES);
        resources.oom_kills = memory
            .read(events, buffer)
            .and_then(|text| value(text, "oom_kill"));
    }

    fn read_cpu(&mut self, resources: &mut Resources) {
        let buffer = &mut self.buffer;
        if let Some(cpuacct) = self.cpuacct.as_mut().filter(|one| one.version == 1) {
            let nanoseconds = cpuacct.number("cpuacct.usage", buffer);
            resources.cpu_usage_us = nanoseconds.map(|ns| ns / 1000);
        }
        let Some(cpu) = &mut self.cpu else { return };
        let v1 = cpu.version == 1;
        if let Some(stat) = cpu.read("cpu.stat", buffer) {
            resources.throttled_periods = value(stat, "nr_throttled");
            if v1 {
                resources.throttled_us = value(stat, "throttled_time").map(|ns| ns / 1000);
            } else {
                resources.throttled_us = value(stat, "throttled_usec");
                resources.cpu_usage_us = value(stat, "usage_usec");
            }
        }
        let (quota, period) = if v1 {
            (
                // -1, which is no limit, is no u64.
                cpu.number("cpu.cfs_quota_us", buffer),
                cpu.number("cpu.cfs_period_us", buffer),
            )
        } else {
            let mut both = cpu.read("cpu.max", buffer).into_iter().flat_map(words);
            (both.next().and_then(number), both.next().and_then(number))
        };
        resources.cpu_limit_cores = match (quota, period) {
            (Some(quota), Some(period)) if period > 0 => thousandths(ratio(quota, period)),
            _ => None,
        };
    }

    fn read_pids(&mut self, resources: &mut Resources) {
        if let Some(pids) = &mut self.pids {
            resources.pids = pids.number("pids.current", &mut self.buffer);
            resources.pids_limit = pids.number("pids.max", &mut self.buffer);
        }
    }

    /// Whether all processes stand still. Sources: cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst (`cgroup.events`).
    fn is_frozen(&mut self) -> bool {
        let Some(freezer) = &mut self.freezer else {
            return false;
        };
        let buffer = &mut self.buffer;
        if freezer.version == 1 {
            let state = freezer.read("freezer.state", buffer);
            state.is_some_and(|state| state.trim_ascii() == b"FROZEN")
        } else {
            let events = freezer.read("cgroup.events", buffer);
            events.and_then(|events| value(events, "frozen")) == Some(1)
        }
    }
}

impl Controller {
    /// The content of a file; None where it is not there.
    fn read<'a>(&mut self, name: &'static str, buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let index = match self.open.iter().position(|(known, _)| *known == name) {
            Some(index) => index,
            None => {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
                let file = openat(CWD, self.directory.join(name), flags, Mode::empty()).ok();
                self.open.push((name, file));
                self.open.len() - 1
            }
        };
        let file = self.open.get(index)?.1.as_ref()?;
        buffer.resize(FILE_BYTES, 0);
        loop {
            match pread(file, buffer.as_mut_slice(), 0) {
                Err(Errno::INTR) => {}
                result => return buffer.get(..result.ok()?),
            }
        }
    }

    /// The number a file consists of; None also for `max` and what is negative.
    fn number(&mut self, name: &'static str, buffer: &mut Vec<u8>) -> Option<u64> {
        number(self.read(name, buffer)?.trim_ascii())
    }
}

/// The directory that holds the container's files of a controller.
fn locate(
    root: &Path,
    places: &[Place],
    mounts: &[CgroupMount],
    controller: &str,
) -> Option<Controller> {
    let v1 = places.iter().find(|place| place.has(controller));
    let place = v1.or_else(|| places.iter().find(|place| place.hierarchy == 0))?;
    let version = if v1.is_some() { 1 } else { 2 };
    let shows = |mount: &&CgroupMount| match &mount.controllers {
        Some(controllers) => version == 1 && controllers.split(',').any(|one| one == controller),
        None => version == 2,
    };
    mounts.iter().filter(shows).find_map(|mount| {
        let relative = below(&place.path, &mount.root)?;
        let path = format!("{}{relative}", mount.point);
        let directory = root.join(path.trim_start_matches('/'));
        let open = Vec::new();
        directory.is_dir().then_some(Controller {
            version,
            directory,
            open,
        })
    })
}

/// The number after `key` in a file of `KEY NUMBER` lines.
fn value(text: &[u8], key: &str) -> Option<u64> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.strip_prefix(key.as_bytes())?.strip_prefix(b" ")?;
        number(rest.trim_ascii())
    })
}

#[expect(clippy::cast_precision_loss, reason = "a ratio needs no 53 bits")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Percent of one core, to a tenth; None where the clock or the counter did not advance sensibly.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
fn percent(used_us: Option<u64>, elapsed: std::time::Duration) -> Option<f64> {
    let elapsed_us = elapsed.as_micros();
    let used_us = used_us.filter(|_| elapsed_us > 0)?;
    let percent = used_us as f64 * 100.0 / elapsed_us as f64;
    Some((percent * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::procfs::{cgroup, mountinfo};

    fn group(root: &Path, cgroup: &[u8], mountinfo: &[u8]) -> ControlGroup {
        ControlGroup::locate(root, &cgroup::parse(cgroup), &mountinfo::parse(mountinfo))
    }

    fn fixture(name: &str) -> ControlGroup {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name);
        let read = |file| fs::read(root.join("proc/1").join(file)).unwrap();
        group(&root, &read("cgroup"), &read("mountinfo"))
    }

    #[test]
    fn reads_v1_as_docker_mounts_it() {
        let resources = fixture("live").read(Instant::now());
        assert_eq!(resources.cgroup_version, Some(1));
        assert_eq!(resources.memory_limit_bytes, Some(64 << 20));
        assert_eq!(resources.oom_kills, Some(0));
        assert_eq!(resources.cpu_usage_us, Some(106_992));
        assert_eq!(resources.cpu_limit_cores, Some(0.5));
        assert_eq!(resources.throttled_periods, Some(0));
        assert_eq!(resources.throttled_us, Some(0));
        assert_eq!(resources.pids_limit, Some(50));
        assert_eq!(resources.cpu_percent, None);
    }

    #[test]
    fn reads_v1_throttling_cache_and_the_absence_of_limits() {
        let resources = fixture("cgroup-v1").read(Instant::now());
        assert_eq!(resources.memory_bytes, Some(500_000_000 - 123_456));
        assert_eq!(resources.memory_limit_bytes, None);
        assert_eq!(resources.oom_kills, Some(3));
        assert_eq!(resources.cpu_limit_cores, None);
        assert_eq!(resources.throttled_periods, Some(12));
        assert_eq!(resources.throttled_us, Some(3456));
        assert_eq!((resources.pids, resources.pids_limit), (Some(9), None));
    }

    #[test]
    fn reads_v2_in_a_private_namespace() {
        let resources = fixture("cgroup-v2").read(Instant::now());
        assert_eq!(resources.cgroup_version, Some(2));
        assert_eq!(resources.memory_bytes, Some(30_000_000 - 1_000_000));
        assert_eq!(resources.memory_limit_bytes, Some(134_217_728));
        assert_eq!(resources.oom_kills, Some(2));
        assert_eq!(resources.cpu_usage_us, Some(7_654_321));
        assert_eq!(resources.cpu_limit_cores, Some(1.5));
        assert_eq!(resources.throttled_periods, Some(40));
        assert_eq!(resources.throttled_us, Some(987_654));
        assert_eq!((resources.pids, resources.pids_limit), (Some(11), None));
    }

    #[test]
    fn a_paused_container_is_frozen_in_either_version() {
        let root = tempfile::tempdir().unwrap();
        let frozen = |cgroup: &[u8], mount: &[u8], file: &str, text: &str| {
            let file = root.path().join("cg").join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
            group(root.path(), cgroup, mount)
                .read(Instant::now())
                .frozen
        };
        for (state, expected) in [
            ("FROZEN\n", true),
            ("FREEZING\n", false),
            ("THAWED\n", false),
        ] {
            let mount = b"1 1 0:1 / /cg ro - cgroup cgroup rw,freezer\n";
            assert_eq!(
                frozen(b"7:freezer:/\n", mount, "freezer.state", state),
                expected
            );
        }
        for (events, expected) in [
            ("populated 1\nfrozen 1\n", true),
            ("populated 1\nfrozen 0\n", false),
        ] {
            let mount = b"1 1 0:1 / /cg ro - cgroup2 cgroup2 rw\n";
            assert_eq!(frozen(b"0::/\n", mount, "cgroup.events", events), expected);
        }
    }

    /// A snapshot in a file must say the same as the live one.
    #[test]
    fn a_limit_is_rounded_as_it_travels() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("cg")).unwrap();
        fs::write(root.path().join("cg/cpu.max"), "100000 300000\n").unwrap();
        let mount = b"1 1 0:1 / /cg rw - cgroup2 cgroup2 rw\n";
        let resources = group(root.path(), b"0::/\n", mount).read(Instant::now());
        assert_eq!(resources.cpu_limit_cores, Some(0.333));
    }

    #[test]
    fn takes_memory_from_v1_and_nothing_from_an_empty_v2_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let memory = root.path().join("sys/fs/cgroup/memory");
        fs::create_dir_all(&memory).unwrap();
        fs::create_dir_all(root.path().join("sys/fs/cgroup/unified")).unwrap();
        fs::write(memory.join("memory.usage_in_bytes"), "77\n").unwrap();
        let resources = group(
            root.path(),
            b"4:memory:/docker/a\n0::/docker/a\n",
            b"1 1 0:1 /docker/a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
              2 1 0:2 /docker/a /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n",
        )
        .read(Instant::now());
        assert_eq!(resources.cgroup_version, Some(1));
        assert_eq!(resources.memory_bytes, Some(77));
        assert_eq!((resources.cpu_usage_us, resources.pids), (None, None));
    }

    #[test]
    fn the_path_is_taken_relative_to_what_the_mount_shows() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("cg/docker/a")).unwrap();
        let mount = |line: &str| mountinfo::parse(line.as_bytes());
        let places = cgroup::parse(b"0::/docker/a\n");
        let find = |line: &str| {
            locate(root.path(), &places, &mount(line), "memory").map(|one| one.directory)
        };
        // The whole hierarchy, the container's own part, somebody else's part, outside of the namespace.
        let whole = find("1 1 0:1 / /cg rw - cgroup2 cgroup2 rw");
        assert_eq!(whole, Some(root.path().join("cg/docker/a")));
        let own = find("1 1 0:1 /docker/a /cg rw - cgroup2 cgroup2 rw");
        assert_eq!(own, Some(root.path().join("cg")));
        assert_eq!(find("1 1 0:1 /docker/b /cg rw - cgroup2 cgroup2 rw"), None);
        assert_eq!(find("1 1 0:1 /.. /cg rw - cgroup2 cgroup2 rw"), None);
    }

    #[test]
    fn cpu_use_is_the_difference_of_two_readings() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("cg/cpuacct.usage");
        fs::create_dir(root.path().join("cg")).unwrap();
        let write = |ns: u64| fs::write(&file, format!("{ns}\n")).unwrap();
        write(1_000_000_000);
        let line = b"1 1 0:1 / /cg rw - cgroup cgroup rw,cpuacct\n";
        let mut group = group(root.path(), b"2:cpuacct:/\n", line);
        let start = Instant::now();
        assert_eq!(group.read(start).cpu_percent, None);
        write(1_500_000_000);
        let later = start + Duration::from_secs(2);
        assert_eq!(group.read(later).cpu_percent, Some(25.0));
        // A counter that was reset tells nothing.
        write(0);
        assert_eq!(group.read(later + Duration::from_secs(1)).cpu_percent, None);
    }
}
