use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use diogenes_engine::{ContainerFacts, ContainerState, EngineVersion};
use diogenes_proto::{
    Finding, Health, Listener, ProbeStats, Report, Resources, Service, Severity, Timestamp,
    Transport, Untrusted,
};
use proptest::prelude::*;

use super::reader::{Family, read};
use super::*;
use crate::api::metrics::exposition::MAX_LABEL_BYTES;
use crate::api::metrics::services::{MAX_LISTENERS, MAX_SERVICES};
use crate::api::metrics::table::{Kind, TABLE};
use crate::attendants::way_in::Via;
use crate::fakes::supervisor;
use crate::registry::presence::Presence;

/// A registry with one container of which everything is known that can be.
fn full() -> Registry {
    let registry = Registry::default();
    registry.engine_answered(EngineVersion {
        version: "20.10".into(),
        api_version: "1.41".into(),
    });
    with_report(&registry, "shop", report(vec![service("redis:6379")]));
    registry
}

fn with_report(registry: &Registry, name: &str, report: Report) {
    let id = format!("id-{name}");
    registry.set_facts(ContainerFacts {
        id: id.clone(),
        name: name.into(),
        image: "shop:1".into(),
        state: ContainerState::Running,
        started_at: Some(Timestamp::from_unix_ms(1_769_846_400_000)),
        restart_count: 2,
        docker_health: Some(Health::Unhealthy),
        ..ContainerFacts::default()
    });
    let build = "diogenes-agent 0.0.0-fake".into();
    registry.set_presence(
        &id,
        Presence::Present {
            build,
            via: Via::Attached,
        },
    );
    registry.set_report(&id, report);
}

fn report(services: Vec<Service>) -> Report {
    Report {
        at: Timestamp::from_unix_ms(1_769_846_401_500),
        health: Health::Degraded,
        services,
        resources: Resources {
            cgroup_version: Some(2),
            memory_bytes: Some(3 << 20),
            memory_limit_bytes: Some(64 << 20),
            oom_kills: Some(1),
            cpu_usage_us: Some(1_250_000),
            cpu_percent: Some(1.5),
            cpu_limit_cores: Some(0.5),
            throttled_periods: Some(7),
            throttled_us: Some(2_000),
            frozen: false,
            pids: Some(9),
            pids_limit: Some(100),
            disks: Vec::new(),
        },
        findings: vec![Finding {
            code: "accept-queue-full".into(),
            severity: Severity::Warning,
            summary: "it is full".into(),
            service: None,
            evidence: Vec::new(),
            since: Timestamp::default(),
        }],
        processes: 4,
        ..Report::default()
    }
}

fn service(key: &str) -> Service {
    Service {
        key: key.into(),
        name: "Redis".into(),
        kind: "redis".into(),
        role: Some("cache".into()),
        version: Some("7.0".into()),
        ports: vec![6379],
        listeners: vec![listener(6379, 3, 511)],
        pids: vec![1],
        health: Health::Degraded,
        since: Timestamp::from_unix_ms(1_769_846_400_250),
        probes: Some(ProbeStats {
            run: 10,
            failed: 4,
            failed_in_a_row: 1,
            last_us: 150,
            total_us: 2_000,
        }),
        ..Service::default()
    }
}

fn listener(port: u16, waiting: u32, limit: u32) -> Listener {
    Listener {
        transport: Transport::Tcp,
        address: Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        port: Some(port),
        accept_queue: Some(waiting),
        backlog: Some(limit),
        ..Listener::default()
    }
}

