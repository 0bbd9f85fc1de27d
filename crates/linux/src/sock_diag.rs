//! Listening sockets, and connections where they are asked for, straight from the kernel, by `NETLINK_SOCK_DIAG`.
//!
//! Reading `/proc/net/tcp` walks every connection there is; this asks the kernel for the listening ones
//! alone, in some 25 µs, and learns the accept queue and the backlog besides. It needs no privilege and
//! sees the network namespace in which the socket was opened.
//!
//! ```text
//! request(family, states) ─► datagrams ─► parse_datagram ─► parse_inet / parse_unix ─► sockets
//!                               ▲ bounded in size, number and time
//! ```
//!
//! What the messages look like is in `wire`.

mod wire;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use self::wire::{
    AF_INET, AF_INET6, ESTABLISHED, IPPROTO_TCP, IPPROTO_UDP, LISTENING, SOCK_DIAG_BY_FAMILY,
    TCPDIAG_GETSOCK, UDIAG_SHOW_NAME, UDIAG_SHOW_PEER, UDIAG_SHOW_RQLEN, UDIAG_SHOW_UID,
    UNCONNECTED, compat_request, inet_request, message, unix_request,
};
pub use self::wire::{
    Progress, parse_connection, parse_datagram, parse_inet, parse_inode, parse_unix,
};

/// Most sockets taken from one dump; the rest is counted, not kept.
pub const MAX_SOCKETS: usize = 8192;

/// What netlink(7) asks a reader to offer at least; a dump that is longer comes in several datagrams.
const BUFFER_BYTES: usize = 8 * 1024;
/// Far more than any dump of listeners needs; only a broken kernel reaches it.
const MAX_DATAGRAMS: usize = 16_384;
/// A dump is filled while it is asked for, so an answer that is not there at once will not come.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(200);
/// A dump that a change interrupted may miss or repeat a socket: asked again so often, then taken as it is.
const ATTEMPTS: usize = 3;

/// Why the kernel's sockets could not be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The netlink socket cannot be used: not supported (gVisor), or forbidden by seccomp.
    #[error("sock_diag socket: {0}")]
    Socket(Errno),
    /// The kernel refused the request; its errno.
    #[error("sock_diag refused: {0}")]
    Refused(Errno),
    /// A message is shorter than it says or than its kind needs.
    #[error("sock_diag message is cut short")]
    Truncated,
    /// The kernel dropped messages, or goes on for ever.
    #[error("sock_diag dump overran")]
    Overrun,
}

/// A TCP or UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InetSocket {
    /// Local address as the kernel has it; an IPv4-mapped one stays mapped.
    pub address: IpAddr,
    /// Local port; 0 where the socket is not bound.
    pub port: u16,
    /// The socket's inode, as in `socket:[N]` of its owners' file descriptors.
    pub inode: u64,
    /// The user who made it.
    pub uid: u32,
    /// Of a listening TCP socket: connections waiting to be accepted. Of UDP: bytes waiting.
    pub rqueue: u32,
    /// Of a listening TCP socket: how many connections may wait. Of UDP: bytes being sent.
    pub wqueue: u32,
}

/// An established TCP connection, seen from one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The inode of this end's socket.
    pub inode: u64,
    /// This end's address and port.
    pub local: SocketAddr,
    /// The other end's.
    pub remote: SocketAddr,
}

/// A Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// The path it is bound to, or `@` and its abstract name; None if it has none.
    pub name: Option<Vec<u8>>,
    /// The socket's inode.
    pub inode: u64,
    /// The user who made it; None before Linux 5.3.
    pub uid: Option<u32>,
    /// Connections waiting to be accepted; None where the kernel did not say.
    pub accept_queue: Option<u32>,
    /// How many may wait; None where the kernel did not say.
    pub backlog: Option<u32>,
    /// The inode of the socket it is connected to; None where it was not asked for.
    pub peer: Option<u64>,
}

/// What a dump brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump<T> {
    /// The sockets, in the kernel's order, at most [`MAX_SOCKETS`].
    pub sockets: Vec<T>,
    /// How many more there were.
    pub omitted: usize,
}

impl<T> Default for Dump<T> {
    fn default() -> Self {
        Self {
            sockets: Vec::new(),
            omitted: 0,
        }
    }
}

/// Reads one socket's message; None where the socket is not wanted.
type Parse<'a, T> = &'a mut dyn FnMut(&[u8]) -> Result<Option<T>, Error>;

/// Takes one message of a dump, whatever is made of it.
type Take<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Error>;

