use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt as _;
use tokio::time::advance;

use super::*;
use crate::fakes::{Peer, report};
use diogenes_proto::{Answer, Health};

/// What was observed, in words.
type Log = Arc<Mutex<Vec<String>>>;

struct Running {
    peer: Peer,
    handle: SessionHandle,
    log: Log,
    close: CancellationToken,
    end: tokio::task::JoinHandle<SessionEnd>,
}

async fn start() -> Running {
    let (near, mut peer) = Peer::pair();
    peer.greet().await;
    let (session, handle, hello) = Session::greet(near)
        .await
        .map_err(|end| end.to_string())
        .unwrap();
    assert_eq!(hello.build, "diogenes-agent 0.0.0-fake");
    assert!(peer.line().await.unwrap().contains("\"hello\""));
    let (log, close) = (Log::default(), CancellationToken::new());
    let observed = log.clone();
    let observe = move |observation: Observation| {
        observed.lock().unwrap().push(match observation {
            Observation::Report(report) => format!("report {}", report.health),
            Observation::FellSilent => "silent".into(),
            Observation::SpokeAgain => "spoke".into(),
            Observation::AskedWithoutRight { kind } => format!("asked {kind}"),
        });
    };
    let end = tokio::spawn(session.run(close.clone(), observe));
    Running {
        peer,
        handle,
        log,
        close,
        end,
    }
}

fn ask() -> Request {
    Request::Ask {
        question: "status".into(),
        facts: None,
    }
}

fn answer(text: &str) -> Message {
    Message::Answer(Box::new(Answer {
        text: text.into(),
        ..Answer::default()
    }))
}

async fn greeting_of(bytes: &[u8]) -> (SessionEnd, String) {
    let (near, mut peer) = Peer::pair();
    peer.raw(bytes).await;
    let end = Session::greet(near).await.map(|_| ()).unwrap_err();
    let mut told = String::new();
    while let Some(line) = peer.line().await {
        told = line;
    }
    (end, told)
}

