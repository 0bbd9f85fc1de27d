//! A worker's connection to what it takes its work from.
//!
//! Whoever waits for work at a broker keeps a connection to it all the time, and tries again for ever where it has none:
//! its process lives, and does nothing. The companion looks now and then whether such a worker is connected to anything.
//!
//! ```text
//!           ┌── connected: 30 s ──────────────────────────┐
//! new: now ─┤                                             ├─► due ─► looked
//!           └── not, or not seen (a first time, or again): 5 s ┘
//!
//! without one, twice ─► it had one: unhealthy
//!                    └► it never had, and its start is over: degraded, for its broker may be a file
//! ```
//!
//! Nothing is claimed where it cannot be seen, nor of a worker whose kind is not known to keep a connection.

use std::time::Duration;

use diogenes_proto::{Health, Timestamp, Untrusted};

use super::schedule::{SPARING, after};
use super::track::{GRACE, Track};
use crate::words::clock;

/// Between looks at a worker that has no connection: longer than a broken one takes to be made anew.
const DOUBTFUL: Duration = Duration::from_secs(5);
/// Looks without a connection that make it sure.
const SURE: u32 = 2;

/// What was seen of a worker's connection, in one life of its process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// The process that was looked at, by pid and start.
    of: Option<(u32, Timestamp)>,
    /// None: at once.
    next: Option<Timestamp>,
    /// What it was connected to when it last was to anything.
    had: Option<Untrusted>,
    /// Looks in a row that found none, and when the first of them was.
    missed: u32,
    missed_since: Option<Timestamp>,
}

impl Link {
    /// Takes in what the worker is connected to; None where that cannot be seen.
    fn looked(&mut self, found: Option<&[Untrusted]>, now: Timestamp) {
        let pause = match found {
            Some([]) => {
                self.missed += 1;
                self.missed_since.get_or_insert(now);
                DOUBTFUL
            }
            Some([first, ..]) => {
                (self.missed, self.missed_since) = (0, None);
                self.had = Some(first.clone());
                SPARING
            }
            None => {
                (self.missed, self.missed_since) = (0, None);
                SPARING
            }
        };
        self.next = Some(after(now, pause));
    }
}

impl Track {
    /// Whether it is known to keep a connection while it works, and is there.
    fn keeps_link(&self) -> bool {
        self.is_running() && self.seen.entry.is_some_and(|entry| entry.keeps_connection)
    }

    /// When to look at its connection; None where there is no reason.
    pub(crate) fn link_due(&self) -> Option<Timestamp> {
        let at_once = self.link.next.filter(|_| self.link.of == self.main());
        self.keeps_link().then(|| at_once.unwrap_or(self.since))
    }

    /// Its connection was looked at.
    pub(crate) fn link_looked(&mut self, found: Option<&[Untrusted]>, now: Timestamp) {
        if self.link.of != self.main() {
            self.link = Link {
                of: self.main(),
                ..Link::default()
            };
        }
        self.link.looked(found, now);
    }

