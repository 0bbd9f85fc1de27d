//! Images with the agent in them: what `diogenes bake` changes in one and what it leaves, and that what runs from it
//! still works and knows itself.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use diogenes_testkit::{
    Container, Engine, LISTENER, PrivateEngine, demo_image, dist, docker, listener_image,
    wait_until,
};
use diogenes_tests::SOON;
use diogenes_tests::baked::AGENT;
use serde_json::{Value, json};

/// A name for an image of this test; the image goes with it.
struct Name(String);

impl Name {
    fn new(hint: &str) -> Self {
        Engine::require();
        Self(format!("diogenes-test/{hint}-{}:1", std::process::id()))
    }

    /// An image of a Dockerfile.
    fn built(hint: &str, dockerfile: &str) -> Self {
        let name = Self::new(hint);
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("Dockerfile"), dockerfile).expect("a Dockerfile");
        docker(&[
            "build",
            "-q",
            "-t",
            &name.0,
            &folder.path().to_string_lossy(),
        ]);
        name
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // There is none where the test failed before, or was about that.
        let mut remove = Command::new("docker");
        let _ = remove.args(["rmi", "-f", &self.0]).output();
    }
}

fn diogenes(args: &[&str]) -> Output {
    let mut command = Command::new(dist("diogenes"));
    command.args(args).output().expect("diogenes runs")
}

