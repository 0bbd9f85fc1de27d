//! What a container notices of its companion: nothing. And what it could gain from it: nothing either.

use std::fs;
use std::time::Duration;

use diogenes_testkit::{Container, Supervisor, base_image, demo_image, listener_image, wait_until};
use diogenes_tests::{
    SOON, agent_in, agents_in, attacher_of, health, is_gone, kill, present, pss_kib, service,
    signal, snapshot, status_of, written_kib,
};
use rustix::process::Signal;
use serde_json::json;

/// Uid 65532 with CAP_DAC_OVERRIDE (bit 1) and CAP_SYS_PTRACE (bit 19), and nothing else.
const CAPABILITIES: &str = "0000000000080002";

/// A container in which nothing is allowed and nothing is there.
fn barest() -> Container {
    let args = [
        "tcp",
        "127.0.0.1:7000",
        "udp",
        "127.0.0.1:7001",
        "unix",
        "@jar",
        "children",
        "2",
    ];
    Container::of(listener_image())
        .read_only()
        .cap_drop("ALL")
        .user("1000")
        .network("none")
        .args(args)
        .run()
}

#[test]
fn the_barest_container_knows_itself_and_is_left_as_it_was() {
    let container = barest();
    // The column C is CPU use, which moves by itself.
    let top = || {
        let rows = container.top();
        rows.lines()
            .map(|row| {
                row.split_whitespace()
                    .enumerate()
                    .filter(|(at, _)| *at != 3)
                    .map(|(_, word)| word.to_owned())
                    .collect()
            })
            .collect::<Vec<Vec<_>>>()
    };
    let (before, _) = wait_until(SOON, "three processes", || {
        Some(top()).filter(|rows| rows.len() == 4)
    });
    assert_eq!(container.diff(), "");
    let supervisor = Supervisor::start();
    let agent = agent_in(&supervisor, &container);
    assert_eq!(top(), before, "docker top shows what it showed");
    assert_eq!(container.diff(), "", "nothing was written");

    let seen = snapshot(&supervisor, container.name());
    let processes = seen["processes"].as_array().expect("processes");
    assert_eq!(
        processes.len(),
        3,
        "the listener and its two children: {processes:#?}"
    );
    assert!(processes.iter().all(|process| process["uid"] == 1000));
    let listeners = seen["listeners"].as_array().expect("listeners");
    for (transport, key, value) in [
        ("tcp", "port", json!(7000)),
        ("udp", "port", json!(7001)),
        ("unix", "path", json!("@jar")),
    ] {
        let found = listeners
            .iter()
            .find(|it| it["transport"] == transport && it[key] == value);
        let found =
            found.unwrap_or_else(|| panic!("no {transport} listener {value} in {listeners:#?}"));
        assert_eq!(found["owners"], json!([1]), "{found:#}");
    }

    supervisor.words(&["detach", container.name()]);
    wait_until(SOON, "the companion to leave", || {
        is_gone(agent).then_some(())
    });
    assert!(agents_in(&supervisor, &container).is_empty());
    assert_eq!(container.diff(), "");
    assert_eq!(top(), before);
}

#[test]
fn the_launch_contract_is_kept() {
    let container = barest();
    let supervisor = Supervisor::spec()
        .env("SECRET_OF_THE_SUPERVISOR", "x")
        .start();
    let agent = agent_in(&supervisor, &container);
    let status = |key| status_of(agent, key).unwrap_or_default();
    for key in ["CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"] {
        assert_eq!(status(key), CAPABILITIES, "{key}");
    }
    for key in ["Uid", "Gid"] {
        assert_eq!(
            status(key).split_whitespace().collect::<Vec<_>>(),
            ["65532"; 4],
            "{key}"
        );
    }
    assert_eq!(status("Groups"), "");
    assert_eq!(
        (status("NoNewPrivs").as_str(), status("Seccomp").as_str()),
        ("1", "2")
    );
    assert_eq!(
        status("NSsid"),
        status("NSpid"),
        "a session of its own, also seen from outside"
    );
    assert_eq!(
        fs::read(format!("/proc/{agent}/environ")).expect("environ"),
        b""
    );
    assert_eq!(
        fs::read_link(format!("/proc/{agent}/cwd")).expect("cwd"),
        std::path::Path::new("/")
    );
    assert_eq!(
        fs::read_to_string(format!("/proc/{agent}/comm")).expect("comm"),
        "diogenes-agent\n"
    );
    let exe = fs::read_link(format!("/proc/{agent}/exe")).expect("exe");
    assert_eq!(exe, std::path::Path::new("/memfd:diogenes-agent (deleted)"));
    let limits = fs::read_to_string(format!("/proc/{agent}/limits")).expect("limits");
    assert!(
        limits
            .lines()
            .any(|line| line.starts_with("Max core file size") && line.contains(" 0 ")),
        "{limits}"
    );
    // Undumpable: its directory in /proc belongs to root, not to the user it runs as.
    let owner = std::os::unix::fs::MetadataExt::uid(
        &fs::metadata(format!("/proc/{agent}/environ")).expect("metadata"),
    );
    assert_eq!(owner, 0);
    for namespace in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let of =
            |pid: u32| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).expect("namespace");
        assert_eq!(of(agent), of(container.pid()), "{namespace}");
    }
    let user = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/user")).expect("namespace");
    assert_eq!(user(agent), user(supervisor.pid()));
    let cgroup = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("cgroup");
    assert!(
        cgroup(agent)
            .lines()
            .all(|line| !line.contains(container.id())),
        "it is charged to the supervisor"
    );
}

