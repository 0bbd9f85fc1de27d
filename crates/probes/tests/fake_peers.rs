//! Whole probes against peers that answer well, badly, slowly or not at all, over real loopback sockets.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic in its own helpers too"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use diogenes_probes::{Curiosity, Limits, run};
use diogenes_proto::{ProbeKind, ProbeOutcome, ProbeSpec, ProbeTarget, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a fake peer does with each connection.
#[derive(Clone, Copy)]
enum Peer {
    /// Says this at once.
    Greets(&'static [u8]),
    /// Reads a question, then says this and closes.
    Answers(&'static [u8]),
    /// Answers questions that begin so with the first text, others with the second.
    Discerns(&'static [u8], &'static [u8], &'static [u8]),
    /// Answers endlessly.
    Floods,
    /// Closes at once.
    Closes,
    /// Takes the connection and says nothing.
    IsSilent,
}

async fn serve(listener: TcpListener, peer: Peer) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut question = [0; 2048];
            match peer {
                Peer::Greets(words) => {
                    let _ = stream.write_all(words).await;
                    let _ = stream.read(&mut question).await;
                }
                Peer::Answers(words) => {
                    let _ = stream.read(&mut question).await;
                    let _ = stream.write_all(words).await;
                }
                Peer::Discerns(begins, this, other) => {
                    while let Ok(read @ 1..) = stream.read(&mut question).await {
                        let words = if question[..read].starts_with(begins) {
                            this
                        } else {
                            other
                        };
                        let _ = stream.write_all(words).await;
                    }
                }
                Peer::Floods => while stream.write_all(&[b'x'; 4096]).await.is_ok() {},
                Peer::Closes => {}
                Peer::IsSilent => tokio::time::sleep(Duration::from_secs(60)).await,
            }
        });
    }
}

async fn probe(kind: ProbeKind, peer: Peer) -> ProbeOutcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, peer));
    let limits = Limits {
        deadline: Duration::from_millis(700),
        curiosity: Curiosity::HealthAndVersion,
        ..Limits::default()
    };
    let spec = ProbeSpec::new(kind, ProbeTarget::Tcp(address));
    let started = Instant::now();
    let outcome = run(&spec, limits).await;
    assert!(
        started.elapsed() < Duration::from_millis(1500),
        "{outcome:?}"
    );
    server.abort();
    outcome
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n";
const BAD_GATEWAY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\n\r\n";
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
const CACHED: &[u8] = b"HTTP/1.1 200 OK\r\nAge: 54\r\n\r\n";
/// The first question; who asks past a cache says more.
const PLAIN_HEAD: &[u8] = concat!(
    "HEAD / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: diogenes-agent/",
    env!("CARGO_PKG_VERSION"),
    "\r\nAccept: */*\r\nConnection: close\r\n"
)
.as_bytes();
/// Settings, and the only headers, of a gRPC server that has no health service.
const NO_HEALTH: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x30\x01\x05\0\0\0\x01\
    \x88@\x0ccontent-type\x10application/grpc@\x0bgrpc-status\x0212";
const PONG: &[u8] = b"+PONG\r\n";
/// A handshake's beginning, which is all that is read of it.
const MYSQL: &[u8] = b"\x0c\0\0\0\x0a8.0.36\0\x08\0\0\0";
const INFO: &[u8] = b"$30\r\n# Server\r\nredis_version:7.0.15\r\n";

