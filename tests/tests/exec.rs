//! Companions that come in through the Engine: from another host, or where containers may not be entered.

mod proxy;

use std::fs;
use std::time::Duration;

use diogenes_testkit::{
    Container, Supervisor, SupervisorSpec, base_image, demo_image, dist, listener_image, wait_until,
};
use diogenes_tests::{
    Peer, SOON, agent_in, command_line, is_gone, kill, present, snapshot, status_of,
};
use proxy::Proxy;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Where the agent is put: a promise to those who look for what changed.
const UPLOADED: &str = "/.diogenes-agent";

/// A supervisor of these containers alone.
fn spec(containers: &[&Container]) -> SupervisorSpec {
    let names: Vec<_> = containers.iter().map(|one| one.name()).collect();
    Supervisor::spec()
        .arg("--attach-default=false")
        .arg(format!("--attach-include={}", names.join(" ")))
}

fn by_exec(containers: &[&Container]) -> Supervisor {
    spec(containers).arg("--via=exec").start()
}

fn listener() -> Container {
    let args = ["tcp", "127.0.0.1:7000", "children", "2"];
    Container::of(listener_image()).args(args).run()
}

/// The companions that the Engine started in a container, by the host's pids.
#[track_caller]
fn agents(container: &Container) -> Vec<u32> {
    let rows = container.top();
    let rows = rows.lines().filter(|row| row.contains("attached --stdio"));
    rows.filter_map(|row| row.split_whitespace().nth(1)?.parse().ok())
        .collect()
}

/// The one companion in a container, once it is there.
#[track_caller]
fn agent(supervisor: &Supervisor, container: &Container) -> u32 {
    let seen = present(supervisor, container);
    assert_eq!(seen["via"], "exec", "{seen:#}");
    match agents(container)[..] {
        [agent] => agent,
        ref others => panic!("{} has {} companions", container.name(), others.len()),
    }
}

#[track_caller]
fn gone(agent: u32) {
    wait_until(SOON, "the companion to end", || {
        is_gone(agent).then_some(())
    });
}

#[track_caller]
fn fails(supervisor: &Supervisor, container: &Container) -> String {
    let (it, _) = supervisor.wait_for(container.name(), SOON, "it cannot be entered", |it| {
        it["companion"] == "failed"
    });
    it["reason"].as_str().expect("a reason").to_owned()
}

#[test]
fn an_engine_over_tcp_has_its_companions_by_exec() {
    let container = listener();
    assert_eq!(container.diff(), "");
    let proxy = Proxy::start();
    let supervisor = spec(&[&container])
        .arg(format!("--engine=tcp://{}", proxy.address()))
        .start();
    let agent = agent(&supervisor, &container);
    assert_eq!(container.diff(), "", "the agent removed what was uploaded");
    assert_eq!(container.logs(), "");

    let answer = supervisor.ask(container.name(), "what is running?");
    assert!(answer.contains("7000"), "{answer}");
    let seen = snapshot(&supervisor, container.name());
    let processes = seen["processes"].as_array().expect("processes");
    assert_eq!(
        processes.len(),
        3,
        "not the companion itself: {processes:#?}"
    );

    let all = supervisor.words(&["ls", "--all"]);
    let line = all.lines().find(|line| line.starts_with(container.name()));
    assert!(line.is_some_and(|line| line.contains(" exec ")), "{all}");
    let log = supervisor.log();
    assert_eq!(log.matches("brought in by exec").count(), 1, "{log}");
    assert!(log.contains("over TCP"), "{log}");

    supervisor.words(&["detach", container.name()]);
    gone(agent);
    assert_eq!(container.diff(), "");
    supervisor.words(&["attach", container.name()]);
    let agent = self::agent(&supervisor, &container);
    supervisor.end(Signal::TERM);
    gone(agent);
    assert_eq!(container.diff(), "");
}

