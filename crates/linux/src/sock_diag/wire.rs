//! The messages of `NETLINK_SOCK_DIAG`: requests as the kernel takes them, and its answers read.
//!
//! Nothing here knows of sockets, and the parsers take any bytes. Sources: sock_diag(7), netlink(7),
//! include/uapi/linux/{netlink,sock_diag,inet_diag,unix_diag}.h.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;

use super::{Connection, Error, InetSocket, UnixSocket};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_DUMP_INTR: u16 = 0x10;
const HEADER_BYTES: usize = 16;
pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// As it was before sock_diag: for TCP alone, and still the only one that asks for IPv4 and IPv6 in one walk over the
/// table (`inet_diag_dump_compat`, net/ipv4/inet_diag.c). Two walks cost twice as much, and this is asked all the time.
pub(super) const TCPDIAG_GETSOCK: u16 = 18;

const AF_UNIX: u8 = 1;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;
pub(super) const IPPROTO_TCP: u8 = 6;
pub(super) const IPPROTO_UDP: u8 = 17;
/// `TCP_ESTABLISHED` as a bit, which Unix sockets use too.
pub(super) const ESTABLISHED: u32 = 1 << 1;
/// `TCP_CLOSE` as a bit: the state of a UDP socket that is not connected.
pub(super) const UNCONNECTED: u32 = 1 << 7;
/// `TCP_LISTEN` as a bit, which Unix sockets use too.
pub(super) const LISTENING: u32 = 1 << 10;

pub(super) const UDIAG_SHOW_NAME: u32 = 0x1;
pub(super) const UDIAG_SHOW_PEER: u32 = 0x4;
pub(super) const UDIAG_SHOW_RQLEN: u32 = 0x10;
pub(super) const UDIAG_SHOW_UID: u32 = 0x40;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_RQLEN: u16 = 4;
const UNIX_DIAG_UID: u16 = 7;

/// `struct nlmsghdr` and a body.
pub(super) fn message(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = HEADER_BYTES + body.len();
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    message
}

/// `struct inet_diag_req_v2` with an empty socket id.
pub(super) fn inet_request(family: u8, protocol: u8, states: u32) -> [u8; 56] {
    let mut request = [0; 56];
    request[0] = family;
    request[1] = protocol;
    request[4..8].copy_from_slice(&states.to_ne_bytes());
    request
}

/// `struct inet_diag_req` with an empty socket id; it asks for all families.
pub(super) fn compat_request(states: u32) -> [u8; 60] {
    let mut request = [0; 60];
    request[52..56].copy_from_slice(&states.to_ne_bytes());
    request
}

/// `struct unix_diag_req`.
pub(super) fn unix_request(states: u32, show: u32) -> [u8; 24] {
    let mut request = [0; 24];
    request[0] = AF_UNIX;
    request[4..8].copy_from_slice(&states.to_ne_bytes());
    request[12..16].copy_from_slice(&show.to_ne_bytes());
    request
}

/// How far a dump has come with a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The dump ended.
    pub done: bool,
    /// The table changed while it was dumped: sockets may be missing or doubled.
    pub interrupted: bool,
}

