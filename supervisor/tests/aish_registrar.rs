//! The registrar of aish, a process of the real program: started as the supervisor starts it, with SIGCHLD ignored.
#![allow(clippy::unwrap_used, reason = "a test says by it what must be so")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use diogenes_testkit::{Aish, wait_until};
use serde_json::{Value, json};

/// A user whom nothing belongs to.
const STRANGER: u32 = 54321;
const SOON: Duration = Duration::from_secs(5);

struct Registrar {
    child: Child,
    notices: BufReader<ChildStdout>,
}

impl Registrar {
    fn start(uid: Option<u32>) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            "trap '' CHLD TERM; exec \"$0\" aish-registrar",
            env!("CARGO_BIN_EXE_diogenes"),
        ]);
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let notices = BufReader::new(child.stdout.take().unwrap());
        Self { child, notices }
    }

    fn order(&mut self, root: &Path, names: &[&str]) {
        let contact = |name: &&str| json!({"name": name, "endpoint": "http://127.0.0.1:1", "message_endpoint": "/x", "description": "", "capabilities": []});
        let contacts: Vec<Value> = names.iter().map(contact).collect();
        let order = json!({"root": root, "owner": "diogenes@here:/run", "contacts": contacts});
        writeln!(self.child.stdin.as_mut().unwrap(), "{order}").unwrap();
    }

    fn notice(&mut self) -> Value {
        let mut line = String::new();
        self.notices.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn keeps_the_orders_and_takes_all_back_when_nobody_orders_any_more() {
    let root = tempfile::tempdir().unwrap();
    let mut registrar = Registrar::start(None);
    registrar.order(root.path(), &["shop-ci", "cafe-ci"]);
    assert_eq!(registrar.notice(), json!({"registered": 2}));
    let aish = Aish::start(root.path());
    assert_eq!(aish.names(), ["cafe-ci", "shop-ci"]);
    assert_eq!(aish.entry("shop-ci").unwrap()["pid"], registrar.child.id());
    registrar.order(root.path(), &["cafe-ci"]);
    assert_eq!(registrar.notice(), json!({"registered": 1}));
    drop(registrar.child.stdin.take());
    assert!(registrar.child.wait().unwrap().success());
    assert_eq!(
        fs::read_to_string(Aish::registry_file(root.path())).unwrap(),
        "{}"
    );
}

#[test]
fn aish_may_end_it_and_thereby_says_whom_it_means() {
    let root = tempfile::tempdir().unwrap();
    let mut registrar = Registrar::start(None);
    registrar.order(root.path(), &["shop-ci", "cafe-ci"]);
    registrar.notice();
    let mut aish = Aish::start(root.path());
    let removing = std::thread::spawn(move || aish.remove("shop-ci"));
    // As the supervisor does: it notices the end by the pipe's, and starts another.
    assert_eq!(registrar.notice(), Value::Null);
    let mut registrar = Registrar::start(None);
    registrar.order(root.path(), &["shop-ci", "cafe-ci"]);
    assert_eq!(registrar.notice(), json!({"registered": 2}));
    assert_eq!(registrar.notice(), json!({"removed": "shop-ci"}));
    removing.join().unwrap();
    wait_until(SOON, "the other is there", || {
        (Aish::start(root.path()).names() == ["cafe-ci"]).then_some(())
    });
}

/// Without root there are no two users, and nothing that one of them could do to the other.
#[test]
fn as_another_user_it_has_that_users_rights_alone() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(
        root.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut registrar = Registrar::start(Some(STRANGER));
    registrar.order(root.path(), &["shop-ci"]);
    let told = registrar.notice();
    let trouble = told["trouble"].as_str().unwrap();
    assert!(
        trouble.contains("Permission denied") && trouble.contains("run as the user who owns"),
        "{told}"
    );
    // Its owner plants a link to where only root may write.
    std::os::unix::fs::chown(root.path(), Some(STRANGER), Some(STRANGER)).unwrap();
    let secret = tempfile::tempdir().unwrap();
    fs::create_dir_all(secret.path().join("aish/ci-registry")).unwrap();
    std::os::unix::fs::symlink(secret.path(), root.path().join(".tekton")).unwrap();
    let again = registrar.notice();
    assert!(
        again["trouble"].as_str().unwrap().contains(".tekton"),
        "{again}"
    );
    assert_eq!(
        fs::read_dir(secret.path().join("aish/ci-registry"))
            .unwrap()
            .count(),
        0
    );
    fs::remove_file(root.path().join(".tekton")).unwrap();
    assert_eq!(registrar.notice(), json!({"registered": 1}));
    let meta = fs::metadata(Aish::registry_file(root.path())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&meta), STRANGER);
}
