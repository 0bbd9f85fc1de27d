//! What happens to containers, and to the Engine, while a supervisor attends: it loses nobody, doubles nobody, keeps
//! nothing of what is gone, and says what happened. All in an Engine of the test's own, which some of these tests stop
//! and others crowd.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diogenes_testkit::{
    Container, ContainerSpec, PrivateEngine, Supervisor, debian_package, http, listener_image,
    wait_until,
};
use diogenes_tests::{
    Peer, SOON, agent_in, agents_in, attacher_of, children_of, health, is_gone, present, status_of,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// How long an Engine that was away may take to be found again: the supervisor asks every 10 s at least.
const FOUND_AGAIN: Duration = Duration::from_secs(30);

/// An Engine with the listener's image in it.
fn engine(options: &[&str]) -> PrivateEngine {
    let engine = PrivateEngine::start(options);
    engine.import(&listener_image());
    engine
}

fn supervisor(engine: &PrivateEngine) -> Supervisor {
    Supervisor::spec().engine(engine).start()
}

/// A container that serves, and so is healthy.
fn serving(engine: &PrivateEngine) -> ContainerSpec {
    Container::of(listener_image())
        .on(engine)
        .args(["http", "127.0.0.1:8000", "200"])
}

/// The names of all that the supervisor lists, each as often as it does.
fn names(supervisor: &Supervisor) -> Vec<String> {
    let status = supervisor.status();
    let all = status["containers"].as_array().expect("containers");
    let name = |it: &Value| it["name"].as_str().expect("a name").to_owned();
    all.iter().map(name).collect()
}

/// The files of the companions' sockets.
fn sockets(supervisor: &Supervisor) -> BTreeSet<String> {
    let folder = std::fs::read_dir(supervisor.run_dir().join("ci")).expect("a folder");
    folder
        .map(|file| file.expect("a file").file_name().display().to_string())
        .collect()
}

/// Open descriptors of a process: the fewest within a moment, for the connection of who has just asked it something may
/// not be closed yet.
fn fds(pid: u32) -> usize {
    let samples = (0..10).map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let folder = std::fs::read_dir(format!("/proc/{pid}/fd"));
        folder.expect("a living process").count()
    });
    samples.min().expect("samples")
}

/// Waits until the supervisor knows of no container and keeps nothing of any.
#[track_caller]
fn nothing_is_left(supervisor: &Supervisor) {
    wait_until(SOON, "nothing to be left", || {
        let is_clean = names(supervisor).is_empty()
            && sockets(supervisor).is_empty()
            && children_of(attacher_of(supervisor)).is_empty()
            // Companions whose attacher was killed, or launchers: none but the attacher.
            && children_of(supervisor.pid()).len() == 1;
        is_clean.then_some(())
    });
}

/// Waits until the reason for its health says all of this.
#[track_caller]
fn says(supervisor: &Supervisor, container: &Container, words: &[&str]) -> Value {
    let what = format!("its reason to say {words:?}");
    let says = |it: &Value| {
        let reason = it["reason"].as_str().unwrap_or_default();
        words.iter().all(|word| reason.contains(word))
    };
    supervisor.wait_for(container.name(), SOON, &what, says).0
}

/// Does something with many at one time, each on a thread of its own.
fn at_once<T: Send, R: Send>(
    all: impl IntoIterator<Item = T>,
    act: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let act = &act;
    std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .into_iter()
            .map(|one| scope.spawn(move || act(one)))
            .collect();
        let done = threads.into_iter().map(|thread| thread.join());
        done.map(|result| result.expect("a thread that succeeds"))
            .collect()
    })
}

#[test]
fn every_life_of_a_container_has_its_own_companion() {
    let engine = engine(&[]);
    let supervisor = supervisor(&engine);
    let container = serving(&engine).run();
    health(&supervisor, &container, "healthy");
    let first = agent_in(&supervisor, &container);

    container.stop();
    let ended = says(&supervisor, &container, &["exited with code 0"]);
    assert_eq!(
        (&ended["state"], &ended["health"]),
        (&"absent".into(), &"unknown".into())
    );
    wait_until(SOON, "its companion to end", || {
        is_gone(first).then_some(())
    });

    container.order("start");
    health(&supervisor, &container, "healthy");
    let second = agent_in(&supervisor, &container);
    container.order("restart");
    wait_until(SOON, "the companion of another life", || {
        agents_in(&supervisor, &container)
            .into_iter()
            .find(|&agent| agent != second)
    });
    health(&supervisor, &container, "healthy");
    assert!(is_gone(second));

    container.order("kill");
    let killed = says(&supervisor, &container, &["exited with code 137"]);
    let reason = killed["reason"].to_string();
    assert!(!reason.contains("memory"), "{reason}");
    assert_eq!(names(&supervisor), [container.name()]);
    drop(container);
    nothing_is_left(&supervisor);
}

