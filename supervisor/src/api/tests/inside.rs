//! Paging through what a companion sees.

use std::time::Duration;

use diogenes_proto::{Health, Message, SnapshotPage};
use serde_json::Value;

use super::world::{World, get};
use crate::fakes::{Peer, SNAPSHOT_HASH, report, snapshot};
use crate::session::Session;

async fn look(world: &World, path: &str) -> (u16, Value) {
    get(reqwest::Client::new().get(format!("{}/api/v1/containers/{path}", world.tcp))).await
}

/// All items of a list, page by page as each page says, and the number of pages.
async fn read(world: &World, list: &str, limit: usize) -> (Vec<Value>, usize) {
    let (mut items, mut pages) = (Vec::new(), 0);
    let mut next = Some(format!("{list}?limit={limit}"));
    while let Some(path) = next {
        let (status, page) = look(world, &format!("shop/{path}")).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(
            (&page["hash"], &page["offset"]),
            (&SNAPSHOT_HASH.into(), &items.len().into())
        );
        let found = page[list].as_array().unwrap();
        assert!((1..=limit).contains(&found.len()), "{}", found.len());
        items.extend(found.iter().cloned());
        next = page["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    (items, pages)
}

#[tokio::test]
async fn pages_join_without_gap_or_repetition() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let seen = snapshot();
    for (limit, pages) in [(1000, 2), (400, 3), (399, 4)] {
        let (processes, read_in) = read(&world, "processes", limit).await;
        let pids: Vec<_> = processes
            .iter()
            .map(|process| process["container_pid"].as_u64().unwrap())
            .collect();
        assert_eq!(pids, (1..=seen.processes.len() as u64).collect::<Vec<_>>());
        assert_eq!(read_in, pages);
    }
    for (limit, pages) in [(1000, 1), (150, 1), (149, 2), (70, 3)] {
        let (listeners, read_in) = read(&world, "listeners", limit).await;
        let ports: Vec<_> = listeners
            .iter()
            .map(|listener| listener["port"].as_u64().unwrap())
            .collect();
        assert_eq!(ports, (8000..8150).collect::<Vec<_>>());
        assert_eq!(read_in, pages);
    }
}

#[tokio::test]
async fn a_snapshot_is_told_as_the_companion_has_it() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let (_, first) = look(&world, "shop/snapshot").await;
    let (hash, next) = (first["hash"].as_str().unwrap(), &first["next"]);
    let (_, second) = look(&world, &format!("shop/snapshot?hash={hash}&offset={next}")).await;
    assert_eq!((&second["offset"], &second["hash"]), (next, &hash.into()));
    assert!(first.get("resources").is_some() && second.get("resources").is_none());
}

#[tokio::test]
async fn a_container_cannot_tell_what_is_on_the_host() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    assert!(
        snapshot().processes[0].host_pid.is_some(),
        "the fake claims to know"
    );
    for path in ["shop/snapshot", "shop/processes"] {
        let (_, page) = look(&world, path).await;
        assert!(page["processes"][0].get("host_pid").is_none(), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_said_with_what_to_do() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let facts = crate::fakes::running("abc2", "alone", 8);
    world.registry.set_facts(facts);
    for (path, status, code, words) in [
        (
            "shop/snapshot?hash=0ld",
            404,
            "no_such_snapshot",
            "ask without a hash",
        ),
        (
            "shop/processes?hash=0ld",
            404,
            "no_such_snapshot",
            "ask without a hash",
        ),
        (
            "shop/listeners?hash=",
            404,
            "no_such_snapshot",
            "ask without a hash",
        ),
        (
            "shop/snapshot?offset=4000000000",
            404,
            "no_such_snapshot",
            "ask without a hash",
        ),
        (
            "shop/processes?limit=0",
            400,
            "bad_query",
            "between 1 and 1000",
        ),
        (
            "shop/processes?limit=1001",
            400,
            "bad_query",
            "between 1 and 1000",
        ),
        ("shop/processes?offset=-1", 400, "bad_query", "offset"),
        ("alone/processes", 409, "no_companion", "turn has not come"),
    ] {
        let (got, problem) = look(&world, path).await;
        assert_eq!(
            (got, problem["code"].as_str()),
            (status, Some(code)),
            "{path}: {problem}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(words),
            "{path}: {problem}"
        );
    }
}

/// A companion that answers every request with what `say` makes of its number.
async fn with_a_liar(say: impl Fn(u32) -> Message + Send + 'static) -> World {
    let world = World::start().await;
    world
        .registry
        .set_facts(crate::fakes::running("abc1", "shop", 7));
    let (near, mut peer) = Peer::pair();
    tokio::spawn(async move {
        peer.greet().await;
        let mut asked = 0;
        while let Some(request) = peer.request().await {
            peer.say(request.id, &say(asked)).await;
            asked += 1;
        }
    });
    let (session, handle, _) = Session::greet(near).await.unwrap();
    tokio::spawn(session.run(world.stop.clone(), |_| {}));
    world.registry.set_session("abc1", Some(handle));
    world
}

#[tokio::test]
async fn a_companion_that_lies_is_found_out_and_costs_little() {
    let page = |hash: &str, offset, next| SnapshotPage {
        hash: hash.into(),
        offset,
        total: u32::MAX,
        next,
        ..SnapshotPage::default()
    };
    type Lie = Box<dyn Fn(u32) -> Message + Send>;
    let lies: [(&str, Lie); 4] = [
        (
            "it goes round",
            Box::new(move |_| Message::Snapshot(Box::new(page("1", 0, Some(0))))),
        ),
        (
            "it never ends",
            Box::new(move |asked| Message::Snapshot(Box::new(page("1", asked, Some(asked + 1))))),
        ),
        (
            "it is another",
            Box::new(move |asked| {
                Message::Snapshot(Box::new(page(&asked.to_string(), asked, Some(asked + 1))))
            }),
        ),
        (
            "it is none",
            Box::new(|_| Message::Report(Box::new(report(Health::Healthy)))),
        ),
    ];
    for (lie, say) in lies {
        let world = with_a_liar(say).await;
        for list in ["processes", "listeners"] {
            let path = format!("shop/{list}");
            let told = tokio::time::timeout(Duration::from_secs(5), look(&world, &path)).await;
            let (status, problem) = told.unwrap();
            assert_eq!(
                (status, &problem["code"]),
                (502, &"strange_companion".into()),
                "{lie}: {problem}"
            );
        }
    }
}
