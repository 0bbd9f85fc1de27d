//! The agent's program: whether it is there, fits, runs, and is of our version; and the memory it is run from.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use diogenes_linux::contract::AGENT_NAME;
use diogenes_linux::program::Program;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::attendants::attacher::beside_this_executable;
use crate::cli::table::short_bytes;
use crate::doctor::check::{Check, Status};
use crate::doctor::place::Place;
use crate::doctor::{PATIENCE, without_hanging};
use crate::supervisor::Supervisor;

pub(super) const ID: &str = "agent";
pub(super) const TITLE: &str = "Agent";
const MEMORY_ID: &str = "agent-memory";
const MEMORY_TITLE: &str = "Agent's memory";

/// Longest answer to `--version` that is read.
const MAX_VERSION_BYTES: u64 = 256;

/// What was seen of the agent's program.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    /// Where it was looked for.
    pub(super) path: PathBuf,
    /// Whether the user named the place.
    pub(super) is_named: bool,
    /// Its length; None where it is not there.
    pub(super) size_bytes: Option<u64>,
    /// Whether memory holds it, and not an unnamed file; or why neither can.
    pub(super) held: Result<bool, String>,
    /// What it calls itself when it is run from there; or why it does not run.
    pub(super) version: Result<String, String>,
}

impl Agent {
    /// Loads the program as the supervisor does, and runs it from there with `--version`. None where that hangs.
    pub(super) async fn look(named: Option<PathBuf>, run_dir: PathBuf) -> Option<Self> {
        let is_named = named.is_some();
        let (mut agent, program) = without_hanging(move || {
            let path = named.map_or_else(beside_this_executable, Ok);
            let path = path.unwrap_or_else(|_| PathBuf::from(AGENT_NAME));
            // The supervisor would make the run directory first.
            let fallback = super::place::existing(&run_dir).to_owned();
            let loaded = Program::load(&path, &fallback).context("");
            let agent = Self {
                size_bytes: path.metadata().ok().map(|metadata| metadata.len()),
                path,
                is_named,
                held: match &loaded {
                    Ok(program) => Ok(program.is_in_memory()),
                    Err(error) => Err(format!("{error:#}").trim_start_matches(": ").to_owned()),
                },
                version: Err("it was not run".into()),
            };
            (agent, loaded.ok())
        })
        .await?;
        if let Some(program) = program {
            agent.version = match timeout(PATIENCE, ask_version(&program)).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
        }
        Some(agent)
    }
}

/// What the program prints when asked for its version. It is ended with the question.
pub(crate) async fn ask_version(program: &Program) -> io::Result<String> {
    let path = format!("/proc/self/fd/{}", program.as_fd().as_raw_fd());
    let mut child = tokio::process::Command::new(path)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut bytes = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(MAX_VERSION_BYTES)
            .read_to_end(&mut bytes)
            .await?;
    }
    let status = child.wait().await?;
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The verdicts. `noexec_level` is `vm.memfd_noexec`; `run_dir` takes the program where memory cannot.
pub(super) fn judge(
    facts: &Agent,
    noexec_level: Option<u8>,
    run_dir: Option<&Place>,
) -> Vec<Check> {
    let memory = memory(facts, noexec_level, run_dir);
    let is_held = memory.status != Status::Failed;
    vec![program(facts, is_held), memory]
}

/// Where nothing can hold it (`is_held`), that is what is to be mended.
fn program(facts: &Agent, is_held: bool) -> Check {
    let path = facts.path.display();
    let Some(size) = facts.size_bytes else {
        let advice = if facts.is_named {
            "give the right path with --agent"
        } else {
            "`make build` makes one beside diogenes; or name it with --agent"
        };
        return Check::failed(ID, TITLE, format!("there is none at {path}"), advice);
    };
    let failed = |detail| {
        Check::failed(
            ID,
            TITLE,
            detail,
            "install the one that comes with this diogenes, or name it with --agent",
        )
    };
    match (&facts.held, &facts.version) {
        (_, Err(_)) if !is_held => Check::warning(
            ID,
            TITLE,
            format!("{path} could not be run"),
            "mend the agent's memory first, which the next line is about",
        ),
        (Err(why), _) => failed(why.clone()),
        (Ok(_), Err(why)) => failed(format!("{path} does not run: {why}")),
        (Ok(_), Ok(version)) => {
            let size = short_bytes(size);
            let expected = format!("{AGENT_NAME} {}", Supervisor::VERSION);
            if *version == expected {
                return Check::ok(ID, TITLE, format!("{version}, static, {size}, at {path}"));
            }
            if version.strip_prefix(AGENT_NAME).is_none() {
                return failed(format!("{path} calls itself \"{version}\": it is no agent"));
            }
            Check::warning(
                ID,
                TITLE,
                format!(
                    "{version} at {path} is not of this diogenes's version, {}",
                    Supervisor::VERSION
                ),
                "install both of one version; until then they speak what both know",
            )
        }
    }
}

