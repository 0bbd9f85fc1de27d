//! What is careless about how the container's programs run: nothing is wrong yet, and an intruder would be glad of it.
//!
//! | code | severity | the fact |
//! |---|---|---|
//! | `secrets-on-command-lines` | info | who lists processes reads them |
//! | `runs-as-root` | info | all processes of a service are the superuser's |
//! | `writable-program` | info | a service could overwrite what it runs, for its next start |

use diogenes_proto::untrusted::REDACTED;
use diogenes_proto::{Finding, Process, Severity, Snapshot, Timestamp, Untrusted};

use super::track::Track;
use crate::words::{count, list, sentence};

/// Most secrets that are named.
const MAX_NAMED: usize = 4;

/// What a snapshot shows of carelessness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Posture {
    /// Where the first secrets stand, in words, and never what they are.
    secrets: Vec<Untrusted>,
    /// How many processes have secrets on their command lines.
    with_secrets: usize,
}

impl Posture {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut posture = Self::default();
        for place in snapshot.processes.iter().filter_map(secret) {
            posture.with_secrets += 1;
            if posture.secrets.len() < MAX_NAMED {
                posture.secrets.push(place);
            }
        }
        posture
    }

    /// Each as a finding, found just now.
    pub(crate) fn findings<'a>(
        &self,
        tracks: impl Iterator<Item = &'a Track> + Clone,
        now: Timestamp,
    ) -> Vec<Finding> {
        let finding = |code: &str, summary: String, evidence: Vec<Untrusted>| Finding {
            code: code.to_owned(),
            severity: Severity::Info,
            summary: sentence(summary),
            service: None,
            evidence,
            since: now,
        };
        let mut found = Vec::new();
        if self.with_secrets > 0 {
            let processes = count(self.with_secrets, "process");
            let summary = format!(
                "secrets stand on the command lines of {processes}, where everybody in the container can read them; a file or the environment would keep them"
            );
            let code = "secrets-on-command-lines";
            found.push(finding(code, summary, self.secrets.clone()));
        }
        let as_root: Vec<String> = tracks
            .clone()
            .filter(|track| track.condition.all_root)
            .map(|track| track.name().to_string())
            .collect();
        if !as_root.is_empty() {
            let verb = if as_root.len() == 1 { "runs" } else { "run" };
            let summary = format!("{} {verb} as root", list(&as_root[..as_root.len().min(8)]));
            found.push(finding("runs-as-root", summary, Vec::new()));
        }
        let open = tracks.filter_map(|track| Some((track.name(), track.learnt.writable.as_ref()?)));
        let open: Vec<Untrusted> = open
            .take(MAX_NAMED)
            .map(|(name, file)| sentence(format!("{name:.40}: {file:.200}")))
            .collect();
        if !open.is_empty() {
            let summary = "programs can be overwritten by others than root: who breaks into one stays there over its next start; files of root that only root can write would keep them out";
            found.push(finding("writable-program", summary.to_owned(), open));
        }
        found
    }
}

/// `pid 7 (redis-server) after --requirepass`; None where a command line has no secret.
fn secret(process: &Process) -> Option<Untrusted> {
    let words = || process.command.iter().map(Untrusted::as_raw);
    let at = words().position(|word| word.contains(REDACTED))?;
    let word = words().nth(at)?;
    let (before, _) = word.split_once(REDACTED)?;
    let option = match before {
        "" => at.checked_sub(1).and_then(|at| words().nth(at))?,
        before => before.trim_end_matches(['=', ':']),
    };
    let (pid, name) = (process.container_pid, &process.name);
    Some(sentence(format!(
        "pid {pid} ({name:.40}): {:.60}",
        Untrusted::from(option)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_its_place() {
        for (line, expected) in [
            (
                &["redis-server", "--requirepass", "[redacted]"][..],
                Some("pid 7 (it): --requirepass"),
            ),
            (&["mysql", "-p[redacted]"], Some("pid 7 (it): -p")),
            (
                &["app", "--password=[redacted]"],
                Some("pid 7 (it): --password"),
            ),
            (
                &["app", "postgres://bob:[redacted]@db/x"],
                Some("pid 7 (it): postgres://bob"),
            ),
            (&["app", "--port", "80"], None),
        ] {
            let process = Process {
                container_pid: 7,
                name: "it".into(),
                command: line.iter().map(|&word| word.into()).collect(),
                ..Process::default()
            };
            let named = secret(&process);
            assert_eq!(named.as_ref().map(Untrusted::as_raw), expected, "{line:?}");
        }
    }
}
