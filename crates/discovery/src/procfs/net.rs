//! `/proc/net/{tcp,tcp6,udp,udp6,unix}`: the fallback where the kernel does not speak sock_diag. It tells
//! no backlog.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use diogenes_linux::sock_diag::UnixSocket;

use super::{number, words};

/// `TCP_LISTEN`.
pub(crate) const LISTENING: u8 = 0x0a;
/// `TCP_CLOSE`: an unconnected UDP socket.
pub(crate) const UNCONNECTED: u8 = 0x07;

/// A line of `tcp`, `tcp6`, `udp` or `udp6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InetLine {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) state: u8,
    /// Connections waiting to be accepted, of a listening socket.
    pub(crate) rqueue: u32,
    pub(crate) uid: u32,
    pub(crate) inode: u64,
}

/// Reads a line; None for the heading and for what is no such line.
pub(crate) fn inet(line: &[u8]) -> Option<InetLine> {
    let mut fields = words(line);
    let (address, port) = endpoint(fields.nth(1)?)?;
    let state = u8::from_str_radix(text(fields.nth(1)?)?, 16).ok()?;
    let (_, rqueue) = text(fields.next()?)?.split_once(':')?;
    Some(InetLine {
        address,
        port,
        state,
        rqueue: u32::from_str_radix(rqueue, 16).ok()?,
        uid: number(fields.nth(2)?)?,
        inode: number(fields.nth(1)?)?,
    })
}

/// A line of `unix`; None unless it is a listening socket.
pub(crate) fn unix(line: &[u8]) -> Option<UnixSocket> {
    /// The socket accepts connections (`__SO_ACCEPTCON`, include/uapi/linux/net.h).
    const ACCEPTS: u32 = 1 << 16;
    let mut fields = words(line);
    let flags = u32::from_str_radix(text(fields.nth(3)?)?, 16).ok()?;
    if flags & ACCEPTS == 0 {
        return None;
    }
    let inode_field = fields.nth(2)?;
    let inode = number(inode_field)?;
    // The path is the rest of the line, blanks included.
    let after = inode_field.as_ptr() as usize - line.as_ptr() as usize + inode_field.len();
    let path = line.get(after + 1..).unwrap_or_default();
    Some(UnixSocket {
        name: (!path.is_empty()).then(|| path.to_vec()),
        inode,
        uid: None,
        accept_queue: None,
        backlog: None,
        peer: None,
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// `0100007F:1F90`: the address as 32-bit words of the machine, the port as a number.
fn endpoint(field: &[u8]) -> Option<(IpAddr, u16)> {
    let (address, port) = text(field)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| {
        let digits = address.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for index in 0..4 {
                bytes[index * 4..index * 4 + 4].copy_from_slice(&word(index)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn reads_ipv4_and_ipv6() {
        let line = b"   0: 0100007F:18EB 00000000:0000 0A 00000000:00000002 00:00000000 00000000   999        0 4242 1 0 100 0 0 10 0";
        let read = inet(line).unwrap();
        assert_eq!(read.address, IpAddr::from([127, 0, 0, 1]));
        assert_eq!((read.port, read.state), (6379, LISTENING));
        assert_eq!((read.rqueue, read.uid, read.inode), (2, 999, 4242));
        let line = b" 1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1";
        let read = inet(line).unwrap();
        assert_eq!(read.address, "::1".parse::<IpAddr>().unwrap());
        assert_eq!((read.port, read.inode), (8080, 7));
        let heading = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(inet(heading), None);
    }

    #[test]
    fn keeps_listening_unix_sockets_with_their_whole_name() {
        let read =
            unix(b"0000000000000000: 00000002 00000000 00010000 0001 01 1234 /run/my app.sock")
                .unwrap();
        assert_eq!(read.name.as_deref(), Some(&b"/run/my app.sock"[..]));
        assert_eq!(read.inode, 1234);
        let read =
            unix(b"0000000000000000: 00000002 00000000 00010000 0001 01 1235 @/tmp/x").unwrap();
        assert_eq!(read.name.as_deref(), Some(&b"@/tmp/x"[..]));
        let read = unix(b"0000000000000000: 00000002 00000000 00010000 0005 01 1236").unwrap();
        assert_eq!(read.name, None);
        assert_eq!(
            unix(b"0000000000000000: 00000003 00000000 00000000 0001 03 9 /run/x"),
            None
        );
        assert_eq!(
            unix(b"Num       RefCount Protocol Flags    Type St Inode Path"),
            None
        );
    }
}
