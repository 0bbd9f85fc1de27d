//! A strict reader of both text formats, for tests: it knows less than a scraper and forgives nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One family of samples.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) unit: String,
    /// Name and labels of a sample, and its value.
    pub(crate) samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Reads a text; panics with the line that is wrong.
pub(crate) fn read(text: &str, openmetrics: bool) -> HashMap<String, Family> {
    let mut families: HashMap<String, Family> = HashMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    assert!(text.ends_with('\n') && !text.contains("\n\n"));
    let text = if openmetrics {
        text.strip_suffix("# EOF\n").expect("its end")
    } else {
        text
    };
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let [word, family, rest] =
                [(); 3].map(|()| words.next().unwrap_or_else(|| panic!("{line}")));
            if family != current {
                let known = families.insert(family.to_owned(), Family::default());
                assert!(known.is_none(), "{family} comes twice");
                current = family.to_owned();
            }
            let family = families.get_mut(family).unwrap();
            assert!(family.samples.is_empty(), "too late: {line}");
            let place = match word {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                "UNIT" if openmetrics => &mut family.unit,
                _ => panic!("{line}"),
            };
            assert!(place.is_empty() && !rest.is_empty(), "{line}");
            *place = rest.to_owned();
            continue;
        }
        let sample = read_sample(line);
        let family = families
            .get_mut(&current)
            .unwrap_or_else(|| panic!("{line}"));
        assert!(!family.help.is_empty() && !family.kind.is_empty(), "{line}");
        let suffix = match (openmetrics, family.kind.as_str()) {
            (true, "counter") => "_total",
            (true, "info") => "_info",
            (true, "gauge") | (false, "counter" | "gauge") => "",
            _ => panic!("{current} is a {}", family.kind),
        };
        assert_eq!(sample.name, format!("{current}{suffix}"), "{line}");
        if family.kind == "counter" {
            assert!(
                sample.value >= 0.0 && sample.name.ends_with("_total"),
                "{line}"
            );
        }
        assert!(
            seen.insert((sample.name.clone(), sample.labels.clone())),
            "twice: {line}"
        );
        family.samples.push(sample);
    }
    for (name, family) in &families {
        assert!(!family.samples.is_empty(), "{name} has no samples");
        assert!(
            name.ends_with(&family.unit),
            "{name} is not in {}",
            family.unit
        );
    }
    families
}

fn read_sample(line: &str) -> Sample {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name_end = line
        .find(|c| !is_name(c))
        .unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(name_end);
    assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(within) = rest.strip_prefix('{') {
        rest = within;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(
                label.starts_with(|c: char| c.is_ascii_lowercase()) && label.chars().all(is_name),
                "{line}"
            );
            let (value, after) = read_value(after).unwrap_or_else(|| panic!("{line}"));
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            match after.split_at(1) {
                (",", after) => rest = after,
                ("}", after) => {
                    rest = after;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    assert!(
        value.bytes().all(|byte| b"-.0123456789".contains(&byte)),
        "{line}"
    );
    Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().unwrap_or_else(|_| panic!("{line}")),
    }
}

/// A label's value up to its closing quote, and what follows.
fn read_value(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.chars());
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                plain @ ('\\' | '"') => plain,
                _ => return None,
            }),
            plain => value.push(plain),
        }
    }
}
