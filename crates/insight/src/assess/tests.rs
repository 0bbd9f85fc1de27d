//! Services over time, in small plays: what is seen, asked and answered at which moment, and what is told then.

mod asking;
mod claim;
mod presence;
mod start;

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
    /// Nothing was seen yet: it is noon.
    fn of(scene: Scene) -> Self {
        Self {
            assessor: Assessor::new(),
            scene,
            now_ms: 0,
        }
    }

    /// All services of the scene answered at noon.
    fn healthy(scene: Scene) -> Self {
        let mut play = Self::of(scene);
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
    let mut play = Play::of(scene::redis());
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
