//! Which processes belong together: a master and its workers, and whoever shares a listening socket.
//!
//! A child joins its parent where it is the same kind of program; or, unknown itself and without a listener of its
//! own, where it executes the same file (a worker that `multiprocessing` forked), or a helper that the parent's
//! kind is known to have; or where nothing but its pid tells it from its parent: such a one may well be who listens, as
//! in Kamailio, and in servers for developers, which start themselves anew whenever a file changes. Nobody joins a supervisor: what it starts is not part of it. Unknown processes that hold
//! the same listener join too. Two known kinds never join: a socket that leaked from one into the other stays with
//! the one that has had it longer.

use diogenes_proto::{Process, Snapshot, Transport};

use super::claim;
use crate::catalogue::{Kind, Layer};
use crate::order::{ByPid, sort_by_key};

/// Processes that belong together.
#[derive(Debug)]
pub(super) struct Family<'a> {
    /// The main one first, then by age.
    pub(super) processes: Vec<&'a Process>,
    /// Indices of its listeners in the snapshot.
    pub(super) listeners: Vec<usize>,
    /// The kind that its programs say it is.
    pub(super) claim: Option<&'static Kind>,
    /// Whether it descends from something other than the container's init.
    pub(super) visitor: bool,
}

/// The forest of processes while it is being joined.
struct Forest<'a> {
    processes: &'a [Process],
    by_pid: ByPid<'a>,
    /// Each process's claim.
    claims: Vec<Option<&'static Kind>>,
    /// Whether the container itself calls it a service.
    introduced: Vec<bool>,
    /// Each process's stream listeners, by index in the snapshot, ascending.
    held: Vec<Vec<usize>>,
    /// Union-find: towards the family's representative.
    links: Vec<usize>,
}

/// All families of a snapshot that are of a known kind, hold a listener or are `introduced` by their container, in the
/// order of their main pids.
pub(super) fn families<'a>(
    snapshot: &'a Snapshot,
    introduced: &dyn Fn(&Process) -> bool,
) -> Vec<Family<'a>> {
    let mut forest = Forest::new(snapshot, introduced);
    forest.join_children();
    forest.join_sharers(snapshot);
    forest.into_families(snapshot)
}

impl<'a> Forest<'a> {
    fn new(snapshot: &'a Snapshot, introduced: &dyn Fn(&Process) -> bool) -> Self {
        let processes = snapshot.processes.as_slice();
        let by_pid = ByPid::new(processes);
        let mut held = vec![Vec::new(); processes.len()];
        for (index, listener) in snapshot.listeners.iter().enumerate() {
            if listener.transport != Transport::Udp {
                for process in listener
                    .owners
                    .iter()
                    .filter_map(|&pid| by_pid.position(pid))
                {
                    held[process].push(index);
                }
            }
        }
        Self {
            claims: processes
                .iter()
                .map(|p| {
                    if p.state == 'Z' {
                        None
                    } else {
                        claim::of_process(p)
                    }
                })
                .collect(),
            introduced: processes.iter().map(introduced).collect(),
            links: (0..processes.len()).collect(),
            processes,
            by_pid,
            held,
        }
    }

    fn parent(&self, index: usize) -> Option<usize> {
        let parent = self.by_pid.position(self.processes[index].parent_pid);
        parent.filter(|&parent| parent != index)
    }