/// What `bake --json` tells.
#[track_caller]
fn bake(image: &str, new: &Name) -> Value {
    let output = diogenes(&["bake", image, "-t", &new.0, "--healthcheck", "--json"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Why nothing is baked, with exit code 1.
#[track_caller]
fn refusal(args: &[&str]) -> String {
    let output = diogenes(&[&["bake"], args].concat());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

fn image(name: &str, template: &str) -> Value {
    let text = docker(&["image", "inspect", "--format", template, name]);
    serde_json::from_str(&text).expect("JSON of docker inspect")
}

/// The settings of containers without those that baking changes.
fn untouched(name: &str) -> Value {
    let mut settings = image(name, "{{json .Config}}");
    let map = settings.as_object_mut().expect("an object");
    map.retain(|key, _| !["Entrypoint", "Healthcheck", "Labels"].contains(&key.as_str()));
    settings
}

#[test]
fn one_layer_is_added_and_the_id_is_the_same_each_time() {
    let base = demo_image("redis");
    let (first, second) = (Name::new("baked"), Name::new("baked-again"));
    let told = bake(&base, &first);
    let layers = |name: &str| image(name, "{{json .RootFS.Layers}}");
    let (before, after) = (layers(&base), layers(&first.0));
    let (before, after) = (before.as_array().unwrap(), after.as_array().unwrap());
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(told["layers"], after.len());
    assert_eq!(told["changed"], true);
    assert_eq!(told["id"], image(&first.0, "{{json .Id}}"));
    assert_eq!(told["base"], image(&base, "{{json .Id}}"));
    assert_eq!(
        image(&first.0, "{{json .Created}}"),
        image(&base, "{{json .Created}}")
    );
    let history = docker(&[
        "history",
        "--no-trunc",
        "--format",
        "{{.CreatedBy}}",
        &first.0,
    ]);
    let of_base = docker(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", &base]);
    let (top, rest) = history.split_once('\n').expect("more than one line");
    assert!(top.starts_with("diogenes bake, diogenes-agent "), "{top}");
    assert_eq!(rest, of_base);

    // On another day and into another name: nothing in it comes from either.
    assert_eq!(bake(&base, &second)["id"], told["id"]);
    let again = bake(&first.0, &second);
    assert_eq!(
        (&again["changed"], &again["id"]),
        (&json!(false), &told["id"])
    );
    let words = diogenes(&["bake", &first.0, "-t", &first.0, "--healthcheck"]);
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("in it already"), "{words}");
    // Even what an archive is made of does not tell one from the other.
    assert_eq!(layers(&first.0), layers(&second.0));
}

#[test]
fn what_it_does_not_have_to_change_stays_as_it_is() {
    let base = Name::built(
        "settings",
        &format!(
            "FROM {}\nUSER 1000:1000\nWORKDIR /tmp/work\nENV A=b\nEXPOSE 80\nSTOPSIGNAL SIGINT\nVOLUME /data\n\
             LABEL own=kept io.diogenes.role=cache\nHEALTHCHECK --interval=7s CMD [\"{LISTENER}\", \"say\", \"well\"]\n\
             ONBUILD ENV C=d\nENTRYPOINT []\nCMD [\"{LISTENER}\", \"say\", \"two words\"]\n",
            listener_image()
        ),
    );
    let baked = Name::new("settings-baked");
    bake(&base.0, &baked);
    assert_eq!(untouched(&baked.0), untouched(&base.0));
    let check = |name: &str| image(name, "{{json .Config.Healthcheck}}");
    assert_eq!(check(&baked.0), check(&base.0));
    let entrypoint = image(&baked.0, "{{json .Config.Entrypoint}}");
    assert_eq!(entrypoint, json!([AGENT, "init", "--"]));
    let labels = image(&baked.0, "{{json .Config.Labels}}");
    assert_eq!(labels["own"], "kept");
    assert_eq!(
        labels["io.diogenes.base.digest"],
        image(&base.0, "{{json .Id}}")
    );
    let version = docker(&[
        "run",
        "--rm",
        "--network=none",
        "--entrypoint",
        AGENT,
        &baked.0,
        "--version",
    ]);
    let label = labels["io.diogenes.agent.version"].as_str().unwrap();
    assert_eq!(version, format!("diogenes-agent {label}"));

    // Its command as it was, and another in its place, as with the image it came from.
    let container = Container::of(&*baked.0).run();
    wait_until(SOON, "its words", || {
        container.logs().contains("two words").then_some(())
    });
    let other = Container::of(&*baked.0)
        .args([LISTENER, "say", "other"])
        .run();
    wait_until(SOON, "other words", || {
        other.logs().contains("other").then_some(())
    });
    let role = docker(&[
        "cp",
        &format!("{}:/etc/diogenes/container.json", other.name()),
        "-",
    ]);
    let told = role
        .split('{')
        .nth(1)
        .and_then(|text| text.split('}').next());
    let told: BTreeMap<String, Value> =
        serde_json::from_str(&format!("{{{}}}", told.expect("JSON in the archive"))).unwrap();
    assert_eq!(told["version"], 1);
    assert_eq!(told["role"], "cache");
    assert_eq!(told["labels_digest"], labels["io.diogenes.role.digest"]);
}

/// What the agent inside says, and how it ends.
fn ask(container: &Container, word: &str) -> (Option<i32>, String) {
    let output = container.exec(&[AGENT, word]);
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), words)
}

#[test]
fn what_runs_from_it_works_and_knows_itself() {
    let baked = Name::new("redis-baked");
    bake(&demo_image("redis"), &baked);
    let container = Container::of(&*baked.0).run();
    wait_until(SOON, "Redis to be healthy", || {
        let (_, told) = ask(&container, "status");
        told.contains("Redis (healthy)").then_some(())
    });
    let pong = container.exec(&["redis-cli", "ping"]);
    assert_eq!(pong.stdout, b"PONG\n");
    let took = container.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(container.inspect("{{.State.ExitCode}}"), "0");
}

#[test]
fn docker_says_what_the_companion_says() {
    let baked = Name::new("checked");
    bake(&listener_image(), &baked);
    for (user, code, exit, health) in [
        ("0", "200", 0, "healthy"),
        ("1000", "200", 0, "healthy"),
        ("1000", "503", 1, "unhealthy"),
    ] {
        let container = Container::of(&*baked.0)
            .option("--health-interval=1s")
            .user(user)
            .args(["http", "0.0.0.0:8000", code])
            .run();
        wait_until(SOON, "Docker's own check to agree", || {
            (container.inspect("{{.State.Health.Status}}") == health).then_some(())
        });
        // Errors of a service that has just started are its start, for a while.
        let (_, took) = wait_until(SOON, "the companion to agree", || {
            let (status, told) = ask(&container, "health");
            assert_eq!(status, Some(exit), "{told}");
            told.starts_with(health).then_some(())
        });
        println!(
            "{health} was told {} ms after Docker had it",
            took.as_millis()
        );
    }
}

#[test]
fn an_image_with_nothing_else_in_it_runs_without_any_right() {
    let baked = Name::new("scratch-baked");
    bake(&listener_image(), &baked);
    let container = Container::of(&*baked.0)
        .user("1000")
        .read_only()
        .cap_drop("ALL")
        .args(["tcp", "127.0.0.1:8000", "say", "up"])
        .run();
    wait_until(SOON, "it to be up", || {
        container.logs().contains("up").then_some(())
    });
    assert_eq!(container.inspect("{{.State.Running}}"), "true");
    let took = container.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(container.inspect("{{.State.ExitCode}}"), "0");
}

#[test]
fn refusals_say_what_to_do_instead() {
    let new = Name::new("refused");
    let s6 = Name::built(
        "s6",
        &format!("FROM {}\nENTRYPOINT [\"/init\"]\n", listener_image()),
    );
    let told = refusal(&[&s6.0, "-t", &new.0]);
    assert!(
        told.contains("\"/init\"") && told.contains("diogenes serve attaches"),
        "{told}"
    );

    let told = refusal(&["diogenes-demo/rediss", "-t", &new.0]);
    assert!(told.contains("did you mean diogenes-demo/redis"), "{told}");

    let told = refusal(&[&s6.0, "-t", &s6.0]);
    assert!(
        told.contains("/init"),
        "the first reason is the deeper one: {told}"
    );
    let plain = Name::built("plain", &format!("FROM {}\nLABEL a=b\n", listener_image()));
    let told = refusal(&[&plain.0, "-t", &plain.0]);
    assert!(told.contains("--force"), "{told}");

    let listener = dist("test/testkit-listener");
    let told = refusal(&[
        &plain.0,
        "-t",
        &new.0,
        "--agent",
        &listener.to_string_lossy(),
    ]);
    assert!(
        told.contains("version") || told.contains("no agent"),
        "{told}"
    );
    let told = refusal(&[&plain.0, "-t", &new.0, "--agent", "/bin/true"]);
    assert!(told.contains("linked dynamically"), "{told}");

    let baked = Name::new("plain-baked");
    bake(&plain.0, &baked);
    let on_top = Name::built(
        "on-top",
        &format!("FROM {}\nENTRYPOINT [\"{LISTENER}\"]\n", baked.0),
    );
    let told = refusal(&[&on_top.0, "-t", &new.0]);
    assert!(told.contains("built on an image that was baked"), "{told}");
    let wrong = diogenes(&["bake", &plain.0, "-t", "No Name"]);
    assert_eq!(wrong.status.code(), Some(2));
    let output = Command::new("docker")
        .args(["image", "inspect", &new.0])
        .output();
    assert!(
        !output.expect("docker runs").status.success(),
        "nothing was made"
    );
}

#[test]
fn over_its_own_name_only_when_told_to() {
    let name = Name::built(
        "forced",
        &format!("FROM {}\nLABEL a=forced\n", listener_image()),
    );
    let before = image(&name.0, "{{json .Id}}");
    let output = diogenes(&["bake", &name.0, "-t", &name.0, "--force", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["base"], &told["changed"]), (&before, &json!(true)));
    assert_eq!(image(&name.0, "{{json .Id}}"), told["id"]);
    docker(&["rmi", before.as_str().unwrap()]);
}

#[test]
fn two_engines_that_know_nothing_of_each_other_make_the_same_image() {
    let base = listener_image();
    let here = Name::new("two");
    let told = bake(&base, &here);
    let other = PrivateEngine::start(&[]);
    other.import(&base);
    let output = diogenes(&[
        "bake",
        &base,
        "-t",
        &here.0,
        "--healthcheck",
        "--json",
        "--engine",
        &other.host(),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let there: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(there, told);
    let layers = other.docker(&[
        "image",
        "inspect",
        "--format",
        "{{json .RootFS.Layers}}",
        &here.0,
    ]);
    let layers: Value = serde_json::from_slice(&layers.stdout).expect("JSON");
    assert_eq!(layers, image(&here.0, "{{json .RootFS.Layers}}"));
}
