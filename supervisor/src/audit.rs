//! Who was refused what: a line in the log for each time, under the target `audit`, and a number for all of them.
//!
//! ```text
//! refused ─► the account of whoever it was ─┬─► a line              five at once, then one in ten seconds
//!                                           └─► counted, and told with the next line or within a minute
//! ```
//! A peer that does what it may not a thousand times a second fills no log with it, and hides nobody else by it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::session::token_bucket::TokenBucket;

/// Lines of one account: so many at once, and then one each so often.
const LINES_BURST: u32 = 5;
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Accounts that are kept. Those who come beyond share one.
const MAX_ACCOUNTS: usize = 256;
/// How often what was only counted is told, and accounts without news are closed.
const CLOSING_INTERVAL: Duration = Duration::from_secs(60);

/// Who did it, as far as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A container.
    Container {
        /// Its full id.
        id: String,
        /// Its name at that time.
        name: String,
    },
    /// A process that is in no container, or in none that can be told.
    Process {
        /// Its user, as the host counts.
        uid: u32,
        /// Its pid; None where it is out of sight.
        pid: Option<u32>,
    },
    /// Nobody knows.
    Unknown,
}

impl Who {
    /// Whose account it is put on: processes come and go, their user stays.
    fn account(&self) -> Self {
        match self {
            Self::Container { id, .. } => Self::Container {
                id: id.clone(),
                name: String::new(),
            },
            Self::Process { uid, .. } => Self::Process {
                uid: *uid,
                pid: None,
            },
            Self::Unknown => Self::Unknown,
        }
    }
}

/// What is noted of one of them.
#[derive(Debug)]
struct Account {
    who: Who,
    lines: TokenBucket,
    /// Refusals since the last line that none was written for.
    untold: u64,
}

/// The accounts.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    refused: AtomicU64,
    accounts: Mutex<HashMap<Who, Account>>,
}

impl Audit {
    /// Notes that somebody was refused `what`: the type of a request, or `dial-in`.
    pub(crate) fn refused(&self, who: &Who, what: &str, why: &dyn std::fmt::Display) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(untold) = self.account(who, Instant::now()) {
            tell(who, what, why, untold);
        }
    }

    /// How many were refused since the supervisor started.
    pub(crate) fn count(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Tells, each minute, what was only counted. Never returns.
    pub(crate) async fn run(&self) {
        loop {
            sleep(CLOSING_INTERVAL).await;
            for (who, untold) in self.close(Instant::now()) {
                tell(
                    &who,
                    "more of the same",
                    &"too many to be told one by one",
                    untold,
                );
            }
        }
    }

    /// Puts a refusal on its account: how many before it are untold where it is to be told, None where it is counted.
    fn account(&self, who: &Who, now: Instant) -> Option<u64> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = who.account();
        if accounts.len() >= MAX_ACCOUNTS && !accounts.contains_key(&key) {
            key = Who::Unknown;
        }
        let account = accounts.entry(key).or_insert_with(|| Account {
            who: who.clone(),
            lines: TokenBucket::every(LINE_INTERVAL, LINES_BURST, now),
            untold: 0,
        });
        account.who = who.clone();
        if account.lines.try_take(now) {
            Some(std::mem::take(&mut account.untold))
        } else {
            account.untold += 1;
            None
        }
    }

    /// What is untold, which counts as told from now on; forgets whoever was quiet for long.
    fn close(&self, now: Instant) -> Vec<(Who, u64)> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = accounts
            .values_mut()
            .filter(|account| account.untold > 0)
            .map(|account| (account.who.clone(), std::mem::take(&mut account.untold)))
            .collect();
        accounts.retain(|_, account| !account.lines.is_full(now));
        untold
    }
}

/// The line. `untold` counts refusals before it for which there was none.
fn tell(who: &Who, what: &str, why: &dyn std::fmt::Display, untold: u64) {
    let (mut container, mut container_id, mut uid, mut pid) = (None, None, None, None);
    match who {
        Who::Container { id, name } => {
            (container, container_id) = (Some(name.as_str()), Some(id.as_str()));
        }
        Who::Process {
            uid: user,
            pid: process,
        } => (uid, pid) = (Some(*user), *process),
        Who::Unknown => {}
    }
    let untold = Some(untold).filter(|&untold| untold > 0);
    tracing::warn!(target: "audit", container, container_id, uid, pid, what, untold, "refused: {why}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: usize) -> Who {
        Who::Container {
            id: format!("{id:064x}"),
            name: format!("shop-{id}"),
        }
    }

    #[test]
    fn a_flood_is_counted_and_hides_nobody_else() {
        let audit = Audit::default();
        let start = Instant::now();
        let lines = |who: &Who, times: usize, s: u64| -> Vec<u64> {
            let now = start + Duration::from_secs(s);
            (0..times).filter_map(|_| audit.account(who, now)).collect()
        };
        assert_eq!(lines(&container(1), 1000, 0), [0; 5]);
        assert_eq!(lines(&container(2), 1, 0), [0]);
        assert_eq!(
            lines(&container(1), 1, 10),
            [995],
            "what was not told is told with the next"
        );
        assert!(lines(&container(1), 7, 11).is_empty());
        let later = start + Duration::from_secs(12);
        assert_eq!(
            audit.close(later),
            [(container(1), 7)],
            "or when the minute is over"
        );
        assert!(audit.close(later).is_empty());
        assert_eq!(audit.count(), 0, "the accounts are not the number");
        audit.refused(&container(1), "act", &"no right");
        assert_eq!(audit.count(), 1);
    }

    #[test]
    fn users_and_renamed_containers_have_one_account() {
        let audit = Audit::default();
        let now = Instant::now();
        let told = (0..100).filter(|&pid| {
            let who = Who::Process {
                uid: 1000,
                pid: Some(pid),
            };
            audit.account(&who, now).is_some()
        });
        assert_eq!(told.count(), 5);
        let told = (0..100).filter(|number| {
            let who = Who::Container {
                id: "c1".into(),
                name: number.to_string(),
            };
            audit.account(&who, now).is_some()
        });
        assert_eq!(told.count(), 5);
    }

    #[test]
    fn accounts_are_bounded_and_closed() {
        let audit = Audit::default();
        let now = Instant::now();
        for id in 0..10 * MAX_ACCOUNTS {
            audit.account(&container(id), now);
        }
        let kept = || audit.accounts.lock().unwrap().len();
        assert!(kept() <= MAX_ACCOUNTS + 1);
        audit.close(now + 10 * LINE_INTERVAL);
        assert_eq!(kept(), 0);
    }
}
