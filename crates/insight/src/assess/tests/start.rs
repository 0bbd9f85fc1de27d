//! The time of a start.

use super::*;

#[test]
fn a_young_service_is_starting_and_then_is_not() {
    let scene = scene::redis().with_pid(17, |p| p.started_at = at(0));
    let mut play = Play {
        assessor: Assessor::new(),
        scene,
        now_ms: 100,
    };
    play.look();
    assert_eq!(
        play.first(),
        (Health::Starting, "it has just started".into())
    );
    play.wait(1_000);
    while play.now_ms < 14_000 {
        // The other loopback address is tried at once.
        assert_eq!(
            (play.probe(refuses()), play.probe(refuses())),
            (1, 1),
            "{}",
            play.now_ms
        );
        assert_eq!(play.probe(refuses()), 0);
        assert_eq!(play.first().0, Health::Starting);
        play.wait(1_000);
    }
    play.wait(1_000);
    assert_eq!(play.probe(refuses()) + play.probe(refuses()), 2);
    assert_eq!(play.first().0, Health::Degraded);
    play.wait(1_000);
    assert_eq!(play.probe(refuses()) + play.probe(refuses()), 2);
    assert_eq!(play.first().0, Health::Unhealthy);
    assert_eq!(play.codes(), ["service-refusing"]);
}

#[test]
fn loading_is_starting() {
    let mut play = Play::healthy(scene::redis());
    play.wait(10_000);
    play.probe(outcome(
        Verdict::Starting,
        "is loading its data set into memory",
    ));
    assert_eq!(
        play.first(),
        (
            Health::Starting,
            "it is loading its data set into memory".into()
        )
    );
}

#[test]
fn postgresql_after_a_crash_is_starting() {
    let mut play = Play::healthy(scene::postgresql());
    assert_eq!(play.first().0, Health::Healthy);
    let executable = "/usr/lib/postgresql/15/bin/postgres";
    let recovering = scene::postgresql().process(
        50,
        1,
        executable,
        &["postgres: startup recovering 000000010000000000000001"],
    );
    play.see(recovering.clone());
    assert_eq!(play.first().0, Health::Starting);
    play.see(recovering.process(
        51,
        1,
        executable,
        &["postgres: walreceiver streaming 0/3000148"],
    ));
    assert_eq!(play.first().0, Health::Healthy);
}

#[test]
fn errors_of_who_has_just_started_are_its_start_and_are_asked_about_when_somebody_else_comes() {
    let bad = || outcome(Verdict::Failing, "HTTP 502 in 1 ms");
    let alone = || {
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/usr/sbin/nginx", &["nginx: master process nginx"])
            .with(|p| p.started_at = at(0))
            .tcp("0.0.0.0", 80, &[5])
    };
    let mut play = Play {
        assessor: Assessor::new(),
        scene: alone(),
        now_ms: 100,
    };
    play.look();
    play.probe(bad());
    assert_eq!(play.first().0, Health::Starting);
    // Later it is no start any more.
    for _ in 0..20 {
        play.wait(1_000);
        play.probe(bad());
    }
    assert_eq!(play.first().0, Health::Unhealthy);
    // Long after, between two questions, what it waited for begins to listen.
    for _ in 0..6 {
        play.wait(60_000);
        play.probe(bad());
    }
    play.wait(2_000);
    play.look();
    assert_eq!(play.probe(bad()), 0);
    let redis = ["redis-server *:6379"];
    play.see(
        alone()
            .process(9, 1, "/usr/bin/redis-server", &redis)
            .tcp("0.0.0.0", 6379, &[9]),
    );
    let due = |play: &mut Play| play.assessor.due(at(play.now_ms)).len();
    assert_eq!(due(&mut play), 1, "who may have waited for it, at once");
    play.wait(1_000);
    assert_eq!(due(&mut play), 1, "and itself, when it has settled");
}

