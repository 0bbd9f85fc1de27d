//! How a companion is present in its container, or why it is not: the one place that has the words for it.

use std::time::Duration;

use diogenes_engine::{ContainerFacts, ContainerState};
use diogenes_proto::Timestamp;

use crate::attendants::policy::Verdict;
use crate::attendants::way_in::Via;

/// Whether somebody is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Presence {
    /// A companion is there and speaks.
    Present {
        /// Its name and version.
        build: String,
        /// How it came in.
        via: Via,
    },
    /// A companion is there, having come in so, and has not spoken for a while.
    Silent(Via),
    /// No companion is there.
    Absent(Absence),
}

/// Why no companion is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Absence {
    /// Its turn has not come yet.
    NotYet,
    /// It is being brought in.
    Attaching,
    /// Label or configuration want none there.
    Unwanted(Verdict),
    /// A person sent it away.
    Detached,
    /// It is on its way out.
    Leaving,
    /// It has just ended, and what follows from that is not decided yet.
    Ended,
    /// It could not be brought in.
    Failed {
        /// What happened.
        reason: String,
        /// When it is tried again.
        retry_at: Timestamp,
    },
    /// It was ended while its container lived.
    Killed {
        /// How often so far.
        times: u32,
        /// What was seen of its last end.
        reason: String,
        /// When it is brought in again.
        retry_at: Timestamp,
    },
    /// The container has no processes; the Engine's facts say more.
    NothingToBeWith,
}

impl Presence {
    /// `present`, `silent` or `absent`.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Present { .. } => "present",
            Self::Silent(_) => "silent",
            Self::Absent(_) => "absent",
        }
    }

    /// The way in; None where nobody is in.
    pub(crate) fn via(&self) -> Option<&'static str> {
        match self {
            Self::Present { via, .. } | Self::Silent(via) => Some(via.as_str()),
            Self::Absent(_) => None,
        }
    }

    /// The reason for the state, as a sentence without its full stop.
    pub(crate) fn reason(&self, facts: &ContainerFacts, since: Timestamp) -> String {
        if let (Self::Absent(_), Some(end)) = (self, self.end_of_container(facts)) {
            return end;
        }
        match self {
            Self::Present { build, via } => format!("{build} {} at {since}", via.past()),
            Self::Silent(via) => format!(
                "{}, but nothing heard of it since about {since}",
                via.past()
            ),
            Self::Absent(absence) => match absence {
                Absence::NotYet => "its companion's turn has not come yet".into(),
                Absence::Attaching => "its companion is being attached".into(),
                Absence::Unwanted(verdict) => verdict.reason(),
                Absence::Detached => format!(
                    "detached by hand; to attach again: diogenes attach {}",
                    facts.name
                ),
                Absence::Leaving => "its companion is leaving".into(),
                Absence::Ended => "its companion has just ended".into(),
                Absence::Failed { reason, retry_at } => {
                    format!("could not attach: {reason}; next try at {retry_at}")
                }
                Absence::Killed {
                    times,
                    reason,
                    retry_at,
                } => {
                    format!(
                        "its companion ended {times} times while the container lived (last: {reason}); next try at {retry_at}"
                    )
                }
                // Its first process was seen to end; how that came about is the Engine's to say.
                Absence::NothingToBeWith if facts.state == ContainerState::Running => {
                    "the container's first process has ended, and the Engine has not said how yet"
                        .into()
                }
                Absence::NothingToBeWith => format!("the container is {}", facts.state),
            },
        }
    }

    /// The same in a word or two, for a table.
    pub(crate) fn short(&self, facts: &ContainerFacts) -> String {
        if let (Self::Absent(_), Some(_)) = (self, self.end_of_container(facts)) {
            return match facts.exit_code {
                Some(code) => format!("exited {code}"),
                None => facts.state.to_string(),
            };
        }
        match self {
            Self::Present { via, .. } => via.as_str().into(),
            Self::Silent(_) => "silent".into(),
            Self::Absent(absence) => match absence {
                Absence::NotYet => "waiting".into(),
                Absence::Attaching => "attaching".into(),
                Absence::Unwanted(verdict) => verdict.rule().into(),
                Absence::Detached => "detached".into(),
                Absence::Leaving => "leaving".into(),
                Absence::Ended => "ended".into(),
                Absence::Failed { .. } => "failed".into(),
                Absence::Killed { times, .. } => format!("killed {times}x"),
                Absence::NothingToBeWith if facts.state == ContainerState::Running => {
                    "ended".into()
                }
                Absence::NothingToBeWith => facts.state.to_string(),
            },
        }
    }

    /// Whether this is where an attach or detach ends: not somewhere on the way.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(
            self,
            Self::Absent(Absence::NotYet | Absence::Attaching | Absence::Leaving | Absence::Ended)
        )
    }

    /// How the container ended; None while it is up.
    fn end_of_container(&self, facts: &ContainerFacts) -> Option<String> {
        let memory = if facts.oom_killed {
            ", out of memory"
        } else {
            ""
        };
        if facts.state == ContainerState::Restarting {
            let code = facts.exit_code.map_or_else(String::new, |code| {
                format!(" after exit code {code}{memory}")
            });
            return Some(format!(
                "the container is being restarted by the Engine{code}"
            ));
        }
        if facts.state.is_up() {
            return None;
        }
        let Some(code) = facts.exit_code else {
            return Some(format!("the container is {}", facts.state));
        };
        let at = facts
            .finished_at
            .map_or_else(String::new, |at| format!(" at {at}"));
        Some(format!("container exited with code {code}{memory}{at}"))
    }
}

/// A moment so far ahead.
pub(crate) fn wall_clock_in(wait: Duration) -> Timestamp {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_unix_ms(Timestamp::now().as_unix_ms().saturating_add(wait_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_container_says_how() {
        let at = Timestamp::from_unix_ms(1_769_846_400_000);
        let mut facts = ContainerFacts {
            state: ContainerState::Exited,
            exit_code: Some(137),
            oom_killed: true,
            finished_at: Some(at),
            ..ContainerFacts::default()
        };
        let absent = Presence::Absent(Absence::Detached);
        assert_eq!(
            absent.reason(&facts, at),
            "container exited with code 137, out of memory at 2026-01-31T08:00:00.000Z"
        );
        assert_eq!(absent.short(&facts), "exited 137");
        facts.state = ContainerState::Restarting;
        assert_eq!(
            absent.reason(&facts, at),
            "the container is being restarted by the Engine after exit code 137, out of memory"
        );
        facts.state = ContainerState::Running;
        let ended = Presence::Absent(Absence::NothingToBeWith);
        assert!(
            ended
                .reason(&facts, at)
                .contains("the Engine has not said how yet")
        );
        facts.name = "shop".into();
        assert_eq!(
            absent.reason(&facts, at),
            "detached by hand; to attach again: diogenes attach shop"
        );
    }
}
