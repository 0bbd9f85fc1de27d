//! When and how services are asked, and what their answers do.

use super::*;

#[test]
fn a_new_service_is_asked_at_once_and_then_about_every_ten_seconds() {
    let mut play = Play::of(scene::redis());
    play.look();
    assert_eq!(
        play.first(),
        (Health::Unknown, "it has not been asked yet".into())
    );
    assert_eq!(play.assessor.next(at(0)), Some(at(0)));
    let due = play.assessor.due(at(0));
    assert_eq!(
        (due[0].key.as_str(), due[0].wants_version),
        ("redis:6379", true)
    );
    assert!(play.assessor.due(at(0)).is_empty(), "in flight");
    play.assessor.probed(at(2), "redis:6379", answers());
    assert_eq!(play.first().0, Health::Healthy);
    let next = play.assessor.next(at(2)).unwrap();
    assert!((at(9_002)..=at(10_002)).contains(&next), "{next}");
    let due = play.assessor.due(next);
    assert_eq!((due.len(), due[0].wants_version), (1, false));
}

#[test]
fn probes_are_counted_with_what_they_took() {
    let mut play = Play::healthy(scene::redis());
    let stats = |play: &mut Play| play.report().services.remove(0).probes.unwrap();
    assert_eq!(
        stats(&mut play),
        ProbeStats {
            run: 1,
            last_us: 100,
            total_us: 100,
            ..ProbeStats::default()
        }
    );
    for failures in 1..=2 {
        play.wait(60_000);
        let took_us = 2_000_000;
        play.probe(ProbeOutcome {
            took_us,
            ..silence()
        });
        let stats = stats(&mut play);
        assert_eq!(
            (stats.failed, stats.failed_in_a_row),
            (failures, failures as u32)
        );
        assert_eq!((stats.run, stats.last_us), (1 + failures, took_us));
    }
    // One that could not be made says nothing of the service.
    play.wait(60_000);
    play.probe(outcome(Verdict::Impossible, "no descriptor left"));
    assert_eq!(stats(&mut play).run, 3);
    play.wait(60_000);
    play.probe(outcome(Verdict::Starting, "is loading"));
    play.wait(60_000);
    play.probe(answers());
    let stats = stats(&mut play);
    assert_eq!((stats.run, stats.failed, stats.failed_in_a_row), (5, 2, 0));
    assert_eq!((stats.last_us, stats.total_us), (100, 4_000_300));
}

#[test]
fn a_hang_is_shown_within_two_probe_intervals() {
    let mut play = Play::healthy(scene::redis());
    play.wait(10_000);
    assert_eq!(play.probe(silence()), 1);
    assert_eq!(
        play.first(),
        (Health::Degraded, "no answer to PING in 2 s".into())
    );
    play.wait(1_000);
    assert_eq!(play.probe(silence()), 1);
    assert_eq!(
        play.first(),
        (
            Health::Unhealthy,
            "no answer to PING in 2 s (2 times in a row)".into()
        )
    );
    assert_eq!(play.codes(), ["service-silent"]);
    assert!(play.now_ms < 20_000);
    let next = play.assessor.next(at(play.now_ms)).unwrap();
    let wait_ms = next.since(at(play.now_ms)).as_millis();
    assert!((1_800..=2_000).contains(&wait_ms), "{wait_ms}");
    play.wait(2_000);
    play.probe(answers());
    assert_eq!(play.first().0, Health::Healthy);
}

#[test]
fn one_failure_is_no_outage() {
    let mut play = Play::healthy(scene::redis());
    let since = play.report().since;
    play.wait(10_000);
    play.probe(silence());
    play.wait(1_000);
    play.probe(answers());
    assert_eq!(play.first().0, Health::Healthy);
    assert!(play.report().since > since, "it was degraded in between");
}

fn queue(scene: Scene, waiting: u32) -> Scene {
    let mut scene = scene;
    scene.snapshot.listeners[0].accept_queue = Some(waiting);
    scene
}

#[test]
fn a_full_accept_queue_is_told_with_its_numbers() {
    let mut play = Play::healthy(scene::redis());
    play.wait(1_000);
    play.see(queue(scene::redis(), 129));
    assert_eq!(play.first().0, Health::Degraded);
    let finding = play.report().findings.remove(0);
    assert_eq!(finding.code, "accept-queue-full");
    assert_eq!(
        finding.summary.to_string(),
        "the accept queue of Redis on port 6379 is full: 129 of 128 connections wait"
    );
    let since = finding.since;
    play.wait(6_000);
    play.look();
    assert_eq!(play.first().0, Health::Unhealthy);
    assert_eq!(play.report().findings[0].since, since);
    play.see(scene::redis());
    assert_eq!(play.first().0, Health::Healthy);
}