/// What a root inside with CAP_SYS_PTRACE, who may read all of its companion's `/proc`, finds there.
#[test]
fn a_hostile_root_finds_nothing_in_its_companion() {
    let container = Container::of(base_image())
        .cap_add("SYS_PTRACE")
        .args(["sleep", "600"])
        .run();
    let supervisor = Supervisor::spec()
        .env("SECRET_OF_THE_SUPERVISOR", "x")
        .start();
    let agent = agent_in(&supervisor, &container);
    let inside = status_of(agent, "NSpid")
        .and_then(|pids| pids.split_whitespace().last().map(str::to_owned))
        .expect("a pid");
    let look = |what: &str| container.sh(&what.replace("PID", &inside));

    let fds = look(
        "for fd in /proc/PID/fd/*; do echo $(readlink $fd) $(sed -n 's/flags:\t//p' /proc/PID/fdinfo/${fd##*/}); done",
    );
    assert!(fds.contains("socket:"), "the look itself works: {fds}");
    for fd in fds.lines() {
        let (target, flags) = fd.rsplit_once(' ').expect("target and flags");
        let writable = u32::from_str_radix(flags, 8).expect("octal flags") & 0o3 != 0;
        let harmless = ["socket:[", "anon_inode:["]
            .iter()
            .any(|kind| target.starts_with(kind));
        assert!(harmless || !writable, "a writable descriptor: {fd}");
        // The files it reads are the container's own: its /proc, and its cgroup as it is mounted inside.
        let own = ["/memfd:", "/proc", "/sys/fs/cgroup"]
            .iter()
            .any(|kind| target.starts_with(kind));
        assert!(harmless || own, "a descriptor of a file: {fd}");
    }
    let words = look(
        "cat /proc/PID/environ /proc/PID/cmdline /proc/PID/mountinfo; readlink /proc/PID/exe /proc/PID/cwd /proc/PID/root",
    );
    let own = container.sh("cat /proc/1/mountinfo");
    assert!(words.contains(&own), "its mounts are the container's");
    for secret in [
        "SECRET_OF_THE_SUPERVISOR",
        "api.sock",
        &supervisor.run_dir().display().to_string(),
    ] {
        assert!(!words.contains(secret), "{secret} in {words}");
    }
    let memory = look("strings -n 6 /proc/PID/maps 2>/dev/null || cat /proc/PID/maps");
    assert!(
        memory
            .lines()
            .all(|line| !line.contains('/') || line.contains("/memfd:diogenes-agent")),
        "{memory}"
    );
}

#[test]
fn stopping_an_attended_container_takes_no_longer() {
    let args = ["tcp", "127.0.0.1:7000"];
    let run = || Container::of(listener_image()).args(args).run();
    let plain = (0..3).map(|_| run().stop()).max().expect("three");
    // Double, and what a busy machine may add; a zombie companion would cost ten seconds and more.
    let bound = plain * 2 + Duration::from_secs(1);

    let supervisor = Supervisor::start();
    let attended = run();
    agent_in(&supervisor, &attended);
    assert!(attended.stop() < bound, "attended");
    supervisor.wait_for(attended.name(), SOON, "its end is told", |it| {
        it["state"] == "absent"
    });

    let (stopped, orphaned) = (run(), run());
    let agents = [
        agent_in(&supervisor, &stopped),
        agent_in(&supervisor, &orphaned),
    ];
    supervisor.signal(Signal::STOP);
    let took = stopped.stop();
    supervisor.signal(Signal::CONT);
    assert!(
        took < bound,
        "with the supervisor stopped: {took:?}, plain {plain:?}"
    );

    kill(attacher_of(&supervisor));
    let took = orphaned.stop();
    assert!(
        took < bound,
        "with the attacher killed: {took:?}, plain {plain:?}"
    );
    assert!(agents.into_iter().all(is_gone));
}

