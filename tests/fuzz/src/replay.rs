//! The whole way of a snapshot: pages, services, health, report, answer.

use std::sync::LazyLock;

use diogenes_insight::{Assessor, answer};
use diogenes_proto::line::{decode, encode};
use diogenes_proto::{Message, ProbeOutcome, Report, Snapshot, SnapshotPage, Timestamp, Verdict};

/// Goes the whole way with a snapshot. Everything fits its line, and a copy of the snapshot that was written to
/// a file gives the same report and the same answer, byte for byte.
pub(crate) fn whole_way(snapshot: &Snapshot) {
    let json = serde_json::to_string(snapshot).expect("a snapshot can be written");
    let copy: Snapshot = serde_json::from_str(&json).expect("a snapshot can be read");
    let hash = diogenes_discovery::hash(snapshot);
    assert_eq!(hash, diogenes_discovery::hash(&copy));
    assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    pages(&hash, snapshot);
    let told = tell(snapshot, &hash);
    assert_eq!(told, tell(&copy, &hash), "a copy tells something else");
}

/// The pages follow each other, each fits a line, and none is missing an item.
fn pages(hash: &str, snapshot: &Snapshot) {
    let total = snapshot.processes.len() + snapshot.listeners.len();
    let mut items = 0;
    let mut next = Some(0);
    while let Some(offset) = next {
        let page = SnapshotPage::cut(hash, snapshot, offset).expect("the page that was announced");
        let here = page.processes.len() + page.listeners.len();
        assert_eq!((page.offset as usize, page.total as usize), (items, total));
        assert!(here > 0 || total == 0, "a page without items never ends");
        items += here;
        next = page.next;
        let message = Message::Snapshot(Box::new(page));
        let line = encode(Some(u64::MAX), &message).expect("a page fits a line");
        decode::<Message>(line.as_bytes()).expect("a page can be read");
    }
    assert_eq!(items, total);
    if let Some(beyond) = u32::try_from(total).ok().filter(|total| *total > 0) {
        assert_eq!(SnapshotPage::cut(hash, snapshot, beyond), None);
    }
}

/// The report and the answer to "status", as they go over the wire.
fn tell(snapshot: &Snapshot, hash: &str) -> (String, String) {
    let now = snapshot.taken_at;
    let mut assessor = Assessor::new();
    assessor.observe(now, snapshot);
    for (index, due) in assessor.due(now).into_iter().enumerate() {
        assessor.probed(now, &due.key, outcome(index));
    }
    let report = assessor.report(now, hash.to_owned());
    let answer = answer("status", &report, None, now);
    (
        line(&Message::Report(Box::new(report.clone()))),
        line(&Message::Answer(Box::new(answer))),
    )
}

fn outcome(index: usize) -> ProbeOutcome {
    const VERDICTS: [Verdict; 3] = [Verdict::Alive, Verdict::Silent, Verdict::Failing];
    ProbeOutcome::new(VERDICTS[index % VERDICTS.len()], "said so", 100)
}

fn line(message: &Message) -> String {
    let line = encode(Some(u64::MAX), message).expect("it fits a line");
    let read = decode::<Message>(line.as_bytes()).expect("it can be read");
    assert_eq!(&read.body, message);
    line
}

/// The richest report among the golden lines of the protocol.
pub(crate) static GOLDEN_REPORT: LazyLock<Report> = LazyLock::new(|| {
    let lines = include_str!("../../../proto/tests/golden/v1-messages.jsonl").lines();
    let reports = lines.filter_map(|line| match decode::<Message>(line.as_bytes()).ok()?.body {
        Message::Report(report) => Some(*report),
        _ => None,
    });
    reports
        .max_by_key(|report| report.services.len())
        .expect("a golden report")
});

/// Any moment will do, as long as it is the same for all.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_769_846_400_123)
}