#[test]
fn a_paused_container_answers_and_says_that_it_is_paused() {
    let engine = engine(&[]);
    let container = serving(&engine).user("1000").run();
    let watching = supervisor(&engine);
    health(&watching, &container, "healthy");
    let agent = agent_in(&watching, &container);
    container.order("pause");
    let paused = "The container is paused";
    wait_until(SOON, "the pause to be told", || {
        watching
            .ask(container.name(), "status")
            .contains(paused)
            .then_some(())
    });
    // Longer than a probe takes to be due and to fail.
    std::thread::sleep(Duration::from_secs(35));
    let known = watching.container(container.name()).expect("it is known");
    assert_eq!(known["health"], "unknown", "nothing in it moves: {known:#}");
    let reason = known["health_reason"].as_str().expect("a reason");
    assert!(reason.contains("paused"), "{reason}");
    assert_eq!(known["findings"], json!([]));
    let socket = watching
        .run_dir()
        .join(format!("ci/{}.sock", container.name()));
    let question = json!({ "type": "ask", "id": 1, "question": "status" });
    let answer = Peer::connect(&socket).ask(&question);
    assert!(answer.to_string().contains(paused), "{answer}");

    // One that meets it as it is.
    let late = supervisor(&engine);
    present(&late, &container);
    assert!(late.ask(container.name(), "status").contains(paused));

    container.order("unpause");
    for supervisor in [&watching, &late] {
        health(supervisor, &container, "healthy");
        assert!(
            !supervisor
                .ask(container.name(), "status")
                .contains("paused")
        );
    }
    assert_eq!(agent_in(&watching, &container), agent);
    // Nobody was told that a container was sick which a person had paused.
    for supervisor in [&watching, &late] {
        let log = supervisor.log();
        assert!(
            !log.contains("unhealthy") && !log.contains("degraded"),
            "{log}"
        );
    }
}

#[test]
fn a_name_moves_with_its_container_and_may_be_anothers_at_once() {
    let engine = engine(&[]);
    let supervisor = supervisor(&engine);
    let mut first = serving(&engine).name("shop").run();
    health(&supervisor, &first, "healthy");
    let agent = agent_in(&supervisor, &first);
    first.rename("store");
    let second = Container::of(listener_image())
        .on(&engine)
        .name("shop")
        .args(["http", "127.0.0.1:8001", "200"])
        .run();
    health(&supervisor, &second, "healthy");
    let (store, _) =
        supervisor.wait_for("store", SOON, "it is known", |it| it["health"] == "healthy");
    assert_eq!(store["ci_name"], "store-container-ci");
    assert_eq!(store["id"], first.id());
    assert_eq!(agent_in(&supervisor, &first), agent, "who was there stays");
    assert_ne!(agent_in(&supervisor, &second), agent);
    assert_eq!(
        supervisor.container("shop").expect("the second")["id"],
        second.id()
    );
    assert_eq!(names(&supervisor), ["shop", "store"]);
    wait_until(SOON, "both to have sockets", || {
        (sockets(&supervisor) == BTreeSet::from(["shop.sock".into(), "store.sock".into()]))
            .then_some(())
    });
    for (name, port) in [("shop", 8001), ("store", 8000)] {
        let socket = supervisor.run_dir().join(format!("ci/{name}.sock"));
        let services = Peer::connect(&socket).ask(&json!({ "type": "services", "id": 1 }));
        assert_eq!(
            services["services"][0]["ports"],
            json!([port]),
            "{services}"
        );
    }
    let past = supervisor.words(&["history", "store"]);
    assert!(past.contains("the container was called shop"), "{past}");

    // To the old name again: it was another's meanwhile.
    drop(second);
    first.rename("shop");
    supervisor.wait_for("shop", SOON, "it is the first", |it| it["id"] == first.id());
    assert!(supervisor.container("store").is_none());
    assert!(!supervisor.cli(&["ask", "store", "status"]).status.success());
    assert_eq!(agent_in(&supervisor, &first), agent);
}