#[test]
fn a_killed_attacher_is_replaced_and_its_companions_too() {
    let container = barest();
    let supervisor = Supervisor::start();
    let (before, attacher) = (agent_in(&supervisor, &container), attacher_of(&supervisor));
    kill(attacher);
    wait_until(SOON, "another companion", || {
        agents_in(&supervisor, &container)
            .into_iter()
            .find(|&agent| agent != before)
    });
    assert_ne!(attacher_of(&supervisor), attacher);
    assert!(is_gone(before));
}

#[test]
fn companions_share_the_memory_of_their_program() {
    let args = ["http", "127.0.0.1:8000", "200", "children", "2"];
    let run = || Container::of(listener_image()).args(args).run();
    let containers: Vec<_> = (0..10).map(|_| run()).collect();
    let supervisor = Supervisor::start();
    let agents: Vec<_> = containers
        .iter()
        .map(|container| agent_in(&supervisor, container))
        .collect();
    // After the first looks.
    std::thread::sleep(Duration::from_secs(5));
    let pss = usual_pss_kib(&agents);
    let each = pss.iter().sum::<u64>() / 10;
    println!("PSS of each of ten companions: {each} KiB, of {pss:?}");
    // What the host pays for ten of them. Which one pays for a page that few use at the moment is chance.
    assert!(each <= 350, "{pss:?}");
    // A third of that are the catalogue's tables and their like: they hold addresses, which each program settles for
    // itself when it starts.
    let own: Vec<_> = agents.iter().map(|&agent| written_kib(agent)).collect();
    assert!(own.iter().all(|&kib| kib <= 300), "{own:?}");
    for container in &containers[1..] {
        supervisor.words(&["detach", container.name()]);
    }
    let left = || {
        agents[1..]
            .iter()
            .all(|&agent| is_gone(agent))
            .then_some(())
    };
    wait_until(SOON, "nine companions to leave", left);
    let alone = usual_pss_kib(&agents[..1])[0];
    println!("PSS of a single companion: {alone} KiB");
    assert!(alone <= 921, "a single one: {alone} KiB, at most 0.9 MiB");
}

/// What each of these companions usually holds, in KiB: the median over twelve seconds. Code that one has just used is its
/// own for a second or two.
fn usual_pss_kib(agents: &[u32]) -> Vec<u64> {
    let mut samples = vec![Vec::new(); agents.len()];
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(400));
        for (samples, &agent) in samples.iter_mut().zip(agents) {
            samples.push(pss_kib(agent));
        }
    }
    let median = |mut samples: Vec<u64>| {
        samples.sort_unstable();
        samples[samples.len() / 2]
    };
    samples.into_iter().map(median).collect()
}

#[test]
fn redis_under_its_own_uid_owns_its_listener() {
    let container = Container::of(demo_image("redis")).run();
    let supervisor = Supervisor::start();
    let (found, _) = health(&supervisor, &container, "healthy");
    assert_eq!(service(&found, "redis")["ports"], json!([6379]));
    let seen = snapshot(&supervisor, container.name());
    let listener = seen["listeners"]
        .as_array()
        .expect("listeners")
        .iter()
        .find(|it| it["port"] == 6379);
    let owner = listener.expect("the listener of Redis")["owners"][0].clone();
    let process = seen["processes"]
        .as_array()
        .expect("processes")
        .iter()
        .find(|it| it["container_pid"] == owner);
    let process = process.expect("its process");
    assert_eq!(
        (&process["name"], &process["uid"]),
        (&"redis-server".into(), &999.into())
    );
}

#[test]
fn a_container_in_the_hosts_network_claims_only_what_is_its_own() {
    let hosts = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener of the host");
    let foreign = hosts.local_addr().expect("its address").port();
    let own = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|it| it.local_addr())
        .expect("a free port")
        .port();
    let address = format!("127.0.0.1:{own}");
    let container = Container::of(listener_image())
        .network("host")
        .args(["tcp", address.as_str()])
        .run();
    let supervisor = Supervisor::start();
    present(&supervisor, &container);
    let seen = snapshot(&supervisor, container.name());
    let ports: Vec<_> = seen["listeners"]
        .as_array()
        .expect("listeners")
        .iter()
        .map(|it| it["port"].clone())
        .collect();
    assert!(
        ports.contains(&own.into()) && !ports.contains(&foreign.into()),
        "{ports:?}"
    );
    assert!(
        seen["listeners"]
            .as_array()
            .expect("listeners")
            .iter()
            .all(|it| it["owners"] != json!([]))
    );
}

