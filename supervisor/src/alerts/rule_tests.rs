use diogenes_engine::ContainerFacts;
use diogenes_proto::Report;
use proptest::prelude::*;

use super::*;
use crate::attendants::way_in::Via;
use crate::registry::Registry;

const ID: &str = "c1";

/// How a container is seen to stand from a moment on.
type Seen = (Duration, Option<Standing>);

/// What the rule tells of one container, and when, until `end`.
fn told(seen: &[Seen], end: Duration) -> Vec<(Duration, Notice)> {
    let start = Instant::now();
    let mut rule = Rule::default();
    let mut told = Vec::new();
    // Asked more often than it must be, as it is: deciding again changes nothing.
    let mut decide = |rule: &mut Rule, at: Instant| {
        let twice = [rule.due(at), rule.due(at)].concat();
        told.extend(twice.into_iter().map(|notice| (at - start, notice)));
    };
    let steps = seen.iter().map(|&(at, standing)| (at, Some(standing)));
    for (at, standing) in steps.chain([(end, None)]) {
        while let Some(due) = rule.next_due().filter(|due| *due <= start + at) {
            decide(&mut rule, due);
        }
        if let Some(standing) = standing {
            rule.see(ID, standing, start + at);
            decide(&mut rule, start + at);
        }
    }
    told
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What is told in seconds and words.
fn words(seen: &[(u64, Option<Standing>)], end: u64) -> Vec<String> {
    let seen: Vec<Seen> = seen.iter().map(|&(at, seen)| (s(at), seen)).collect();
    told(&seen, s(end))
        .iter()
        .map(|(at, notice)| {
            let from = notice.from.map_or("-", |(from, _)| from.as_str());
            format!(
                "{} {from} {} {:?}",
                at.as_secs(),
                notice.to.as_str(),
                notice.news
            )
        })
        .collect()
}

const HEALTHY: Option<Standing> = Some(Standing::Healthy);
const DEGRADED: Option<Standing> = Some(Standing::Degraded);
const UNHEALTHY: Option<Standing> = Some(Standing::Unhealthy);
const UNKNOWN: Option<Standing> = Some(Standing::Unknown);
const ENDED: Option<Standing> = Some(Standing::Ended);

#[test]
fn a_failure_is_told_within_a_second_and_its_end_with_how_long_it_took() {
    let seen = [
        (0, UNKNOWN),
        (2, None),
        (3, HEALTHY),
        (100, UNHEALTHY),
        (130, HEALTHY),
    ];
    assert_eq!(
        words(&seen, 1000),
        [
            "101 healthy unhealthy Changed",
            "135 unhealthy healthy Recovered(30s)"
        ]
    );
}

#[test]
fn a_companion_that_is_killed_and_comes_back_is_no_news() {
    let seen = [(0, HEALTHY), (100, UNKNOWN), (102, HEALTHY)];
    assert_eq!(words(&seen, 1000), Vec::<String>::new());
    let seen = [(0, HEALTHY), (100, UNKNOWN), (110, HEALTHY)];
    assert_eq!(
        words(&seen, 1000),
        [
            "105 healthy unknown Changed",
            "115 unknown healthy Recovered(10s)"
        ]
    );
}

#[test]
fn the_first_health_is_news_only_where_it_is_bad() {
    for calm in [HEALTHY, UNKNOWN, None] {
        assert_eq!(words(&[(0, calm)], 1000), Vec::<String>::new());
    }
    assert_eq!(
        words(&[(0, UNKNOWN), (20, HEALTHY)], 1000),
        Vec::<String>::new()
    );
    for (bad, word) in [
        (DEGRADED, "degraded"),
        (UNHEALTHY, "unhealthy"),
        (ENDED, "ended"),
    ] {
        assert_eq!(words(&[(0, bad)], 1000), [format!("1 - {word} Changed")]);
    }
}

#[test]
fn what_a_person_does_is_no_news_and_does_not_hide_what_was_told() {
    let seen = [
        (0, HEALTHY),
        (50, UNHEALTHY),
        (60, None),
        (90, UNHEALTHY),
        (120, HEALTHY),
    ];
    assert_eq!(
        words(&seen, 1000),
        [
            "51 healthy unhealthy Changed",
            "125 unhealthy healthy Recovered(70s)"
        ]
    );
}

#[test]
fn flapping_is_told_once_and_then_what_it_came_to() {
    let mut seen = Vec::new();
    for round in 0..20 {
        seen.push((round * 20, HEALTHY));
        seen.push((round * 20 + 10, UNHEALTHY));
    }
    seen.push((400, HEALTHY));
    let told = words(&seen, 2000);
    assert_eq!(
        told,
        [
            "11 healthy unhealthy Changed",
            "25 unhealthy healthy Recovered(10s)",
            "31 healthy unhealthy Changed",
            "45 unhealthy healthy Recovered(10s)",
            "51 healthy unhealthy Changed",
            "60 unhealthy healthy Flapping(6)",
            "460 - healthy Recovered(350s)",
        ]
    );
}

#[test]
fn what_came_to_rest_may_be_restarted_without_flapping_again() {
    let mut seen: Vec<_> = (0..7)
        .map(|step| (step * 10, if step % 2 == 0 { HEALTHY } else { UNHEALTHY }))
        .collect();
    let before = words(&seen, 125).len();
    // Its services end before it does, and its companion comes after it.
    seen.extend([
        (130, UNHEALTHY),
        (130, UNKNOWN),
        (131, None),
        (132, UNKNOWN),
        (134, HEALTHY),
    ]);
    assert_eq!(words(&seen, 1000).len(), before);
}

#[test]
fn a_companion_that_falls_silent_again_and_again_is_flapping_too() {
    let seen: Vec<_> = (0..100)
        .map(|step| (step * 10, if step % 2 == 0 { HEALTHY } else { UNKNOWN }))
        .collect();
    let told = words(&seen, 2000);
    assert_eq!(told.len(), 7, "{told:?}");
    assert!(told[5].ends_with("Flapping(6)"), "{told:?}");
}

#[test]
fn a_container_that_is_gone_is_forgotten() {
    let (mut rule, now) = (Rule::default(), Instant::now());
    rule.see(ID, UNHEALTHY, now);
    rule.retain(|id| id != ID);
    assert_eq!((rule.next_due(), rule.due(now + s(10))), (None, Vec::new()));
}

#[test]
fn how_a_container_ended_decides() {
    let standing = |state, exit_code, oom_killed| {
        let registry = Registry::default();
        registry.set_facts(ContainerFacts {
            id: ID.into(),
            state,
            exit_code,
            oom_killed,
            ..ContainerFacts::default()
        });
        Standing::of(&registry.get(ID).unwrap())
    };
    use ContainerState::{Created, Exited, Paused, Restarting, Running};
    for (state, code, oom, expected) in [
        (Exited, Some(0), false, None),
        (Exited, Some(143), false, None),
        (Exited, Some(137), false, None),
        (Exited, Some(137), true, ENDED),
        (Exited, Some(1), false, ENDED),
        (Restarting, Some(0), false, ENDED),
        (Paused, None, false, None),
        (Created, None, false, None),
        (Running, None, false, UNKNOWN),
    ] {
        assert_eq!(
            standing(state, code, oom),
            expected,
            "{state} {code:?} {oom}"
        );
    }
}

#[test]
fn a_companion_that_was_sent_away_is_not_missed() {
    let registry = Registry::default();
    registry.set_facts(ContainerFacts {
        id: ID.into(),
        state: ContainerState::Running,
        ..ContainerFacts::default()
    });
    let standing = || Standing::of(&registry.get(ID).unwrap());
    registry.set_presence(ID, Presence::Absent(Absence::Detached));
    assert_eq!(standing(), None);
    registry.set_presence(ID, Presence::Silent(Via::Attached));
    assert_eq!(standing(), UNKNOWN);
    registry.set_presence(
        ID,
        Presence::Present {
            build: String::new(),
            via: Via::Attached,
        },
    );
    registry.set_report(
        ID,
        Report {
            health: Health::Starting,
            ..Report::default()
        },
    );
    assert_eq!(standing(), None);
}

/// The rule without flapping, said another way: first what lasts long enough, then what of that is news.
fn model(seen: &[Seen], end: Duration) -> Vec<(Duration, Standing)> {
    let mut runs: Vec<Seen> = seen.to_vec();
    runs.dedup_by_key(|(_, standing)| *standing);
    let ends: Vec<Duration> = runs
        .iter()
        .skip(1)
        .map(|(at, _)| *at)
        .chain([end])
        .collect();
    let (mut known, mut trouble, mut told) = (None, false, Vec::new());
    for ((start, standing), end) in runs.into_iter().zip(ends) {
        let Some(standing) = standing else { continue };
        let ripe = start + standing.settling();
        if ripe > end || known == Some(standing) {
            continue;
        }
        let news = match standing {
            Standing::Healthy => trouble,
            Standing::Unknown => known.is_some(),
            _ => true,
        };
        if news {
            told.push((ripe, standing));
        }
        trouble = standing != Standing::Healthy && (trouble || news);
        known = Some(standing);
    }
    told
}

fn seen(most: usize) -> impl Strategy<Value = Vec<Seen>> {
    let standing = prop_oneof![
        Just(None),
        Just(HEALTHY),
        Just(DEGRADED),
        Just(UNHEALTHY),
        Just(UNKNOWN),
        Just(ENDED)
    ];
    let pause = prop_oneof![0..2_000_u64, 0..20_000_u64, 0..200_000_u64];
    prop::collection::vec((pause, standing), 0..most).prop_map(|steps| {
        let mut at = Duration::ZERO;
        let step = |(pause, standing)| {
            at += Duration::from_millis(pause);
            (at, standing)
        };
        steps.into_iter().map(step).collect()
    })
}

fn end_of(seen: &[Seen]) -> Duration {
    seen.last().map_or(Duration::ZERO, |(at, _)| *at) + s(100)
}

proptest! {
    #[test]
    fn what_is_told_is_what_the_model_tells(seen in seen(FLAPS + 1)) {
        let end = end_of(&seen);
        let told: Vec<_> = told(&seen, end)
            .into_iter()
            .map(|(at, notice)| (at, notice.to))
            .collect();
        prop_assert_eq!(told, model(&seen, end));
    }

    #[test]
    fn whatever_happens_the_last_word_is_true_and_there_are_not_too_many(seen in seen(200)) {
        let told = told(&seen, end_of(&seen));
        let last = told.last().map(|(_, notice)| notice.to);
        match seen.last().and_then(|(_, standing)| *standing) {
            Some(Standing::Healthy) => prop_assert!(matches!(last, None | HEALTHY)),
            Some(Standing::Unknown) => prop_assert!(matches!(last, None | UNKNOWN)),
            Some(bad) => prop_assert_eq!(last, Some(bad)),
            None => {}
        }
        for (at, _) in &told {
            let within = told.iter().filter(|(other, _)| other >= at && *other < *at + WINDOW);
            prop_assert!(within.count() <= FLAPS + 4 * 5);
        }
    }
}
