//! The webhook: an alert as a signed HTTP POST.
//!
//! One connection a call and nothing shared with other clients of this program: no proxy, no redirect (one could
//! lead a signed call to where it does not belong, or into the host's network), no cookie; and of the answer no more
//! is read than its head and what says why it is a refusal.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diogenes_proto::Timestamp;
use diogenes_proto::untrusted::escape_json;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::task::AbortOnDropHandle;

use crate::alerts::delivery::{Parcel, Receiver, Refusal};
use crate::alerts::signature::Keys;
use crate::supervisor::Supervisor;

/// How long one call may take, from the name's resolution to the answer's last byte.
const DEADLINE: Duration = Duration::from_secs(10);
/// How much of a refusal's body is read, for the log.
const MAX_REFUSAL_BYTES: usize = 256;

/// Where alerts are posted.
pub(crate) struct Webhook {
    url: Url,
    keys: Option<Keys>,
    /// How the receiver's certificate is checked; None where no TLS is spoken.
    tls: Option<TlsConnector>,
}

/// What a call can fail with.
type Failed = Box<dyn Error + Send + Sync>;

impl Webhook {
    /// A webhook that trusts this system's root certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    ///
    /// # Errors
    /// In words, where TLS is asked for and cannot be spoken.
    pub(crate) fn new(url: Url, keys: Option<Keys>) -> Result<Self, String> {
        let tls = url.scheme() == "https";
        let tls = tls.then(system_roots).transpose()?;
        Ok(Self { url, keys, tls })
    }

    async fn post(&self, parcel: &Parcel) -> Result<(), Refusal> {
        // Said in the words of the deepest cause: those above it say no more than that it failed.
        let failed = |error: Failed| {
            let mut cause: &dyn Error = &*error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            Refusal::not_now(cause.to_string())
        };
        let request = self.request(parcel).map_err(|error| Refusal::NotEver {
            why: format!("the call cannot be made: {error}"),
        })?;
        let stream = self.connect().await.map_err(failed)?;
        match &self.tls {
            None => converse(stream, request).await.map_err(failed)?,
            Some(tls) => {
                let host = self.url.host_str().unwrap_or_default();
                let host = host.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(host).map_err(|error| failed(error.into()))?;
                let stream = tls.connect(name, stream).await;
                let stream = stream.map_err(|error| Refusal::not_now(format!("TLS: {error}")))?;
                converse(stream, request).await.map_err(failed)?
            }
        }
    }

    fn request(&self, parcel: &Parcel) -> Result<Request<Full<Bytes>>, Failed> {
        let body = escape_json(&serde_json::to_string(&parcel.alert)?).into_bytes();
        let timestamp_s = Timestamp::now().as_unix_ms() / 1000;
        let mut path = self.url.path().to_owned();
        if let Some(query) = self.url.query() {
            path = format!("{path}?{query}");
        }
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port();
        let host = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, host)
            .header(
                header::USER_AGENT,
                format!("diogenes/{}", Supervisor::VERSION),
            )
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .header("webhook-id", &parcel.id)
            .header("webhook-timestamp", timestamp_s);
        if let Some(keys) = &self.keys {
            let signature = keys.sign(&parcel.id, timestamp_s, &body);
            request = request.header("webhook-signature", signature);
        }
        if let Some(password) = self.url.password() {
            let pair = STANDARD.encode(format!("{}:{password}", self.url.username()));
            let mut value = HeaderValue::try_from(format!("Basic {pair}"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        Ok(request.body(Full::new(body.into()))?)
    }

    async fn connect(&self) -> Result<TcpStream, Failed> {
        // Names and ports as the URL's own rules have them: `socket_addrs` would resolve on this thread.
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
        let stream = stream.map_err(|error| format!("cannot connect to {host}:{port}: {error}"))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Receiver for Webhook {
    fn take<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), Refusal>> {
        async move {
            let late = || {
                let why = format!("no answer within {} s", DEADLINE.as_secs());
                Err(Refusal::not_now(why))
            };
            timeout(DEADLINE, self.post(parcel))
                .await
                .unwrap_or_else(|_| late())
        }
        .boxed()
    }
}

/// One request and what its answer means.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Result<(), Refusal>, Failed> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request).await?;
    Ok(judge(response).await)
}

/// What an answer means.
async fn judge(response: Response<Incoming>) -> Result<(), Refusal> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let after = retry_after(response.headers(), SystemTime::now());
    let advice = match status {
        _ if status.is_redirection() => " (redirects are not followed: configure where it leads)",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => " (is the secret the right one?)",
        StatusCode::GONE => " (nobody receives there any more: configure another one)",
        _ => "",
    };
    let said = beginning(response.into_body()).await;
    let said = if said.is_empty() {
        said
    } else {
        format!(": {said}")
    };
    let why = format!("answered {}{advice}{said}", status.as_u16());
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(Refusal::NotNow { why, after })
        }
        _ if status.is_server_error() => Err(Refusal::NotNow { why, after }),
        _ => Err(Refusal::NotEver { why }),
    }
}

/// The first words of a body.
async fn beginning(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_REFUSAL_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        let room = MAX_REFUSAL_BYTES - bytes.len();
        let data = frame.into_data().unwrap_or_default();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
    }
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// How long the receiver asks to wait (RFC 9110, 10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// TLS that trusts this system's root certificates.
fn system_roots() -> Result<TlsConnector, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found
            .errors
            .first()
            .map_or(String::new(), |error| format!(" ({error})"));
        return Err(format!(
            "this system has no root certificates{why}; install ca-certificates, or name a file in SSL_CERT_FILE"
        ));
    }
    connector(found.certs)
}

/// TLS that trusts these root certificates; those that make no sense are left out.
fn connector(certificates: Vec<CertificateDer<'static>>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