#[test]
fn a_connection_that_breaks_ends_its_companion_and_another_comes() {
    let container = listener();
    let proxy = Proxy::start();
    let supervisor = spec(&[&container])
        .arg(format!("--engine=tcp://{}", proxy.address()))
        .start();
    let before = agent(&supervisor, &container);
    proxy.cut();
    gone(before);
    let (after, _) = wait_until(SOON, "another companion", || {
        agents(&container)
            .into_iter()
            .find(|&agent| agent != before)
    });
    assert_eq!(agent(&supervisor, &container), after);
    assert_eq!(container.diff(), "");
}

#[test]
fn it_is_the_containers_root_in_the_containers_cgroup_and_no_more() {
    let bare = Container::of(listener_image())
        .cap_drop("ALL")
        .user("1000")
        .args(["tcp", "127.0.0.1:7000"])
        .run();
    let usual = Container::of(base_image()).args(["sleep", "600"]).run();
    let supervisor = by_exec(&[&bare, &usual]);
    for (container, capabilities) in [(&bare, "0000000000000000"), (&usual, "00000000a80425fb")] {
        let agent = agent(&supervisor, container);
        let status = |key| status_of(agent, key).unwrap_or_default();
        for key in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(status(key), capabilities, "{key}");
        }
        assert!(status("Uid").starts_with('0'), "{}", status("Uid"));
        assert_eq!(
            (status("NoNewPrivs").as_str(), status("Seccomp").as_str()),
            ("1", "2")
        );
        let cgroups = fs::read_to_string(format!("/proc/{agent}/cgroup")).expect("cgroup");
        assert!(cgroups.contains(container.id()), "{cgroups}");
        assert_eq!(command_line(agent), format!("{UPLOADED} attached --stdio"));
        assert_eq!(container.diff(), "");
    }
}

#[test]
fn its_end_and_the_supervisors_and_the_containers_are_as_with_any_companion() {
    let container = listener();
    let supervisor = by_exec(&[&container]);
    let first = agent(&supervisor, &container);
    kill(first);
    wait_until(SOON, "another companion", || {
        agents(&container).into_iter().find(|&agent| agent != first)
    });
    let second = agent(&supervisor, &container);

    container.order("restart");
    gone(second);
    let (third, _) = wait_until(SOON, "a companion of the next life", || {
        agents(&container).first().copied()
    });
    agent(&supervisor, &container);
    container.stop();
    let (it, _) = supervisor.wait_for(container.name(), SOON, "its end is told", |it| {
        it["container_state"] == "exited"
    });
    assert_eq!(
        it["findings"],
        Value::Array(Vec::new()),
        "a clean end: {it:#}"
    );
    assert!(is_gone(third));

    container.order("start");
    let fourth = agent(&supervisor, &container);
    supervisor.end(Signal::KILL);
    gone(fourth);
    assert_eq!(container.diff(), "");
}

#[test]
fn a_paused_container_has_no_company_until_it_goes_on() {
    let container = listener();
    let supervisor = by_exec(&[&container]);
    let before = agent(&supervisor, &container);
    container.order("pause");
    let (it, _) = supervisor.wait_for(container.name(), SOON, "it is told as paused", |it| {
        it["state"] == "absent" && it["companion"] == "paused"
    });
    assert_eq!(it["reason"], "the container is paused");
    assert_eq!(it["health"], "unknown");
    // An upload into it would stay.
    assert_eq!(container.diff(), "");
    container.order("unpause");
    gone(before);
    let (_, took) = supervisor.wait_for(container.name(), SOON, "another is there", |it| {
        it["state"] == "present"
    });
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_ne!(agent(&supervisor, &container), before);
}