/// Reads what is written of a registry in both formats; the samples must be the same.
fn scrape(registry: &Registry) -> HashMap<String, Family> {
    let write = |format| render(&supervisor(), registry, Cost::default(), format);
    let classic = read(&write(Format::Classic), false);
    let openmetrics = read(&write(Format::OpenMetrics), true);
    let own_cost =
        |name: &str| name.starts_with("process_") || name.starts_with("diogenes_children");
    let samples = |families: &HashMap<String, Family>| {
        let all = families.values().flat_map(|family| &family.samples);
        let all = all.filter(|sample| !own_cost(&sample.name));
        all.map(|sample| {
            (
                (sample.name.clone(), sample.labels.clone()),
                sample.value.to_string(),
            )
        })
        .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(samples(&classic), samples(&openmetrics));
    classic
}

/// The samples of a metric: the values of its labels in alphabetical order of their names, and its own value.
fn values(families: &HashMap<String, Family>, name: &str) -> Vec<(Vec<String>, f64)> {
    let samples = families
        .get(name)
        .map(|family| family.samples.as_slice())
        .unwrap_or_default();
    let values = |labels: &BTreeMap<String, String>| labels.values().cloned().collect();
    samples
        .iter()
        .map(|sample| (values(&sample.labels), sample.value))
        .collect()
}

#[test]
fn the_table_and_what_is_written_are_the_same_metrics() {
    let registry = full();
    let write = |format| render(&supervisor(), &registry, Cost::default(), format);
    for (format, is_openmetrics) in [(Format::Classic, false), (Format::OpenMetrics, true)] {
        let families = read(&write(format), is_openmetrics);
        let mut expected = BTreeSet::new();
        for metric in TABLE {
            let (family, kind) = match (is_openmetrics, metric.kind) {
                (false, Kind::Counter) => (metric.name, "counter"),
                (true, Kind::Counter) => (metric.name.strip_suffix("_total").unwrap(), "counter"),
                (true, Kind::Info) => (metric.name.strip_suffix("_info").unwrap(), "info"),
                _ => (metric.name, "gauge"),
            };
            expected.insert(family.to_owned());
            let written = families
                .get(family)
                .unwrap_or_else(|| panic!("{family} is not written"));
            assert_eq!(written.kind, kind, "{family}");
            assert_eq!(written.help, format!("{}.", metric.help), "{family}");
            if is_openmetrics {
                assert_eq!(written.unit, metric.unit, "{family}");
            }
            let labels: BTreeSet<_> = metric
                .labels
                .iter()
                .map(|&label| label.to_owned())
                .collect();
            for sample in &written.samples {
                assert_eq!(
                    sample.labels.keys().cloned().collect::<BTreeSet<_>>(),
                    labels,
                    "{family}"
                );
            }
        }
        let written: BTreeSet<_> = families.into_keys().collect();
        assert_eq!(written, expected);
    }
}

#[test]
fn names_keep_to_the_conventions() {
    let mut names = BTreeSet::new();
    for metric in TABLE {
        let name = metric.name;
        assert!(names.insert(name), "{name} twice");
        assert!(
            name.starts_with("diogenes_") || name.starts_with("process_"),
            "{name}"
        );
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{name}"
        );
        assert_eq!(name.ends_with("_info"), metric.kind == Kind::Info, "{name}");
        assert!(
            name.trim_end_matches("_total").ends_with(metric.unit),
            "{name}"
        );
        assert!(
            ["", "seconds", "bytes", "cores"].contains(&metric.unit),
            "{name}"
        );
        assert!(
            !metric.help.contains(['\\', '"', '\n']) && !metric.help.ends_with('.'),
            "{name}"
        );
    }
}

/// Words in a text that can only be names of metrics.
fn names_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("diogenes_") || word.starts_with("process_"))
        .collect()
}

