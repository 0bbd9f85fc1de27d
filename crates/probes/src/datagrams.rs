//! UDP as a stream, for DNS: over TCP a message has its length before it (RFC 1035 §4.2.2), over UDP it has none and is
//! one datagram (§4.2.1). What is written loses its length, what is read gets one: all else is the same.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UdpSocket;

/// Longest answer to who asks for no longer ones (RFC 1035 §4.2.1).
const LONGEST: usize = 512;
/// The length before a message.
const LENGTH: usize = 2;

/// A socket that talks with one peer.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    /// The rest of a message that was received and did not fit.
    rest: Vec<u8>,
}

impl Datagrams {
    /// One that talks with this address. Whether somebody is there shows in the answer.
    pub(crate) async fn to(address: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        let rest = Vec::new();
        Ok(Self { socket, rest })
    }
}

impl AsyncRead for Datagrams {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            let mut datagram = [0; LONGEST];
            let mut buffer = ReadBuf::new(&mut datagram);
            ready!(self.socket.poll_recv(context, &mut buffer))?;
            let message = buffer.filled();
            let length = u16::try_from(message.len()).unwrap_or_default();
            self.rest.extend_from_slice(&length.to_be_bytes());
            self.rest.extend_from_slice(message);
        }
        let fits = self.rest.len().min(into.remaining());
        into.put_slice(&self.rest[..fits]);
        self.rest.drain(..fits);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Datagrams {
    /// Takes a whole message at a time.
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let message = bytes.get(LENGTH..).unwrap_or_default();
        ready!(self.socket.poll_send(context, message))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
