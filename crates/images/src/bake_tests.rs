use std::io::Cursor;

use serde_json::{Value, json};

use super::*;
use crate::AGENT_PATH;

/// What an archive is made of: one entry after the other.
#[derive(Default)]
struct Maker(Vec<u8>);

impl Maker {
    fn file(mut self, name: &str, content: &[u8]) -> Self {
        put(&mut self.0, name, content).unwrap();
        self
    }

    /// An entry of another kind, by its type flag, with what it links to.
    fn entry(mut self, name: &str, type_flag: u8, link: &str) -> Self {
        let mut header = tar::file(name, 0, MODE);
        header[156] = type_flag;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend(tar::END);
        self.0
    }
}

fn layer(text: &str) -> Vec<u8> {
    Maker::default().file("file", text.as_bytes()).end()
}

/// The configuration of an image of these layers.
fn config(settings: Value, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids = layers.iter().map(|layer| Digest::of(layer).to_string());
    let history = layers.iter().map(|_| json!({"created_by": "COPY"}));
    let mut history: Vec<Value> = history.collect();
    history.push(json!({"created_by": "CMD", "empty_layer": true}));
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-11-21T14:52:35.251774785Z",
        "config": settings,
        "history": history,
        "rootfs": {"type": "layers", "diff_ids": diff_ids.collect::<Vec<_>>()},
    });
    config.to_string().into_bytes()
}

/// As Engines up to 24 write it; a layer that was there before is a link to it.
fn legacy(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let config_name = format!("{}.json", Digest::of(config).hex());
    let mut maker = Maker::default().file(&config_name, config);
    let mut names = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let name = format!("{index}/layer.tar");
        maker = match layers[..index].iter().position(|other| other == layer) {
            Some(first) => maker.entry(&name, b'2', &format!("../{first}/layer.tar")),
            None => maker.file(&name, layer),
        };
        names.push(name);
    }
    let manifest = json!([{"Config": config_name, "RepoTags": null, "Layers": names}]);
    maker.file(MANIFEST, manifest.to_string().as_bytes()).end()
}

/// As later Engines write it.
fn oci(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let mut maker = Maker::default()
        .entry("blobs/", b'5', "")
        .file(&blob(config), config);
    for layer in layers {
        maker = maker.file(&blob(layer), layer);
    }
    let names: Vec<String> = layers.iter().map(|layer| blob(layer)).collect();
    let manifest = json!([{"Config": blob(config), "RepoTags": ["a:b"], "Layers": names}]);
    maker
        .file("index.json", b"{\"schemaVersion\":2}")
        .file(MANIFEST, manifest.to_string().as_bytes())
        .file("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}")
        .end()
}

fn agent(program: &str) -> Agent {
    let version = format!("1.0 of {program}");
    Agent::new(program.as_bytes().to_vec(), version, "amd64")
}

type Bytes<'a> = Cursor<&'a [u8]>;

fn bake_bytes<'a>(
    archive: &'a [u8],
    agent: &Agent,
) -> Result<(Baked<Bytes<'a>>, Vec<u8>), BakeError> {
    bake_bytes_with(archive, agent, HealthCheck::AddWhereNone)
}

fn bake_bytes_with<'a>(
    archive: &'a [u8],
    agent: &Agent,
    healthcheck: HealthCheck,
) -> Result<(Baked<Bytes<'a>>, Vec<u8>), BakeError> {
    let mut baked = bake(Cursor::new(archive), agent, RoleSource::Labels, healthcheck)?;
    let mut out = Vec::new();
    baked.write("new:1", &mut out).unwrap();
    Ok((baked, out))
}

/// The settings of the one image of an archive.
fn settings(archive: &[u8]) -> Value {
    let archive = Archive::open(Cursor::new(archive)).unwrap();
    let config: Value = serde_json::from_slice(&archive.config).unwrap();
    config["config"].clone()
}

#[test]
fn both_shapes_of_an_archive_bake_to_the_same_bytes() {
    let layers = [&layer("a")[..], &layer("b"), &layer("a")];
    let config = config(json!({"Cmd": ["/file"]}), &layers);
    let (old, new) = (legacy(&config, &layers), oci(&config, &layers));
    let (baked, legacy) = bake_bytes(&old, &agent("x")).unwrap();
    let (_, oci) = bake_bytes(&new, &agent("x")).unwrap();
    assert!(legacy == oci);
    assert_eq!(baked.base(), Digest::of(&config));
    assert_eq!(baked.layer_count(), 4);
    assert!(baked.is_changed());
    // What was written is an archive again, with the layers as they were and ours on top.
    let mut archive = Archive::open(Cursor::new(legacy)).unwrap();
    assert_eq!(Digest::of(&archive.config), baked.id());
    for (span, layer) in archive.layers.clone().into_iter().zip(layers) {
        let mut copy = Vec::new();
        archive.read(span).unwrap().read_to_end(&mut copy).unwrap();
        assert!(copy == layer);
    }
    assert_eq!(archive.layers[3].size_bytes, baked.added_bytes());
}

