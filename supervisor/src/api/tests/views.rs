//! What is known of one container, from its several sides.

use diogenes_engine::ContainerFacts;
use serde_json::json;

use super::*;
use crate::attendants::way_in::Via;
use crate::fakes::{report, running};

/// Status and body of a path, on the inner door.
async fn look(world: &World, path: &str) -> (u16, serde_json::Value) {
    get(reqwest::Client::new().get(format!("{}{path}", world.tcp))).await
}

#[tokio::test]
async fn the_status_tells_health_and_strictness_makes_degraded_sick() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    for (health, status, strictly) in [
        (Health::Healthy, 200, 200),
        (Health::Degraded, 200, 503),
        (Health::Starting, 503, 503),
        (Health::Unhealthy, 503, 503),
        (Health::Unknown, 503, 503),
    ] {
        world.registry.set_report("abc1", report(health));
        for (query, status) in [
            ("", status),
            ("?strict=false", status),
            ("?strict=true", strictly),
        ] {
            let path = format!("/api/v1/containers/shop/health{query}");
            let (got, body) = look(&world, &path).await;
            assert_eq!((got, &body["health"]), (status, &json!(health)), "{path}");
            let head = reqwest::Client::new().head(format!("{}{path}", world.tcp));
            let head = head.send().await.unwrap();
            assert_eq!(head.status().as_u16(), status, "{path}");
            assert_eq!(head.text().await.unwrap(), "");
        }
    }
}

