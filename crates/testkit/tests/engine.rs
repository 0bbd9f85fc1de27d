//! The testkit itself on the real Engine: what it gives is what was asked for, and nothing of it stays.

use std::process::Command;
use std::time::Duration;

use diogenes_testkit::{Container, Engine, base_image, docker, listener_image, sweep, wait_until};

/// A `docker ps -a` over one container by its id: the id's first digits, or nothing.
fn listed(id: &str) -> String {
    docker(&["ps", "-aq", "--filter", &format!("id={id}")])
}

#[test]
fn a_confined_scratch_container_listens_and_ends_with_its_handle() {
    let container = Container::of(listener_image())
        .read_only()
        .cap_drop("ALL")
        .user("1000")
        .memory_mib(64)
        .args([
            "tcp",
            "127.0.0.1:7000",
            "udp",
            "127.0.0.1:7001",
            "unix",
            "@jar",
            "children",
            "2",
            "say",
            "ready",
        ])
        .run();
    wait_until(Duration::from_secs(5), "its word", || {
        container.logs().contains("ready").then_some(())
    });

    let facts = container.inspect_all();
    assert_eq!(facts["HostConfig"]["ReadonlyRootfs"], true);
    assert_eq!(facts["HostConfig"]["NetworkMode"], "none");
    assert_eq!(facts["Config"]["User"], "1000");
    assert_eq!(facts["HostConfig"]["Memory"], 64 << 20);
    let (_, _) = wait_until(Duration::from_secs(5), "its children", || {
        (container.top().lines().count() == 4).then_some(())
    });
    let tcp = std::fs::read_to_string(format!("/proc/{}/net/tcp", container.pid())).unwrap();
    assert!(
        tcp.contains("0100007F:1B58 "),
        "port 7000 is not listened on:\n{tcp}"
    );
    assert_eq!(container.diff(), "");
    // As PID 1 it asks for SIGTERM; one that did not would take the Engine's ten seconds.
    assert!(container.stop() < Duration::from_secs(5));

    let id = container.id().to_owned();
    assert!(!listed(&id).is_empty());
    drop(container);
    assert_eq!(listed(&id), "");
}

#[test]
fn the_sweep_takes_what_dead_runs_left_and_nothing_else() {
    Engine::require();
    let mine = Container::of(base_image())
        .entrypoint("sleep")
        .args(["infinity"])
        .run();
    // A run whose process is over: its pid was a child's of this test.
    let mut child = Command::new("true").spawn().unwrap();
    let dead = child.id();
    child.wait().unwrap();
    let left = docker(&[
        "create",
        &format!("--label=io.diogenes.test={dead}-1"),
        base_image(),
        "true",
    ]);

    sweep();
    assert_eq!(listed(&left), "");
    assert!(!listed(mine.id()).is_empty());
    assert_eq!(mine.sh("id -u"), "0");
}

#[test]
#[should_panic(expected = "No such image")]
fn what_the_engine_refuses_fails_the_test_with_its_words() {
    Engine::require();
    docker(&["image", "inspect", "diogenes-test/there-is-none"]);
}
