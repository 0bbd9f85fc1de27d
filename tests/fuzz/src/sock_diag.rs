//! The kernel's answers about sockets, datagram by datagram.

use diogenes_linux::sock_diag::{parse_datagram, parse_inet, parse_inode, parse_unix};

/// The number of the request that the seeds answer.
const SEQUENCE: u32 = 1;
/// `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;

/// See the module: as a datagram, and as the payload of one message.
pub fn check(bytes: &[u8]) {
    payload(bytes);
    let mut payloads = 0;
    let mut payload_bytes = 0;
    let read = parse_datagram(bytes, SEQUENCE, |part| {
        payloads += 1;
        payload_bytes += part.len();
        payload(part);
        Ok(())
    });
    assert!(payloads * HEADER_BYTES + payload_bytes <= bytes.len());
    // Another request's answers are passed over.
    let mut strangers = 0;
    let theirs = parse_datagram(bytes, SEQUENCE + 1, |_| {
        strangers += 1;
        Ok(())
    });
    if read.is_ok() && theirs.is_ok() {
        assert!((payloads + strangers) * HEADER_BYTES <= bytes.len());
    }
}

/// The three readers of a payload agree, and make nothing longer than it was.
fn payload(bytes: &[u8]) {
    if let Ok(socket) = parse_inet(bytes) {
        assert_eq!(Ok(socket.inode), parse_inode(bytes));
        assert_eq!(socket.address.is_ipv4(), bytes[0] == 2);
    }
    if let Ok(socket) = parse_unix(bytes) {
        if bytes.first() == Some(&1) {
            assert_eq!(Ok(socket.inode), parse_inode(bytes));
        }
        assert!(socket.name.is_none_or(|name| name.len() < bytes.len()));
        assert_eq!(socket.accept_queue.is_some(), socket.backlog.is_some());
    }
}
