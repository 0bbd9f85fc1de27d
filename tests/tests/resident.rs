//! A companion that no supervisor brought in: what it sees with the few rights a container has, where it is met, and
//! that it leaves the work to a supervisor's companion where one is there.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use diogenes_testkit::{
    Container, ContainerSpec, LISTENER, Supervisor, base_image, demo_image, dist, docker,
    listener_image, wait_until,
};
use diogenes_tests::{Peer, SOON, agent_in, children_of, command_line, kill, status_of};
use serde_json::{Value, json};

/// Where the containers of these tests have the agent.
const AGENT: &str = "/diogenes-agent";

/// The first process is init, with a companion beside what follows.
fn with_companion(image: &str, command: &[&str]) -> ContainerSpec {
    Container::of(image)
        .option(agent_volume())
        .entrypoint(AGENT)
        .args([&["init", "--"], command].concat().iter().copied())
}

fn agent_volume() -> String {
    format!("--volume={}:{AGENT}:ro", dist("diogenes-agent").display())
}

/// The companion's own process, by the host's pid.
#[track_caller]
fn companion_of(container: &Container) -> u32 {
    let find = || {
        let mut children = children_of(container.pid()).into_iter();
        children.find(|&pid| command_line(pid) == "diogenes-agent serve")
    };
    wait_until(SOON, "the companion", find).0
}

/// A client of the companion's socket, seen from the host.
fn peer_of(container: &Container) -> Peer {
    let pid = companion_of(container);
    Peer::connect(format!("/proc/{pid}/root/run/diogenes/agent.sock").as_ref())
}

/// What the companion sees now.
#[track_caller]
fn snapshot_of(container: &Container) -> Value {
    peer_of(container).ask(&json!({ "type": "snapshot", "id": 1, "offset": 0 }))
}

/// The listener on this port, once there is one.
#[track_caller]
fn listener_on(container: &Container, port: u16) -> (Value, Value) {
    let look = || {
        let snapshot = snapshot_of(container);
        let listeners = snapshot["listeners"].as_array()?.clone();
        let found = listeners.into_iter().find(|one| one["port"] == port)?;
        Some((found, snapshot))
    };
    wait_until(SOON, "the listener", look).0
}

fn agent(container: &Container, user: &str, words: &[&str]) -> Output {
    let mut command = Command::new("docker");
    command.args(["exec", "--user", user, container.id(), AGENT]);
    command.args(words).output().expect("docker runs")
}

/// What `diogenes-agent status` says to a user, once it says this.
#[track_caller]
fn says(container: &Container, user: &str, words: &str) {
    wait_until(SOON, words, || {
        let told = agent(container, user, &["status"]);
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        told.contains(words).then_some(())
    });
}

#[test]
fn a_service_of_another_user_is_attributed_with_the_engine_s_usual_rights() {
    let container = with_companion(&demo_image("redis"), &["/usr/local/bin/entrypoint"]).run();
    let (listener, snapshot) = listener_on(&container, 6379);
    let processes = snapshot["processes"].as_array().expect("processes");
    let redis = processes
        .iter()
        .find(|process| process["uid"] == 999)
        .expect("Redis has a user of its own");
    assert_eq!(listener["owners"], json!([redis["container_pid"]]));
    assert_eq!(redis["executable"], "/usr/bin/redis-check-rdb");
    let services = peer_of(&container).ask(&json!({ "type": "report", "id": 1 }));
    let services = services["services"].as_array().expect("services");
    assert_eq!(services.len(), 1, "{services:?}");
    assert_eq!(services[0]["kind"], "redis");
    says(&container, "0", "Redis (healthy)");

    // It is itself again, to the last right, and still ends with its parent.
    let companion = companion_of(&container);
    for line in ["Uid", "Gid", "CapEff", "CapPrm"] {
        let of_init = status_of(container.pid(), line);
        assert_eq!(status_of(companion, line), of_init, "{line}");
    }
}

#[test]
fn the_log_of_another_user_s_process_is_read() {
    let write = "setpriv --reuid=999 --regid=999 --clear-groups sh -c \
        'umask 077; exec 3>>/tmp/app.log; echo it works >&3; exec sleep 1000'";
    let container = with_companion(base_image(), &["sh", "-c", write]).run();
    wait_until(SOON, "its log", || {
        let request = json!({ "type": "logs", "id": 1, "lines": 10 });
        let told = peer_of(&container).ask(&request);
        let lines = &told["files"][0]["lines"];
        (*lines == json!(["it works"])).then_some(())
    });
}