#[test]
fn the_bytes_never_change() {
    let layers = [&layer("a")[..]];
    let config = config(json!({"Cmd": ["/file"]}), &layers);
    let given = legacy(&config, &layers);
    let (baked, archive) = bake_bytes(&given, &agent("x")).unwrap();
    // A release that changes these gives every image a new id: it should know that it does.
    assert_eq!(
        [
            baked.added.diff_id.hex(),
            baked.id().hex(),
            Digest::of(&archive).hex()
        ],
        [
            "d64de29d7707dd31b77b1b00c9712bc703e40099cfd1cd0da42fd7f8e6c5cb2d",
            "6dcd0cb92357d106908b6fadb520b3231d1959da3253d46a5a047a1b8018a12e",
            "03a50b67d22995147e6d29e7e2efdd6cd84130cb9d07c1f8bced77949c50a894"
        ]
    );
}

#[test]
fn what_the_image_starts_is_wrapped() {
    let wrapped = |rest: &[&str]| json!([&[AGENT_PATH, "init", "--"], rest].concat());
    for (given, entrypoint, cmd) in [
        (
            json!({"Entrypoint": ["/e"], "Cmd": ["c"]}),
            wrapped(&["/e"]),
            json!(["c"]),
        ),
        (
            json!({"Entrypoint": null, "Cmd": ["/bin/sh", "-c", "a b"]}),
            wrapped(&[]),
            json!(["/bin/sh", "-c", "a b"]),
        ),
        (
            json!({"Entrypoint": ["/bin/sh", "-c", "exec a"]}),
            wrapped(&["/bin/sh", "-c", "exec a"]),
            json!(null),
        ),
        (json!({"Entrypoint": "/e"}), wrapped(&["/e"]), json!(null)),
        (json!(null), wrapped(&[]), json!(null)),
    ] {
        let archive = legacy(&config(given.clone(), &[]), &[]);
        let (_, baked) = bake_bytes(&archive, &agent("x")).unwrap();
        let baked = settings(&baked);
        assert_eq!(
            (&baked["Entrypoint"], &baked["Cmd"]),
            (&entrypoint, &cmd),
            "{given}"
        );
    }
}

#[test]
fn only_an_image_without_a_health_check_is_given_one() {
    let ours = json!({"Test": ["CMD", AGENT_PATH, "health"]});
    for (given, expected) in [
        (json!(null), &ours),
        (json!({"Test": []}), &ours),
        (json!({"Test": ["NONE"]}), &json!({"Test": ["NONE"]})),
        (
            json!({"Test": ["CMD", "a"], "Retries": 2}),
            &json!({"Test": ["CMD", "a"], "Retries": 2}),
        ),
    ] {
        let archive = legacy(&config(json!({"Healthcheck": given}), &[]), &[]);
        let (_, baked) = bake_bytes(&archive, &agent("x")).unwrap();
        assert_eq!(&settings(&baked)["Healthcheck"], expected);
        // Unasked, it stays as it was, also in an image that was baked with one before.
        for archive in [&archive, &baked] {
            let (_, left) = bake_bytes_with(archive, &agent("x"), HealthCheck::Leave).unwrap();
            assert_eq!(settings(&left)["Healthcheck"], given);
        }
    }
}

#[test]
fn baking_twice_changes_nothing_and_another_agent_takes_the_place() {
    let layers = [&layer("a")[..]];
    let archive = legacy(
        &config(json!({"Cmd": ["/file"], "User": "1000"}), &layers),
        &layers,
    );
    let (old, old_bytes) = bake_bytes(&archive, &agent("old")).unwrap();
    let (again, again_bytes) = bake_bytes(&old_bytes, &agent("old")).unwrap();
    assert!(!again.is_changed() && again.id() == old.id() && again_bytes == old_bytes);
    let (new, new_bytes) = bake_bytes(&old_bytes, &agent("new")).unwrap();
    let (direct, direct_bytes) = bake_bytes(&archive, &agent("new")).unwrap();
    assert!(new.is_changed() && new.layer_count() == 2);
    assert!(new.id() == direct.id() && new_bytes == direct_bytes);
    assert_eq!(new.base(), old.base());
}

#[test]
fn what_was_built_on_a_baked_image_is_refused() {
    let archive = legacy(&config(json!({"Cmd": ["/file"]}), &[]), &[]);
    let (_, baked) = bake_bytes(&archive, &agent("x")).unwrap();
    let baked = Archive::open(Cursor::new(baked)).unwrap();
    let whole: Value = serde_json::from_slice(&baked.config).unwrap();
    let ours = whole["rootfs"]["diff_ids"][0].clone();
    let on_top = Digest::of(&layer("z")).to_string();
    let changes: [(&str, Value); 4] = [
        ("/rootfs/diff_ids", json!([ours, on_top])),
        ("/config/Entrypoint", json!(["/own"])),
        (
            "/config/Labels/io.diogenes.base.digest",
            json!("sha256:none"),
        ),
        ("/config/Labels/io.diogenes.base.replaced", json!("[")),
    ];
    for (pointer, value) in changes {
        let mut changed = whole.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let count = changed["rootfs"]["diff_ids"].as_array().unwrap().len();
        let layers = vec![&b"any"[..]; count];
        let archive = legacy(changed.to_string().as_bytes(), &layers);
        let refused = bake_bytes(&archive, &agent("y")).unwrap_err();
        assert!(
            matches!(refused, BakeError::BuiltOnBaked),
            "{pointer}: {refused}"
        );
    }
    // A later step of a Dockerfile without a layer of its own.
    let mut changed = whole;
    let history = changed["history"].as_array_mut().unwrap();
    history.push(json!({"created_by": "CMD", "empty_layer": true}));
    let archive = legacy(changed.to_string().as_bytes(), &[b"any"]);
    let refused = bake_bytes(&archive, &agent("y")).unwrap_err();
    assert!(matches!(refused, BakeError::BuiltOnBaked), "{refused}");
}

