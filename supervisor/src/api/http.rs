//! Serving HTTP on a listener: a bound on connections, deadlines for slow peers, a graceful end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use interprocess::local_socket::tokio::Listener as LocalListener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at one time, on each listener. What comes beyond waits in the listener's own queue.
const MAX_CONNECTIONS: usize = 256;
/// How long a peer may take for the head of a request, or leave its connection idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long one connection may last: a peer that reads or writes a byte an hour holds no place for ever.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(120);
/// How long a request under way may take once the supervisor stops.
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);
/// The pause after a failed accept: mostly no file descriptor is left, and asking at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Something that takes connections.
pub(crate) trait Accept: Send + 'static {
    /// What a connection is read from and written to.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next connection.
    fn accept(&self) -> impl Future<Output = std::io::Result<Self::Io>> + Send;
}

impl Accept for TcpListener {
    type Io = tokio::net::TcpStream;

    async fn accept(&self) -> std::io::Result<Self::Io> {
        let (stream, _) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Accept for LocalListener {
    type Io = interprocess::local_socket::tokio::Stream;

    async fn accept(&self) -> std::io::Result<Self::Io> {
        interprocess::local_socket::traits::tokio::Listener::accept(self).await
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
pub(crate) async fn serve(
    listener: impl Accept,
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let stopping = stop.clone();
    let serve = move |io| connection(io, router.clone(), stopping.clone());
    accept_loop(listener, MAX_CONNECTIONS, stop, tasks, serve).await;
}

async fn connection(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    stop: CancellationToken,
) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE);
    let mut connection =
        std::pin::pin!(http.serve_connection(TokioIo::new(io), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = timeout(CONNECTION_DEADLINE, connection.as_mut()) => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(DRAIN_DEADLINE, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a connection broke: {error}"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}
