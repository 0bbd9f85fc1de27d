//! What is worth an alert: a pure rule over how containers stand, and time.
//!
//! ```text
//!            seen          for its settling time                news
//! registry ────────► seems ─────────────────────► settled as ──────────► told
//!                      │ comes and goes
//!                      └── 6 changes in 5 min ──► flapping, told once ── a calm minute ──► settled as
//! ```
//! - Bad news (degraded, unhealthy, ended by itself) is told when it differs from what was settled before.
//! - `unknown` is news only where something was known: a container that was just met is not.
//! - `healthy` is news only after bad news: nobody wants to hear that a container works as it did.
//! - What a person does on purpose (stop, pause, remove, send the companion away) is no news, nor is starting.
//!
//! A container causes at most 5 alerts before it is told to be flapping, and no more than 4 a minute as long as it goes
//! on. A passing `unknown` is no change: companions come and go with their containers.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use diogenes_engine::ContainerState;
use diogenes_proto::Health;
use tokio::time::Instant;

use crate::registry::Entry;
use crate::registry::presence::{Absence, Presence};

/// So many changes within [`WINDOW`] are flapping.
const FLAPS: usize = 6;
/// So many more, after a calm minute within [`WINDOW`], are flapping again: more than a restart causes.
const FLAPS_AGAIN: usize = 3;
/// See [`FLAPS`].
const WINDOW: Duration = Duration::from_secs(300);
/// How long a flapping container must stand as it does to be told of again.
const CALM: Duration = Duration::from_secs(60);
/// Most changes remembered of one container.
const REMEMBERED: usize = 1000;
/// Exit codes of a container that was stopped: by itself done, by SIGINT, SIGKILL (`docker kill`, or `docker stop`
/// of one that did not listen) and SIGTERM. Which of the last three a person caused, the Engine does not tell
/// afterwards; out of memory is told apart from them. Source: docker-stop(1), docker-kill(1).
const STOPPED: [i64; 4] = [0, 130, 137, 143];

/// How a container stands: what an alert can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// It works.
    Healthy,
    /// It works in part, or badly.
    Degraded,
    /// It does not work.
    Unhealthy,
    /// Nobody knows.
    Unknown,
    /// It ended by itself, with an error or out of memory.
    Ended,
}

impl Standing {
    /// How a container stands; None where that is no matter for alerts: it starts, or a person wanted it so.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let facts = &entry.facts;
        match facts.state {
            ContainerState::Running => match (entry.health().0, &entry.presence) {
                (Health::Starting, _) => None,
                (Health::Healthy, _) => Some(Self::Healthy),
                (Health::Degraded, _) => Some(Self::Degraded),
                (Health::Unhealthy, _) => Some(Self::Unhealthy),
                (
                    Health::Unknown,
                    Presence::Absent(
                        Absence::Unwanted(_)
                        | Absence::Detached
                        | Absence::Leaving
                        // Busy Engines tell of an end late; what is worth telling is how it ended.
                        | Absence::NothingToBeWith,
                    ),
                ) => None,
                (Health::Unknown, _) => Some(Self::Unknown),
            },
            // The Engine restarts only what ended by itself.
            ContainerState::Restarting => Some(Self::Ended),
            ContainerState::Exited | ContainerState::Dead => {
                let failed = facts.exit_code.is_some_and(|code| !STOPPED.contains(&code));
                (failed || facts.oom_killed).then_some(Self::Ended)
            }
            ContainerState::Created
            | ContainerState::Paused
            | ContainerState::Removing
            | ContainerState::Other => None,
        }
    }

    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => Health::Healthy.as_str(),
            Self::Degraded => Health::Degraded.as_str(),
            Self::Unhealthy => Health::Unhealthy.as_str(),
            Self::Unknown => Health::Unknown.as_str(),
            Self::Ended => "ended",
        }
    }

    /// How long it must last to be told. A failure is told promptly; a companion that was killed is back within
    /// 2 s; and what works again should do so for a moment.
    fn settling(self) -> Duration {
        match self {
            Self::Degraded | Self::Unhealthy | Self::Ended => Duration::from_secs(1),
            Self::Healthy | Self::Unknown => Duration::from_secs(5),
        }
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It stands otherwise than before.
    Changed,
    /// It works again, after so long.
    Recovered(Duration),
    /// It changed so often in the last five minutes.
    Flapping(usize),
}