#[test]
fn rules_and_dashboard_speak_of_metrics_there_are() {
    let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let known: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
    for file in [
        "prometheus/diogenes.rules.yml",
        "prometheus/diogenes.rules.test.yml",
        "grafana/diogenes.json",
    ] {
        let text = std::fs::read_to_string(deploy.join(file)).unwrap();
        let unknown: Vec<_> = names_in(&text).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(names_in(&text).len() > 10, "{file}");
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_comes() {
    let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
    let read = |file: &str| std::fs::read_to_string(deploy.join(file)).unwrap();
    let (rules, tests) = (read("diogenes.rules.yml"), read("diogenes.rules.test.yml"));
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: Vec<_> = alerts.collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        assert!(
            tests.contains(&format!("alertname: {alert}\n        exp_alerts:")),
            "{alert}"
        );
    }
}

#[test]
fn the_dashboard_works_with_any_prometheus() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/grafana/diogenes.json"
    );
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(
        variables
            .iter()
            .any(|variable| variable["name"] == "datasource" && variable["type"] == "datasource")
    );
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
            assert!(
                !names_in(target["expr"].as_str().unwrap()).is_empty()
                    || panel["title"] == "Supervisor",
                "{target}"
            );
        }
    }
}

#[test]
fn figures_are_in_base_units() {
    let families = scrape(&full());
    for (name, value) in [
        ("diogenes_container_cpu_seconds_total", 1.25),
        ("diogenes_container_cpu_limit_cores", 0.5),
        ("diogenes_container_cpu_throttled_seconds_total", 0.002),
        ("diogenes_container_memory_limit_bytes", 67_108_864.0),
        ("diogenes_container_start_time_seconds", 1_769_846_400.0),
        ("diogenes_container_restarts_total", 2.0),
        (
            "diogenes_service_health_since_timestamp_seconds",
            1_769_846_400.25,
        ),
        ("diogenes_service_probe_failures_total", 4.0),
        ("diogenes_service_probe_last_duration_seconds", 0.000_15),
        ("diogenes_listener_accept_queue", 3.0),
        ("diogenes_listener_accept_queue_limit", 511.0),
        ("diogenes_engine_reachable", 1.0),
        // The container, the Engine and the companion appeared, it became degraded, and something was found.
        ("diogenes_events_total", 5.0),
        ("process_start_time_seconds", 1_769_846_400.123),
    ] {
        let [(_, seen)] = &values(&families, name)[..] else {
            panic!("{name}: {:?}", families.get(name));
        };
        assert!((seen - value).abs() < 1e-9, "{name} {seen}");
    }
}

#[test]
fn a_state_set_has_every_state_and_one_that_holds() {
    let families = scrape(&full());
    let sets = TABLE.iter().filter(|metric| metric.kind == Kind::StateSet);
    for (set, states, holds) in sets.map(|set| match set.name {
        "diogenes_container_state" => (set, 8, "running"),
        "diogenes_container_companion" => (set, 3, "present"),
        "diogenes_container_docker_health" => (set, 3, "unhealthy"),
        _ => (set, 5, "degraded"),
    }) {
        let samples = &families[set.name].samples;
        assert_eq!(samples.len(), states, "{}", set.name);
        let state = *set.labels.last().unwrap();
        let holding: Vec<_> = samples
            .iter()
            .filter(|sample| sample.value != 0.0)
            .collect();
        assert_eq!(holding.len(), 1, "{}", set.name);
        assert_eq!(
            (holding[0].value, holding[0].labels[state].as_str()),
            (1.0, holds),
            "{}",
            set.name
        );
    }
}

#[test]
fn where_nothing_is_known_there_is_no_series() {
    let registry = Registry::default();
    registry.set_facts(ContainerFacts {
        id: "1".into(),
        name: "shop".into(),
        ..ContainerFacts::default()
    });
    let families = scrape(&registry);
    let health = values(&families, "diogenes_container_health");
    assert!(
        health.contains(&(vec!["shop".into(), "unknown".into()], 1.0)),
        "{health:?}"
    );
    for unknown in [
        "diogenes_container_cpu_seconds_total",
        "diogenes_container_memory_bytes",
        "diogenes_container_memory_limit_bytes",
        "diogenes_container_oom_kills_total",
        "diogenes_container_start_time_seconds",
        "diogenes_container_findings",
        "diogenes_container_docker_health",
        "diogenes_container_listeners",
        "diogenes_service_health",
        "diogenes_engine_info",
    ] {
        assert!(!families.contains_key(unknown), "{unknown}");
    }
}