#[test]
fn containers_that_share_pids_are_told_apart_and_let_go() {
    let first = Container::of(listener_image())
        .args(["children", "1"])
        .run();
    let with_first = format!("--pid=container:{}", first.name());
    let second = Container::of(listener_image())
        .option(with_first)
        .args(["children", "3"])
        .run();
    let with_host = Container::of(listener_image())
        .option("--pid=host")
        .args(["children", "2"])
        .run();
    let supervisor = Supervisor::start();
    for (container, processes) in [(&first, 2), (&second, 4), (&with_host, 3)] {
        present(&supervisor, container);
        let seen = snapshot(&supervisor, container.name());
        let listed = seen["processes"].as_array().expect("processes");
        assert_eq!(listed.len(), processes, "{}: {listed:#?}", container.name());
    }
    // In a shared pid namespace the kernel does not end the companion with its container.
    let agents = [
        agent_in(&supervisor, &second),
        agent_in(&supervisor, &with_host),
    ];
    second.order("kill");
    with_host.order("kill");
    wait_until(SOON, "their companions to end", || {
        agents.into_iter().all(is_gone).then_some(())
    });
    agent_in(&supervisor, &first);
}

#[test]
fn a_companion_ends_with_its_container_also_while_the_supervisor_is_stopped() {
    let container = Container::of(listener_image()).option("--pid=host").run();
    let supervisor = Supervisor::start();
    let agent = agent_in(&supervisor, &container);
    supervisor.signal(Signal::STOP);
    container.order("kill");
    wait_until(SOON, "the companion to end by itself", || {
        is_gone(agent).then_some(())
    });
    supervisor.signal(Signal::CONT);
}

#[test]
fn a_killed_companion_returns_once_at_once_and_then_with_patience() {
    let container = barest();
    let supervisor = Supervisor::start();
    let first = agent_in(&supervisor, &container);
    kill(first);
    let (second, took) = wait_until(SOON, "another companion", || {
        agents_in(&supervisor, &container)
            .into_iter()
            .find(|&agent| agent != first)
    });
    assert!(took < Duration::from_secs(2), "{took:?}");
    present(&supervisor, &container);
    kill(second);
    let (told, _) = supervisor.wait_for(container.name(), SOON, "a finding tells of it", |it| {
        it["findings"]
            .as_array()
            .is_some_and(|findings| findings.iter().any(|it| it["code"] == "companion-killed"))
    });
    assert_ne!(told["health"], "healthy", "nobody is there to say so");
    let third = agent_in(&supervisor, &container);
    assert!(third != first && third != second);
}

#[test]
fn a_companion_that_is_held_still_is_shown_as_silent() {
    let container = barest();
    let supervisor = Supervisor::start();
    let agent = agent_in(&supervisor, &container);
    signal(agent, Signal::STOP);
    let deadline = Duration::from_secs(60);
    let (silent, _) = supervisor.wait_for(container.name(), deadline, "it is silent", |it| {
        it["state"] == "silent"
    });
    assert_ne!(silent["health"], "healthy");
    signal(agent, Signal::CONT);
    present(&supervisor, &container);
}

#[test]
fn a_paused_container_still_answers() {
    let container = Container::of(demo_image("redis")).run();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    container.order("pause");
    wait_until(SOON, "the answer to tell of the pause", || {
        supervisor
            .ask(container.name(), "status")
            .contains("paused")
            .then_some(())
    });
    container.order("unpause");
    health(&supervisor, &container, "healthy");
}

#[test]
fn a_label_and_a_detach_keep_the_companion_away() {
    let container = Container::of(listener_image())
        .label("io.diogenes.attach", "false")
        .run();
    let supervisor = Supervisor::start();
    let (away, _) = supervisor.wait_for(container.name(), SOON, "it is known", |it| {
        it["state"] == "absent"
    });
    assert!(
        away["reason"]
            .as_str()
            .expect("a reason")
            .contains("io.diogenes.attach"),
        "{away:#}"
    );
    assert_eq!(
        (&away["health"], &away["via"]),
        (&"unknown".into(), &serde_json::Value::Null)
    );

    let other = barest();
    present(&supervisor, &other);
    supervisor.words(&["detach", other.name()]);
    supervisor.wait_for(other.name(), SOON, "it is let go", |it| {
        it["state"] == "absent"
    });
    // A detachment outlives the supervisor.
    let supervisor = Supervisor::spec()
        .folder(supervisor.end(Signal::TERM))
        .start();
    let (away, _) = supervisor.wait_for(other.name(), SOON, "it is known", |it| {
        it["state"] == "absent"
    });
    assert!(
        away["reason"]
            .as_str()
            .expect("a reason")
            .contains("detach"),
        "{away:#}"
    );
    supervisor.words(&["attach", other.name()]);
    present(&supervisor, &other);
}
