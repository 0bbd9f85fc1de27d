use diogenes_proto::{Activity, ProbeKind, ProbeStats, Report, Verdict, line};
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
    assert_eq!(
        play.first(),
        (
            Health::Starting,
            "it started 0 s ago and does not listen yet".into()
        )
    );
    play.wait(200);
    play.see(again(scene::redis().without(17)).tcp("0.0.0.0", 6379, &[99]));
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
fn a_queue_that_does_not_move_is_trouble() {
    let mut play = Play::healthy(scene::redis());
    for (waiting, health) in [
        (1, Health::Healthy),
        (1, Health::Degraded),
        (2, Health::Degraded),
        (1, Health::Healthy),
    ] {
        play.wait(3_000);
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
        ("ssh", "ssh", "shopd", None, ProbeKind::Ssh, Health::Healthy),
        (
            "vnc",
            "vnc",
            "shopd",
            None,
            ProbeKind::Discover,
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
fn what_never_answers_as_its_kind_is_asked_once_what_it_speaks() {
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene::redis(),
        now_ms: 0,
    };
    play.look();
    let kind = |play: &Play| play.assessor.probe_of("redis:6379").unwrap().kind;
    let garbled = || {
        outcome(
            Verdict::Garbled,
            "what it answers to PING is something else",
        )
    };
    let mut asked = 0;
    while kind(&play) == ProbeKind::Redis {
        play.probe(garbled());
        play.wait(70_000);
        asked += 1;
        assert!(asked < 20, "never doubted");
    }
    assert_eq!(kind(&play), ProbeKind::Discover);
    play.probe(discovers("http"));
    assert_eq!(kind(&play), ProbeKind::Http);
    assert_eq!(
        play.first(),
        (Health::Healthy, "it speaks http, not redis: answers".into())
    );

    // Where that is not to be found out, it is not asked again and again.
    let mut play = Play {
        assessor: Assessor::new(),
        scene: scene::redis(),
        now_ms: 0,
    };
    play.look();
    let mut discovered = 0;
    for _ in 0..20 {
        discovered += usize::from(kind(&play) == ProbeKind::Discover);
        play.probe(garbled());
        play.wait(70_000);
    }
    assert_eq!(discovered, 1);
    assert_eq!(play.first().0, Health::Unknown);
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