#[test]
fn of_a_silent_companion_only_its_services_are_left_and_their_health_is_unknown() {
    let registry = full();
    registry.set_presence("id-shop", Presence::Silent(Via::Attached));
    let families = scrape(&registry);
    let health = values(&families, "diogenes_service_health");
    let unknown = (
        vec!["shop".into(), "unknown".into(), "redis:6379".into()],
        1.0,
    );
    assert!(health.contains(&unknown), "{health:?}");
    for stale in [
        "diogenes_container_cpu_seconds_total",
        "diogenes_container_findings",
        "diogenes_service_probes_total",
        "diogenes_listener_accept_queue",
    ] {
        assert!(!families.contains_key(stale), "{stale}");
    }
}

#[test]
fn a_container_cannot_make_series_without_bound() {
    let registry = Registry::default();
    let many = |number: usize| service(&format!("tcp:{number}"));
    let mut services: Vec<_> = (0..200).map(many).collect();
    services[0].listeners = (1..=1000).map(|port| listener(port, 0, 128)).collect();
    with_report(&registry, "mad", report(services));
    let families = scrape(&registry);
    let series = |name: &str| values(&families, name).len();
    assert_eq!(series("diogenes_service_health"), 5 * MAX_SERVICES);
    assert_eq!(series("diogenes_listener_accept_queue"), MAX_LISTENERS);
    assert_eq!(
        values(&families, "diogenes_container_listeners")[0].1,
        1199.0
    );
    let omitted = values(&families, "diogenes_container_omitted");
    let of = |what: &str| {
        omitted
            .iter()
            .find(|(labels, _)| labels[1] == what)
            .map(|found| found.1)
    };
    assert_eq!(of("services"), Some(136.0));
    // One for each of the other services that have series, and the thousand of the first.
    assert_eq!(of("listeners"), Some(1000.0 + 63.0 - 64.0));
}

#[test]
fn sockets_that_share_an_address_are_told_of_by_the_fullest() {
    let registry = Registry::default();
    let mut web = service("nginx:80");
    web.listeners = vec![
        listener(80, 1, 128),
        listener(80, 100, 128),
        listener(80, 5, 128),
    ];
    with_report(&registry, "web", report(vec![web]));
    let families = scrape(&registry);
    let [(labels, waiting)] = &values(&families, "diogenes_listener_accept_queue")[..] else {
        panic!("one series");
    };
    assert_eq!((labels[0].as_str(), *waiting), ("0.0.0.0:80", 100.0));
}

