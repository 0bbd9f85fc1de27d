//! Whatever a container holds, its snapshot travels in pages that fit, and its report in one line.

use std::collections::BTreeMap;

use diogenes_proto::line::{MAX_LINE_BYTES, encode};
use diogenes_proto::request::MAX_QUESTION_BYTES;
use diogenes_proto::{
    Answer, Finding, HostFacts, Listener, LogFile, Logs, Message, Process, PublishedPort, Report,
    Request, Service, Severity, Snapshot, SnapshotPage, Timestamp, Untrusted,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::arbitrary;

/// All pages from the first on, each checked to fit a line with the longest id there is.
fn pages(hash: &str, snapshot: &Snapshot) -> Vec<SnapshotPage> {
    let mut pages = Vec::new();
    let mut next = Some(0);
    while let Some(offset) = next {
        let page =
            SnapshotPage::cut(hash, snapshot, offset).expect("a page where one was announced");
        assert_eq!(page.offset, offset);
        assert!(
            page.next.is_none_or(|next| next > offset),
            "a page without items would never end"
        );
        encode(Some(u64::MAX), &Message::Snapshot(Box::new(page.clone())))
            .expect("a page fits a line");
        next = page.next;
        pages.push(page);
    }
    pages
}

fn joined(pages: Vec<SnapshotPage>) -> Snapshot {
    let mut whole = Snapshot::default();
    for page in pages {
        whole.taken_at = page.taken_at;
        whole.processes.extend(page.processes);
        whole.listeners.extend(page.listeners);
        whole.gaps.extend(page.gaps);
        whole.resources = page.resources.unwrap_or(whole.resources);
    }
    whole
}

/// Whether nothing in it is so long that it is shortened to travel.
fn is_sane(snapshot: &Snapshot) -> bool {
    let bytes = |json: serde_json::Result<String>| json.expect("JSON").len();
    bytes(serde_json::to_string(&snapshot.gaps)) < 32 * 1024
        && snapshot
            .processes
            .iter()
            .all(|process| bytes(serde_json::to_string(process)) < 96 * 1024)
}

/// A list of texts that may be far longer than a line.
fn many_texts() -> impl Strategy<Value = Vec<Untrusted>> {
    let long = (0_usize..200).prop_map(|count| vec![Untrusted::new("\u{1}".repeat(5000)); count]);
    let short = (0_usize..20_000).prop_map(|count| vec![Untrusted::from("gap"); count]);
    prop_oneof![vec(arbitrary::text(), 0..4), long, short]
}

fn many_numbers() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![2 => vec(any::<u32>(), 0..4), 1 => (0_usize..60_000).prop_map(|count| vec![u32::MAX; count])]
}

fn long_words() -> impl Strategy<Value = String> {
    prop_oneof![4 => arbitrary::word(), 1 => (0_usize..400_000).prop_map(|len| "\u{2}".repeat(len))]
}

fn hostile_process() -> impl Strategy<Value = Process> {
    (arbitrary::process(), many_texts(), vec(long_words(), 0..3)).prop_map(
        |(process, command, frameworks)| Process {
            command,
            frameworks,
            ..process
        },
    )
}

fn hostile_listener() -> impl Strategy<Value = Listener> {
    (arbitrary::listener(), many_numbers())
        .prop_map(|(listener, owners)| Listener { owners, ..listener })
}

fn hostile_snapshot() -> impl Strategy<Value = Snapshot> {
    let items = (vec(hostile_process(), 0..5), vec(hostile_listener(), 0..5));
    (arbitrary::snapshot(2), items, many_texts()).prop_map(
        |(snapshot, (processes, listeners), gaps)| Snapshot {
            processes,
            listeners,
            gaps,
            ..snapshot
        },
    )
}

fn hostile_service() -> impl Strategy<Value = Service> {
    let lists = (
        vec(hostile_listener(), 0..3),
        many_numbers(),
        many_texts(),
        vec(any::<u16>(), 0..4),
    );
    (arbitrary::service(), long_words(), lists).prop_map(
        |(service, key, (listeners, pids, evidence, ports))| Service {
            key,
            listeners,
            pids,
            evidence,
            ports,
            ..service
        },
    )
}

