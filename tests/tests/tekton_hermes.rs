//! Hermes, Ergon and TektonCore's projects with real containers, and registries that behave as Tekton's do.

use std::time::Duration;

use diogenes_testkit::{
    Container, FakeErgon, FakeHermes, Mood, Supervisor, demo_image, wait_until,
};
use rustix::process::Signal;
use serde_json::Value;

/// How long what takes a pause or two of the ledger may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn attending(containers: &[&Container]) -> diogenes_testkit::SupervisorSpec {
    let names: Vec<&str> = containers
        .iter()
        .map(|container| container.name())
        .collect();
    Supervisor::spec()
        .env("DIOGENES_ATTACH_DEFAULT", "false")
        .env("DIOGENES_ATTACH_INCLUDE", &names.join(" "))
        // Of another Tekton on this machine nothing is to be heard.
        .env("no_proxy", "")
        .env("http_proxy", "http://127.0.0.1:9")
}

fn ci(container: &Container) -> String {
    format!("{}-container-ci", container.name())
}

fn json(supervisor: &Supervisor, args: &[&str]) -> Value {
    serde_json::from_str(&supervisor.words(args)).expect("JSON")
}

#[test]
fn hermes_knows_exactly_who_is_attended_whatever_happens() {
    let hermes = FakeHermes::start();
    let (redis, web) = (
        Container::of(demo_image("redis")).run(),
        Container::of(demo_image("redis")).run(),
    );
    let supervisor = attending(&[&redis, &web])
        .arg(format!("--hermes={}", hermes.url()))
        .start();
    let mut all = vec![ci(&redis), ci(&web), "diogenes".to_owned()];
    all.sort();
    let alive = || (hermes.alive() == all && hermes.known() == all).then_some(());
    wait_until(PATIENCE, "all are alive", alive);
    wait_until(PATIENCE, "its health is told", || {
        let told = hermes.registration(&ci(&redis));
        (told["metadata"]["health"] == "healthy").then_some(())
    });
    let told = hermes.registration(&ci(&redis));
    assert_eq!(told["metadata"]["container_id"], redis.id());
    assert_eq!(told["metadata"]["services"][0]["kind"], "redis");
    let endpoint = format!("http://127.0.0.1:{}/ci/{}", supervisor.port(), redis.name());
    assert_eq!(told["endpoint"], endpoint);
    let path = format!("/ci/{}/health", redis.name());
    let (_, health) = supervisor.http("GET", &path, None);
    assert!(
        health.contains("\"registered_with_hermes\":true"),
        "{health}"
    );

    // It is started anew, with another secret, and has forgotten all.
    hermes.restart(true);
    wait_until(PATIENCE, "all are known again", alive);

    // It hangs: questions do not.
    hermes.set_mood(Mood::Hangs);
    assert!(supervisor.ask(redis.name(), "status").contains("Redis"));
    hermes.set_mood(Mood::Well);

    web.stop();
    all.retain(|name| *name != ci(&web));
    wait_until(PATIENCE, "it left", || {
        (hermes.known() == all).then_some(())
    });

    // Killed, the supervisor takes leave of nobody; the next one sweeps what is left, and leaves in order.
    let folder = supervisor.end(Signal::KILL);
    assert_eq!(hermes.known(), all);
    drop(redis);
    let supervisor = attending(&[&web])
        .folder(folder)
        .arg(format!("--hermes={}", hermes.url()))
        .start();
    wait_until(PATIENCE, "what was left is swept", || {
        (hermes.known() == ["diogenes"]).then_some(())
    });
    supervisor.end(Signal::TERM);
    assert_eq!(hermes.known(), Vec::<String>::new());
}

#[test]
fn a_container_is_published_once_and_belongs_to_its_project() {
    let (hermes, ergon) = (FakeHermes::start(), FakeErgon::start());
    let root = tempfile::tempdir().expect("a directory");
    let file = root.path().join(".tekton/projects/projects.json");
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("directories");
    let project = serde_json::json!({
        "id": "p1", "name": "Shop", "state": "active", "local_directory": "/srv/shop", "metadata": {},
    });
    let projects = serde_json::json!({"version": "1.0", "projects": [project]});
    std::fs::write(&file, projects.to_string()).expect("a file");
    let redis = Container::of(demo_image("redis"))
        .label("com.docker.compose.project", "shop")
        .label("com.docker.compose.project.working_dir", "/srv/shop/deploy")
        .env("DB_PASSWORD", "hunter2")
        .run();
    let supervisor = attending(&[&redis])
        .arg(format!("--hermes={}", hermes.url()))
        .start();
    supervisor.wait_for(redis.name(), PATIENCE, "healthy", |it| {
        it["health"] == "healthy"
    });

    let dry = json(
        &supervisor,
        &["tekton", "publish", redis.name(), "--dry-run"],
    );
    assert_eq!(ergon.entries(), Vec::<Value>::new());
    let config = &dry["content"]["docker_config"];
    assert_eq!(config["container_ci"]["enabled"], true);
    assert!(
        config["environment"]
            .as_array()
            .expect("names")
            .contains(&"DB_PASSWORD".into())
    );
    assert!(!dry.to_string().contains("hunter2"));
    assert_eq!(dry["metadata"]["services"][0]["kind"], "redis");
    let publish = [
        "tekton",
        "publish",
        redis.name(),
        "--json",
        "--ergon",
        &ergon.url(),
    ];
    let first = json(&supervisor, &publish);
    assert_eq!((&first["id"], &first["new"]), (&dry["id"], &true.into()));
    redis.stop();
    supervisor.wait_for(redis.name(), PATIENCE, "stopped", |it| {
        it["health"] == "unknown"
    });
    let again = json(&supervisor, &publish);
    assert_eq!((&again["id"], &again["new"]), (&first["id"], &false.into()));
    let entries = ergon.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["metadata"]["health"], "unknown");

    let root = root.path().to_str().expect("a path");
    let told = json(
        &supervisor,
        &["tekton", "projects", "--json", "--root", root],
    );
    let members = told["projects"][0]["containers"]
        .as_array()
        .expect("a list");
    let member = members
        .iter()
        .find(|member| member["id"] == redis.id())
        .expect("ours");
    assert_eq!(member["by"], "compose directory");
    std::fs::write(&file, "{\"projects\":[{\"id\":7}]}").expect("a file");
    let broken = supervisor.cli(&["tekton", "projects", "--root", root]);
    assert_eq!(broken.status.code(), Some(1));
    let words = String::from_utf8_lossy(&broken.stderr);
    assert!(words.contains("is no list of projects"), "{words}");
}
