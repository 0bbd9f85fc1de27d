//! One container's attendant: a task that does what [`crate::attendants::attendance`] decides.
//!
//! It has at most one piece of work under way, an attempt to enter or the company of a companion, and
//! everything else that happens reaches it as a command. While nobody is attached a companion that dialled in may be
//! there ([`crate::attendants::visit`]). What it knows it writes into the registry.

use std::sync::Arc;
use std::time::Duration;

use diogenes_proto::{Finding, Request, Severity, Timestamp, Untrusted};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::attendants::attacher::Target;
use crate::attendants::attendance::{Action, Attendance, Event, Phase, Wait};
use crate::attendants::briefing::brief;
use crate::attendants::policy::{self, ATTACH_LABEL, Hand, Verdict};
use crate::attendants::visit::{self, Unwelcome, Visitor};
use crate::attendants::way_in::{Companion, Process, Via, WayIn};
use crate::config::Settings;
use crate::registry::presence::{Absence, Presence, wall_clock_in};
use crate::registry::{Entry, Registry};
use crate::session::{Session, SessionEnd, SessionHandle};

/// How long a companion that was told to go may take.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);
/// A container's end kills its companion a moment before its init is seen to have ended: so long a lost
/// companion may turn out to have been a clean end.
const INIT_GRACE: Duration = Duration::from_millis(500);
/// How long a look may take; nobody waits for it.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);
/// How long the attacher may take. It takes milliseconds; a hung container must not hold a place for ever.
const ENTER_DEADLINE: Duration = Duration::from_secs(10);
/// Finding: a companion was ended again and again.
const COMPANION_KILLED: &str = "companion-killed";
/// Finding: the container's label has a value that means nothing.
const STRANGE_LABEL: &str = "attach-label";
/// How much of such a value is shown, in characters.
const SHOWN_LABEL: usize = 64;

/// What an attendant is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// The container runs, or (None) has no processes.
    Runs {
        /// Its init.
        init_pid: Option<u32>,
        /// Whether it is paused.
        is_frozen: bool,
    },
    /// A person wants a companion there; answered once this has been decided on.
    Attach(oneshot::Sender<()>),
    /// A person wants none there; answered once this has been decided on.
    Detach(oneshot::Sender<()>),
    /// A companion of the container dialled in; it is given back where it is not received.
    Visit(
        Box<Visitor>,
        oneshot::Sender<Result<(), (Box<Visitor>, Unwelcome)>>,
    ),
}

/// A companion after its hello.
struct Arrival {
    via: Via,
    agent: Box<dyn Process>,
    init: Box<dyn Process>,
    session: Session,
    handle: SessionHandle,
    build: String,
}

/// What came of a piece of work.
enum Outcome {
    /// An attempt is over.
    Entered(Result<Box<Arrival>, String>),
    /// A companion is no longer there.
    Ended(Event),
}

/// A piece of work: an attempt, or the company of a companion.
type Work = BoxFuture<'static, Outcome>;

/// One container's attendant.
pub(crate) struct Attendant {
    /// The container's full id.
    pub(crate) id: String,
    /// How to get in.
    pub(crate) way_in: Arc<dyn WayIn>,
    /// Where to write what is known.
    pub(crate) registry: Arc<Registry>,
    /// Which containers are to have companions.
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    /// Bounds the attempts of all attendants at one time.
    pub(crate) gate: Arc<Semaphore>,
    /// The rule.
    pub(crate) attendance: Attendance,
    /// What it is told.
    pub(crate) commands: mpsc::Receiver<Command>,
}