/// An alert to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The container's full id.
    pub(crate) id: String,
    /// How it stood before, and for how long; None where that was not known.
    pub(crate) from: Option<(Standing, Duration)>,
    /// How it stands.
    pub(crate) to: Standing,
    /// What about it.
    pub(crate) news: News,
}

/// The rule, with what it remembers of each container.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    tracks: HashMap<String, Track>,
}

#[derive(Debug, Default)]
struct Track {
    /// What it seems to be, and since when; None where that is no matter for alerts.
    seems: Option<(Standing, Instant)>,
    /// What it was last found to be, and since when; None before the first, and while it flaps.
    settled: Option<(Standing, Instant)>,
    /// Since when things have not been well, and somebody was told so; None while they are.
    trouble: Option<Instant>,
    /// What it last changed to.
    last: Option<Standing>,
    /// When it changed.
    changes: VecDeque<Instant>,
    /// Whether it changed since the last decision: what has come to rest does not flap again by itself.
    restless: bool,
    flapping: bool,
}

impl Rule {
    /// Notes how a container stands `now`, as [`Standing::of`] has it.
    pub(crate) fn see(&mut self, id: &str, seen: Option<Standing>, now: Instant) {
        if !self.tracks.contains_key(id) {
            self.tracks.insert(id.to_owned(), Track::default());
        }
        if let Some(track) = self.tracks.get_mut(id) {
            track.see(seen, now);
        }
    }

    /// Forgets the containers that are gone.
    pub(crate) fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.tracks.retain(|id, _| exists(id));
    }

    /// What is to be told `now`.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Notice> {
        self.tracks
            .iter_mut()
            .filter_map(|(id, track)| track.due(id, now))
            .collect()
    }

    /// When [`Self::due`] will next have something to decide; None where only a change can bring that about.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.tracks.values().filter_map(Track::next_due).min()
    }
}

impl Track {
    fn see(&mut self, seen: Option<Standing>, now: Instant) {
        if self.seems.map(|(standing, _)| standing) == seen {
            return;
        }
        self.seems = seen.map(|standing| (standing, now));
        let Some(standing) = seen else { return };
        if standing != Standing::Unknown {
            self.count(standing, now);
        }
    }

    /// Counts a change where it is one.
    fn count(&mut self, standing: Standing, at: Instant) {
        let before = self.last.replace(standing);
        if before.is_some_and(|before| before != standing) {
            if self.changes.len() == REMEMBERED {
                self.changes.pop_front();
            }
            self.changes.push_back(at);
            self.restless = true;
        }
    }

    fn due(&mut self, id: &str, now: Instant) -> Option<Notice> {
        while self.changes.front().is_some_and(|&at| at + WINDOW <= now) {
            self.changes.pop_front();
        }
        let (to, since) = self.seems?;
        let notice = |from, news| Notice {
            id: id.to_owned(),
            from,
            to,
            news,
        };
        let lasted = |(standing, at): (Standing, Instant)| (standing, since - at);
        let restless = std::mem::take(&mut self.restless);
        if restless && !self.flapping && self.changes.len() >= FLAPS {
            self.flapping = true;
            self.trouble.get_or_insert(now);
            let from = self.settled.take().map(lasted);
            return Some(notice(from, News::Flapping(self.changes.len())));
        }
        if now < self.next_due()? {
            return None;
        }
        let from = self.settled.replace((to, since));
        if std::mem::take(&mut self.flapping) {
            let surplus = self.changes.len().saturating_sub(FLAPS - FLAPS_AGAIN);
            self.changes.drain(..surplus);
        }
        if to == Standing::Unknown {
            self.count(to, since);
        }
        let news = match (to, self.trouble) {
            (Standing::Healthy, trouble) => News::Recovered(since - trouble?),
            // Nothing was known, and still nothing is.
            (Standing::Unknown, None) if from.is_none() => return None,
            _ => News::Changed,
        };
        self.trouble = match to {
            Standing::Healthy => None,
            _ => self.trouble.or(Some(since)),
        };
        Some(notice(from.map(lasted), news))
    }

    /// When what it seems to be will have lasted long enough.
    fn next_due(&self) -> Option<Instant> {
        let (standing, since) = self.seems?;
        if self.settled.is_some_and(|(settled, _)| settled == standing) {
            return None;
        }
        let settling = if self.flapping {
            CALM
        } else {
            standing.settling()
        };
        Some(since + settling)
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
