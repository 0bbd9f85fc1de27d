//! Following the events: what comes, what comes again, and how it ends.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;

use super::world::World;
use super::*;
use crate::api::events::{Lost, MAX_FOLLOWERS, STREAM_DEADLINE};
use crate::registry::change::Change;
use crate::registry::journal::Subject;

/// One event as an EventSource would dispatch it.
#[derive(Debug, PartialEq)]
struct Told {
    id: Option<u64>,
    name: String,
    data: Value,
}

/// A stream of events.
struct Following {
    body: BodyDataStream,
    last: Option<u64>,
}

impl Following {
    async fn of(world: &World, query: &str, last: Option<u64>) -> Self {
        let mut request = Request::get(format!("/api/v1/events{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = world.doors[0]
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        let body = response.into_body().into_data_stream();
        Self { body, last }
    }

    /// The next event; signs of life dispatch none.
    async fn next(&mut self) -> Option<Told> {
        loop {
            let block = self.body.next().await?.unwrap();
            let block = std::str::from_utf8(&block).unwrap();
            let field = |name: &str| {
                let mut lines = block.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            let id = field("id").map(|id| id.parse().unwrap());
            self.last = id.or(self.last);
            if let Some(data) = field("data") {
                return Some(Told {
                    id,
                    name: field("event").unwrap().to_owned(),
                    data: serde_json::from_str(data).unwrap(),
                });
            }
        }
    }

    /// The numbers of the next events.
    async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.next().await.unwrap().id.unwrap());
        }
        ids
    }
}

/// Notes changes, and tells their numbers.
fn record(world: &World, count: usize) -> Vec<u64> {
    let change = |reachable| Change::Engine {
        reachable,
        error: None,
    };
    let journal = world.registry.journal();
    (0..count)
        .map(|number| journal.record(None, change(number % 2 == 0), 0).id)
        .collect()
}

#[tokio::test]
async fn an_event_is_told_as_it_is_in_the_journal() {
    let world = World::start().await;
    let mut following = Following::of(&world, "", None).await;
    world
        .registry
        .set_facts(crate::fakes::running("abc1", "shop", 7));
    let told = following.next().await.unwrap();
    assert_eq!(told.name, "container_appeared");
    assert_eq!(told.data["id"], told.id.unwrap());
    assert_eq!(told.data["container"]["ci_name"], "shop-container-ci");
    assert_eq!(told.data["type"], "container_appeared");
}

#[tokio::test]
async fn whoever_comes_back_again_and_again_hears_everything_once() {
    let world = World::start().await;
    let mut all = record(&world, 10);
    let (mut heard, mut last) = (Vec::new(), all[0] - 1);
    for round in 0..20 {
        let mut following = Following::of(&world, "", Some(last)).await;
        all.extend(record(&world, round % 4));
        let count = (all.len() - heard.len()).min(1 + round % 3);
        heard.extend(following.ids(count).await);
        last = *heard.last().unwrap();
        all.extend(record(&world, round % 5));
    }
    let mut following = Following::of(&world, "", Some(last)).await;
    heard.extend(following.ids(all.len() - heard.len()).await);
    assert_eq!(heard, all);
    assert!(
        following.next().now_or_never().is_none(),
        "and nothing else"
    );
}

#[tokio::test]
async fn without_a_number_only_the_future_is_told() {
    let world = World::start().await;
    record(&world, 3);
    let mut following = Following::of(&world, "", None).await;
    let next = record(&world, 2);
    assert_eq!(following.ids(2).await, next);
    assert!(following.next().now_or_never().is_none());
}

#[tokio::test]
async fn the_header_counts_more_than_the_address() {
    let world = World::start().await;
    let ids = record(&world, 3);
    let mut following = Following::of(&world, &format!("?after={}", ids[0]), Some(ids[1])).await;
    assert_eq!(following.ids(1).await, [ids[2]]);
    let mut following = Following::of(&world, &format!("?after={}", ids[0]), None).await;
    assert_eq!(following.ids(2).await, ids[1..]);
}

#[tokio::test]
async fn lost_is_told_before_the_rest() {
    let world = World::start().await;
    let ids = record(&world, 2);
    let oldest = ids[0] - 1;
    let mut following = Following::of(&world, "?after=7", None).await;
    let told = following.next().await.unwrap();
    let lost = Told {
        id: None,
        name: "lost".into(),
        data: serde_json::to_value(Lost { after: 7 }).unwrap(),
    };
    assert_eq!(
        told, lost,
        "the number stays that of the last event that was told"
    );
    assert_eq!(following.ids(3).await, [oldest, ids[0], ids[1]]);
}

#[tokio::test]
async fn who_lags_behind_goes_on_from_the_ring_and_hears_of_what_it_lost() {
    let world = World::start().await;
    let mut following = Following::of(&world, "", None).await;
    let ids = record(&world, 3000);
    assert_eq!(
        following.ids(3000).await,
        ids,
        "more than are broadcast, and nothing is lost"
    );

    let ids = record(&world, 5000);
    let told = following.next().await.unwrap();
    assert_eq!(told.name, "lost");
    let heard = following.ids(4096).await;
    assert_eq!(heard, ids[5000 - 4096..]);
    let next = record(&world, 1);
    assert_eq!(following.ids(1).await, next);
}

