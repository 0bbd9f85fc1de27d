use std::collections::BTreeSet;

use diogenes_proto::{
    Activity, Disk, EndedService, PastStart, ProbeKind, ProbeStats, Report, Verdict, line,
};
use proptest::prelude::*;

use super::*;
use crate::recognise::tests::any_snapshot;
use crate::scene::{self, Scene, at};

fn outcome(verdict: Verdict, evidence: &str) -> ProbeOutcome {
    ProbeOutcome::new(verdict, evidence, 100)
}

fn answers() -> ProbeOutcome {
    outcome(Verdict::Alive, "answers PING in 0.1 ms")
}

fn silence() -> ProbeOutcome {
    outcome(Verdict::Silent, "no answer to PING in 2 s")
}

fn refuses() -> ProbeOutcome {
    outcome(Verdict::Refused, "refuses connections")
}

/// An assessor with what it has seen, at a moment.
struct Play {
    assessor: Assessor,
    scene: Scene,
    now_ms: u64,
}

impl Play {
    /// All services of the scene answered at noon.
    fn healthy(scene: Scene) -> Self {
        let mut play = Self {
            assessor: Assessor::new(),
            scene,
            now_ms: 0,
        };
        play.look();
        play.probe(answers());
        play
    }

    fn look(&mut self) {
        self.assessor.observe(at(self.now_ms), &self.scene.snapshot);
    }

    fn see(&mut self, scene: Scene) {
        self.scene = scene;
        self.look();
    }

    /// Gives every due probe this outcome; says how many there were.
    fn probe(&mut self, outcome: ProbeOutcome) -> usize {
        let due = self.assessor.due(at(self.now_ms));
        for probe in &due {
            self.assessor
                .probed(at(self.now_ms), &probe.key, outcome.clone());
        }
        due.len()
    }

    fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    fn report(&mut self) -> Report {
        self.assessor.report(at(self.now_ms), "hash".into())
    }

    fn remember(&mut self, starts: Vec<PastStart>, ended: Vec<EndedService>) {
        self.assessor.remember(at(self.now_ms), starts, ended);
    }

    /// Health and first evidence of the first service.
    fn first(&mut self) -> (Health, String) {
        let service = self.report().services.remove(0);
        (
            service.health,
            service
                .evidence
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
        )
    }

    fn codes(&mut self) -> Vec<String> {
        self.report().findings.into_iter().map(|f| f.code).collect()
    }
}

#[test]
fn a_new_service_is_asked_at_once_and_then_about_every_ten_seconds() {
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene::redis(),
        now_ms: 0,
    };
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