impl Attendant {
    /// Attends until `stop`, or until nobody is left to tell it anything; sends its companion away before it returns.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let start = Instant::now();
        let mut work: Option<Work> = None;
        let mut visit: Option<BoxFuture<'static, ()>> = None;
        let mut close = stop.child_token();
        let mut stopping = false;
        // How the companion that is there came in; None where none is.
        let mut via = None;
        loop {
            let timer = self.attendance.timer().map(|at| start + at);
            let mut arrival = None;
            let mut reply = None;
            let event = tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    Event::DetachWanted
                }
                () = finished(&mut visit) => {
                    self.publish(None, None, false, start.elapsed());
                    continue;
                }
                outcome = finished(&mut work) => match outcome {
                    Outcome::Entered(Ok(entered)) => {
                        arrival = Some(entered);
                        Event::Entered
                    }
                    Outcome::Entered(Err(reason)) => Event::Failed(reason),
                    Outcome::Ended(event) => {
                        via = None;
                        event
                    }
                },
                command = self.commands.recv(), if !stopping => match command {
                    None => {
                        stopping = true;
                        Event::DetachWanted
                    }
                    // Who is frozen with the container is no company, and nobody can be brought in by that way.
                    Some(Command::Runs { is_frozen: true, .. })
                        if via.unwrap_or_else(|| self.way_in.via()).freezes() => Event::Stopped,
                    Some(Command::Runs { init_pid: Some(init_pid), .. }) => {
                        Event::Runs { init_pid, allowed: self.allows() }
                    }
                    Some(Command::Runs { init_pid: None, .. }) => Event::Stopped,
                    Some(Command::Attach(sender)) => {
                        reply = Some(sender);
                        Event::AttachWanted
                    }
                    Some(Command::Detach(sender)) => {
                        reply = Some(sender);
                        Event::DetachWanted
                    }
                    Some(Command::Visit(visitor, reply)) => {
                        let welcome = match &visit {
                            Some(_) => self.attendance.receives().and(Err(Unwelcome::Second)),
                            None => self.attendance.receives(),
                        };
                        let received = match welcome {
                            Ok(()) => {
                                visit = Some(visit::receive(self.registry.clone(), self.id.clone(), *visitor));
                                Ok(())
                            }
                            Err(why) => Err((visitor, why)),
                        };
                        let _ = reply.send(received);
                        continue;
                    }
                },
                Ok(()) = self.settings.changed(), if !stopping => Event::Judged { allowed: self.allows() },
                () = sleep_until(timer.unwrap_or(start)), if timer.is_some() => Event::TimeIsUp,
            };

            if matches!(event, Event::Runs { .. }) {
                self.let_look();
            }
            let before = self.attendance.phase().clone();
            let action = self.attendance.decide(event, start.elapsed());
            let arrived = arrival.as_ref().map(|arrival| Presence::Present {
                build: arrival.build.clone(),
                via: arrival.via,
            });
            if self.attendance.receives().is_err() && visit.take().is_some() {
                self.registry.set_session(&self.id, None);
            }
            if let Some(arrival) = arrival {
                via = Some(arrival.via);
                // Whoever came in too late is accompanied too: to the door, by the path all others take.
                close = stop.child_token();
                work = Some(self.accompany(*arrival, close.clone()));
            }
            match action {
                Action::None | Action::Accompany => {}
                Action::Attach { init_pid } => work = Some(self.enter(init_pid)),
                Action::Leave => close.cancel(),
            }
            if stopping {
                if work.is_none() {
                    return;
                }
                continue;
            }
            self.publish(Some(&before), arrived, visit.is_some(), start.elapsed());
            if let Some(reply) = reply {
                let _ = reply.send(());
            }
        }
    }

    /// Lets the companion that is there look anew: what the Engine has to tell of its container (a pause, other limits,
    /// the end of a process for want of memory) shows inside too, and need not wait for its next look.
    fn let_look(&self) {
        let entry = self.registry.get(&self.id);
        if let Some(session) = entry.and_then(|entry| entry.session.clone()) {
            // What it sees comes as a report.
            tokio::spawn(async move { session.request(Request::Report {}, LOOK_DEADLINE).await });
        }
    }

    /// An attempt: through the gate, into the container, hello.
    fn enter(&self, init_pid: u32) -> Work {
        let target = Target {
            container_id: self.id.clone(),
            init_pid,
            is_sandboxed: self
                .registry
                .get(&self.id)
                .is_some_and(|entry| entry.facts.is_sandboxed()),
        };
        let (way_in, gate) = (self.way_in.clone(), self.gate.clone());
        async move {
            let _place = gate.acquire_owned().await;
            let Companion {
                via,
                session,
                agent,
                init,
            } = match timeout(ENTER_DEADLINE, way_in.enter(target)).await {
                Ok(Ok(companion)) => companion,
                Ok(Err(error)) => return Outcome::Entered(Err(error.to_string())),
                Err(_) => {
                    return Outcome::Entered(Err(format!(
                        "no result within {} s",
                        ENTER_DEADLINE.as_secs()
                    )));
                }
            };
            match Session::greet(session).await {
                Ok((session, handle, hello)) => Outcome::Entered(Ok(Box::new(Arrival {
                    via,
                    agent,
                    init,
                    session,
                    handle,
                    build: hello.build,
                }))),
                // Killed before its first word: that is no failure to come in.
                Err(SessionEnd::Hangup) => {
                    Outcome::Ended(lost(SessionEnd::Hangup, &*agent, &*init).await)
                }
                Err(end) => {
                    agent.kill();
                    Outcome::Entered(Err(format!("its companion came in, but {end}")))
                }
            }
        }
        .boxed()
    }

    /// The company of a companion, from its hello until its process is gone.
    fn accompany(&self, arrival: Arrival, close: CancellationToken) -> Work {
        let Arrival {
            via,
            agent,
            init,
            session,
            handle,
            build,
        } = arrival;
        let (registry, id) = (self.registry.clone(), self.id.clone());
        registry.set_session(&id, Some(handle.clone()));
        brief(&registry, &id, handle);
        async move {
            let observe = |observation| registry.observe(&id, &build, via, observation);
            let end = tokio::select! {
                biased;
                () = init.exited() => None,
                end = session.run(close, observe) => Some(end),
                () = agent.exited() => Some(SessionEnd::Hangup),
            };
            registry.set_session(&id, None);
            if end != Some(SessionEnd::Closed) {
                registry.set_presence(&id, Presence::Absent(Absence::Ended));
            }
            let event = match end {
                None => Event::InitEnded,
                Some(SessionEnd::Closed) => {
                    // Its session is closed: it goes by itself, unless it cannot.
                    let _ = timeout(LEAVE_DEADLINE, agent.exited()).await;
                    Event::Left
                }
                Some(end) => lost(end, &*agent, &*init).await,
            };
            agent.kill();
            let _ = timeout(LEAVE_DEADLINE, agent.exited()).await;
            Outcome::Ended(event)
        }
        .boxed()
    }

    /// What is decided of the container, where `hand` is what a person said; None where it is gone.
    fn verdict(&self, hand: Option<Hand>) -> Option<Verdict> {
        let entry = self.registry.get(&self.id)?;
        let settings = self.settings.borrow();
        Some(policy::judge(&entry.facts, &settings.attach, hand))
    }

    /// Whether label and configuration want a companion.
    fn allows(&self) -> bool {
        self.verdict(None).is_some_and(|verdict| verdict.wants())
    }

    /// Writes where things stand into the registry; `arrived` where a companion has just come in. `before` is the phase
    /// that was written last; None where something else was. Whoever dialled in is there, whatever becomes of attaching.
    fn publish(
        &self,
        before: Option<&Phase>,
        arrived: Option<Presence>,
        is_visited: bool,
        now: Duration,
    ) {
        let attendance = &self.attendance;
        let Some(verdict) = self.verdict(attendance.hand()) else {
            return;
        };
        let losses = attendance.losses();
        let retry_at = || wall_clock_in(attendance.timer().unwrap_or(now).saturating_sub(now));
        let presence = match attendance.phase() {
            _ if is_visited => None,
            // While it is there, its session knows better whether it is silent.
            Phase::Present => arrived,
            phase if Some(phase) == before && matches!(phase, Phase::Waiting(_)) => None,
            Phase::Attaching => Some(Presence::Absent(Absence::Attaching)),
            Phase::Leaving => Some(Presence::Absent(Absence::Leaving)),
            Phase::Waiting(Wait::Failed(reason)) => Some(Presence::Absent(Absence::Failed {
                reason: reason.clone(),
                retry_at: retry_at(),
            })),
            Phase::Waiting(Wait::Lost(reason)) => {
                let (times, reason) = (losses, reason.clone());
                Some(Presence::Absent(Absence::Killed {
                    times,
                    reason,
                    retry_at: retry_at(),
                }))
            }
            Phase::Away if !attendance.has_processes() => {
                Some(Presence::Absent(Absence::NothingToBeWith))
            }
            Phase::Away if attendance.hand() == Some(Hand::Detach) => {
                Some(Presence::Absent(Absence::Detached))
            }
            Phase::Away => Some(Presence::Absent(Absence::Unwanted(verdict.clone()))),
        };
        self.registry.set_verdict(&self.id, verdict);
        if let Some(presence) = presence {
            self.registry.set_presence(&self.id, presence);
        }
        self.publish_findings(losses);
    }

    /// Writes what is wrong with the attendance into the registry.
    fn publish_findings(&self, losses: u32) {
        let Some(entry) = self.registry.get(&self.id) else {
            return;
        };
        let told = [
            killed(&entry, losses).map(|summary| (COMPANION_KILLED, summary)),
            strange_label(&entry).map(|summary| (STRANGE_LABEL, summary)),
        ];
        let finding = |(code, summary): (&str, String)| {
            let known = entry.findings.iter().find(|finding| finding.code == code);
            Finding {
                code: code.into(),
                severity: Severity::Warning,
                summary: Untrusted::from(summary),
                service: None,
                evidence: Vec::new(),
                since: known.map_or_else(Timestamp::now, |finding| finding.since),
            }
        };
        let findings = told.into_iter().flatten().map(finding).collect();
        self.registry.set_findings(&self.id, findings);
    }
}

