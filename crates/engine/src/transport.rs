//! One request to the Engine, and the bytes of its answer as they come: for what bollard would hold in memory. Or the
//! connection itself, where the Engine hands that over.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{BoxFuture, Fuse};
use futures_util::{FutureExt, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::{ArchiveStream, Endpoint};

/// What goes with a request.
type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// A request.
struct Asked<'a> {
    method: Method,
    target: &'a str,
    /// Of what is sent; None where that is nothing.
    content_type: Option<&'static str>,
    sent: Sent,
    /// To have the connection itself from then on.
    upgrade: bool,
}

/// An answer whose body is still coming. Dropping it closes the connection.
pub(crate) struct Answer {
    /// Of the answer.
    pub(crate) status: StatusCode,
    /// The connection, where the Engine hands it over.
    handed_over: Option<OnUpgrade>,
    body: Incoming,
    /// Moves bytes between socket and body, as long as it is polled.
    connection: Fuse<BoxFuture<'static, ()>>,
}

/// Sends a GET request and waits for the head of the answer.
///
/// # Errors
/// Where the Engine cannot be reached, or what it says is no HTTP.
pub(crate) async fn get(endpoint: &Endpoint, target: &str) -> io::Result<Answer> {
    let asked = Asked {
        method: Method::GET,
        target,
        content_type: None,
        sent: Empty::new().map_err(|never| match never {}).boxed_unsync(),
        upgrade: false,
    };
    ask(endpoint, asked).await
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
    let archive = StreamBody::new(archive.map_ok(Frame::data));
    let asked = Asked {
        method: Method::POST,
        target,
        content_type: Some("application/x-tar"),
        sent: archive.boxed_unsync(),
        upgrade: false,
    };
    ask(endpoint, asked).await
}

/// Sends JSON by a POST request that asks for the connection, and returns it where the Engine hands it over, else its
/// answer. What it had sent already comes first. Source: Docker Engine API, "Hijacking" of
/// `POST /containers/{id}/attach`.
///
/// # Errors
/// As for [`get`].
pub(crate) async fn hijack(
    endpoint: &Endpoint,
    target: &str,
    json: String,
) -> io::Result<Result<TokioIo<Upgraded>, Answer>> {
    let json = Full::new(Bytes::from(json)).map_err(|never| match never {});
    let asked = Asked {
        method: Method::POST,
        target,
        content_type: Some("application/json"),
        sent: json.boxed_unsync(),
        upgrade: true,
    };
    let mut answer = ask(endpoint, asked).await?;
    let Some(mut handed_over) = answer.handed_over.take() else {
        return Ok(Err(answer));
    };
    let upgraded = poll_fn(|context| {
        let _ = Pin::new(&mut answer.connection).poll(context);
        Pin::new(&mut handed_over).poll(context)
    });
    let upgraded = upgraded.await.map_err(io::Error::other)?;
    Ok(Ok(TokioIo::new(upgraded)))
}

async fn ask(endpoint: &Endpoint, asked: Asked<'_>) -> io::Result<Answer> {
    match endpoint {
        Endpoint::Unix(path) => {
            ask_over(UnixStream::connect(path).await?, "localhost", asked).await
        }
        Endpoint::Http(address) => {
            ask_over(TcpStream::connect(address).await?, address, asked).await
        }
    }
}

async fn ask_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    host: &str,
    asked: Asked<'_>,
) -> io::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let mut request = Request::builder()
        .method(asked.method)
        .uri(asked.target)
        .header(HOST, host);
    if let Some(content_type) = asked.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    if asked.upgrade {
        request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
    }
    let request = request.body(asked.sent).map_err(io::Error::other)?;
    // How the connection ends shows in the body.
    let mut connection = connection.with_upgrades().map(drop).boxed().fuse();
    let mut response = Box::pin(sender.send_request(request));
    let response = poll_fn(|context| {
        let _ = Pin::new(&mut connection).poll(context);
        response.as_mut().poll(context)
    });
    let mut response = response.await.map_err(io::Error::other)?;
    let is_handed_over = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    Ok(Answer {
        status: response.status(),
        handed_over: is_handed_over.then(|| hyper::upgrade::on(&mut response)),
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
