//! One exchange of JSON over HTTP, with everything about it bounded: time, length, connections.
//!
//! Tekton's programs speak plain HTTP. What answers on a port may be anything, also something that hangs, floods or
//! closes early: an exchange then fails, and says how.

use std::time::Duration;

use diogenes_proto::Untrusted;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Url};
use serde::de::DeserializeOwned;

/// How long one exchange may take, from connecting to the answer's last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long it may take to be reached.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// How long a connection that nothing is said on is kept: less than the five seconds after which uvicorn, which Tekton's
/// programs run under, closes it, perhaps while the next request is on its way.
const IDLE: Duration = Duration::from_secs(4);
/// How much is told of what a refusal says, and of why an answer makes no sense.
const MAX_SAID_CHARS: usize = 200;

/// Where a program of Tekton's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Url);

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no URL.
    #[error("expected http://HOST:PORT: {0}")]
    NotUrl(String),
    /// Another scheme.
    #[error(
        "{0}:// is not spoken with Tekton's programs, which know plain HTTP only: give http://HOST:PORT"
    )]
    Scheme(String),
    /// A user, a query or a fragment.
    #[error("expected http://HOST:PORT with at most a path, without user, ? and #")]
    Extras,
}

impl Address {
    /// Reads `http://HOST:PORT`, with or without the path of the program's interface.
    ///
    /// # Errors
    /// Where it is something else; the text itself is not repeated.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|error| AddressError::NotUrl(error.to_string()))?;
        if url.scheme() != "http" {
            return Err(AddressError::Scheme(url.scheme().to_owned()));
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Extras);
        }
        Ok(Self(url))
    }

    /// It as people read it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// It with `interface` as its path, such as `/api`, where it has none.
    pub(crate) fn with_interface(mut self, interface: &str) -> Self {
        if self.0.path() == "/" {
            self.0.set_path(interface);
        }
        self
    }

    /// A page below it.
    pub(crate) fn page(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// Why an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nobody could be reached there, or the connection broke.
    #[error("{0}")]
    Broken(String),
    /// It took too long.
    #[error("no whole answer within {} s", DEADLINE.as_secs())]
    TooSlow,
    /// The answer is longer than any that makes sense.
    #[error("an answer of more than {0} bytes")]
    TooLong(usize),
    /// A status that is no success.
    #[error("answered {status}{said}")]
    Status {
        /// The status.
        status: u16,
        /// What it says of that, after a colon; empty where it says nothing.
        said: String,
    },
    /// It is not what the program there is known to answer.
    #[error("an answer that makes no sense: {0}")]
    Garbage(String),
}

/// A client with connections of its own.
///
/// No proxy, whatever the environment says: Tekton's programs are on this host or beside it. No redirect: none of them
/// ever gives one.
pub(crate) fn client(connections: usize) -> Result<Client, ExchangeError> {
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(DEADLINE)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(connections)
        .user_agent(concat!("diogenes/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|error| broken(&error))
}

/// Sends a request and reads its answer, of at most `max_bytes`.
pub(crate) async fn exchange<T: DeserializeOwned>(
    request: RequestBuilder,
    max_bytes: usize,
) -> Result<T, ExchangeError> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + piece.len() > max_bytes {
            return Err(ExchangeError::TooLong(max_bytes));
        }
        body.extend_from_slice(&piece);
    }
    if !status.is_success() {
        return Err(ExchangeError::Status {
            status: status.as_u16(),
            said: said(&body),
        });
    }
    serde_json::from_slice(&body)
        .map_err(|error| ExchangeError::Garbage(quoted(&error.to_string())))
}

/// In the words of the deepest cause: those above it say no more than that it failed.
fn broken(error: &reqwest::Error) -> ExchangeError {
    if error.is_timeout() {
        return ExchangeError::TooSlow;
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ExchangeError::Broken(cause.to_string())
}

/// `: ` and the beginning of what a refusal says.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match text.trim() {
        "" => String::new(),
        text => format!(": {}", quoted(text)),
    }
}

/// The beginning of what another program said, or of an error that repeats it, safe for a terminal.
fn quoted(text: &str) -> String {
    format!("{:.MAX_SAID_CHARS$}", Untrusted::from(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_a_refusal_says_is_short_and_harms_no_terminal(body in prop::collection::vec(any::<u8>(), 0..2048)) {
            let said = said(&body);
            prop_assert!(said.is_empty() || said.starts_with(": "));
            prop_assert!(said.chars().count() <= MAX_SAID_CHARS + 2);
            prop_assert!(!said.contains(char::is_control), "{said:?}");
        }
    }

    #[test]
    fn an_address_is_plain_http_and_nothing_more() {
        let page = |text| {
            let address = Address::parse(text).unwrap().with_interface("/api");
            address.page(&["components", "a b"]).to_string()
        };
        let expected = "http://localhost:8001/api/components/a%20b";
        for same in [
            "http://localhost:8001",
            "http://localhost:8001/",
            "http://localhost:8001/api",
            "http://localhost:8001/api/",
        ] {
            assert_eq!(page(same), expected, "{same}");
        }
        assert_eq!(
            page("http://[::1]:1/x"),
            "http://[::1]:1/x/components/a%20b"
        );
        for (wrong, part) in [
            ("localhost:8001", "localhost:// is not spoken"),
            ("https://localhost:8001", "plain HTTP only"),
            ("8001", "http://HOST:PORT"),
            ("http://", "http://HOST:PORT"),
            ("http://user:secret@localhost/", "without user"),
            ("http://localhost/?a=b", "without user"),
        ] {
            let error = Address::parse(wrong).unwrap_err().to_string();
            assert!(error.contains(part), "{wrong}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
