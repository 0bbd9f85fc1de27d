use std::time::Duration;

use diogenes_proto::Health;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::fakes::{FakeEngine, Peer, exited, report, running};
use crate::registry::Registry;
use crate::relay::Relay;
use crate::session::Session;

/// 2026-11-21 14:12:00 UTC.
const NOW_MS: u64 = 1_795_270_320_000;

fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW_MS)
}

fn minutes_ago(minutes: u64) -> Timestamp {
    Timestamp::from_unix_ms(NOW_MS - minutes * 60_000)
}

fn met() -> Change {
    Change::ContainerAppeared {
        image: "shop:1".into(),
        state: "running".into(),
    }
}

fn redis(to: Health, reason: &str) -> Change {
    Change::ServiceHealth {
        service: "redis:6379".into(),
        name: "Redis".into(),
        from: Some(Health::Unknown),
        to: Some(to),
        reason: reason.into(),
    }
}

fn started() -> Change {
    Change::ContainerState {
        from: "created".into(),
        to: "running".into(),
        exit_code: None,
        oom_killed: false,
    }
}

fn history(changes: Vec<(u64, Change)>) -> History {
    let mut history = History::default();
    for (id, (minutes, change)) in (0..).zip(changes) {
        history.note(Arc::new(Event {
            id,
            at: minutes_ago(minutes),
            container: None,
            omitted: 0,
            change,
        }));
    }
    history
}

/// The entry of a container in which Redis runs.
fn entry(registry: &Registry) -> Arc<Entry> {
    registry.set_facts(running("c1", "shop", 7));
    let mut report = report(Health::Unhealthy);
    report.since = minutes_ago(5);
    report.services = vec![Service {
        key: "redis:6379".into(),
        name: "Redis".into(),
        kind: "redis".into(),
        ports: vec![6379],
        since: minutes_ago(6),
        ..Service::default()
    }];
    registry.set_report("c1", report);
    registry.get("c1").unwrap()
}

fn past() -> History {
    history(vec![
        (240, met()),
        (200, started()),
        (90, redis(Health::Healthy, "PONG in 0.1 ms")),
        (
            5,
            redis(Health::Unhealthy, "its process (pid 17) ended at 14:06:59"),
        ),
        (
            4,
            Change::Health {
                from: Health::Healthy,
                to: Health::Unhealthy,
                reason: "Redis does not work".into(),
            },
        ),
    ])
}

fn told(question: &str, history: &History) -> (String, Vec<String>) {
    let answer = answer(question, &entry(&Registry::default()), Some(history), now());
    assert_eq!((answer.intent.as_str(), answer.as_of), ("changes", now()));
    let evidence = answer.evidence.iter().map(ToString::to_string).collect();
    (answer.text.to_string(), evidence)
}

#[test]
fn what_changed_is_told_with_the_newest_last() {
    let (text, evidence) = told("what changed?", &past());
    assert_eq!(
        text,
        "4 changes in the last 4 h, the newest 4 min ago: the container as a whole: Redis does not work (unhealthy)."
    );
    assert_eq!(
        evidence,
        [
            "10:52:00  running    the container started",
            "12:42:00  healthy    Redis: PONG in 0.1 ms",
            "14:07:00  unhealthy  Redis: its process (pid 17) ended at 14:06:59",
            "14:08:00  unhealthy  the container as a whole: Redis does not work",
        ]
    );
}

#[test]
fn a_question_may_name_its_time_and_its_service() {
    for (question, text) in [
        (
            "what happened in the last hour?",
            "2 changes in the last 60 min, the newest 4 min ago: ",
        ),
        (
            "changes of the last 100 minutes",
            "3 changes in the last 100 min, the newest 4 min ago: ",
        ),
        (
            "history since 2026-11-21T14:08:00Z",
            "1 change in the last 4 min, the newest 4 min ago: ",
        ),
        ("what changed today", "4 changes in the last 4 h, "),
        (
            "what changed in the last week",
            "4 changes in the last 4 h, ",
        ),
        (
            "what happened to redis?",
            "2 changes of Redis in the last 4 h, the newest 5 min ago: Redis: its process (pid 17) ended",
        ),
        (
            "what happened on port 6379 in the past 10m",
            "1 change of Redis in the last 10 min, ",
        ),
        (
            "what changed in the last minute?",
            "Nothing changed in the last 60 s; the last change was at 14:08:00 (4 min ago): the container as a whole",
        ),
    ] {
        let told = told(question, &past()).0;
        assert!(told.starts_with(text), "{question}: {told}");
    }
}