#[test]
fn since_moves_only_with_the_health() {
    let mut play = Play::healthy(scene::redis());
    let since = play.report().since;
    for _ in 0..5 {
        play.wait(10_000);
        play.look();
        play.probe(answers());
    }
    let report = play.report();
    assert_eq!((report.since, report.services[0].since), (since, since));
}

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
fn a_stopped_process_is_named() {
    let mut play = Play::healthy(scene::redis());
    play.wait(1_000);
    play.see(scene::redis().with_pid(17, |p| p.state = 'T'));
    assert_eq!(
        play.first(),
        (Health::Unhealthy, "pid 17 is stopped (SIGSTOP)".into())
    );
    assert_eq!(play.codes(), ["service-silent", "process-stopped"]);
    play.wait(1_000);
    play.see(scene::redis());
    assert_eq!(play.probe(answers()), 1, "what goes on is asked at once");
    assert_eq!(play.first().0, Health::Healthy);

    let mut play = Play::healthy(scene::web());
    play.see(scene::web().with_pid(8, |p| p.state = 'T'));
    assert_eq!(
        play.first(),
        (Health::Degraded, "pid 8 is stopped (SIGSTOP)".into())
    );
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

fn stranger() -> Scene {
    Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh"])
        .process(5, 1, "/srv/shopd", &["shopd"])
        .tcp("0.0.0.0", 7000, &[5])
}

fn discovers(protocol: &str) -> ProbeOutcome {
    ProbeOutcome {
        protocol: Some(protocol.into()),
        ..outcome(Verdict::Alive, "answers")
    }
}

#[test]
fn a_stranger_is_what_it_turns_out_to_speak() {
    for (protocol, kind, name, role, probe, health) in [
        (
            "http",
            "http",
            "shopd",
            Some("web"),
            ProbeKind::Http,
            Health::Healthy,
        ),
        (
            "redis",
            "redis",
            "Redis",
            Some("cache"),
            ProbeKind::Redis,
            Health::Healthy,
        ),
        (
            "ssh",
            "ssh",
            "shopd",
            Some("ssh"),
            ProbeKind::Ssh,
            Health::Healthy,
        ),
        (
            "vnc",
            "vnc",
            "shopd",
            Some("desktop"),
            ProbeKind::Discover,
            Health::Healthy,
        ),
        (
            "grpc",
            "grpc",
            "shopd",
            Some("api"),
            ProbeKind::Grpc,
            Health::Healthy,
        ),
        ("tcp", "tcp", "shopd", None, ProbeKind::Tcp, Health::Unknown),
        ("tls", "tls", "shopd", None, ProbeKind::Tls, Health::Unknown),
    ] {
        let mut play = Play {
            assessor: Assessor::new(),
            scene: stranger(),
            now_ms: 0,
        };
        play.look();
        assert_eq!(
            play.assessor.probe_of("tcp:7000").unwrap().kind,
            ProbeKind::Discover
        );
        play.probe(discovers(protocol));
        let service = play.report().services.remove(0);
        assert_eq!(
            (service.kind.as_str(), service.name.to_string().as_str()),
            (kind, name)
        );
        assert_eq!(
            (service.role.as_deref(), service.health),
            (role, health),
            "{protocol}"
        );
        assert_eq!(service.key, "tcp:7000");
        assert_eq!(
            play.assessor.probe_of("tcp:7000").unwrap().kind,
            probe,
            "{protocol}"
        );
    }
}

#[test]
fn a_mute_service_is_healthy_when_its_queue_empties_and_sick_when_not() {
    let mut play = Play {
        assessor: Assessor::new(),
        scene: stranger(),
        now_ms: 0,
    };
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
    let mut play = Play {
        assessor: Assessor::new(),
        scene,
        now_ms: 0,
    };
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
fn what_never_answered_as_its_kind_is_not_condemned() {
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene::redis(),
        now_ms: 0,
    };
    play.look();
    for _ in 0..6 {
        play.probe(outcome(
            Verdict::Garbled,
            "what it answers to PING is something else",
        ));
        play.wait(60_000);
    }
    assert_eq!(play.first().0, Health::Unknown);
    assert_eq!(play.codes(), Vec::<String>::new());
}

#[test]
fn a_path_that_tells_of_readiness_is_searched_for_once_and_of_applications_only() {
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene::web(),
        now_ms: 0,
    };
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
        let mut play = Play {
            assessor: Assessor::new(),
            scene: stranger(),
            now_ms: 0,
        };
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
    let mut play = Play {
        assessor: Assessor::new(),
        scene: stranger(),
        now_ms: 0,
    };
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
fn a_full_disk_is_told_of_and_whoever_keeps_files_there_is_degraded() {
    let disk = |point: &str, free_bytes: u64, holders: &[u32]| Disk {
        point: point.into(),
        total_bytes: 64 << 20,
        free_bytes,
        free_inodes: None,
        holders: holders.to_vec(),
    };
    let mut scene = scene::redis();
    scene.snapshot.resources.disks = vec![disk("/tmp", 0, &[]), disk("/cache", 3 << 20, &[17])];
    let mut play = Play::healthy(scene.clone());
    assert_eq!(play.codes(), ["disk-full", "disk-nearly-full"]);
    assert_eq!(play.first().0, Health::Healthy, "it keeps nothing there");

    scene.snapshot.resources.disks = vec![disk("/var/lib/redis", 8192, &[1, 17])];
    play.see(scene.clone());
    let (health, why) = play.first();
    assert_eq!(health, Health::Degraded);
    assert_eq!(
        why,
        "the file system at /var/lib/redis has 8 KiB of 64 MiB left, where it keeps files"
    );
    assert_eq!(play.codes(), ["disk-full"]);
    scene.snapshot.resources.disks.clear();
    play.see(scene);
    assert_eq!(play.first().0, Health::Healthy);

    // Room, but no more files.
    let mut without_inodes = disk("/srv", 60 << 20, &[17]);
    without_inodes.free_inodes = Some(0);
    let mut scene = scene::redis();
    scene.snapshot.resources.disks = vec![without_inodes];
    play.see(scene);
    assert!(play.first().1.contains("room for 0 more files"));
}

#[test]
fn resources_that_run_out_are_found() {
    let mut play = Play::healthy(scene::redis());
    let mut scene = scene::redis().with_pid(17, |p| {
        p.fds = Some(1000);
        p.fd_limit = Some(1024);
    });
    scene.snapshot.resources.memory_bytes = Some(97 << 20);
    scene.snapshot.resources.memory_limit_bytes = Some(100 << 20);
    scene.snapshot.resources.pids = Some(95);
    scene.snapshot.resources.pids_limit = Some(100);
    play.scene.snapshot.resources.oom_kills = Some(3);
    play.look();
    assert_eq!(
        play.codes(),
        Vec::<String>::new(),
        "kills before the first look are no news"
    );
    scene.snapshot.resources.oom_kills = Some(4);
    play.wait(1_000);
    play.see(scene);
    assert_eq!(
        play.codes(),
        [
            "fd-limit-near",
            "memory-near-limit",
            "out-of-memory-kills",
            "pids-near-limit"
        ]
    );
    let report = play.report();
    assert_eq!(report.health, Health::Degraded);
    let words: Vec<_> = report
        .findings
        .iter()
        .map(|f| f.summary.to_string())
        .collect();
    assert_eq!(
        words[0],
        "pid 17 of Redis has 1000 of 1024 file descriptors open"
    );
    assert_eq!(words[1], "memory is at 97%: 97 MiB of 100 MiB");
    assert_eq!(
        words[2],
        "the kernel ended 1 process for want of memory, last noticed at 12:00:01"
    );
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
fn learns_kinds_and_names_late() {
    // uvicorn is up before its application is loaded and its framework is known.
    let scene = |frameworks: &[&str], port: bool| {
        let scene = Scene::new()
            .process(
                1,
                0,
                "/usr/bin/python3.11",
                &["python3", "/usr/bin/uvicorn", "main:app"],
            )
            .with(|p| p.frameworks = frameworks.iter().map(|&f| f.into()).collect());
        if port {
            scene.tcp("0.0.0.0", 8000, &[1])
        } else {
            scene
        }
    };
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene(&[], false),
        now_ms: 0,
    };
    let mut keys = Vec::new();
    for (frameworks, port) in [(&[][..], false), (&[], true), (&["fastapi"], true)] {
        play.see(scene(frameworks, port));
        let report = play.report();
        assert_eq!(report.services.len(), 1);
        keys.push(report.services[0].key.clone());
        play.probe(answers());
    }
    assert_eq!(keys, ["uvicorn", "uvicorn:8000", "fastapi:8000"]);
}

#[test]
fn versions_are_the_services_own() {
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene::web(),
        now_ms: 0,
    };
    play.look();
    let version = |product: &str| ProbeOutcome {
        product: Some(product.into()),
        version: Some("1.22.1".into()),
        ..answers()
    };
    play.assessor.probed(at(0), "nginx:80", version("nginx"));
    play.assessor
        .probed(at(0), "fastapi:8000", version("Werkzeug"));
    let report = play.report();
    assert_eq!(
        report.services[0].version.as_ref().unwrap().as_raw(),
        "1.22.1"
    );
    assert_eq!(report.services[1].version, None);
}