fn hostile_finding() -> impl Strategy<Value = Finding> {
    (arbitrary::finding(), long_words(), many_texts()).prop_map(|(finding, code, evidence)| {
        Finding {
            code,
            evidence,
            ..finding
        }
    })
}

fn hostile_report() -> impl Strategy<Value = Report> {
    let roles = (0_usize..3000, arbitrary::text()).prop_map(|(count, text)| {
        (0..count)
            .map(|number| (format!("role-{number}"), text.clone()))
            .collect::<BTreeMap<_, _>>()
    });
    let items = (vec(hostile_service(), 0..6), vec(hostile_finding(), 0..6));
    (arbitrary::report(), roles, items, long_words()).prop_map(
        |(report, roles, (services, findings), snapshot)| Report {
            roles,
            services,
            findings,
            snapshot,
            ..report
        },
    )
}

fn hostile_logs() -> impl Strategy<Value = Logs> {
    let path = prop_oneof![
        arbitrary::text(),
        Just(Untrusted::new("\u{1}".repeat(5000)))
    ];
    let file =
        (arbitrary::log_file(), path, many_texts()).prop_map(|(file, path, lines)| LogFile {
            path,
            lines,
            ..file
        });
    (vec(file, 0..8), any::<u32>()).prop_map(|(files, omitted)| Logs { files, omitted })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn hostile_logs_are_made_to_fit(logs in hostile_logs()) {
        let fits = serde_json::to_string(&logs).unwrap().len() < MAX_LINE_BYTES - 200;
        let fitted = logs.clone().fitted();
        prop_assert!(encode(Some(u64::MAX), &Message::Logs(fitted.clone())).is_ok());
        if fits {
            prop_assert_eq!(&fitted, &logs);
        }
        let dropped = u32::try_from(logs.files.len() - fitted.files.len()).unwrap();
        prop_assert_eq!(fitted.omitted, logs.omitted.saturating_add(dropped));
        for (kept, file) in fitted.files.iter().zip(&logs.files) {
            prop_assert_eq!((&kept.path, kept.position), (&file.path, file.position));
            prop_assert!(file.lines.ends_with(&kept.lines), "the last lines are kept");
            prop_assert_eq!(kept.omitted, file.omitted || kept.lines.len() < file.lines.len());
        }
        // Cutting again changes nothing.
        prop_assert_eq!(fitted.clone().fitted(), fitted);
    }

    #[test]
    fn all_pages_joined_are_the_snapshot(snapshot in arbitrary::snapshot(60), hash in arbitrary::word()) {
        prop_assume!(is_sane(&snapshot));
        let pages = pages(&hash, &snapshot);
        let total = snapshot.processes.len() + snapshot.listeners.len();
        for page in &pages {
            prop_assert_eq!((page.hash.as_str(), page.total as usize), (hash.as_str(), total));
        }
        prop_assert_eq!(joined(pages), snapshot);
    }

    #[test]
    fn a_page_may_begin_anywhere_within(snapshot in arbitrary::snapshot(20), at: Index) {
        let total = snapshot.processes.len() + snapshot.listeners.len();
        prop_assume!(total > 0);
        let first = at.index(total);
        let page = SnapshotPage::cut("h", &snapshot, u32::try_from(first).unwrap()).unwrap();
        let split = snapshot.processes.len();
        if first < split {
            prop_assert_eq!(page.processes.first(), snapshot.processes.get(first));
        } else {
            prop_assert_eq!(page.listeners.first(), snapshot.listeners.get(first - split));
        }
        prop_assert_eq!(page.resources.is_some(), first == 0);
    }

    #[test]
    fn beyond_the_end_there_is_no_page(snapshot in arbitrary::snapshot(5), beyond in 0_u32..5) {
        let total = u32::try_from(snapshot.processes.len() + snapshot.listeners.len()).unwrap();
        let page = SnapshotPage::cut("h", &snapshot, total.max(1) + beyond);
        prop_assert_eq!(page, None);
        prop_assert_eq!(SnapshotPage::cut("h", &snapshot, u32::MAX), None);
    }

    #[test]
    fn pages_of_a_hostile_snapshot_fit_and_lose_no_item(snapshot in hostile_snapshot(), hash in long_words()) {
        let joined = joined(pages(&hash, &snapshot));
        let pids = |snapshot: &Snapshot| snapshot.processes.iter().map(|p| p.container_pid).collect::<Vec<_>>();
        let inodes = |snapshot: &Snapshot| snapshot.listeners.iter().map(|l| l.inode).collect::<Vec<_>>();
        prop_assert_eq!(pids(&joined), pids(&snapshot));
        prop_assert_eq!(inodes(&joined), inodes(&snapshot));
        prop_assert_eq!(joined.resources, snapshot.resources);
    }

    #[test]
    fn a_hostile_report_is_made_to_fit(report in hostile_report()) {
        let fits = serde_json::to_string(&report).unwrap().len() < MAX_LINE_BYTES - 100;
        let fitted = report.clone().fitted();
        prop_assert!(encode(Some(u64::MAX), &Message::Report(Box::new(fitted.clone()))).is_ok());
        if fits {
            prop_assert_eq!(&fitted, &report);
        }
        let gone = report.services.len() - fitted.services.len() + report.findings.len() - fitted.findings.len()
            + report.roles.len() - fitted.roles.len();
        prop_assert!(fitted.omitted >= report.omitted.saturating_add(u32::try_from(gone).unwrap()));
        // What is kept are the first ones, in their order.
        for (kept, service) in fitted.services.iter().zip(&report.services) {
            prop_assert_eq!(&kept.key, &service.key);
            prop_assert!(service.evidence.starts_with(&kept.evidence));
        }
        for (kept, finding) in fitted.findings.iter().zip(&report.findings) {
            prop_assert_eq!(&kept.code, &finding.code);
        }
        // Cutting again changes nothing.
        prop_assert_eq!(fitted.clone().fitted(), fitted);
    }
}

