use diogenes_proto::{Health, ProbeKind, ProbeOutcome, ProbeTarget, Report, Service, Verdict};
use proptest::prelude::*;

use super::json::MAX_ITEMS;
use super::reading::MAX_LABELLED;
use super::*;
use crate::assess::{Assessor, Due};
use crate::scene::{self, Scene, at};

fn words(file: &str) -> OwnWords {
    OwnWords::read(Some(file.as_bytes()), &[])
}

fn labels(labels: &[&str]) -> Vec<Untrusted> {
    labels.iter().map(|&label| label.into()).collect()
}

/// What is refused, as it is told.
fn refused(words: &OwnWords) -> Vec<String> {
    words.refused().0.iter().map(ToString::to_string).collect()
}

/// An assessor that has heard these words and seen this scene, and what it wants to ask.
fn seen(words: OwnWords, scene: &Scene) -> (Assessor, Vec<Due>) {
    let mut assessor = Assessor::new();
    assessor.hear(words);
    assessor.observe(at(0), &scene.snapshot);
    let due = assessor.due(at(0));
    (assessor, due)
}

fn told(assessor: &mut Assessor, ms: u64) -> Report {
    assessor.report(at(ms), String::new())
}

fn service<'a>(report: &'a Report, key: &str) -> &'a Service {
    let mut services = report.services.iter();
    services
        .find(|one| one.key == key)
        .expect("a service of this key")
}

fn answers(verdict: Verdict, evidence: &str) -> ProbeOutcome {
    ProbeOutcome::new(verdict, evidence, 100)
}

/// A shop's own server on two ports, and a worker beside it that listens nowhere.
fn shop() -> Scene {
    Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh", "/start.sh"])
        .process(7, 1, "/srv/shop", &["/srv/shop"])
        .process(9, 1, "/usr/bin/python3.11", &["python3", "/srv/worker.py"])
        .tcp("0.0.0.0", 8080, &[7])
        .tcp("0.0.0.0", 9090, &[7])
}

#[test]
fn a_service_is_named_and_asked_as_its_container_says() {
    let words = words(
        r#"{"services": [{"match": {"port": 9090}, "name": "Shop API", "role": "api",
            "probe": "/internal/ready", "expect": 204, "every": "5m"}]}"#,
    );
    let (mut assessor, due) = seen(words, &shop());
    let [due] = &due[..] else {
        panic!("one probe: {due:?}")
    };
    assert_eq!(due.spec.kind, ProbeKind::Http);
    assert_eq!(due.spec.path.as_deref(), Some("/internal/ready"));
    assert_eq!(due.spec.expected, Some((204, 204)));
    // By the port it is meant by, though another one is lower.
    assert_eq!(
        due.spec.target,
        ProbeTarget::Tcp("127.0.0.1:9090".parse().unwrap())
    );
    assert!(!due.wants_readiness);

    let well = answers(Verdict::Alive, "answers /internal/ready (HTTP 204)");
    assessor.probed(at(10), &due.key, well);
    assessor.observe(at(20), &shop().snapshot);
    let report = told(&mut assessor, 20);
    let shop = service(&report, &due.key);
    assert_eq!(shop.name.as_raw(), "Shop API");
    assert_eq!(
        (shop.role.as_deref(), shop.health),
        (Some("api"), Health::Healthy)
    );
    assert_eq!(report.reason.as_raw(), "Shop API works");
    // A tenth earlier than five minutes at most.
    assert!(assessor.due(at(4 * 60_000)).is_empty());
    assert_eq!(assessor.due(at(5 * 60_000 + 100)).len(), 1);
}

