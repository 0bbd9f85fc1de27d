//! The path by which an HTTP service tells whether it is ready, found among the conventional ones.
//!
//! ```text
//! HEAD /a-path-that-nobody-has ─► 404 ─► HEAD /readyz, /ready, … on the same connection ─► GET what is there
//! ```
//!
//! A server that has an answer for every path has none that means anything, so a path that nobody has comes first:
//! only from a 404 on is anything searched for. `HEAD` leaves no body on the connection to be read, and a framework
//! that takes only `GET` there says 405, which tells as much. What is found is fetched once: a page for people is no
//! readiness path. For each path that is not there the application may note a 404, once in the service's life.

use diogenes_proto::Verdict;

use crate::conclusion::Conclusion;
use crate::connection::{Connector, Stream};
use crate::conversation::Conversation;
use crate::http::{self, StatusLine, body, header, parse_status_line};

/// The conventional paths, those that tell of readiness before those that tell of mere life.
const PATHS: &[&str] = &[
    "/readyz",          // Kubernetes' own components
    "/ready",           // Envoy, Loki, Istio
    "/-/ready",         // Prometheus and its like
    "/health",          // etcd; most frameworks' tutorials
    "/healthz",         // Kubernetes' convention of old
    "/actuator/health", // Spring Boot
    "/livez",           // Kubernetes' own components
    "/-/healthy",       // Prometheus and its like
    "/status",
];
/// Asked for first.
const NOBODYS: &str = "/diogenes-agent-asks-for-what-nobody-has";
/// As much of a body as is waited for when it is to be repeated, in bytes.
const WORDS_BYTES: usize = 120;

/// Searches for a path; None where there is none.
pub(crate) async fn search(connector: &Connector<'_>) -> Option<String> {
    let mut line = Line {
        connector,
        kept: None,
    };
    (line.head(NOBODYS).await?.status == 404).then_some(())?;
    for path in PATHS {
        let head = line.head(path).await?;
        // What wants a slash at its end says so, as Django does.
        let path = match head.status {
            200 | 204 | 405 | 503 => (*path).to_owned(),
            301 | 302 | 307 | 308 if head.redirects_to_slash => format!("{path}/"),
            _ => continue,
        };
        let answer = ask(connector, &path, None).await.ok()?;
        if answer.path.is_some() {
            return answer.path;
        }
    }
    None
}

/// The connection on which one asks again and again, made anew where the service closes it.
struct Line<'a> {
    connector: &'a Connector<'a>,
    kept: Option<Conversation<Box<dyn Stream>>>,
}

/// What an answer to `HEAD` tells.
struct Head {
    status: u16,
    redirects_to_slash: bool,
}

impl Line<'_> {
    /// None where there is no answer.
    async fn head(&mut self, path: &str) -> Option<Head> {
        let mut peer = match self.kept.take() {
            Some(peer) => peer,
            None => self.connector.connect().await.ok()?,
        };
        peer.ask(http::request("HEAD", path, "keep-alive").as_bytes())
            .await;
        peer.listen(http::is_enough).await;
        let response = peer.heard();
        let StatusLine::Status(status) = parse_status_line(response) else {
            return None;
        };
        let redirects_to_slash = redirects_to_slash(response, path);
        if is_kept(response) {
            self.kept = Some(peer);
        }
        Some(Head {
            status,
            redirects_to_slash,
        })
    }
}

/// Whether the service keeps the connection, as gunicorn's plain workers do not. Source: RFC 9112 §9.3.
fn is_kept(response: &[u8]) -> bool {
    let closes = header(response, "connection").is_some_and(|it| it.eq_ignore_ascii_case(b"close"));
    response.starts_with(b"HTTP/1.1") && !closes
}

fn redirects_to_slash(response: &[u8], path: &str) -> bool {
    let location = header(response, "location").unwrap_or_default();
    location
        .strip_suffix(b"/")
        .is_some_and(|location| location.ends_with(path.as_bytes()))
}

/// Asks for a path that tells of readiness: by the statuses that are expected, from and to, where somebody has said
/// which; else by what such paths usually answer.
pub(crate) async fn ask(
    connector: &Connector<'_>,
    path: &str,
    expected: Option<(u16, u16)>,
) -> Result<Conclusion, Conclusion> {
    let mut peer = connector.connect().await?;
    peer.ask(http::request("GET", path, "close").as_bytes())
        .await;
    let heard = peer.listen(is_told).await;
    let Some(mut conclusion) = http::conclude(peer.heard()) else {
        return Err(peer.unanswered(&format!("HTTP GET {path}"), heard));
    };
    let StatusLine::Status(code) = parse_status_line(peer.heard()) else {
        return Ok(conclusion);
    };
    let body = body(peer.heard());
    match expected {
        Some((from, to)) if (from..=to).contains(&code) => conclusion.verdict = Verdict::Alive,
        Some(_) => conclusion.verdict = Verdict::Failing,
        None if !tells(code, body) => return Ok(conclusion),
        None => {}
    }
    conclusion.path = Some(path.to_owned());
    conclusion.evidence = match conclusion.verdict {
        Verdict::Alive => format!("answers {path} (HTTP {code})"),
        _ => format!("HTTP {code} on {path}"),
    };
    let has_words =
        conclusion.verdict != Verdict::Alive && !body.trim_ascii().is_empty() && !is_page(body);
    Ok(if has_words {
        conclusion.saying(body)
    } else {
        conclusion
    })
}

/// Whether an answer tells if the service is ready. One without such a path has another status, or a page for people.
fn tells(code: u16, body: &[u8]) -> bool {
    matches!(code, 200 | 204 | 500..) && !is_page(body)
}

fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// Whether what is needed of an answer is there: a good one's first byte tells whether it is a page, a bad one's words
/// are repeated.
fn is_told(response: &[u8]) -> bool {
    if !http::is_enough(response) {
        return false;
    }
    let StatusLine::Status(code) = parse_status_line(response) else {
        return true;
    };
    let length = header(response, "content-length")
        .and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
    let wanted = match code {
        200 => 1,
        500.. => WORDS_BYTES,
        _ => 0,
    };
    body(response).len() >= length.unwrap_or(wanted).min(wanted)
}