/// A connection to the kernel's socket tables, of the network namespace in which it was opened.
#[derive(Debug)]
pub struct SockDiag {
    /// None after a failure: an abandoned dump would answer the next request, so a new socket is opened.
    socket: Option<OwnedFd>,
    buffer: Vec<u8>,
    sequence: u32,
}

impl SockDiag {
    /// Opens the connection.
    ///
    /// # Errors
    /// [`Error::Socket`] where there is no such socket or it is not allowed.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Some(open_socket()?),
            buffer: vec![0; BUFFER_BYTES],
            sequence: 0,
        })
    }

    /// Listening TCP sockets, of IPv4 and IPv6.
    ///
    /// # Errors
    /// Any [`Error`]; a kernel without IPv6 is none.
    pub fn tcp_listening(&mut self) -> Result<Dump<InetSocket>, Error> {
        let mut dump = Dump::default();
        self.tcp(LISTENING, &mut dump, &mut |message| {
            parse_inet(message).map(Some)
        })?;
        Ok(dump)
    }

    /// UDP sockets that are bound and not connected, IPv4 and then IPv6.
    ///
    /// # Errors
    /// Any [`Error`]; a kernel without IPv6 is none.
    pub fn udp_bound(&mut self) -> Result<Dump<InetSocket>, Error> {
        let mut dump = Dump::default();
        let parse = &mut |message: &[u8]| parse_inet(message).map(Some);
        self.inet(IPPROTO_UDP, UNCONNECTED, &mut dump, parse)?;
        dump.sockets.retain(|socket| socket.port != 0);
        Ok(dump)
    }

    /// Listening Unix sockets, stream and seqpacket.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn unix_listening(&mut self) -> Result<Dump<UnixSocket>, Error> {
        self.unix(
            LISTENING,
            UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID,
        )
    }

    /// Connected Unix sockets, each with the inode of its peer.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn unix_connected(&mut self) -> Result<Dump<UnixSocket>, Error> {
        self.unix(ESTABLISHED, UDIAG_SHOW_NAME | UDIAG_SHOW_PEER)
    }

    /// The established TCP connections of the sockets with these inodes, which ascend. The kernel walks all that there
    /// are, some 1 µs each: not to be asked all the time.
    ///
    /// # Errors
    /// Any [`Error`]; a kernel without IPv6 is none.
    pub fn tcp_connected(&mut self, inodes: &[u64]) -> Result<Dump<Connection>, Error> {
        let mut dump = Dump::default();
        self.tcp(ESTABLISHED, &mut dump, &mut |message| {
            let inode = parse_inode(message)?;
            match inodes.binary_search(&inode) {
                Ok(_) => parse_connection(message).map(Some),
                Err(_) => Ok(None),
            }
        })?;
        Ok(dump)
    }

    /// Calls `each` with the inode of every listening socket: TCP on IPv4 and IPv6, and Unix. The cheapest
    /// way to see that something began or ceased to listen.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn listening_inodes(&mut self, mut each: impl FnMut(u64)) -> Result<(), Error> {
        let mut dump = Dump::default();
        let parse = &mut |message: &[u8]| parse_inode(message).map(Some);
        self.tcp(LISTENING, &mut dump, parse)?;
        let request = unix_request(LISTENING, 0);
        unless_absent(self.dump(SOCK_DIAG_BY_FAMILY, &request, &mut dump, parse))?;
        dump.sockets.into_iter().for_each(&mut each);
        Ok(())
    }

    fn unix(&mut self, states: u32, show: u32) -> Result<Dump<UnixSocket>, Error> {
        let mut dump = Dump::default();
        let request = unix_request(states, show);
        self.dump(SOCK_DIAG_BY_FAMILY, &request, &mut dump, &mut |message| {
            parse_unix(message).map(Some)
        })?;
        Ok(dump)
    }

    /// IPv4 and IPv6 in one walk, or where the kernel refuses that, in two.
    fn tcp<T>(
        &mut self,
        states: u32,
        into: &mut Dump<T>,
        parse: Parse<'_, T>,
    ) -> Result<(), Error> {
        let (kept, omitted) = (into.sockets.len(), into.omitted);
        match self.dump(TCPDIAG_GETSOCK, &compat_request(states), into, parse) {
            Err(Error::Refused(_)) => {
                into.sockets.truncate(kept);
                into.omitted = omitted;
                self.inet(IPPROTO_TCP, states, into, parse)
            }
            result => result,
        }
    }

    /// IPv4 and then IPv6.
    fn inet<T>(
        &mut self,
        protocol: u8,
        states: u32,
        into: &mut Dump<T>,
        parse: Parse<'_, T>,
    ) -> Result<(), Error> {
        let of = |family| inet_request(family, protocol, states);
        self.dump(SOCK_DIAG_BY_FAMILY, &of(AF_INET), into, parse)?;
        unless_absent(self.dump(SOCK_DIAG_BY_FAMILY, &of(AF_INET6), into, parse))
    }

    /// Sends a request and appends the answers, asking again where the kernel was interrupted.
    fn dump<T>(
        &mut self,
        kind: u16,
        request: &[u8],
        into: &mut Dump<T>,
        parse: Parse<'_, T>,
    ) -> Result<(), Error> {
        let (kept, omitted) = (into.sockets.len(), into.omitted);
        for attempt in 1..=ATTEMPTS {
            into.sockets.truncate(kept);
            into.omitted = omitted;
            let mut take = |payload: &[u8]| {
                match parse(payload)? {
                    Some(socket) if into.sockets.len() < MAX_SOCKETS => into.sockets.push(socket),
                    Some(_) => into.omitted += 1,
                    None => {}
                }
                Ok(())
            };
            if self.dump_once(kind, request, &mut take)? || attempt == ATTEMPTS {
                break;
            }
        }
        Ok(())
    }

    /// Hands each message to `take`; true where the dump is consistent.
    fn dump_once(&mut self, kind: u16, request: &[u8], take: Take<'_>) -> Result<bool, Error> {
        self.exchange(kind, request, take).inspect_err(|error| {
            // After a refusal nothing more follows; after all else something might.
            if !matches!(error, Error::Refused(_)) {
                self.socket = None;
            }
        })
    }

    fn exchange(&mut self, kind: u16, request: &[u8], take: Take<'_>) -> Result<bool, Error> {
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(open_socket()?),
        };
        self.sequence = self.sequence.wrapping_add(1);
        send(
            socket,
            &message(kind, self.sequence, request),
            SendFlags::NOSIGNAL,
        )
        .map_err(Error::Socket)?;
        let mut whole = true;
        for _ in 0..MAX_DATAGRAMS {
            let (_, length) = match recv(socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Err(Errno::INTR) => continue,
                Err(Errno::NOBUFS) => return Err(Error::Overrun),
                other => other.map_err(Error::Socket)?,
            };
            let bytes = self.buffer.get(..length).ok_or(Error::Truncated)?;
            let progress = parse_datagram(bytes, self.sequence, &mut *take)?;
            whole &= !progress.interrupted;
            if progress.done {
                return Ok(whole);
            }
        }
        Err(Error::Overrun)
    }
}