#[test]
fn its_own_path_decides_its_health() {
    let words = words(r#"{"services": [{"match": {"port": 8080}, "probe": "/ready"}]}"#);
    let (mut assessor, due) = seen(words, &shop());
    assert_eq!(
        due[0].spec.expected,
        Some((200, 399)),
        "as curl --fail takes it"
    );
    for ms in [20_000, 22_000] {
        assessor.observe(at(ms), &shop().snapshot);
        assessor.due(at(ms));
        assessor.probed(
            at(ms),
            &due[0].key,
            answers(Verdict::Failing, "HTTP 404 on /ready"),
        );
    }
    let report = told(&mut assessor, 22_000);
    assert_eq!(report.health, Health::Unhealthy);
    assert_eq!(report.findings[0].code, "service-failing");
}

#[test]
fn a_silenced_probe_is_never_sent_and_the_health_is_said_to_be_unknown() {
    let words = words(r#"{"services": [{"match": {"kind": "redis"}, "probe": false}]}"#);
    let (mut assessor, due) = seen(words, &scene::redis());
    assert_eq!(due, []);
    assert_eq!(assessor.next(at(60_000)), None);
    let report = told(&mut assessor, 60_000);
    let redis = service(&report, "redis:6379");
    assert_eq!(redis.health, Health::Unknown);
    assert!(
        redis.evidence[0]
            .as_raw()
            .starts_with("it is not asked, as its container wants it")
    );
}

#[test]
fn who_is_not_to_be_asked_leaves_the_others_their_health() {
    let file = r#"{"services": [{"match": {"process": "worker.py"}, "name": "Worker"}, {"match": {"port": 8080}, "probe": false}]}"#;
    let (mut assessor, due) = seen(words(file), &shop());
    assert_eq!(due, []);
    let report = told(&mut assessor, 10_000);
    assert_eq!(service(&report, "tcp:8080").health, Health::Unknown);
    assert_eq!(report.health, Health::Healthy);
    assert_eq!(
        report.reason.as_raw(),
        "Worker works; 1 service not to be asked"
    );
    // That it has ended nobody has to ask.
    assessor.observe(at(20_000), &shop().without(7).snapshot);
    let report = told(&mut assessor, 20_000);
    assert_eq!(report.health, Health::Unhealthy);
}

#[test]
fn a_protocol_is_spoken_to_whom_it_is_said_to_be_spoken() {
    let words = words(r#"{"services": [{"match": {"port": 8080}, "probe": "redis"}]}"#);
    let (mut assessor, due) = seen(words, &shop());
    assert_eq!(
        (due[0].spec.kind, due[0].spec.path.as_deref()),
        (ProbeKind::Redis, None)
    );
    // Who answers in another one is not excused as unknown: the owner has said what it speaks.
    for ms in [20_000, 22_000, 24_000] {
        assessor.observe(at(ms), &shop().snapshot);
        assessor.due(at(ms));
        assessor.probed(at(ms), &due[0].key, answers(Verdict::Garbled, "is no RESP"));
    }
    assert_eq!(told(&mut assessor, 24_000).health, Health::Unhealthy);
}

#[test]
fn a_process_of_no_known_kind_becomes_a_service_by_its_name() {
    let file = r#"{"services": [{"match": {"process": "worker.py"}, "name": "Mail worker", "role": "worker"}]}"#;
    let (mut assessor, _) = seen(words(file), &shop());
    let report = told(&mut assessor, 10_000);
    assert_eq!(report.services.len(), 2, "{:?}", report.services);
    let worker = service(&report, "process:worker.py");
    assert_eq!(
        (worker.name.as_raw(), worker.health),
        ("Mail worker", Health::Healthy)
    );
    // And is missed when it ends.
    assessor.observe(at(20_000), &shop().without(9).snapshot);
    let report = told(&mut assessor, 20_000);
    assert_eq!(
        service(&report, "process:worker.py").health,
        Health::Unhealthy
    );
    assert!(
        report
            .findings
            .iter()
            .any(|found| found.code == "service-gone")
    );

    let (mut assessor, _) = seen(OwnWords::default(), &shop());
    assert_eq!(
        told(&mut assessor, 0).services.len(),
        1,
        "it is none by itself"
    );
}

#[test]
fn limits_are_as_they_are_said() {
    let file = r#"{"thresholds": {"memory_percent": 50, "pids_percent": 40, "restarts": 1, "fds_percent": 10}}"#;
    let mut scene = scene::redis().with(|process| {
        process.fds = Some(20);
        process.fd_limit = Some(100);
    });
    scene.snapshot.resources.memory_bytes = Some(60);
    scene.snapshot.resources.memory_limit_bytes = Some(100);
    scene.snapshot.resources.pids = Some(45);
    scene.snapshot.resources.pids_limit = Some(100);
    let codes = |words: OwnWords| {
        let (mut assessor, _) = seen(words, &scene);
        let reborn = scene.clone().with(|p| p.started_at = at(1));
        assessor.observe(at(1000), &reborn.snapshot);
        let report = told(&mut assessor, 1000);
        let codes = report.findings.iter().map(|found| found.code.clone());
        codes.collect::<Vec<String>>().join(" ")
    };
    assert_eq!(codes(OwnWords::default()), "");
    assert_eq!(
        codes(words(file)),
        "crash-loop fd-limit-near memory-near-limit pids-near-limit"
    );
}

#[test]
fn a_silenced_finding_is_not_told() {
    let root = scene::redis().with(|process| process.uid = 0);
    let codes = |words: OwnWords| {
        let (mut assessor, _) = seen(words, &root);
        told(&mut assessor, 0)
            .findings
            .into_iter()
            .map(|found| found.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(OwnWords::default()), ["runs-as-root"]);
    assert!(codes(words(r#"{"silence": ["runs-as-root"]}"#)).is_empty());
}

#[test]
fn what_cannot_be_is_refused_by_its_line_and_the_rest_holds() {
    let file = r#"{
  "services": [
    {"match": {"port": 8080}, "name": "Shop API"},
    {"match": {"port": 9090}, "rolle": "api"},
    {"match": {"port": 9091}, "role": "apy"},
    {"match": {"kind": "rediss"}, "probe": false},
    {"match": {"port": 70000}},
    {"name": "Nobody"},
    {"match": {"port": 1}, "probe": "ready"},
    {"match": {"port": 1}, "probe": "/a b"},
    {"match": {"port": 1}, "probe": "/a\r\nX: y"},
    {"match": {"port": 1}, "every": "100ms"},
    {"match": {"port": 1}, "expect": 200},
    {"match": {"port": 1}, "name": "a\u001b[2J"},
    7
  ],
  "thresholds": {"memory_percent": 101, "disk": 5, "restarts": 5},
  "silence": ["runs-as-rot", "privileged", "runs-as-root"],
  "sevices": [],
  "silence": []
}"#;
    let words = words(file);
    let (told, beyond) = words.refused();
    let lines = told
        .iter()
        .map(|refused| refused.place.map_or(0, |place| place.line));
    let told: Vec<_> = lines
        .zip(told.iter().map(|refused| refused.what.as_str()))
        .collect();
    let expected = [
        (4, "no key is called \"rolle\"; the nearest is \"role\""),
        (5, "no role is called \"apy\"; the nearest is \"api\""),
        (6, "no kind is called \"rediss\"; the nearest is \"redis\""),
        (7, "expected a whole number from 1 to 65535"),
        (
            8,
            "it does not say which service it means: \"match\": {\"port\": 8080}",
        ),
        (
            9,
            "no protocol is called \"ready\"; expected a path such as \"/ready\", a protocol such as \"redis\", or false",
        ),
        (
            10,
            "a path has at most 256 visible ASCII characters and no #; others are written as %XX",
        ),
        (
            11,
            "a path has at most 256 visible ASCII characters and no #; others are written as %XX",
        ),
        (
            12,
            "expected a time from 1s to 1h, such as \"10s\" or \"5m\"",
        ),
        (
            13,
            "\"expect\" is a status, for which \"probe\" must be a path",
        ),
        (14, "expected a name of 1 to 64 visible characters"),
        (15, "expected an object in { }, found a number"),
        (17, "expected a whole number from 1 to 100"),
        (
            17,
            "no key is called \"disk\"; there are memory_percent, pids_percent, fds_percent, restarts, certificate_days",
        ),
        (
            18,
            "no finding is called \"runs-as-rot\"; the nearest is \"runs-as-root\"",
        ),
        (
            18,
            "no finding is called \"privileged\"; only what the companion itself finds can be silenced, by its code in `diogenes status NAME`",
        ),
    ];
    assert_eq!(told, expected);
    assert_eq!(beyond, 2, "sevices; and silence, said twice");
    // All else is heard.
    assert_eq!(words.counts(), (1, 1, 1));
    assert_eq!(words.thresholds().restarts, 5);
    assert!(words.silences("runs-as-root"));

    let (mut assessor, _) = seen(words, &shop());
    let report = assessor.report(at(0), String::new());
    let finding = report
        .findings
        .iter()
        .find(|found| found.code == CODE)
        .expect("a finding");
    assert_eq!(
        finding.summary.as_raw(),
        "18 entries of the container's own words are refused, the first: /etc/diogenes/container.json, line 4, column 31: no key is called \"rolle\"; the nearest is \"role\""
    );
    assert_eq!(finding.evidence.len(), MAX_REFUSED + 1);
    assert_eq!(service(&report, "tcp:8080").name.as_raw(), "Shop API");
}

#[test]
fn what_is_no_json_is_refused_as_a_whole() {
    let words = words("{\n  \"silence\": [\"runs-as-root\"],\n}");
    assert_eq!(
        refused(&words),
        [
            "/etc/diogenes/container.json, line 3, column 1: it is no JSON: expected a text in quotes, closed on its line"
        ]
    );
    assert_eq!(words.counts(), (0, 0, 0));
    let long = format!("{{{}}}", " ".repeat(MAX_BYTES));
    assert_eq!(
        refused(&super::tests::words(&long)),
        ["/etc/diogenes/container.json: it is longer than 65536 bytes, and not read"]
    );
}

#[test]
fn labels_say_the_same_and_go_over_the_file() {
    let file = br#"{"services": [{"match": {"port": 8080}, "name": "By file", "role": "web", "probe": "/by-file"}],
        "thresholds": {"restarts": 4, "memory_percent": 70}}"#;
    let labels = labels(&[
        r#"io.diogenes.container={"services": [{"match": {"port": 8080}, "name": "By text", "role": "api"}]}"#,
        "io.diogenes.service.8080.name=By label",
        "io.diogenes.service.8080.every=20s",
        "io.diogenes.service.redis.probe=false",
        "io.diogenes.thresholds.restarts=9",
        "io.diogenes.silence=runs-as-root, crash-loop",
        "io.diogenes.attach=true",
        "org.opencontainers.image.title=x",
    ]);
    let words = OwnWords::read(Some(file), &labels);
    assert_eq!(refused(&words), [""; 0]);
    assert_eq!(
        (
            words.thresholds().restarts,
            words.thresholds().memory_percent
        ),
        (9, 70)
    );
    assert!(words.silences("crash-loop") && words.silences("runs-as-root"));
    let (mut assessor, due) = seen(words, &shop());
    let report = told(&mut assessor, 0);
    let shop = service(&report, "tcp:8080");
    assert_eq!(
        (shop.name.as_raw(), shop.role.as_deref()),
        ("By label", Some("api"))
    );
    assert_eq!(due[0].spec.path.as_deref(), Some("/by-file"));
}

#[test]
fn a_label_that_cannot_be_is_refused_by_its_name() {
    let labels = labels(&[
        "io.diogenes.service.8080.nam=x",
        "io.diogenes.service.rediss.name=x",
        "io.diogenes.service.name=x",
        "io.diogenes.service.8080.role=apy",
        "io.diogenes.services.8080.role=api",
        "io.diogenes.silence=run-as-root, crash-loop",
        "io.diogenes.thresholds.restarts=many",
        "io.diogenes.container={\n!",
        "io.diogenes.service.redis.expect=204",
        "io.diogenes.service.8080.name=Shop",
    ]);
    let words = OwnWords::read(None, &labels);
    assert_eq!(
        refused(&words),
        [
            "label io.diogenes.service.8080.nam: no key is called \"nam\"; the nearest is \"name\"",
            "label io.diogenes.service.rediss.name: no kind is called \"rediss\"; the nearest is \"redis\"",
            "label io.diogenes.service.name: expected io.diogenes.service.PORT.name, or a kind for the port, and role, probe, expect or every for the name",
            "label io.diogenes.service.8080.role: no role is called \"apy\"; the nearest is \"api\"",
            "label io.diogenes.services.8080.role: this label means nothing; the nearest is io.diogenes.service",
            "label io.diogenes.silence: no finding is called \"run-as-root\"; the nearest is \"runs-as-root\"",
            "label io.diogenes.thresholds.restarts: expected a whole number from 1 to 60",
            "label io.diogenes.service.redis.expect: \"expect\" is a status, for which \"probe\" must be a path",
            "label io.diogenes.container, line 2, column 1: it is no JSON: expected a text in quotes, closed on its line",
        ]
    );
    assert_eq!(words.counts(), (2, 0, 1));
}

#[test]
fn a_label_that_was_cut_is_not_read() {
    let long = format!(
        "io.diogenes.container={{\"silence\": [{}]}}",
        "\"x\", ".repeat(2000)
    );
    assert_eq!(
        refused(&OwnWords::read(None, &labels(&[&long]))),
        [
            "label io.diogenes.container: it is too long for a label, and not read; put it into the file"
        ]
    );
}

#[test]
fn words_that_change_are_heard_at_once() {
    let (mut assessor, due) = seen(OwnWords::default(), &shop());
    assert_eq!(due[0].spec.kind, ProbeKind::Discover);
    assessor.probed(at(100), &due[0].key, answers(Verdict::Alive, "connects"));
    let later = words(r#"{"services": [{"match": {"port": 8080}, "probe": "/ready"}]}"#);
    assessor.hear(later);
    assessor.observe(at(200), &shop().snapshot);
    let due = assessor.due(at(200));
    assert_eq!(
        due[0].spec.path.as_deref(),
        Some("/ready"),
        "what it answered before says nothing of this"
    );
}

#[test]
fn the_reference_is_complete_and_its_example_can_be() {
    let page = include_str!("../../../../supervisor/OWN-WORDS.md");
    let (_, example) = page.split_once("```json\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let words = words(example);
    assert_eq!(refused(&words), [""; 0]);
    assert_eq!(words.counts(), (3, 2, 1));
    let names = entry::KEYS
        .into_iter()
        .chain(entry::SIGNS)
        .chain(thresholds::NAMES);
    let names = names.chain(silence::FINDINGS).chain([CODE, FILE]);
    for name in names.chain(ProbeKind::protocols().filter(|protocol| *protocol != "http")) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    let usual = Thresholds::default();
    for (name, usual, (least, most)) in [
        (
            "memory_percent",
            usual.memory_percent,
            thresholds::BOUNDS[0],
        ),
        ("pids_percent", usual.pids_percent, thresholds::BOUNDS[1]),
        ("fds_percent", usual.fds_percent, thresholds::BOUNDS[2]),
        ("restarts", usual.restarts, thresholds::BOUNDS[3]),
        (
            "certificate_days",
            usual.certificate_days,
            thresholds::BOUNDS[4],
        ),
    ] {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}`")));
        let end = format!("| {usual} | {least} to {most} |");
        assert!(row.is_some_and(|row| row.ends_with(&end)), "{name}: {end}");
    }
    let labels = labels(&[
        "io.diogenes.service.8080.name=Shop API",
        "io.diogenes.service.redis.probe=false",
        "io.diogenes.thresholds.restarts=5",
        "io.diogenes.silence=runs-as-root,crash-loop",
    ]);
    assert!(
        labels
            .iter()
            .all(|label| page.contains(&format!("| `{label}` |")))
    );
    assert_eq!(refused(&OwnWords::read(None, &labels)), [""; 0]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_within_bounds(bytes in any_text(), label in any_text()) {
        let label = format!("io.diogenes.{}", String::from_utf8_lossy(&label));
        let words = OwnWords::read(Some(&bytes), &[label.into()]);
        within_bounds(&words);
        let (mut assessor, due) = seen(words, &shop());
        for due in due {
            if let Some(path) = &due.spec.path {
                prop_assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
        told(&mut assessor, 0);
    }

    #[test]
    fn any_number_of_entries_is_bounded(services in 0_usize..300, wrong in 0_usize..300) {
        let entry = r#"{"match": {"port": 80}},"#.repeat(services);
        let file = format!(r#"{{"services": [{entry} 0], "silence": [{}0]}}"#, "1,".repeat(wrong));
        within_bounds(&words(&file));
    }
}

fn within_bounds(words: &OwnWords) {
    let (entries, _, _) = words.counts();
    assert!(entries <= MAX_LABELLED + 2 * MAX_ITEMS);
    let (told, _) = words.refused();
    assert!(told.len() <= MAX_REFUSED);
    for refused in told {
        assert!(refused.to_string().len() < 1024, "{refused}");
    }
}

/// Bytes, and JSON of the shape that is expected with anything in it.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    const KEYS: [&str; 11] = [
        "services",
        "match",
        "port",
        "kind",
        "name",
        "role",
        "probe",
        "expect",
        "every",
        "thresholds",
        "silence",
    ];
    const VALUES: [&str; 6] = ["process", "/ready", "redis", "10s", "shop", "\u{1b}[2J\n"];
    let key = || proptest::sample::select(&KEYS[..]);
    let word = prop_oneof![
        11 => key(),
        6 => proptest::sample::select(&VALUES[..]),
    ]
    .prop_map(serde_json::Value::from);
    let leaf = prop_oneof![
        word,
        any::<u16>().prop_map(Into::into),
        any::<bool>().prop_map(Into::into)
    ];
    let tree = leaf.prop_recursive(4, 40, 6, move |inner| {
        let key = prop_oneof![11 => key(), 1 => Just("x")];
        let members = proptest::collection::vec((key, inner.clone()), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(serde_json::Value::from),
            members.prop_map(|all| all
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    });
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        tree.prop_map(|tree| tree.to_string().into_bytes()),
    ]
}