#[test]
fn whoever_asks_may_take_the_only_place_in_a_queue_for_a_moment() {
    let mut scene = queue(scene::redis(), 1);
    for listener in &mut scene.snapshot.listeners {
        listener.backlog = Some(1);
    }
    let mut play = Play::healthy(scene::redis());
    play.wait(1_000);
    play.see(scene.clone());
    assert_eq!(play.first().0, Health::Healthy);
    play.wait(6_000);
    play.see(scene);
    assert_eq!(play.first().0, Health::Unhealthy);
}

#[test]
fn a_queue_that_does_not_move_is_trouble() {
    let mut play = Play::healthy(scene::redis());
    for (waiting, health) in [
        (1, Health::Healthy),
        (1, Health::Degraded),
        (2, Health::Degraded),
        (1, Health::Healthy),
    ] {
        play.wait(6_000);
        play.see(queue(scene::redis(), waiting));
        assert_eq!(play.first().0, health, "{waiting} at {}", play.now_ms);
    }
}

#[test]
fn a_mute_service_is_healthy_when_its_queue_empties_and_sick_when_not() {
    let mut play = Play::of(stranger());
    play.look();
    play.probe(discovers("tcp"));
    play.wait(1_000);
    play.look();
    assert_eq!(
        play.first(),
        (Health::Healthy, "answers, and is accepted".into())
    );
    for _ in 0..3 {
        play.wait(5_000);
        play.probe(outcome(Verdict::Alive, "connects in 0.1 ms"));
        play.see(queue(stranger(), 1));
    }
    assert_eq!(play.first().0, Health::Unhealthy);
    assert_eq!(play.codes(), ["service-silent"]);
}

#[test]
fn another_way_is_tried_before_judging() {
    let scene = Scene::new()
        .process(1, 0, "/usr/sbin/nginx", &["nginx: master process nginx"])
        .tcp("::", 80, &[1]);
    let mut play = Play::of(scene);
    play.look();
    let first = play.assessor.due(at(0)).remove(0);
    play.assessor.probed(at(0), "nginx:80", refuses());
    let second = play.assessor.due(at(0)).remove(0);
    assert_ne!(first.spec, second.spec);
    play.assessor.probed(at(0), "nginx:80", answers());
    assert_eq!(play.first().0, Health::Healthy);
    play.wait(30_000);
    assert_eq!(
        play.assessor.due(at(play.now_ms))[0].spec,
        second.spec,
        "what works is kept"
    );
}

#[test]
fn a_path_that_tells_of_readiness_is_searched_for_once_and_of_applications_only() {
    let mut play = Play::of(scene::web());
    play.look();
    let wants = |play: &mut Play| -> Vec<(String, bool)> {
        let due = play.assessor.due(at(play.now_ms));
        due.into_iter()
            .map(|due| (due.key, due.wants_readiness))
            .collect()
    };
    assert_eq!(
        wants(&mut play),
        [("nginx:80".into(), false), ("fastapi:8000".into(), true)]
    );
    let path = |play: &Play| play.assessor.probe_of("fastapi:8000").unwrap().path;
    let found = |path: Option<&str>| ProbeOutcome {
        path: path.map(str::to_owned),
        ..answers()
    };
    play.assessor.probed(at(0), "nginx:80", answers());
    play.assessor
        .probed(at(0), "fastapi:8000", found(Some("/readyz")));
    assert_eq!(path(&play).as_deref(), Some("/readyz"));
    play.wait(40_000);
    assert!(wants(&mut play).iter().all(|(_, wants)| !wants));
    // The path has gone with a new version of the application: there is none, and none is searched for.
    play.assessor
        .probed(at(40_000), "fastapi:8000", found(None));
    assert_eq!(path(&play), None);
    play.wait(40_000);
    assert!(wants(&mut play).iter().all(|(_, wants)| !wants));
}

