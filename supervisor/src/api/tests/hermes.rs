//! A Hermes beside two hundred companions: what it is told, and that nobody notices it where it behaves badly.
//!
//! Counted, not timed: connections, requests under way, and that every question and every page is answered.

use diogenes_engine::{ContainerFacts, ContainerState};
use std::time::Duration;

use diogenes_proto::{Finding, Health, Service, Severity, Timestamp};
use diogenes_tekton::hermes::MAX_IN_FLIGHT;
use diogenes_testkit::{FakeHermes, Mood};

use super::world::{World, get};
use crate::fakes::{exited, report, running, until};

const COMPANIONS: usize = 200;

/// Companions that have all reported.
async fn attend(world: &World, count: usize) {
    for number in 0..count {
        world
            .add(&format!("id{number:03}"), &format!("shop{number}"))
            .await;
    }
    let has_reported = |entry: &std::sync::Arc<crate::registry::Entry>| entry.report.is_some();
    until("all have reported", || {
        world
            .registry
            .all()
            .iter()
            .filter(|entry| has_reported(entry))
            .count()
            == count
    })
    .await;
}

/// Waits for what takes a pause of the ledger or two.
async fn patiently(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..300 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("this never came about: {what}");
}

/// Never more than a handful of requests at once. Beside those under way there may be connections that the fake has not
/// yet seen the end of.
fn assert_handful(hermes: &FakeHermes) {
    let (connections, under_way) = (hermes.most_connections(), hermes.most_under_way());
    assert!(
        connections <= 2 * MAX_IN_FLIGHT,
        "{connections} connections"
    );
    assert!(under_way <= MAX_IN_FLIGHT, "{under_way} requests under way");
}

