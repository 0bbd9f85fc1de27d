//! Who holds which listening socket.
//!
//! The only link is `/proc/PID/fd/N → socket:[INODE]`, and walking the descriptors of everyone is the
//! dearest part of a scan. So a process is walked when it is new or its turn has come, and everyone is
//! walked only when there is a listener that nobody is known to hold:
//!
//! ```text
//! listener seen for the first time ─┐
//! its last known owner has gone ────┴─► walk all ─► still nobody? remembered, not searched again
//! ```
//!
//! A crowd that is new is not walked at once: first one process of each kind, then all of the kinds that were seen to hold
//! a listener, and the others only where a listener is left over. Else they have their turn in the next scans.
//!
//! Some processes let nobody look into them. A socket that nobody else holds, made by their user, is theirs where that
//! user has no other such program.

use diogenes_proto::Listener;
use rustix::io::Errno;

use crate::kinds::Kind;
use crate::processes::{Known, ProcessTable, Standing};
use crate::tree::Tree;

/// Descriptors looked at in a usual walk. Servers listen before they accept, so listeners come early.
const USUAL_WALK: usize = 256;
/// Descriptors looked at where a listener is owned by nobody else.
const LONG_WALK: usize = 65_536;
/// Most pairs of listener and owner that are kept, whatever a container does.
const MAX_PAIRS: usize = 65_536;

/// What is known from earlier scans.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// Inodes, ascending, of sockets that had no owner when last looked for.
    ownerless: Vec<u64>,
}

impl Owners {
    /// Fills in the owners. Drops the listeners that only the companion holds.
    pub(crate) fn attribute(
        &mut self,
        listeners: &mut Vec<Listener>,
        processes: &mut ProcessTable,
        tree: &mut Tree,
        gaps: &mut Vec<String>,
    ) {
        let mut inodes: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
        inodes.sort_unstable();
        let mut walk = Walk {
            inodes,
            pairs: 0,
            overfull: false,
        };
        for known in processes.holders_mut() {
            known.holds.retain(|inode| walk.wants(*inode));
            walk.pairs += known.holds.len();
        }
        // The new ones and those whose turn it is; in a crowd, of the new ones one of each kind, and first those.
        walk.go(processes, tree, USUAL_WALK, &|known| known.walk_due);
        let mut kinds: Vec<Kind> = processes
            .holders_mut()
            .filter(|known| known.kind != 0 && !known.holds.is_empty())
            .map(|known| known.kind)
            .collect();
        kinds.sort_unstable();
        let is_likely = |known: &Known| known.walk_owed && kinds.binary_search(&known.kind).is_ok();
        walk.go(processes, tree, USUAL_WALK, &is_likely);
        if walk.misses_one(processes, &self.ownerless) {
            walk.go(processes, tree, USUAL_WALK, &|known| known.walk_owed);
        }
        if walk.misses_one(processes, &self.ownerless) {
            walk.go(processes, tree, USUAL_WALK, &|known| !known.walk_due);
            if walk.misses_one(processes, &[]) {
                let long = |known: &Known| known.descriptors > USUAL_WALK;
                walk.go(processes, tree, LONG_WALK, &long);
            }
        }
        if walk.overfull {
            gaps.push(format!(
                "owners: more than {MAX_PAIRS} pairs of listener and owner"
            ));
        }
        let mut denied = 0;
        for known in processes.holders_mut() {
            known.walk_due = false;
            denied += usize::from(known.denied);
        }
        if denied > 0 {
            gaps.push(format!("open files of {denied} processes: no permission"));
        }
        assign(listeners, processes);
        let ownerless = listeners
            .iter()
            .filter(|listener| listener.owners.is_empty());
        self.ownerless = ownerless.map(|listener| listener.inode).collect();
        self.ownerless.sort_unstable();
        presume(listeners, processes, gaps);
        drop_own(listeners, processes);
    }
}

/// One walk over descriptors, and its bounds.
struct Walk {
    /// Inodes of all listeners, ascending.
    inodes: Vec<u64>,
    pairs: usize,
    overfull: bool,
}

impl Walk {
    fn wants(&self, inode: u64) -> bool {
        self.inodes.binary_search(&inode).is_ok()
    }

    /// Whether somebody must still be found to hold one of the listeners, other than the `ownerless` ones.
    fn misses_one(&self, processes: &mut ProcessTable, ownerless: &[u64]) -> bool {
        let held = held(processes);
        let is_missing = |inode: &u64| {
            held.binary_search(inode).is_err() && ownerless.binary_search(inode).is_err()
        };
        self.inodes.iter().any(is_missing)
    }

