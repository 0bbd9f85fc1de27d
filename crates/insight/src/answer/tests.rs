use diogenes_proto::{Activity, Health, Listener, PublishedPort};
use proptest::prelude::*;

use super::*;
use crate::assess::Assessor;
use crate::recognise::tests::any_snapshot;
use crate::scene::{self, Scene, at};
use diogenes_proto::{ProbeOutcome, Verdict};

fn outcome(verdict: Verdict, evidence: &str) -> ProbeOutcome {
    ProbeOutcome {
        version: Some("7.0.15".into()),
        ..ProbeOutcome::new(verdict, evidence, 100)
    }
}

/// What is known of a scene all of whose services answer.
fn well(scene: &Scene) -> (Assessor, Report) {
    let mut assessor = Assessor::new();
    assessor.observe(at(0), &scene.snapshot);
    for due in assessor.due(at(0)) {
        assessor.probed(
            at(0),
            &due.key,
            outcome(Verdict::Alive, "answers in 0.1 ms"),
        );
    }
    let report = assessor.report(at(0), String::new());
    (assessor, report)
}

/// What is known after Redis was killed, one minute and three seconds past noon.
fn dead_redis() -> Report {
    let (mut assessor, _) = well(&scene::redis());
    assessor.observe(at(63_000), &scene::redis().without(17).snapshot);
    assessor.report(at(63_000), String::new())
}

fn facts() -> HostFacts {
    HostFacts {
        name: "shop".into(),
        image: "redis:7".into(),
        state: "running".into(),
        ..HostFacts::default()
    }
}

fn text(question: &str, report: &Report, facts: Option<&HostFacts>) -> String {
    answer(question, report, facts, at(363_000))
        .text
        .as_raw()
        .to_owned()
}

#[test]
fn status_in_the_house_style() {
    let (_, mut report) = well(&scene::web());
    assert_eq!(
        text("status", &report, None),
        "Running 2 services: nginx (healthy), FastAPI (healthy)"
    );
    report.resources.memory_bytes = Some(45);
    report.resources.memory_limit_bytes = Some(100);
    let mut celery = report.services[1].clone();
    celery.name = "Celery".into();
    celery.kind = "celery".into();
    celery.role = Some("worker".into());
    celery.activity = Some(Activity::Idle);
    report.services.push(celery);
    assert_eq!(
        text("how are you?", &report, None),
        "Running 3 services: nginx (healthy), FastAPI (healthy), Celery (idle). Memory at 45%."
    );
    assert_eq!(text("how is fastapi?", &report, None), "FastAPI (healthy)");
    assert_eq!(text("nginx", &report, None), "nginx (healthy)");
}

#[test]
fn status_of_the_unwell() {
    assert_eq!(
        text("status", &dead_redis(), None),
        "Running 0 of 1 service: Redis (unhealthy)\n\
         Redis does not answer: its process (pid 17) ended at 12:01:03, port 6379 is closed"
    );
}

#[test]
fn services_and_roles() {
    let (_, mut report) = well(&scene::web());
    report.resources.memory_bytes = Some(45);
    report.resources.memory_limit_bytes = Some(100);
    let answer = answer("what runs here?", &report, None, at(0));
    assert_eq!(
        answer.text.as_raw(),
        "Running nginx (port 80), FastAPI (port 8000). Memory at 45%, all services healthy."
    );
    assert_eq!(answer.data["web"].as_raw(), "fastapi on port 8000");
    assert_eq!(answer.data["proxy"].as_raw(), "nginx on port 80");
}

#[test]
fn why_the_dead_are_dead() {
    let report = dead_redis();
    let mut facts = facts();
    facts.log_tail = (0..30)
        .map(|n| format!("line {n} \u{1b}[31m").into())
        .collect();
    for question in [
        "why is redis down?",
        "why?",
        "what's wrong?",
        "is redis ok?",
        "is the cache alive?",
    ] {
        let text = text(question, &report, Some(&facts));
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with(
                "Redis is unhealthy since 12:01:03 (5 min): its process (pid 17) ended at 12:01:03, port 6379 is closed;"
            ),
            "{text}"
        );
        assert_eq!(lines[1], "Docker shows the container as up all the same.");
        assert_eq!(lines[2], "Its last lines:");
        assert_eq!(lines.len(), 13);
        assert_eq!(lines[12], "  line 29 \\u{1b}[31m");
    }
}