/// A kernel without a family has no sockets of it. IPv4 is the exception: what it lacks there is the
/// diagnosis (`CONFIG_INET_DIAG`), and the sockets must be found in another way.
fn unless_absent(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Refused(Errno::NOENT)) => Ok(()),
        other => other,
    }
}

fn open_socket() -> Result<OwnedFd, Error> {
    let open = || {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(netlink::SOCK_DIAG),
        )?;
        set_socket_timeout(&socket, Timeout::Recv, Some(RECEIVE_TIMEOUT))?;
        set_socket_timeout(&socket, Timeout::Send, Some(RECEIVE_TIMEOUT))?;
        // Connected to the kernel, the socket takes no datagram from anyone else: a root in the container
        // with CAP_NET_ADMIN could send us forged ones.
        connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(socket)
    };
    open().map_err(Error::Socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    use super::*;

    fn inode(socket: &impl AsRawFd) -> u64 {
        std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd()))
            .unwrap()
            .ino()
    }

    #[test]
    fn lists_tcp_listeners_with_their_queues_and_no_connections() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let v6 = TcpListener::bind("[::1]:0").unwrap();
        let waiting = TcpStream::connect(v4.local_addr().unwrap()).unwrap();
        let sockets = SockDiag::open().unwrap().tcp_listening().unwrap().sockets;
        let found = |inode| sockets.iter().find(|socket| socket.inode == inode);
        let seen = found(inode(&v4)).unwrap();
        assert_eq!(seen.address, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(seen.port, v4.local_addr().unwrap().port());
        assert_eq!(seen.uid, rustix::process::getuid().as_raw());
        assert_eq!(seen.rqueue, 1, "one connection waits");
        assert!(
            seen.wqueue >= 128,
            "std listens with a backlog of 128 at least"
        );
        let seen = found(inode(&v6)).unwrap();
        assert_eq!(seen.address, "::1".parse::<IpAddr>().unwrap());
        assert_eq!(seen.port, v6.local_addr().unwrap().port());
        assert!(found(inode(&waiting)).is_none());

        // Where the kernel does not answer for both families at once, it is asked for each.
        let mut dump = Dump::default();
        let mut diag = SockDiag::open().unwrap();
        let parse = &mut |message: &[u8]| parse_inet(message).map(Some);
        diag.inet(IPPROTO_TCP, LISTENING, &mut dump, parse).unwrap();
        for listener in [inode(&v4), inode(&v6)] {
            let one = dump.sockets.iter().find(|socket| socket.inode == listener);
            assert_eq!(one, found(listener));
        }
    }

    #[test]
    fn tells_both_ends_of_the_connections_that_are_asked_for() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            let mut inodes = [inode(&client), inode(&listener)];
            inodes.sort_unstable();
            let mut diag = SockDiag::open().unwrap();
            let connections = diag.tcp_connected(&inodes).unwrap().sockets;
            let seen = Connection {
                inode: inode(&client),
                local: client.local_addr().unwrap(),
                remote: client.peer_addr().unwrap(),
            };
            assert_eq!(connections, [seen]);
            drop(server);
            assert_eq!(diag.tcp_connected(&inodes).unwrap().sockets, []);
        }
    }

    #[test]
    fn tells_which_unix_sockets_are_connected() {
        let label = format!("sock-diag-peers-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&label).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let client = UnixStream::connect_addr(&address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let sockets = SockDiag::open().unwrap().unix_connected().unwrap().sockets;
        let found = |inode| sockets.iter().find(|socket| socket.inode == inode);
        let name = Some(format!("@{label}").into_bytes());
        let (near, far) = (found(inode(&client)), found(inode(&server)));
        assert_eq!(near.unwrap().peer, Some(inode(&server)));
        assert_eq!(far.map(|far| &far.name), Some(&name));
        assert!(found(inode(&listener)).is_none());
    }

    #[test]
    fn lists_bound_udp_sockets_unless_connected() {
        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(bound.local_addr().unwrap()).unwrap();
        let sockets = SockDiag::open().unwrap().udp_bound().unwrap().sockets;
        let port = bound.local_addr().unwrap().port();
        assert!(
            sockets
                .iter()
                .any(|socket| socket.inode == inode(&bound) && socket.port == port)
        );
        assert!(
            !sockets
                .iter()
                .any(|socket| socket.inode == inode(&connected))
        );
    }

    #[test]
    fn lists_unix_listeners_by_path_and_by_abstract_name() {
        let path = std::env::temp_dir().join(format!("sock-diag-{}.sock", std::process::id()));
        let by_path = UnixListener::bind(&path).unwrap();
        let label = format!("sock-diag\0{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&label).unwrap();
        let by_name = UnixListener::bind_addr(&address).unwrap();
        let waiting = UnixStream::connect(&path).unwrap();
        let sockets = SockDiag::open().unwrap().unix_listening().unwrap().sockets;
        std::fs::remove_file(&path).unwrap();
        let found = |inode| sockets.iter().find(|socket| socket.inode == inode);
        let seen = found(inode(&by_path)).unwrap();
        assert_eq!(
            seen.name.as_deref(),
            Some(path.as_os_str().as_encoded_bytes())
        );
        assert_eq!(seen.accept_queue, Some(1));
        assert!(seen.backlog.unwrap() >= 128);
        assert_eq!(seen.uid, Some(rustix::process::getuid().as_raw()));
        let seen = found(inode(&by_name)).unwrap();
        assert_eq!(seen.name, Some(format!("@{label}").into_bytes()));
        assert!(found(inode(&waiting)).is_none());
    }

    #[test]
    fn inodes_come_and_go_with_their_listeners() {
        let mut diag = SockDiag::open().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = inode(&listener);
        let mut listed = || {
            let mut found = false;
            diag.listening_inodes(|other| found |= other == inode)
                .unwrap();
            found
        };
        assert!(listed());
        drop(listener);
        assert!(!listed());
    }

    #[test]
    fn recovers_with_a_new_socket_after_a_failure() {
        let mut diag = SockDiag::open().unwrap();
        diag.buffer.truncate(8);
        let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(diag.tcp_listening(), Err(Error::Truncated));
        diag.buffer.resize(BUFFER_BYTES, 0);
        assert!(!diag.tcp_listening().unwrap().sockets.is_empty());
    }
}
