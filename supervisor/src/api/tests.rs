mod ci;
mod document;
mod events;
mod hermes;
mod inside;
mod logs;
mod monitors;
mod refusals;
mod views;
mod world;

use diogenes_proto::Health;

use super::*;
use crate::config::Settings;
use crate::exit::Exit;
use crate::fakes::{Luck, until};
use crate::run_dir;
use world::{World, get};

#[tokio::test]
async fn both_doors_tell_the_same() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let over_socket = world.client.status().await.unwrap();
    assert_eq!(over_socket.containers[0].health, Health::Healthy);
    assert_eq!(
        over_socket.supervisor.engine.api_version.as_deref(),
        Some("1.41")
    );
    let http = reqwest::Client::new();
    let (status, over_tcp) = get(http.get(format!("{}/api/v1/containers", world.tcp))).await;
    assert_eq!(status, 200);
    assert_eq!(
        over_tcp["containers"],
        serde_json::to_value(&over_socket.containers).unwrap()
    );
    for name in ["shop", "shop-container-ci", "abc1", "ab"] {
        assert_eq!(
            world.client.container(name).await.unwrap(),
            over_socket.containers[0],
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_wrong_name_is_a_failure_that_names_near_matches() {
    let world = World::start().await;
    world.add("abc1", "redis").await;
    let failure = world
        .client
        .ask("reddis", "status".into())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.exit, failure.message.as_str()),
        (
            Exit::Failed,
            "no container is called \"reddis\"; did you mean redis?"
        )
    );
    let (status, problem) =
        get(reqwest::Client::new().get(format!("{}/api/v1/containers/reddis", world.tcp))).await;
    assert_eq!(
        (status, &problem["code"], &problem["near"][0]),
        (404, &"no_such_container".into(), &"redis".into())
    );
    for odd in ["../../health", "a/b", "%2e%2e", "", ".."] {
        assert_eq!(
            world.client.container(odd).await.unwrap_err().exit,
            Exit::Failed,
            "{odd}"
        );
    }
}

#[tokio::test]
async fn questions_reach_the_companion_with_what_the_host_knows() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let answer = world
        .client
        .ask("shop-container-ci", "status".into())
        .await
        .unwrap();
    assert_eq!(
        (answer.answered_by.as_str(), answer.container.as_str()),
        ("companion", "shop")
    );
    assert_eq!(answer.answer.text.to_string(), "status? I am shop ");
}

#[tokio::test]
async fn log_lines_go_along_only_when_it_is_asked_why_and_something_is_wrong() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    world
        .engine
        .logs
        .lock()
        .unwrap()
        .push("connecting to redis://:hunter2@cache:6379".into());
    let ask = async |question: &str| {
        world
            .client
            .ask("shop", question.into())
            .await
            .unwrap()
            .answer
            .text
            .to_string()
    };
    assert_eq!(ask("why").await, "why? I am shop ", "it is healthy");
    world
        .registry
        .set_report("abc1", crate::fakes::report(Health::Unhealthy));
    assert_eq!(ask("status").await, "status? I am shop ");
    let why = ask("why").await;
    assert!(
        why.contains("connecting to redis") && !why.contains("hunter2"),
        "{why}"
    );
}

#[tokio::test]
async fn without_a_companion_the_supervisor_answers_and_says_so() {
    let world = World::start().await;
    world
        .way_in
        .luck
        .lock()
        .unwrap()
        .push_back(Luck::Bad("no entry"));
    world.add("abc1", "shop").await;
    until("it failed", || {
        world.registry.get("abc1").unwrap().presence.is_settled()
    })
    .await;
    let answer = world.client.ask("shop", "status".into()).await.unwrap();
    assert_eq!(answer.answered_by, "supervisor");
    assert!(
        answer.answer.text.to_string().contains("no entry"),
        "{}",
        answer.answer.text
    );
}

#[tokio::test]
async fn attach_and_detach_wait_for_their_end() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let view = world.client.act("shop", "detach").await.unwrap();
    assert_eq!(
        (view.state.as_str(), view.companion.as_str()),
        ("absent", "detached")
    );
    assert!(world.way_in.last().agent.has_ended());
    world
        .way_in
        .luck
        .lock()
        .unwrap()
        .push_back(Luck::Bad("no entry"));
    let failure = world.client.act("shop", "attach").await.unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    assert!(
        failure
            .message
            .starts_with("shop: could not attach: no entry"),
        "{failure}"
    );
    assert_eq!(
        world.client.act("shop", "attach").await.unwrap().state,
        "present"
    );
}

