//! Who is there, who has ended, and who has come back.

use super::*;

#[test]
fn a_dead_process_is_unhealthy_at_once_and_recovers_under_its_key() {
    let mut play = Play::healthy(scene::redis());
    play.wait(63_000);
    play.see(scene::redis().without(17));
    let report = play.report();
    assert_eq!(report.health, Health::Unhealthy);
    let reason = report.reason.to_string();
    assert_eq!(
        reason,
        "Redis does not answer: its process (pid 17) ended at 12:01:03, port 6379 is closed"
    );
    assert_eq!(report.services[0].pids, Vec::<u32>::new());
    assert_eq!(report.roles["cache"].to_string(), "redis on port 6379");
    assert_eq!(report.since, at(63_000));
    assert_eq!(play.codes(), ["service-gone"]);
    assert_eq!(play.assessor.next(at(63_000)), None);

    // Started by hand, under another pid: first without a listener, then with it.
    play.wait(10_000);
    let born = at(play.now_ms);
    let again = |scene: Scene| {
        scene
            .process(99, 0, "/usr/bin/redis-check-rdb", &["redis-server *:6379"])
            .with(|p| {
                p.name = "redis-server".into();
                p.started_at = born;
            })
    };
    play.see(again(scene::redis().without(17)));
    assert_eq!(play.report().services.len(), 1);
    let (health, why) = play.first();
    assert_eq!(health, Health::Starting);
    assert!(why.contains("pid 99 was started in its place"), "{why}");
    play.wait(200);
    play.see(again(scene::redis().without(17)).tcp("0.0.0.0", 6379, &[99]));
    assert_eq!(play.probe(answers()), 0, "it may not be done starting");
    play.wait(1_000);
    assert_eq!(play.probe(answers()), 1);
    let report = play.report();
    assert_eq!(
        (report.health, report.services[0].key.as_str()),
        (Health::Healthy, "redis:6379")
    );
    assert_eq!(report.findings, []);
    assert_eq!(report.services[0].since, at(play.now_ms));

    // What was the container's own stays so, though it was started by hand.
    play.wait(1_000);
    play.see(scene::redis().without(17));
    play.wait(3_600_000);
    play.look();
    assert_eq!(play.first().0, Health::Unhealthy);
}

#[test]
fn a_tool_that_is_run_by_hand_is_no_service() {
    let mut play = Play::healthy(scene::redis());
    let asks = |scene: Scene| {
        scene
            .process(
                99,
                0,
                "/usr/bin/redis-check-rdb",
                &["redis-server", "--version"],
            )
            .with(|p| p.name = "redis-server".into())
    };
    play.see(asks(scene::redis()));
    assert_eq!(play.report().services.len(), 1);
    play.see(scene::redis());
    assert_eq!(play.report().health, Health::Healthy);
}

#[test]
fn a_zombie_is_named() {
    let mut play = Play::healthy(scene::redis());
    play.wait(1_000);
    let mut scene = scene::redis().with_pid(17, |p| {
        p.state = 'Z';
        p.executable = None;
        p.command.clear();
    });
    scene.snapshot.listeners.clear();
    play.see(scene);
    let service = play.report().services.remove(0);
    assert_eq!(service.health, Health::Unhealthy);
    assert!(
        service.evidence[0]
            .to_string()
            .starts_with("its process (pid 17) ended at 12:00:01")
    );
    assert_eq!(
        service.evidence[1].to_string(),
        "pid 17 is a zombie: its parent has not reaped it"
    );
}

#[test]
fn a_crash_loop_is_found() {
    let mut play = Play::healthy(scene::redis());
    for pid in 100..104_u32 {
        play.wait(5_000);
        let born = at(play.now_ms - 10);
        let mut scene = scene::redis().with_pid(17, |p| {
            p.container_pid = pid;
            p.started_at = born;
        });
        for listener in &mut scene.snapshot.listeners {
            listener.owners = vec![pid];
            listener.inode += u64::from(pid);
        }
        play.see(scene);
        play.wait(1_000);
        play.probe(answers());
    }
    assert_eq!(play.first().0, Health::Degraded);
    assert_eq!(play.codes(), ["crash-loop"]);
    play.wait(61_000);
    play.look();
    assert_eq!(play.codes(), Vec::<String>::new());
    assert_eq!(play.first().0, Health::Healthy);
}

