use diogenes_engine::{ContainerFacts, ContainerState};
use diogenes_proto::{Report, Service, Timestamp};

use super::*;
use crate::attendants::way_in::Via;
use crate::registry::Registry;
use crate::registry::presence::{Absence, Presence};

fn service(key: &str, health: Health) -> Service {
    Service {
        key: key.into(),
        name: key.into(),
        kind: key.into(),
        health,
        evidence: vec!["seen".into()],
        ..Service::default()
    }
}

fn report(health: Health, services: Vec<Service>) -> Report {
    Report {
        health,
        reason: "because".into(),
        services,
        ..Report::default()
    }
}

fn finding(summary: &str) -> Finding {
    Finding {
        code: "accept-queue-full".into(),
        severity: Severity::Warning,
        summary: summary.into(),
        service: Some("redis".into()),
        evidence: Vec::new(),
        since: Timestamp::default(),
    }
}

/// A registry with one running container and its companion; its journal is empty for whoever takes from now on.
fn attended() -> Registry {
    let registry = Registry::default();
    registry.set_facts(ContainerFacts {
        id: "c1".into(),
        name: "shop".into(),
        state: ContainerState::Running,
        ..ContainerFacts::default()
    });
    registry.set_presence(
        "c1",
        Presence::Present {
            build: "diogenes-agent".into(),
            via: Via::Attached,
        },
    );
    registry.set_report(
        "c1",
        report(Health::Healthy, vec![service("redis", Health::Healthy)]),
    );
    registry
}

/// What happens in the registry, by the words that JSON has for it, with what matters of each.
fn told(registry: &Registry, happening: impl FnOnce(&Registry)) -> Vec<String> {
    let mut live = registry.journal().follow();
    happening(registry);
    let mut told = Vec::new();
    while let Ok(event) = live.try_recv() {
        let json = serde_json::to_value(&*event).unwrap();
        let words: Vec<String> = ["type", "service", "from", "to", "code"]
            .iter()
            .filter_map(|key| json.get(key)?.as_str().map(str::to_owned))
            .collect();
        told.push(words.join(" "));
    }
    told
}

#[test]
fn a_report_that_says_the_same_is_no_event() {
    let registry = attended();
    let same = |registry: &Registry| {
        registry.set_report(
            "c1",
            report(Health::Healthy, vec![service("redis", Health::Healthy)]),
        );
    };
    assert_eq!(told(&registry, same), Vec::<String>::new());
}

#[test]
fn a_service_that_fails_comes_before_the_container_that_fails_by_it() {
    let registry = attended();
    let events = told(&registry, |registry| {
        let services = vec![
            service("redis", Health::Unhealthy),
            service("nginx", Health::Healthy),
        ];
        registry.set_report("c1", report(Health::Unhealthy, services));
    });
    assert_eq!(
        events,
        [
            "service_health redis healthy unhealthy",
            "service_health nginx healthy",
            "health healthy unhealthy"
        ]
    );
    let events = told(&registry, |registry| {
        registry.set_report(
            "c1",
            report(Health::Healthy, vec![service("nginx", Health::Healthy)]),
        );
    });
    assert_eq!(
        events,
        ["service_health redis unhealthy", "health unhealthy healthy"]
    );
}

#[test]
fn what_was_never_judged_comes_and_goes_without_a_word() {
    let registry = attended();
    let events = told(&registry, |registry| {
        let redis = service("redis", Health::Healthy);
        let shell = service("sh", Health::Unknown);
        registry.set_report("c1", report(Health::Healthy, vec![redis.clone(), shell]));
        registry.set_report("c1", report(Health::Healthy, vec![redis]));
    });
    assert_eq!(events, Vec::<String>::new());
}

#[test]
fn a_companion_that_falls_silent_makes_the_health_unknown_and_no_service_change() {
    let registry = attended();
    let events = told(&registry, |registry| {
        registry.set_presence("c1", Presence::Silent(Via::Attached));
        registry.set_presence("c1", Presence::Absent(Absence::Ended));
        registry.set_presence("c1", Presence::Absent(Absence::Detached));
    });
    assert_eq!(
        events,
        [
            "companion present silent",
            "health healthy unknown",
            "companion silent absent"
        ]
    );
}

#[test]
fn a_finding_is_told_when_it_begins_and_when_it_ends() {
    let registry = attended();
    let events = told(&registry, |registry| {
        registry.set_findings("c1", vec![finding("129 of 128")]);
        registry.set_findings("c1", vec![finding("130 of 128")]);
        registry.set_findings("c1", Vec::new());
    });
    assert_eq!(
        events,
        [
            "finding_opened redis accept-queue-full",
            "finding_closed redis accept-queue-full"
        ]
    );
}

#[test]
fn a_container_is_followed_from_its_first_sight_to_its_end() {
    let registry = Registry::default();
    let mut facts = ContainerFacts {
        id: "c1".into(),
        name: "shop".into(),
        state: ContainerState::Running,
        ..ContainerFacts::default()
    };
    let events = told(&registry, |registry| {
        registry.set_facts(facts.clone());
        registry.set_facts(facts.clone());
        facts.name = "store".into();
        registry.set_facts(facts.clone());
        facts.state = ContainerState::Exited;
        facts.exit_code = Some(137);
        registry.set_facts(facts.clone());
        registry.remove("c1");
        registry.remove("c1");
    });
    assert_eq!(
        events,
        [
            "container_appeared",
            "container_renamed shop",
            "container_state running exited",
            "container_removed"
        ]
    );
}

#[test]
fn an_event_reads_back_as_it_was_written() {
    let registry = attended();
    let mut live = registry.journal().follow();
    registry.set_presence("c1", Presence::Silent(Via::Attached));
    while let Ok(event) = live.try_recv() {
        let json = serde_json::to_string(&*event).unwrap();
        let read: crate::registry::journal::Event = serde_json::from_str(&json).unwrap();
        assert_eq!(read, *event, "{json}");
    }
}
