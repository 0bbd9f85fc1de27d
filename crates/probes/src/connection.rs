//! Reaching a service: TCP or UDP on the container's own addresses, or a Unix socket.

use std::io;
use std::time::Duration;

use diogenes_proto::{ProbeTarget, Verdict};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use crate::conclusion::{Conclusion, millis};
use crate::conversation::Conversation;
use crate::datagrams::Datagrams;

/// `ENFILE` and `EMFILE`, for which the standard library has no name (errno(3); the same on every Linux).
const NO_DESCRIPTOR_LEFT: [i32; 2] = [23, 24];

/// Anything that can be talked over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Makes connections to one target under one deadline.
#[derive(Clone, Copy)]
pub(crate) struct Connector<'a> {
    pub(crate) target: &'a ProbeTarget,
    pub(crate) until: Instant,
    /// The probe's whole time, of which `until` is the end: what evidence names.
    pub(crate) patience: Duration,
    pub(crate) read_bytes: usize,
}

impl Connector<'_> {
    /// The same, for a part of the probe that is over in this time.
    pub(crate) fn within(self, time: Duration) -> Self {
        Self {
            until: self.until.min(Instant::now() + time),
            ..self
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// What the failure says of the service.
    pub(crate) async fn connect(&self) -> Result<Conversation<Box<dyn Stream>>, Conclusion> {
        let stream = timeout_at(self.until, self.open())
            .await
            .map_err(|_elapsed| not_accepted(self.patience))?
            .map_err(|error| refusal(&error))?;
        Ok(Conversation::new(
            stream,
            self.until,
            self.patience,
            self.read_bytes,
        ))
    }

    async fn open(&self) -> io::Result<Box<dyn Stream>> {
        match self.target {
            ProbeTarget::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            ProbeTarget::Udp(address) => Ok(Box::new(Datagrams::to(*address).await?)),
            ProbeTarget::Unix(path) => {
                // unix(7): an abstract name begins with a zero byte, which people and /proc write as "@".
                let raw = path.as_raw();
                let stream = match raw.strip_prefix('@') {
                    Some(name) => UnixStream::connect(format!("\0{name}")).await?,
                    None => UnixStream::connect(raw).await?,
                };
                Ok(Box::new(stream))
            }
        }
    }
}

/// A SYN that nobody answers on loopback: the accept queue is full, so the kernel drops it (listen(2)).
fn not_accepted(patience: Duration) -> Conclusion {
    let evidence = format!(
        "no connection in {}: its accept queue may be full",
        millis(patience)
    );
    Conclusion::new(Verdict::Silent, evidence)
}

fn refusal(error: &io::Error) -> Conclusion {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Conclusion::new(Verdict::Refused, "refuses connections"),
        Kind::NotFound => Conclusion::new(Verdict::Refused, "its socket file is gone"),
        // connect(2): a non-blocking Unix socket gets EAGAIN at once where a TCP one would wait.
        Kind::WouldBlock => Conclusion::new(
            Verdict::Silent,
            "takes no connection: its accept queue is full",
        ),
        _ if error
            .raw_os_error()
            .is_some_and(|errno| NO_DESCRIPTOR_LEFT.contains(&errno)) =>
        {
            Conclusion::new(
                Verdict::Impossible,
                "the companion has no file descriptor left to probe it",
            )
        }
        Kind::ConnectionReset => Conclusion::new(Verdict::Refused, "resets connections"),
        _ => Conclusion::new(Verdict::Impossible, format!("cannot be probed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use diogenes_proto::{ProbeKind, ProbeSpec};

    use super::*;
    use crate::{Limits, run};

    async fn verdict(kind: ProbeKind, target: ProbeTarget) -> (Verdict, String) {
        let limits = Limits {
            deadline: Duration::from_millis(300),
            ..Limits::default()
        };
        let outcome = run(&ProbeSpec::new(kind, target), limits).await;
        (outcome.verdict, outcome.evidence.to_string())
    }

    /// A loopback address on which nobody listens: bound a moment ago, and closed again.
    async fn free_address() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let target = ProbeTarget::Tcp(free_address().await);
        let (verdict, evidence) = verdict(ProbeKind::Tcp, target).await;
        assert_eq!(verdict, Verdict::Refused);
        assert_eq!(evidence, "refuses connections");
    }

    #[tokio::test]
    async fn a_missing_socket_file_refuses() {
        let target = ProbeTarget::Unix("/nonexistent/x.sock".into());
        let (verdict, evidence) = verdict(ProbeKind::Redis, target).await;
        assert_eq!(verdict, Verdict::Refused);
        assert_eq!(evidence, "its socket file is gone");
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_a_socket_is_no_panic() {
        for path in ["", "@", "\0", &"x".repeat(500), "/etc/passwd", "a\0b"] {
            let (verdict, _) = verdict(ProbeKind::Http, ProbeTarget::Unix(path.into())).await;
            assert!(
                matches!(verdict, Verdict::Refused | Verdict::Impossible),
                "{path:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_abstract_socket_is_reached_by_its_at_sign() {
        let name = format!("diogenes-probes-test-{}", std::process::id());
        let listener = tokio::net::UnixListener::bind(format!("\0{name}")).unwrap();
        let target = ProbeTarget::Unix(format!("@{name}").into());
        assert_eq!(verdict(ProbeKind::Tcp, target).await.0, Verdict::Alive);
        drop(listener);
    }

    #[tokio::test]
    async fn a_full_tcp_queue_is_silence() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // A backlog of 1 takes two connections before the kernel drops the next.
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        let (verdict, evidence) = verdict(ProbeKind::Tcp, ProbeTarget::Tcp(address)).await;
        assert_eq!(verdict, Verdict::Silent, "{evidence}");
        assert!(evidence.contains("accept queue"), "{evidence}");
    }
}
