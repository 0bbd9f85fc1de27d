//! A snapshot of a real machine, kept in a file: five services from Debian 12's packages, as their processes
//! and sockets were.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic in its own helpers too"
)]

use diogenes_insight::{Assessor, answer, recognise};
use diogenes_proto::{ProbeOutcome, Snapshot, Verdict};

fn debian() -> Snapshot {
    serde_json::from_str(include_str!("fixtures/debian-12.json")).unwrap()
}

#[test]
fn real_services_are_recognised() {
    let told: Vec<_> = recognise(&debian())
        .into_iter()
        .map(|s| (s.key, s.name.to_string(), s.role.unwrap(), s.pids.len()))
        .collect();
    let expected = [
        ("fastapi:18000", "FastAPI", "web", 4),
        ("flask:18001", "Flask", "web", 3),
        ("nginx:18080", "nginx", "proxy", 3),
        ("postgresql:54329", "PostgreSQL", "db", 6),
        ("redis:63790", "Redis", "cache", 1),
    ]
    .map(|(key, name, role, pids)| (key.to_owned(), name.to_owned(), role, pids));
    assert_eq!(told, expected);
}

#[test]
fn a_replay_gives_the_same_answer_byte_for_byte() {
    let replay = || {
        let snapshot = debian();
        let now = snapshot.taken_at;
        let mut assessor = Assessor::new();
        assessor.observe(now, &snapshot);
        for due in assessor.due(now) {
            let outcome = ProbeOutcome::new(Verdict::Alive, "answers in 0.1 ms", 100);
            assessor.probed(now, &due.key, outcome);
        }
        let report = assessor.report(now, "hash".to_owned());
        let answer = answer("status", &report, None, now);
        (
            serde_json::to_string(&report).unwrap(),
            answer.text.to_string(),
        )
    };
    assert_eq!(replay(), replay());
    assert_eq!(
        replay().1,
        "Running 5 services: nginx (healthy), FastAPI (healthy), Flask (healthy), PostgreSQL (healthy), \
         Redis (healthy). Memory at 45%."
    );
}
