//! The agent as a program: static, small, and able to live without a supervisor.

use std::process::Command;

use diogenes_testkit::{Container, base_image, dist, docker, scratch_image, wait_until};
use diogenes_tests::SOON;

#[test]
fn it_is_static_and_at_most_one_megabyte() {
    let agent = dist("diogenes-agent");
    let size = std::fs::metadata(&agent).expect("the agent").len();
    println!("the agent has {size} bytes");
    assert!(size <= 1_000_000, "{size} bytes");
    let ldd = Command::new("ldd").arg(&agent).output().expect("ldd");
    let words =
        String::from_utf8_lossy(&ldd.stdout).into_owned() + &String::from_utf8_lossy(&ldd.stderr);
    assert!(
        words.contains("statically linked") || words.contains("not a dynamic executable"),
        "{words}"
    );
    let file = Command::new("file").arg(&agent).output().expect("file");
    let words = String::from_utf8_lossy(&file.stdout).into_owned();
    assert!(words.contains("static"), "{words}");
}

#[test]
fn it_runs_where_nothing_else_is() {
    let image = scratch_image(&dist("diogenes-agent"));
    let words = docker(&["run", "--rm", "--network=none", &image, "--version"]);
    assert!(words.starts_with("diogenes-agent "), "{words}");
}

#[test]
fn run_by_hand_it_serves_its_socket_and_answers() {
    let container = Container::of(base_image())
        .args(["redis-server", "--save", ""])
        .run();
    docker(&[
        "cp",
        &dist("diogenes-agent").to_string_lossy(),
        &format!("{}:/usr/local/bin/", container.name()),
    ]);
    let nobody = container.exec(&["diogenes-agent", "status"]);
    assert_eq!(nobody.status.code(), Some(69), "{nobody:?}");
    docker(&["exec", "-d", container.id(), "diogenes-agent"]);
    let words = wait_until(SOON, "an answer", || {
        let output = container.exec(&["diogenes-agent", "ask", "status"]);
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        words.contains("(healthy)").then_some(words)
    })
    .0;
    assert!(words.contains("Redis"), "{words}");
    let mode = container.sh("stat -c %a /run/diogenes/agent.sock");
    assert_eq!(mode, "600");
    let second = container.exec(&["diogenes-agent"]);
    assert_eq!(
        second.status.code(),
        Some(1),
        "a second one says that the place is taken: {second:?}"
    );
    let wrong = container.exec(&["diogenes-agent", "dance"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}
