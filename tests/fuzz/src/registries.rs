//! What Tekton's registries, Hermes and Ergon, answer over a real connection. The input's first part is the status of every
//! answer, its second the body, whatever is asked.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use diogenes_tekton::{Address, ExchangeError, ergon, hermes};
use serde_json::Map;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::parts;

/// More is not said of what failed, in characters; about the file format's own words, some are added.
const MAX_ERROR_CHARS: usize = 512;

/// See the module.
pub fn check(bytes: &[u8]) {
    thread_local!(static REGISTRY: RefCell<Registry> = RefCell::new(Registry::new()));
    let parts = parts::of(bytes);
    let status = std::str::from_utf8(parts[0]).ok();
    let status = status.and_then(|text| text.trim().parse().ok());
    let status = status.filter(|status| (200..600).contains(status));
    let body = parts.get(1).copied().unwrap_or_default();
    REGISTRY.with_borrow_mut(|registry| registry.answering(status.unwrap_or(200), body));
}

/// What both clients promise: a success is one, a refusal keeps its status, and neither is told at length.
fn judged<T>(status: u16, result: Result<T, ExchangeError>) -> Option<T> {
    let is_success = (200..300).contains(&status);
    match result {
        Ok(value) => {
            assert!(is_success, "{status} was taken for a success");
            return Some(value);
        }
        Err(ExchangeError::Status { status: told, .. }) => {
            assert!(!is_success && told == status, "{status}, told as {told}");
        }
        Err(ExchangeError::Garbage(_)) => assert!(is_success, "{status} was read"),
        Err(other) => panic!("an answer that came whole, told as: {other}"),
    }
    None
}

/// What is shown to people is short and harms no terminal.
fn shown(error: &ExchangeError) {
    let words = error.to_string();
    assert!(words.chars().count() <= MAX_ERROR_CHARS, "{words}");
    assert!(!words.contains(char::is_control), "{words:?}");
}

async fn hermes(client: &hermes::Client, status: u16, body: &[u8]) {
    let found = client.component("shop-container-ci").await;
    let found = found.inspect_err(shown);
    if status == 404 {
        assert_eq!(found, Ok(None));
    } else if let Some(component) = judged(status, found) {
        let registration = component.expect("there is one").into_registration();
        assert!(!registration.metadata.contains_key("type"));
        let registered = client.register(&registration).await.inspect_err(shown);
        if let Some(token) = judged(status, registered) {
            // What was taken for a token can be shown again.
            let beaten = client.beat("shop-container-ci", &token, true).await;
            judged(status, beaten.inspect_err(shown));
            let left = client.unregister("shop-container-ci", &token).await;
            judged(status, left.inspect_err(shown));
        }
    }
    let all = client.components(false).await.inspect_err(shown);
    let all = judged(status, all).unwrap_or_default();
    assert!(all.len() <= body.len());
    let listed = client.answer(&hermes::Request::List, |_| true).await;
    match listed {
        hermes::Answer::Listed(ours) => assert_eq!(ours.len(), all.len()),
        hermes::Answer::Unauthorized => assert_eq!(status, 401),
        hermes::Answer::Refused(_) => assert!((400..500).contains(&status)),
        hermes::Answer::Failed(_) => {}
        other => panic!("a list, answered by {other:?}"),
    }
}

async fn ergon(client: &ergon::Client, status: u16) {
    let found = client.get("container-0").await.inspect_err(shown);
    if status == 404 {
        assert_eq!(found, Ok(None));
    } else {
        judged(status, found);
    }
    judged(status, client.kinds().await.inspect_err(shown));
    let solution = solution();
    let stored = client.store(&solution).await.inspect_err(shown);
    if let Some(stored) = judged(status, stored) {
        assert_eq!((stored.id, stored.is_new), (solution.id(), false));
    }
}

/// Any will do: its id stands in one of the kept inputs.
fn solution() -> ergon::Solution {
    ergon::Solution {
        name: "shop".into(),
        version: "1.0.0".into(),
        source: ergon::Source {
            project_id: None,
            sprint_id: None,
            location: "/srv/shop".into(),
        },
        content: ergon::Content {
            image: "shop:1".into(),
            image_id: "sha256:ab".into(),
            image_digests: Vec::new(),
            docker_config: ergon::DockerConfig::default(),
        },
        metadata: Map::new(),
    }
}

/// Something that gives one answer to everything, and those who ask it.
struct Registry {
    runtime: Runtime,
    answer: Arc<Mutex<Vec<u8>>>,
    hermes: hermes::Client,
    ergon: ergon::Client,
}

impl Registry {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))))
            .expect("a port of our own");
        let port = listener.local_addr().expect("its address").port();
        let answer = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(serve(listener, Arc::clone(&answer)));
        let address = Address::parse(&format!("http://127.0.0.1:{port}")).expect("an address");
        Self {
            runtime,
            answer,
            hermes: hermes::Client::new(address.clone()).expect("a client"),
            ergon: ergon::Client::new(address).expect("a client"),
        }
    }

    fn answering(&self, status: u16, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        *self.answer.lock().expect("the answer") = [head.as_bytes(), body].concat();
        // These have no body, whatever their length says.
        let body = if matches!(status, 204 | 304) {
            b""
        } else {
            body
        };
        self.runtime.block_on(async {
            hermes(&self.hermes, status, body).await;
            ergon(&self.ergon, status).await;
        });
    }
}

async fn serve(listener: TcpListener, answer: Arc<Mutex<Vec<u8>>>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let answer = answer.lock().expect("the answer").clone();
        tokio::spawn(speak(stream, answer));
    }
}

/// Hears a question to its end, for who closes before that loses what was said, and answers it.
async fn speak(mut stream: TcpStream, answer: Vec<u8>) {
    let mut question = Vec::new();
    while !is_whole(&question) {
        if !matches!(stream.read_buf(&mut question).await, Ok(1..)) {
            return;
        }
    }
    // Gone without a trace: hundreds a second would leave no port free.
    let _ = stream.set_zero_linger();
    if stream.write_all(&answer).await.is_ok() {
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut [0]).await;
    }
}

/// Whether a question's head is there, and as much behind it as it says.
fn is_whole(question: &[u8]) -> bool {
    let text = String::from_utf8_lossy(question).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.map_or(0, |length| length.trim().parse().expect("a length"))
}