#[test]
fn who_passes_on_questions_does_not_tell_the_version_of_who_answers() {
    let service = |executable: &str, title: &str, port| {
        let scene = Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, executable, &[title])
            .tcp("0.0.0.0", port, &[5]);
        let mut play = Play {
            assessor: Assessor::new(),
            scene,
            now_ms: 0,
        };
        play.look();
        play
    };
    let version = |product: Option<&str>, protocol: &str| ProbeOutcome {
        product: product.map(Into::into),
        version: Some("1.17.1".into()),
        ..discovers(protocol)
    };
    let told = |play: &mut Play| {
        play.report()
            .services
            .remove(0)
            .version
            .map(|v| v.to_string())
    };

    // A stream of nginx' to a Redis, which tells its version when asked as Redis is.
    let mut nginx = service("/usr/sbin/nginx", "nginx: master process nginx", 6380);
    nginx.probe(outcome(Verdict::Garbled, "answers, but not as it should"));
    nginx.probe(discovers("redis"));
    nginx.probe(version(None, "redis"));
    assert_eq!(told(&mut nginx), None);

    for (executable, product, expected) in [
        ("/usr/bin/dnsdist", "unbound", None),
        ("/usr/sbin/unbound", "unbound", Some("1.17.1")),
        ("/usr/sbin/named", "", Some("1.17.1")),
        // It may be called as it likes.
        ("/usr/sbin/named", "nobody", Some("1.17.1")),
        ("/usr/sbin/pdns_recursor", "PowerDNS", Some("1.17.1")),
    ] {
        let mut play = service(executable, executable, 53);
        play.probe(version(Some(product), "dns"));
        assert_eq!(
            told(&mut play).as_deref(),
            expected,
            "{executable} {product}"
        );
    }
}

