//! The helper of `on_change`, a process of the real program: started as the supervisor starts it, with SIGCHLD ignored.
#![allow(clippy::unwrap_used, reason = "a test says by it what must be so")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A helper with its order, whose standard input is still open.
fn order(argv: &[&str], deadline_ms: u32) -> Child {
    let mut helper = Command::new("/bin/sh")
        .args([
            "-c",
            "trap '' CHLD USR1; exec \"$0\" on-change",
            env!("CARGO_BIN_EXE_diogenes"),
        ])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let order = json!({
        "argv": argv,
        "variables": {"DIOGENES_CONTAINER": "shop", "DIOGENES_REASON": "$(touch /tmp/x) `id`"},
        "input": "{\"type\":\"test\"}",
        "deadline": {"secs": deadline_ms / 1000, "nanos": deadline_ms % 1000 * 1_000_000},
    });
    let stdin = helper.stdin.as_mut().unwrap();
    stdin.write_all(format!("{order}\n").as_bytes()).unwrap();
    helper
}

/// What becomes of a command.
fn outcome(argv: &[&str], deadline_ms: u32) -> Value {
    let mut helper = order(argv, deadline_ms);
    let mut text = String::new();
    helper
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(helper.wait().unwrap().success());
    serde_json::from_str(&text).unwrap()
}

fn sh(script: &str) -> Value {
    outcome(&["/bin/sh", "-c", script], 10_000)
}

fn exited(code: i32, output: &str) -> Value {
    json!({"end": "exited", "code": code, "output": output})
}

/// Waits until the file is there and holds something.
fn read_soon(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(
                Instant::now() < deadline,
                "{} does not come",
                path.display()
            ),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is not gone: somebody has not waited.
    stat.is_empty()
}

fn await_gone(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_gone(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_command_gets_the_alert_and_its_end_is_told() {
    assert_eq!(sh("cat; exit 0"), exited(0, "{\"type\":\"test\"}"));
    assert_eq!(sh("echo out; echo err >&2; exit 3"), exited(3, "out\nerr"));
    assert_eq!(
        sh("kill -9 $$"),
        json!({"end": "killed", "signal": 9, "output": ""})
    );
    assert_eq!(sh("pwd"), exited(0, "/"));
    assert_eq!(
        sh("echo \"$DIOGENES_CONTAINER: $DIOGENES_REASON\""),
        exited(0, "shop: $(touch /tmp/x) `id`"),
        "text of a container is never run"
    );
}

#[test]
fn its_environment_is_clean_and_its_signals_are_as_a_program_expects() {
    let names = sh("env | cut -d= -f1 | sort | tr '\\n' ' '");
    assert_eq!(
        names,
        exited(0, "DIOGENES_CONTAINER DIOGENES_REASON PATH PWD")
    );
    let mask = |name: &str| {
        let told = sh(&format!("sed -n 's/^{name}:\\t//p' /proc/self/status"));
        u64::from_str_radix(told["output"].as_str().unwrap(), 16).unwrap()
    };
    // But for 32 and 33: the C library keeps them to itself, and lets nobody change what they were inherited with.
    let own = 0b11 << 31;
    assert_eq!((mask("SigBlk"), mask("SigIgn") & !own), (0, 0));
    // With SIGCHLD ignored, `wait` could not tell how its child ended.
    assert_eq!(sh("(exit 5) & wait $!; echo $?"), exited(0, "5"));
    assert_eq!(
        sh("[ $(cut -d ' ' -f 5 /proc/$$/stat) = $$ ] && tty"),
        exited(1, "not a tty")
    );
}

#[test]
fn a_program_that_is_not_there_is_said_to_be() {
    let outcome = outcome(&["/no/such/program"], 10_000);
    assert_eq!(
        outcome,
        json!({"end": "not_started", "why": "No such file or directory (os error 2)", "output": ""})
    );
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!(
        "trap '' TERM; sleep 60 & echo $$ $! >{}; wait; sleep 60",
        pids.display()
    );
    let begun = Instant::now();
    let outcome = outcome(&["/bin/sh", "-c", &script], 500);
    assert_eq!(outcome["end"], "too_slow");
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(2_500) && took < Duration::from_secs(5),
        "the deadline and 2 s to end by itself: {took:?}"
    );
    for pid in read_soon(&pids).split(' ') {
        await_gone(pid);
    }
}

#[test]
fn a_command_that_ends_at_sigterm_is_still_too_slow() {
    let begun = Instant::now();
    assert_eq!(outcome(&["sleep", "60"], 300)["end"], "too_slow");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_flood_of_output_is_read_and_not_kept() {
    let outcome = sh("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo the end");
    assert_eq!(outcome["code"], 0);
    let output = outcome["output"].as_str().unwrap();
    assert!(
        output.len() <= 4096 && output.ends_with("x\nthe end"),
        "{} bytes",
        output.len()
    );
    let begun = Instant::now();
    let flood = self::outcome(&["yes"], 500);
    assert_eq!(flood["end"], "too_slow");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "a flood does not move the deadline"
    );
}

#[test]
fn what_a_command_leaves_in_the_background_keeps_nobody_waiting() {
    let begun = Instant::now();
    assert_eq!(sh("sleep 7 & echo left"), exited(0, "left"));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn when_the_supervisor_goes_the_command_goes_too() {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("pid");
    let script = format!("echo $$ >{}; sleep 60 & wait", file.display());
    let mut helper = order(&["/bin/sh", "-c", &script], 60_000);
    let pid = read_soon(&file);
    assert!(!is_gone(&pid));
    drop(helper.stdin.take());
    await_gone(&pid);
    assert!(helper.wait().unwrap().success());
}
