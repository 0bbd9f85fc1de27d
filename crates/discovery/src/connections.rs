//! What processes are connected to: asked of a few, and now and then.
//!
//! ```text
//! /proc/PID/fd ─► inodes ─┬─► established TCP ─► less what they have among themselves ─► port 6379
//!                         └─► connected Unix ──► where the other end has a name ───────► /run/redis.sock
//! ```
//!
//! The kernel walks all connections to answer, so this is no part of a scan. Where it cannot be seen, nothing is told:
//! that somebody has no connection must be sure.

use diogenes_linux::sock_diag::{Connection, SockDiag};
use diogenes_proto::Untrusted;

use crate::owners::socket_inode;
use crate::tree::Tree;

/// Descriptors looked at of one process.
const MAX_DESCRIPTORS: usize = 4096;
/// Most that is told.
const MAX_TOLD: usize = 8;

/// What these processes are connected to, in words; None where that cannot be seen whole.
pub(crate) fn of(pids: &[u32], tree: &mut Tree, diag: &mut SockDiag) -> Option<Vec<Untrusted>> {
    let mut inodes = Vec::new();
    for pid in pids {
        let mut take = |_, target: &[u8]| inodes.extend(socket_inode(target));
        let count = tree.descriptors(*pid, MAX_DESCRIPTORS, false, &mut take);
        if count.ok()? > MAX_DESCRIPTORS {
            return None;
        }
    }
    inodes.sort_unstable();
    inodes.dedup();
    if inodes.is_empty() {
        return Some(Vec::new());
    }
    let tcp = diag.tcp_connected(&inodes).ok()?.sockets;
    let ports = outward(&tcp).map(|one| Untrusted::new(format!("port {}", one.remote.port())));
    let told: Vec<Untrusted> = ports.take(MAX_TOLD).collect();
    if told.is_empty() {
        return named_peers(&inodes, diag);
    }
    Some(told)
}

/// The connections whose other end is not among them.
fn outward(connections: &[Connection]) -> impl Iterator<Item = &Connection> {
    connections.iter().filter(|one| {
        let mut others = connections.iter();
        !others.any(|other| (other.local, other.remote) == (one.remote, one.local))
    })
}

/// The names of what these Unix sockets are connected to. A pair of sockets has none (socketpair(2)); a peer in another
/// network namespace is not listed, and was found by its name.
fn named_peers(inodes: &[u64], diag: &mut SockDiag) -> Option<Vec<Untrusted>> {
    let dump = diag.unix_connected().ok()?;
    if dump.omitted > 0 {
        return None;
    }
    let ours = dump.sockets.iter();
    let ours = ours.filter(|socket| inodes.binary_search(&socket.inode).is_ok());
    let peers = ours.filter_map(|socket| socket.peer.filter(|peer| *peer != 0));
    let name = |peer: u64| match dump.sockets.iter().find(|socket| socket.inode == peer) {
        Some(listed) => Some(Untrusted::from_bytes(listed.name.as_deref()?)),
        None => Some("a Unix socket".into()),
    };
    Some(peers.filter_map(name).take(MAX_TOLD).collect())
}