#[test]
fn a_listener_that_closed_is_missed_while_the_process_lives() {
    let mut play = Play::healthy(stranger());
    play.wait(1_000);
    let mut deaf = stranger();
    deaf.snapshot.listeners.clear();
    play.see(deaf);
    let report = play.report();
    assert_eq!(report.services[0].health, Health::Unhealthy);
    assert_eq!(play.codes(), ["service-deaf"]);
    assert!(
        play.first()
            .1
            .contains("lives, but has not listened on port 7000 since 12:00:01")
    );
}

#[test]
fn what_was_started_by_hand_is_not_missed_for_ever() {
    let visitor = || {
        Scene::new()
            .process(1, 0, "/usr/bin/sleep", &["sleep", "infinity"])
            .process(
                50,
                0,
                "/usr/bin/python3.11",
                &["python3", "-m", "http.server"],
            )
            .tcp("0.0.0.0", 8000, &[50])
    };
    let mut play = Play::healthy(visitor());
    play.wait(1_000);
    play.see(visitor().without(50));
    assert_eq!(play.report().health, Health::Unhealthy);
    play.wait(11 * 60_000);
    play.look();
    let report = play.report();
    assert_eq!(report.services.len(), 1);
    assert_eq!(
        (report.services[0].kind.as_str(), report.health),
        ("process", Health::Unknown)
    );
}

#[test]
fn a_port_is_taken_by_another() {
    let mut play = Play::healthy(scene::redis());
    let thief = scene::redis()
        .without(17)
        .process(
            60,
            1,
            "/usr/bin/python3.11",
            &["python3", "-m", "http.server", "6379"],
        )
        .tcp("0.0.0.0", 6379, &[60]);
    play.see(thief);
    let report = play.report();
    assert_eq!(report.services.len(), 2);
    let redis = report.services.iter().find(|s| s.kind == "redis").unwrap();
    assert!(
        redis.evidence[0]
            .to_string()
            .ends_with("port 6379 is held by another process")
    );
}

#[test]
fn a_worker_is_judged_by_its_life() {
    let scene = |cpu_ms| {
        let command = ["python3", "/usr/bin/celery", "-A", "tasks", "worker"];
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/usr/bin/python3.11", &command)
            .with(|p| p.frameworks = vec!["django".into()])
            .process(6, 5, "/usr/bin/python3.11", &command)
            .with(|p| p.cpu_ms = cpu_ms)
    };
    let mut play = Play::of(scene(0));
    play.look();
    play.wait(10_000);
    play.see(scene(10));
    let service = play.report().services.remove(0);
    assert_eq!(
        (service.kind.as_str(), service.role.as_deref()),
        ("celery", Some("worker"))
    );
    assert_eq!(
        (service.health, service.activity),
        (Health::Healthy, Some(Activity::Idle))
    );
    assert!(service.evidence[0].as_raw().contains("2 processes live"));
    play.wait(10_000);
    play.see(scene(9000));
    assert_eq!(play.report().services[0].activity, Some(Activity::Busy));
    play.see(Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]));
    assert_eq!(play.report().services[0].health, Health::Unhealthy);
}

#[test]
fn a_worker_without_its_broker_is_degraded() {
    let worker = || {
        let command = ["python3", "/usr/bin/celery", "-A", "tasks", "worker"];
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/usr/bin/python3.11", &command)
    };
    let redis = |scene: Scene, pid, port| {
        scene
            .process(pid, 1, "/usr/bin/redis-server", &["redis-server *:6379"])
            .tcp("0.0.0.0", port, &[pid])
    };
    let health = |play: &mut Play| {
        let services = play.report().services;
        services
            .iter()
            .find(|s| s.kind == "celery")
            .map(|s| s.health)
    };
    let mut play = Play::healthy(redis(worker(), 6, 6379));
    assert_eq!(health(&mut play), Some(Health::Healthy));
    play.see(worker());
    assert_eq!(health(&mut play), Some(Health::Degraded));
    let mut two = Play::healthy(redis(redis(worker(), 6, 6379), 7, 6380));
    two.see(redis(worker(), 7, 6380));
    assert_eq!(
        health(&mut two),
        Some(Health::Healthy),
        "the other one may be its broker"
    );
}