#[test]
fn an_endless_answer_is_made_to_fit() {
    let evidence: Vec<_> = (0..2000)
        .map(|number| Untrusted::new(format!("{number} {}", "\u{1}".repeat(300))))
        .collect();
    let data: BTreeMap<_, _> = evidence
        .iter()
        .enumerate()
        .map(|(at, text)| (at.to_string(), text.clone()))
        .collect();
    let text = Untrusted::new("\u{1}".repeat(5000));
    let answer = Answer {
        intent: "why".into(),
        text,
        evidence: evidence.clone(),
        data,
        ..Answer::default()
    };
    let fitted = answer.clone().fitted();
    assert!(encode(Some(u64::MAX), &Message::Answer(Box::new(fitted.clone()))).is_ok());
    let (last, kept) = fitted.evidence.split_last().unwrap();
    assert_eq!(kept, &evidence[..kept.len()]);
    assert_eq!(last.as_raw(), format!("… and {} more", 2000 - kept.len()));
    assert!(kept.len() > 40 && fitted.data.len() > 40);

    let small = Answer {
        evidence: evidence[..3].to_vec(),
        ..Answer::default()
    };
    assert_eq!(small.clone().fitted(), small);
}

#[test]
fn endless_facts_are_made_to_fit_beside_a_question() {
    let log_tail: Vec<_> = (0..2000)
        .map(|number| Untrusted::new(format!("{number} {}", "\u{1}".repeat(300))))
        .collect();
    let published = (0..u16::MAX)
        .map(|host_port| PublishedPort {
            host_port,
            ..PublishedPort::default()
        })
        .collect();
    let facts = HostFacts {
        log_tail: log_tail.clone(),
        published,
        ..HostFacts::default()
    }
    .fitted();
    let question = "\u{1}".repeat(MAX_QUESTION_BYTES);
    let request = Request::Ask {
        question,
        facts: Some(Box::new(facts.clone())),
    };
    assert!(encode(Some(u64::MAX), &request).is_ok());
    assert!(facts.log_tail.len() > 40 && facts.published.len() > 500);
    assert!(
        log_tail.ends_with(&facts.log_tail),
        "the last lines are kept"
    );
}

