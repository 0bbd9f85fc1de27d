//! What the registry file holds: our entries among everybody's.
//!
//! Other programs' entries are kept as the bytes they are, in their order: what they mean is not ours to know, and a
//! number such as `1e400` would not survive being understood.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The entries of the file, in its order. A key that stands twice stands here twice.
#[derive(Clone, Debug, Default)]
pub struct Entries(Vec<(String, Box<RawValue>)>);

impl Entries {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Where it is no JSON object.
    pub fn read(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    /// The keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The value at a key as it is written; None where there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, value)| value.get())
    }

    /// These, and what `others` has under keys that are not here.
    #[must_use]
    pub fn with_missing(mut self, others: Self) -> Self {
        for (key, value) in others.0 {
            if self.get(&key).is_none() {
                self.0.push((key, value));
            }
        }
        self
    }

    /// These entries, but of those of `owner` the ones that are `wanted`, by key; and the wanted keys that are left out
    /// because they are somebody else's, who was there first.
    #[must_use]
    pub fn reconcile(&self, wanted: &BTreeMap<String, Value>, owner: &str) -> (Self, Vec<String>) {
        let mut missing: BTreeMap<&str, &Value> = wanted
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let (mut kept, mut taken) = (Vec::new(), Vec::new());
        for (key, raw) in &self.0 {
            let wanted = missing.remove(key.as_str());
            if !is_of(raw, owner) {
                taken.extend(wanted.map(|_| key.clone()));
                kept.push((key.clone(), raw.clone()));
                continue;
            }
            // Others write our entries too, with their own idea of white space: that makes them no less right.
            let is_right = |wanted: &Value| {
                serde_json::from_str::<Value>(raw.get()).is_ok_and(|value| value == *wanted)
            };
            kept.extend(wanted.map(|wanted| {
                (
                    key.clone(),
                    if is_right(wanted) {
                        raw.clone()
                    } else {
                        pretty(wanted)
                    },
                )
            }));
        }
        kept.extend(
            missing
                .into_iter()
                .map(|(key, wanted)| (key.to_owned(), pretty(wanted))),
        );
        (Self(kept), taken)
    }

    /// The text of a file that holds them, as Tekton's programs would write it.
    #[must_use]
    pub fn text(&self) -> String {
        let entry = |(key, value): &(String, Box<RawValue>)| {
            format!("  {}: {value}", Value::from(key.as_str()))
        };
        let entries: Vec<String> = self.0.iter().map(entry).collect();
        match entries.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{\n{}\n}}", entries.join(",\n")),
        }
    }
}

/// Byte for byte, and in order.
impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        let entries = |entries: &Self| {
            entries
                .0
                .iter()
                .map(|(key, value)| (key.clone(), value.get().to_owned()))
                .collect::<Vec<_>>()
        };
        entries(self) == entries(other)
    }
}

/// Whether an entry says that it is of `owner`.
fn is_of(raw: &RawValue, owner: &str) -> bool {
    #[derive(Deserialize)]
    struct Owned<'a> {
        #[serde(borrow)]
        registered_by: Cow<'a, str>,
    }
    serde_json::from_str::<Owned<'_>>(raw.get()).is_ok_and(|entry| entry.registered_by == owner)
}

/// An entry, laid out to stand in the file.
fn pretty(value: &Value) -> Box<RawValue> {
    // No text in JSON holds a line feed: every one is layout. What was made from a value is JSON.
    let text = format!("{value:#}").replace('\n', "\n  ");
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const OWNER: &str = "diogenes@here";

    fn wanted(names: &[&str]) -> BTreeMap<String, Value> {
        let entry = |name: &&str| {
            (
                (*name).to_owned(),
                json!({"name": name, "pid": 7, "registered_by": OWNER}),
            )
        };
        names.iter().map(entry).collect()
    }

    fn read(text: &str) -> Entries {
        Entries::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_others_wrote_stays_as_it_is() {
        let text = r#"{"b": {"n": [1e400, 1.10, -0, 12345678901234567890123], "s": "\u00e9\ud83d"},
            "a": "no object", "a": null, "z": {"registered_by": "diogenes@there", "x":  [ ]}}"#;
        let now = read(text).reconcile(&wanted(&["shop"]), OWNER).0.text();
        let (before, after) = (read(text), read(&now));
        assert_eq!(
            after.keys().collect::<Vec<_>>(),
            ["b", "a", "a", "z", "shop"]
        );
        assert_eq!(Entries(after.0[..4].to_vec()), before);
    }

    #[test]
    fn what_is_right_is_not_written_again_however_it_is_laid_out() {
        let both = wanted(&["shop", "cafe"]);
        let first = Entries::default().reconcile(&both, OWNER).0.text();
        let dense = read(&serde_json::from_str::<Value>(&first).unwrap().to_string());
        for entries in [read(&first), dense.clone()] {
            assert_eq!(entries.reconcile(&both, OWNER), (entries, vec![]));
        }
        let (less, _) = dense.reconcile(&wanted(&["cafe"]), OWNER);
        assert_eq!(less.keys().collect::<Vec<_>>(), ["cafe"]);
        assert_eq!(less.reconcile(&wanted(&[]), OWNER).0.text(), "{}");
    }

    #[test]
    fn a_name_of_somebody_elses_is_left_to_them() {
        let entries = read(r#"{"shop": {"name": "shop", "pid": 1}}"#);
        assert_eq!(
            entries.reconcile(&wanted(&["shop"]), OWNER),
            (entries, vec!["shop".into()])
        );
    }

    #[test]
    fn what_is_no_object_is_not_taken_for_an_empty_one() {
        for text in [
            "",
            " ",
            "null",
            "[]",
            "{",
            r#"{"a":"#,
            r#"{"a":1}x"#,
            "\"{}\"",
            "{\"a\":1e}",
        ] {
            assert!(Entries::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn others_never_notice_and_ours_are_always_complete(
            others in proptest::collection::vec(("[a-z]{1,3}", any::<bool>(), any::<f64>()), 0..8),
            before in proptest::collection::btree_set("[a-z]{1,3}-ci", 0..5),
            after in proptest::collection::btree_set("[a-z]{1,3}-ci", 0..5),
        ) {
            let names = |set: &std::collections::BTreeSet<String>| wanted(&set.iter().map(String::as_str).collect::<Vec<_>>());
            let foreign: Vec<String> = others.iter().map(|(key, deep, n)| {
                let value = if *deep { json!({"registered_by": "x", "n": n}) } else { json!([n]) };
                format!("{}:{value}", Value::from(key.as_str()))
            }).collect();
            let start = read(&format!("{{{}}}", foreign.join(",")));
            let of_others = |entries: &Entries| -> Vec<(String, String)> {
                entries.0.iter().filter(|(_, raw)| !is_of(raw, OWNER)).map(|(key, raw)| (key.clone(), raw.get().to_owned())).collect()
            };
            let mut now = start.clone();
            for wanted in [names(&before), names(&after)] {
                now = read(&now.reconcile(&wanted, OWNER).0.text());
                prop_assert_eq!(&now.reconcile(&wanted, OWNER).0, &now);
                prop_assert!(wanted.keys().all(|key| now.get(key).is_some()));
            }
            prop_assert_eq!(of_others(&start), of_others(&now));
            prop_assert_eq!(now.0.len(), start.0.len() + after.len());
        }
    }
}