#[test]
fn who_ran_out_of_memory_is_said_and_nobody_else() {
    let engine = engine(&[]);
    let supervisor = supervisor(&engine);
    let small = || Container::of(listener_image()).on(&engine).memory_mib(16);
    // The Engine notices only what happens once it has begun to watch.
    let eats = ["wait", "300", "eat", "64"];
    let starved = small().args(eats).create();
    let retried = small().option("--restart=on-failure:2").args(eats).create();
    let parent = small().args(["http", "127.0.0.1:8000", "200"]).run();
    health(&supervisor, &parent, "healthy");

    // Known before they end: of what was never seen running nobody tells the end.
    for container in [&starved, &retried] {
        container.order("start");
    }
    says(
        &supervisor,
        &retried,
        &["exited with code 137, out of memory"],
    );
    let told = supervisor.ask(retried.name(), "how often was it restarted?");
    assert!(told.contains("restarted 2 times"), "{told}");
    assert!(
        told.contains("out-of-memory killer ended its last run"),
        "{told}"
    );

    let child = parent.exec(&["/testkit-listener", "eat", "64"]);
    assert_eq!(child.status.code(), Some(137));
    let is_told = |it: &Value| {
        let findings = it["findings"].as_array().into_iter().flatten();
        findings
            .into_iter()
            .any(|it| it["code"] == "out-of-memory-kills")
    };
    supervisor.wait_for(parent.name(), SOON, "a finding tells of the child", is_told);
    parent.stop();
    let ended = says(&supervisor, &parent, &["exited with code 0"]);
    let reason = ended["reason"].to_string();
    assert!(
        !reason.contains("memory"),
        "it ended as it was told to: {reason}"
    );
}

#[test]
fn a_restart_loop_is_one_container_and_is_told() {
    let engine = engine(&[]);
    let supervisor = supervisor(&engine);
    let stable = serving(&engine).run();
    health(&supervisor, &stable, "healthy");
    let before = fds(supervisor.pid());
    let looping = Container::of(listener_image())
        .on(&engine)
        .option("--restart=always")
        .args(["die", "50"])
        .run();
    says(
        &supervisor,
        &looping,
        &["being restarted by the Engine after exit code 3"],
    );
    wait_until(SOON, "five lives", || {
        let count: u32 = looping
            .inspect("{{.RestartCount}}")
            .parse()
            .expect("a number");
        (count >= 5).then_some(())
    });
    assert_eq!(
        names(&supervisor)
            .iter()
            .filter(|name| *name == looping.name())
            .count(),
        1
    );
    let told = supervisor.ask(looping.name(), "how often was it restarted?");
    assert!(told.contains("times by its restart policy"), "{told}");
    health(&supervisor, &stable, "healthy");
    drop(looping);
    wait_until(SOON, "nothing to stay of it", || {
        (names(&supervisor) == [stable.name()] && fds(supervisor.pid()) == before).then_some(())
    });
}