#[test]
fn workers_whose_main_process_ended_are_degraded_until_it_is_back() {
    let web = |main: Option<u32>, parent| {
        let mut scene = Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]);
        let title = "nginx: worker process";
        if let Some(main) = main {
            scene = scene.process(main, 1, "/usr/sbin/nginx", &["nginx: master process nginx"]);
        }
        for pid in [7, 8] {
            scene = scene.process(pid, parent, "/usr/sbin/nginx", &[title]);
        }
        let owners: Vec<u32> = main.into_iter().chain([7, 8]).collect();
        scene.tcp("0.0.0.0", 80, &owners)
    };
    let mut play = Play::healthy(web(Some(6), 6));
    play.wait(1000);
    play.see(web(None, 1));
    play.probe(answers());
    let (health, why) = play.first();
    assert_eq!(health, Health::Degraded, "{why}");
    assert!(
        why.contains("main process (pid 6) ended") && why.contains("2 processes"),
        "{why}"
    );
    play.wait(60_000);
    play.look();
    play.probe(answers());
    assert_eq!(play.first().0, Health::Degraded, "it still is");
    play.see(web(Some(9), 9));
    play.probe(answers());
    assert_eq!(play.first().0, Health::Healthy);
}

#[test]
fn a_worker_that_was_seen_before_its_main_process_is_not_missed() {
    let quart = |worker: &str, owners| {
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(
                5,
                1,
                "/usr/bin/python3",
                &["python3", "-m", "hypercorn", "main:app"],
            )
            .process(6, 5, worker, &["python3", "-c", "spawn_main()"])
            .with(|p| p.frameworks = vec!["quart".to_owned()])
            .tcp("0.0.0.0", 8000, owners)
    };
    let mut play = Play::healthy(quart("/usr/bin/python3.11", &[6]));
    assert_eq!(play.report().services[0].key, "quart:8000");
    play.wait(1_000);
    play.see(quart("/usr/bin/python3", &[5, 6]));
    play.wait(1_000);
    play.probe(answers());
    let services = play.report().services;
    assert_eq!(services.len(), 1, "{services:?}");
    assert_eq!(services[0].health, Health::Healthy);
}

#[test]
fn a_main_process_that_lives_has_abandoned_nobody() {
    let sip = |owner| {
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/usr/sbin/sipd", &["sipd"])
            .process(6, 5, "/usr/lib/sipd/tcp", &["sipd-tcp"])
            .tcp("0.0.0.0", 5060, owner)
    };
    let mut play = Play::healthy(sip(&[5, 6]));
    play.wait(60_000);
    play.see(sip(&[6]));
    let (_, why) = play.first();
    assert!(!why.contains("ended"), "{why}");
}

#[test]
fn workers_that_part_are_no_services_of_their_own() {
    let gunicorn = |main: Option<u32>, workers: &[u32], listening: &[u32]| {
        let mut scene = Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]);
        for &pid in main.iter().chain(workers) {
            let parent = main.filter(|&it| it != pid).unwrap_or(1);
            let line = ["python3", "/usr/bin/gunicorn", "shop:app"];
            scene = scene.process(pid, parent, "/usr/bin/python3.11", &line);
        }
        scene.tcp("0.0.0.0", 8000, listening)
    };
    let mut play = Play::healthy(gunicorn(Some(5), &[6, 7], &[5, 6, 7]));
    play.wait(60_000);
    // The first of them has closed its sockets and not ended yet.
    play.see(gunicorn(None, &[6, 7], &[7]));
    assert_eq!(play.report().services.len(), 1);
    assert_eq!(play.first().0, Health::Degraded);
}