#[test]
fn stopping_takes_no_longer_and_a_stopped_supervisor_does_not_matter() {
    // The least: one that is stopped before it listens to SIGTERM is killed after ten seconds.
    let plain = (0..3).map(|_| listener().stop()).min().expect("three");
    // Double, and what a busy machine may add; an exec that held the container would cost ten seconds and more.
    let bound = plain * 2 + Duration::from_secs(2);
    let (one, other) = (listener(), listener());
    let supervisor = by_exec(&[&one, &other]);
    let agents = [agent(&supervisor, &one), agent(&supervisor, &other)];
    let took = one.stop();
    println!("docker stop: {plain:?} without, {took:?} with a companion by exec");
    assert!(took < bound, "{took:?}, plain {plain:?}");
    supervisor.signal(Signal::STOP);
    let took = other.stop();
    supervisor.signal(Signal::CONT);
    assert!(
        took < bound,
        "with the supervisor stopped: {took:?}, plain {plain:?}"
    );
    assert!(agents.into_iter().all(is_gone));
}

#[test]
fn without_privileges_exec_stands_in_and_is_told_once() {
    let (one, other) = (listener(), listener());
    let supervisor = spec(&[&one, &other])
        .wrapper(["setpriv", "--bounding-set=-sys_admin"])
        .start();
    for container in [&one, &other] {
        agent(&supervisor, container);
    }
    let log = supervisor.log();
    assert_eq!(log.matches("brought in by exec").count(), 1, "{log}");
    let report = supervisor.cli(&["doctor", "--json"]).stdout;
    let report: Value = serde_json::from_slice(&report).expect("JSON of the doctor");
    let check = |id: &str| {
        let checks = report["checks"].as_array().expect("checks");
        checks
            .iter()
            .find(|check| check["id"] == id)
            .expect("it is there")
            .clone()
    };
    let told = check("way-in")["detail"].to_string();
    assert!(
        told.contains("exec: attaching takes what is missing"),
        "{told}"
    );
    assert_eq!(check("privileges")["status"], "warning");
    let told = report.to_string();
    assert!(
        told.contains("containers attended: 2 (2 by exec)"),
        "{told}"
    );

    let attaching = spec(&[&one])
        .arg("--via=attach")
        .wrapper(["setpriv", "--bounding-set=-sys_admin"])
        .start();
    let reason = fails(&attaching, &one);
    assert!(reason.contains("diogenes doctor"), "{reason}");
}

#[test]
fn who_may_attach_does_so() {
    let container = listener();
    let supervisor = spec(&[&container]).start();
    agent_in(&supervisor, &container);
    let it = supervisor.container(container.name()).expect("it is known");
    assert_eq!(it["via"], "attached");
    assert!(agents(&container).is_empty());
}

