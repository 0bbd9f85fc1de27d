use proptest::prelude::*;

use super::*;
use crate::config::value::Word as _;
use crate::fakes::running;

fn policy(include: &[&str], exclude: &[&str], default: Option<bool>) -> Attach {
    let patterns = |words: &[&str]| {
        let read = |word: &&str| NamePattern::read(word).unwrap();
        words.iter().map(read).collect()
    };
    Attach {
        include: patterns(include),
        exclude: patterns(exclude),
        default,
    }
}

fn container(name: &str, label: Option<&str>) -> ContainerFacts {
    let mut facts = running("c1", name, 7);
    facts.image = "shop/web:2".into();
    facts
        .labels
        .extend(label.map(|value| (ATTACH_LABEL.to_owned(), value.to_owned())));
    facts
}

#[test]
fn the_first_that_has_an_opinion_decides() {
    let both = policy(&["shop-*"], &["*-tmp", "shop-old*"], Some(false));
    let no_patterns = policy(&[], &[], None);
    for (policy, name, label, hand, wanted, reason) in [
        (
            &no_patterns,
            "web",
            None,
            None,
            true,
            "nothing names this container, and attach.default is true",
        ),
        (
            &both,
            "web",
            None,
            None,
            false,
            "nothing names this container, and attach.default is false",
        ),
        (
            &both,
            "shop-1",
            None,
            None,
            true,
            "included by attach.include \"shop-*\"",
        ),
        (
            &both,
            "shop-tmp",
            None,
            None,
            false,
            "excluded by attach.exclude \"*-tmp\"",
        ),
        (
            &both,
            "shop-old-tmp",
            None,
            None,
            false,
            "excluded by attach.exclude \"*-tmp\"",
        ),
        (
            &both,
            "shop-old",
            None,
            None,
            false,
            "excluded by attach.exclude \"shop-old*\"",
        ),
        (
            &both,
            "shop-tmp",
            Some("true"),
            None,
            true,
            "the container's label io.diogenes.attach=true asks for a companion",
        ),
        (
            &both,
            "shop-1",
            Some("false"),
            None,
            false,
            "the container's label io.diogenes.attach=false asks for no companion",
        ),
        (
            &both,
            "shop-1",
            Some("yes"),
            None,
            true,
            "included by attach.include \"shop-*\"",
        ),
        (
            &both,
            "web",
            Some("TRUE"),
            None,
            false,
            "nothing names this container, and attach.default is false",
        ),
        (
            &both,
            "shop-tmp",
            Some("false"),
            Some(Hand::Attach),
            true,
            "attached by hand",
        ),
        (
            &both,
            "shop-1",
            Some("true"),
            Some(Hand::Detach),
            false,
            "detached by hand",
        ),
    ] {
        let verdict = judge(&container(name, label), policy, hand);
        assert_eq!(
            (verdict.wants(), verdict.reason().as_str()),
            (wanted, reason),
            "{name}"
        );
    }
    let others = policy(&["api-*"], &[], None);
    let verdict = judge(&container("web", None), &others, None);
    assert_eq!((verdict.rule(), verdict.pattern()), ("include", None));
    assert_eq!(
        (verdict.wants(), verdict.reason().as_str()),
        (false, "attach.include names others, and not this container")
    );
    let all = policy(&["api-*"], &[], Some(true));
    assert!(judge(&container("web", None), &all, None).wants());
    let by_image = policy(&["image:shop/*"], &[], None);
    let verdict = judge(&container("any", None), &by_image, None);
    assert_eq!(
        (verdict.rule(), verdict.pattern().map(NamePattern::as_str)),
        ("include", Some("image:shop/*"))
    );
}

#[test]
fn a_label_with_another_value_counts_as_not_set_and_is_told() {
    assert_eq!(label(&container("web", None)), Ok(None));
    assert_eq!(label(&container("web", Some("true"))), Ok(Some(true)));
    assert_eq!(label(&container("web", Some(""))), Err(""));
    assert_eq!(label(&container("web", Some("no"))), Err("no"));
}

fn hand() -> impl Strategy<Value = Option<Hand>> {
    prop_oneof![
        Just(None),
        Just(Some(Hand::Attach)),
        Just(Some(Hand::Detach))
    ]
}

proptest! {
    /// Whatever stands further down the list cannot change what stands above it.
    #[test]
    fn nothing_below_the_rule_that_decided_matters(
        name in "[ab]{1,3}", label in proptest::option::of("true|false|yes"), hand in hand(),
        include in prop::collection::vec("[ab*?]{1,3}", 0..3), exclude in prop::collection::vec("[ab*?]{1,3}", 0..3),
        default: Option<bool>,
    ) {
        let words = |patterns: &[String]| patterns.iter().map(String::clone).collect::<Vec<_>>();
        let (include, exclude) = (words(&include), words(&exclude));
        let as_str = |words: &'_ [String]| -> Vec<NamePattern> { words.iter().map(|word| NamePattern::read(word).unwrap()).collect() };
        let policy = Attach { include: as_str(&include), exclude: as_str(&exclude), default };
        let facts = container(&name, label.as_deref());
        let verdict = judge(&facts, &policy, hand);

        let any = |patterns: &[NamePattern]| patterns.iter().any(|pattern| pattern.fits(&facts.name, &facts.image));
        let spoken = super::label(&facts).ok().flatten();
        let expected = match (hand, spoken) {
            (Some(hand), _) => ("hand", hand == Hand::Attach),
            (None, Some(wanted)) => ("label", wanted),
            (None, None) if any(&policy.exclude) => ("exclude", false),
            (None, None) if any(&policy.include) => ("include", true),
            (None, None) => match default {
                Some(wanted) => ("default", wanted),
                None if policy.include.is_empty() => ("default", true),
                None => ("include", false),
            },
        };
        prop_assert_eq!((verdict.rule(), verdict.wants()), expected);
        prop_assert_eq!(judge(&facts, &policy, hand), verdict, "the same every time");
    }
}