#[test]
fn what_a_young_process_leaves_are_its_workers_in_its_group_and_a_daemon_out_of_it() {
    let started = |pids: &[u32], group_of: fn(u32) -> Option<u32>, parent: u32| {
        let mut scene = Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]);
        for &pid in pids {
            let parent = if pid == 5 { 1 } else { parent };
            scene = scene
                .process(pid, parent, "/usr/sbin/apache2", &["apache2"])
                .with(|p| (p.started_at, p.group) = (at(0), group_of(pid)));
        }
        scene.tcp("0.0.0.0", 80, pids)
    };
    let left_after = |ms, group_of: fn(u32) -> Option<u32>| {
        let mut play = Play::healthy(started(&[5, 6], group_of, 5));
        play.wait(1_000);
        play.probe(answers());
        play.wait(ms);
        play.see(started(&[6], group_of, 1));
        play.probe(outcome(Verdict::Alive, "answers HTTP in 1 ms"));
        play.first().0
    };
    let left = |group_of| left_after(1000, group_of);
    assert_eq!(left(|_| Some(5)), Health::Degraded, "a worker");
    // Its workers were forked since the last look.
    let mut play = Play::healthy(started(&[5], |_| Some(5), 5));
    play.wait(1000);
    play.see(started(&[6], |_| Some(5), 1));
    play.probe(outcome(Verdict::Alive, "answers HTTP in 1 ms"));
    assert_eq!(play.first().0, Health::Degraded);
    // A worker with a helper of its own, which does not listen, leads nobody.
    let helped = |main: Option<u32>| {
        let mut scene = Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]);
        for pid in main.into_iter().chain([6, 7]) {
            let parent = if pid == 7 {
                6
            } else {
                main.filter(|&it| it != pid).unwrap_or(1)
            };
            scene = scene
                .process(pid, parent, "/usr/sbin/squid", &["squid"])
                .with(|p| (p.started_at, p.group) = (at(0), Some(5)));
        }
        scene.tcp("0.0.0.0", 3128, &[6])
    };
    let mut play = Play::healthy(helped(Some(5)));
    play.wait(1000);
    play.see(helped(None));
    play.wait(1_000);
    play.probe(outcome(Verdict::Alive, "answers HTTP in 1 ms"));
    assert_eq!(play.first().0, Health::Degraded);

    assert_eq!(left(Some), Health::Healthy, "a daemon leads its group");
    assert_eq!(left(|_| None), Health::Healthy, "who knows");
    // Syncthing's monitor puts what it looks after into a group of its own.
    assert_eq!(left_after(60_000, Some), Health::Degraded, "no launcher");
}

/// What the next companion is told of the services that are gone.
fn ended(report: &Report) -> Vec<EndedService> {
    let services = report.services.iter();
    services.filter_map(EndedService::of).collect()
}

#[test]
fn who_comes_later_misses_what_ended_before() {
    let shell = || Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]);
    let redis = |pid| shell().process(pid, 1, "/usr/bin/redis-server", &["redis-server"]);
    let mut first = Play::healthy(redis(5).tcp("0.0.0.0", 6379, &[5]));
    first.wait(1_000);
    first.see(shell());
    let before = first.report();
    assert_eq!(before.health, Health::Unhealthy);

    let mut later = Play::healthy(shell());
    later.wait(60_000);
    later.look();
    assert_ne!(
        later.report().health,
        Health::Unhealthy,
        "nothing is missed"
    );
    later.remember(Vec::new(), ended(&before));
    for _ in 0..2 {
        let report = later.report();
        assert_eq!(report.health, Health::Unhealthy);
        let [redis] = &*report.services else {
            panic!("{:?}", report.services);
        };
        let told = &before.services[0];
        assert_eq!(
            (&redis.key, &redis.name, &redis.role),
            (&told.key, &told.name, &told.role)
        );
        assert_eq!((redis.since, &redis.ports), (told.since, &told.ports));
        let why = redis.evidence[0].as_raw();
        assert!(
            why.contains("ended at") && why.contains("port 6379 is closed"),
            "{why}"
        );
        // It is told once, and remembered by itself from then on.
        later.wait(10_000);
        later.look();
    }
    later.see(redis(9).tcp("0.0.0.0", 6379, &[9]));
    later.wait(1_000);
    later.probe(answers());
    let report = later.report();
    assert_eq!((report.health, report.services.len()), (Health::Healthy, 1));
}