    fn go(
        &mut self,
        processes: &mut ProcessTable,
        tree: &mut Tree,
        limit: usize,
        wanted: &dyn Fn(&Known) -> bool,
    ) {
        let counts = processes.counts_descriptors();
        for known in processes.holders_mut().filter(|known| wanted(known)) {
            let before = known.holds.len();
            self.pairs -= before;
            let mut holds = std::mem::take(&mut known.holds);
            let result = tree.descriptors(known.pid(), limit, !counts, &mut |_, target| {
                if let Some(inode) = socket_inode(target).filter(|inode| self.wants(*inode)) {
                    if self.pairs + holds.len() < MAX_PAIRS {
                        holds.push(inode);
                    } else {
                        self.overfull = true;
                    }
                }
            });
            // What it held before may lie beyond the limit. All else it holds no more.
            let is_cut = matches!(result, Ok(count) if count > limit);
            holds.drain(..if is_cut { 0 } else { before });
            // Several descriptors may be the same socket.
            holds.sort_unstable();
            holds.dedup();
            self.pairs += holds.len();
            known.holds = holds;
            (known.walk_due, known.walk_owed) = (true, false);
            known.denied = matches!(result, Err(Errno::ACCESS | Errno::PERM));
            known.count(match result {
                Ok(count) if !is_cut || !counts => u64::try_from(count).ok(),
                _ if counts => tree.size(known.pid(), "fd").ok(),
                _ => None,
            });
        }
    }
}

/// All inodes that somebody holds, ascending.
fn held(processes: &mut ProcessTable) -> Vec<u64> {
    let mut held: Vec<u64> = processes
        .holders_mut()
        .flat_map(|known| known.holds.iter().copied())
        .collect();
    held.sort_unstable();
    held
}

/// Writes the owners into the listeners, the companion among them. Processes come by pid, so they ascend.
fn assign(listeners: &mut [Listener], processes: &mut ProcessTable) {
    let mut places: Vec<(u64, usize)> = listeners
        .iter()
        .enumerate()
        .map(|(place, listener)| (listener.inode, place))
        .collect();
    places.sort_unstable();
    for known in processes.holders_mut() {
        for inode in &known.holds {
            let first = places.partition_point(|(other, _)| other < inode);
            for (_, place) in places[first..]
                .iter()
                .take_while(|(other, _)| other == inode)
            {
                listeners[*place].owners.push(known.pid());
            }
        }
    }
}

/// Gives what nobody was seen to hold to the one program of its user that cannot be looked into.
fn presume(listeners: &mut [Listener], processes: &mut ProcessTable, gaps: &mut Vec<String>) {
    let closed: Vec<&Known> = processes
        .holders_mut()
        .filter(|known| known.denied)
        .map(|known| &*known)
        .collect();
    let mut presumed = 0;
    for listener in listeners.iter_mut().filter(|one| one.owners.is_empty()) {
        let mut closed = closed.iter().filter(|known| known.uid() == listener.uid);
        let Some(first) = closed.next() else {
            continue;
        };
        let mut owners = vec![first.pid()];
        let is_one_program = closed.all(|known| {
            owners.push(known.pid());
            known.comm == first.comm
        });
        if is_one_program {
            listener.owners = owners;
            presumed += 1;
        }
    }
    if presumed > 0 {
        gaps.push(format!(
            "owners of {presumed} sockets: presumed, as the only program of their user that cannot be looked into"
        ));
    }
}

/// The companion's own sockets are none of the container's.
fn drop_own(listeners: &mut Vec<Listener>, processes: &ProcessTable) {
    listeners.retain_mut(|listener| {
        let found = !listener.owners.is_empty();
        listener
            .owners
            .retain(|pid| processes.standing(*pid) == Some(Standing::Member));
        !(found && listener.owners.is_empty())
    });
}

/// The inode in `socket:[INODE]`.
pub(crate) fn socket_inode(target: &[u8]) -> Option<u64> {
    let inode = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    crate::procfs::number(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_have_a_socket_inode() {
        assert_eq!(socket_inode(b"socket:[4242]"), Some(4242));
        for other in [
            &b"pipe:[4242]"[..],
            b"/socket:[1]",
            b"socket:[x]",
            b"socket:[1",
            b"",
        ] {
            assert_eq!(socket_inode(other), None);
        }
    }
}
