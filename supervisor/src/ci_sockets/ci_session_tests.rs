use diogenes_proto::Health;
use tokio::net::UnixStream;

use super::*;
use crate::fakes::{FakeEngine, Peer, report, running};
use crate::session::Session;

struct World {
    client: Peer,
    registry: Arc<Registry>,
}

/// A client on the socket of a container, with or without a companion.
async fn start(attended: bool) -> World {
    let registry = Arc::new(Registry::default());
    registry.set_facts(running("c1", "shop", 7));
    if attended {
        let (near, peer) = Peer::pair();
        tokio::spawn(peer.serve(report(Health::Degraded)));
        let (session, handle, _) = Session::greet(near)
            .await
            .map_err(|end| end.to_string())
            .unwrap();
        registry.set_session("c1", Some(handle));
        tokio::spawn(session.run(tokio_util::sync::CancellationToken::new(), |_| ()));
    }
    let (near, far) = UnixStream::pair().unwrap();
    let relay = Arc::new(Relay::new(
        Arc::new(FakeEngine::default()),
        registry.clone(),
    ));
    let who = Who::Process {
        uid: 1000,
        pid: Some(7),
    };
    tokio::spawn(serve(near, who, "c1".into(), registry.clone(), relay));
    World {
        client: Peer::new(far),
        registry,
    }
}

impl World {
    async fn said(&mut self, line: &str) -> serde_json::Value {
        self.client.raw(format!("{line}\n").as_bytes()).await;
        self.heard().await
    }

    async fn heard(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.client.line().await.expect("a line")).unwrap()
    }

    async fn greet(&mut self) {
        self.client.greet().await;
        assert_eq!(self.heard().await["type"], "hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_talks_to_the_companion_as_if_it_were_inside() {
    let mut world = start(true).await;
    world.greet().await;
    let answer = world
        .said(r#"{"type":"ask","id":5,"question":"status"}"#)
        .await;
    assert_eq!(
        (&answer["type"], &answer["id"]),
        (&"answer".into(), &5.into())
    );
    assert_eq!(
        answer["text"], "status? I am shop ",
        "the host's facts are added"
    );
    let reported = world.said(r#"{"type":"report","id":6}"#).await;
    assert_eq!(
        (&reported["type"], &reported["id"], &reported["health"]),
        (&"report".into(), &6.into(), &"degraded".into())
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_companion_questions_are_answered_and_the_rest_is_refused() {
    let mut world = start(false).await;
    world.greet().await;
    assert_eq!(
        world
            .said(r#"{"type":"ask","id":1,"question":"status"}"#)
            .await["type"],
        "answer"
    );
    let refused = world.said(r#"{"type":"ping","id":2}"#).await;
    assert_eq!(
        (&refused["code"], &refused["retryable"], &refused["id"]),
        (&"not_found".into(), &true.into(), &2.into())
    );
    world.registry.remove("c1");
    assert_eq!(
        world
            .said(r#"{"type":"ask","id":3,"question":"status"}"#)
            .await["code"],
        "not_found"
    );
}

#[tokio::test(start_paused = true)]
async fn nonsense_gets_typed_errors() {
    let mut world = start(true).await;
    world.greet().await;
    assert_eq!(world.said("garbage").await["code"], "malformed");
    let unsupported = world.said(r#"{"type":"fly","id":9}"#).await;
    assert_eq!(
        (&unsupported["code"], &unsupported["id"]),
        (&"unsupported".into(), &9.into())
    );
    assert_eq!(
        world.said(r#"{"type":"ask","id":9}"#).await["code"],
        "invalid"
    );
    assert_eq!(
        world.said(r#"{"type":"ask","id":10,"question":"x"}"#).await["type"],
        "answer",
        "the session lives"
    );
}

#[tokio::test(start_paused = true)]
async fn what_acts_is_refused_and_counted() {
    let mut world = start(true).await;
    world.greet().await;
    for id in [3, 4] {
        let line = format!(r#"{{"type":"act","id":{id},"plan":"rm -rf /"}}"#);
        let refused = world.said(&line).await;
        assert_eq!(
            (&refused["code"], &refused["id"], &refused["retryable"]),
            (&"forbidden".into(), &id.into(), &false.into())
        );
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("diogenes"), "{message}");
    }
    assert_eq!(world.registry.audit().count(), 2);
    let pong = world.said(r#"{"type":"ping","id":5}"#).await;
    assert_ne!(pong["type"], "error", "the session lives");
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_hello_ends() {
    for first in ["garbage\n", "{\"type\":\"ping\"}\n", "{\"type\":\"hel"] {
        let mut world = start(true).await;
        world.client.raw(first.as_bytes()).await;
        assert_eq!(world.heard().await["type"], "hello");
        assert_eq!(world.heard().await["code"], "hello_expected", "{first}");
        assert_eq!(world.client.line().await, None);
    }
}

#[tokio::test]
async fn a_line_beyond_the_limit_ends_the_session_with_a_typed_error() {
    let mut world = start(true).await;
    world.greet().await;
    world.client.raw(&vec![b'x'; 300 * 1024]).await;
    assert_eq!(world.heard().await["code"], "line_too_long");
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_is_told_to_go() {
    let mut world = start(true).await;
    world.greet().await;
    world.client.raw(b"{\"type\":\"pi").await;
    assert_eq!(world.heard().await["type"], "error");
    assert_eq!(world.client.line().await, None);
}
