//! `make install` and `make uninstall`: what they put where, and that they take away exactly that.
#![allow(clippy::unwrap_used, reason = "a test says by it what must be so")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const CONFIG: &str = "etc/diogenes/diogenes.toml";
const LIST: &str = "opt/diogenes/share/diogenes/installed";

/// A machine's root folder, and a folder of built programs.
struct Machine {
    root: TempDir,
    dist: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self {
            root: tempfile::tempdir().unwrap(),
            dist: tempfile::tempdir().unwrap(),
        };
        let built = Path::new(env!("CARGO_BIN_EXE_diogenes"));
        std::os::unix::fs::symlink(built, machine.dist.path().join("diogenes")).unwrap();
        let agent = machine.dist.path().join("diogenes-agent");
        fs::write(&agent, "an agent").unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn run(&self, prefix: &str, args: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/scripts/install.sh");
        Command::new(script)
            .args(args)
            .env("PREFIX", prefix)
            .env("DESTDIR", self.root.path())
            .env("DIST", self.dist.path())
            .env("XDG_CACHE_HOME", self.dist.path().join("cache"))
            .output()
            .unwrap()
    }

    #[track_caller]
    fn install(&self) {
        let output = self.run("/opt/diogenes", &[]);
        assert!(output.status.success(), "{output:?}");
    }

    #[track_caller]
    fn remove(&self) {
        let output = self.run("/opt/diogenes", &["remove"]);
        assert!(output.status.success(), "{output:?}");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// All files, by their paths below the root.
    fn files(&self) -> BTreeSet<String> {
        let (mut files, mut folders) = (BTreeSet::new(), vec![self.root.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let below = entry.path();
                    let below = below.strip_prefix(self.root.path()).unwrap();
                    files.insert(below.display().to_string());
                }
            }
        }
        files
    }
}

#[test]
fn everything_is_where_this_system_looks_for_it() {
    let machine = Machine::new();
    machine.install();
    let files = machine.files();
    for (file, mode) in [
        ("opt/diogenes/bin/diogenes", 0o755),
        ("opt/diogenes/bin/diogenes-agent", 0o755),
        ("opt/diogenes/lib/systemd/system/diogenes.service", 0o644),
        ("opt/diogenes/share/man/man1/diogenes.1", 0o644),
        ("opt/diogenes/share/man/man1/diogenes-serve.1", 0o644),
        (
            "opt/diogenes/share/bash-completion/completions/diogenes",
            0o644,
        ),
        ("opt/diogenes/share/zsh/site-functions/_diogenes", 0o644),
        (
            "opt/diogenes/share/fish/vendor_completions.d/diogenes.fish",
            0o644,
        ),
        (CONFIG, 0o644),
        (LIST, 0o644),
    ] {
        assert!(files.contains(file), "{file} in {files:#?}");
        let found = fs::metadata(machine.path(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(found & 0o777, mode, "{file}");
        assert_ne!(
            fs::metadata(machine.path(file)).unwrap().len(),
            0,
            "{file} is empty"
        );
    }
    let unit = machine.text("opt/diogenes/lib/systemd/system/diogenes.service");
    assert!(
        unit.contains("\nExecStart=/opt/diogenes/bin/diogenes serve\n"),
        "{unit}"
    );
    // The list is complete, but for the configuration, which is a person's.
    let listed: BTreeSet<String> = machine
        .text(LIST)
        .lines()
        .map(|path| path.trim_start_matches('/').to_owned())
        .chain([CONFIG.to_owned()])
        .collect();
    assert_eq!(listed, files);
}

#[test]
fn what_was_installed_is_removed_and_nothing_else() {
    let machine = Machine::new();
    let own = machine.path("opt/diogenes/bin/my-own");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "").unwrap();
    machine.install();
    machine.remove();
    let left = [CONFIG, "opt/diogenes/bin/my-own"].map(str::to_owned);
    assert_eq!(machine.files(), BTreeSet::from(left));
    let again = machine.run("/opt/diogenes", &["remove"]);
    assert!(!again.status.success(), "{again:?}");
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(told.contains("nothing is installed in"), "{told}");
}

#[test]
fn a_newer_version_replaces_an_older_one_and_keeps_the_configuration() {
    let machine = Machine::new();
    machine.install();
    let files = machine.files();
    fs::write(machine.path(CONFIG), "log = \"debug\"\n").unwrap();
    fs::write(
        machine.path("opt/diogenes/bin/diogenes-agent"),
        "an older agent",
    )
    .unwrap();
    // A page of a command that is no more.
    let outdated = "opt/diogenes/share/man/man1/diogenes-gone.1";
    fs::write(machine.path(outdated), "").unwrap();
    fs::write(
        machine.path(LIST),
        format!("{}/{outdated}\n", machine.text(LIST)),
    )
    .unwrap();
    machine.install();
    assert_eq!(machine.files(), files);
    assert_eq!(machine.text(CONFIG), "log = \"debug\"\n");
    assert_eq!(machine.text("opt/diogenes/bin/diogenes-agent"), "an agent");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_written() {
    let machine = Machine::new();
    for prefix in ["usr", "/opt/my programs", "/"] {
        let output = machine.run(prefix, &[]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("is no absolute path"), "{prefix}: {told}");
    }
    fs::remove_file(machine.dist.path().join("diogenes-agent")).unwrap();
    let output = machine.run("/opt/diogenes", &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("run: make build"), "{told}");
    assert_eq!(machine.files(), BTreeSet::new());
}