#[test]
fn containers_that_are_over_at_once_leave_nothing() {
    let engine = engine(&[]);
    let supervisor = supervisor(&engine);
    let stable = serving(&engine).run();
    let agent = agent_in(&supervisor, &stable);
    // All that there may be of one container: its entry, its socket, its companion, and no zombie.
    let measure = || {
        let attacher = attacher_of(&supervisor);
        let own = [supervisor.pid(), attacher].map(|pid| (fds(pid), children_of(pid)));
        (names(&supervisor), sockets(&supervisor), own)
    };
    wait_until(SOON, "its socket", || {
        (sockets(&supervisor).len() == 1).then_some(())
    });
    let before = measure();
    let brief = || {
        Container::of(listener_image())
            .on(&engine)
            .args(["die", "50"])
    };
    at_once(0..40, |number| {
        // Half of them are removed while they run, perhaps while a companion is on its way.
        let container = if number % 2 == 0 {
            brief().run()
        } else {
            serving(&engine).run()
        };
        drop(container);
    });
    let mut after = before.clone();
    let start = Instant::now();
    while start.elapsed() < SOON {
        after = measure();
        if after == before {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(after, before);
    assert_eq!(agent_in(&supervisor, &stable), agent);
}

#[test]
fn two_hundred_containers_start_at_once_and_stop_at_once() {
    const MANY: usize = 200;
    let engine = engine(&[]);
    let supervisor = supervisor(&engine);
    // What is opened once has been opened then.
    let first = serving(&engine).run();
    health(&supervisor, &first, "healthy");
    drop(first);
    nothing_is_left(&supervisor);
    let before = fds(supervisor.pid());
    let containers: Vec<Container> = (0..MANY / 8)
        .flat_map(|_| at_once(0..8, |_| serving(&engine).create()))
        .collect();
    let order = |container: &Container, order: &str| {
        let path = format!("/containers/{}/{order}", container.id());
        let (code, reply) = http(&engine.socket(), "POST", &path, None);
        assert!(code < 400, "{reply}");
    };
    let start = Instant::now();
    at_once(&containers, |container| order(container, "start"));
    let started = start.elapsed();
    let mut well = 0;
    let (_, after) = wait_until(Duration::from_secs(60), "a companion in each", || {
        let status = supervisor.status();
        let all = status["containers"].as_array()?;
        let (there, others): (Vec<_>, Vec<_>) =
            all.iter().partition(|it| it["health"] == "healthy");
        if well != there.len() {
            well = there.len();
            eprintln!(
                "{well} of {} are healthy; not this one: {:?}",
                all.len(),
                others.first()
            );
        }
        (well == MANY).then_some(())
    });
    eprintln!(
        "{MANY} containers were started in {started:?}; all companions spoke {after:?} later"
    );
    assert_eq!(children_of(attacher_of(&supervisor)).len(), MANY);
    assert_eq!(
        names(&supervisor)
            .into_iter()
            .collect::<BTreeSet<_>>()
            .len(),
        MANY
    );
    at_once(&containers, |container| order(container, "stop?t=5"));
    at_once(containers, drop);
    nothing_is_left(&supervisor);
    wait_until(SOON, "its descriptors to be closed", || {
        (fds(supervisor.pid()) == before).then_some(())
    });
}

#[test]
fn an_engine_that_restarts_keeps_who_lives_and_finds_all_again() {
    for (options, signal, lives_on) in [
        (&[][..], Signal::TERM, false),
        (&["--live-restore"][..], Signal::TERM, true),
        (&["--live-restore"][..], Signal::KILL, true),
    ] {
        eprintln!("dockerd {options:?} {signal:?}");
        let mut engine = engine(options);
        let containers = [
            serving(&engine).option("--restart=always").run(),
            serving(&engine).option("--restart=always").run(),
        ];
        let single = serving(&engine).run();
        let supervisor = supervisor(&engine);
        let agents = containers.each_ref().map(|it| {
            health(&supervisor, it, "healthy");
            agent_in(&supervisor, it)
        });
        let last = agent_in(&supervisor, &single);

        engine.end(signal);
        wait_until(SOON, "/health to tell", || {
            let (_, reply) = supervisor.http("GET", "/health", None);
            reply.contains("\"degraded\"").then_some(())
        });
        let words = supervisor.words(&["status"]);
        assert!(words.contains("Engine"), "{words}");
        if lives_on {
            for container in &containers {
                let answer = supervisor.ask(container.name(), "status");
                assert!(answer.contains("healthy"), "{answer}");
            }
        } else {
            wait_until(SOON, "all to end with it", || {
                agents.into_iter().all(is_gone).then_some(())
            });
        }

        engine.resume();
        wait_until(FOUND_AGAIN, "/health to be well", || {
            let (_, reply) = supervisor.http("GET", "/health", None);
            reply.contains("\"healthy\"").then_some(())
        });
        let late = serving(&engine).run();
        health(&supervisor, &late, "healthy");
        let after = containers.each_ref().map(|it| {
            health(&supervisor, it, "healthy");
            agent_in(&supervisor, it)
        });
        assert_eq!(after == agents, lives_on, "{agents:?} {after:?}");
        if lives_on {
            assert_eq!(agent_in(&supervisor, &single), last);
        } else {
            says(&supervisor, &single, &["exited with code 0"]);
        }
        let all = names(&supervisor);
        assert_eq!(all.len(), 4, "{all:?}");
        assert_eq!(sockets(&supervisor).len(), 4);
        assert_eq!(
            children_of(attacher_of(&supervisor)).len(),
            3 + usize::from(lives_on)
        );
        drop((containers, single, late));
        nothing_is_left(&supervisor);
    }
}

#[test]
fn a_clock_that_is_set_loses_nobody() {
    let library = debian_package("libfaketime").join("usr/lib");
    let library = find(&library, "libfaketime.so.1").expect("Debian's libfaketime");
    let engine = engine(&[]);
    let offset = engine.path("offset");
    let set = |text: &str| std::fs::write(&offset, text).expect("a file of the test's own");
    set("+0");
    // The clock of the day alone is set, and the others go on, as when a person or a time server sets it.
    let supervisor = Supervisor::spec()
        .engine(&engine)
        .env("LD_PRELOAD", &library.to_string_lossy())
        .env("FAKETIME_TIMESTAMP_FILE", &offset.to_string_lossy())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .start();
    let resident = serving(&engine).run();
    health(&supervisor, &resident, "healthy");
    let agent = agent_in(&supervisor, &resident);
    let started = supervisor.status()["supervisor"]["uptime_s"].as_u64();
    let ahead_s = || {
        let (_, health) = supervisor.http("GET", "/health", None);
        let health: Value = serde_json::from_str(&health).expect("JSON");
        let told = health["timestamp"].as_str().expect("a time");
        let date = Command::new("date")
            .args(["-d", told, "+%s"])
            .output()
            .expect("date");
        let told: i64 = String::from_utf8_lossy(&date.stdout)
            .trim()
            .parse()
            .expect("a number");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock that is not before 1970");
        told - now.as_secs().cast_signed()
    };
    for (step, expected_s) in [("+7200", 7200), ("-7200", -7200), ("+0", 0)] {
        set(step);
        assert!(
            (ahead_s() - expected_s).abs() < 60,
            "its clock is {} s ahead",
            ahead_s()
        );
        let newcomer = serving(&engine).run();
        health(&supervisor, &newcomer, "healthy");
        newcomer.stop();
        says(&supervisor, &newcomer, &["exited with code 0"]);
        let status = supervisor.status();
        assert_eq!(status["supervisor"]["engine"]["reachable"], true, "{step}");
        let uptime = status["supervisor"]["uptime_s"].as_u64();
        assert!(
            uptime >= started && uptime < Some(600),
            "{step}: {uptime:?}"
        );
        let known = supervisor.container(resident.name()).expect("it is known");
        assert_eq!(
            (&known["state"], &known["health"]),
            (&"present".into(), &"healthy".into())
        );
    }
    assert_eq!(agent_in(&supervisor, &resident), agent);
}

/// The first file of this name below a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            find(&path, name)
        } else {
            (entry.file_name() == name).then_some(path)
        }
    })
}

