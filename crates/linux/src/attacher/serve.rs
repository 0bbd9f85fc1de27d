//! The attacher's loop: requests in, launches under way, replies out. Single-threaded, and never waiting for
//! anything but all of them together.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use rustix::process::{DumpableBehavior, Signal, pidfd_send_signal, set_dumpable_behavior};
use rustix::stdio::{dup2_stdin, dup2_stdout};

use super::launch::{self, Step};
use super::link::{self, Attached, Refusal, Reply, Request};
use crate::signals;

/// A launch takes milliseconds; one that takes this long hangs, and is ended.
const LAUNCH_DEADLINE: Duration = Duration::from_secs(5);

/// A launch under way.
struct Launch {
    id: u64,
    deadline: Instant,
    /// The launcher's process, to be ended when it hangs.
    launcher: OwnedFd,
    /// Where launcher and agent tell what happened; closed by the kernel when the agent is executed.
    outcome: OwnedFd,
    session: OwnedFd,
    agent: Option<OwnedFd>,
}

/// Runs the attacher: standard input is the control socket, standard output the agent's program. Returns when the
/// supervisor's end closes.
///
/// # Errors
/// The system's, with the step, where it cannot start to work.
pub fn serve() -> Result<(), (&'static str, Errno)> {
    let step = |name| move |errno| (name, errno);
    let control =
        fcntl_dupfd_cloexec(std::io::stdin(), 3).map_err(step("taking over the control socket"))?;
    let program = fcntl_dupfd_cloexec(std::io::stdout(), 3)
        .map_err(step("taking over the agent's program"))?;
    let empty = crate::program::empty_sealed_file().map_err(step("making an empty file"))?;
    dup2_stdin(&empty)
        .and_then(|()| dup2_stdout(&empty))
        .map_err(step("replacing standard input and output"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("becoming undumpable"))?;
    signals::ignore(Signal::CHILD).map_err(step("ignoring SIGCHLD"))?;

    let mut launches: Vec<Launch> = Vec::new();
    loop {
        let ready = wait(&control, &launches).map_err(step("waiting"))?;
        let (control_ready, launch_ready) = ready
            .split_first()
            .map_or((false, &[][..]), |(first, rest)| (*first, rest));
        let mut index = 0;
        let now = Instant::now();
        launches.retain_mut(|launch| {
            let is_ready = launch_ready.get(index).copied().unwrap_or(false);
            index += 1;
            let result = if is_ready { launch.advance() } else { None };
            let result = result.or_else(|| (now >= launch.deadline).then(|| launch.give_up()));
            let Some(result) = result else { return true };
            let _ = link::reply(
                control.as_fd(),
                &Reply {
                    id: launch.id,
                    result,
                },
            );
            false
        });
        if control_ready {
            match link::next_request(control.as_fd()) {
                Ok(Some(request)) => {
                    let id = request.id;
                    match start(request, &program) {
                        Ok(launch) => launches.push(launch),
                        Err(why) => {
                            let _ = link::reply(
                                control.as_fd(),
                                &Reply {
                                    id,
                                    result: Err((Refusal::Failed, why)),
                                },
                            );
                        }
                    }
                }
                Ok(None) => return Ok(()),
                Err(errno) => return Err(("reading a request", errno)),
            }
        }
    }
}

/// Waits until something can be read or a deadline passes: for the control socket first, then for each launch.
fn wait(control: &OwnedFd, launches: &[Launch]) -> Result<Vec<bool>, Errno> {
    let mut fds = vec![PollFd::new(control, PollFlags::IN)];
    fds.extend(
        launches
            .iter()
            .map(|launch| PollFd::new(&launch.outcome, PollFlags::IN)),
    );
    let timeout = launches
        .iter()
        .map(|launch| launch.deadline)
        .min()
        .map(|deadline| {
            let rest =
                deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec {
                tv_sec: rest.as_secs().cast_signed(),
                tv_nsec: rest.subsec_nanos().into(),
            }
        });
    rustix::io::retry_on_intr(|| poll(&mut fds, timeout.as_ref()))?;
    Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
}

fn start(request: Request, program: &OwnedFd) -> Result<Launch, String> {
    let failed = |errno: Errno| format!("cannot make sockets for the launch: {errno}");
    let (session, agent_end) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed)?;
    let (outcome, outcome_end) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed)?;
    let launcher = launch::fork_launcher(&request, &agent_end, &outcome_end, program)
        .map_err(|errno| format!("cannot start a launcher: {errno}"))?;
    let deadline = Instant::now() + LAUNCH_DEADLINE;
    Ok(Launch {
        id: request.id,
        deadline,
        launcher,
        outcome,
        session,
        agent: None,
    })
}

type Outcome = Result<Attached, (Refusal, String)>;

impl Launch {
    /// Takes the next word about the launch; the outcome once it is decided.
    fn advance(&mut self) -> Option<Outcome> {
        let (bytes, mut fds) = match link::receive(self.outcome.as_fd(), RecvFlags::DONTWAIT) {
            Ok(Some(word)) => word,
            Err(Errno::AGAIN) => return None,
            // The last holder of the other end is gone: the agent was executed, or it died on the way.
            Ok(None) | Err(_) => return Some(self.conclude()),
        };
        if let Some((step, errno)) = Step::from_bytes(&bytes) {
            let refusal = match errno {
                Errno::SRCH => Refusal::Gone,
                Errno::PERM | Errno::ACCESS => Refusal::NotPermitted,
                _ => Refusal::Failed,
            };
            self.end();
            return Some(Err((refusal, format!("{}: {errno}", step.words()))));
        }
        self.agent = fds.pop();
        None
    }

    fn conclude(&mut self) -> Outcome {
        let agent = self
            .agent
            .take()
            .ok_or((Refusal::Failed, "the launcher died".to_owned()))?;
        let session = self.session.try_clone();
        let session = session.map_err(|error| {
            (
                Refusal::Failed,
                format!("cannot pass the session on: {error}"),
            )
        })?;
        Ok(Attached { session, agent })
    }

    fn give_up(&mut self) -> Outcome {
        self.end();
        Err((
            Refusal::Failed,
            format!(
                "the launch did not finish within {} s",
                LAUNCH_DEADLINE.as_secs()
            ),
        ))
    }

    fn end(&mut self) {
        for process in self.agent.iter().chain([&self.launcher]) {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}
