//! Reading logs over HTTP: line by line, for as long as somebody reads.

use std::time::Duration;

use diogenes_engine::{LogLine, LogStream};
use serde_json::Value;
use tokio::sync::mpsc;

use super::world::World;
use super::*;
use crate::logs::{Item, Query};

async fn world() -> World {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    world
}

#[tokio::test]
async fn lines_come_as_json_through_both_doors() {
    let world = world().await;
    *world.engine.logs.lock().unwrap() = vec!["one".into(), "two \u{1b}[2J".into()];
    let mut lines = world.client.logs("shop", &Query::default()).await.unwrap();
    let mut items = Vec::new();
    while let Some(line) = lines.next().await.unwrap() {
        items.push(Item::decode(&line).unwrap());
    }
    let [Item::Sources { sources }, Item::Line(one), Item::Line(_)] = items.as_slice() else {
        panic!("{items:?}")
    };
    assert_eq!(*sources, ["stdout".into(), "stderr".into()]);
    assert_eq!((one.source.as_raw(), one.text.as_raw()), ("stdout", "one"));

    let url = format!("{}/api/v1/containers/shop/logs?tail=1", world.tcp);
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let last = text.lines().last().unwrap();
    let keys = "{\"at\":null,\"source\":\"stdout\",\"text\":\"two \\u001b[2J\"}";
    assert_eq!((last, text.lines().count()), (keys, 2));
}

#[tokio::test]
async fn what_cannot_be_asked_is_said_with_what_can() {
    let world = world().await;
    for (query, code, words) in [
        (
            "since=yesterday",
            "bad_query",
            "is no moment; give one like",
        ),
        (
            "grep=a(b",
            "bad_query",
            "makes no sense at character 2: unclosed group",
        ),
        ("tail=-1", "bad_query", "tail"),
        (
            "follow=true&until=1m",
            "bad_query",
            "leave out either follow or until",
        ),
        (
            "sinse=1m",
            "bad_query",
            "there are follow, grep, service, since",
        ),
        (
            "service=redis",
            "no_such_service",
            "no service here is called \"redis\"",
        ),
    ] {
        let url = format!("{}/api/v1/containers/shop/logs?{query}", world.tcp);
        let (_, problem): (_, Value) = get(reqwest::Client::new().get(url)).await;
        assert_eq!(problem["code"], code, "{query}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{query}: {detail}");
    }
}

#[tokio::test]
async fn following_ends_with_the_supervisor() {
    let world = world().await;
    let (output, receiver) = mpsc::unbounded_channel();
    *world.engine.output.lock().unwrap() = Some(receiver);
    let query = Query {
        follow: true,
        ..Query::default()
    };
    let mut lines = world.client.logs("shop", &query).await.unwrap();
    lines.next().await.unwrap().unwrap();
    let line = LogLine {
        at: None,
        stream: LogStream::Stderr,
        text: "live".into(),
    };
    output.send(Ok(line)).unwrap();
    let told = lines.next().await.unwrap().unwrap();
    assert_eq!(
        String::from_utf8(told).unwrap(),
        "{\"at\":null,\"source\":\"stderr\",\"text\":\"live\"}"
    );
    world.stop.cancel();
    let last = lines.next().await.unwrap().unwrap();
    let note = "the supervisor stops".to_owned();
    assert_eq!(Item::decode(&last).unwrap(), Item::Note { note });
    let ended = tokio::time::timeout(Duration::from_secs(2), lines.next()).await;
    assert_eq!(ended.unwrap().unwrap(), None, "it ends, and does not break");
    output.closed().await;
}
