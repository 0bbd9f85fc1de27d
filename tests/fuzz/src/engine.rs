//! What an Engine says of its containers and images, over a real socket: the input is the body of every answer, once as a
//! description, a list, events and a log, and once as the words of a refusal.

use std::cell::RefCell;
use std::path::PathBuf;

use diogenes_engine::{
    Bytes, ContainerFacts, Docker, Endpoint, Engine, EngineError, Images, Listing,
};
use diogenes_proto::line::{decode, encode};
use diogenes_proto::{Request, Timestamp};
use futures_util::{StreamExt, stream};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};

/// More lines than this are not asked for.
const LOG_LINES: u32 = 5;
/// Published ports that are kept of one container.
const MAX_PUBLISHED: usize = 64;

/// See the module.
pub fn check(body: &[u8]) {
    thread_local!(static DAEMON: RefCell<Daemon> = RefCell::new(Daemon::new()));
    DAEMON.with_borrow_mut(|daemon| {
        let docker = Docker::new(Endpoint::Unix(daemon.socket.clone()));
        daemon.answering(200, body, async {
            if let Ok(facts) = docker.inspect("4f5e1c8b7a6d").await {
                described(&facts);
            }
            for listing in docker.list().await.unwrap_or_default() {
                listed(listing);
            }
            let events = docker.events(Timestamp::from_unix_ms(0));
            let events = events.filter_map(|event| std::future::ready(event.ok()));
            assert!(events.count().await <= body.len());
            let log = docker.log_tail("4f5e1c8b7a6d", LOG_LINES).await;
            assert!(log.unwrap_or_default().len() <= LOG_LINES as usize);
            for image in docker.images().await.unwrap_or_default() {
                assert!(image.names.iter().all(|name| !name.starts_with("<none>")));
            }
            let exported = docker.export_image("4f5e1c8b7a6d");
            let pieces: Vec<_> = exported
                .filter_map(async |piece| piece.ok())
                .collect()
                .await;
            assert_eq!(pieces.concat(), body);
            let archive = stream::iter([Ok(Bytes::from_static(b"archive"))]).boxed();
            let _ = docker.import_image(archive).await;
        });
        daemon.answering(500, body, async {
            match docker.inspect("4f5e1c8b7a6d").await {
                Err(EngineError::Api { .. }) => {}
                other => panic!("a refusal, understood as {other:?}"),
            }
        });
    });
}

/// The facts hold together, and reach an agent as they are.
fn described(facts: &ContainerFacts) {
    assert!(facts.init_pid != Some(0));
    assert!(facts.memory_limit_bytes != Some(0));
    assert!(facts.started_at != Some(Timestamp::default()));
    assert!(facts.exit_code.is_none() || !facts.state.has_processes());
    assert!(
        facts
            .labels
            .keys()
            .all(|key| key.starts_with("io.diogenes."))
    );
    assert!(facts.published.len() <= MAX_PUBLISHED);
    assert!(
        facts
            .published
            .is_sorted_by_key(|port| (port.container_port, port.host_port))
    );
    assert!(facts.id.starts_with(facts.short_id()));
    let request = Request::Ask {
        question: "status".to_owned(),
        facts: Some(Box::new(facts.to_host_facts().fitted())),
    };
    let line = encode(Some(u64::MAX), &request).expect("facts fit a line");
    let read = decode::<Request>(line.as_bytes()).expect("facts can be read");
    assert_eq!(read.body, request);
}

fn listed(listing: Listing) {
    assert!(!listing.name.starts_with('/'));
    let (id, state) = (listing.id.clone(), listing.state);
    let facts = ContainerFacts::from_listing(listing);
    assert_eq!((facts.id, facts.state), (id, state));
}

/// An Engine that gives one answer to everything.
struct Daemon {
    runtime: Runtime,
    listener: UnixListener,
    socket: PathBuf,
    _directory: TempDir,
}

impl Daemon {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let directory = tempfile::tempdir().expect("a temporary folder");
        let socket = directory.path().join("docker.sock");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&socket).expect("a socket of our own")
        };
        Self {
            runtime,
            listener,
            socket,
            _directory: directory,
        }
    }

    /// Answers whatever is asked, until the asker is done.
    fn answering(&self, status: u16, body: &[u8], asker: impl Future<Output = ()>) {
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let answer = [head.as_bytes(), body].concat();
        self.runtime.block_on(async {
            tokio::select! {
                () = asker => {}
                () = self.serve(&answer) => unreachable!("it serves until the asker is done"),
            }
        });
    }

    async fn serve(&self, answer: &[u8]) {
        loop {
            let (stream, _) = self.listener.accept().await.expect("a connection");
            speak(stream, answer).await;
        }
    }
}

/// The head of a question ends with an empty line; what may follow it is not waited for.
async fn speak(mut stream: UnixStream, answer: &[u8]) {
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut question).await, Ok(1..)) {
            return;
        }
    }
    if stream.write_all(answer).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}
