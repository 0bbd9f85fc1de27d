//! One request to the Engine, and the bytes of its answer as they come.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::Endpoint;

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
    match endpoint {
        Endpoint::Unix(path) => ask(UnixStream::connect(path).await?, "localhost", target).await,
        Endpoint::Http(address) => ask(TcpStream::connect(address).await?, address, target).await,
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    host: &str,
    target: &str,
) -> io::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let request = Request::get(target)
        .header(HOST, host)
        .body(String::new())
        .map_err(io::Error::other)?;
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