fn set_health(world: &World, id: &str, health: Health) {
    world.registry.set_report(id, report(health));
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_registered_and_known_for_alive() {
    let hermes = FakeHermes::start();
    let world = World::start_beside(Some(&hermes.url())).await;
    attend(&world, COMPANIONS).await;
    until("all are alive", || hermes.alive().len() == COMPANIONS + 1).await;
    assert_handful(&hermes);
    assert_eq!(
        hermes.heard("POST /api/heartbeat"),
        hermes.heard("POST /api/register")
    );

    let told = hermes.registration("shop7-container-ci");
    let base = &world.tcp;
    assert_eq!(told["name"], "shop7-container-ci");
    assert_eq!(told["type"], "container_ci");
    assert_eq!(told["capabilities"], serde_json::json!(["container_ci"]));
    assert_eq!(told["endpoint"], format!("{base}/ci/shop7"));
    assert_eq!(told["metadata"]["container_id"], "id007");
    assert_eq!(told["metadata"]["image"], "fake");
    assert_eq!(told["metadata"]["health"], "healthy");
    let owner = told["metadata"]["owner"].as_str().unwrap();
    assert!(
        owner.ends_with(world.dir.path().to_str().unwrap()),
        "{owner}"
    );
    assert!(
        told["metadata"].get("type").is_none(),
        "it would take the type's place"
    );
    let own = hermes.registration("diogenes");
    assert_eq!(
        (&own["endpoint"], &own["metadata"]["health"]),
        (&base.as_str().into(), &"healthy".into())
    );

    let http = reqwest::Client::new();
    let (_, health) = get(http.get(format!("{base}/health"))).await;
    assert_eq!(health["registered_with_hermes"], true);
    let (_, state) = get(http.get(format!("{base}/api/v1/supervisor"))).await;
    assert_eq!(state["hermes"]["reachable"], true);
    assert_eq!(state["hermes"]["registered"], COMPANIONS + 1);
    let way = world.api.supervisor.hermes.as_ref().unwrap();
    assert!(way.knows("shop7-container-ci") && !way.knows("shop7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_health_is_told_once_and_what_stopped_leaves() {
    let hermes = FakeHermes::start();
    let world = World::start_beside(Some(&hermes.url())).await;
    attend(&world, 3).await;
    until("all are alive", || hermes.alive().len() == 4).await;
    let (id, name) = ("id001", "shop1-container-ci");
    // It flaps, far faster than anybody is told.
    for number in 0..200 {
        let health = [Health::Unhealthy, Health::Healthy][number % 2];
        set_health(&world, id, health);
        tokio::task::yield_now().await;
    }
    let mut last = report(Health::Degraded);
    last.services = vec![Service {
        name: "Redis \u{1b}[2J".into(),
        kind: "redis".into(),
        ports: vec![6379],
        health: Health::Degraded,
        ..Service::default()
    }];
    last.findings = (0..50)
        .map(|number| Finding {
            code: format!("finding-{number}"),
            severity: Severity::Warning,
            summary: "s".repeat(5000).into(),
            service: None,
            evidence: Vec::new(),
            since: Timestamp::now(),
        })
        .collect();
    world.registry.set_report(id, last);
    let health = || hermes.registration(name)["metadata"]["health"].clone();
    patiently("the newest is told", || health() == "degraded").await;
    until("it beat at once", || hermes.alive().len() == 4).await;
    assert!(
        (2..=3).contains(&hermes.registered(name)),
        "{}",
        hermes.registered(name)
    );
    assert_eq!(hermes.registered("shop0-container-ci"), 1);
    let told = hermes.registration(name);
    assert_eq!(told["metadata"]["services"][0]["name"], "Redis \\u{1b}[2J");
    assert_eq!(told["metadata"]["services"][0]["health"], "degraded");
    assert_eq!(told["metadata"]["findings"].as_array().unwrap().len(), 10);
    assert!(
        told.to_string().len() < 8 * 1024,
        "{}",
        told.to_string().len()
    );

    world
        .registry
        .set_facts(exited(&running("id002", "shop2", 7), 1));
    until("it left", || {
        !hermes.known().contains(&"shop2-container-ci".to_owned())
    })
    .await;
    world.registry.remove("id000");
    until("it left too", || hermes.known() == ["diogenes", name]).await;
    world.stop.cancel();
    until("all took leave", || hermes.known().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hermes_that_behaves_badly_is_noticed_by_nobody() {
    let hermes = FakeHermes::start();
    let world = World::start_beside(Some(&hermes.url())).await;
    let way = world.api.supervisor.hermes.clone().unwrap();
    attend(&world, COMPANIONS).await;
    until("all are alive", || hermes.alive().len() == COMPANIONS + 1).await;
    let http = reqwest::Client::new();
    let moods = [
        Mood::Floods,
        Mood::ClosesEarly,
        Mood::Babbles,
        Mood::Garbles,
        Mood::Refuses(500),
        Mood::Hangs,
    ];
    for (round, mood) in moods.into_iter().enumerate() {
        hermes.set_mood(mood);
        let failed = way.view().failed;
        // Something to tell of everyone.
        for entry in world.registry.all() {
            let health = [Health::Degraded, Health::Healthy][round % 2];
            set_health(&world, &entry.facts.id, health);
        }
        patiently("it fails", || {
            way.view().failed > failed || mood == Mood::Hangs
        })
        .await;
        for number in 0..COMPANIONS {
            let name = format!("shop{number}");
            world.client.ask(&name, "status".into()).await.unwrap();
        }
        let status = world.client.status().await.unwrap();
        assert_eq!(status.containers.len(), COMPANIONS);
        let (status, health) = get(http.get(format!("{}/health", world.tcp))).await;
        assert_eq!((status, health["status"].as_str()), (200, Some("healthy")));
        assert_handful(&hermes);
        assert_eq!(way.view().wanted, COMPANIONS + 1);
        if mood != Mood::Hangs {
            hermes.set_mood(Mood::Well);
            let registrations = way.view().registrations;
            patiently("it works", || way.view().registrations > registrations).await;
        }
    }
    // After two failures in a row, of 5 s each.
    patiently("it is said to be away", || {
        way.view().reachable == Some(false)
    })
    .await;
    assert_eq!(way.view().registered, 0);
    assert!(way.view().error.is_some());
    hermes.set_mood(Mood::Well);
    let all = || way.view().registered == COMPANIONS + 1;
    patiently("all are known again", || {
        way.view().reachable == Some(true) && all()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_up_and_to_be_attended_is_told() {
    let hermes = FakeHermes::start();
    let world = World::start_beside(Some(&hermes.url())).await;
    let created = ContainerFacts {
        state: ContainerState::Created,
        ..running("id9", "created", 7)
    };
    world.registry.set_facts(created);
    world.registry.set_facts(running("id8", "undecided", 8));
    attend(&world, 1).await;
    until("it is alive", || hermes.alive().len() == 2).await;
    assert_eq!(hermes.known(), ["diogenes", "shop0-container-ci"]);
}
