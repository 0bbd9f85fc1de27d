//! The search for the path by which an application tells whether it is ready, against small applications.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic in its own helpers too"
)]

use std::sync::{Arc, Mutex};

use diogenes_probes::{Curiosity, Limits, run};
use diogenes_proto::{ProbeKind, ProbeOutcome, ProbeSpec, ProbeTarget, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What an application answers to a method and a path: status, headers, body.
type Application = fn(&str, &str) -> (u16, &'static str, &'static str);

/// An application that listens, and what it was asked.
struct Running {
    target: ProbeTarget,
    asked: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Running {
    async fn start(application: Application) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = Self {
            target: ProbeTarget::Tcp(listener.local_addr().unwrap()),
            asked: Arc::default(),
            connections: Arc::default(),
        };
        let (asked, connections) = (running.asked.clone(), running.connections.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *connections.lock().unwrap() += 1;
                tokio::spawn(serve(stream, application, asked.clone()));
            }
        });
        running
    }

    async fn probe(&self, path: Option<&str>, curiosity: Curiosity) -> ProbeOutcome {
        let spec = ProbeSpec {
            path: path.map(str::to_owned),
            ..ProbeSpec::new(ProbeKind::Http, self.target.clone())
        };
        let limits = Limits {
            curiosity,
            ..Limits::default()
        };
        run(&spec, limits).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers the requests of one connection until one of them wants it closed.
async fn serve(mut stream: TcpStream, application: Application, asked: Arc<Mutex<Vec<String>>>) {
    let mut request = [0; 2048];
    while let Ok(read @ 1..) = stream.read(&mut request).await {
        let text = String::from_utf8_lossy(&request[..read]).into_owned();
        let mut words = text.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        asked.lock().unwrap().push(format!("{method} {path}"));
        let (status, headers, body) = application(method, path);
        let length = body.len();
        let body = if method == "HEAD" { "" } else { body };
        let answer =
            format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        if text.contains("Connection: close") || headers.contains("Connection: close") {
            return;
        }
    }
}

fn rest(_method: &str, path: &str) -> (u16, &'static str, &'static str) {
    match path {
        "/" | "/health" => (200, "", "{\"status\":\"ok\"}"),
        _ => (404, "", "{\"detail\":\"Not Found\"}"),
    }
}

#[tokio::test]
async fn is_found_on_one_connection() {
    let application = Running::start(rest).await;
    let outcome = application.probe(None, Curiosity::Everything).await;
    assert_eq!(outcome.verdict, Verdict::Alive);
    assert_eq!(outcome.path.as_deref(), Some("/health"));
    let asked = application.asked();
    assert_eq!(
        asked,
        [
            "HEAD /",
            "HEAD /diogenes-agent-asks-for-what-nobody-has",
            "HEAD /readyz",
            "HEAD /ready",
            "HEAD /-/ready",
            "HEAD /health",
            "GET /health",
        ]
    );
    assert_eq!(*application.connections.lock().unwrap(), 3);
    // Whoever does not ask for everything is not searched.
    application.probe(None, Curiosity::HealthAndVersion).await;
    assert_eq!(application.asked().len(), asked.len() + 1);
}

#[tokio::test]
async fn is_found_as_frameworks_have_it() {
    let cases: [(Application, Option<&str>); 9] = [
        // FastAPI: HEAD is not allowed where only GET is declared.
        (
            |method, path| match (method, path) {
                ("GET", "/ready") => (200, "", "true"),
                ("HEAD", "/ready") => (405, "Allow: GET\r\n", ""),
                _ => (404, "", ""),
            },
            Some("/ready"),
        ),
        // Django: a slash at the end.
        (
            |_, path| match path {
                "/health" => (301, "Location: /health/\r\n", ""),
                "/health/" => (200, "", "ok"),
                _ => (404, "", ""),
            },
            Some("/health/"),
        ),
        // Express: short texts are text/html.
        (
            |_, path| match path {
                "/healthz" => (200, "Content-Type: text/html\r\n", "OK"),
                _ => (404, "", "<pre>Cannot GET</pre>"),
            },
            Some("/healthz"),
        ),
        // Not ready now, but it is the path.
        (
            |_, path| match path {
                "/readyz" => (503, "", "database: connection refused"),
                "/" => (200, "", ""),
                _ => (404, "", ""),
            },
            Some("/readyz"),
        ),
        // An application of one page has an answer to everything.
        (|_, _| (200, "", "<!doctype html>"), None),
        // One that wants to know first who asks, too.
        (|_, _| (401, "", ""), None),
        // gunicorn's plain workers: one request a connection.
        (
            |_, path| match path {
                "/health" => (200, "Connection: close\r\n", "fine"),
                _ => (404, "Connection: close\r\n", ""),
            },
            Some("/health"),
        ),
        // A page for people.
        (
            |_, path| match path {
                "/status" => (200, "", "<html>All is well</html>"),
                _ => (404, "", ""),
            },
            None,
        ),
        (|_, _| (404, "", ""), None),
    ];
    for (number, (application, path)) in cases.into_iter().enumerate() {
        let application = Running::start(application).await;
        let outcome = application.probe(None, Curiosity::Everything).await;
        assert_eq!(outcome.path.as_deref(), path, "case {number}: {outcome:?}");
        assert!(application.asked().len() <= 13, "{:?}", application.asked());
    }
}

#[tokio::test]
async fn is_asked_and_repeats_what_is_wrong() {
    for (path, verdict, evidence, found) in [
        ("/ready", Verdict::Failing, "HTTP 503 on /ready in ", true),
        (
            "/health",
            Verdict::Alive,
            "answers /health (HTTP 200) in ",
            true,
        ),
        ("/crash", Verdict::Failing, "HTTP 500 on /crash", true),
        (
            "/gone",
            Verdict::Alive,
            "answers HTTP (status 404) in ",
            false,
        ),
        ("/page", Verdict::Failing, "HTTP 502", false),
    ] {
        let application = Running::start(|_, path| match path {
            "/ready" => (503, "", "no database\nat line 7"),
            "/health" => (200, "", "ok"),
            "/crash" => (500, "", ""),
            "/page" => (502, "", "<html>Bad Gateway</html>"),
            _ => (404, "", "<html>Not Found</html>"),
        })
        .await;
        let outcome = application.probe(Some(path), Curiosity::Everything).await;
        assert_eq!(outcome.verdict, verdict, "{path}");
        let words = outcome.evidence.to_string();
        assert!(words.starts_with(evidence), "{path}: {words}");
        assert_eq!(
            words.ends_with(": \"no database\""),
            path == "/ready",
            "{words}"
        );
        assert_eq!(outcome.path.is_some(), found, "{path}");
        assert_eq!(application.asked(), [format!("GET {path}")]);
    }
}

#[tokio::test]
async fn who_says_what_is_expected_is_taken_by_his_word() {
    let answers: Application = |_, path| match path {
        "/page" => (200, "", "<html>a page for people</html>"),
        "/moved" => (302, "Location: /page\r\n", ""),
        "/busy" => (503, "", "no stock"),
        _ => (404, "", "<pre>Cannot GET</pre>"),
    };
    let application = Running::start(answers).await;
    for (path, expected, verdict, words) in [
        (
            "/page",
            (200, 399),
            Verdict::Alive,
            "answers /page (HTTP 200) in ",
        ),
        (
            "/moved",
            (200, 399),
            Verdict::Alive,
            "answers /moved (HTTP 302) in ",
        ),
        (
            "/moved",
            (200, 200),
            Verdict::Failing,
            "HTTP 302 on /moved in ",
        ),
        (
            "/none",
            (200, 399),
            Verdict::Failing,
            "HTTP 404 on /none in ",
        ),
        (
            "/none",
            (404, 404),
            Verdict::Alive,
            "answers /none (HTTP 404) in ",
        ),
        (
            "/busy",
            (503, 503),
            Verdict::Alive,
            "answers /busy (HTTP 503) in ",
        ),
        (
            "/busy",
            (200, 399),
            Verdict::Failing,
            "HTTP 503 on /busy in ",
        ),
    ] {
        let spec = ProbeSpec {
            path: Some(path.to_owned()),
            expected: Some(expected),
            ..ProbeSpec::new(ProbeKind::Http, application.target.clone())
        };
        let outcome = run(&spec, Limits::default()).await;
        assert_eq!(outcome.verdict, verdict, "{path} {expected:?}");
        let told = outcome.evidence.as_raw();
        assert!(told.starts_with(words), "{told}");
        // A page is not repeated, as little as it would be elsewhere.
        assert!(!told.contains('<'), "{told}");
    }
}