    fn find(&mut self, mut index: usize) -> usize {
        while self.links[index] != index {
            self.links[index] = self.links[self.links[index]];
            index = self.links[index];
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.links[a.max(b)] = a.min(b);
    }

    /// Processes with every parent before its children. Pids that claim to be each other's parents, which no
    /// kernel shows, come last in any order.
    fn parents_first(&self) -> Vec<usize> {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.processes.len()];
        let mut order = Vec::with_capacity(self.processes.len());
        for index in 0..self.processes.len() {
            match self.parent(index) {
                Some(parent) => children[parent].push(index),
                None => order.push(index),
            }
        }
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            order.append(&mut children[index]);
            next += 1;
        }
        order
    }

    fn join_children(&mut self) {
        // Whether a process is part of something that can be a service.
        let mut serves: Vec<bool> = (0..self.processes.len())
            .map(|index| {
                self.claims[index].is_some()
                    || !self.held[index].is_empty()
                    || self.introduced[index]
            })
            .collect();
        for child in self.parents_first() {
            let Some(parent) = self.parent(child) else {
                continue;
            };
            let has_own = self.held[child]
                .iter()
                .any(|listener| self.held[parent].binary_search(listener).is_err());
            let is_helper =
                self.claims[parent].is_some_and(|of| claim::is_helper(&self.processes[child], of));
            if is_helper {
                // Postfix' smtpd is not OpenSMTPD, whose executable has the same name.
                self.claims[child] = None;
            }
            let is_kin = match (self.claims[parent], self.claims[child]) {
                // One that does its own work may bind in a child: squid, haproxy, an FTP server's data connection.
                (Some(of), Some(kind)) => {
                    let is_itself = of.layer == Layer::Server
                        || self.executes_the_same(parent, child)
                            && self.was_told_the_same(parent, child);
                    of.kind == kind.kind && (!has_own || is_itself)
                }
                (Some(of), None) if is_helper || of.layer == Layer::Supervisor => is_helper,
                (_, None) if self.introduced[child] && !self.introduced[parent] => false,
                (_, None) => {
                    self.executes_the_same(parent, child)
                        && (serves[parent] && !has_own || self.was_told_the_same(parent, child))
                }
                (None, Some(_)) => false,
            };
            if is_kin && self.processes[child].state != 'Z' {
                self.join(parent, child);
                serves[child] = true;
            }
        }
    }

    fn executes_the_same(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.processes[a].executable, &self.processes[b].executable);
        a.is_some() && a == b
    }

    /// Whether two processes have one command line: one was forked from the other, and executed nothing since; or itself
    /// once more, by another name: Django's and Werkzeug's reloaders start `python3 manage.py runserver` as
    /// `/usr/bin/python3 manage.py runserver`.
    fn was_told_the_same(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.processes[a].command, &self.processes[b].command);
        match (a.as_slice(), b.as_slice()) {
            ([_, a @ ..], [_, b @ ..]) if !a.is_empty() => a == b,
            (a, b) => !a.is_empty() && a == b,
        }
    }

    fn join_sharers(&mut self, snapshot: &Snapshot) {
        for listener in snapshot
            .listeners
            .iter()
            .filter(|l| l.transport != Transport::Udp)
        {
            let owners: Vec<usize> = listener
                .owners
                .iter()
                .filter_map(|&pid| self.by_pid.position(pid))
                .collect();
            let claimed: Vec<usize> = owners
                .iter()
                .copied()
                .filter(|&o| self.family_claim(o).is_some())
                .collect();
            if claimed.is_empty() {
                for pair in owners.windows(2) {
                    self.join(pair[0], pair[1]);
                }
            } else {
                for (at, &a) in claimed.iter().enumerate() {
                    for &b in &claimed[..at] {
                        if self.family_claim(a).map(|k| k.kind)
                            == self.family_claim(b).map(|k| k.kind)
                        {
                            self.join(a, b);
                            break;
                        }
                    }
                }
            }
        }
    }

    /// The claim of the family a process is in, by its representative, which is its oldest index.
    fn family_claim(&mut self, index: usize) -> Option<&'static Kind> {
        let root = self.find(index);
        self.claims[index].or(self.claims[root])
    }

    /// Whether a process descends from the container's init, or from one that only looks so.
    fn is_visitor(&self, mut index: usize) -> bool {
        for _ in 0..self.processes.len() {
            match self.parent(index) {
                Some(parent) => index = parent,
                None => break,
            }
        }
        let has_init = self.by_pid.position(1).is_some();
        has_init && self.processes[index].container_pid != 1
    }

    fn into_families(mut self, snapshot: &'a Snapshot) -> Vec<Family<'a>> {
        let roots: Vec<usize> = (0..self.processes.len())
            .map(|index| self.find(index))
            .collect();
        let mut members = vec![Vec::new(); roots.len()];
        for (index, &root) in roots.iter().enumerate() {
            if self.processes[index].state != 'Z' {
                members[root].push(index);
            }
        }
        let mut listeners = self.listeners_by_family(snapshot);
        members
            .into_iter()
            .enumerate()
            .filter_map(|(root, mut indices)| {
                let listeners = std::mem::take(&mut listeners[root]);
                let claim = indices.iter().find_map(|&index| self.claims[index]);
                let is_introduced = indices.iter().any(|&index| self.introduced[index]);
                if claim.is_none() && listeners.is_empty() && !is_introduced {
                    return None;
                }
                // The main one is the one whose parent is no member; of several, the oldest.
                sort_by_key(&mut indices, |&index| {
                    let process = &self.processes[index];
                    let has_parent_here = self.parent(index).is_some_and(|p| roots[p] == root);
                    (has_parent_here, process.started_at, process.container_pid)
                });
                Some(Family {
                    visitor: self.is_visitor(*indices.first()?),
                    processes: indices
                        .into_iter()
                        .map(|index| &self.processes[index])
                        .collect(),
                    listeners,
                    claim,
                })
            })
            .collect()
    }

    /// By representative. Each listener belongs to one family: one of a known kind before a stranger, the older
    /// before the younger.
    fn listeners_by_family(&mut self, snapshot: &Snapshot) -> Vec<Vec<usize>> {
        let mut listeners = vec![Vec::new(); self.processes.len()];
        for (index, listener) in snapshot.listeners.iter().enumerate() {
            let owners: Vec<usize> = listener
                .owners
                .iter()
                .filter_map(|&pid| self.by_pid.position(pid))
                .collect();
            let holder = owners.into_iter().min_by_key(|&owner| {
                let process = &self.processes[owner];
                let stranger = self.family_claim(owner).is_none();
                (stranger, process.started_at, process.container_pid)
            });
            if let Some(holder) = holder {
                listeners[self.find(holder)].push(index);
            }
        }
        listeners
    }
}