#[test]
fn a_snapshot_of_nothing_has_one_page() {
    let page = SnapshotPage::cut("h", &Snapshot::default(), 0).unwrap();
    assert_eq!((page.total, page.next), (0, None));
    assert!(page.resources.is_some());
    assert_eq!(SnapshotPage::cut("h", &Snapshot::default(), 1), None);
}

#[test]
fn what_was_shortened_says_so() {
    let command = vec![Untrusted::new("x".repeat(4096)); 100];
    let gaps = vec![Untrusted::new("g".repeat(4000)); 20];
    let processes = vec![Process {
        command,
        state: 'S',
        ..Process::default()
    }];
    let page = SnapshotPage::cut(
        "h",
        &Snapshot {
            processes,
            gaps,
            ..Snapshot::default()
        },
        0,
    )
    .unwrap();
    assert_eq!(page.processes[0].command.last().unwrap().as_raw(), "…");
    assert!(page.processes[0].command.len() > 2);
    assert_eq!(
        page.gaps.last().unwrap().as_raw(),
        format!("… and {} more", 20 - (page.gaps.len() - 1))
    );
}

/// A thousand honest processes must not need many pages.
#[test]
fn pages_are_filled() {
    let command = ["python3", "-m", "celery", "worker"]
        .map(Untrusted::from)
        .to_vec();
    let process = Process {
        state: 'S',
        name: "python3".into(),
        command,
        ..Process::default()
    };
    let snapshot = Snapshot {
        processes: vec![process; 5000],
        ..Snapshot::default()
    };
    let pages = pages("h", &snapshot);
    let (last, full) = pages.split_last().unwrap();
    assert!(last.next.is_none() && !full.is_empty());
    for page in full {
        let line = encode(None, &Message::Snapshot(Box::new(page.clone()))).unwrap();
        assert!(line.len() > MAX_LINE_BYTES - 1024, "{}", line.len());
    }
}

/// The margin for `id` and `type` must hold to the byte: with items of many lengths, the room left on a page
/// takes nearly every value.
#[test]
fn pages_fit_to_the_byte() {
    for length in 0..150 {
        let name = Untrusted::new("n".repeat(length));
        let snapshot = Snapshot {
            processes: vec![
                Process {
                    state: 'S',
                    name,
                    ..Process::default()
                };
                1800
            ],
            ..Snapshot::default()
        };
        let page = SnapshotPage::cut("h", &snapshot, 0).unwrap();
        assert!(page.next.is_some());
        let line = encode(Some(u64::MAX), &Message::Snapshot(Box::new(page)));
        assert!(line.is_ok(), "length {length}: {line:?}");
    }
}

#[test]
fn reports_fit_to_the_byte() {
    let finding = |length: usize| Finding {
        code: "c".into(),
        severity: Severity::Info,
        summary: Untrusted::new("s".repeat(length)),
        service: None,
        evidence: Vec::new(),
        since: Timestamp::default(),
    };
    let full = Report {
        findings: vec![finding(4000); 64],
        ..Report::default()
    };
    let size = serde_json::to_string(&full).unwrap().len();
    let empty = serde_json::to_string(&finding(0)).unwrap().len() + 1;
    for bytes in MAX_LINE_BYTES - 100..MAX_LINE_BYTES + 10 {
        let mut report = full.clone();
        report.findings.push(finding(bytes - size - empty));
        assert_eq!(serde_json::to_string(&report).unwrap().len(), bytes);
        let fitted = report.clone().fitted();
        assert!(
            encode(Some(u64::MAX), &Message::Report(Box::new(fitted.clone()))).is_ok(),
            "{bytes}"
        );
        assert_eq!(fitted == report, fitted.omitted == 0, "{bytes}");
        assert!(
            fitted.findings.len() >= 63,
            "{bytes}: no more goes than must"
        );
    }
}
