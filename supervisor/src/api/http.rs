//! Serving HTTP on a listener: a bound on connections, deadlines for slow peers, a graceful end.
//!
//! Each request carries its connection's [`Lease`]. An answer without end renews it whenever its peer has taken a
//! part, so that it may go on while somebody reads, and no longer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use interprocess::local_socket::tokio::Listener as LocalListener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at one time, on each listener. What comes beyond waits in the listener's own queue.
const MAX_CONNECTIONS: usize = 256;
/// How long a peer may take for the head of a request, or leave its connection idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long one connection may last without its lease being renewed: a peer that reads or writes a byte an hour holds
/// no place for ever.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(120);
/// What is kept for a peer that does not read, besides what the kernel keeps. It bounds the head of a request, too.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// How long a request under way may take once the supervisor stops.
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);
/// The pause after a failed accept: mostly no file descriptor is left, and asking at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection may still last.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    until: Arc<watch::Sender<Instant>>,
    stop: CancellationToken,
}

impl Lease {
    fn new(stop: CancellationToken) -> Self {
        let until = Arc::new(watch::Sender::new(Instant::now() + CONNECTION_DEADLINE));
        Self { until, stop }
    }

    /// Its peer reads: it may go on.
    pub(crate) fn renew(&self) {
        self.until
            .send_replace(Instant::now() + CONNECTION_DEADLINE);
    }

    /// Waits until the supervisor stops: an answer without end ends then.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    async fn expired(&self) {
        loop {
            let until = *self.until.borrow();
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// Something that takes connections.
pub(crate) trait Accept: Send + 'static {
    /// What a connection is read from and written to.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next connection.
    fn accept(&self) -> impl Future<Output = std::io::Result<Self::Io>> + Send;
    /// Where its peer is.
    fn origin(io: &Self::Io) -> Origin;
}

/// Where the peer of a connection is: each request carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On this host.
    Here,
    /// Anywhere.
    Anywhere,
}

impl Accept for TcpListener {
    type Io = tokio::net::TcpStream;

    async fn accept(&self) -> std::io::Result<Self::Io> {
        let (stream, _) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn origin(io: &Self::Io) -> Origin {
        match (io.peer_addr(), io.local_addr()) {
            // Who reaches an address of this host from that very address is here.
            (Ok(peer), Ok(own))
                if peer.ip().to_canonical().is_loopback() || peer.ip() == own.ip() =>
            {
                Origin::Here
            }
            _ => Origin::Anywhere,
        }
    }
}

impl Accept for LocalListener {
    type Io = interprocess::local_socket::tokio::Stream;

    async fn accept(&self) -> std::io::Result<Self::Io> {
        interprocess::local_socket::traits::tokio::Listener::accept(self).await
    }

    fn origin(_: &Self::Io) -> Origin {
        Origin::Here
    }
}

/// Takes connections and hands each to `serve`, so many at a time, until `stop`. The listener is closed at the end.
pub(crate) async fn accept_loop<L: Accept, F>(
    listener: L,
    max_connections: usize,
    stop: CancellationToken,
    tasks: TaskTracker,
    serve: impl Fn(L::Io) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(max_connections));
    loop {
        let accepted = stop.run_until_cancelled(async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        });
        match accepted.await {
            None => return,
            Some((place, Ok(io))) => {
                let connection = serve(io);
                tasks.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Some((_, Err(error))) => {
                tracing::debug!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves HTTP until `stop`.
pub(crate) async fn serve<L: Accept>(
    listener: L,
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let stopping = stop.clone();
    let serve = move |io| {
        let origin = L::origin(&io);
        connection(io, origin, router.clone(), stopping.clone())
    };
    accept_loop(listener, MAX_CONNECTIONS, stop, tasks, serve).await;
}

async fn connection(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    origin: Origin,
    router: Router,
    stop: CancellationToken,
) {
    let lease = Lease::new(stop.clone());
    let lent = lease.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(lent.clone());
        request.extensions_mut().insert(origin);
        router.call(request)
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_BUFFER_BYTES);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(io), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = lease.expired() => None,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(DRAIN_DEADLINE, connection).await.ok()
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!("a connection broke: {error}"),
        None => tracing::debug!("a connection took too long"),
    }
}