#[tokio::test]
async fn over_tcp_nothing_acts() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    for action in ["attach", "detach"] {
        let (status, problem) =
            get(reqwest::Client::new()
                .post(format!("{}/api/v1/containers/shop/{action}", world.tcp)))
            .await;
        assert_eq!((status, &problem["code"]), (403, &"only_local".into()));
    }
    assert_eq!(
        world.client.container("shop").await.unwrap().state,
        "present"
    );
}

#[tokio::test]
async fn a_foreign_host_header_is_refused() {
    let world = World::start().await;
    let http = reqwest::Client::new();
    for (host, expected) in [
        ("evil.example", 403),
        ("localhost:4120", 200),
        ("[::1]:4120", 200),
        ("127.0.0.1.evil.example", 403),
    ] {
        let (status, _) = get(http
            .get(format!("{}/health", world.tcp))
            .header("host", host))
        .await;
        assert_eq!(status, expected, "{host}");
    }
}

#[tokio::test]
async fn with_a_token_configured_tcp_asks_for_it_and_then_acts() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let (token, file) = ("0123456789abcdef", world.dir.path().join("tokens"));
    std::fs::write(&file, format!("# of the test\n{token}\n")).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    world.settings.send_replace(Arc::new(Settings::with(&[
        ("token_file", file.to_str().unwrap()),
        ("hosts", "shop.example"),
    ])));
    let http = reqwest::Client::new();
    let page = |path: &str| format!("{}{path}", world.tcp);
    for (what, request, expected) in [
        ("health", http.get(page("/health")), 200),
        (
            "health, further name",
            http.get(page("/health")).header("host", "shop.example:1"),
            200,
        ),
        (
            "health, foreign name",
            http.get(page("/health")).header("host", "evil.example"),
            403,
        ),
        ("none", http.get(page("/api/v1/containers")), 401),
        ("nowhere", http.get(page("/no/such/page")), 401),
        (
            "wrong",
            http.get(page("/api/v1/containers"))
                .bearer_auth("0123456789abcdee"),
            401,
        ),
        (
            "right",
            http.get(page("/api/v1/containers")).bearer_auth(token),
            200,
        ),
        (
            "right, any name",
            http.get(page("/api/v1/containers"))
                .bearer_auth(token)
                .header("host", "x.example"),
            200,
        ),
        (
            "acting, none",
            http.post(page("/api/v1/containers/shop/detach")),
            401,
        ),
        (
            "acting, right",
            http.post(page("/api/v1/containers/shop/detach"))
                .bearer_auth(token),
            200,
        ),
    ] {
        assert_eq!(request.send().await.unwrap().status(), expected, "{what}");
    }
    assert_eq!(
        world.client.container("shop").await.unwrap().state,
        "absent"
    );
    let refused = http
        .get(page("/api/v1/containers"))
        .bearer_auth("wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused.headers()["www-authenticate"],
        r#"Bearer realm="diogenes", error="invalid_token""#
    );
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("Authorization: Bearer TOKEN")
    );

    // A reload takes effect on the next request, with nothing restarted.
    world.settings.send_replace(Arc::new(Settings::with(&[])));
    assert_eq!(
        http.get(page("/api/v1/containers"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn health_has_the_shape_of_a_component_and_tells_of_the_engine() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let get_health =
        async || get(reqwest::Client::new().get(format!("{}/health", world.tcp))).await;
    let (status, health) = get_health().await;
    assert_eq!(
        (status, &health["status"], &health["component"]),
        (200, &"healthy".into(), &"diogenes".into())
    );
    for key in [
        "version",
        "timestamp",
        "uptime",
        "port",
        "registered_with_hermes",
        "dependencies",
        "metrics",
        "details",
    ] {
        assert!(health.get(key).is_some(), "{key}");
    }
    assert_eq!(health["metrics"]["containers"], 1);
    world.registry.engine_failed("it is away".into());
    let (status, health) = get_health().await;
    assert_eq!((status, &health["status"]), (200, &"degraded".into()));
    let engine = &health["details"]["engine"];
    assert_eq!(
        (&engine["reachable"], &engine["error"]),
        (&false.into(), &"it is away".into())
    );
    assert!(engine["since"].is_string());
}

#[tokio::test]
async fn garbage_on_the_socket_disturbs_nobody() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::start().await;
    let path = run_dir::api_socket(world.dir.path());
    let mut half = tokio::net::UnixStream::connect(&path).await.unwrap();
    half.write_all(b"GET /hea").await.unwrap();
    let mut garbage = tokio::net::UnixStream::connect(&path).await.unwrap();
    garbage
        .write_all(b"\xff\xfe\x00garbage\r\n\r\n")
        .await
        .unwrap();
    let mut told = String::new();
    garbage.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 400"), "{told}");
    assert!(world.client.status().await.unwrap().containers.is_empty());
}
