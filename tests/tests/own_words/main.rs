//! What a container says of itself, by a file in its image and by its labels, and what becomes of it.

use std::fs;
use std::time::Duration;

use diogenes_testkit::{Container, Supervisor, base_image, dist, docker, wait_until};
use diogenes_tests::{SOON, present};
use serde_json::Value;

/// Where an image has its own words.
const FILE: &str = "/etc/diogenes/container.json";
/// A shop, its ledger, and a worker that listens nowhere.
const START: &str = "python3 /srv/shop.py 8080 & python3 /srv/shop.py 9000 & python3 /srv/worker.py & echo $! > /tmp/worker.pid; wait";

/// An image of the shop; removed when dropped.
struct Image(String);

impl Image {
    /// With its own words, or without.
    fn built(hint: &str, has_words: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("a file of the image");
        };
        place("shop.py", include_str!("shop.py"));
        place("container.json", include_str!("container.json"));
        let words = if has_words {
            format!("COPY container.json {FILE}\n")
        } else {
            String::new()
        };
        place(
            "Dockerfile",
            &format!(
                "FROM {}\nCOPY shop.py /srv/\nRUN echo 'import time; time.sleep(100000)' > /srv/worker.py\n{words}\
                 ENTRYPOINT [\"sh\", \"-c\", \"{START}\"]\nCMD []\n",
                base_image()
            ),
        );
        let name = format!("diogenes-test/{hint}-{}:1", std::process::id());
        let place = folder.path().to_string_lossy();
        docker(&["build", "-q", "-t", &name, &place]);
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

/// A supervisor that attends to this container alone.
fn supervisor(container: &Container) -> Supervisor {
    Supervisor::spec()
        .arg("--attach-default=false")
        .arg(format!("--attach-include={}", container.name()))
        .start()
}

fn named<'a>(container: &'a Value, name: &str) -> Option<&'a Value> {
    let mut services = container["services"].as_array()?.iter();
    services.find(|service| service["name"] == name)
}

fn is(name: &'static str, health: &'static str) -> impl Fn(&Value) -> bool {
    move |it| named(it, name).is_some_and(|service| service["health"] == health)
}

/// What was asked for on a port, each line once.
fn asked(container: &Container, port: u16) -> String {
    container.sh(&format!(
        "touch /tmp/access-{port}.log; sort -u /tmp/access-{port}.log"
    ))
}

fn refusal(container: &Value) -> Option<&Value> {
    let mut findings = container["findings"].as_array()?.iter();
    findings.find(|finding| finding["code"] == "own-words-refused")
}

#[test]
fn an_image_names_its_services_and_says_how_they_are_asked() {
    let image = Image::built("words-file", true);
    let container = Container::of(&*image.0).run();
    let supervisor = supervisor(&container);
    let (well, _) = supervisor.wait_for(
        container.name(),
        SOON,
        "the shop is well",
        is("Shop API", "healthy"),
    );
    assert_eq!(named(&well, "Shop API").expect("the shop")["role"], "api");
    assert_eq!(
        named(&well, "Ledger").expect("its ledger")["health"],
        "unknown"
    );
    supervisor.wait_for(
        container.name(),
        SOON,
        "its worker is known",
        is("Mail worker", "healthy"),
    );

    // Who is not to be asked counts for nothing in the whole.
    supervisor.wait_for(container.name(), SOON, "it is well as a whole", |it| {
        it["health"] == "healthy"
    });

    // Its own path, every second, and nothing but that; what is silenced is not even tried once.
    wait_until(SOON, "it was asked again", || {
        let log = container.sh("wc -l < /tmp/access-8080.log");
        (log.trim().parse::<u32>().expect("a number") >= 3).then_some(())
    });
    assert_eq!(asked(&container, 8080), "GET /internal/ready");
    assert_eq!(asked(&container, 9000), "");

    // The entry that cannot be is told with its line, wherever findings are; all else held.
    let told = refusal(&well).expect("a refusal");
    let summary = told["summary"].as_str().expect("a summary");
    let why = "/etc/diogenes/container.json, line 6, column 31: no key is called \"rolle\"; the nearest is \"role\"";
    assert!(summary.contains(why), "{summary}");
    let sheet = supervisor.words(&["status", container.name()]);
    assert!(sheet.contains("line 6, column 31"), "{sheet}");
    let words = supervisor.ask(container.name(), "what is wrong?");
    assert!(words.contains("line 6, column 31"), "{words}");
    let codes = well["findings"].to_string();
    assert!(!codes.contains("runs-as-root"), "silenced: {codes}");

    // Its own path decides.
    container.sh("touch /tmp/broken");
    let (_, took) = supervisor.wait_for(
        container.name(),
        SOON,
        "the shop is not ready",
        is("Shop API", "unhealthy"),
    );
    println!("shown as unhealthy after {took:?}");
    let why = supervisor.ask(container.name(), "why is Shop API down?");
    assert!(
        why.contains("HTTP 503 on /internal/ready") && why.contains("no stock"),
        "{why}"
    );
    container.sh("rm /tmp/broken");
    supervisor.wait_for(
        container.name(),
        SOON,
        "the shop is well again",
        is("Shop API", "healthy"),
    );

    // A file that changes is read again, with the next look at the container.
    std::thread::sleep(Duration::from_secs(10));
    container.sh(&format!(
        "sed -i 's/Shop API/Market/; s/rolle/role/' {FILE}; kill $(cat /tmp/worker.pid)"
    ));
    let (later, _) = supervisor.wait_for(
        container.name(),
        SOON,
        "it has another name",
        is("Market", "healthy"),
    );
    assert!(refusal(&later).is_none(), "{later:#}");
    assert_eq!(
        named(&later, "Mail worker").expect("the worker")["health"],
        "unhealthy"
    );
}

