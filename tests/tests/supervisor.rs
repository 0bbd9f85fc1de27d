//! The supervisor under bad input and bad luck.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diogenes_testkit::{
    Container, Engine, Supervisor, demo_image, dist, listener_image, wait_until,
};
use diogenes_tests::{Peer, SOON, agent_in, health, is_gone, present};
use rustix::process::Signal;

fn listening() -> Container {
    Container::of(listener_image())
        .args(["http", "127.0.0.1:8000", "200"])
        .run()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_wrong_name_is_answered_with_near_ones() {
    let container = listening();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let wrong = format!("{}x", container.name());
    for args in [
        &["ask", &wrong, "status"][..],
        &["status", &wrong],
        &["attach", &wrong],
        &["detach", &wrong],
    ] {
        let output = supervisor.cli(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(
            text(&output.stderr).contains(container.name()),
            "{args:?}: {output:?}"
        );
    }
    // Every way to name it means the same container.
    let ci_name = format!("{}-container-ci", container.name());
    for name in [
        container.name(),
        &ci_name,
        container.id(),
        &container.id()[..12],
    ] {
        assert!(supervisor.ask(name, "status").contains("healthy"), "{name}");
    }
}

#[test]
fn without_a_supervisor_clients_say_how_to_start_one() {
    let nowhere = tempfile::tempdir().expect("a folder");
    for args in [
        &["status"][..],
        &["ls"],
        &["ask", "x", "status"],
        &["attach", "x"],
        &["detach", "x"],
    ] {
        let output = Command::new(dist("diogenes"))
            .args(args)
            .arg("--run-dir")
            .arg(nowhere.path())
            .output()
            .expect("diogenes");
        assert_eq!(output.status.code(), Some(69), "{args:?}: {output:?}");
        assert!(
            text(&output.stderr).contains("diogenes serve"),
            "{args:?}: {output:?}"
        );
    }
}

#[test]
fn json_has_the_keys_that_were_promised() {
    let container = listening();
    let supervisor = Supervisor::start();
    let (known, _) = health(&supervisor, &container, "healthy");
    for key in [
        "name",
        "id",
        "ci_name",
        "image",
        "health",
        "since",
        "via",
        "state",
        "reason",
        "roles",
        "services",
        "resources",
        "findings",
    ] {
        assert!(known.get(key).is_some(), "{key} in {known:#}");
    }
    for key in [
        "name", "kind", "role", "version", "ports", "health", "activity", "since", "evidence",
    ] {
        assert!(
            known["services"][0].get(key).is_some(),
            "{key} in {known:#}"
        );
    }
    assert!(supervisor.status()["supervisor"].is_object());
    let (code, body) = supervisor.http(
        "GET",
        &format!("/api/v1/containers/{}", container.name()),
        None,
    );
    let one: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        (code, &one["id"], &one["ci_name"]),
        (200, &known["id"], &known["ci_name"])
    );
}

/// Says something over loopback TCP and returns the status code and the body.
fn over_tcp(supervisor: &Supervisor, request: &str) -> (u16, String) {
    let mut stream =
        std::net::TcpStream::connect(("127.0.0.1", supervisor.port())).expect("its port");
    stream.set_read_timeout(Some(SOON)).expect("a time-out");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    let code = reply
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status code");
    (
        code,
        reply
            .split_once("\r\n\r\n")
            .map_or(String::new(), |(_, body)| body.to_owned()),
    )
}

#[test]
fn loopback_tcp_reads_and_asks_but_does_not_act() {
    let container = listening();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let name = container.name();
    let post = |path: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let (code, body) = over_tcp(
        &supervisor,
        "GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n",
    );
    assert!(
        code == 200 && body.contains("\"component\":\"diogenes\""),
        "{code} {body}"
    );
    let (code, body) = over_tcp(
        &supervisor,
        &post(
            &format!("/api/v1/containers/{name}/ask"),
            "{\"question\":\"status\"}",
        ),
    );
    assert!(code == 200 && body.contains("healthy"), "{code} {body}");
    let (code, body) = over_tcp(
        &supervisor,
        &post(&format!("/api/v1/containers/{name}/detach"), ""),
    );
    assert!(code >= 400, "{code} {body}");
    present(&supervisor, &container);
    let (code, body) = over_tcp(
        &supervisor,
        "GET /api/v1/containers HTTP/1.0\r\nHost: evil.example\r\n\r\n",
    );
    assert!(code >= 400 && !body.contains(name), "{code} {body}");
    let refused = Command::new(dist("diogenes"))
        .args([
            "serve",
            "--listen",
            "0.0.0.0:0",
            "--run-dir",
            "/nonexistent-run-dir",
        ])
        .output()
        .expect("diogenes");
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
}

#[test]
fn bad_lines_get_typed_errors_and_hurt_nobody_else() {
    let (victim, other) = (listening(), listening());
    let supervisor = Supervisor::start();
    health(&supervisor, &victim, "healthy");
    health(&supervisor, &other, "healthy");
    let socket = supervisor
        .run_dir()
        .join(format!("ci/{}.sock", victim.name()));
    let ping = serde_json::json!({ "type": "ping", "id": 7 });

    let mut peer = Peer::connect(&socket);
    for (line, code, id) in [
        (&b"garbage\n"[..], "malformed", None),
        (b"\xff\xfe\n", "malformed", None),
        (b"{\"type\":\"dance\",\"id\":3}\n", "unsupported", Some(3)),
        (b"{\"type\":\"ask\",\"id\":4}\n", "invalid", Some(4)),
    ] {
        peer.send(line);
        let error = wait_until(SOON, "an error", || {
            peer.line().filter(|it| it["type"] == "error")
        })
        .0;
        assert_eq!(
            (error["code"].as_str(), error["id"].as_u64()),
            (Some(code), id),
            "{error}"
        );
    }
    assert_eq!(peer.ask(&ping)["type"], "pong", "the session lives on");

    let mut peer = Peer::connect(&socket);
    let mut giant = vec![b'x'; 300 * 1024];
    giant.push(b'\n');
    peer.send(&giant);
    let error = wait_until(SOON, "an error", || {
        peer.line().filter(|it| it["type"] == "error")
    })
    .0;
    assert_eq!(error["code"], "line_too_long");

    let mut peer = Peer::ungreeted(&socket);
    peer.send(b"{\"type\":\"ping\",\"id\":1}\n");
    let error = wait_until(SOON, "an error", || {
        peer.line().filter(|it| it["type"] == "error")
    })
    .0;
    assert_eq!(error["code"], "hello_expected");

    // Half a line, and then nothing: nobody waits for the rest.
    let mut half = Peer::connect(&socket);
    half.send(b"{\"type\":\"pi");
    assert_eq!(Peer::connect(&socket).ask(&ping)["type"], "pong");

    let mut stream = UnixStream::connect(supervisor.api_socket()).expect("the API's socket");
    stream.set_read_timeout(Some(SOON)).expect("a time-out");
    stream.write_all(b"garbage\r\n\r\n").expect("sent");
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    assert!(reply.starts_with("HTTP/1.1 400"), "{reply}");
    for container in [&victim, &other] {
        assert!(
            supervisor
                .ask(container.name(), "status")
                .contains("healthy")
        );
    }
}

/// A door to the real Engine that can be shut.
struct Door {
    open: Arc<AtomicBool>,
    path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Door {
    fn new() -> Self {
        let engine = Engine::require()
            .socket()
            .expect("an Engine on a Unix socket");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let open = Arc::new(AtomicBool::new(true));
        let is_open = Arc::clone(&open);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_open.load(Ordering::SeqCst) {
                    let server = UnixStream::connect(&engine).expect("the Engine");
                    let copies = [
                        (client.try_clone(), server.try_clone()),
                        (server.try_clone(), client.try_clone()),
                    ];
                    for (from, to) in copies {
                        let (mut from, mut to) = (from.expect("a copy"), to.expect("a copy"));
                        std::thread::spawn(move || {
                            let _ = std::io::copy(&mut from, &mut to);
                            let _ = to.shutdown(std::net::Shutdown::Both);
                        });
                    }
                    let is_open = Arc::clone(&is_open);
                    std::thread::spawn(move || {
                        while is_open.load(Ordering::SeqCst) {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        let _ = client.shutdown(std::net::Shutdown::Both);
                        let _ = server.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Self {
            open,
            path,
            _folder: folder,
        }
    }

    fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }
}

#[test]
fn an_engine_that_goes_away_is_told_and_found_again() {
    let (before, door) = (listening(), Door::new());
    let supervisor = Supervisor::spec()
        .arg(format!("--engine={}", door.path.display()))
        .start();
    health(&supervisor, &before, "healthy");
    door.set_open(false);
    wait_until(SOON, "/health to tell", || {
        supervisor
            .http("GET", "/health", None)
            .1
            .contains("\"degraded\"")
            .then_some(())
    });
    assert!(
        supervisor
            .words(&["status"])
            .to_lowercase()
            .contains("engine")
    );
    // The companion is still there, and what happens meanwhile is not lost.
    assert!(supervisor.ask(before.name(), "status").contains("healthy"));
    let meanwhile = listening();
    door.set_open(true);
    let patience = Duration::from_secs(60);
    supervisor.wait_for(meanwhile.name(), patience, "it is found", |it| {
        it["state"] == "present"
    });
    wait_until(SOON, "/health to be well", || {
        supervisor
            .http("GET", "/health", None)
            .1
            .contains("\"healthy\"")
            .then_some(())
    });
}

#[test]
fn an_engine_that_may_not_be_asked_is_told_with_the_remedy() {
    let nowhere = Supervisor::spec()
        .arg("--engine=/nonexistent/engine.sock")
        .start();
    let words = nowhere.words(&["status"]);
    assert!(words.contains("/nonexistent/engine.sock"), "{words}");
}

#[test]
fn a_killed_supervisor_leaves_applications_alone_and_its_successor_attends_to_all() {
    let containers = [listening(), Container::of(demo_image("redis")).run()];
    let supervisor = Supervisor::start();
    let agents = containers
        .each_ref()
        .map(|container| agent_in(&supervisor, container));
    let pids = containers.each_ref().map(Container::pid);
    let folder = supervisor.end(Signal::KILL);
    wait_until(SOON, "the companions to end", || {
        agents.into_iter().all(is_gone).then_some(())
    });
    assert_eq!(
        containers.each_ref().map(Container::pid),
        pids,
        "the applications have not noticed"
    );
    let supervisor = Supervisor::spec().folder(folder).start();
    for container in &containers {
        health(&supervisor, container, "healthy");
    }
}

#[test]
fn two_supervisors_live_on_one_machine_but_not_in_one_folder() {
    let container = listening();
    let (first, second) = (Supervisor::start(), Supervisor::start());
    health(&first, &container, "healthy");
    health(&second, &container, "healthy");
    let output = first.cli(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(!output.status.success(), "{output:?}");
    assert!(
        text(&output.stderr).contains(&first.run_dir().display().to_string()),
        "{output:?}"
    );
    assert!(
        first.ask(container.name(), "status").contains("healthy"),
        "the first one is not disturbed"
    );
}

#[test]
fn a_busy_port_is_named() {
    let supervisor = Supervisor::start();
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(dist("diogenes"))
        .arg("serve")
        .arg(format!("--listen=127.0.0.1:{}", supervisor.port()))
        .arg("--run-dir")
        .arg(folder.path().join("run"))
        .arg("--state-dir")
        .arg(folder.path().join("state"))
        .output()
        .expect("diogenes");
    assert!(!output.status.success());
    let words = text(&output.stderr);
    assert!(
        words.contains(&supervisor.port().to_string()) && words.contains("--listen"),
        "{words}"
    );
}

#[test]
fn a_container_that_starts_later_is_attended_and_forgotten_when_removed() {
    let supervisor = Supervisor::start();
    let container = listening();
    let name = container.name().to_owned();
    health(&supervisor, &container, "healthy");
    assert!(supervisor.words(&["ls"]).contains(&name));
    drop(container);
    wait_until(SOON, "it to be forgotten", || {
        supervisor.container(&name).is_none().then_some(())
    });
}

#[test]
fn what_weakens_a_containers_walls_is_told_and_is_no_matter_of_health() {
    let weak = Container::of(listener_image())
        .user("1000")
        .cap_add("SYS_ADMIN")
        .option("--ipc=host")
        .option("--security-opt=seccomp=unconfined")
        .option("--volume=/:/host:ro")
        .run();
    let usual = Container::of(listener_image()).user("1000").run();
    let supervisor = Supervisor::start();
    let told = |container: &Container| -> Vec<String> {
        let view = present(&supervisor, container);
        let findings = view["findings"].as_array().expect("findings").iter();
        findings
            .map(|finding| finding["code"].as_str().expect("a code").to_owned())
            .collect()
    };
    assert_eq!(
        told(&weak),
        [
            "host-root-inside",
            "strong-capabilities",
            "host-namespaces",
            "unconfined"
        ]
    );
    assert!(told(&usual).is_empty());
}