#[test]
fn two_containers_of_one_name_do_not_spoil_the_scrape() {
    let registry = full();
    registry.set_facts(ContainerFacts {
        id: "another".into(),
        name: "shop".into(),
        state: ContainerState::Removing,
        ..ContainerFacts::default()
    });
    let families = scrape(&registry);
    let info = values(&families, "diogenes_container_info");
    assert_eq!(
        info,
        [(vec!["shop".into(), "id-shop".into(), "shop:1".into()], 1.0)],
        "the one that lives"
    );
    assert_eq!(values(&families, "diogenes_containers"), [(vec![], 2.0)]);
    assert_eq!(
        values(&families, "diogenes_containers_omitted"),
        [(vec![], 1.0)]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_texts_come_out_as_harmless_labels(
        texts in prop::collection::vec("[\\PC\\\\\"\n\r\t\u{1b}\u{202e}é{},=# ]{0,40}", 1..6),
        repeated in 0_usize..200,
        path in ".{0,40}",
    ) {
        let hostile = |text: &String| {
            let long = text.repeat(repeated + 1);
            let mut service = service("");
            // What a word can be after it was decoded.
            service.key = long.chars().filter(|c| !c.is_control()).collect();
            service.name = Untrusted::from(long.clone());
            service.version = Some(Untrusted::from(long.clone()));
            service.listeners[0] = Listener {
                transport: Transport::Unix,
                path: Some(Untrusted::from(format!("{path}{long}"))),
                accept_queue: Some(1),
                backlog: Some(0),
                ..Listener::default()
            };
            service
        };
        let registry = Registry::default();
        with_report(&registry, "mad", report(texts.iter().chain(&texts).map(hostile).collect()));
        let families = scrape(&registry);
        for sample in families.values().flat_map(|family| &family.samples) {
            for value in sample.labels.values() {
                prop_assert!(value.len() <= MAX_LABEL_BYTES, "{value}");
                prop_assert!(!value.contains(char::is_control), "{value:?}");
            }
        }
        prop_assert!(!values(&families, "diogenes_service_info").is_empty());
    }

    #[test]
    fn every_label_is_read_as_it_was_meant(text in "\\PC{0,30}[\\\\\"\n]{0,3}\\PC{0,10}", value in any::<f64>()) {
        let mut samples = Samples::new();
        samples.add(Id::BuildInfo, &[&text], value);
        let text = samples.text(Format::Classic);
        if value.is_finite() {
            let sample = &read(&text, false)["diogenes_build_info"].samples[0];
            prop_assert_eq!(sample.value.to_bits(), value.to_bits());
        } else {
            prop_assert_eq!(text, "");
        }
    }
}

#[tokio::test]
async fn however_many_poll_the_text_is_written_once() {
    let (metrics, written) = (Metrics::default(), Arc::new(AtomicU32::new(0)));
    let poll = |format| {
        let written = written.clone();
        metrics.text(format, move |_| {
            std::thread::sleep(Duration::from_millis(50));
            written.fetch_add(1, Ordering::Relaxed).to_string()
        })
    };
    let all = futures_util::future::join_all((0..20).map(|_| poll(Format::Classic))).await;
    assert!(
        all.iter().all(|text| text.as_deref() == Some(b"0")),
        "{all:?}"
    );
    assert_eq!(
        poll(Format::OpenMetrics).await.as_deref(),
        Some(&b"1"[..]),
        "the other format is another text"
    );
    tokio::time::sleep(FRESH).await;
    assert_eq!(
        poll(Format::Classic).await.as_deref(),
        Some(&b"2"[..]),
        "it is old"
    );
}

#[tokio::test]
async fn one_that_goes_away_does_not_keep_the_others_from_the_text() {
    let metrics = Metrics::default();
    let slow = |_| {
        std::thread::sleep(Duration::from_millis(50));
        "x".to_owned()
    };
    let impatient = tokio::time::timeout(
        Duration::from_millis(1),
        metrics.text(Format::Classic, slow),
    );
    assert!(impatient.await.is_err());
    let other = metrics.text(Format::Classic, |_| "another".to_owned());
    assert_eq!(other.await.as_deref(), Some(&b"x"[..]));
}

#[tokio::test]
async fn a_text_that_cannot_be_written_is_an_error_and_no_empty_scrape() {
    let metrics = Metrics::default();
    assert!(
        metrics
            .text(Format::Classic, |_| panic!("on purpose"))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn what_writing_cost_is_told_the_next_time() {
    let metrics = Metrics::default();
    let told = |cost: Cost| {
        format!(
            "{} {}",
            cost.renders,
            cost.time >= Duration::from_millis(20)
        )
    };
    let slow = move |cost| {
        std::thread::sleep(Duration::from_millis(20));
        told(cost)
    };
    assert_eq!(
        metrics.text(Format::Classic, slow).await.as_deref(),
        Some(&b"0 false"[..])
    );
    assert_eq!(
        metrics.text(Format::OpenMetrics, told).await.as_deref(),
        Some(&b"1 true"[..])
    );
}
