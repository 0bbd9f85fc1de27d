//! Companions of real containers in aish's registry, as an aish sees them that does what Tekton's does.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diogenes_testkit::{Aish, Container, Supervisor, SupervisorSpec, listener_image, wait_until};
use diogenes_tests::{
    Peer, SOON, children_of, command_line, is_gone, kill, present, signal, status_of,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How soon aish must know of a start or an end.
const PROMISED: Duration = Duration::from_secs(5);

/// A Tekton's directory, with an entry of somebody else's in aish's registry.
struct Tekton {
    root: TempDir,
}

impl Tekton {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let tekton = Self { root };
        tekton.aish().register("terminal", tekton.terminal());
        tekton
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn aish(&self) -> Aish {
        Aish::start(self.path())
    }

    /// An entry of a terminal of Tekton's own, alive as long as this test.
    fn terminal(&self) -> Value {
        json!({"name": "terminal", "type": "ci_terminal", "pid": std::process::id(), "socket": self.path(), "big": 1e300})
    }

    fn spec(&self, containers: &[&str]) -> SupervisorSpec {
        Supervisor::spec()
            .arg("--attach-default=false")
            .arg(format!("--attach-include={}", containers.join(" ")))
            .arg(format!("--tekton-root={}", self.path().display()))
    }

    /// Waits until aish knows exactly these CIs besides the terminal.
    #[track_caller]
    fn knows(&self, names: &[&str]) -> Duration {
        let mut expected: Vec<String> = names
            .iter()
            .map(|name| format!("{name}-container-ci"))
            .collect();
        expected.push("terminal".into());
        expected.sort();
        let (_, took) = wait_until(PROMISED, &format!("aish to know {names:?}"), || {
            (self.aish().names() == expected).then_some(())
        });
        took
    }
}

fn listener() -> Container {
    Container::of(listener_image())
        .args(["tcp", "127.0.0.1:7000"])
        .run()
}

/// The registrar of a supervisor, by its pid.
#[track_caller]
fn registrar_of(supervisor: &Supervisor) -> u32 {
    let is_registrar = |pid: &u32| command_line(*pid).ends_with(" aish-registrar");
    wait_until(SOON, "the registrar", || {
        children_of(supervisor.pid()).into_iter().find(is_registrar)
    })
    .0
}

#[test]
fn a_container_is_reachable_from_its_start_to_its_end() {
    let tekton = Tekton::new();
    let shop = listener();
    let supervisor = tekton.spec(&[shop.name()]).start();
    tekton.knows(&[shop.name()]);
    let ci = format!("{}-container-ci", shop.name());
    // The first word may come before the companion's first report: it is answered all the same.
    let (answer, _) = wait_until(SOON, "an answer of the companion", || {
        let answer = tekton.aish().say(&ci, "ports");
        answer.contains("7000").then_some(answer)
    });
    assert!(answer.starts_with("Listening:"), "{answer}");
    assert!(
        tekton
            .aish()
            .say(&ci.to_uppercase(), "status")
            .contains("Running 1 service")
    );
    assert_eq!(tekton.aish().say("nobody-container-ci", "status"), "");

    shop.stop();
    let took = tekton.knows(&[]);
    println!("gone {took:?} after the stop");
    shop.order("start");
    let took = tekton.knows(&[shop.name()]);
    println!("back {took:?} after the start");
    supervisor.words(&["detach", shop.name()]);
    tekton.knows(&[]);
    supervisor.words(&["attach", shop.name()]);
    tekton.knows(&[shop.name()]);

    supervisor.end(Signal::TERM);
    tekton.knows(&[]);
    assert_eq!(tekton.aish().entry("terminal"), Some(&tekton.terminal()));
}

#[test]
fn a_supervisor_that_is_killed_leaves_nobody_behind() {
    let tekton = Tekton::new();
    let shop = listener();
    let supervisor = tekton.spec(&[shop.name()]).start();
    tekton.knows(&[shop.name()]);
    let registrar = registrar_of(&supervisor);
    let folder = supervisor.end(Signal::KILL);
    wait_until(PROMISED, "the registrar to leave", || {
        is_gone(registrar).then_some(())
    });
    let text = fs::read_to_string(Aish::registry_file(tekton.path())).expect("the registry");
    assert!(!text.contains("container-ci"), "{text}");

    // Both killed at once: what is left is taken over by the next.
    let supervisor = tekton.spec(&[shop.name()]).folder(folder).start();
    tekton.knows(&[shop.name()]);
    signal(registrar_of(&supervisor), Signal::STOP);
    let stopped = registrar_of(&supervisor);
    let folder = supervisor.end(Signal::KILL);
    kill(stopped);
    let text = fs::read_to_string(Aish::registry_file(tekton.path())).expect("the registry");
    assert!(text.contains("container-ci"), "{text}");
    let _supervisor = tekton.spec(&["nobody-at-all"]).folder(folder).start();
    wait_until(PROMISED, "the leavings to go", || {
        let text = fs::read_to_string(Aish::registry_file(tekton.path())).ok()?;
        (!text.contains("container-ci")).then_some(())
    });
    assert_eq!(tekton.aish().names(), ["terminal"]);
}

#[test]
fn aish_may_remove_one_and_the_others_stay() {
    let tekton = Tekton::new();
    let (shop, cafe) = (listener(), listener());
    let supervisor = tekton.spec(&[shop.name(), cafe.name()]).start();
    tekton.knows(&[shop.name(), cafe.name()]);
    let first = registrar_of(&supervisor);
    tekton
        .aish()
        .remove(&format!("{}-container-ci", shop.name()));
    tekton.knows(&[cafe.name()]);
    // It stays away, though the registrar is another now and is killed once more.
    let second = registrar_of(&supervisor);
    assert_ne!(first, second);
    kill(second);
    wait_until(SOON, "a third registrar", || {
        (registrar_of(&supervisor) != second).then_some(())
    });
    tekton.knows(&[cafe.name()]);
    assert_eq!(
        supervisor.container(shop.name()).expect("it is known")["state"],
        "present"
    );
    shop.stop();
    shop.order("start");
    tekton.knows(&[shop.name(), cafe.name()]);
}

#[test]
fn the_registrar_is_the_user_whose_tekton_it_is() {
    /// A user whom nothing else belongs to.
    const USER: u32 = 54322;
    let tekton = Tekton::new();
    let shop = listener();
    own(tekton.path(), USER);
    // What they plant leads them nowhere: this one would let them write what only root may.
    let secret = tempfile::tempdir().expect("a folder");
    let theirs = tekton.path().join(".tekton");
    let aside = tekton.path().join("aside");
    fs::rename(&theirs, &aside).expect("room for a link");
    symlink(secret.path(), &theirs).expect("a link");
    let supervisor = tekton.spec(&[shop.name()]).start();
    let told = "Permission denied";
    wait_until(SOON, "the log to tell of it", || {
        supervisor.log().contains(told).then_some(())
    });
    assert_eq!(fs::read_dir(secret.path()).expect("a folder").count(), 0);
    fs::remove_file(&theirs).expect("the link");
    fs::rename(&aside, &theirs).expect("their own folder");

    tekton.knows(&[shop.name()]);
    let registrar = registrar_of(&supervisor);
    let meta = fs::metadata(format!("/proc/{registrar}")).expect("its process");
    assert_eq!((meta.uid(), meta.gid()), (USER, USER));
    for (key, nothing) in [
        ("Groups", ""),
        ("CapEff", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
    ] {
        assert_eq!(
            status_of(registrar, key).as_deref().map(str::trim),
            Some(nothing),
            "{key}"
        );
    }
    assert_eq!(
        fs::metadata(Aish::registry_file(tekton.path()))
            .expect("the registry")
            .uid(),
        USER
    );
}

/// One line to a companion that speaks as a specialist, and the answer.
fn tell_specialist(port: u16, line: &Value) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a specialist");
    writeln!(stream, "{line}").expect("a line");
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .expect("an answer");
    serde_json::from_str(&answer).expect("JSON")
}

#[test]
fn the_other_ways_lead_to_the_same_companion() {
    let tekton = Tekton::new();
    let shop = listener();
    let planted = Container::of(listener_image())
        .args(["tcp", "127.0.0.1:7000"])
        .create();
    let draft = |container: &Container| PathBuf::from(format!("/tmp/ci_{}.sock", container.id()));
    let target = tekton.path().join("target");
    symlink(&target, draft(&planted)).expect("a planted link");
    let _removed = Removed(draft(&planted));
    let supervisor = tekton
        .spec(&[shop.name(), planted.name()])
        .arg("--tekton-first-draft-sockets=true")
        .arg("--tekton-specialist-ports=42100-42999")
        .start();
    planted.order("start");
    present(&supervisor, &shop);
    present(&supervisor, &planted);

    wait_until(SOON, "the first drafts' socket", || {
        draft(&shop).exists().then_some(())
    });
    let answer =
        Peer::connect(&draft(&shop)).ask(&json!({"type": "ask", "id": 1, "question": "ports"}));
    assert!(
        answer["text"].as_str().expect("a text").contains("7000"),
        "{answer}"
    );
    wait_until(SOON, "the log to tell of the link", || {
        supervisor
            .log()
            .contains("not this supervisor's")
            .then_some(())
    });
    assert!(!target.exists() && draft(&planted).is_symlink());

    let discovery = |name: &str| -> Value {
        let (status, body) = supervisor.http("GET", &format!("/ci/{name}/discovery"), None);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    };
    let (port, _) = wait_until(SOON, "a specialist's port", || {
        discovery(shop.name())["metadata"]["specialist_port"]
            .as_str()?
            .parse()
            .ok()
    });
    let answer = tell_specialist(port, &json!({"type": "chat", "content": "ports"}));
    assert!(
        answer["content"].as_str().expect("a text").contains("7000"),
        "{answer}"
    );
    assert_eq!(
        tell_specialist(port, &json!({"type": "info"}))["component"],
        shop.name()
    );

    let table = supervisor.words(&["status", "--format", "tekton"]);
    assert!(
        table.starts_with('╒') && table.contains(shop.name()),
        "{table}"
    );
    let stanza = supervisor.words(&["tekton", "stanza"]);
    assert!(
        stanza.ends_with(&format!("DIOGENES_PORT={}", supervisor.port())),
        "{stanza}"
    );

    supervisor.end(Signal::TERM);
    assert!(!draft(&shop).exists() && draft(&planted).is_symlink());
}

/// A path that is removed in the end.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_hundred_messages_take_no_time() {
    const MESSAGES: u32 = 100;
    let tekton = Tekton::new();
    let shop = listener();
    let supervisor = tekton.spec(&[shop.name()]).start();
    present(&supervisor, &shop);
    tekton.knows(&[shop.name()]);
    let (aish, ci) = (tekton.aish(), format!("{}-container-ci", shop.name()));
    let start = Instant::now();
    for _ in 0..MESSAGES {
        assert!(aish.say(&ci, "status").contains("Running"));
    }
    let each = start.elapsed() / MESSAGES;
    println!("{each:?} a message, with its connection");
    // The promise is 5 ms; a busy machine that runs an unoptimised program is given more.
    assert!(each < Duration::from_millis(25), "{each:?}");
}

/// Gives a folder and all in it to a user.
fn own(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("root, to give things away");
    let below: Vec<PathBuf> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    below.iter().for_each(|path| own(path, user));
}
