use diogenes_engine::{ContainerFacts, ContainerState};
use diogenes_proto::{Report, Service};

use super::*;
use crate::attendants::way_in::Via;
use crate::fakes::status_of;
use crate::registry::Registry;
use crate::registry::presence::{Absence, Presence};

fn status() -> StatusView {
    let registry = Registry::default();
    let add = |id: &str,
               name: &str,
               state: ContainerState,
               presence: Presence,
               health: Option<Health>| {
        registry.set_facts(ContainerFacts {
            id: id.into(),
            name: name.into(),
            state,
            ..ContainerFacts::default()
        });
        registry.set_presence(id, presence);
        if let Some(health) = health {
            let service = Service {
                key: "redis".into(),
                name: "Redis".into(),
                kind: "redis".into(),
                version: Some("7.0.15".into()),
                ports: vec![6379],
                health,
                ..Service::default()
            };
            registry.set_report(
                id,
                Report {
                    health,
                    services: vec![service],
                    ..Report::default()
                },
            );
        }
    };
    let present = || Presence::Present {
        build: "diogenes-agent 0.1.0".into(),
        via: Via::Attached,
    };
    let running = ContainerState::Running;
    add("1", "cache", running, present(), Some(Health::Healthy));
    add(
        "2",
        "orders-of-the-whole-shop",
        running,
        present(),
        Some(Health::Unhealthy),
    );
    add("3", "queue", running, present(), Some(Health::Degraded));
    add(
        "4",
        "slow",
        running,
        Presence::Silent(Via::Attached),
        Some(Health::Healthy),
    );
    add("5", "starting", running, present(), Some(Health::Starting));
    add(
        "6",
        "unattended",
        running,
        Presence::Absent(Absence::Detached),
        None,
    );
    add(
        "7",
        "was",
        ContainerState::Exited,
        Presence::Absent(Absence::NothingToBeWith),
        None,
    );
    status_of(&registry)
}

fn told(width: usize) -> String {
    let status = status();
    let polled: Vec<Polled> = (0..status.containers.len() as u64)
        .map(|number| Polled {
            took: (number < 6).then_some(Duration::from_micros(number * 700)),
            is_registered: number % 2 == 0,
        })
        .collect();
    let terminal = Terminal {
        width: Some(width),
        colour: false,
        is_terminal: true,
    };
    let own = Polled {
        took: Some(Duration::from_millis(1)),
        is_registered: true,
    };
    table(&status, own, &polled, terminal)
}

#[test]
fn at_80_columns() {
    let told = told(80);
    assert!(told.lines().all(|line| columns(line) == 80), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn at_200_columns() {
    let told = told(200);
    let widths: std::collections::BTreeSet<usize> = told.lines().map(columns).collect();
    assert_eq!(widths.len(), 1, "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn however_narrow_no_line_is_longer_than_another() {
    for width in 0..90 {
        let told = told(width);
        let widths: std::collections::BTreeSet<usize> = told.lines().map(columns).collect();
        assert_eq!(widths.len(), 1, "{width}: {told}");
    }
}