#[tokio::test(start_paused = true)]
async fn a_session_begins_with_a_hello_or_not_at_all() {
    for (bytes, code) in [
        (&b"{\"type\":\"pong\"}\n"[..], "hello_expected"),
        (b"\xff\xfe\n", "hello_expected"),
        (
            b"{\"type\":\"hello\",\"protocol\":{\"min\":7,\"max\":9},\"build\":\"x\"}\n",
            "version_mismatch",
        ),
        // Half a line: the deadline comes.
        (b"{\"type\":\"hel", "hello_expected"),
    ] {
        let (end, told) = greeting_of(bytes).await;
        assert!(matches!(end, SessionEnd::Misbehaved(_)), "{end:?}");
        assert!(told.contains(&format!("\"code\":\"{code}\"")), "{told}");
    }
    let (near, peer) = Peer::pair();
    drop(peer);
    assert!(Session::greet(near).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn replies_find_their_askers_in_any_order() {
    let Running {
        mut peer,
        handle,
        log,
        close,
        end,
    } = start().await;
    let asking = |handle: SessionHandle| {
        tokio::spawn(async move { handle.request(ask(), Duration::from_secs(1)).await })
    };
    let (first, second) = (asking(handle.clone()), asking(handle.clone()));
    let (one, two) = (
        peer.request().await.unwrap().id,
        peer.request().await.unwrap().id,
    );
    peer.say(two, &answer("two")).await;
    peer.say(None, &Message::Report(Box::new(report(Health::Degraded))))
        .await;
    peer.say(
        one,
        &Message::Error(WireError::new(ErrorCode::NotFound, "no")),
    )
    .await;
    peer.say(Some(99), &answer("nobody asked")).await;
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert!(
        [&first, &second]
            .iter()
            .any(|reply| **reply == Ok(answer("two"))),
        "{first:?} {second:?}"
    );
    assert!(
        [&first, &second]
            .iter()
            .any(|reply| matches!(reply, Err(RequestError::Refused(_)))),
        "{first:?} {second:?}"
    );
    assert_eq!(*log.lock().unwrap(), ["report degraded"]);
    close.cancel();
    assert_eq!(end.await.unwrap(), SessionEnd::Closed);
    assert_eq!(
        handle.request(ask(), Duration::from_secs(1)).await,
        Err(RequestError::Gone)
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let Running {
        mut peer, handle, ..
    } = start().await;
    assert_eq!(
        handle.request(ask(), Duration::from_secs(1)).await,
        Err(RequestError::TimedOut(Duration::from_secs(1)))
    );
    let late = peer.request().await.unwrap().id;
    peer.say(late, &answer("late")).await;
    // The session goes on.
    let asked = tokio::spawn(async move { handle.request(ask(), Duration::from_secs(1)).await });
    let id = peer.request().await.unwrap().id;
    peer.say(id, &answer("in time")).await;
    assert_eq!(asked.await.unwrap(), Ok(answer("in time")));
}

#[tokio::test(start_paused = true)]
async fn requests_without_answers_are_bounded() {
    let Running {
        peer: _peer,
        handle,
        ..
    } = start().await;
    let mut asked = Vec::new();
    for _ in 0..3 * MAX_PENDING {
        let handle = handle.clone();
        asked.push(tokio::spawn(async move {
            handle.request(ask(), Duration::from_secs(1)).await
        }));
    }
    let mut busy = 0;
    for asked in asked {
        match asked.await.unwrap() {
            Err(RequestError::Busy) => busy += 1,
            reply => assert!(matches!(reply, Err(RequestError::TimedOut(_))), "{reply:?}"),
        }
    }
    assert!(busy >= MAX_PENDING, "{busy}");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_agent_is_pinged_and_then_silent_and_then_given_up() {
    let Running {
        mut peer, log, end, ..
    } = start().await;
    let start = Instant::now();
    assert!(peer.line().await.unwrap().contains("\"ping\""));
    assert_eq!(start.elapsed().as_secs(), 10);
    tokio::time::sleep(Duration::from_millis(5100)).await;
    assert_eq!(*log.lock().unwrap(), ["silent"]);
    peer.say(Some(0), &Message::Pong {}).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(*log.lock().unwrap(), ["silent", "spoke"]);
    assert_eq!(end.await.unwrap(), SessionEnd::Silent);
    assert_eq!(*log.lock().unwrap(), ["silent", "spoke", "silent"]);
    assert_eq!(start.elapsed().as_secs(), 75);
}

#[tokio::test(start_paused = true)]
async fn a_standstill_of_our_own_is_not_the_agents_silence() {
    let Running { mut peer, log, .. } = start().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Stopped for ten minutes: all timers fire at once.
    advance(Duration::from_secs(600)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(log.lock().unwrap().is_empty());
    assert!(peer.line().await.unwrap().contains("\"ping\""));
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_answered_and_the_session_lives() {
    let Running { mut peer, log, .. } = start().await;
    for (line, code, id) in [
        ("garbage", "malformed", None),
        (r#"{"type":"fly","id":7}"#, "unsupported", Some(7)),
        (r#"{"type":"report","id":8}"#, "invalid", Some(8)),
    ] {
        peer.raw(format!("{line}\n").as_bytes()).await;
        let told: serde_json::Value = serde_json::from_str(&peer.line().await.unwrap()).unwrap();
        assert_eq!(
            (told["code"].as_str(), told["id"].as_u64()),
            (Some(code), id),
            "{line}"
        );
    }
    peer.raw(b"\xff\xff\xff\n").await;
    assert!(peer.line().await.unwrap().contains("malformed"));
    peer.say(None, &Message::Report(Box::new(report(Health::Healthy))))
        .await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(*log.lock().unwrap(), ["report healthy"]);
}

#[tokio::test(start_paused = true)]
async fn too_much_nonsense_ends_the_session() {
    let Running { mut peer, end, .. } = start().await;
    peer.raw("garbage\n".repeat(MAX_BAD_LINES as usize + 1).as_bytes())
        .await;
    assert!(matches!(end.await.unwrap(), SessionEnd::Misbehaved(_)));
}

#[tokio::test]
async fn a_line_beyond_the_limit_ends_the_session_with_a_typed_error() {
    let Running { mut peer, end, .. } = start().await;
    let long = vec![b'x'; 300 * 1024];
    let told = async {
        peer.raw(&long).await;
        peer.line().await.unwrap()
    };
    let (told, end) = tokio::join!(told, end);
    assert!(told.contains("line_too_long"), "{told}");
    assert!(matches!(end.unwrap(), SessionEnd::Misbehaved(_)));
}

#[tokio::test(start_paused = true)]
async fn a_hangup_is_seen_at_once() {
    let Running { mut peer, end, .. } = start().await;
    peer.raw(b"{\"type\":\"po").await;
    drop(peer);
    let start = Instant::now();
    assert!(matches!(
        end.await.unwrap(),
        SessionEnd::Hangup | SessionEnd::Broken(_)
    ));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn an_agent_that_does_not_read_cannot_hold_its_session() {
    let (near, far) = UnixStream::pair().unwrap();
    let (mut reader, writer) = far.into_split();
    let hello = serde_json::to_string(&Hello::new("x")).unwrap();
    writer.writable().await.unwrap();
    writer.try_write(format!("{hello}\n").as_bytes()).unwrap();
    let (session, handle, _) = Session::greet(near)
        .await
        .map_err(|end| end.to_string())
        .unwrap();
    reader.read_u8().await.unwrap();
    let end = tokio::spawn(session.run(CancellationToken::new(), |_| ()));
    let question = Request::Ask {
        question: "x".repeat(100_000),
        facts: None,
    };
    for _ in 0..10 {
        let (handle, question) = (handle.clone(), question.clone());
        tokio::spawn(async move { handle.request(question, Duration::from_secs(1)).await });
    }
    assert!(
        matches!(end.await.unwrap(), SessionEnd::Broken(reason) if reason.contains("does not read"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_asks_is_refused_and_told_of() {
    let mut running = start().await;
    for kind in ["ask", "act", "ping"] {
        let line = format!("{{\"id\":5,\"type\":\"{kind}\",\"question\":\"whose secrets?\"}}\n");
        running.peer.raw(line.as_bytes()).await;
        let reply: serde_json::Value =
            serde_json::from_str(&running.peer.line().await.unwrap()).unwrap();
        assert_eq!(
            (&reply["code"], &reply["id"]),
            (&"forbidden".into(), &5.into()),
            "{kind}"
        );
    }
    running.peer.raw(b"{\"id\":6,\"type\":\"fly\"}\n").await;
    let reply = running.peer.line().await.unwrap();
    assert!(reply.contains("unsupported"), "{reply}");
    assert_eq!(
        *running.log.lock().unwrap(),
        ["asked ask", "asked act", "asked ping"]
    );
    // It does not go on for ever.
    let flood = "{\"type\":\"act\"}\n".repeat(MAX_BAD_LINES as usize);
    running.peer.raw(flood.as_bytes()).await;
    let end = running.end.await.unwrap();
    assert!(matches!(end, SessionEnd::Misbehaved(_)), "{end}");
}