#[test]
fn where_nothing_changed_that_is_said_with_its_beginning() {
    let calm = history(vec![(12, met())]);
    let (text, evidence) = told("what changed in the last hour", &calm);
    assert_eq!(
        text,
        "Nothing changed since 14:00:00 (12 min ago), when the supervisor first met it."
    );
    assert!(evidence.is_empty());
    assert_eq!(
        told("what changed in the last 5 minutes", &calm).0,
        "Nothing changed in the last 5 min."
    );
    let forgotten = history(vec![(12, started())]);
    assert_eq!(
        told("history of redis", &forgotten).0,
        "Nothing of Redis changed since 14:00:00 (12 min ago); what was before that is forgotten."
    );
    let deleted = answer("history", &entry(&Registry::default()), None, now());
    assert!(deleted.text.as_raw().contains("was deleted meanwhile"));
}

#[test]
fn of_many_changes_the_newest_are_told() {
    let mut many = history((0..15).rev().map(|minutes| (minutes, started())).collect());
    many.note(Arc::new(Event {
        id: 99,
        at: now(),
        container: None,
        omitted: 7,
        change: redis(Health::Healthy, "\u{1b}[2J\nforged"),
    }));
    let (text, evidence) = told("changes", &many);
    assert_eq!(
        text,
        "23 changes in the last 14 min, the newest 0 s ago: Redis: \\u{1b}[2J\\nforged (healthy)."
    );
    assert_eq!(evidence.len(), 1 + MAX_TOLD + 1);
    assert_eq!(evidence[0], "6 more before these: diogenes history shop");
    assert_eq!(
        evidence[MAX_TOLD],
        "14:12:00  …          7 changes before this one are left out: they came too fast"
    );
}

#[test]
fn since_when_is_followed_by_what_was_before() {
    let registry = Registry::default();
    let up = entry(&registry);
    let before = |question: &str, entry: &Entry| {
        before(question, entry, &past(), now()).map(|words| words.to_string())
    };
    let expected =
        "the change before that was at 12:42:00 (90 min ago): Redis: PONG in 0.1 ms (healthy)";
    for question in ["since when is redis down?", "since when is it down?"] {
        assert_eq!(before(question, &up).as_deref(), Some(expected));
    }
    let unknown = Registry::default();
    unknown.set_facts(running("c1", "shop", 7));
    assert_eq!(before("since when?", &unknown.get("c1").unwrap()), None);
}

#[tokio::test(start_paused = true)]
async fn the_past_is_told_without_asking_the_companion() {
    let registry = Arc::new(Registry::default());
    let alone = entry(&registry);
    let relay = Relay::new(Arc::new(FakeEngine::default()), registry.clone());
    let view = relay.ask(&alone, "what happened?").await;
    assert_eq!(view.answered_by, "supervisor");
    let text = view.answer.text.as_raw();
    assert!(text.starts_with("Nothing changed since "), "{text}");

    // A companion that is there and says nothing would make the question wait.
    let (near, mut peer) = Peer::pair();
    peer.greet().await;
    let (session, handle, _) = Session::greet(near)
        .await
        .map_err(|end| end.to_string())
        .unwrap();
    registry.set_session("c1", Some(handle));
    tokio::spawn(session.run(tokio_util::sync::CancellationToken::new(), |_| ()));
    let attended = registry.get("c1").unwrap();
    let asked_at = Instant::now();
    let view = relay.ask(&attended, "what happened?").await;
    assert_eq!(view.answered_by, "supervisor");
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
    relay.ask(&attended, "status").await;
    assert!(asked_at.elapsed() > Duration::ZERO, "this one had to wait");
}

proptest! {
    #[test]
    fn any_question_about_any_past_is_answered(
        question in "(what changed |history )?(in the )?(last |past |a |[0-9]{1,12} ?)?(years|M|h|minutes|.{0,8}) ?.{0,40}",
        minutes in proptest::collection::vec(0..500_u64, 0..30),
    ) {
        // Not in order: the clock of the host may be set back.
        let past = history(minutes.into_iter().map(|minutes| (minutes, started())).collect());
        let answer = answer(&question, &entry(&Registry::default()), Some(&past), now());
        prop_assert!(!answer.text.is_empty());
        prop_assert!(answer.evidence.len() <= MAX_TOLD + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn since_when_gains_evidence_from_the_past() {
    let registry = Arc::new(Registry::default());
    let up = entry(&registry);
    registry.set_facts(exited(&up.facts, 137));
    let relay = Relay::new(Arc::new(FakeEngine::default()), registry.clone());
    let down = registry.get("c1").unwrap();
    let view = relay.ask(&down, "since when is it down?").await;
    let last = view.answer.evidence.last().unwrap().as_raw();
    assert!(
        last.ends_with("the container ended, exit code 137 (exited)"),
        "{last}"
    );
    let status = relay.ask(&down, "status").await;
    assert!(
        !format!("{:?}", status.answer.evidence).contains("exit code"),
        "only where it is asked"
    );
}