#[test]
fn what_cannot_hold_the_agent_is_refused_in_words() {
    let words = |change: fn(&mut Value)| {
        let mut whole: Value = serde_json::from_slice(&config(json!({}), &[])).unwrap();
        change(&mut whole);
        let archive = legacy(whole.to_string().as_bytes(), &[]);
        bake_bytes(&archive, &agent("x")).unwrap_err().to_string()
    };
    let told = words(|whole| whole["os"] = json!("windows"));
    assert!(told.contains("\"windows\""), "{told}");
    let told = words(|whole| whole["architecture"] = json!("arm64"));
    assert!(
        told.contains("\"arm64\"") && told.contains("amd64"),
        "{told}"
    );
    let told = words(|whole| whole["config"]["Entrypoint"] = json!(["/init"]));
    assert!(
        told.contains("\"/init\"") && told.contains("diogenes serve"),
        "{told}"
    );
    let told = words(|whole| whole["rootfs"]["diff_ids"] = json!([Digest::of(b"").to_string()]));
    assert!(told.contains("0 layers for the 1"), "{told}");
}

#[test]
fn a_link_in_the_place_of_a_directory_is_refused_unless_a_later_layer_takes_it_away() {
    let link = Maker::default().entry("./usr", b'2', "data/usr").end();
    let gone = Maker::default().file(".wh.usr", b"").end();
    let real = Maker::default().entry("usr/", b'5', "").end();
    // Not to be looked into: no tar at all.
    let compressed = b"\x1f\x8b\x08 and so on".to_vec();
    for (layers, is_refused) in [
        (vec![&link], true),
        (vec![&link, &compressed], true),
        (vec![&link, &gone], false),
        (vec![&link, &real], false),
        (vec![&compressed], false),
    ] {
        let layers: Vec<&[u8]> = layers.iter().map(|layer| layer.as_slice()).collect();
        let archive = legacy(&config(json!({}), &layers), &layers);
        match bake_bytes(&archive, &agent("x")) {
            Err(BakeError::NoDirectory {
                path: "/usr",
                kind: "symbolic link",
            }) => assert!(is_refused),
            Err(other) => panic!("{other}"),
            Ok(_) => assert!(!is_refused),
        }
    }
}

#[test]
fn hostile_archives_are_errors_of_their_kind() {
    let manifest = |text: &str| Maker::default().file(MANIFEST, text.as_bytes());
    let one = |config: &str| manifest(&json!([{"Config": config, "Layers": []}]).to_string());
    let open = |archive: Vec<u8>| Archive::open(Cursor::new(archive)).unwrap_err();
    assert!(matches!(open(Vec::new()), ArchiveError::Missing(name) if name == MANIFEST));
    assert!(matches!(
        open(manifest("[]").end()),
        ArchiveError::NotOneImage(0)
    ));
    assert!(matches!(
        open(manifest("{").end()),
        ArchiveError::Json { .. }
    ));
    assert!(matches!(open(one("c").end()), ArchiveError::Missing(name) if name == "c"));
    assert!(matches!(open(one("../c").end()), ArchiveError::Escapes(_)));
    assert!(matches!(
        open(one("/etc/passwd").end()),
        ArchiveError::Escapes(_)
    ));
    let link = one("a/c").entry("a/c", b'2', "../../etc/passwd");
    assert!(matches!(open(link.end()), ArchiveError::Escapes(_)));
    let ring = one("c").entry("c", b'2', "d").entry("d", b'1', "c");
    assert!(matches!(open(ring.end()), ArchiveError::NotAFile(_)));
    let device = one("c").entry("c", b'3', "");
    assert!(matches!(open(device.end()), ArchiveError::NotAFile(_)));
    let escaping = one("c").file("a/../../c", b"");
    assert!(matches!(open(escaping.end()), ArchiveError::Escapes(_)));
    let many = (0..5000).fold(Maker::default(), |maker, _| maker.file("x", b""));
    assert!(matches!(open(many.end()), ArchiveError::TooManyEntries(_)));
    let long = one("c").file("c", &vec![b' '; (4 << 20) + 1]);
    assert!(matches!(open(long.end()), ArchiveError::TooLong { .. }));
    let cut = one("c").file("c", &[b' '; 2000]).end();
    assert!(matches!(
        open(cut[..2048].to_vec()),
        ArchiveError::CutShort(_)
    ));
}
