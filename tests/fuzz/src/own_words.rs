//! What a container says of itself: the input's first part is its file, the others are its labels.

use std::time::Duration;

use diogenes_insight::{Assessor, OwnWords};
use diogenes_proto::{
    Listener, Message, ProbeOutcome, ProbeTarget, Process, Snapshot, Timestamp, Transport,
    Untrusted, Verdict, line,
};

use crate::parts;
use crate::text::assert_harmless;

/// Most refusals that are told one by one, and most entries that two texts and the labels may have.
const MAX_REFUSED: usize = 16;
const MAX_ENTRIES: usize = 3 * 64;

/// See the module.
pub fn check(input: &[u8]) {
    let parts = parts::of(input);
    let label = |part: &&[u8]| format!("io.diogenes.{}", String::from_utf8_lossy(part));
    let labels: Vec<Untrusted> = parts[1..].iter().map(label).map(Untrusted::new).collect();
    let words = OwnWords::read(Some(parts[0]), &labels);
    let (refused, beyond) = words.refused();
    assert!(refused.len() <= MAX_REFUSED && (beyond == 0 || refused.len() == MAX_REFUSED));
    for refused in refused {
        assert_harmless(&refused.to_string());
        let lines = parts[0].split(|byte| *byte == b'\n').count();
        let place = refused.place.filter(|_| refused.label.is_none());
        assert!(place.is_none_or(|place| (1..=lines).contains(&place.line)));
    }
    let (entries, limits, silenced) = words.counts();
    assert!(entries <= MAX_ENTRIES && limits <= 5 && silenced <= 16);
    concerns_the_container_alone(words);
}

/// Whatever is said: a probe goes to the container's own listener, asks for a path that is one, and comes no more often
/// than every second; and what is told fits a line.
fn concerns_the_container_alone(words: OwnWords) {
    let now = Timestamp::from_unix_ms(1_769_860_800_000);
    let snapshot = snapshot(now);
    let mut assessor = Assessor::new();
    assessor.hear(words);
    assessor.observe(now, &snapshot);
    for due in assessor.due(now) {
        assert_eq!(
            due.spec.target,
            ProbeTarget::Tcp(([127, 0, 0, 1], 8080).into())
        );
        let is_path = |path: &String| {
            path.starts_with('/') && path.len() <= 256 && path.bytes().all(|b| b.is_ascii_graphic())
        };
        assert!(due.spec.path.as_ref().is_none_or(is_path), "{:?}", due.spec);
        let outcome = ProbeOutcome::new(Verdict::Alive, "well", 1);
        assessor.probed(now, &due.key, outcome);
    }
    let next = assessor.next(now);
    assert!(next.is_none_or(|next| next.since(now) >= Duration::from_millis(900)));
    let report = Message::Report(Box::new(assessor.report(now, String::new())));
    let written = line::encode(None, &report).expect("a report fits a line");
    assert!(line::decode::<Message>(written.as_bytes()).is_ok());
}

/// A process on port 8080 that is known by nothing, and one beside it that listens nowhere.
fn snapshot(now: Timestamp) -> Snapshot {
    let process = |pid: u32, path: &str| Process {
        container_pid: pid,
        parent_pid: pid - 1,
        name: path.rsplit('/').next().unwrap_or_default().into(),
        command: vec![path.into()],
        executable: Some(path.into()),
        state: 'S',
        started_at: Timestamp::from_unix_ms(now.as_unix_ms() - 3_600_000),
        ..Process::default()
    };
    Snapshot {
        taken_at: now,
        processes: vec![process(1, "/srv/shop"), process(2, "/srv/worker")],
        listeners: vec![Listener {
            transport: Transport::Tcp,
            address: Some([0, 0, 0, 0].into()),
            port: Some(8080),
            accept_queue: Some(0),
            backlog: Some(128),
            owners: vec![1],
            ..Listener::default()
        }],
        ..Snapshot::default()
    }
}