#[test]
fn a_companion_of_an_init_that_is_not_the_first_ends_with_it() {
    // Redis makes it play the trick that clears its parent's death.
    let start = format!("{AGENT} init -- sleep 1000 & start-redis; sleep 1000");
    let container = Container::of(demo_image("redis"))
        .option(agent_volume())
        .entrypoint("sh")
        .args(["-c", &start])
        .run();
    says(&container, "0", "Redis (healthy)");
    let init = children_of(container.pid())
        .into_iter()
        .find(|&pid| command_line(pid).contains(" init "))
        .expect("init");
    let companion = children_of(init)
        .into_iter()
        .find(|&pid| command_line(pid) == "diogenes-agent serve")
        .expect("the companion");
    kill(init);
    wait_until(SOON, "its end", || {
        diogenes_tests::is_gone(companion).then_some(())
    });
}

/// A server that gives up root without executing anything, and with that lets nobody look into it: as memcached does,
/// which listens afterwards, or before.
fn closed_server(listens_first: bool) -> Container {
    let listen = "s = socket.create_server(('0.0.0.0', 7000))\n";
    let change = "os.setgroups([]); os.setgid(777); os.setuid(777)\n";
    let (first, then) = if listens_first {
        (listen, change)
    } else {
        (change, listen)
    };
    let script = format!("import os, socket\n{first}{then}while True: s.accept()[0].close()");
    with_companion(base_image(), &["python3", "-c", &script]).run()
}

#[test]
fn who_cannot_be_looked_into_is_known_by_its_user_where_that_says_enough() {
    let container = closed_server(false);
    let (listener, snapshot) = listener_on(&container, 7000);
    let processes = snapshot["processes"].as_array().expect("processes");
    let server = processes
        .iter()
        .find(|process| process["uid"] == 777)
        .expect("the server");
    assert_eq!(server["executable"], Value::Null, "{server}");
    assert_eq!(listener["owners"], json!([server["container_pid"]]));
    let gaps = snapshot["gaps"].to_string();
    assert!(gaps.contains("presumed"), "{gaps}");
}

#[test]
fn what_cannot_be_attributed_is_told_with_its_user_and_probed_all_the_same() {
    let container = closed_server(true);
    let (listener, _) = listener_on(&container, 7000);
    assert_eq!(
        (&listener["owners"], &listener["uid"]),
        (&json!([]), &json!(0))
    );
    says(&container, "0", "port 7000 (healthy)");
    let report = peer_of(&container).ask(&json!({ "type": "report", "id": 1 }));
    let evidence = report["services"][0]["evidence"].to_string();
    assert!(evidence.contains("its socket is of uid 0"), "{evidence}");
    assert_eq!(agent(&container, "0", &["health"]).status.code(), Some(0));
}

#[test]
fn there_is_a_place_for_its_socket_without_any_right() {
    for (user, read_only) in [("0", true), ("1000", false), ("1000", true)] {
        let spec = with_companion(
            &listener_image(),
            &[LISTENER, "http", "0.0.0.0:8000", "200"],
        )
        .user(user)
        .cap_drop("ALL");
        let container = if read_only { spec.read_only() } else { spec }.run();
        says(&container, user, "healthy");
        assert_eq!(agent(&container, user, &["health"]).status.code(), Some(0));
        // Root in the container is believed, and believes the container's own user.
        says(&container, "0", "healthy");
        // Nobody else gets in, nor does anything stay behind.
        let other = agent(&container, "2000", &["status"]);
        assert!(!other.status.success(), "{other:?}");
        assert!(!container.diff().contains("sock"), "{}", container.diff());
    }
}

#[test]
fn the_host_s_network_is_no_place() {
    let container = with_companion(base_image(), &["sleep", "1000"])
        .user("1000")
        .read_only()
        .network("host")
        .run();
    let told = container.exec(&[AGENT, "serve"]);
    let words = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        words.contains("choose another place with --socket"),
        "{words}"
    );
    let sockets = fs::read_to_string("/proc/net/unix").expect("the host's sockets");
    assert!(!sockets.contains(&abstract_name(&container)));
}

/// What the abstract socket of user 1000's agent is called in this container.
fn abstract_name(container: &Container) -> String {
    let namespace = fs::read_link(format!("/proc/{}/ns/mnt", container.pid()));
    let namespace = namespace.expect("a namespace");
    let number = namespace
        .to_string_lossy()
        .replace(|c: char| !c.is_ascii_digit(), "");
    format!("diogenes-agent-{number}-1000")
}

/// Python that listens on that socket, or talks to it, as any process of the container can.
fn at_abstract_socket(container: &Container, what: &str) -> String {
    let name = abstract_name(container);
    format!("import socket, time\nname = '\\0{name}'\ns = socket.socket(socket.AF_UNIX)\n{what}")
}

/// Starts a program in the container, and leaves it there.
#[track_caller]
fn start_as(user: &str, container: &Container, words: &[&str]) {
    docker(&[&["exec", "-d", "--user", user, container.id()], words].concat());
}

