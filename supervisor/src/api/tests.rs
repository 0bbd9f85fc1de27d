use diogenes_proto::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::api::http;
use crate::attendants::detached::Detached;
use crate::cli::client::Client;
use crate::exit::Exit;
use crate::fakes::{FakeEngine, FakeWayIn, Luck, running, until};
use crate::run_dir;

struct World {
    registry: Arc<Registry>,
    engine: Arc<FakeEngine>,
    way_in: Arc<FakeWayIn>,
    attendants: Arc<Attendants>,
    client: Client,
    /// The base of TCP's addresses.
    tcp: String,
    dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (registry, engine) = (
            Arc::new(Registry::default()),
            Arc::new(FakeEngine::default()),
        );
        let (way_in, stop, tasks) = (
            Arc::new(FakeWayIn::default()),
            CancellationToken::new(),
            TaskTracker::new(),
        );
        let detached = Detached::load(dir.path());
        let attendants = Arc::new(Attendants::new(
            way_in.clone(),
            registry.clone(),
            detached,
            stop.clone(),
            tasks.clone(),
        ));
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = tcp.local_addr().unwrap();
        let supervisor = Supervisor {
            started_at: Timestamp::now(),
            run_dir: dir.path().to_owned(),
            listen,
            engine: "/var/run/docker.sock".into(),
            attach_error: None,
        };
        registry.engine_answered(diogenes_engine::EngineVersion {
            version: "20.10".into(),
            api_version: "1.41".into(),
        });
        let relay = Arc::new(Relay::new(engine.clone()));
        let api = Arc::new(Api {
            supervisor,
            registry: registry.clone(),
            attendants: attendants.clone(),
            relay,
        });
        let socket = run_dir::listen(&run_dir::api_socket(dir.path())).unwrap();
        tokio::spawn(http::serve(
            socket,
            local(api.clone()),
            stop.clone(),
            tasks.clone(),
        ));
        tokio::spawn(http::serve(tcp, super::tcp(api), stop, tasks));
        let client = Client::new(dir.path()).unwrap();
        Self {
            registry,
            engine,
            way_in,
            attendants,
            client,
            tcp: format!("http://{listen}"),
            dir,
        }
    }

    async fn add(&self, id: &str, name: &str) {
        let facts = running(id, name, 7);
        self.registry.set_facts(facts.clone());
        self.attendants.container_changed(&facts).await;
    }

    async fn add_attended(&self, id: &str, name: &str) {
        self.add(id, name).await;
        until("it has reported", || {
            self.registry
                .get(id)
                .is_some_and(|entry| entry.report.is_some())
        })
        .await;
    }
}

/// Status and body of a request over TCP.
async fn get(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

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

#[test]
fn only_the_loopback_is_the_loopback() {
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.1.2.3:80",
        "[::1]",
        "[::1]:80",
    ] {
        assert!(is_loopback_host(host), "{host}");
    }
    for host in [
        "",
        "::1",
        "localhost.evil",
        "0.0.0.0",
        "[::1]evil",
        "[::",
        "10.0.0.1",
        "[::2]:80",
    ] {
        assert!(!is_loopback_host(host), "{host}");
    }
}

#[tokio::test]
async fn bad_requests_are_answered_with_problems() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let http = reqwest::Client::new();
    let ask = || {
        http.post(format!("{}/api/v1/containers/shop/ask", world.tcp))
            .header("content-type", "application/json")
    };
    for (request, status, code) in [
        (ask().body("{"), 400, "bad_request"),
        (ask().body("{}"), 422, "bad_request"),
        (ask().body(r#"{"question":" "}"#), 422, "bad_question"),
        (
            ask().body(format!(r#"{{"question":"{}"}}"#, "x".repeat(5000))),
            422,
            "bad_question",
        ),
        (
            ask().body(format!(r#"{{"question":"{}"}}"#, "x".repeat(70_000))),
            413,
            "too_large",
        ),
        (
            http.post(format!("{}/api/v1/containers/shop/ask", world.tcp))
                .body("status"),
            415,
            "bad_request",
        ),
        (
            http.get(format!("{}/api/v1/containers/shop/ask", world.tcp)),
            405,
            "wrong_method",
        ),
        (
            http.get(format!("{}/nowhere", world.tcp)),
            404,
            "no_such_page",
        ),
    ] {
        let (got, problem) = get(request).await;
        assert_eq!(
            (got, problem["code"].as_str()),
            (status, Some(code)),
            "{problem}"
        );
        assert_eq!(problem["status"], got);
    }
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