fn memory(facts: &Agent, noexec_level: Option<u8>, run_dir: Option<&Place>) -> Check {
    let level = noexec_level.map_or_else(
        || "this kernel has no vm.memfd_noexec".to_owned(),
        |level| format!("vm.memfd_noexec is {level}"),
    );
    let place = run_dir.map_or_else(
        || "the run directory".to_owned(),
        |place| place.existing.display().to_string(),
    );
    let is_noexec = run_dir.is_some_and(|place| place.is_noexec);
    match facts.held {
        Ok(true) => Check::ok(
            MEMORY_ID,
            MEMORY_TITLE,
            format!("executable memory files are allowed ({level})"),
        ),
        Ok(false) | Err(_) if noexec_level == Some(2) && is_noexec => Check::failed(
            MEMORY_ID,
            MEMORY_TITLE,
            format!(
                "{level}, which forbids executable memory files, and {place} is mounted noexec"
            ),
            "sysctl vm.memfd_noexec=1, or a --run-dir on a file system that is not mounted noexec",
        ),
        Ok(false) => Check::warning(
            MEMORY_ID,
            MEMORY_TITLE,
            format!(
                "{level}, which forbids executable memory files: companions run from an unnamed file in {place}"
            ),
            "nothing has to be done; sysctl vm.memfd_noexec=1 would allow them",
        ),
        Err(_) => Check::warning(
            MEMORY_ID,
            MEMORY_TITLE,
            format!("not tried without a fit agent ({level})"),
            "mend the agent first",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::doctor::check::Status::{Failed, Ok as Fine, Warning};

    fn agent() -> Agent {
        Agent {
            path: "/usr/bin/diogenes-agent".into(),
            is_named: false,
            size_bytes: Some(900_000),
            held: Ok(true),
            version: Ok(format!("diogenes-agent {}", Supervisor::VERSION)),
        }
    }

    fn place(is_noexec: bool) -> Place {
        Place {
            is_noexec,
            ..Place::look(Path::new("/"))
        }
    }

    #[test]
    fn each_agent_has_its_verdict() {
        type Change = fn(&mut Agent);
        let cases: [(Change, Status, &str); 7] = [
            (|_| {}, Fine, "static, 878K, at /usr/bin/diogenes-agent"),
            (
                |a| a.size_bytes = None,
                Failed,
                "there is none at /usr/bin/diogenes-agent",
            ),
            (
                |a| a.held = Err("it is made for another processor".into()),
                Failed,
                "another processor",
            ),
            (
                |a| a.version = Err("Permission denied".into()),
                Failed,
                "does not run: Permission denied",
            ),
            (
                |a| a.version = Ok("diogenes-agent 0.0.1".into()),
                Warning,
                "not of this diogenes's version",
            ),
            (|a| a.version = Ok("busybox".into()), Failed, "no agent"),
            (|a| a.version = Ok(String::new()), Failed, "no agent"),
        ];
        for (change, status, words) in cases {
            let mut agent = agent();
            change(&mut agent);
            let check = program(&agent, true);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.detail.contains(words), "{check:?}");
        }
    }

    #[test]
    fn forbidden_memory_has_a_fallback_that_must_be_executable() {
        for (held, level, is_noexec, status, words) in [
            (Ok(true), None, true, Fine, "no vm.memfd_noexec"),
            (Ok(true), Some(1), true, Fine, "is 1"),
            (Ok(false), Some(2), false, Warning, "unnamed file in /"),
            (Ok(false), Some(2), true, Failed, "mounted noexec"),
            (Err("unfit".to_owned()), Some(0), true, Warning, "not tried"),
        ] {
            let agent = Agent {
                held,
                version: Err("Permission denied".into()),
                ..agent()
            };
            let failures = judge(&agent, level, Some(&place(is_noexec)));
            let failures = failures.iter().filter(|check| check.status == Failed);
            assert!(failures.count() <= 1, "one cause is told once: {agent:?}");
            let check = memory(&agent, level, Some(&place(is_noexec)));
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.detail.contains(words), "{check:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_program_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("agent");
        std::fs::write(&script, "#!/bin/sh\necho diogenes-agent\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let agent = Agent::look(Some(script), dir.path().into()).await.unwrap();
        assert_eq!(agent.size_bytes, Some(30));
        let why = agent.held.clone().unwrap_err();
        assert!(why.contains("ELF"), "{why}");
        assert_eq!(program(&agent, true).status, Failed);
        assert_eq!(agent.version, Err("it was not run".into()));
        let nowhere = Agent::look(Some("/nowhere".into()), dir.path().into()).await;
        assert_eq!(program(&nowhere.unwrap(), true).status, Failed);
    }
}