#[test]
fn who_takes_its_place_deceives_nobody() {
    let container = Container::of(base_image())
        .option(agent_volume())
        .option("--tmpfs=/run/diogenes:mode=1777")
        .user("1000")
        .read_only()
        .entrypoint("sleep")
        .args(["1000"])
        .run();
    // At the usual place: the agent goes to the other, and is found there.
    let squat = "import os, socket, time\nos.umask(0)\ns = socket.socket(socket.AF_UNIX)\n\
        s.bind('/run/diogenes/agent.sock')\ns.listen()\ntime.sleep(1000)";
    start_as("2000", &container, &["python3", "-c", squat]);
    wait_until(SOON, "somebody in its place", || {
        let told = agent(&container, "1000", &["status"]);
        let words = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.status.code(), Some(69), "{words}");
        words.contains("another user").then_some(())
    });
    start_as("1000", &container, &[AGENT, "serve"]);
    says(&container, "1000", "sleep");
    says(&container, "0", "sleep");

    // At the other place as well: nobody answers, rather than somebody else.
    let second = Container::of(base_image())
        .option(agent_volume())
        .user("1000")
        .read_only()
        .entrypoint("sleep")
        .args(["1000"])
        .run();
    let squat = at_abstract_socket(&second, "s.bind(name)\ns.listen()\ntime.sleep(1000)");
    start_as("2000", &second, &["python3", "-c", &squat]);
    wait_until(SOON, "somebody in its other place", || {
        second
            .sh("cat /proc/net/unix")
            .contains("@diogenes-agent")
            .then_some(())
    });
    let told = agent(&second, "1000", &["serve"]);
    let words = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(1), "{words}");
    assert!(
        words.contains("cannot listen on @diogenes-agent-"),
        "{words}"
    );
    let told = agent(&second, "1000", &["health"]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stdout).contains("no agent answers"));
}

#[test]
fn a_container_in_the_same_network_is_not_let_in() {
    let container = with_companion(base_image(), &["sleep", "1000"])
        .user("1000")
        .read_only()
        .run();
    says(&container, "1000", "sleep");
    let beside = Container::of(base_image())
        .network(&format!("container:{}", container.name()))
        .user("1000")
        .entrypoint("sleep")
        .args(["1000"])
        .run();
    let knock = at_abstract_socket(&container, "s.connect(name)\nprint(s.recv(100))");
    let heard = |inside: &Container| {
        let output = inside.exec(&["python3", "-c", &knock]);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    assert!(heard(&container).contains("hello"), "{}", heard(&container));
    let refused = heard(&beside);
    assert!(!refused.contains("hello"), "{refused}");
}

#[test]
fn it_rests_while_a_supervisor_s_companion_is_there_and_still_tells_the_truth() {
    let container = with_companion(
        &listener_image(),
        &[LISTENER, "http", "127.0.0.1:8000", "200"],
    )
    .run();
    says(&container, "0", "healthy");
    let companion = companion_of(&container);
    // How often it woke in three seconds; awake, it looks at the listeners every 1.5 s.
    let wakes = || {
        let switches = || -> u64 {
            let text = status_of(companion, "voluntary_ctxt_switches").expect("a living companion");
            text.parse().expect("a number")
        };
        let before = switches();
        std::thread::sleep(Duration::from_secs(3));
        switches() - before
    };
    let is_awake = || (wakes() > 0).then_some(());
    let rests = || (wakes() == 0).then_some(());
    // Other tests' supervisors come and go.
    wait_until(SOON * 3, "it to be awake", is_awake);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("diogenes.toml");
    let policy = format!("[attach]\ninclude = [{:?}]\n", container.name());
    fs::write(&file, policy).expect("a file");
    let supervisor = Supervisor::spec()
        .arg(format!("--config={}", file.display()))
        .start();
    agent_in(&supervisor, &container);
    // It notices at one of its looks, or when it is asked.
    says(&container, "0", "healthy");
    wait_until(SOON * 2, "it to rest", rests);

    // The service dies while it rests: nobody tells it, and yet it knows.
    let server = children_of(container.pid())
        .into_iter()
        .find(|&pid| command_line(pid).contains("http"))
        .expect("the application");
    diogenes_tests::signal(server, rustix::process::Signal::STOP);
    let health = agent(&container, "0", &["health"]);
    let told = String::from_utf8_lossy(&health.stdout).into_owned();
    assert_eq!(health.status.code(), Some(1), "{told}");
    assert!(told.starts_with("unhealthy: "), "{told}");
    diogenes_tests::signal(server, rustix::process::Signal::CONT);
    says(&container, "0", "(healthy)");

    // The other one leaves: it takes up again.
    wait_until(SOON * 2, "it to rest again", rests);
    drop(supervisor);
    wait_until(SOON * 3, "it to rise", is_awake);
    says(&container, "0", "(healthy)");
}
