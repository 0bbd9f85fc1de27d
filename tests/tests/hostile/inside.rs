//! Running the enemy's scripts in its container.

use diogenes_testkit::Container;
use diogenes_tests::status_of;
use serde_json::Value;

/// Runs a script of Python as root of the container, and returns what it printed.
#[track_caller]
pub(crate) fn python(enemy: &Container, script: &str, args: &[&str]) -> String {
    let output = enemy.exec(&[&["python3", "-c", script], args].concat());
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    words
}

/// Makes attempts of `attempts.py` on the process that the host knows as `pid`; the outcome of each, in order.
#[track_caller]
pub(crate) fn attempt(enemy: &Container, pid: u32, attempts: &[&str]) -> Vec<Value> {
    let pid = inner_pid(pid);
    let words = [&[pid.as_str()], attempts].concat();
    let lines = python(enemy, include_str!("attempts.py"), &words);
    let outcome = |line| serde_json::from_str(line).expect("JSON");
    lines.lines().map(outcome).collect()
}

/// The pid of a process as the innermost of its namespaces has it.
#[track_caller]
pub(crate) fn inner_pid(pid: u32) -> String {
    let pids = status_of(pid, "NSpid").expect("a living process");
    pids.split_whitespace().last().expect("a pid").to_owned()
}
