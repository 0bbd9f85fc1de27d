//! Who may do what over TCP.
//!
//! ```text
//! a valid token ─────────────────────────────► everything, whatever the Host header says
//! none, tokens are configured ─► /health, /ready ─┐        all else: 401
//!                 a Tekton is ─► /ci/, from here ─┤
//! none, no token is configured ─► looking, asking ┴─► if the Host header is one of ours
//! ```
//!
//! Anything on the machine, a browser included, can reach a loopback port. A `Host` header that names another machine
//! is refused, so that no web page gets in by DNS rebinding; it cannot forge an `Authorization` header, so with a
//! token the name does not matter.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use crate::api::ci;
use crate::api::http::Origin;
use crate::api::problem::{Code, Problem};
use crate::config::Settings;
use crate::config::value::HostName;

/// What is answered to anybody: a load balancer has no token.
const OPEN: [&str; 2] = ["/health", "/ready"];

/// What the door to TCP goes by.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// The address listened on.
    pub(crate) listen: SocketAddr,
    /// The tokens and further host names in force.
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
}

/// Marks a request that brought a valid token.
#[derive(Clone, Copy, Debug)]
struct Admitted;

/// Lets a request in, or says why not.
pub(crate) async fn admit(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let settings = door.settings.borrow().clone();
    let tokens = &settings.secrets.tokens;
    if bearer(request.headers()).is_some_and(|token| tokens.admit(token)) {
        request.extensions_mut().insert(Admitted);
        return next.run(request).await;
    }
    if !tokens.is_empty() && !is_open(&request, &settings) {
        return unauthorized(request.headers().contains_key(header::AUTHORIZATION));
    }
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| is_ours(host, door.listen.ip(), &settings.general.hosts)) {
        let detail = format!(
            "the Host header must be a name of the loopback (localhost, 127.0.0.1, [::1]), {}, or one of the hosts \
             in the supervisor's configuration",
            door.listen.ip()
        );
        return Problem::of(Code::ForeignHost, detail).into_response();
    }
    next.run(request).await
}

/// Whether a request is answered without a token where there are tokens. aish sends none: where a Tekton is configured,
/// the processes of this host may ask all the same.
fn is_open(request: &Request, settings: &Settings) -> bool {
    let path = request.uri().path();
    let is_here = || request.extensions().get() == Some(&Origin::Here);
    OPEN.contains(&path)
        || path.starts_with(ci::BELOW) && settings.tekton.root.is_some() && is_here()
}

/// Lets only requests with a valid token through: for what acts.
pub(crate) async fn require_token(request: Request, next: Next) -> Response {
    if request.extensions().get::<Admitted>().is_some() {
        return next.run(request).await;
    }
    let detail = "over TCP this takes a token, and the supervisor has no token_file; use the Unix socket, api.sock in \
                  its run directory";
    Problem::of(Code::OnlyLocal, detail).into_response()
}

/// RFC 6750, 3: what a client without a valid token is told.
fn unauthorized(presented: bool) -> Response {
    let (challenge, code, what) = if presented {
        (
            r#"Bearer realm="diogenes", error="invalid_token""#,
            Code::WrongToken,
            "this is no token of this supervisor",
        )
    } else {
        (
            r#"Bearer realm="diogenes""#,
            Code::TokenMissing,
            "this takes a token",
        )
    };
    let detail = format!(
        "{what}: send the header Authorization: Bearer TOKEN, with one from the supervisor's token_file"
    );
    let mut response = Problem::of(code, detail).into_response();
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    );
    response
}

/// The token a request presents. The scheme knows no case (RFC 9110, 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a `Host` header, with or without port, names the loopback, the address listened on, or one of `hosts`.
fn is_ours(host: &str, listen: IpAddr, hosts: &[HostName]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
            _ => return false,
        },
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback() || address == listen)
        || hosts.iter().any(|host| host.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Word as _;

    #[test]
    fn only_our_names_are_ours() {
        let listen: IpAddr = "192.0.2.7".parse().unwrap();
        let hosts = [HostName::read("shop.example").unwrap()];
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]",
            "[::1]:80",
            "192.0.2.7:4120",
            "Shop.Example:80",
        ] {
            assert!(is_ours(host, listen, &hosts), "{host}");
        }
        for host in [
            "",
            "::1",
            "localhost.evil",
            "0.0.0.0",
            "[::1]evil",
            "[::",
            "10.0.0.1",
            "[::2]:80",
            "192.0.2.8",
            "evil.shop.example",
        ] {
            assert!(!is_ours(host, listen, &hosts), "{host}");
        }
    }

    #[test]
    fn a_token_is_found_in_its_header() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("abc", None),
        ] {
            let headers =
                HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(bearer(&headers), token, "{value}");
        }
    }
}
