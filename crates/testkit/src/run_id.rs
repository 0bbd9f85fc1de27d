//! Which test process a container belongs to: pid and start time, so that a recycled pid is not taken for it.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

/// The label every container of a test carries.
pub(crate) const LABEL: &str = "io.diogenes.test";

/// The id of this test process, as [`LABEL`]'s value.
pub(crate) fn own() -> String {
    let pid = std::process::id();
    format!("{pid}-{}", start_time(pid).unwrap_or_default())
}

/// Whether the test process `id` still lives. An id of another form is nobody's.
pub(crate) fn lives(id: &str) -> bool {
    let Some((pid, started)) = id.split_once('-') else {
        return false;
    };
    pid.parse()
        .ok()
        .and_then(start_time)
        .is_some_and(|time| time.to_string() == started)
}

/// A name no other container of any test has, `hint` for the reader.
pub(crate) fn unique_name(hint: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "test-{}-{}-{hint}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Start time of a process in clock ticks since boot; None where there is none. Source: proc_pid_stat(5), field 22.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold spaces and parentheses: the fields count from its last one.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_lives_as_long_as_its_very_process() {
        assert!(lives(&own()));
        let recycled = format!("{}-1", std::process::id());
        assert!(!lives(&recycled) && !lives("4194305-77") && !lives("yes"));
    }

    #[test]
    fn names_do_not_repeat() {
        assert_ne!(unique_name("redis"), unique_name("redis"));
    }
}
