//! What people see, and what must not be in it.

use std::process::{Command, Stdio};
use std::time::Duration;

use diogenes_testkit::dist;

use crate::world::World;

/// A word that the enemy would like to see at the beginning of a line.
pub(crate) const FORGED: &str = "FORGED";

/// A text that moves cursors, changes titles, rings, hides, turns its direction and forges a line of its own.
pub(crate) fn hostile_text() -> String {
    format!(
        "a\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\u{202e}gnp\u{200b}\u{2028}b\r\n{FORGED} healthy\n{FORGED}{{x=\"\\\"}} 1"
    )
}

/// All that the command line, the metrics and the log tell of a container and its neighbours, by its place.
pub(crate) fn shown(world: &World, name: &str) -> Vec<(&'static str, String)> {
    let supervisor = world.supervisor();
    let cli = |args: &[&str]| {
        let output = supervisor.cli(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
            + &String::from_utf8(output.stderr).expect("UTF-8")
    };
    let mut all = vec![
        ("ls", cli(&["ls"])),
        ("ls --all", cli(&["ls", "--all"])),
        ("status", cli(&["status"])),
        ("status NAME", cli(&["status", name])),
        ("status as JSON", cli(&["status", "--json"])),
        ("logs as JSON", cli(&["logs", "--json", name])),
        ("logs", cli(&["logs", name])),
        ("history", cli(&["history", name])),
        ("events", events(world)),
        ("metrics", supervisor.http("GET", "/metrics", None).1),
        ("the log", supervisor.log()),
    ];
    for (place, question) in [
        ("ask status", "status"),
        ("ask why", "why"),
        ("ask services", "what runs here"),
        ("ask ports", "ports"),
        ("ask processes", "processes"),
        ("ask version", "version"),
        ("ask findings", "findings"),
        ("ask changes", "what changed"),
        ("ask image", "image"),
        ("ask in its own words", &hostile_text()),
    ] {
        all.push((place, cli(&["ask", name, question])));
    }
    all
}

/// What `diogenes events` tells of the changes so far, in a short while.
fn events(world: &World) -> String {
    let (_, past) = world.supervisor().http("GET", "/api/v1/containers", None);
    assert!(!past.is_empty());
    let mut following = Command::new(dist("diogenes"))
        .arg("events")
        .env("DIOGENES_RUN_DIR", world.supervisor().run_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("diogenes");
    std::thread::sleep(Duration::from_millis(700));
    following.kill().expect("it runs until then");
    let output = following.wait_with_output().expect("its words");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// No character that a terminal obeys, and no line that the enemy has begun.
#[track_caller]
pub(crate) fn is_harmless(place: &str, words: &str) {
    let harmful = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let found = words.chars().find(harmful);
    assert!(found.is_none(), "{found:?} in {place}: {words:?}");
    // A log is made of lines, and indented where it is quoted.
    let forged = words.lines().find(|line| line.starts_with(FORGED));
    let is_quoted = place == "logs";
    assert!(
        is_quoted || forged.is_none(),
        "a forged line in {place}:\n{words}"
    );
}