#[tokio::test(start_paused = true)]
async fn filters_pass_over_what_is_not_wanted_and_the_number_goes_on() {
    let world = World::start().await;
    for (id, name) in [("abc1", "shop"), ("abc2", "worker")] {
        world.registry.set_facts(crate::fakes::running(id, name, 7));
    }
    let mut following = Following::of(
        &world,
        "?container=shop-container-ci&type=container_renamed,container_removed&after=0",
        None,
    )
    .await;
    assert_eq!(following.next().await.unwrap().name, "lost");
    world
        .registry
        .set_facts(crate::fakes::running("abc1", "shop2", 7));
    assert_eq!(following.next().await.unwrap().data["from"], "shop");
    world.registry.remove("abc2");
    world.registry.remove("abc1");
    let told = following.next().await.unwrap();
    assert_eq!(
        (told.name.as_str(), &told.data["container"]["name"]),
        ("container_removed", &"shop2".into())
    );
    let passed_over = *record(&world, 3).last().unwrap();
    // A sign of life comes, and no event with it.
    let quiet = tokio::time::timeout(Duration::from_secs(20), following.next()).await;
    assert!(quiet.is_err());
    assert_eq!(following.last, Some(passed_over));
}

#[test]
fn every_type_can_be_asked_for() {
    let schema = schemars::schema_for!(Change).to_value();
    let kinds = schema["oneOf"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds
        .map(|kind| kind["properties"]["type"]["const"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, Change::KINDS);
    let change = Change::ContainerRemoved {};
    assert_eq!(
        serde_json::to_value(&change).unwrap()["type"],
        change.kind()
    );
}

#[tokio::test]
async fn places_are_bounded_and_come_back() {
    let world = World::start().await;
    let mut all = Vec::new();
    for _ in 0..MAX_FOLLOWERS {
        all.push(Following::of(&world, "", None).await);
    }
    let one_more = Request::get("/api/v1/events").body(Body::empty()).unwrap();
    let refused = world.doors[0].clone().oneshot(one_more).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    all.pop();
    Following::of(&world, "", None).await;
}

/// A connection to the Unix socket on which the events are followed.
async fn connect(world: &World) -> tokio::net::UnixStream {
    let path = run_dir::api_socket(world.dir.path());
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    stream
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    stream
}

/// Reads until something is there, or the end.
async fn read_until(stream: &mut tokio::net::UnixStream, what: &str) -> String {
    let mut text = String::new();
    let mut part = [0; 1024];
    while !text.contains(what) {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(count) => text += std::str::from_utf8(&part[..count]).unwrap(),
        }
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_read_outlives_other_connections() {
    let world = World::start().await;
    let mut stream = connect(&world).await;
    read_until(&mut stream, "following").await;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(1200) {
        let told = read_until(&mut stream, "following").await;
        assert!(
            told.contains("following"),
            "it ended after {:?}",
            begun.elapsed()
        );
    }
    let id = record(&world, 1)[0];
    let told = read_until(&mut stream, "event: engine").await;
    assert!(told.contains(&format!("id: {id}")), "{told}");
}

#[tokio::test(start_paused = true)]
async fn nobody_holds_a_place_for_ever() {
    let world = World::start().await;
    let (mut forgotten, deaf) = (connect(&world).await, connect(&world).await);
    crate::fakes::until("both follow", || {
        world.api.followers.free() == MAX_FOLLOWERS - 2
    })
    .await;
    // More than the kernel and the server keep for a peer that does not read.
    let subject = Subject {
        id: "abc1".into(),
        name: "shop".into(),
        ci_name: "shop-container-ci".into(),
    };
    let reason = "x".repeat(4000);
    for _ in 0..1000 {
        let change = Change::Companion {
            from: "present".into(),
            to: "silent".into(),
            reason: reason.clone(),
        };
        world
            .registry
            .journal()
            .record(Some(subject.clone()), change, 0);
        read_until(&mut forgotten, "companion").await;
    }
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(
        world.api.followers.free(),
        MAX_FOLLOWERS - 1,
        "the deaf one is gone"
    );
    drop(deaf);
    let begun = tokio::time::Instant::now();
    while !read_until(&mut forgotten, "following").await.is_empty() {}
    assert!(begun.elapsed() < STREAM_DEADLINE + Duration::from_secs(60));
    assert_eq!(world.api.followers.free(), MAX_FOLLOWERS);
}

#[tokio::test]
async fn streams_end_when_the_supervisor_stops() {
    let world = World::start().await;
    let mut stream = connect(&world).await;
    read_until(&mut stream, "following").await;
    world.stop.cancel();
    let ended =
        tokio::time::timeout(Duration::from_secs(1), read_until(&mut stream, "never")).await;
    assert!(ended.unwrap().ends_with("0\r\n\r\n"), "whole, not cut off");
}