#[test]
fn labels_say_the_same_and_go_over_the_file() {
    let image = Image::built("words-label", true);
    let container = Container::of(&*image.0)
        .label("io.diogenes.service.8080.name", "Corner shop")
        .label("io.diogenes.service.8080.probe", "/by-label")
        .label("io.diogenes.service.9000.rolle", "db")
        .label(
            "io.diogenes.container",
            "{\n\"thresholds\": {\"restart\": 2}}",
        )
        .run();
    let supervisor = supervisor(&container);
    let (well, _) = supervisor.wait_for(
        container.name(),
        SOON,
        "it is well",
        is("Corner shop", "healthy"),
    );
    assert_eq!(
        named(&well, "Corner shop").expect("the shop")["role"],
        "api",
        "the file's"
    );
    assert_eq!(
        asked(&container, 8080),
        "GET /by-label",
        "never by the file's, not even before the label was heard"
    );
    let told = refusal(&well).expect("a refusal")["evidence"].to_string();
    assert!(
        told.contains("label io.diogenes.service.9000.rolle: no key is called"),
        "{told}"
    );
    assert!(
        told.contains("label io.diogenes.container, line 2, column 16: no key is called"),
        "{told}"
    );
    assert!(
        told.contains("/etc/diogenes/container.json, line 6"),
        "{told}"
    );
}

#[test]
fn a_label_alone_keeps_a_probe_from_being_sent() {
    let image = Image::built("words-silent", false);
    let container = Container::of(&*image.0)
        .label("io.diogenes.service.8080.probe", "false")
        .label("io.diogenes.service.9000.probe", "false")
        .run();
    let supervisor = supervisor(&container);
    let now = present(&supervisor, &container);
    wait_until(SOON, "both listen", || {
        container
            .sh("grep -c ' 0A ' /proc/net/tcp || true")
            .trim()
            .starts_with('2')
            .then_some(())
    });
    std::thread::sleep(Duration::from_secs(3));
    let asked = [asked(&container, 8080), asked(&container, 9000)];
    assert_eq!(asked, ["", ""], "{now:#}");
    let probed = supervisor.container(container.name()).expect("it is known");
    assert_eq!(
        probed["health"], "unknown",
        "never healthy unasked: {probed:#}"
    );
}

#[test]
fn a_companion_alone_reads_the_file() {
    let image = Image::built("words-alone", true);
    let agent = dist("diogenes-agent");
    let container = Container::of(&*image.0)
        .option(format!("--volume={}:/agent:ro", agent.display()))
        .label("io.diogenes.attach", "false")
        .label("io.diogenes.service.8080.name", "Corner shop")
        .run();
    container.sh("/agent serve > /tmp/agent.log 2>&1 &");
    let (words, _) = wait_until(SOON, "it knows its container", || {
        let told = container.exec(&["/agent", "status"]);
        let words = String::from_utf8_lossy(&told.stdout).into_owned();
        words.contains("Shop API (healthy)").then_some(words)
    });
    assert!(
        words.contains("Ledger") && words.contains("Mail worker"),
        "{words}"
    );
}

#[test]
fn a_companion_that_dials_in_hears_of_the_labels_then() {
    let image = Image::built("words-dial-in", true);
    let supervisor = Supervisor::spec()
        .arg("--attach-default=false")
        .arg("--dial-in=true")
        .start();
    let directory = supervisor.run_dir().join("dial-in");
    let agent = dist("diogenes-agent");
    let container = Container::of(&*image.0)
        .option(format!("--volume={}:/agent:ro", agent.display()))
        .option(format!(
            "--volume={}:/run/diogenes/dial-in:ro",
            directory.display()
        ))
        .label("io.diogenes.attach", "false")
        .label("io.diogenes.service.8080.name", "Corner shop")
        .run();
    container.sh("/agent serve > /tmp/agent.log 2>&1 &");
    let (told, _) = supervisor.wait_for(
        container.name(),
        SOON,
        "it is known by its label",
        is("Corner shop", "healthy"),
    );
    assert_eq!(told["via"], "baked");
    assert_eq!(
        named(&told, "Ledger").expect("the file's")["health"],
        "unknown"
    );
}

#[test]
fn the_words_are_checked_before_they_are_baked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("container.json");
    fs::write(&path, include_str!("container.json")).expect("a file");
    let path = path.to_string_lossy();
    let check = || {
        std::process::Command::new(dist("diogenes"))
            .args(["check", &path])
            .output()
            .expect("diogenes")
    };
    let refused = check();
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        words.contains("container.json:6:31: no key is called \"rolle\"; the nearest is \"role\""),
        "{words}"
    );
    fs::write(
        &*path,
        include_str!("container.json").replace("rolle", "role"),
    )
    .expect("a file");
    let well = check();
    assert_eq!(well.status.code(), Some(0), "{well:?}");
    assert!(
        String::from_utf8_lossy(&well.stdout).contains("4 services"),
        "{well:?}"
    );
}
