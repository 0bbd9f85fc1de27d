//! Each companion as a component of its own: what aish posts to, and what is polled.

use std::sync::Arc;

use diogenes_proto::Health;
use serde_json::{Value, json};

use super::world::{World, get};
use crate::config::Settings;
use crate::fakes::report;

/// What aish is told: it takes nothing but 200.
async fn told(request: reqwest::RequestBuilder) -> String {
    let (status, reply) = get(request).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply.as_object().unwrap().len(), 1, "{reply}");
    reply["response"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn aish_is_always_answered() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let http = reqwest::Client::new();
    let post = |name: &str| http.post(format!("{}/ci/{name}/message", world.tcp));
    let say = |name: &str, message: &str| told(post(name).json(&json!({ "message": message })));
    assert_eq!(say("shop", "status").await, "status? I am shop");
    assert_eq!(
        say("shop-container-ci", "status").await,
        "status? I am shop"
    );
    let unknown = say("shoop", "status").await;
    assert!(unknown.contains("did you mean shop?"), "{unknown}");
    assert!(say("shop", " \n").await.starts_with("ask something"));
    assert!(
        say("shop", &"x".repeat(5000))
            .await
            .contains("at most 4096 bytes")
    );
    for (body, kind) in [
        ("{", "application/json"),
        ("[1]", "application/json"),
        (r#"{"message": 7}"#, "application/json"),
        // What a web page may send to anybody without asking first.
        (r#"{"message": "status"}"#, "text/plain"),
    ] {
        let told = told(post("shop").header("content-type", kind).body(body)).await;
        assert!(
            told.starts_with("a message is {\"message\":\"…\"}"),
            "{body}: {told}"
        );
    }
    let large = vec![b' '; 1 << 20];
    let told = told(
        post("shop")
            .header("content-type", "application/json")
            .body(large),
    )
    .await;
    assert!(told.contains("a message is"), "{told}");
    // The companion leaves.
    world.client.act("shop", "detach").await.unwrap();
    let alone = say("shop", "status").await;
    assert!(alone.contains("detached by hand"), "{alone}");
}

#[tokio::test]
async fn no_secret_of_a_log_reaches_aish() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    world.registry.set_report("abc1", report(Health::Unhealthy));
    world
        .engine
        .logs
        .lock()
        .unwrap()
        .push("connecting to redis://:hunter2@cache:6379".into());
    let url = format!("{}/ci/shop/message", world.tcp);
    let why = told(
        reqwest::Client::new()
            .post(url)
            .json(&json!({"message": "why"})),
    )
    .await;
    assert!(
        why.contains("connecting to redis") && !why.contains("hunter2"),
        "{why}"
    );
}

#[tokio::test]
async fn a_companion_has_the_shape_of_a_component() {
    let world = World::start().await;
    world.add_attended("abc1", "Shop").await;
    let page = |page: &str| get(reqwest::Client::new().get(format!("{}/ci/Shop{page}", world.tcp)));
    for (health, status, told) in [
        (Health::Healthy, 200, "healthy"),
        (Health::Degraded, 200, "degraded"),
        (Health::Unhealthy, 503, "unhealthy"),
        (Health::Starting, 503, "unknown"),
        (Health::Unknown, 503, "unknown"),
    ] {
        world.registry.set_report("abc1", report(health));
        let (found, body) = page("/health").await;
        assert_eq!((found, &body["status"]), (status, &told.into()));
        assert_eq!(body["component"], "shop-container-ci");
        let expected = [
            "component",
            "dependencies",
            "details",
            "metrics",
            "port",
            "registered_with_hermes",
            "status",
            "timestamp",
            "uptime",
            "version",
        ];
        assert_eq!(keys(&body), expected);
    }
    let (status, ready) = page("/ready").await;
    assert_eq!(
        (status, keys(&ready)),
        (
            200,
            [
                "component",
                "initializationTime",
                "ready",
                "timestamp",
                "version"
            ]
            .map(str::to_owned)
            .into()
        )
    );
    for path in ["/discovery", "/api/v1/discovery"] {
        let (status, discovery) = page(path).await;
        assert_eq!(
            (status, &discovery["capabilities"][0]),
            (200, &"container_ci".into())
        );
        let expected = [
            "capabilities",
            "component",
            "dependencies",
            "description",
            "endpoints",
            "metadata",
            "version",
        ];
        assert_eq!(keys(&discovery), expected);
        assert_eq!(discovery["endpoints"][0]["path"], "/ci/Shop/message");
    }
    world.client.act("Shop", "detach").await.unwrap();
    let (status, problem) = page("/ready").await;
    assert_eq!(status, 503);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("Component not ready"),
        "{problem}"
    );
    assert_eq!(page("/health").await.0, 503);
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn where_a_tekton_is_configured_this_hosts_processes_need_no_token_below_ci() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let file = world.dir.path().join("tokens");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let token_file = ("token_file", file.to_str().unwrap());
    let http = reqwest::Client::new();
    let ask = || {
        http.post(format!("{}/ci/shop/message", world.tcp))
            .json(&json!({"message": "status"}))
    };
    for (settings, status) in [
        (Settings::with(&[token_file]), 401),
        (
            Settings::with(&[token_file, ("tekton.root", "/tekton")]),
            200,
        ),
    ] {
        world.settings.send_replace(Arc::new(settings));
        assert_eq!(ask().send().await.unwrap().status(), status);
        let elsewhere = http.get(format!("{}/api/v1/containers", world.tcp));
        assert_eq!(elsewhere.send().await.unwrap().status(), 401);
        let outwards = http.get(format!("{}/ci/../api/v1/containers", world.tcp));
        assert_eq!(outwards.send().await.unwrap().status(), 401);
    }
    // And no web page gets in by giving this host a name of its own.
    let rebound = ask().header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 403);
    // Without a connection there is nobody who could be here.
    use tower::ServiceExt as _;
    let request = axum::http::Request::post("/ci/shop/message").header("host", "localhost");
    let refused = world.doors[1]
        .clone()
        .oneshot(request.body(axum::body::Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
}