#[test]
fn what_is_remembered_is_told_as_it_was_told() {
    let ended = |kind: &str, name: &str, role: Option<&str>, ports: &[u16]| EndedService {
        service: ports
            .first()
            .map_or(kind.to_owned(), |port| format!("{kind}:{port}")),
        name: name.into(),
        kind: kind.to_owned(),
        role: role.map(str::to_owned),
        version: Some("1.2".into()),
        ports: ports.to_vec(),
        since: at(0),
    };
    let all = vec![
        ended("redis", "Redis", Some("cache"), &[6379]),
        ended("fastapi", "Shop API", Some("web"), &[8000]),
        ended("celery", "Celery", Some("worker"), &[]),
        ended("http", "server.py", Some("web"), &[8080]),
        ended("tcp", "server", None, &[7]),
        ended("udp", "server", None, &[9]),
        ended("unix", "server", None, &[]),
        ended("process", "report.sh", Some("scheduler"), &[]),
    ];
    let mut play = Play::healthy(Scene::new());
    play.wait(1_000);
    play.remember(Vec::new(), all.clone());
    let mut told = self::ended(&play.report());
    for service in all {
        let place = told.iter().position(|other| *other == service);
        told.remove(place.unwrap_or_else(|| panic!("{service:?} among {told:#?}")));
    }
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn what_is_seen_is_not_taken_for_ended() {
    let mut play = Play::healthy(crate::scene::redis());
    let mut gone = ended(&play.report());
    assert!(gone.is_empty());
    let since = at(0);
    for service in ["redis:6379", "valkey:6379"] {
        gone.push(EndedService {
            service: service.to_owned(),
            name: "X".into(),
            kind: "nonsense".to_owned(),
            role: Some("nonsense".to_owned()),
            version: None,
            ports: vec![6379],
            since,
        });
    }
    play.remember(Vec::new(), gone);
    assert_eq!(play.report().health, Health::Healthy);
    // And of what cannot be, no more is remembered than of what was seen to end.
    let many = (0..10_000).map(|number| EndedService {
        service: format!("x:{number}"),
        name: "X".into(),
        kind: "x".to_owned(),
        role: None,
        version: None,
        ports: Vec::new(),
        since: Timestamp::from_unix_ms(u64::MAX),
    });
    play.remember(Vec::new(), many.collect());
    let report = play.report();
    assert_eq!(report.services.len(), 1 + MAX_GONE);
    assert!(
        report
            .services
            .iter()
            .all(|service| service.since <= at(play.now_ms))
    );
}

#[test]
fn who_takes_the_place_of_one_that_ended_has_time_to_begin_to_listen() {
    let server = |pid: u32, started_ms: u64, listens: bool| {
        let scene = Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(
                pid,
                1,
                "/usr/bin/python3.11",
                &["python3", "/srv/server.py"],
            );
        let scene = scene.with(|p| p.started_at = at(started_ms));
        if listens {
            scene.tcp("0.0.0.0", 8000, &[pid])
        } else {
            scene
        }
    };
    let mut play = Play::healthy(server(5, 0, true));
    play.wait(60_000);
    play.see(server(6, 59_000, false));
    let (health, why) = play.first();
    assert_eq!(health, Health::Starting, "{why}");
    assert!(why.contains("pid 6 was started in its place"), "{why}");
    play.wait(20_000);
    play.look();
    let (health, why) = play.first();
    assert_eq!(health, Health::Unhealthy, "{why}");
    play.wait(5_000);
    play.see(server(6, 59_000, true));
    let speaks = || ProbeOutcome {
        protocol: Some("http".into()),
        ..answers()
    };
    play.wait(1_000);
    play.probe(speaks());
    assert_eq!(play.first().0, Health::Healthy);

    // Again and again is no start.
    for pid in 7..11 {
        play.wait(2_000);
        let now_ms = play.now_ms;
        play.see(server(pid, now_ms, false));
    }
    assert_eq!(play.first().0, Health::Unhealthy);
    assert!(play.codes().contains(&"crash-loop".to_owned()));
}

/// A database below an entrypoint that fills it first: pid 9 serves the Unix socket alone.
fn being_filled() -> Scene {
    Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh", "/keep.sh"])
        .process(
            7,
            1,
            "/usr/bin/bash",
            &["bash", "/entrypoint.sh", "postgres"],
        )
        .process(
            9,
            1,
            "/usr/lib/postgresql/15/bin/postgres",
            &["postgres", "-c", "x"],
        )
        .unix("/run/postgresql/.s.PGSQL.5432", &[9])
}

/// The same once the entrypoint has become the server.
fn filled(listens: bool) -> Scene {
    let scene = Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh", "/keep.sh"])
        .process(7, 1, "/usr/lib/postgresql/15/bin/postgres", &["postgres"]);
    match listens {
        true => scene
            .tcp("0.0.0.0", 5432, &[7])
            .unix("/run/postgresql/.s.PGSQL.5432", &[7]),
        false => scene,
    }
}

#[test]
fn a_server_that_was_there_to_be_filled_has_not_crashed() {
    let mut play = Play::healthy(being_filled());
    play.wait(6_000);
    // It closes its socket before it has written what it holds.
    let mut closing = being_filled();
    closing.snapshot.listeners.clear();
    play.see(closing);
    let (health, words) = play.first();
    assert_eq!(health, Health::Starting, "{words}");
    assert!(play.assessor.awaits_successor(at(play.now_ms)).is_some());
    play.wait(3_000);
    play.see(being_filled().without(9));
    let (health, words) = play.first();
    assert_eq!(health, Health::Starting, "{words}");
    assert!(
        words.ends_with("the script that may have started it goes on"),
        "{words}"
    );
    assert!(play.assessor.awaits_successor(at(play.now_ms)).is_some());
    play.wait(200);
    play.see(filled(false));
    let (health, words) = play.first();
    assert_eq!(health, Health::Starting, "{words}");
    assert!(
        words.contains("pid 7 was started in its place 0 s ago"),
        "{words}"
    );
    play.wait(1_000);
    play.see(filled(true));
    play.wait(2_000);
    play.probe(answers());
    let report = play.report();
    assert_eq!(report.services.len(), 1, "nothing is missed");
    assert_eq!(report.services[0].ports, [5432]);
    assert_eq!(report.services[0].health, Health::Healthy);
    let restarts = play.assessor.tracks[0].recent_restarts(at(play.now_ms));
    assert_eq!(restarts, 0);
}

#[test]
fn it_is_known_again_even_if_nobody_saw_it_gone() {
    let mut play = Play::healthy(being_filled());
    play.wait(6_000);
    play.see(filled(true));
    assert_eq!(play.report().services.len(), 1);
}

#[test]
fn nor_where_the_two_were_seen_together() {
    let mut play = Play::healthy(being_filled());
    play.wait(6_000);
    let both = being_filled().with_pid(7, |p| {
        p.executable = Some("/usr/lib/postgresql/15/bin/postgres".into());
        p.name = "postgres".into();
        p.command = vec!["postgres".into()];
    });
    play.see(both.tcp("0.0.0.0", 5432, &[7]));
    assert_eq!(play.report().services.len(), 2);
    play.wait(300);
    play.see(filled(true));
    let report = play.report();
    assert_eq!(report.services.len(), 1);
    assert_ne!(report.services[0].health, Health::Unhealthy);
}

#[test]
fn who_has_only_a_unix_socket_and_does_not_come_back_is_told_soon() {
    let mut play = Play::healthy(being_filled());
    play.wait(6_000);
    play.see(being_filled().without(9));
    assert_eq!(
        play.assessor.next(at(play.now_ms)),
        Some(at(play.now_ms + 1_600))
    );
    play.wait(1_600);
    play.look();
    assert_eq!(play.first().0, Health::Unhealthy);
    // Nor does one that lives on with its socket closed have for ever.
    let mut play = Play::healthy(being_filled());
    play.wait(6_000);
    let mut closed = being_filled();
    closed.snapshot.listeners.clear();
    play.see(closed);
    play.wait(15_000);
    play.look();
    assert_eq!(play.first().0, Health::Unhealthy);
    // Without a script there is nobody who could have meant it so.
    let below_tini = being_filled().without(7).with_pid(1, |p| {
        p.executable = Some("/usr/bin/tini".into());
        p.command = vec!["tini".into()];
    });
    let mut play = Play::healthy(below_tini.clone());
    play.wait(6_000);
    play.see(below_tini.without(9));
    assert_eq!(play.first().0, Health::Unhealthy);
}

#[test]
fn who_watches_a_service_is_not_that_service_come_back() {
    let watched = Scene::new()
        .process(1, 0, "/usr/bin/node", &["node", "--watch", "server.js"])
        .process(16, 1, "/usr/bin/node", &["/usr/bin/node", "server.js"])
        .tcp("0.0.0.0", 3000, &[16]);
    let mut play = Play::healthy(watched.clone());
    play.wait(6_000);
    play.see(watched.without(16));
    let report = play.report();
    assert_eq!(report.services.len(), 1);
    let service = &report.services[0];
    assert_eq!(
        (service.kind.as_str(), service.health),
        ("node", Health::Unhealthy)
    );
}
