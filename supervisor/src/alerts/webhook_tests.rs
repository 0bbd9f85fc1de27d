use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::alerts::alert::tests::alert;
use crate::alerts::rule::Standing;

/// A receiver that gives one answer, whatever it is, and hands over what it heard.
async fn receiver(answer: impl Into<Vec<u8>>) -> (SocketAddr, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, answer) = (listener.local_addr().unwrap(), answer.into());
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        converse_as_server(stream, &answer).await
    });
    (address, heard)
}

async fn converse_as_server(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
) -> Heard {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let heard = loop {
        let length = stream.read(&mut chunk).await.unwrap();
        assert_ne!(length, 0, "the call ended in the middle");
        bytes.extend_from_slice(&chunk[..length]);
        if let Some(heard) = Heard::parse(&bytes) {
            break heard;
        }
    };
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    heard
}

/// A call as it was received.
struct Heard {
    head: String,
    body: Vec<u8>,
}

impl Heard {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let body = bytes[end + 4..].to_vec();
        let heard = Self { head, body };
        let length: usize = heard.header("content-length").unwrap().parse().unwrap();
        (heard.body.len() == length).then_some(heard)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether a signature is that of this secret: HMAC as RFC 2104 has it, from nothing but a hash.
    fn is_signed_with(&self, secret: &[u8]) -> bool {
        let block = |pad: u8| -> Vec<u8> {
            (0..64)
                .map(|index| secret.get(index).copied().unwrap_or(0) ^ pad)
                .collect()
        };
        let (id, at) = (
            self.header("webhook-id").unwrap(),
            self.header("webhook-timestamp").unwrap(),
        );
        let content = [id.as_bytes(), b".", at.as_bytes(), b".", &self.body].concat();
        let inner = Sha256::digest([block(0x36), content].concat());
        let outer = Sha256::digest([block(0x5c), inner.to_vec()].concat());
        let expected = format!("v1,{}", STANDARD.encode(outer));
        self.header("webhook-signature")
            .unwrap()
            .split(' ')
            .any(|signature| signature == expected)
    }
}

fn parcel() -> Parcel {
    Parcel::new(alert("c1", Standing::Unhealthy))
}

fn webhook(url: &str, secrets: Option<&str>) -> Webhook {
    let keys = secrets.map(|text| Keys::read(text).unwrap());
    Webhook::new(Url::parse(url).unwrap(), keys).unwrap()
}

/// What becomes of an alert that is answered so.
async fn answered(answer: impl Into<Vec<u8>>) -> Result<(), Refusal> {
    let (address, heard) = receiver(answer).await;
    let taken = webhook(&format!("http://{address}/"), None)
        .take(&parcel())
        .await;
    heard.await.unwrap();
    taken
}

fn status(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\nsorry")
}

