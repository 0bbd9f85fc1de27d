//! Who is at the other end of a Unix socket (unix(7), `SO_PEERCRED`).

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// The process that connected, or that listened, as it was when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its pid; None where it is in a pid namespace out of sight from here.
    pub pid: Option<u32>,
    /// Its effective user.
    pub uid: u32,
}

impl Peer {
    /// Of a connected stream.
    ///
    /// # Errors
    /// Where that is no socket.
    pub fn of(stream: impl AsFd) -> Result<Self, Errno> {
        // Not rustix's: its type of a pid cannot be 0, which is what the kernel tells of one out of sight.
        let mut found = libc::ucred {
            pid: 0,
            uid: u32::MAX,
            gid: u32::MAX,
        };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into a live structure of that size, all numbers.
        let result = unsafe {
            libc::getsockopt(
                stream.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut found).cast(),
                &raw mut length,
            )
        };
        if result == -1 {
            let error = std::io::Error::last_os_error();
            return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
        }
        Ok(Self {
            pid: u32::try_from(found.pid).ok().filter(|&pid| pid != 0),
            uid: found.uid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_pair_is_our_own() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let own = Peer {
            pid: Some(std::process::id()),
            uid: rustix::process::geteuid().as_raw(),
        };
        assert_eq!(Peer::of(&one), Ok(own));
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert_eq!(Peer::of(&file), Err(Errno::NOTSOCK));
    }
}