#[tokio::test]
async fn verdicts() {
    use Peer::*;
    use ProbeKind::{
        Amqp, Discover, Dns, Fastcgi, Ftp, Grpc, Http, Imap, Kafka, Ldap, Memcached, Mqtt, Mysql,
        Nats, Pop3, Postgresql, Redis, Smtp, Ssh, Tcp, Tls, Zookeeper,
    };
    use Verdict::*;
    let cases = [
        (Http, Answers(OK), Alive, "answers HTTP (status 200)"),
        (
            Http,
            Answers(b"HTTP/1.0 404 Not Found\r\n\r\n"),
            Alive,
            "answers HTTP (status 404)",
        ),
        (
            Http,
            Answers(b"HTTP/1.1 501 No\r\n\r\n"),
            Alive,
            "answers HTTP (status 501)",
        ),
        (Http, Answers(BAD_GATEWAY), Failing, "HTTP 502"),
        (
            Http,
            Discerns(b"HEAD", BAD_GATEWAY, OK),
            Alive,
            "answers HTTP (status 200)",
        ),
        // A cache answers for a backend that is gone; who wants to know asks past it.
        (
            Http,
            Discerns(PLAIN_HEAD, CACHED, BAD_GATEWAY),
            Failing,
            "HTTP 502",
        ),
        (
            Http,
            Discerns(b"HEAD", b"nonsense\r\n", OK),
            Alive,
            "answers HTTP (status 200)",
        ),
        (Http, Answers(b"\x15\x03\x01\x00\x02\x02\x46"), Alive, "TLS"),
        (Http, Answers(PONG), Garbled, "something else"),
        (
            Http,
            Greets(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
            Garbled,
            "SSH-2.0",
        ),
        (Http, Floods, Garbled, "something else"),
        (Http, Closes, Garbled, "without an answer"),
        (Http, IsSilent, Silent, "no answer to HTTP HEAD in 700 ms"),
        (Redis, Discerns(b"*1", PONG, INFO), Alive, "answers PING in"),
        (
            Redis,
            Answers(b"-NOAUTH Authentication required.\r\n"),
            Alive,
            "authentication required",
        ),
        (
            Redis,
            Answers(b"-LOADING Redis is loading\r\n"),
            Starting,
            "loading",
        ),
        (
            Redis,
            Greets(b"-ERR max number of clients reached\r\n"),
            Failing,
            "max number",
        ),
        (Redis, Answers(OK), Garbled, "something else"),
        (Redis, IsSilent, Silent, "no answer to PING in 700 ms"),
        (Redis, Floods, Garbled, "something else"),
        (Postgresql, Answers(b"N"), Alive, "answers"),
        (Postgresql, Answers(b"S"), Alive, "answers"),
        (Postgresql, Answers(PONG), Garbled, "something else"),
        (Postgresql, Closes, Garbled, "without an answer"),
        (Postgresql, IsSilent, Silent, "no answer"),
        (Mysql, Greets(MYSQL), Alive, "greets in"),
        (
            Mysql,
            Greets(b"\x17\0\0\0\xff\x10\x04Too many connections"),
            Failing,
            "Too many connections",
        ),
        (
            Mysql,
            Greets(b"\x17\0\0\0\xff\x69\x04Host 'x' is blocked.."),
            Alive,
            "is blocked",
        ),
        (
            Mysql,
            Greets(b"220 (vsFTPd 3.0.3)\r\n"),
            Garbled,
            "something else",
        ),
        (
            Mysql,
            IsSilent,
            Silent,
            "no answer to a new connection in 700 ms",
        ),
        (
            Memcached,
            Answers(b"VERSION 1.6.18\r\n"),
            Alive,
            "answers version",
        ),
        (
            Memcached,
            Answers(b"CLIENT_ERROR unauthenticated\r\n"),
            Alive,
            "authentication required",
        ),
        (
            Memcached,
            Greets(b"ERROR Too many open connections\r\n"),
            Failing,
            "Too many",
        ),
        (Memcached, Answers(b"ERROR\r\n"), Garbled, "something else"),
        (
            Memcached,
            IsSilent,
            Silent,
            "no answer to version in 700 ms",
        ),
        (Smtp, Greets(b"220 box ESMTP Postfix\r\n"), Alive, "Postfix"),
        (Smtp, Greets(b"421 too busy\r\n"), Failing, "too busy"),
        (Smtp, Floods, Garbled, "something else"),
        (
            Ftp,
            Greets(b"120 in 5 minutes\r\n"),
            Starting,
            "not ready yet",
        ),
        (Imap, Greets(b"* BYE overloaded\r\n"), Failing, "overloaded"),
        (Pop3, Greets(b"-ERR no\r\n"), Failing, "no"),
        (Ssh, Greets(b"SSH-2.0-x\r\n"), Alive, "SSH-2.0-x"),
        (
            Ssh,
            Greets(b"Exceeded MaxStartups\r\n"),
            Failing,
            "Exceeded",
        ),
        (
            Nats,
            Greets(b"-ERR 'maximum connections exceeded'\r\n"),
            Failing,
            "maximum",
        ),
        (
            Zookeeper,
            Answers(b"This ZooKeeper instance is not currently serving requests\n"),
            Failing,
            "serves no requests",
        ),
        (
            Zookeeper,
            Answers(b"srvr is not executed because it is not in the whitelist.\n"),
            Alive,
            "whitelist",
        ),
        (
            Mqtt,
            Answers(b"\x20\x02\0\x05"),
            Alive,
            "authentication required",
        ),
        (Mqtt, Answers(b"\x20\x02\0\x03"), Failing, "unavailable"),
        (Mqtt, Closes, Garbled, "without an answer to CONNECT"),
        (Grpc, Answers(OK), Garbled, "answers"),
        (
            Grpc,
            Answers(NO_HEALTH),
            Alive,
            "without a word on its health",
        ),
        (Amqp, Answers(b"AMQP\0\x01\0\0"), Alive, "another version"),
        (
            Kafka,
            Answers(b"\0\0\0\x0adiog\0\0\0\0\0\0"),
            Alive,
            "ApiVersions",
        ),
        (
            Kafka,
            Answers(b"\0\0\0\x0adiog\0\x08\0\0\0\0"),
            Failing,
            "error 8",
        ),
        (
            Dns,
            Answers(b"\0\x0cdi\x80\x05\0\0\0\0\0\0\0\0"),
            Alive,
            "version.bind",
        ),
        (Dns, IsSilent, Silent, "no answer to version.bind"),
        (
            Ldap,
            Answers(b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x30\x04\0\x04\0"),
            Alive,
            "authentication required",
        ),
        (
            Ldap,
            Answers(b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x34\x04\0\x04\0"),
            Failing,
            "unavailable",
        ),
        (
            Fastcgi,
            Answers(b"\x01\x0b\0\0\0\x08\0\0"),
            Alive,
            "FCGI_GET_VALUES",
        ),
        (
            Tls,
            Answers(b"\x15\x03\x03\0\x02\x02\x28"),
            Alive,
            "alert 40",
        ),
        (Tls, Answers(OK), Garbled, "something else"),
        (Tls, IsSilent, Silent, "no answer to a TLS hello"),
        (Tcp, IsSilent, Alive, "connects"),
        (Tcp, Floods, Alive, "connects"),
        (Discover, Answers(OK), Alive, "answers HTTP (status 200)"),
        (Discover, Floods, Alive, "not known"),
        (Discover, Closes, Alive, "closes"),
        (Discover, IsSilent, Alive, "says nothing"),
    ];
    for (kind, peer, verdict, evidence) in cases {
        let outcome = probe(kind, peer).await;
        assert_eq!(outcome.verdict, verdict, "{kind:?}: {outcome:?}");
        let words = outcome.evidence.to_string();
        assert!(
            words.contains(evidence),
            "{kind:?}: {words:?} lacks {evidence:?}"
        );
    }
}

#[tokio::test]
async fn what_is_learnt() {
    let outcome = probe(ProbeKind::Http, Peer::Answers(OK)).await;
    assert_eq!(outcome.product.unwrap().as_raw(), "nginx");
    assert_eq!(outcome.version.unwrap().as_raw(), "1.22.1");
    let outcome = probe(ProbeKind::Redis, Peer::Discerns(b"*1", PONG, INFO)).await;
    assert_eq!(outcome.version.unwrap().as_raw(), "7.0.15");
}

#[tokio::test]
async fn discovers_the_protocol() {
    let unknown_command = b"-ERR unknown command 'HEAD', with args beginning with: \r\n";
    for (peer, protocol) in [
        (Peer::Answers(OK), "http"),
        // Some find a request without a host bad, and are no TLS servers for that.
        (Peer::Discerns(b"HEAD / HTTP/1.0", BAD_REQUEST, OK), "http"),
        (Peer::Greets(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "ssh"),
        (Peer::Greets(b"220 box ESMTP Postfix\r\n"), "smtp"),
        (Peer::Greets(MYSQL), "mysql"),
        (Peer::Answers(unknown_command), "redis"),
        (Peer::IsSilent, "tcp"),
    ] {
        let outcome = probe(ProbeKind::Discover, peer).await;
        assert_eq!(outcome.protocol.as_deref(), Some(protocol), "{outcome:?}");
    }
}