#[test]
fn where_nothing_can_be_written_it_says_what_to_do() {
    let container = Container::of(listener_image())
        .read_only()
        .args(["tcp", "127.0.0.1:7000"])
        .run();
    let reason = fails(&by_exec(&[&container]), &container);
    for words in [
        "marked read-only",
        "attach from the Engine's own host",
        "bake",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

#[test]
fn an_agent_for_another_processor_is_told_in_words() {
    let container = listener();
    let folder = tempfile::tempdir().expect("a folder");
    let agent = folder.path().join("agent");
    // Of the other kind than this machine's, 183 for ARM and 62 for x86 (elf.h).
    let mut program = fs::read(dist("diogenes-agent")).expect("the agent");
    program[18] = if program[18] == 62 { 183 } else { 62 };
    fs::write(&agent, program).expect("a file");
    let supervisor = spec(&[&container])
        .arg("--via=exec")
        .arg(format!("--agent={}", agent.display()))
        .start();
    let reason = fails(&supervisor, &container);
    assert!(
        reason.contains("another processor") && reason.contains("exec format error"),
        "{reason}"
    );
}

#[test]
fn what_a_container_plants_at_the_path_gains_it_nothing() {
    let outside = tempfile::tempdir().expect("a folder");
    let container = Container::of(base_image())
        .option(format!("--volume={}:/host", outside.path().display()))
        .args(["sleep", "600"])
        .run();
    let planted = outside.path().join("planted");
    fs::write(&planted, "mine").expect("a file");
    container.sh(&format!("ln -s /host/planted {UPLOADED}"));
    let supervisor = by_exec(&[&container]);
    agent(&supervisor, &container);
    assert_eq!(fs::read(&planted).expect("it is there"), b"mine");
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 1);
    supervisor.words(&["detach", container.name()]);

    // A directory is the one thing the Engine leaves there.
    container.sh(&format!("mkdir {UPLOADED}"));
    supervisor.cli(&["attach", container.name()]);
    let reason = fails(&supervisor, &container);
    assert!(reason.contains("directory"), "{reason}");
}

/// A root inside that is faster than the Engine's start: its own program runs, and speaks for its own container.
#[test]
fn who_exchanges_the_upload_speaks_for_itself_alone() {
    let honest = listener();
    let hostile = Container::of(base_image())
        .args(["sh", "-c", &format!("{FORGERY}{EXCHANGE}")])
        .run();
    wait_until(SOON, "the trap to be set", || {
        hostile.logs().contains("set").then_some(())
    });
    let supervisor = by_exec(&[&honest, &hostile]);
    let before = present(&supervisor, &honest);
    // Who comes too late sees its companion go, and another come.
    let forged = (0..20).find_map(|_| {
        let it = supervisor.wait_for(hostile.name(), SOON, "somebody is there", |it| {
            it["state"] == "present"
        });
        let is_forged = it.0["reason"].as_str()?.contains("forged");
        if !is_forged {
            supervisor.words(&["detach", hostile.name()]);
            supervisor.words(&["attach", hostile.name()]);
        }
        is_forged.then_some(it.0)
    });
    let forged = forged.expect("one of twenty uploads was exchanged");
    assert_eq!(forged["id"], hostile.id(), "{forged:#}");
    let after = supervisor.container(honest.name()).expect("it is known");
    for key in ["id", "via", "state", "services", "reason"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    let mut peer = Peer::connect(
        &supervisor
            .run_dir()
            .join(format!("ci/{}.sock", honest.name())),
    );
    let pong = peer.ask(&json!({"type": "ping", "id": 7}));
    assert_eq!(pong["type"], "pong", "{pong}");
    supervisor.end(Signal::TERM);
    wait_until(SOON, "the forgery to end with its session", || {
        agents(&hostile).is_empty().then_some(())
    });
}

/// A program that says hello in another's name, and more than is asked of it.
const FORGERY: &str = r#"cat >/forgery <<'END'
#!/bin/sh
echo '{"type":"hello","protocol":{"min":1,"max":1},"build":"forged","capabilities":[]}'
echo noise >&2
cat >/dev/null
END
chmod 755 /forgery
"#;
/// Puts it in the place of each upload, as fast as a shell can.
const EXCHANGE: &str = r"cp /forgery /f; echo set
while :; do
  if [ -s /.diogenes-agent ]; then mv /f /.diogenes-agent; cp /forgery /f; fi
done
";

/// Without CAP_SYS_PTRACE not every process can be seen to be whose socket it is; that is said, and its port answers.
#[test]
fn what_belongs_to_other_users_is_not_left_out() {
    let container = Container::of(demo_image("redis")).run();
    let supervisor = by_exec(&[&container]);
    let answers = |it: &Value| {
        let services = it["services"].as_array();
        services?
            .iter()
            .find(|service| {
                service["kind"] == "redis"
                    && service["ports"] == json!([6379])
                    && service["health"] == "healthy"
            })
            .cloned()
    };
    let (it, _) = supervisor.wait_for(container.name(), SOON, "Redis answers", |it| {
        answers(it).is_some()
    });
    let service = answers(&it).expect("it answers");
    let seen = snapshot(&supervisor, container.name());
    let listeners = seen["listeners"].as_array().expect("listeners");
    let listener = listeners
        .iter()
        .find(|it| it["port"] == 6379)
        .expect("its listener");
    assert_eq!(listener["uid"], 999, "{listener:#}");
    let is_seen = listener["owners"]
        .as_array()
        .is_some_and(|owners| !owners.is_empty());
    let evidence = service["evidence"].to_string();
    assert!(
        is_seen || evidence.contains("could not be seen; its socket is of uid 999"),
        "{evidence}"
    );
}