#[test]
fn why_nothing_is_wrong() {
    let (_, report) = well(&scene::web());
    assert_eq!(
        text("what's wrong?", &report, Some(&facts())),
        "Everything works: nginx (answers in 0.1 ms) and FastAPI (answers in 0.1 ms)."
    );
    assert_eq!(
        text("is nginx ok?", &report, None),
        "nginx works: answers in 0.1 ms."
    );
}

#[test]
fn docker_is_contradicted() {
    let mut facts = facts();
    facts.docker_health = Some(Health::Healthy);
    let words = text("status", &dead_redis(), Some(&facts));
    assert!(
        words.contains(
            "Docker's own HEALTHCHECK says healthy; seen from the inside it is unhealthy."
        ),
        "{words}"
    );
    facts.docker_health = Some(Health::Unhealthy);
    let (_, report) = well(&scene::redis());
    let words = text("is everything ok?", &report, Some(&facts));
    assert!(
        words.contains("says unhealthy, though everything answers"),
        "{words}"
    );
}

#[test]
fn what_is_not_from_now_says_so() {
    let (_, report) = well(&scene::redis());
    let mut facts = facts();
    facts.state = "paused".into();
    facts.without_agent = Some("silent since 12:01:00".into());
    assert_eq!(
        text("status", &report, Some(&facts)),
        "The container is paused: its processes stand still until it is resumed.\n\
         Running 1 service: Redis (healthy)\n\
         (from the last look at 12:00:00; the companion is silent since 12:01:00)"
    );
    facts.state = "exited".into();
    facts.exit_code = Some(137);
    facts.oom_killed = true;
    let words = text("why?", &report, Some(&facts));
    assert!(words.starts_with(
        "The container has exited with code 137 (128 + signal 9); the out-of-memory killer ended it.\n"
    ));
    let words = text("status", &Report::default(), Some(&facts));
    assert!(
        words.contains("Nothing is known of its inside yet."),
        "{words}"
    );
}

#[test]
fn facts_of_the_host() {
    let (_, report) = well(&scene::redis());
    let mut facts = facts();
    facts.restart_count = 3;
    facts.started_at = Some(at(0));
    facts.published = vec![PublishedPort {
        container_port: 6379,
        protocol: "tcp".into(),
        host_address: "127.0.0.1".into(),
        host_port: 16379,
    }];
    for (question, with, without) in [
        ("restarts", "restarted 3 times", "known to the host only"),
        (
            "which image?",
            "the image redis:7",
            "known to the host only",
        ),
        (
            "uptime",
            "started 12:00:00 (6 min ago)",
            "healthy since 12:00:00 (6 min ago)",
        ),
        (
            "ports",
            "6379/tcp at 127.0.0.1:16379",
            "Listening: Redis (port 6379).",
        ),
    ] {
        let words = text(question, &report, Some(&facts));
        assert!(words.contains(with), "{words}");
        let words = text(question, &report, None);
        assert!(words.contains(without), "{words}");
    }
}

#[test]
fn single_facts() {
    let (_, mut report) = well(&scene::redis());
    report.resources.memory_bytes = Some(50 << 20);
    for (question, expected) in [
        ("version of redis", "Redis 7.0.15."),
        ("memory", "Memory in use: 50 MiB, without a limit."),
        ("how many processes?", "2 processes: Redis (pid 17)."),
        ("findings", "Nothing was found wrong."),
        ("health", "Healthy since 12:00:00: Redis works."),
        (
            "since when is redis up?",
            "Redis has been healthy since 12:00:00 (6 min ago).",
        ),
        (
            "is mysql ok?",
            "No service here is called \"mysql\". There is Redis.",
        ),
        (
            "version of banana",
            "No service here is called \"banana\". There is Redis.",
        ),
    ] {
        assert_eq!(text(question, &report, None), expected, "{question}");
    }
    assert_eq!(
        answer("ports", &report, None, at(0)).data["redis:6379"].as_raw(),
        "port 6379"
    );
}

