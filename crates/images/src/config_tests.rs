use proptest::prelude::*;

use super::*;
use crate::RoleSource;

fn baked(base: &Config, digest: Digest, program: &str) -> Config {
    let agent = Agent::new(program.as_bytes().to_vec(), program.to_owned(), "amd64");
    let labels = base.own_labels().unwrap();
    let layer = Layer::of(&agent, &RoleSource::Labels.file(&labels));
    let role = RoleSource::Labels.digest(&labels);
    base.with_agent(&agent, &layer, digest, role, HealthCheck::AddWhereNone)
        .unwrap()
}

fn read(value: &Value) -> Config {
    Config::read(value.to_string().as_bytes()).unwrap()
}

/// A list of words as configurations have it: also null, empty, or a text alone.
fn words() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        proptest::collection::vec(any::<String>(), 0..3).prop_map(|words| json!(words)),
        any::<String>().prop_map(|word| json!(word)),
    ]
}

fn settings() -> impl Strategy<Value = Value> {
    let labels = prop_oneof![
        Just(Value::Null),
        proptest::collection::btree_map(any::<String>(), any::<String>(), 0..3)
            .prop_map(|labels| json!(labels)),
    ];
    let check = prop_oneof![
        Just(Value::Null),
        Just(json!({"Test": []})),
        Just(json!({"Test": ["NONE"]})),
        Just(json!({"Test": ["CMD", "x"], "Interval": 30_000_000_000_u64})),
    ];
    let pairs = (
        proptest::option::of(words()),
        proptest::option::of(words()),
        proptest::option::of(labels),
        proptest::option::of(check),
        proptest::option::of(any::<String>()),
    );
    pairs.prop_map(|(entrypoint, cmd, labels, check, user)| {
        let mut settings = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            settings.extend(value.map(|value| (key.to_owned(), value)));
        };
        put(ENTRYPOINT, entrypoint);
        put("Cmd", cmd);
        put(LABELS, labels);
        put(HEALTHCHECK, check);
        put("User", user.map(Value::String));
        Value::Object(settings)
    })
}

proptest! {
    #[test]
    fn an_agent_goes_in_and_comes_out_without_a_trace(settings in settings(), layers in 0..3_usize, full: bool) {
        let ids = (0..layers).map(|index| Digest::of(&[index as u8]).to_string());
        let mut whole = json!({"config": settings, "rootfs": {"type": "layers", "diff_ids": ids.collect::<Vec<_>>()}});
        if full {
            whole["history"] = json!(vec![json!({"created_by": "x"}); layers]);
            whole["created"] = json!("2026-11-21T14:52:35Z");
        }
        let base = read(&whole);
        let digest = Digest::of(b"base");
        let with = baked(&base, digest, "one");

        // Only what the table in the header names is touched.
        let left = |config: &Config| {
            let mut rest = config.0.clone();
            rest.remove("rootfs");
            rest.remove("history");
            if let Some(settings) = rest.get_mut("config").and_then(Value::as_object_mut) {
                settings.retain(|key, _| ![ENTRYPOINT, LABELS, HEALTHCHECK].contains(&key.as_str()));
            }
            rest
        };
        prop_assert_eq!(left(&with), left(&base));
        prop_assert_eq!(with.diff_ids().unwrap().len(), layers + 1);
        prop_assert_eq!(with.has_full_history(), base.has_full_history());
        let labels = with.labels().unwrap();
        for (name, value) in base.labels().unwrap() {
            prop_assert_eq!(labels.get(&name), Some(&value));
        }
        let command: Vec<String> = with.command().unwrap().map(str::to_owned).collect();
        let own: Vec<String> = base.command().unwrap().map(str::to_owned).collect();
        prop_assert_eq!(&command[..3], &INIT.map(str::to_owned)[..]);
        prop_assert_eq!(&command[3..], &own[..]);

        // Read anew, as it will be, it tells what it was made from.
        let text = with.to_json();
        let again = Config::read(&text).unwrap();
        prop_assert_eq!(again.to_json(), text);
        let found = again.base(Digest::of(b"other")).unwrap();
        prop_assert_eq!(&found.config, &base);
        prop_assert_eq!(found.digest, digest);
        prop_assert_eq!(baked(&found.config, digest, "two"), baked(&base, digest, "two"));
    }

    #[test]
    fn any_text_is_a_configuration_or_an_error(text in ".*") {
        let _ = Config::read(text.as_bytes());
    }
}

#[test]
fn keys_are_sorted_at_every_depth() {
    let config =
        Config::read(br#"{"b":[{"d":1,"c":"\u0000<&>"}],"a":{"z":null,"y":true}}"#).unwrap();
    let expected = br#"{"a":{"y":true,"z":null},"b":[{"c":"\u0000<&>","d":1}]}"#;
    assert_eq!(
        String::from_utf8(config.to_json()).unwrap().as_bytes(),
        expected
    );
}

#[test]
fn a_history_that_does_not_name_each_layer_is_left_alone() {
    let id = Digest::of(b"").to_string();
    for (history, entries) in [
        (json!([{"created_by": "a"}]), 2),
        (
            json!([{"created_by": "a"}, {"created_by": "b", "empty_layer": true}]),
            3,
        ),
        (json!([]), 0),
    ] {
        let base =
            read(&json!({"history": history, "rootfs": {"diff_ids": [id]}, "created": "now"}));
        let with = baked(&base, Digest::of(b""), "1.2");
        let told = with.0["history"].as_array().unwrap();
        assert_eq!(told.len(), entries, "{history}");
        if base.has_full_history() {
            let ours = json!({"created": "now", "created_by": "diogenes bake, diogenes-agent 1.2"});
            assert_eq!(told.last(), Some(&ours));
        }
    }
}

#[test]
fn labels_that_look_like_ours_are_no_part_of_the_base() {
    let labels = json!({"own": "kept", labels::ROLE_DIGEST: "stale"});
    let base = read(&json!({"config": {"Labels": labels}}));
    let digest = Digest::of(b"base");
    let with = baked(&base, digest, "one");
    let found = with.clone().base(Digest::of(b"other")).unwrap();
    assert_eq!(found.config.labels().unwrap().len(), 1);
    assert_eq!(baked(&found.config, digest, "one"), with);
}

#[test]
fn what_is_of_another_form_is_an_error() {
    for text in [
        "[]",
        r#"{"rootfs":{"diff_ids":["x"]}}"#,
        r#"{"rootfs":{"diff_ids":7}}"#,
        r#"{"history":[{},{"empty_layer":true}],"rootfs":{"diff_ids":[]}}"#,
        r#"{"config":{"Entrypoint":{}}}"#,
        r#"{"config":{"Cmd":[1]}}"#,
        r#"{"config":{"Labels":["a"]}}"#,
    ] {
        let error = Config::read(text.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Json { .. }),
            "{text}: {error}"
        );
    }
}
