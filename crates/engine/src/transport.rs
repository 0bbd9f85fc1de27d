//! One request to the Engine, and the bytes of its answer as they come: for what bollard would hold in memory.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{BoxFuture, Fuse};
use futures_util::{FutureExt, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::{ArchiveStream, Endpoint};

/// What goes with a request.
type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// An answer whose body is still coming. Dropping it closes the connection.
pub(crate) struct Answer {
    /// Of the answer.
    pub(crate) status: StatusCode,
    body: Incoming,
    /// Moves bytes between socket and body, as long as it is polled.
    connection: Fuse<BoxFuture<'static, ()>>,
}

/// Sends a GET request and waits for the head of the answer.
///
/// # Errors
/// Where the Engine cannot be reached, or what it says is no HTTP.
pub(crate) async fn get(endpoint: &Endpoint, target: &str) -> io::Result<Answer> {
    let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
    ask(endpoint, Method::GET, target, nothing).await
}

/// Sends an archive by a POST request, as it comes, and waits for the head of the answer.
///
/// # Errors
/// As for [`get`]; also where the archive ends with an error.
pub(crate) async fn post_archive(
    endpoint: &Endpoint,
    target: &str,
    archive: ArchiveStream,
) -> io::Result<Answer> {
    let archive = StreamBody::new(archive.map_ok(Frame::data)).boxed_unsync();
    ask(endpoint, Method::POST, target, archive).await
}

async fn ask(endpoint: &Endpoint, method: Method, target: &str, sent: Sent) -> io::Result<Answer> {
    match endpoint {
        Endpoint::Unix(path) => {
            ask_over(
                UnixStream::connect(path).await?,
                "localhost",
                method,
                target,
                sent,
            )
            .await
        }
        Endpoint::Http(address) => {
            ask_over(
                TcpStream::connect(address).await?,
                address,
                method,
                target,
                sent,
            )
            .await
        }
    }
}

async fn ask_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    host: &str,
    method: Method,
    target: &str,
    sent: Sent,
) -> io::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let mut request = Request::builder()
        .method(&method)
        .uri(target)
        .header(HOST, host);
    if method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/x-tar");
    }
    let request = request.body(sent).map_err(io::Error::other)?;
    // How the connection ends shows in the body.
    let mut connection = connection.map(drop).boxed().fuse();
    let mut response = Box::pin(sender.send_request(request));
    let response = poll_fn(|context| {
        let _ = Pin::new(&mut connection).poll(context);
        response.as_mut().poll(context)
    });
    let response = response.await.map_err(io::Error::other)?;
    Ok(Answer {
        status: response.status(),
        body: response.into_body(),
        connection,
    })
}

impl Answer {
    /// The next bytes; None at the end.
    ///
    /// # Errors
    /// Where the connection breaks off.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let frame = poll_fn(|context| {
                let _ = Pin::new(&mut self.connection).poll(context);
                match Pin::new(&mut self.body).poll_frame(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(frame) => Poll::Ready(frame),
                }
            });
            match frame.await? {
                // What is no data are trailers.
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
                Err(error) => return Some(Err(io::Error::other(error))),
            }
        }
    }
}
