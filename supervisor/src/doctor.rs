//! `diogenes doctor`: what a supervisor needs of this host, one line each, and what mends what is missing.
//!
//! ```text
//! look (may hang, so each with a deadline) ─► Facts ─► judge (pure) ─► Checks ─► text or JSON
//! ```
//!
//! Nothing is changed: no container is entered, and what is written to try a directory is gone at once. Each module
//! holds one subject: its facts, how they are looked up, and the verdicts on them.

mod agent;
mod check;
mod clock;
mod configuration;
mod engine;
mod kernel;
mod lock;
mod place;
mod port;
mod privileges;
mod report;
mod running;
mod tekton;

use std::time::Duration;

use diogenes_engine::Docker;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::attendants::choice::Choice;
use crate::cli::terminal::Terminal;
use crate::config::{General, Sources};
use crate::doctor::agent::Agent;
use crate::doctor::check::{Check, Status};
use crate::doctor::clock::Clock;
use crate::doctor::engine::EngineFacts;
use crate::doctor::kernel::Kernel;
use crate::doctor::place::Place;
use crate::doctor::port::Port;
use crate::doctor::privileges::Privileges;
pub(crate) use crate::doctor::report::Aim;
use crate::doctor::report::Report;
use crate::doctor::running::Running;
use crate::exit::Failure;

pub(crate) use agent::ask_version;

/// How long one look may take. They go on at the same time, and one follows another at most once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Everything the verdicts rest on. None where the look took too long: a file system or device that hangs.
#[derive(Debug)]
struct Facts {
    engine: EngineFacts,
    /// Those of the running supervisor, or, where there is none, our own.
    privileges: Option<Privileges>,
    own_privileges: Option<Privileges>,
    kernel: Option<Kernel>,
    agent: Option<Agent>,
    run_dir: Option<Place>,
    running: Running,
    port: Option<Port>,
    state_dir: Option<Place>,
    clock: Clock,
}

/// Looks, judges, and gives the text to print, with the failure to end with where something is to be mended.
///
/// # Errors
/// Where the report cannot be put into JSON.
pub(crate) async fn run(
    sources: &Sources,
    aim: Aim,
    json: bool,
) -> anyhow::Result<(String, Result<(), Failure>)> {
    let (settings, configuration) = configuration::look(sources);
    let mut checks = vec![configuration];
    if let Some(settings) = settings {
        checks.extend(match aim {
            Aim::Attending => judge(&look(&settings.general).await),
            Aim::Tekton => tekton::checks(&settings).await,
        });
    }
    let report = Report::new(checks, aim);
    let text = if json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        report.text(Terminal::stdout())
    };
    let ending = if report.ready {
        Ok(())
    } else {
        Err(Failure::told())
    };
    Ok((text, ending))
}

async fn look(settings: &General) -> Facts {
    let General {
        listen,
        run_dir,
        state_dir,
        engine,
        agent,
        via,
        ..
    } = settings.clone();
    let clock = clock::Start::now();
    let docker = Docker::new(engine);
    let (run_place, state_place) = (run_dir.clone(), state_dir);
    let (engine, own_privileges, kernel, agent, run_dir, (running, port, privileges), state_dir) = tokio::join!(
        EngineFacts::look(&docker, via),
        without_hanging(|| Privileges::look(None)),
        without_hanging(Kernel::look),
        Agent::look(agent, run_dir.clone()),
        without_hanging(move || Place::look(&run_place)),
        async {
            let running = Running::look(&run_dir).await;
            let holder = running.pid();
            let (port, privileges) = tokio::join!(
                without_hanging(move || Port::look(listen)),
                without_hanging(move || Privileges::look(holder)),
            );
            (running, port, privileges)
        },
        without_hanging(move || Place::look(&state_place)),
    );
    let clock = clock.end(&engine);
    Facts {
        engine,
        privileges,
        own_privileges,
        kernel,
        agent,
        run_dir,
        running,
        port,
        state_dir,
        clock,
    }
}

/// All verdicts, in the order in which a person would mend things.
fn judge(facts: &Facts) -> Vec<Check> {
    // Exec takes neither privileges nor anything of this kernel.
    let exec_stands_in = facts.engine.via != Choice::Attach;
    // The system calls were tried with our own privileges; what is hidden is hidden from the supervisor.
    let is_admin = facts
        .own_privileges
        .as_ref()
        .is_some_and(Privileges::is_sys_admin);
    let may_see_all = facts
        .privileges
        .as_ref()
        .is_some_and(Privileges::is_sys_ptrace);
    let mut attaching = vec![judged(
        privileges::ID,
        privileges::TITLE,
        facts.privileges.as_ref(),
        privileges::judge,
    )];
    match &facts.kernel {
        Some(kernel) => attaching.extend(kernel::judge(kernel, is_admin, may_see_all)),
        None => attaching.push(hung("kernel", "Kernel")),
    }
    let may_attach = attaching.iter().all(|check| check.status != Status::Failed);
    let mut checks = engine::judge(&facts.engine, facts.running.is_live(), may_attach);
    let spared = |check: Check| check.or_else(exec_stands_in);
    checks.extend(attaching.into_iter().map(spared));
    match &facts.agent {
        Some(agent) => {
            let noexec_level = facts.kernel.as_ref().and_then(|kernel| kernel.memfd_noexec);
            checks.extend(agent::judge(agent, noexec_level, facts.run_dir.as_ref()));
        }
        None => checks.push(hung(agent::ID, agent::TITLE)),
    }
    checks.push(judged(
        place::RUN_ID,
        place::RUN_TITLE,
        facts.run_dir.as_ref(),
        |place| place::judge_run_dir(place, &facts.running),
    ));
    checks.push(running::judge(&facts.running));
    checks.push(judged(port::ID, port::TITLE, facts.port.as_ref(), |port| {
        port::judge(port, &facts.running)
    }));
    checks.push(judged(
        place::STATE_ID,
        place::STATE_TITLE,
        facts.state_dir.as_ref(),
        place::judge_state_dir,
    ));
    checks.extend(clock::judge(&facts.clock));
    checks
}

fn judged<T>(
    id: &'static str,
    title: &'static str,
    facts: Option<&T>,
    judge: impl FnOnce(&T) -> Check,
) -> Check {
    facts.map_or_else(|| hung(id, title), judge)
}

fn hung(id: &'static str, title: &'static str) -> Check {
    Check::failed(
        id,
        title,
        format!("no answer within {} s", PATIENCE.as_secs()),
        "a file system seems to hang; `mount` lists them, and one over the network or FUSE is the first to suspect",
    )
}

/// Looks where looking may hang: on a thread of its own, which then is left behind. None where it hung.
async fn without_hanging<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    // Not the runtime's own pool: the runtime waits for that at its end.
    std::thread::Builder::new()
        .name("doctor".into())
        .spawn(move || drop(sender.send(look())))
        .ok()?;
    timeout(PATIENCE, receiver).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_that_hangs_is_left_behind() {
        assert_eq!(without_hanging(|| 6 * 7).await, Some(42));
        tokio::time::pause();
        let (keep, never) = std::sync::mpsc::channel::<()>();
        assert_eq!(without_hanging(move || never.recv()).await, None);
        drop(keep);
        assert!(hung("a", "A").detail.contains("2 s"));
    }
}
