use diogenes_engine::{ContainerFacts, ContainerState};
use diogenes_proto::{Report, Resources, Service};

use super::*;
use crate::attendants::way_in::Via;
use crate::fakes::status_of;
use crate::registry::Registry;
use crate::registry::presence::{Absence, Presence};

const NOW: u64 = 1_769_850_000_000;

fn at(seconds_ago: u64) -> Timestamp {
    Timestamp::from_unix_ms(NOW - seconds_ago * 1000)
}

fn service(kind: &str, name: &str, port: u16, health: Health) -> Service {
    Service {
        key: kind.into(),
        name: name.into(),
        kind: kind.into(),
        ports: if port == 0 { vec![] } else { vec![port] },
        pids: vec![1],
        health,
        since: at(60),
        ..Service::default()
    }
}

fn status(engine_error: Option<&str>) -> StatusView {
    let registry = Registry::default();
    let add = |id: &str, name: &str, up_s: u64, presence: Presence, report: Option<Report>| {
        let facts = ContainerFacts {
            id: id.into(),
            name: name.into(),
            state: ContainerState::Running,
            started_at: Some(at(up_s)),
            ..ContainerFacts::default()
        };
        registry.set_facts(facts);
        registry.set_presence(id, presence);
        if let Some(report) = report {
            registry.set_report(id, report);
        }
    };
    let present = || Presence::Present {
        build: "diogenes-agent 0.1.0".into(),
        via: Via::Attached,
    };
    let memory = |used: u64, limit| Resources {
        memory_bytes: Some(used << 20),
        memory_limit_bytes: limit,
        cpu_percent: Some(0.34),
        ..Resources::default()
    };
    let report = |health, services, resources| {
        Some(Report {
            health,
            services,
            resources,
            ..Report::default()
        })
    };
    let web = vec![
        service("nginx", "nginx", 80, Health::Healthy),
        service("fastapi", "FastAPI (main:app)", 8000, Health::Unhealthy),
        service("redis", "Redis", 6379, Health::Healthy),
        service("process", "worker\x1b[31m", 0, Health::Unknown),
    ];
    add(
        "1",
        "shop-frontend-production",
        7200,
        present(),
        report(Health::Unhealthy, web, memory(412, Some(1 << 30))),
    );
    let redis = vec![service("redis", "Redis", 6379, Health::Healthy)];
    add(
        "2",
        "cache",
        90,
        present(),
        report(Health::Healthy, redis, memory(12, Some(64 << 20))),
    );
    add(
        "3",
        "quiet",
        86_400 * 3,
        Presence::Silent(Via::Attached),
        None,
    );
    let killed = Absence::Killed {
        times: 4,
        reason: "it was killed".into(),
        retry_at: at(0),
    };
    add("4", "hostile", 5, Presence::Absent(killed), None);
    let mut status = status_of(&registry);
    let engine = &mut status.supervisor.engine;
    engine.reachable = engine_error.is_none();
    engine.error = engine_error.map(str::to_owned);
    engine.since = at(125);
    status
}

fn plain(width: Option<usize>) -> Terminal {
    Terminal {
        width,
        colour: false,
        is_terminal: width.is_some(),
    }
}

fn shown(width: Option<usize>) -> String {
    table(&status(None), plain(width), at(0))
}

#[test]
fn fits_eighty_columns() {
    let text = shown(Some(80));
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn uses_a_wide_terminal() {
    insta::assert_snapshot!(shown(Some(200)));
    assert_eq!(shown(None), shown(Some(200)), "a file gets all of it");
}

#[test]
fn an_absent_engine_is_said_above() {
    let text = table(&status(Some("connection refused")), plain(Some(80)), at(0));
    assert!(
        text.starts_with(
            "The Engine has not answered for 2m, what follows may be old: connection refused\nNAME"
        ),
        "{text}"
    );
}

#[test]
fn no_containers_is_said_in_words() {
    let status = StatusView {
        containers: Vec::new(),
        ..status(None)
    };
    let text = table(&status, plain(None), at(0));
    assert_eq!(
        text,
        "No containers are running. Start one, for example: docker run -d redis\n"
    );
}

#[test]
fn colours_are_for_terminals_and_escapes_never_pass() {
    let terminal = Terminal {
        width: Some(120),
        colour: true,
        is_terminal: true,
    };
    let text = table(&status(None), terminal, at(0));
    assert!(text.contains("\x1b[31;1munhealthy\x1b[0m"));
    assert!(!text.contains("worker\x1b"), "{text}");
    assert!(!shown(None).contains('\x1b'));
}

#[test]
fn lengths_and_times_are_short() {
    for (bytes, text) in [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1K"),
        (64 << 20, "64M"),
        (1536 << 20, "1.5G"),
        (20 << 30, "20G"),
        (3 << 40, "3.0T"),
    ] {
        assert_eq!(short_bytes(bytes), text);
    }
    for (seconds, text) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (7199, "1h"),
        (90_000, "1d"),
    ] {
        assert_eq!(short_duration(Duration::from_secs(seconds)), text);
    }
}
