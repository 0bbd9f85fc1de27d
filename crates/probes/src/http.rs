//! HTTP/1.1: `HEAD /`, and the status of what comes back.
//!
//! Any well-formed response below 500 shows a server that works: 404, 405 and 401 are answers. 501 too: the
//! server says that it does not do `HEAD`. Before a server is condemned for a 5xx, or for not answering
//! properly, it is asked once more with `GET`: simple servers treat `HEAD` badly. Source: RFC 9112, RFC 9110.
//!
//! Where a path is given, it is one by which the service tells whether it is ready (`crate::readiness`): it is asked
//! for with `GET`, and what it says with a 5xx is repeated.

use diogenes_proto::{Untrusted, Verdict};
use tokio::time::Instant;

use crate::conclusion::Conclusion;
use crate::connection::{Connector, Stream};
use crate::conversation::{Conversation, Heard};
use crate::{Curiosity, readiness};

/// Who asks, so that an administrator who reads the access log knows.
const USER_AGENT: &str = concat!("diogenes-agent/", env!("CARGO_PKG_VERSION"));

/// The beginning of an HTTP answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusLine {
    /// Too short to tell; what is there fits.
    Incomplete,
    /// A status line with this code, 100 to 599.
    Status(u16),
    /// Not HTTP/1.
    NotHttp,
}

/// Reads a status line: `HTTP/1.1 200 OK`. Source: RFC 9112 §4.
#[must_use]
pub fn parse_status_line(bytes: &[u8]) -> StatusLine {
    const SHAPE: &[u8] = b"HTTP/1.# ###";
    let fits = bytes.iter().zip(SHAPE).all(|(&b, &s)| {
        if s == b'#' {
            b.is_ascii_digit()
        } else {
            b == s
        }
    });
    if !fits {
        return StatusLine::NotHttp;
    }
    let Some(&end) = bytes.get(SHAPE.len()) else {
        return StatusLine::Incomplete;
    };
    let code = bytes[SHAPE.len() - 3..SHAPE.len()]
        .iter()
        .fold(0_u16, |code, digit| code * 10 + u16::from(digit - b'0'));
    // The reason phrase, and often the blank before it, are left out by some servers.
    if matches!(end, b' ' | b'\r' | b'\n') && (100..600).contains(&code) {
        StatusLine::Status(code)
    } else {
        StatusLine::NotHttp
    }
}

/// The value of the first header of this name, where it is complete. Source: RFC 9112 §5.
#[must_use]
pub fn header<'a>(response: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut lines = response.split_inclusive(|&b| b == b'\n').skip(1);
    lines
        .by_ref()
        .take_while(|line| !line.trim_ascii().is_empty())
        .filter(|line| line.ends_with(b"\n"))
        .find_map(|line| {
            let colon = line.iter().position(|&b| b == b':')?;
            line[..colon]
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| line[colon + 1..].trim_ascii())
        })
}

/// Product and version of a `Server` header's first part: `nginx/1.22.1 (Debian)`. Source: RFC 9110 §10.2.4.
#[must_use]
pub fn parse_product(server: &[u8]) -> Option<(Untrusted, Option<Untrusted>)> {
    let first = server
        .split(|b| b.is_ascii_whitespace())
        .find(|p| !p.is_empty())?;
    let mut parts = first.splitn(2, |&b| b == b'/');
    let product = parts.next().filter(|product| !product.is_empty())?;
    let version = parts.next().filter(|version| !version.is_empty());
    Some((
        Untrusted::from_bytes(product),
        version.map(Untrusted::from_bytes),
    ))
}

/// What follows the headers, as far as it is there; of a chunked body (RFC 9112 §7.1) the first chunk and its like.
#[must_use]
pub fn body(response: &[u8]) -> &[u8] {
    let blank = |bytes: &[u8], end: &[u8]| bytes.windows(end.len()).position(|w| w == end);
    let Some(start) = blank(response, b"\r\n\r\n").map(|at| at + 4) else {
        return b"";
    };
    let body = &response[start..];
    let is_chunked = header(response, "transfer-encoding").is_some();
    match blank(body, b"\r\n").filter(|_| is_chunked) {
        Some(end) => &body[end + 2..],
        None => body,
    }
}