#[test]
fn a_supervisor_that_ends_in_the_middle_of_its_work_leaves_nobody_behind() {
    let engine = engine(&[]);
    let containers: Vec<Container> = (0..5)
        .flat_map(|_| at_once(0..10, |_| serving(&engine).run()))
        .collect();
    let inside = || {
        let pids = containers.iter().map(Container::pid);
        pids.flat_map(agents_beside).collect::<Vec<u32>>()
    };
    for signal in [Signal::TERM, Signal::KILL] {
        let supervisor = supervisor(&engine);
        wait_until(SOON, "the first companions", || {
            (!children_of(attacher_of(&supervisor)).is_empty()).then_some(())
        });
        let attacher = attacher_of(&supervisor);
        let ci_dir = supervisor.run_dir().join("ci");
        let start = Instant::now();
        let folder = supervisor.end(signal);
        eprintln!("{signal:?}: ended after {:?}", start.elapsed());
        wait_until(
            SOON,
            "attacher and companions to be gone, not only dead",
            || (status_of(attacher, "State").is_none() && inside().is_empty()).then_some(()),
        );
        if signal == Signal::TERM {
            assert_eq!(std::fs::read_dir(&ci_dir).expect("a folder").count(), 0);
        }
        drop(folder);
    }
    // Nobody in the containers noticed, and the next one attends to all of them, once.
    let supervisor = supervisor(&engine);
    wait_until(Duration::from_secs(60), "a companion in each", || {
        let status = supervisor.status();
        let all = status["containers"].as_array()?;
        (all.iter().filter(|it| it["health"] == "healthy").count() == containers.len())
            .then_some(())
    });
    assert_eq!(inside().len(), containers.len());
    let took = containers[0].stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// All companions in the pid namespace of a process, zombies included, whoever brought them in.
fn agents_beside(pid: u32) -> Vec<u32> {
    let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid_for_children")).ok();
    let inside = namespace(pid);
    let all = std::fs::read_dir("/proc").expect("/proc");
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&other| other != pid && inside.is_some() && namespace(other) == inside)
        .filter(|&other| status_of(other, "Name").is_some_and(|name| name.starts_with("diogenes")))
        .collect()
}