/// What it means that a companion's session ended though nobody closed it: its container's end, or its own.
async fn lost(end: SessionEnd, agent: &dyn Process, init: &dyn Process) -> Event {
    agent.kill();
    match timeout(INIT_GRACE, init.exited()).await {
        Ok(()) => Event::InitEnded,
        Err(_) if end == SessionEnd::Hangup => Event::Lost("it was killed or it crashed".into()),
        Err(_) => Event::Lost(end.to_string()),
    }
}

/// A companion lost once is an accident; from the second time on somebody should know.
fn killed(entry: &Entry, losses: u32) -> Option<String> {
    if losses < 2 {
        return None;
    }
    Some(match &entry.presence {
        presence @ Presence::Absent(Absence::Killed { .. }) => {
            presence.reason(&entry.facts, entry.presence_since)
        }
        _ => format!(
            "the companion ended {losses} times while the container lived; it is there again"
        ),
    })
}

/// A label that was meant to say something, and does not.
fn strange_label(entry: &Entry) -> Option<String> {
    let value = policy::label(&entry.facts).err()?;
    let value: String = value.chars().take(SHOWN_LABEL).collect();
    Some(format!(
        "the container's label {ATTACH_LABEL} is {value:?}, and counts as not set; make the container anew with true or false"
    ))
}

/// The outcome of the work under way, which is then no longer under way; never, where there is none.
async fn finished<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(future) => {
            let outcome = future.await;
            *work = None;
            outcome
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "attendant_tests.rs"]
mod tests;
