//! The rule by which a container is attended: `(state, event, now) → action`, without clock, task or process.
//!
//! ```text
//!          runs & wanted               entered & hello
//!   Away ───────────────► Attaching ─────────────────────► Present
//!    ▲ ▲                   │   ▲                              │ │
//!    │ │            failed │   │ time is up                   │ │ lost: at once the first time,
//!    │ │                   ▼   │                              │ │ then after 2 s, 4 s, … 5 min
//!    │ └─ detached, ended ─ Waiting ◄─────────────────────────┼─┘
//!    │                                                        │ detached, ended
//!    └───────────────────── Leaving ◄─────────────────────────┘
//! ```
//! Ten minutes with a present companion forgive all losses. There is never more than one companion, or one
//! attempt, at a time: `Attach` is only ever decided in `Away` and `Waiting`, or when a companion has ended.

use std::time::Duration;

use crate::attendants::policy::Hand;
use crate::attendants::visit::Unwelcome;

/// The first wait after a failure; it doubles with each further one.
pub(crate) const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A companion that lived so long has its predecessors' ends forgiven.
pub(crate) const CALM: Duration = Duration::from_secs(600);

/// Where the attendance stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody is there, and nothing is under way.
    #[default]
    Away,
    /// An attempt is under way.
    Attaching,
    /// A companion is there.
    Present,
    /// Nobody is there; the timer brings the next attempt.
    Waiting(Wait),
    /// The companion was told to go.
    Leaving,
}

/// Why the next attempt waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The last attempt failed.
    Failed(String),
    /// The last companion was lost.
    Lost(String),
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The container runs, with this init. Told again whenever the Engine's facts change.
    Runs {
        /// Its init, as the host counts.
        init_pid: u32,
        /// Whether label and configuration want a companion.
        allowed: bool,
    },
    /// The configuration was read again.
    Judged {
        /// Whether label and configuration want a companion.
        allowed: bool,
    },
    /// The container has no processes.
    Stopped,
    /// The attempt succeeded.
    Entered,
    /// The attempt failed.
    Failed(String),
    /// The companion ended though nobody told it to, and the container's init lives.
    Lost(String),
    /// The container's init ended, and the companion with it.
    InitEnded,
    /// The companion went as it was told.
    Left,
    /// The timer fired.
    TimeIsUp,
    /// A person wants a companion there.
    AttachWanted,
    /// A person wants none there.
    DetachWanted,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Bring a companion in, beside this init.
    Attach {
        /// The init, as the host counts.
        init_pid: u32,
    },
    /// Be with the companion that has just come in.
    Accompany,
    /// Send the companion away.
    Leave,
}

/// The attendance of one container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attendance {
    phase: Phase,
    /// The container's init; None while it has no processes.
    init: Option<u32>,
    /// The init the last attempt was made with.
    entered: Option<u32>,
    /// What label and configuration want.
    allowed: bool,
    /// What a person wants: this outweighs them.
    hand: Option<Hand>,
    failures: u32,
    losses: u32,
    timer: Option<Duration>,
}

impl Attendance {
    /// The attendance of a container that was not met yet.
    pub(crate) fn new(detached: bool) -> Self {
        Self {
            hand: detached.then_some(Hand::Detach),
            ..Self::default()
        }
    }