#[test]
fn a_certificate_is_warned_of_two_weeks_before_its_end() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    for (days, code) in [
        (30, None),
        (13, Some("certificate-expires")),
        (0, Some("certificate-expired")),
    ] {
        let mut play = Play::of(stranger());
        play.look();
        play.probe(ProbeOutcome {
            expires_at: Some(at(days * DAY_MS)),
            ..discovers("tls")
        });
        assert_eq!(play.codes(), Vec::from_iter(code), "{days}");
        assert_eq!(play.first().0, Health::Unknown);
    }
}

#[test]
fn a_known_service_behind_tls_is_asked_in_tls() {
    let mut play = Play::healthy(scene::web());
    play.wait(40_000);
    play.probe(discovers("tls"));
    let spec = play.assessor.probe_of("nginx:80").unwrap();
    assert_eq!(spec.kind, ProbeKind::Tls);
    assert_eq!(
        play.first(),
        (
            Health::Unknown,
            "answers; what lies below cannot be asked".into()
        )
    );
}

#[test]
fn a_broker_that_warns_of_everybody_who_asks_is_mostly_just_visited() {
    let mut play = Play::of(stranger());
    play.look();
    play.probe(discovers("amqp"));
    let mut asked = Vec::new();
    for _ in 0..65 {
        let spec = play.assessor.probe_of("tcp:7000").unwrap();
        asked.push(spec.kind);
        play.probe(match spec.kind {
            ProbeKind::Amqp => discovers("amqp"),
            _ => outcome(Verdict::Alive, "connects in 0.1 ms"),
        });
        play.look();
        play.wait(40_000);
    }
    let questions = asked.iter().filter(|kind| **kind == ProbeKind::Amqp);
    assert_eq!(questions.count(), 2, "{asked:?}");
    assert_eq!(
        play.first(),
        (
            Health::Healthy,
            "connects in 0.1 ms; it answered when it was last asked".into()
        )
    );
    play.wait(40_000);
    play.probe(silence());
    assert_eq!(
        play.assessor.probe_of("tcp:7000").unwrap().kind,
        ProbeKind::Amqp,
        "trouble is asked after"
    );
}

#[test]
fn errors_of_the_application_are_failures() {
    let mut play = Play::healthy(scene::web());
    for wait_ms in [30_000, 10_000] {
        play.wait(wait_ms);
        play.probe(outcome(Verdict::Failing, "HTTP 502 in 1 ms"));
    }
    assert_eq!(play.codes(), ["service-failing", "service-failing"]);
    let reason = play.report().reason.to_string();
    assert_eq!(
        reason,
        "nginx answers with errors: HTTP 502 in 1 ms (2 times in a row)"
    );
}

#[test]
fn what_is_noted_is_asked_about_every_thirty_seconds_or_when_a_neighbour_ends() {
    let mut play = Play::healthy(scene::web());
    play.wait(26_000);
    assert_eq!(play.probe(answers()), 0);
    play.wait(7_000);
    assert_eq!(play.probe(answers()), 2, "nginx and the application");
    play.wait(5_000);
    let mut alone = scene::web();
    let application = alone
        .snapshot
        .listeners
        .iter()
        .find(|l| l.port == Some(8000));
    for pid in application.expect("a listener").owners.clone() {
        alone = alone.without(pid);
    }
    play.see(alone);
    let due = play.assessor.due(at(play.now_ms));
    assert_eq!(due.len(), 1, "nginx may be in trouble now");
    assert_eq!(due[0].key, "nginx:80");
}

#[test]
fn a_program_is_looked_up_once_in_its_life() {
    let mut play = Play::healthy(scene::redis());
    let snapshot = play.scene.snapshot.clone();
    let (key, origin) = play.assessor.unexamined(&snapshot).expect("redis");
    assert!(origin.wants_version, "its answers did not have it");
    assert_eq!(play.assessor.unexamined(&snapshot), None);
    let background = Background {
        version: Some("9".into()),
        writable: Some("/tmp/redis".into()),
    };
    play.assessor.looked_up(&key, background);
    assert_eq!(play.codes(), ["writable-program"]);
    assert_eq!(play.report().services[0].version, Some("9".into()));
}

#[test]
fn an_old_answer_does_not_count_for_who_is_being_asked() {
    let mut play = Play::healthy(scene::redis());
    play.wait(600_000);
    play.look();
    assert_eq!(play.assessor.due(at(play.now_ms)).len(), 1);
    play.wait(1_500);
    assert_eq!(play.first().0, Health::Healthy);
    play.assessor.doubt_unanswered(at(play.now_ms));
    let (health, why) = play.first();
    assert_eq!(health, Health::Unknown);
    assert!(why.contains("has not answered yet"), "{why}");
    // Who is not being asked keeps what it has answered.
    let mut play = Play::healthy(scene::redis());
    play.assessor.doubt_unanswered(at(play.now_ms));
    assert_eq!(play.first().0, Health::Healthy);
}

