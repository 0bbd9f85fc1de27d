//! One scan after another: puts the parts together and says what is missing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diogenes_linux::sock_diag::SockDiag;
use diogenes_proto::{Listener, Resources, Snapshot, Timestamp, Untrusted};

use crate::connections;
use crate::disks::Disks;
use crate::frameworks::Frameworks;
use crate::listeners::Listeners;
use crate::owners::Owners;
use crate::processes::ProcessTable;
use crate::procfs::{cgroup, mountinfo};
use crate::resources::ControlGroup;
use crate::tree::Tree;

/// Most listeners that are reported.
pub(crate) const MAX_LISTENERS: usize = 4096;
/// How long a scan waits for the sources of new programs to be read; what comes later is in the next one.
const FRAMEWORKS_WAIT: Duration = Duration::from_millis(50);

/// Which container is looked at, and what it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The container's init, as the scanner's `/proc` numbers it: 1 in a pid namespace of its own.
    pub init_pid: u32,
    /// The pid namespace is shared (`--pid host`, `--pid container:`): only processes in the init's cgroup
    /// count, and no kernel threads.
    pub shared_pids: bool,
    /// The network namespace is shared (`--network host`, `--network container:`): only listeners that a
    /// process of the container owns count.
    pub shared_net: bool,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            init_pid: 1,
            shared_pids: false,
            shared_net: false,
        }
    }
}

/// Takes snapshots of one container. Keeps between scans what does not change.
#[derive(Debug)]
pub struct Scanner {
    root: PathBuf,
    scope: Scope,
    /// None as long as `/proc` cannot be opened.
    tree: Option<Tree>,
    processes: ProcessTable,
    listeners: Listeners,
    owners: Owners,
    frameworks: Frameworks,
    control_group: Option<ControlGroup>,
    disks: Disks,
}

impl Scanner {
    /// A scanner of the system whose root directory is `root`. With `/` it asks the kernel for sockets, in
    /// the network namespace of the calling thread, and leaves its own process out; any other root is a
    /// copy of `/proc` and `/sys/fs/cgroup`, from which everything is read.
    pub fn new(root: impl Into<PathBuf>, scope: Scope) -> Self {
        let root = root.into();
        let live = root == Path::new("/");
        Self {
            processes: ProcessTable::new(&root, scope, live),
            listeners: Listeners::new(&root, live.then(SockDiag::open)),
            frameworks: Frameworks::new(&root),
            owners: Owners::default(),
            control_group: None,
            disks: Disks::default(),
            tree: None,
            root,
            scope,
        }
    }

    /// Leaves one more process out, and what it alone listens on: a part of the companion itself.
    #[must_use]
    pub fn excluding(mut self, pid: u32) -> Self {
        self.processes.exclude(pid);
        self
    }

    /// Reads these processes in every scan from now on. Of a crowd others are read in turn only, and what is told of them
    /// may be some scans old.
    pub fn attend(&mut self, pids: impl Iterator<Item = u32>) {
        self.processes.attend(pids);
    }

    /// Looks at everything. Never fails: what could not be read is said in `gaps`.
    pub fn scan(&mut self) -> Snapshot {
        self.scan_over(Snapshot::default())
    }

    /// As [`Self::scan`], out of the memory of a snapshot that nobody needs any more.
    pub fn scan_over(&mut self, old: Snapshot) -> Snapshot {
        let now = Instant::now();
        let mut snapshot = Snapshot {
            taken_at: Timestamp::now(),
            ..Snapshot::default()
        };
        let mut gaps = Vec::new();
        if let Err(error) = self.look(now, old, &mut snapshot, &mut gaps) {
            gaps.push(format!("processes: cannot read /proc: {error}"));
        }
        snapshot.gaps = gaps.into_iter().map(Untrusted::new).collect();
        snapshot
    }

    /// A number that changes when something begins or ceases to listen on TCP or a Unix socket: a hash
    /// over the sockets' inodes, for a look between two scans. 0 where the kernel cannot be asked cheaply;
    /// then only a scan tells.
    pub fn listening(&mut self) -> u64 {
        self.listeners.hash()
    }

    /// What these processes are connected to, in words: `port 6379`, the path of a Unix socket; not what they have among
    /// themselves. None where that cannot be seen. Dear where there are many connections, whosesoever they are.
    pub fn connections(&mut self, pids: &[u32]) -> Option<Vec<Untrusted>> {
        connections::of(pids, self.tree.as_mut()?, self.listeners.diag()?)
    }

    fn look(
        &mut self,
        now: Instant,
        old: Snapshot,
        snapshot: &mut Snapshot,
        gaps: &mut Vec<String>,
    ) -> Result<(), rustix::io::Errno> {
        let tree = match &mut self.tree {
            Some(tree) => tree,
            None => self.tree.insert(Tree::open(&self.root.join("proc"))?),
        };
        self.processes.update(tree, &mut self.frameworks, gaps)?;
        let mut listeners = self.listeners.list(gaps);
        self.owners
            .attribute(&mut listeners, &mut self.processes, tree, gaps);
        self.frameworks.collect(FRAMEWORKS_WAIT, gaps);
        snapshot.processes = self.processes.report(&self.frameworks, old.processes, gaps);
        snapshot.listeners = self.in_scope(listeners, gaps);
        snapshot.resources = self.resources(now, gaps);
        let disks = self.disks.nearly_full(&self.root, self.scope.init_pid);
        snapshot.resources.disks = disks.to_vec();
        Ok(())
    }

    fn in_scope(&self, mut listeners: Vec<Listener>, gaps: &mut Vec<String>) -> Vec<Listener> {
        if self.scope.shared_net {
            listeners.retain(|listener| !listener.owners.is_empty());
        }
        listeners.sort_unstable();
        if listeners.len() > MAX_LISTENERS {
            gaps.push(format!(
                "listeners: {} left out, {MAX_LISTENERS} are reported",
                listeners.len() - MAX_LISTENERS
            ));
            listeners.truncate(MAX_LISTENERS);
        }
        listeners
    }

    fn resources(&mut self, now: Instant, gaps: &mut Vec<String>) -> Resources {
        let known = self
            .control_group
            .as_ref()
            .is_some_and(ControlGroup::is_known);
        if !known {
            self.control_group = self.locate_control_group();
        }
        match &mut self.control_group {
            Some(group) if group.is_known() => group.read(now),
            _ => {
                gaps.push("resources: no control group of the container is mounted".to_owned());
                Resources::default()
            }
        }
    }

    fn locate_control_group(&mut self) -> Option<ControlGroup> {
        let (tree, init) = (self.tree.as_mut()?, self.scope.init_pid);
        let places = cgroup::parse(tree.read(init, "cgroup").ok()?);
        let mounts = mountinfo::parse(tree.read(init, "mountinfo").ok()?);
        Some(ControlGroup::locate(&self.root, &places, &mounts))
    }
}