#[test]
fn who_was_slow_to_start_may_be_so_again() {
    // A server with a title of its own is known before it listens.
    let nginx = |pid: u32, started_ms: u64| {
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(pid, 1, "/usr/sbin/nginx", &["nginx: master process nginx"])
            .with(|p| p.started_at = at(started_ms))
            .tcp("0.0.0.0", 80, &[pid])
    };
    let mut play = Play {
        assessor: Assessor::new(),
        scene: nginx(5, 0),
        now_ms: 100,
    };
    play.look();
    let health_after = |play: &mut Play, ms: u64| {
        let end = play.now_ms + ms;
        while play.now_ms < end {
            play.probe(silence());
            play.wait(500);
        }
        play.first().0
    };
    assert_eq!(health_after(&mut play, 10_000), Health::Starting);
    assert_eq!(
        health_after(&mut play, 30_000),
        Health::Unhealthy,
        "the first time"
    );
    play.wait(60_000);
    play.probe(answers());
    assert_eq!(play.first().0, Health::Healthy);

    let again_ms = play.now_ms + 1000;
    play.wait(1000);
    play.see(nginx(6, again_ms));
    assert_eq!(
        health_after(&mut play, 60_000),
        Health::Starting,
        "the second"
    );
    assert_eq!(
        health_after(&mut play, 120_000),
        Health::Unhealthy,
        "but not for ever"
    );
}

#[test]
fn what_an_earlier_companion_saw_of_a_start_counts() {
    let starting = scene::redis().with_pid(17, |p| p.started_at = at(0));
    let mut play = Play {
        assessor: Assessor::new(),
        scene: starting,
        now_ms: 100,
    };
    let past = |ms| {
        let service = "redis:6379".to_owned();
        vec![PastStart { service, ms }]
    };
    play.remember(past(40_000), Vec::new());
    play.look();
    for _ in 0..45 {
        play.probe(silence());
        play.wait(1_000);
    }
    assert_eq!(play.first().0, Health::Starting);
    play.probe(answers());
    assert_eq!(play.first().0, Health::Healthy);
    let start_ms = play.report().services[0].start_ms;
    assert!(start_ms.is_some_and(|ms| ms > 44_000), "{start_ms:?}");
    // What it saw itself, it knows better.
    play.remember(past(1_000), Vec::new());
    assert_eq!(play.report().services[0].start_ms, start_ms);
}

#[test]
fn who_is_known_to_start_quickly_and_idles_is_not_waited_for_a_minute() {
    let server = |pid: u32, started_ms: u64, cpu_ms: u64| {
        Scene::new()
            .process(
                pid,
                1,
                "/usr/bin/python3.11",
                &["python3", "-m", "uvicorn", "main:app"],
            )
            .with(|p| {
                p.started_at = at(started_ms);
                p.cpu_ms = cpu_ms;
            })
    };
    for (cpu_ms, health) in [(700, Health::Unhealthy), (6_000, Health::Starting)] {
        let mut play = Play {
            assessor: Assessor::new(),
            scene: server(7, 0, 100),
            now_ms: 200,
        };
        play.look();
        play.wait(2_000);
        play.see(server(7, 0, 700).tcp("0.0.0.0", 8000, &[7]));
        play.wait(1_000);
        play.probe(answers());
        play.wait(60_000);
        play.see(server(8, play.now_ms, 100));
        play.wait(15_500);
        play.see(server(8, 63_200, cpu_ms));
        let (told, words) = play.first();
        assert_eq!(told, health, "{words}");
    }
}

#[test]
fn a_script_that_becomes_a_server_has_the_time_of_a_start_from_then_on() {
    let script = Scene::new().process(7, 0, "/usr/bin/dash", &["sh", "/entrypoint.sh"]);
    let mut play = Play::healthy(script);
    play.wait(60_000);
    play.see(
        Scene::new()
            .process(
                7,
                0,
                "/usr/bin/python3.11",
                &["python3", "-m", "uvicorn", "main:app"],
            )
            .tcp("0.0.0.0", 8000, &[7]),
    );
    play.wait(1_000);
    assert_eq!(play.probe(silence()), 1);
    assert_eq!(play.first().0, Health::Starting);
    play.wait(15_000);
    play.probe(silence());
    assert_ne!(play.first().0, Health::Starting, "no longer than any other");
}
