//! Whether the service is there, and what takes its place when it is not.

use std::time::Duration;

use diogenes_proto::Timestamp;

use super::Track;
use crate::assess::condition::Condition;
use crate::assess::schedule::after;

/// How long whoever a prelude has prepared may take to be there. Scripts wait for the end by `mariadb-admin shutdown`,
/// which looks for it once a second.
const PRELUDE: Duration = Duration::from_millis(1600);
/// How often it is looked for.
pub(crate) const LOOKS_FOR_SUCCESSOR: Duration = Duration::from_millis(200);
/// How long a prelude may take to end once it has closed its socket: it writes what it holds.
const PRELUDE_ENDS: Duration = Duration::from_secs(15);

/// Whether the service is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// As it should be.
    Running,
    /// Its processes live and its listeners are gone.
    Deaf {
        /// Since when.
        at: Timestamp,
        /// As of [`Absence`].
        is_prelude: bool,
    },
    /// Its processes are gone.
    Ended {
        /// Since when.
        at: Timestamp,
        /// What is left of it.
        absence: Absence,
    },
}

/// What is seen in the place of a service that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Absence {
    /// Whether somebody else has taken its port.
    pub(crate) port_taken: bool,
    /// Its main process, where it is dead and its parent has not reaped it (state Z; proc(5)).
    pub(crate) zombie: Option<u32>,
    /// Whether it may have been there only to be prepared for another, which is to take its place at once.
    pub(crate) is_prelude: bool,
    /// Who runs the same program since, and is no service yet: pid and start.
    pub(crate) successor: Option<(u32, Timestamp)>,
}

impl Track {
    /// Whether it is there as it should be.
    pub(crate) fn is_running(&self) -> bool {
        self.presence == Presence::Running
    }

    /// Who takes its place, while it is gone.
    pub(super) fn successor(&self) -> Option<(u32, Timestamp)> {
        match self.presence {
            Presence::Ended { absence, .. } => absence.successor,
            Presence::Running | Presence::Deaf { .. } => None,
        }
    }

    /// Whether it is gone, and who takes its place may need some more time to listen.
    pub(crate) fn is_succeeded(&self, now: Timestamp) -> bool {
        let in_time = |(_, at)| now.since(self.succeeds_at(at)) < self.grace();
        self.successor().is_some_and(in_time) && !self.is_crash_looping(now)
    }

    /// Whether who started at this moment was there before it: no restart brought it, but a script has become it.
    pub(crate) fn is_elder(&self, started_at: Timestamp) -> bool {
        self.seen.started_at.is_some_and(|own| started_at <= own)
    }

    /// When a successor began to be one that started at `started_at`.
    pub(crate) fn succeeds_at(&self, started_at: Timestamp) -> Timestamp {
        match self.presence {
            Presence::Ended { at, .. } if self.is_elder(started_at) => at,
            _ => started_at,
        }
    }

    /// Whether it is gone or about to go, and was perhaps there only to be prepared for another.
    pub(crate) fn was_prelude(&self) -> bool {
        match self.presence {
            Presence::Running => false,
            Presence::Deaf { is_prelude, .. } => is_prelude,
            Presence::Ended { absence, .. } => absence.is_prelude,
        }
    }

    /// Until when it is no news that it is gone, for whom it was to prepare may not be there yet.
    pub(super) fn awaited_until(&self) -> Option<Timestamp> {
        match self.presence {
            Presence::Deaf { at, .. } => Some(after(at, PRELUDE_ENDS)),
            Presence::Ended { at, .. } => Some(after(at, PRELUDE)),
            Presence::Running => None,
        }
        .filter(|_| self.was_prelude())
    }

    /// Whether whom it was to prepare is still waited for.
    pub(crate) fn is_over_but_awaited(&self, now: Timestamp) -> bool {
        self.awaited_until().is_some_and(|until| now < until)
    }

    /// It was not seen.
    pub(crate) fn missed(&mut self, processes_live: bool, absence: Absence, now: Timestamp) {
        self.condition = Condition::default();
        self.stuck = None;
        self.full_since = None;
        self.activity = None;
        let is_other = absence.successor.is_some() && absence.successor != self.successor();
        if is_other && !absence.successor.is_some_and(|(_, at)| self.is_elder(at)) {
            self.restarted(now);
        }
        self.presence = match self.presence {
            Presence::Deaf { .. } if processes_live => self.presence,
            Presence::Ended { at, .. } => Presence::Ended { at, absence },
            _ if processes_live => Presence::Deaf {
                at: now,
                is_prelude: absence.is_prelude,
            },
            _ => Presence::Ended { at: now, absence },
        };
    }
}