#[tokio::test]
async fn a_call_is_signed_and_says_all() {
    let (address, heard) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("http://user:pass@{address}/hook?a=b");
    let parcel = parcel();
    let taken = webhook(&url, Some("whsec_c2VjcmV0\nold"))
        .take(&parcel)
        .await;
    assert_eq!(taken, Ok(()));
    let heard = heard.await.unwrap();
    assert!(
        heard.head.starts_with("POST /hook?a=b HTTP/1.1\r\n"),
        "{}",
        heard.head
    );
    assert_eq!(heard.header("host").unwrap(), address.to_string());
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(heard.header("authorization"), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(heard.header("webhook-id"), Some(parcel.id.as_str()));
    assert!(heard.is_signed_with(b"secret") && heard.is_signed_with(b"old"));
    assert!(!heard.is_signed_with(b"another"));
    let at: u64 = heard.header("webhook-timestamp").unwrap().parse().unwrap();
    assert!(at.abs_diff(Timestamp::now().as_unix_ms() / 1000) <= 5);
    let json: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(json["type"], "container.health_changed");
    assert_eq!(json["data"]["container"]["name"], "name-c1");
    assert_eq!(json["data"]["to"], "unhealthy");
    assert_eq!(json["data"]["superseded"], 0);
}

#[tokio::test]
async fn without_a_secret_there_is_no_signature() {
    let (address, heard) = receiver(status("200 OK")).await;
    let taken = webhook(&format!("http://{address}"), None)
        .take(&parcel())
        .await;
    assert_eq!(taken, Ok(()));
    assert_eq!(heard.await.unwrap().header("webhook-signature"), None);
}

#[tokio::test]
async fn each_answer_means_what_it_says() {
    let not_now = |why: &str, after: Option<u64>| {
        let after = after.map(Duration::from_secs);
        let why = why.to_owned();
        Err(Refusal::NotNow { why, after })
    };
    let not_ever = |why: &str| Err(Refusal::NotEver { why: why.into() });
    for (code, expected) in [
        ("201 Created", Ok(())),
        ("500 Oops", not_now("answered 500: sorry", None)),
        (
            "503 Busy\r\nretry-after: 7",
            not_now("answered 503: sorry", Some(7)),
        ),
        (
            "429 Slow\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT",
            not_now("answered 429: sorry", Some(0)),
        ),
        ("408 Late", not_now("answered 408: sorry", None)),
        ("400 Bad", not_ever("answered 400: sorry")),
        (
            "401 No",
            not_ever("answered 401 (is the secret the right one?): sorry"),
        ),
        (
            "410 Gone",
            not_ever("answered 410 (nobody receives there any more: configure another one): sorry"),
        ),
        (
            "307 There\r\nlocation: http://127.0.0.1:1/",
            not_ever("answered 307 (redirects are not followed: configure where it leads): sorry"),
        ),
    ] {
        assert_eq!(answered(status(code)).await, expected, "{code}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_tried_again() {
    for answer in ["", "220 mail.example ESMTP\r\n", "\0\0\0", "HTTP/1.1 200"] {
        let taken = answered(answer).await;
        assert!(
            matches!(taken, Err(Refusal::NotNow { .. })),
            "{answer:?}: {taken:?}"
        );
    }
}

#[tokio::test]
async fn of_a_refusal_no_more_is_read_than_its_beginning() {
    let endless = [
        status("400 Bad").replace("5", "99999999").into_bytes(),
        vec![b'x'; 1 << 20],
    ]
    .concat();
    let Err(Refusal::NotEver { why }) = answered(endless).await else {
        panic!("it was refused")
    };
    assert!(why.len() < MAX_REFUSAL_BYTES + 50, "{} bytes", why.len());
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let taken = webhook(&format!("http://{address}"), None)
        .take(&parcel())
        .await;
    let why = format!("cannot connect to {address}: Connection refused (os error 111)");
    assert_eq!(taken, Err(Refusal::not_now(why)));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_or_trickles_has_a_deadline() {
    let late = Err(Refusal::not_now("no answer within 10 s"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    assert_eq!(webhook(&url, None).take(&parcel()).await, late);
    let trickle = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            while stream.write_all(b"H").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
        }
    });
    let taken = webhook(&url, None).take(&parcel()).await;
    assert!(matches!(taken, Err(Refusal::NotNow { .. })), "{taken:?}");
    trickle.abort();
}

#[tokio::test]
async fn a_certificate_is_checked() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                converse_as_server(stream, status("200 OK").as_bytes()).await;
            }
        }
    });
    let webhook = |host: &str, trusted: Vec<CertificateDer<'static>>| Webhook {
        url: Url::parse(&format!("https://{host}:{port}/")).unwrap(),
        keys: None,
        tls: Some(connector(trusted).unwrap()),
    };
    let trusting = webhook("localhost", vec![certificate.clone()]);
    assert_eq!(trusting.take(&parcel()).await, Ok(()));
    for (webhook, expected) in [
        (webhook("localhost", Vec::new()), "UnknownIssuer"),
        (webhook("127.0.0.1", vec![certificate]), "NotValidForName"),
    ] {
        let Err(Refusal::NotNow { why, .. }) = webhook.take(&parcel()).await else {
            panic!("it was trusted")
        };
        let words = why.replace(' ', "").to_lowercase();
        assert!(
            why.starts_with("TLS: invalid peer certificate: ")
                && (words.contains(&expected.to_lowercase()) || words.contains("notvalidforname")),
            "{why}"
        );
    }
}