#[test]
fn busy_and_idle() {
    let mut play = Play::healthy(scene::redis());
    assert_eq!(play.report().services[0].activity, None);
    play.wait(1_000);
    play.see(scene::redis().with_pid(17, |p| p.cpu_ms = 100));
    assert_eq!(play.report().services[0].activity, Some(Activity::Busy));
    play.wait(10_000);
    play.see(scene::redis().with_pid(17, |p| p.cpu_ms = 110));
    assert_eq!(play.report().services[0].activity, Some(Activity::Idle));
}

#[test]
fn the_past_is_bounded_and_a_crowd_is_served_in_turn() {
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene::redis(),
        now_ms: 0,
    };
    for round in 0..20_u16 {
        let mut crowd = scene::redis();
        for port in 0..100 {
            let pid = 1000 + u32::from(round) * 100 + u32::from(port);
            crowd = crowd.process(pid, 1, "/srv/shopd", &["shopd"]).tcp(
                "0.0.0.0",
                10_000 + round * 100 + port,
                &[pid],
            );
        }
        play.wait(1_000);
        play.see(crowd);
    }
    assert!(play.assessor.tracks.len() <= 101 + MAX_GONE);
    play.wait(1_000);
    let mut asked = 0;
    for _ in 0..20 {
        let probes = play.probe(discovers("tcp"));
        assert!(probes <= MAX_IN_FLIGHT);
        asked += probes;
    }
    assert_eq!(asked, 101, "each once");
    let report = play.report();
    assert!(report.services.len() <= 128);
    assert!(report.omitted > 0);
}