/// Whether the bytes begin as HTTP/2's server preface does, a SETTINGS frame: what a server that speaks
/// HTTP/2 only (gRPC) says first. Source: RFC 9113 §3.4, §4.1, §6.5.
#[must_use]
pub fn is_http2(bytes: &[u8]) -> bool {
    let Some(frame) = bytes.first_chunk::<9>() else {
        return false;
    };
    let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
    frame[3] == 4
        && frame[4] == 0
        && frame[5..] == [0; 4]
        && length.is_multiple_of(6)
        && length < 600
}

/// Whether the bytes begin as a TLS alert or handshake record does: what a TLS server answers to plain text.
/// Source: RFC 8446 §5.1.
#[must_use]
pub fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, 0..=4, ..])
}

/// Whether the headers are complete, or it is plain that none will come.
pub(crate) fn is_enough(bytes: &[u8]) -> bool {
    match parse_status_line(bytes) {
        StatusLine::NotHttp => true,
        StatusLine::Incomplete => false,
        StatusLine::Status(_) => {
            bytes.windows(4).any(|w| w == b"\r\n\r\n") || bytes.windows(2).any(|w| w == b"\n\n")
        }
    }
}

/// What an answer to an HTTP request shows; None where it is no HTTP.
pub(crate) fn conclude(bytes: &[u8]) -> Option<Conclusion> {
    if is_tls(bytes) {
        let mut tls = Conclusion::answered(Verdict::Alive, "answers with TLS");
        tls.protocol = Some("tls");
        return Some(tls);
    }
    if is_http2(bytes) {
        let mut http2 = Conclusion::answered(Verdict::Alive, "answers with HTTP/2");
        http2.protocol = Some("http2");
        return Some(http2);
    }
    let StatusLine::Status(code) = parse_status_line(bytes) else {
        return None;
    };
    let verdict = match code {
        501 => Verdict::Alive,
        500.. => Verdict::Failing,
        _ => Verdict::Alive,
    };
    // A 404 or 405 to a HEAD of the root is as good an answer as any, and should not read like trouble.
    let words = match verdict {
        Verdict::Alive => format!("answers HTTP (status {code})"),
        _ => format!("HTTP {code}"),
    };
    let mut conclusion = Conclusion::answered(verdict, words);
    conclusion.protocol = Some("http");
    if let Some((product, version)) = header(bytes, "server").and_then(parse_product) {
        conclusion.product = Some(product);
        conclusion.version = version;
    }
    Some(conclusion)
}

/// What makes a cache ask what it stands before: the first by RFC 9111 §5.2.1.4; Varnish only heeds the second, as its
/// builtin.vcl has it.
const PAST_CACHES: &str = "Cache-Control: no-cache\r\nCookie: diogenes=asks\r\n";

/// A request for a path, after which the server keeps or closes the connection.
pub(crate) fn request(method: &str, path: &str, connection: &str) -> String {
    request_with(method, path, connection, "")
}

/// The same with further headers, each with its end of line.
fn request_with(method: &str, path: &str, connection: &str, headers: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n{headers}Connection: {connection}\r\n\r\n"
    )
}

/// Whether an answer has lain in a cache, and says nothing of what is behind that. Source: RFC 9111 §5.1.
fn is_from_cache(response: &[u8]) -> bool {
    header(response, "age").is_some_and(|age| age != b"0")
}

async fn attempt(connector: &Connector<'_>, method: &str) -> Result<Conclusion, Conclusion> {
    let mut peer = connector.connect().await?;
    peer.ask(request(method, "/", "close").as_bytes()).await;
    let mut heard = peer.listen(is_enough).await;
    if is_from_cache(peer.heard()) {
        peer = connector.connect().await?;
        let question = request_with(method, "/", "close", PAST_CACHES);
        peer.ask(question.as_bytes()).await;
        heard = peer.listen(is_enough).await;
    }
    Ok(concluded(&peer, method, heard))
}