    /// That it has no connection, with what that makes of its health; None where it has one, or that is not sure.
    pub(crate) fn unlinked(&self, now: Timestamp) -> Option<(Health, String)> {
        let link = &self.link;
        let is_looked_at = self.keeps_link() && link.of == self.main();
        let since = link.missed_since.filter(|_| is_looked_at)?;
        let at = clock(since, now);
        let is_starting = self.age(now).is_some_and(|age| age < GRACE);
        match &link.had {
            None if is_starting => Some((
                Health::Starting,
                "it has just started, and has no connection to a broker yet".to_owned(),
            )),
            _ if link.missed < SURE => None,
            None => Some((
                Health::Degraded,
                format!("it is connected to nothing: no connection to a broker since {at}"),
            )),
            Some(had) => Some((
                Health::Unhealthy,
                format!("no connection to a broker since {at}; before, it had one to {had}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Assessor;
    use crate::scene::{Scene, at};

    const CELERY: [&str; 5] = ["python3", "/usr/bin/celery", "-A", "tasks", "worker"];

    /// A worker that is so old at the beginning, and what is seen of it over time.
    struct Play {
        assessor: Assessor,
        scene: Scene,
        now_ms: u64,
    }

    impl Play {
        fn of(command: &[&str], age_ms: u64) -> Self {
            let mut play = Self {
                assessor: Assessor::new(),
                scene: Scene::new()
                    .process(1, 0, "/usr/bin/dash", &["sh"])
                    .process(5, 1, "/usr/bin/python3.11", command)
                    .with(|p| p.started_at = at(0)),
                now_ms: age_ms,
            };
            play.assessor.observe(at(age_ms), &play.scene.snapshot);
            play
        }

        /// Looks at the connection, which must be due, and tells how the worker is then.
        fn look(&mut self, found: Option<&[&str]>) -> (Health, String) {
            let now = at(self.now_ms);
            let (key, pids) = self.assessor.unlinked(now).expect("a look is due");
            assert_eq!((&*key, &*pids), ("celery", &[5][..]));
            let found: Option<Vec<Untrusted>> =
                found.map(|all| all.iter().map(|&one| one.into()).collect());
            self.assessor.linked(now, &key, found.as_deref());
            assert_eq!(self.assessor.unlinked(now), None);
            self.health()
        }

        fn health(&mut self) -> (Health, String) {
            let service = self
                .assessor
                .report(at(self.now_ms), "hash".into())
                .services
                .remove(0);
            (service.health, service.evidence[0].to_string())
        }

        fn wait(&mut self, ms: u64) {
            self.now_ms += ms;
            self.assessor.observe(at(self.now_ms), &self.scene.snapshot);
        }
    }

    #[test]
    fn a_worker_that_lost_its_broker_is_unhealthy_until_it_has_one_again() {
        let mut play = Play::of(&CELERY, 60_000);
        assert_eq!(play.look(Some(&["port 6379"])).0, Health::Healthy);
        play.wait(29_000);
        assert_eq!(play.assessor.unlinked(at(play.now_ms)), None, "calm");
        play.wait(1_000);
        assert_eq!(
            play.look(Some(&[])).0,
            Health::Healthy,
            "it may be making a new one"
        );
        play.wait(5_000);
        let (health, why) = play.look(Some(&[]));
        assert_eq!(health, Health::Unhealthy, "{why}");
        assert!(
            why.contains("no connection to a broker since 12:01:30"),
            "{why}"
        );
        assert!(why.contains("port 6379"), "{why}");
        play.wait(5_000);
        assert_eq!(play.look(Some(&["port 6379"])).0, Health::Healthy);
    }

    #[test]
    fn one_that_never_had_any_is_degraded_once_its_start_is_over() {
        let mut play = Play::of(&CELERY, 0);
        for _ in 0..3 {
            let (health, why) = play.look(Some(&[]));
            assert_eq!(health, Health::Starting, "{why}");
            play.wait(5_000);
        }
        let (health, why) = play.look(Some(&[]));
        assert_eq!(health, Health::Degraded, "{why}");
        assert!(why.contains("no connection to a broker"), "{why}");
        // Another process in its place is another life.
        play.scene = play.scene.clone().with(|p| p.started_at = at(15_000));
        play.wait(5_000);
        assert_eq!(play.look(Some(&["/run/redis.sock"])).0, Health::Healthy);
    }

    #[test]
    fn what_cannot_be_seen_is_not_claimed() {
        let mut play = Play::of(&CELERY, 60_000);
        assert_eq!(play.look(Some(&["port 5672"])).0, Health::Healthy);
        for _ in 0..3 {
            play.wait(30_000);
            assert_eq!(play.look(None).0, Health::Healthy);
        }
    }

    #[test]
    fn who_is_not_known_to_keep_a_connection_is_not_looked_at() {
        for command in [
            &["python3", "/usr/bin/celery", "-A", "tasks", "beat"][..],
            &["python3", "/usr/bin/huey_consumer", "tasks.huey"],
            &["python3", "work.py"],
        ] {
            let play = Play::of(command, 60_000);
            assert_eq!(play.assessor.unlinked(at(60_000)), None, "{command:?}");
        }
    }
}