    /// Decides. `now` is the time on any clock that only goes forward, the same at every call.
    pub(crate) fn decide(&mut self, event: Event, now: Duration) -> Action {
        match event {
            Event::Runs { init_pid, allowed } => {
                self.allowed = allowed;
                let again = self.init.replace(init_pid) == Some(init_pid);
                if again {
                    self.reconsider()
                } else {
                    self.meet(init_pid)
                }
            }
            Event::Judged { allowed } => {
                self.allowed = allowed;
                self.reconsider()
            }
            Event::Stopped => {
                self.init = None;
                self.reconsider()
            }
            Event::InitEnded => {
                // The Engine's word of the next life may have come before the end of the last one was seen.
                if self.init == self.entered {
                    self.init = None;
                }
                self.away()
            }
            Event::Entered => {
                self.failures = 0;
                if self.phase != Phase::Attaching {
                    return Action::None;
                }
                self.phase = Phase::Present;
                self.timer = Some(now + CALM);
                if self.is_due() && self.init == self.entered {
                    Action::Accompany
                } else {
                    self.leave()
                }
            }
            Event::Failed(reason) => {
                self.failures += 1;
                self.wait(
                    Wait::Failed(reason),
                    now + doubled(FIRST_WAIT, self.failures - 1),
                )
            }
            Event::Lost(reason) => {
                self.losses += 1;
                match self.losses {
                    _ if self.phase == Phase::Leaving => self.away(),
                    1 => self.away(),
                    losses => self.wait(Wait::Lost(reason), now + doubled(FIRST_WAIT, losses - 2)),
                }
            }
            Event::Left => self.away(),
            Event::TimeIsUp => match self.phase {
                Phase::Present => {
                    self.losses = 0;
                    self.timer = None;
                    Action::None
                }
                Phase::Waiting(_) => self.away(),
                Phase::Away | Phase::Attaching | Phase::Leaving => Action::None,
            },
            Event::AttachWanted => {
                self.hand = Some(Hand::Attach);
                self.failures = 0;
                self.losses = 0;
                if matches!(self.phase, Phase::Away | Phase::Waiting(_)) {
                    self.away()
                } else {
                    Action::None
                }
            }
            Event::DetachWanted => {
                self.hand = Some(Hand::Detach);
                self.reconsider()
            }
        }
    }

    /// Where it stands.
    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether a companion that dialled in may be there: it makes no difference to what is decided.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn receives(&self) -> Result<(), Unwelcome> {
        match self.phase {
            _ if self.hand == Some(Hand::Detach) => Err(Unwelcome::SentAway),
            Phase::Present | Phase::Leaving => Err(Unwelcome::Attended),
            _ if self.init.is_none() => Err(Unwelcome::NotRunning),
            Phase::Away | Phase::Attaching | Phase::Waiting(_) => Ok(()),
        }
    }

    /// When to say that time is up; None where nothing waits.
    pub(crate) fn timer(&self) -> Option<Duration> {
        self.timer
    }

    /// How often in a row a companion was lost.
    pub(crate) fn losses(&self) -> u32 {
        self.losses
    }

    /// What a person said last; None where nobody said anything.
    pub(crate) fn hand(&self) -> Option<Hand> {
        self.hand
    }

    /// Whether the container has processes to be with.
    pub(crate) fn has_processes(&self) -> bool {
        self.init.is_some()
    }

    fn is_due(&self) -> bool {
        let wanted = self.hand.map_or(self.allowed, |hand| hand == Hand::Attach);
        self.init.is_some() && wanted
    }

    /// A new life of the container: old troubles do not count.
    fn meet(&mut self, init_pid: u32) -> Action {
        self.failures = 0;
        self.losses = 0;
        match self.phase {
            Phase::Away | Phase::Waiting(_) => self.away(),
            Phase::Present if self.entered != Some(init_pid) => self.leave(),
            Phase::Present | Phase::Attaching | Phase::Leaving => Action::None,
        }
    }

    /// Ends what is no longer due, and begins what has become so.
    fn reconsider(&mut self) -> Action {
        match self.phase {
            Phase::Present if !self.is_due() => self.leave(),
            Phase::Waiting(_) if !self.is_due() => self.away(),
            Phase::Away => self.away(),
            _ => Action::None,
        }
    }

    /// Nobody is there: the next attempt, where one is due.
    fn away(&mut self) -> Action {
        self.timer = None;
        match self.init {
            Some(init_pid) if self.is_due() => {
                self.phase = Phase::Attaching;
                self.entered = Some(init_pid);
                Action::Attach { init_pid }
            }
            _ => {
                self.phase = Phase::Away;
                Action::None
            }
        }
    }

    fn leave(&mut self) -> Action {
        self.phase = Phase::Leaving;
        self.timer = None;
        Action::Leave
    }

    fn wait(&mut self, why: Wait, until: Duration) -> Action {
        if !self.is_due() || self.init != self.entered {
            // Sent away, ended or born again in between.
            return self.away();
        }
        self.phase = Phase::Waiting(why);
        self.timer = Some(until);
        Action::None
    }
}

/// A wait doubled so many times, within bounds.
fn doubled(wait: Duration, times: u32) -> Duration {
    wait.saturating_mul(2u32.saturating_pow(times.min(30)))
        .min(LONGEST_WAIT)
}

#[cfg(test)]
#[path = "attendance_tests.rs"]
mod tests;
