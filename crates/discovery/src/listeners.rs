//! The listening sockets: from sock_diag, or from `/proc/net` where the kernel does not speak it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use diogenes_linux::sock_diag::{Dump, Error, InetSocket, MAX_SOCKETS, SockDiag, UnixSocket};
use diogenes_proto::{Listener, Transport, Untrusted};

use crate::procfs::net;

/// Most that is read of a file in `/proc/net`: some 200,000 connections.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// Lists listening sockets.
#[derive(Debug)]
pub(crate) struct Listeners {
    net: PathBuf,
    /// None in a fixture.
    diag: Option<Result<SockDiag, Error>>,
}

impl Listeners {
    pub(crate) fn new(root: &Path, diag: Option<Result<SockDiag, Error>>) -> Self {
        Self {
            net: root.join("proc/net"),
            diag,
        }
    }

    /// The way to ask the kernel; None where it has none.
    pub(crate) fn diag(&mut self) -> Option<&mut SockDiag> {
        self.diag.as_mut()?.as_mut().ok()
    }

    /// All sockets that listen, owners not yet known, in no order.
    pub(crate) fn list(&mut self, gaps: &mut Vec<String>) -> Vec<Listener> {
        let mut listeners = Vec::new();
        let mut take =
            |what: &str, one: Result<Dump<Listener>, String>, gaps: &mut Vec<String>| match one {
                Ok(dump) => {
                    if dump.omitted > 0 {
                        gaps.push(format!("{what}: {} sockets left out", dump.omitted));
                    }
                    listeners.extend(dump.sockets);
                }
                Err(error) => gaps.push(format!("{what}: {error}")),
            };
        let tcp = self.with_diag(gaps, SockDiag::tcp_listening);
        let tcp = match tcp {
            Some(dump) => Ok(map(dump, |socket| inet(Transport::Tcp, &socket))),
            None => self.inet_files(Transport::Tcp),
        };
        take("TCP listeners", tcp, gaps);
        let udp = self.with_diag(gaps, SockDiag::udp_bound);
        let udp = match udp {
            Some(dump) => Ok(map(dump, |socket| inet(Transport::Udp, &socket))),
            None => self.inet_files(Transport::Udp),
        };
        take("UDP sockets", udp, gaps);
        let unix_sockets = self.with_diag(gaps, SockDiag::unix_listening);
        let unix_sockets = match unix_sockets {
            Some(dump) => Ok(map(dump, unix)),
            None => self.unix_file(),
        };
        take("Unix listeners", unix_sockets, gaps);
        listeners
    }

    /// A hash over the inodes of the listening sockets that does not depend on their order; 0 where the
    /// kernel cannot be asked.
    pub(crate) fn hash(&mut self) -> u64 {
        let Some(Ok(diag)) = &mut self.diag else {
            return 0;
        };
        let mut sum = 0u64;
        match diag.listening_inodes(|inode| sum = sum.wrapping_add(scatter(inode))) {
            Ok(()) => sum,
            Err(_) => 0,
        }
    }

    /// Asks sock_diag; None where the files have to do, and why, unless in a fixture.
    fn with_diag<T>(
        &mut self,
        gaps: &mut Vec<String>,
        ask: fn(&mut SockDiag) -> Result<T, Error>,
    ) -> Option<T> {
        let result = match self.diag.as_mut()? {
            Ok(diag) => ask(diag),
            Err(error) => Err(*error),
        };
        result
            .map_err(|error| {
                let gap = format!("backlogs: read from /proc/net, for {error}");
                if !gaps.contains(&gap) {
                    gaps.push(gap);
                }
            })
            .ok()
    }

    fn inet_files(&self, transport: Transport) -> Result<Dump<Listener>, String> {
        let (name, state) = match transport {
            Transport::Udp => ("udp", net::UNCONNECTED),
            _ => ("tcp", net::LISTENING),
        };
        let mut dump = Dump {
            sockets: Vec::new(),
            omitted: 0,
        };
        let mut take = |line: &[u8]| {
            let Some(line) = net::inet(line) else { return };
            if line.state == state && line.port != 0 {
                keep(&mut dump, || Listener {
                    transport,
                    address: Some(line.address.to_canonical()),
                    port: Some(line.port),
                    inode: line.inode,
                    uid: line.uid,
                    accept_queue: Some(line.rqueue),
                    ..Listener::default()
                });
            }
        };
        self.lines(name, &mut take)?;
        // A kernel without IPv6 lacks the second file.
        let _ = self.lines(&format!("{name}6"), &mut take);
        Ok(dump)
    }

    fn unix_file(&self) -> Result<Dump<Listener>, String> {
        let mut dump = Dump {
            sockets: Vec::new(),
            omitted: 0,
        };
        self.lines("unix", &mut |line| {
            if let Some(socket) = net::unix(line) {
                keep(&mut dump, || unix(socket));
            }
        })?;
        Ok(dump)
    }

    fn lines(&self, name: &str, each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let mut read = || -> io::Result<()> {
            let file = File::open(self.net.join(name))?.take(MAX_FILE_BYTES);
            let mut reader = BufReader::with_capacity(32 * 1024, file);
            let mut line = Vec::with_capacity(256);
            while reader.read_until(b'\n', &mut line)? > 0 {
                each(line.strip_suffix(b"\n").unwrap_or(&line));
                line.clear();
            }
            Ok(())
        };
        read().map_err(|error| format!("cannot read /proc/net/{name}: {error}"))
    }
}

fn keep(dump: &mut Dump<Listener>, make: impl FnOnce() -> Listener) {
    if dump.sockets.len() < MAX_SOCKETS {
        dump.sockets.push(make());
    } else {
        dump.omitted += 1;
    }
}

fn map<T>(dump: Dump<T>, make: impl FnMut(T) -> Listener) -> Dump<Listener> {
    Dump {
        sockets: dump.sockets.into_iter().map(make).collect(),
        omitted: dump.omitted,
    }
}

fn inet(transport: Transport, socket: &InetSocket) -> Listener {
    Listener {
        transport,
        address: Some(socket.address.to_canonical()),
        port: Some(socket.port),
        inode: socket.inode,
        uid: socket.uid,
        accept_queue: Some(socket.rqueue),
        backlog: (transport == Transport::Tcp).then_some(socket.wqueue),
        ..Listener::default()
    }
}

/// A uid that the kernel does not tell stays 0 until an owner is known.
fn unix(socket: UnixSocket) -> Listener {
    Listener {
        transport: Transport::Unix,
        path: socket.name.map(|name| Untrusted::from_bytes(&name)),
        inode: socket.inode,
        uid: socket.uid.unwrap_or(0),
        accept_queue: socket.accept_queue,
        backlog: socket.backlog,
        ..Listener::default()
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring inodes become unrelated numbers.
fn scatter(inode: u64) -> u64 {
    let mut x = inode.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