#[tokio::test]
async fn health_says_why_also_where_nobody_speaks() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let mut told = report(Health::Unhealthy);
    told.reason = "Redis does not answer".into();
    told.services = vec![serde_json::from_value(json!({
        "key": "redis", "name": "Redis", "kind": "redis", "ports": [6379], "health": "unhealthy",
        "since": "2026-01-31T08:00:00Z", "evidence": ["no PONG within 1 s", "it lives"],
    }))
    .unwrap()];
    world.registry.set_report("abc1", told);
    let (_, body) = look(&world, "/api/v1/containers/shop-container-ci/health").await;
    assert_eq!(body["reason"], "Redis does not answer");
    assert_eq!(
        body["services"],
        json!([{ "key": "redis", "name": "Redis", "health": "unhealthy", "reason": "no PONG within 1 s" }])
    );
    let (_, body) = look(&world, "/api/v1/containers/shop/services").await;
    assert_eq!(
        (&body["container"], &body["services"][0]["ports"]),
        (&json!("shop"), &json!([6379]))
    );

    world.registry.set_facts(ContainerFacts {
        state: diogenes_engine::ContainerState::Exited,
        ..running("abc2", "worker", 8)
    });
    let (status, body) = look(&world, "/api/v1/containers/worker/health").await;
    assert_eq!(
        (status, &body["health"], &body["services"]),
        (503, &json!("unknown"), &json!([]))
    );
    assert!(!body["reason"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn history_ends_with_the_newest() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    for health in [Health::Degraded, Health::Unhealthy] {
        world.registry.set_report("abc1", report(health));
    }
    let (_, all) = look(&world, "/api/v1/containers/shop/history").await;
    let events = all["events"].as_array().unwrap();
    assert_eq!(events.first().unwrap()["type"], "container_appeared");
    let newest = events.last().unwrap();
    assert_eq!(
        (&newest["type"], &newest["to"]),
        (&json!("health"), &json!("unhealthy"))
    );
    assert_eq!(
        all["samples"].as_array().unwrap().len(),
        1,
        "the next one is due in half a minute"
    );
    let (_, two) = look(&world, "/api/v1/containers/shop/history?limit=2").await;
    assert_eq!(
        two["events"].as_array().unwrap()[..],
        events[events.len() - 2..]
    );
}

#[tokio::test]
async fn findings_of_supervisor_and_companion_stand_together() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let finding = |code: &str| -> diogenes_proto::Finding {
        serde_json::from_value(json!({
            "code": code, "severity": "warning", "summary": "it is so", "since": "2026-01-31T08:00:00Z",
        }))
        .unwrap()
    };
    world
        .registry
        .set_findings("abc1", vec![finding("companion-killed")]);
    let mut told = report(Health::Healthy);
    told.findings = vec![finding("accept-queue-full")];
    world.registry.set_report("abc1", told);
    let (_, body) = look(&world, "/api/v1/containers/shop/findings").await;
    let codes: Vec<_> = body["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["code"])
        .collect();
    assert_eq!(codes, ["companion-killed", "accept-queue-full"]);
}

#[tokio::test]
async fn the_supervisor_counts_what_it_looks_after_and_what_it_costs() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    world.registry.set_facts(running("abc2", "worker", 8));
    let (status, own) = look(&world, "/api/v1/supervisor").await;
    assert_eq!(status, 200);
    assert_eq!(
        own["census"],
        json!({
            "containers": 2, "sessions": 1,
            "by_state": { "present": 1, "absent": 1 }, "by_health": { "healthy": 1, "unknown": 1 },
        })
    );
    assert_eq!(own["pid"], std::process::id());
    assert!(own["cost"]["resident_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(own["engine"]["reachable"], true);
}

#[tokio::test]
async fn a_supervisor_is_ready_once_the_engine_has_answered() {
    let world = World::start().await;
    let (status, ready) = look(&world, "/ready").await;
    assert_eq!(
        (status, &ready["ready"], &ready["component"]),
        (200, &json!(true), &json!("diogenes"))
    );
    assert!(ready["initializationTime"].is_number());
    world.registry.engine_failed("it is away".into());
    assert_eq!(
        look(&world, "/ready").await.0,
        200,
        "it still has what it knew"
    );
    let fresh = Registry::default();
    fresh.engine_failed("it is away".into());
    assert!(health::readiness(&world.api.supervisor, &fresh).is_none());
}

#[tokio::test]
async fn discovery_names_every_operation() {
    let world = World::start().await;
    for path in ["/discovery", "/api/v1/discovery"] {
        let (status, told) = look(&world, path).await;
        assert_eq!((status, &told["component"]), (200, &json!("diogenes")));
        let endpoints = told["endpoints"].as_array().unwrap();
        assert_eq!(endpoints.len(), operations().len());
        let ask = endpoints
            .iter()
            .find(|endpoint| endpoint["method"] == "POST")
            .unwrap();
        assert_eq!(
            (&ask["path"], &ask["tags"]),
            (&json!("/api/v1/containers/{name}/ask"), &json!(["asking"]))
        );
    }
}

#[tokio::test]
async fn a_thousand_containers_are_listed_at_once() {
    let world = World::start().await;
    let service = |number: u16| {
        json!({
            "key": number.to_string(), "name": "Redis", "kind": "redis", "ports": [number], "health": "healthy",
            "since": "2026-01-31T08:00:00Z", "evidence": ["answers PING in 0.2 ms"],
        })
    };
    let services: Vec<_> = (1..=3)
        .map(|number| serde_json::from_value(service(number)).unwrap())
        .collect();
    for number in 0..1000 {
        let id = format!("{number:064x}");
        world
            .registry
            .set_facts(running(&id, &format!("shop-{number}"), 7));
        world.registry.set_report(
            &id,
            diogenes_proto::Report {
                services: services.clone(),
                ..report(Health::Healthy)
            },
        );
        world.registry.set_presence(
            &id,
            crate::registry::presence::Presence::Silent(Via::Attached),
        );
    }
    let begun = std::time::Instant::now();
    let (status, told) = look(&world, "/api/v1/containers").await;
    let taken = begun.elapsed();
    assert_eq!(
        (status, told["containers"].as_array().unwrap().len()),
        (200, 1000)
    );
    // A tenth of that without optimisation, most of it for reading the answer here.
    assert!(taken < std::time::Duration::from_secs(3), "{taken:?}");
}
