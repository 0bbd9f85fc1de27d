//! Which containers are attended, and that another policy moves only those whom it concerns.

use std::fs;
use std::path::PathBuf;

use diogenes_testkit::{Container, Supervisor, listener_image, wait_until};
use diogenes_tests::{SOON, agent_in, agents_in};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

const LABEL: &str = "io.diogenes.attach";

/// Containers whose names begin alike, so that patterns of this test mean nobody else's.
struct World {
    prefix: String,
    folder: TempDir,
}

impl World {
    fn new(test: &str) -> Self {
        Self {
            prefix: format!("{test}-{}", std::process::id()),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn container(&self, name: &str, label: Option<&str>) -> Container {
        let spec = Container::of(listener_image()).name(&format!("{}-{name}", self.prefix));
        match label {
            Some(value) => spec.label(LABEL, value),
            None => spec,
        }
        .args(["tcp", "127.0.0.1:7000"])
        .run()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("diogenes.toml")
    }

    /// Writes the configuration: nobody is attended but whom `include` and no `exclude` names.
    fn configure(&self, include: &[&str], exclude: &[&str]) {
        let patterns = |words: &[&str]| -> Vec<String> {
            let own = |word: &&str| format!("{}-{word}", self.prefix);
            words.iter().map(own).collect()
        };
        let (include, exclude) = (patterns(include), patterns(exclude));
        let text =
            format!("[attach]\ndefault = false\ninclude = {include:?}\nexclude = {exclude:?}\n");
        fs::write(self.file(), text).expect("a file");
    }

    fn supervisor(&self) -> Supervisor {
        Supervisor::spec()
            .arg(format!("--config={}", self.file().display()))
            .start()
    }
}

/// What `ls --all --json` says of a container; None where it says nothing.
fn listed(supervisor: &Supervisor, container: &Container) -> Option<Value> {
    let all: Value = serde_json::from_str(&supervisor.words(&["ls", "--all", "--json"])).ok()?;
    let one = |it: &&Value| it["name"] == container.name();
    all.as_array()?.iter().find(one).cloned()
}

/// Waits until a container is attended or not, by this rule; returns the reason.
#[track_caller]
fn decided(supervisor: &Supervisor, container: &Container, attended: bool, rule: &str) -> String {
    let what = format!("{}: attended {attended} by {rule}", container.name());
    let is_so = || {
        listed(supervisor, container)
            .filter(|it| it["attended"] == attended && it["policy"]["rule"] == rule)
            .filter(|_| agents_in(supervisor, container).len() == usize::from(attended))
    };
    let (it, _) = wait_until(SOON, &what, is_so);
    it["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn hand_goes_over_label_over_exclude_over_include_over_default() {
    let world = World::new("rules");
    world.configure(&["shop-*"], &["*-tmp"]);
    let included = world.container("shop-1", None);
    let excluded = world.container("shop-tmp", None);
    let wanted = world.container("kept-tmp", Some("true"));
    let unwanted = world.container("shop-own", Some("false"));
    let strange = world.container("shop-odd", Some("yes"));
    let unnamed = world.container("other", None);
    let supervisor = world.supervisor();

    decided(&supervisor, &included, true, "include");
    decided(&supervisor, &wanted, true, "label");
    let reason = decided(&supervisor, &excluded, false, "exclude");
    assert_eq!(
        reason,
        format!("excluded by attach.exclude \"{}-*-tmp\"", world.prefix)
    );
    let reason = decided(&supervisor, &unwanted, false, "label");
    assert!(reason.contains("io.diogenes.attach=false"), "{reason}");
    let reason = decided(&supervisor, &unnamed, false, "default");
    assert!(reason.contains("attach.default is false"), "{reason}");
    decided(&supervisor, &strange, true, "include");
    let finding = &supervisor.container(strange.name()).expect("it is known")["findings"][0];
    assert_eq!(finding["code"], "attach-label", "{finding:#}");

    for (container, rule_before) in [
        (&excluded, "exclude"),
        (&unwanted, "label"),
        (&unnamed, "default"),
    ] {
        let told = supervisor.words(&["attach", container.name()]);
        assert!(told.contains(": present"), "against {rule_before}: {told}");
        decided(&supervisor, container, true, "hand");
    }
    supervisor.words(&["detach", wanted.name()]);
    let reason = decided(&supervisor, &wanted, false, "hand");
    assert!(reason.starts_with("detached by hand"), "{reason}");

    let words = supervisor.words(&["ls", "--all"]);
    assert!(words.starts_with("NAME"), "{words}");
    let line = words
        .lines()
        .find(|line| line.starts_with(included.name()))
        .unwrap_or_else(|| panic!("no line of {}: {words}", included.name()));
    assert!(
        line.contains(" yes ") && line.contains(" include "),
        "{line}"
    );

    included.stop();
    let reason = decided(&supervisor, &included, false, "include");
    assert!(reason.starts_with("container exited with code"), "{reason}");
}

#[test]
fn a_new_policy_moves_only_those_whom_it_concerns() {
    let world = World::new("hangup");
    world.configure(&["stays", "leaves"], &[]);
    let stays = world.container("stays", None);
    let leaves = world.container("leaves", None);
    let comes = world.container("comes", None);
    let supervisor = world.supervisor();
    let agent = agent_in(&supervisor, &stays);
    decided(&supervisor, &leaves, true, "include");
    decided(&supervisor, &comes, false, "default");

    world.configure(&["stays", "leaves", "comes"], &["leaves"]);
    supervisor.signal(Signal::HUP);
    decided(&supervisor, &leaves, false, "exclude");
    decided(&supervisor, &comes, true, "include");
    assert_eq!(agent_in(&supervisor, &stays), agent, "the same companion");

    // A mistake changes nothing.
    fs::write(
        world.file(),
        "[attach]\ndefault = true\ninclude = [\"a b\"]\n",
    )
    .expect("a file");
    supervisor.signal(Signal::HUP);
    wait_until(SOON, "the log to tell what is wrong", || {
        supervisor.log().contains("attach.include").then_some(())
    });
    decided(&supervisor, &leaves, false, "exclude");
    assert_eq!(agent_in(&supervisor, &stays), agent, "the same companion");

    world.configure(&["stays", "leaves", "comes"], &[]);
    supervisor.signal(Signal::HUP);
    decided(&supervisor, &leaves, true, "include");
    assert_eq!(agent_in(&supervisor, &stays), agent, "the same companion");
}