fn concluded(peer: &Conversation<Box<dyn Stream>>, method: &str, heard: Heard) -> Conclusion {
    conclude(peer.heard()).unwrap_or_else(|| peer.unanswered(&format!("HTTP {method}"), heard))
}

pub(crate) async fn converse(
    connector: &Connector<'_>,
    path: Option<&str>,
    expected: Option<(u16, u16)>,
    curiosity: Curiosity,
) -> Result<Conclusion, Conclusion> {
    if let Some(path) = path {
        return readiness::ask(connector, path, expected).await;
    }
    let started = Instant::now();
    let mut head = attempt(connector, "HEAD").await?;
    if matches!(head.verdict, Verdict::Failing | Verdict::Garbled) {
        // Where the second attempt runs out of time, the first one's answer is still the better evidence.
        let get = attempt(connector, "GET").await?;
        return Ok(if get.verdict == Verdict::Silent {
            head
        } else {
            get
        });
    }
    if curiosity == Curiosity::Everything && head.protocol == Some("http") {
        head.took = Some(started.elapsed());
        // Whoever is slow is not kept busy with it until the deadline.
        let spare = (connector.until - Instant::now()) / 2;
        head.path = readiness::search(&connector.within(spare)).await;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn status_lines() {
        use StatusLine::{Incomplete, NotHttp, Status};
        for (bytes, expected) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], Status(200)),
            (b"HTTP/1.0 404 Not Found\r\n", Status(404)),
            (b"HTTP/1.1 502\r\n", Status(502)),
            (b"HTTP/1.1 204 \r\n", Status(204)),
            (b"HTTP/1.1 20", Incomplete),
            (b"HTTP/1.1 200", Incomplete),
            (b"H", Incomplete),
            (b"", Incomplete),
            (b"HTTP/1.1 2000", NotHttp),
            (b"HTTP/1.1 700 x", NotHttp),
            (b"HTTP/1.1 099 x", NotHttp),
            (b"HTTP/2 200 ", NotHttp),
            (b"http/1.1 200 OK", NotHttp),
            (b"+PONG\r\n", NotHttp),
            (b"\x15\x03\x01\x00\x02\x02\x46", NotHttp),
        ] {
            assert_eq!(
                parse_status_line(bytes),
                expected,
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn headers_and_products() {
        let response =
            b"HTTP/1.1 200 OK\r\nDate: now\r\nserver:  nginx/1.22.1 (Debian)\r\n\r\nServer: fake";
        let server = header(response, "Server").unwrap();
        assert_eq!(server, b"nginx/1.22.1 (Debian)");
        let (product, version) = parse_product(server).unwrap();
        assert_eq!(
            (product.as_raw(), version.unwrap().as_raw()),
            ("nginx", "1.22.1")
        );
        assert_eq!(
            header(b"HTTP/1.1 200 OK\r\n\r\nServer: fake", "Server"),
            None
        );
        assert_eq!(
            header(b"HTTP/1.1 200 OK\r\nServer: cut in the mid", "Server"),
            None
        );
        assert_eq!(
            parse_product(b"uvicorn"),
            Some((Untrusted::from("uvicorn"), None))
        );
        assert_eq!(parse_product(b" / "), None);
    }

    #[test]
    fn other_layers() {
        assert!(is_tls(b"\x15\x03\x03\x00\x02\x02\x46"));
        assert!(is_http2(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]));
        assert!(!is_http2(b"HTTP/1.1 200"));
        assert!(!is_tls(b"HTTP"));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (parse_status_line(&bytes), header(&bytes, "Server"), parse_product(&bytes));
            let _ = (is_http2(&bytes), is_tls(&bytes), is_enough(&bytes), conclude(&bytes));
        }

        #[test]
        fn more_bytes_never_change_a_status(code in 100_u16..600, cut in 0_usize..40) {
            let whole = format!("HTTP/1.1 {code} Some reason\r\n\r\n");
            let part = &whole.as_bytes()[..cut.min(whole.len())];
            let read = parse_status_line(part);
            prop_assert!(read == StatusLine::Incomplete || read == StatusLine::Status(code));
        }
    }
}