/// Splits a datagram into its messages and gives the payload of each that answers `sequence` to `each`.
/// Messages with another sequence number are left-overs of an older request and passed over.
///
/// # Errors
/// [`Error::Truncated`] where a length does not fit, [`Error::Refused`] with the kernel's errno,
/// [`Error::Overrun`], or what `each` returned.
pub fn parse_datagram(
    mut bytes: &[u8],
    sequence: u32,
    mut each: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<Progress, Error> {
    let mut progress = Progress::default();
    while !bytes.is_empty() && !progress.done {
        let length = usize::try_from(u32_at(bytes, 0)?).map_err(|_| Error::Truncated)?;
        let kind = u16_at(bytes, 4)?;
        let flags = u16_at(bytes, 6)?;
        let theirs = u32_at(bytes, 8)?;
        let payload = bytes.get(HEADER_BYTES..length).ok_or(Error::Truncated)?;
        if theirs == sequence {
            progress.interrupted |= flags & NLM_F_DUMP_INTR != 0;
            match kind {
                NLMSG_ERROR => refused(u32_at(payload, 0)?)?,
                NLMSG_DONE => {
                    // Since Linux 4.x it carries the errno with which the dump ended.
                    if payload.len() >= 4 {
                        refused(u32_at(payload, 0)?)?;
                    }
                    progress.done = true;
                }
                NLMSG_OVERRUN => return Err(Error::Overrun),
                SOCK_DIAG_BY_FAMILY | TCPDIAG_GETSOCK => each(payload)?,
                _ => {}
            }
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(progress)
}

/// Takes the kernel's negative errno for an error; 0 is a mere acknowledgement.
fn refused(code: u32) -> Result<(), Error> {
    match code.cast_signed() {
        0 => Ok(()),
        code => Err(Error::Refused(Errno::from_raw_os_error(
            // What lies outside of the errno range is not one.
            code.checked_neg()
                .filter(|code| (1..4096).contains(code))
                .unwrap_or(71),
        ))),
    }
}

/// Reads `struct inet_diag_msg`; attributes after it are passed over.
///
/// # Errors
/// [`Error::Truncated`] where it is too short, or of neither IPv4 nor IPv6.
pub fn parse_inet(payload: &[u8]) -> Result<InetSocket, Error> {
    Ok(InetSocket {
        address: address_at(payload, 8)?,
        port: u16::from_be_bytes(array_at(payload, 4)?),
        rqueue: u32_at(payload, 56)?,
        wqueue: u32_at(payload, 60)?,
        uid: u32_at(payload, 64)?,
        inode: u32_at(payload, 68)?.into(),
    })
}

/// Reads both ends of a connection from `struct inet_diag_msg`.
///
/// # Errors
/// As of [`parse_inet`].
pub fn parse_connection(payload: &[u8]) -> Result<Connection, Error> {
    let end = |port, address| {
        let port = u16::from_be_bytes(array_at(payload, port)?);
        Ok(SocketAddr::new(address_at(payload, address)?, port))
    };
    Ok(Connection {
        inode: parse_inode(payload)?,
        local: end(4, 8)?,
        remote: end(6, 24)?,
    })
}

/// An address of the family that the message tells.
fn address_at(payload: &[u8], offset: usize) -> Result<IpAddr, Error> {
    match payload.first() {
        Some(&AF_INET) => Ok(IpAddr::V4(Ipv4Addr::from(array_at::<4>(payload, offset)?))),
        Some(&AF_INET6) => Ok(IpAddr::V6(Ipv6Addr::from(array_at::<16>(payload, offset)?))),
        _ => Err(Error::Truncated),
    }
}

/// Reads `struct unix_diag_msg` with its attributes.
///
/// # Errors
/// [`Error::Truncated`] where it or an attribute is too short.
pub fn parse_unix(payload: &[u8]) -> Result<UnixSocket, Error> {
    let mut socket = UnixSocket {
        name: None,
        inode: u32_at(payload, 4)?.into(),
        uid: None,
        accept_queue: None,
        backlog: None,
        peer: None,
    };
    let mut attributes = payload.get(16..).ok_or(Error::Truncated)?;
    while !attributes.is_empty() {
        let length = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)?;
        let value = attributes.get(4..length).ok_or(Error::Truncated)?;
        match kind {
            UNIX_DIAG_NAME => socket.name = name(value),
            UNIX_DIAG_PEER => socket.peer = Some(u32_at(value, 0)?.into()),
            UNIX_DIAG_RQLEN => {
                socket.accept_queue = Some(u32_at(value, 0)?);
                socket.backlog = Some(u32_at(value, 4)?);
            }
            UNIX_DIAG_UID => socket.uid = Some(u32_at(value, 0)?),
            _ => {}
        }
        attributes = attributes
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(socket)
}

/// Reads the inode of either kind of socket.
///
/// # Errors
/// [`Error::Truncated`] where the message is too short.
pub fn parse_inode(payload: &[u8]) -> Result<u64, Error> {
    let offset = if payload.first() == Some(&AF_UNIX) {
        4
    } else {
        68
    };
    u32_at(payload, offset).map(u64::from)
}

/// A bound path ends with a NUL, an abstract name begins with one and may hold more.
fn name(value: &[u8]) -> Option<Vec<u8>> {
    match value {
        [] => None,
        [0, rest @ ..] => Some([b"@", rest].concat()),
        path => Some(path.iter().copied().take_while(|byte| *byte != 0).collect()),
    }
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Result<[u8; N], Error> {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(Error::Truncated)
}

fn u16_at(bytes: &[u8], offset: usize) -> Result<u16, Error> {
    array_at(bytes, offset).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Result<u32, Error> {
    array_at(bytes, offset).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = message(kind, sequence, payload);
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn reads_parts_until_the_end_and_passes_over_strangers() {
        let mut bytes = framed(SOCK_DIAG_BY_FAMILY, 0, 7, &[1, 2, 3]);
        bytes.extend(framed(SOCK_DIAG_BY_FAMILY, 0, 6, b"stale"));
        bytes.extend(framed(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP_INTR, 7, &[4]));
        let mut payloads = Vec::new();
        let mut take = |payload: &[u8]| {
            payloads.push(payload.to_vec());
            Ok(())
        };
        let progress = parse_datagram(&bytes, 7, &mut take).unwrap();
        let (done, interrupted) = (false, true);
        assert_eq!(progress, Progress { done, interrupted });
        let end = framed(NLMSG_DONE, 0, 7, &[0; 4]);
        assert!(parse_datagram(&end, 7, &mut take).unwrap().done);
        assert_eq!(payloads, [vec![1, 2, 3], vec![4]]);
    }

    #[test]
    fn tells_refusals_and_cut_messages_apart() {
        let none = |_: &[u8]| Ok(());
        let parse = |bytes: &[u8]| parse_datagram(bytes, 1, none);
        let denied = framed(NLMSG_ERROR, 0, 1, &(-13i32).to_ne_bytes());
        assert_eq!(parse(&denied), Err(Error::Refused(Errno::ACCESS)));
        let absurd = framed(NLMSG_ERROR, 0, 1, &i32::MIN.to_ne_bytes());
        assert_eq!(parse(&absurd), Err(Error::Refused(Errno::PROTO)));
        assert_eq!(
            parse(&framed(NLMSG_DONE, 0, 1, &(-2i32).to_ne_bytes())),
            Err(Error::Refused(Errno::NOENT))
        );
        assert_eq!(
            parse(&framed(NLMSG_OVERRUN, 0, 1, &[])),
            Err(Error::Overrun)
        );
        let whole = framed(SOCK_DIAG_BY_FAMILY, 0, 1, &[0; 72]);
        assert_eq!(parse(&whole[..40]), Err(Error::Truncated));
        let mut endless = whole.clone();
        endless[..4].copy_from_slice(&0u32.to_ne_bytes());
        assert_eq!(parse(&endless), Err(Error::Truncated));
        assert_eq!(parse_inet(&[AF_INET; 71]), Err(Error::Truncated));
        assert_eq!(parse_inet(&[AF_UNIX; 72]), Err(Error::Truncated));
        let mut unix = vec![AF_UNIX; 16];
        unix.extend([40, 0, 0, 0, b'x']);
        assert_eq!(parse_unix(&unix), Err(Error::Truncated));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic_or_loop(bytes in proptest::collection::vec(any::<u8>(), 0..256), sequence in 0u32..2) {
            let _ = parse_inet(&bytes);
            let _ = parse_unix(&bytes);
            let _ = parse_connection(&bytes);
            let _ = parse_inode(&bytes);
            let mut calls = 0;
            let _ = parse_datagram(&bytes, sequence, |_| { calls += 1; Ok(()) });
            prop_assert!(calls <= bytes.len() / HEADER_BYTES);
            // The same as the payload of a well-framed message, where random bytes rarely get.
            let framed = framed(SOCK_DIAG_BY_FAMILY, 0, sequence, &bytes);
            let mut payload = Vec::new();
            parse_datagram(&framed, sequence, |part| { payload = part.to_vec(); Ok(()) }).unwrap();
            prop_assert_eq!(payload, bytes);
        }
    }
}