#[test]
fn the_past_is_for_the_supervisor_to_tell() {
    let (_, report) = well(&scene::redis());
    for report in [&report, &Report::default()] {
        let answer = answer("what changed?", report, None, at(0));
        assert_eq!(
            (answer.intent.as_str(), answer.text.as_raw()),
            ("changes", NO_HISTORY)
        );
    }
    assert!(HELP.contains("changes"));
}

#[test]
fn services_are_found_by_what_a_question_calls_them() {
    let (_, report) = well(&scene::redis());
    for (question, number) in [
        ("what happened to redis?", 1),
        ("what happened to the cache?", 1),
        ("what happened in the last hour?", 0),
        ("history of mysql", 0),
    ] {
        assert_eq!(
            services_named(question, &report).len(),
            number,
            "{question}"
        );
    }
}

#[test]
fn what_is_not_understood_is_said() {
    let (_, report) = well(&scene::redis());
    for question in [
        "",
        "restart redis",
        "what is the redis password?",
        "tell me a joke",
    ] {
        let answer = answer(question, &report, None, at(0));
        assert_eq!(
            (answer.intent.as_str(), answer.text.as_raw()),
            ("help", HELP),
            "{question}"
        );
    }
}

#[test]
fn hostile_names_are_escaped() {
    let (_, mut report) = well(&scene::redis());
    report.services[0].name = "\u{1b}]0;x\u{7}\nRunning 9 services".into();
    report.services[0].listeners = vec![Listener {
        path: Some("/\u{1b}x".into()),
        ..Listener::default()
    }];
    for question in [
        "status",
        "why",
        "services",
        "ports",
        "version",
        "processes",
        "health",
        "uptime",
        "findings",
    ] {
        let answer = answer(question, &report, None, at(0));
        for line in std::iter::once(&answer.text)
            .chain(&answer.evidence)
            .chain(answer.data.values())
        {
            assert!(!line.as_raw().contains('\u{1b}'), "{question}: {line}");
        }
        assert!(!answer.text.as_raw().contains("\nRunning 9"), "{question}");
    }
}

#[test]
fn the_house_keeps_to_its_words() {
    let avoided = [
        "current context",
        "working on",
        "key decisions",
        "next steps",
        "current approach",
    ];
    let (_, report) = well(&scene::web());
    for question in [
        "status",
        "why",
        "services",
        "ports",
        "memory",
        "cpu",
        "processes",
        "uptime",
        "help",
        "health",
    ] {
        for report in [&report, &dead_redis()] {
            let words = text(question, report, Some(&facts())).to_lowercase();
            assert!(
                avoided.iter().all(|phrase| !words.contains(phrase)),
                "{words}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_question_about_anything_is_answered(
        question in ".{0,60}",
        word in prop_oneof![
            Just("status"), Just("why is redis down"), Just("services"), Just("ports"), Just("memory"),
            Just("cpu"), Just("processes"), Just("uptime"), Just("restarts"), Just("image"), Just("version"),
            Just("findings"), Just("changes"), Just("health"), Just("help"),
        ],
        snapshot in any_snapshot(),
        state in ".{0,10}",
    ) {
        let mut assessor = Assessor::new();
        assessor.observe(at(0), &snapshot);
        let report = assessor.report(at(0), String::new());
        let facts = HostFacts { state, log_tail: vec!["x".into()], exit_code: Some(i64::MIN), ..HostFacts::default() };
        for question in [question.as_str(), word] {
            for facts in [None, Some(&facts)] {
                let first = answer(question, &report, facts, at(5));
                prop_assert!(!first.text.is_empty());
                prop_assert_eq!(&first, &answer(question, &report, facts, at(5)));
            }
        }
    }
}