#[test]
fn an_absurd_container_fits_a_line() {
    let mut scene = Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]);
    for port in 0..500 {
        let pid = 10 + u32::from(port);
        let name = format!("/srv/{}{pid}", "\u{1}\"é".repeat(900));
        scene = scene.process(pid, 1, &name, &[&name]);
        for extra in 0..20 {
            scene = scene.tcp("0.0.0.0", 10_000 + port + extra * 500, &[pid]);
        }
    }
    let mut play = Play::healthy(scene);
    let report = play.report();
    let omitted = report.omitted;
    let message = diogenes_proto::Message::Report(Box::new(report));
    let text = line::encode(None, &message).unwrap();
    assert!(text.len() <= line::MAX_LINE_BYTES);
    assert!(omitted >= 372);
}

#[derive(Clone, Debug)]
enum Step {
    See(Box<Snapshot>),
    Probe(u8),
    Wait(u16),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any_snapshot().prop_map(Box::new).prop_map(Step::See),
        (0..7_u8).prop_map(Step::Probe),
        any::<u16>().prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn any_history_is_survived_and_replays_the_same(steps in proptest::collection::vec(any_step(), 0..25)) {
        let play = |steps: &[Step]| {
            let mut assessor = Assessor::new();
            let mut now = 0_u64;
            let mut reports = Vec::new();
            for step in steps {
                match step {
                    Step::See(snapshot) => assessor.observe(at(now), snapshot),
                    Step::Wait(ms) => now += u64::from(*ms),
                    Step::Probe(verdict) => {
                        let verdict = [
                            Verdict::Alive, Verdict::Starting, Verdict::Failing, Verdict::Refused,
                            Verdict::Silent, Verdict::Garbled, Verdict::Impossible,
                        ][usize::from(*verdict)];
                        for due in assessor.due(at(now)) {
                            assessor.probed(at(now), &due.key, outcome(verdict, "x"));
                        }
                    }
                }
                let report = assessor.report(at(now), String::new());
                let keys: BTreeSet<_> = report.services.iter().map(|s| s.key.clone()).collect();
                assert_eq!(keys.len(), report.services.len(), "keys are unique");
                assert_eq!(
                    Health::worst(report.services.iter().map(|s| s.health)),
                    report.health,
                    "no part is worse than the whole"
                );
                assert!(report.services.iter().all(|s| !s.evidence.is_empty() && s.evidence.len() <= 8));
                reports.push(report);
            }
            reports
        };
        prop_assert_eq!(play(&steps), play(&steps));
    }
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
fn what_is_careless_is_told_and_is_no_trouble() {
    let careless = scene::redis().with(|redis| {
        redis.uid = 0;
        redis.command = vec![
            "redis-server".into(),
            "--requirepass".into(),
            "[redacted]".into(),
        ];
    });
    let mut play = Play::healthy(careless);
    assert_eq!(play.codes(), ["runs-as-root", "secrets-on-command-lines"]);
    let report = play.report();
    assert_eq!(report.health, Health::Healthy);
    let ask = |question| {
        crate::answer(question, &report, None, at(0))
            .text
            .to_string()
    };
    assert!(
        !ask("what is wrong?").contains("root"),
        "{}",
        ask("what is wrong?")
    );
    assert!(
        ask("findings").contains("Redis runs as root"),
        "{}",
        ask("findings")
    );
}

#[test]
fn who_cannot_be_looked_into_is_not_said_to_listen_nowhere() {
    let hidden = |listeners: fn(Scene) -> Scene| {
        let redis = Scene::new()
            .process(1, 0, "/sbin/init", &["init"])
            .process(17, 1, "/usr/bin/redis-server", &["redis-server *:6379"])
            .with(|p| {
                p.executable = None;
                p.started_at = at(0);
            });
        listeners(redis)
    };
    // Somebody listens, nobody knows who: that is the port's own service, and it is well.
    let mut play = Play::healthy(hidden(|scene| scene.tcp("0.0.0.0", 6379, &[])));
    let speaks = ProbeOutcome {
        protocol: Some("redis".into()),
        ..answers()
    };
    play.wait(30_000);
    play.probe(speaks.clone());
    for _ in 0..2 {
        let report = play.report();
        let of = |key: &str| report.services.iter().find(|s| s.key == key);
        let (claimed, port) = (of("redis").unwrap(), of("tcp:6379").unwrap());
        assert_eq!(
            (claimed.health, port.health),
            (Health::Unknown, Health::Healthy)
        );
        let why = claimed.evidence[0].to_string();
        assert!(why.contains("cannot be looked into"), "{why}");
        play.wait(90_000);
        play.look();
        play.probe(speaks.clone());
    }
    // Who can be looked into and listens nowhere is told so.
    let mut play = Play::healthy(hidden(|scene| {
        scene.with(|p| p.executable = Some("/usr/bin/redis-server".into()))
    }));
    assert_eq!(play.first().0, Health::Starting);
    play.wait(90_000);
    play.look();
    assert_eq!(play.first().0, Health::Unhealthy);
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
fn a_paused_container_is_not_asked_and_asked_anew_when_it_goes_on() {
    let mut play = Play::healthy(scene::redis());
    let well = play.report();
    assert_eq!(well.health, Health::Healthy, "{well:?}");
    let (going, mut frozen) = (play.scene.clone(), play.scene.clone());
    frozen.snapshot.resources.frozen = true;

    // A probe that was under way fails, and the pause is seen only then.
    play.wait(60_000);
    assert_eq!(play.assessor.due(at(play.now_ms)).len(), 1);
    play.see(frozen);
    let key = well.services[0].key.clone();
    play.assessor.probed(at(play.now_ms), &key, silence());
    for _ in 0..3 {
        play.wait(60_000);
        play.look();
        assert_eq!(play.probe(silence()), 0);
        let paused = play.report();
        let reason = paused.reason.to_string();
        assert_eq!(paused.health, Health::Unknown);
        assert!(reason.contains("paused"), "{reason}");
        let service = &paused.services[0];
        assert_eq!(service.health, Health::Unknown);
        assert!(
            service.evidence[0].to_string().contains("paused"),
            "{service:?}"
        );
        assert!(paused.findings.is_empty(), "{:?}", paused.findings);
    }
    assert!(play.assessor.is_restless(), "it may go on at any moment");

    play.see(going);
    assert_eq!(play.probe(answers()), 1, "at once");
    assert_eq!(play.report().health, Health::Healthy);
    assert!(!play.assessor.is_restless());
}

#[test]
fn what_answers_otherwise_is_not_what_it_is_called() {
    // An executable called redis-server on Redis' port, and what it speaks; the same of one called nginx, which may
    // pass on any protocol: then it is a proxy, but for TLS.
    let redis = || {
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/opt/redis-server", &["redis-server *:6379"])
            .tcp("0.0.0.0", 6379, &[5])
    };
    let nginx = || {
        let title = "nginx: master process nginx";
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(5, 1, "/usr/sbin/nginx", &[title])
            .tcp("0.0.0.0", 6379, &[5])
    };
    // One of the web's servers, on a port of another protocol.
    let consul = || {
        Scene::new()
            .process(1, 0, "/bin/consul", &["consul", "agent"])
            .tcp("0.0.0.0", 8500, &[1])
    };
    for (scene, spoken, kind, name, role, key) in [
        (
            redis(),
            "http",
            "http",
            "redis-server",
            Some("web"),
            "tcp:6379",
        ),
        (redis(), "tcp", "tcp", "redis-server", None, "tcp:6379"),
        (
            redis(),
            "memcached",
            "memcached",
            "Memcached",
            Some("cache"),
            "tcp:6379",
        ),
        (
            redis(),
            "tls",
            "redis",
            "Redis",
            Some("cache"),
            "redis:6379",
        ),
        (
            redis(),
            "redis",
            "redis",
            "Redis",
            Some("cache"),
            "redis:6379",
        ),
        (
            consul(),
            "tcp",
            "consul",
            "Consul",
            Some("coordination"),
            "consul:8500",
        ),
        (
            nginx(),
            "redis",
            "nginx",
            "nginx",
            Some("proxy"),
            "nginx:6379",
        ),
        (nginx(), "tls", "nginx", "nginx", Some("web"), "nginx:6379"),
    ] {
        let mut play = Play {
            assessor: Assessor::new(),
            scene,
            now_ms: 0,
        };
        play.look();
        assert_ne!(play.report().services[0].kind, "http");
        play.probe(outcome(Verdict::Garbled, "answers, but not as it should"));
        let due = play.assessor.due(at(0));
        assert_eq!(due[0].spec.kind, ProbeKind::Discover, "{spoken}");
        play.assessor.probed(at(0), &due[0].key, discovers(spoken));
        play.wait(1000);
        play.look();
        play.look();
        let service = play.report().services.remove(0);
        let told = (
            service.kind.as_str(),
            service.name.as_raw(),
            service.role.as_deref(),
        );
        assert_eq!(told, (kind, name, role), "{spoken}");
        assert_eq!(service.key, key);
        let says = |words| service.evidence.iter().any(|e| e.as_raw().contains(words));
        assert_eq!(
            says("does not answer as Redis does"),
            !matches!(kind, "redis" | "nginx" | "consul")
        );
    }
}

#[test]
fn a_process_that_takes_the_place_of_a_disproved_one_is_believed_anew() {
    let scene = |pid| {
        Scene::new()
            .process(1, 0, "/usr/bin/dash", &["sh"])
            .process(pid, 1, "/usr/bin/redis-server", &["redis-server *:6379"])
            .tcp("0.0.0.0", 6379, &[pid])
    };
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene(5),
        now_ms: 0,
    };
    play.look();
    play.probe(outcome(Verdict::Garbled, "answers, but not as it should"));
    play.probe(discovers("http"));
    assert_eq!(play.report().services[0].kind, "http");
    play.see(scene(6));
    play.probe(answers());
    let service = play.report().services.remove(0);
    assert_eq!(
        (service.kind.as_str(), service.health),
        ("redis", Health::Healthy)
    );
}

#[test]
fn who_is_called_nginx_must_say_so_where_no_title_does() {
    for (title, product, kind) in [
        ("nginx -m http.server 80", "SimpleHTTP", "http"),
        ("nginx -g daemon off; master_process off;", "nginx", "nginx"),
        ("nginx: master process nginx", "SimpleHTTP", "nginx"),
    ] {
        let mut play = Play {
            assessor: Assessor::new(),
            scene: Scene::new()
                .process(1, 0, "/usr/sbin/nginx", &[title])
                .tcp("0.0.0.0", 80, &[1]),
            now_ms: 0,
        };
        play.look();
        play.probe(ProbeOutcome {
            protocol: Some("http".into()),
            product: Some(product.into()),
            ..answers()
        });
        assert_eq!(play.report().services[0].kind, kind, "{title}");
    }
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
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene(0),
        now_ms: 0,
    };
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
    let mut play = Play {
        assessor: Assessor::new(),
        scene: alertmanager(&[9094]),
        now_ms: 0,
    };
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

#[test]
fn a_redis_that_watches_others_is_a_sentinel() {
    let starting = || {
        let title = ["redis-server *:6379 [sentinel]"];
        Scene::new().process(17, 0, "/usr/bin/redis-server", &title)
    };
    let mut play = Play {
        assessor: Assessor::new(),
        scene: starting(),
        now_ms: 0,
    };
    play.look();
    // Its files would tell of its version, and then nobody would ask.
    assert_eq!(play.report().services[0].kind, "redis");
    assert_eq!(play.assessor.unexamined(&play.scene.snapshot), None);
    play.see(starting().tcp("0.0.0.0", 6379, &[17]));
    play.wait(1_000);
    play.probe(ProbeOutcome {
        product: Some("redis-sentinel".into()),
        protocol: Some("redis".into()),
        ..answers()
    });
    assert_eq!(play.report().services[0].kind, "redis-sentinel");
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