#[test]
fn who_is_silent_where_it_was_asked_first_is_asked_elsewhere() {
    let alertmanager = |ports: &[u16]| {
        let scene = Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/bin/alertmanager", &["alertmanager"])
            .with(|p| p.started_at = at(0));
        ports
            .iter()
            .fold(scene, |scene, &port| scene.tcp("0.0.0.0", port, &[5]))
    };
    let mut play = Play::of(alertmanager(&[9094]));
    play.look();
    play.wait(1_000);
    let asked = play.assessor.due(at(play.now_ms));
    // What it is asked for comes later; the answer to the first question later still.
    play.see(alertmanager(&[9093, 9094]));
    let reset = outcome(Verdict::Refused, "resets connections");
    play.assessor.probed(at(0), &asked[0].key, reset);
    let silent = outcome(Verdict::Silent, "closes the connection");
    assert_eq!(play.probe(silent), 1);
    play.wait(1_000);
    let asked = play.assessor.due(at(play.now_ms));
    let usual = diogenes_proto::ProbeTarget::Tcp(([127, 0, 0, 1], 9093).into());
    assert_eq!(asked[0].spec.target, usual);
}

#[test]
fn who_is_reached_by_datagrams_alone_works_as_long_as_it_reads_them() {
    let radius = |unread| {
        let mut scene = Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/usr/bin/echo-server", &["echo-server"])
            .udp(7777, &[5]);
        scene.snapshot.listeners[0].accept_queue = Some(unread);
        scene
    };
    let mut play = Play::healthy(radius(0));
    assert_eq!(play.first().0, Health::Healthy);
    // A moment's datagram is no trouble; what stays unread is.
    play.see(radius(768));
    assert_eq!(play.first().0, Health::Healthy);
    play.wait(6_000);
    play.see(radius(1536));
    let (health, why) = play.first();
    assert_eq!(health, Health::Degraded, "{why}");
    play.wait(10_000);
    play.see(radius(1536));
    let (health, why) = play.first();
    assert_eq!(health, Health::Unhealthy);
    assert!(
        why.contains("1536 bytes have waited on port 7777") && why.contains("nobody reads"),
        "{why}"
    );
    play.see(radius(0));
    assert_eq!(play.first().0, Health::Healthy);
    // What it closes may have been a client's; that it ends is told.
    let mut closed = Play::healthy(radius(0));
    let mut scene = radius(0);
    scene.snapshot.listeners.clear();
    closed.see(scene);
    assert_eq!(closed.report().services[0].kind, "process");
    play.see(radius(0).without(5));
    assert_eq!(play.first().0, Health::Unhealthy);
}

#[test]
fn who_was_there_before_the_companion_is_asked_at_once_unless_its_process_has_just_started() {
    for (age_ms, waits_ms) in [(200, 800), (5_000, 0), (86_400_000, 0)] {
        let started_at = Timestamp::from_unix_ms(at(100_000_000).as_unix_ms() - age_ms);
        let mut play = Play {
            assessor: Assessor::new(),
            scene: scene::redis().with_pid(17, |p| p.started_at = started_at),
            now_ms: 100_000_000,
        };
        play.look();
        let asked_at = play.assessor.tracks[0].schedule.next();
        assert_eq!(asked_at, at(100_000_000 + waits_ms), "{age_ms} ms old");
    }
}

#[test]
fn a_master_without_workers_is_asked_at_once() {
    let workers = |owners: &[u32]| {
        let mut scene = Scene::new()
            .process(
                7,
                1,
                "/usr/bin/python3.11",
                &["python3", "-m", "uvicorn", "main:app"],
            )
            .tcp("0.0.0.0", 8000, owners);
        if owners.contains(&9) {
            scene = scene.process(9, 7, "/usr/bin/python3.11", &["python3", "-c", "spawn"]);
        }
        scene
    };
    let mut play = Play::healthy(workers(&[7, 9]));
    play.wait(2_000);
    play.look();
    assert_eq!(play.probe(answers()), 0, "nothing has changed");
    play.see(workers(&[7]));
    assert_eq!(play.probe(silence()), 1);
}
