//! What the companion of a container has learnt that its successor cannot see: how long services took to start, and
//! which of them had ended. The successor is told, also when this supervisor was replaced meanwhile.
//!
//! ```text
//! report ─► Past, of each container ─► the next companion's briefing
//!              │ ▲
//!              ▼ │ keep, recall
//!           past.json
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diogenes_proto::{EndedService, PastStart, Report, Request, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Registry;
use crate::state_file::StateFile;

/// Name of the file in the state directory.
const FILE: &str = "past.json";
/// Between two writes of the file at least: a host where much happens is not to be kept busy with it.
const PAUSE: Duration = Duration::from_secs(1);
/// Most services of one container whose starts are remembered: as many as a companion looks after.
const MAX_STARTS: usize = 128;

/// The past of one container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// How long its services took to start, by their keys, in milliseconds: true of its lives to come as well.
    #[serde(default)]
    starts: BTreeMap<String, u64>,
    /// The services that had ended, in the life that began at `life`.
    #[serde(default)]
    ended: Vec<EndedService>,
    /// When the container was started that was reported of last.
    #[serde(default)]
    life: Option<Timestamp>,
}

impl Past {
    /// Takes in a report of the life that began at `life`.
    pub(super) fn note(&mut self, life: Option<Timestamp>, report: &Report) {
        for service in &report.services {
            let has_room = self.starts.len() < MAX_STARTS || self.starts.contains_key(&service.key);
            if let Some(ms) = service.start_ms.filter(|_| has_room) {
                self.starts.insert(service.key.clone(), ms);
            }
        }
        self.life = life;
        self.ended = report
            .services
            .iter()
            .filter_map(EndedService::of)
            .collect();
    }

    /// What a new companion is to be told in the life that began at `life`; None where there is nothing.
    pub(super) fn to_request(&self, life: Option<Timestamp>) -> Option<Request> {
        let start = |(service, ms): (&String, &u64)| PastStart {
            service: service.clone(),
            ms: *ms,
        };
        let starts: Vec<_> = self.starts.iter().map(start).collect();
        let is_same_life = life.is_some() && life == self.life;
        let ended = Vec::from(if is_same_life { &*self.ended } else { &[] });
        let is_empty = starts.is_empty() && ended.is_empty();
        (!is_empty).then_some(Request::Remember { starts, ended })
    }
}

/// The past of all containers, by their full ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pasts {
    /// What is known of each.
    pub(super) containers: BTreeMap<String, Past>,
}

/// Who keeps the file in line with the registry.
#[derive(Debug)]
pub(crate) struct Keeper {
    registry: Arc<Registry>,
    file: StateFile,
    saved: Pasts,
}

impl Keeper {
    /// Lets the registry recall what is in the state directory.
    pub(crate) fn recall(registry: Arc<Registry>, state_dir: &Path) -> Self {
        let (file, saved) = StateFile::load::<Pasts>(state_dir, FILE, "what services did before");
        registry.recall(saved.clone());
        Self {
            registry,
            file,
            saved,
        }
    }

    /// Runs until told to stop, and writes what has changed until then.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.registry.subscribe();
        loop {
            let is_last = stop.is_cancelled();
            let pasts = self.registry.pasts();
            if pasts != self.saved || self.file.is_unsaved() {
                // A disk may be slow.
                let written = spawn_blocking(move || {
                    self.file.save(&pasts);
                    self.saved = pasts;
                    self
                });
                let Ok(keeper) = written.await else { return };
                self = keeper;
            }
            if is_last {
                return;
            }
            let change = async {
                let _ = changes.changed().await;
                sleep(PAUSE).await;
            };
            let _ = stop.run_until_cancelled(change).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use diogenes_engine::ContainerFacts;
    use diogenes_proto::{Health, Service};

    use super::*;

    /// The one container, in the life that began then.
    fn facts(started_ms: u64) -> ContainerFacts {
        ContainerFacts {
            id: "1".into(),
            name: "a".into(),
            started_at: Some(Timestamp::from_unix_ms(started_ms)),
            ..ContainerFacts::default()
        }
    }

    fn service(key: &str, health: Health, pids: Vec<u32>) -> Service {
        Service {
            key: key.into(),
            health,
            pids,
            ..Service::default()
        }
    }

    fn report(services: Vec<Service>) -> Report {
        Report {
            services,
            ..Report::default()
        }
    }

    fn ended_of(registry: &Registry) -> Vec<String> {
        match registry.past_of("1") {
            Some(Request::Remember { ended, .. }) => {
                ended.into_iter().map(|service| service.service).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn how_long_services_take_to_start_is_remembered_over_lives() {
        let mut past = Past::default();
        let started = |key: &str, start_ms| {
            report(vec![Service {
                start_ms,
                ..service(key, Health::Healthy, vec![7])
            }])
        };
        let lives = [
            Some(Timestamp::from_unix_ms(1)),
            Some(Timestamp::from_unix_ms(2)),
        ];
        past.note(lives[0], &started("tomcat:8080", Some(40_000)));
        past.note(lives[1], &started("tomcat:8080", None));
        let Some(Request::Remember { starts, .. }) = past.to_request(lives[1]) else {
            panic!("{past:?}");
        };
        assert_eq!(
            (starts.len(), &*starts[0].service, starts[0].ms),
            (1, "tomcat:8080", 40_000)
        );
        for port in 0..1000 {
            past.note(lives[1], &started(&format!("tcp:{port}"), Some(1)));
        }
        assert_eq!(past.starts.len(), MAX_STARTS);
    }

    #[test]
    fn only_what_is_gone_has_ended_and_only_in_its_life() {
        let registry = Registry::default();
        registry.set_facts(facts(1));
        registry.set_report(
            "1",
            report(vec![
                service("redis:6379", Health::Unhealthy, Vec::new()),
                service("nginx:80", Health::Unhealthy, vec![7]),
                service("tcp:9", Health::Healthy, Vec::new()),
            ]),
        );
        assert_eq!(ended_of(&registry), ["redis:6379"]);
        registry.set_facts(facts(2));
        assert!(ended_of(&registry).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn another_supervisor_recalls_it_of_containers_that_are_still_there() {
        let dir = tempfile::tempdir().unwrap();
        let first = Arc::new(Registry::default());
        let keeper = Keeper::recall(first.clone(), dir.path());
        let stop = CancellationToken::new();
        let running = tokio::spawn(keeper.run(stop.clone()));
        first.set_facts(facts(1));
        let gone = service("redis:6379", Health::Unhealthy, Vec::new());
        first.set_report("1", report(vec![gone]));
        stop.cancel();
        running.await.unwrap();

        let second = Arc::new(Registry::default());
        let keeper = Keeper::recall(second.clone(), dir.path());
        assert_eq!(second.pasts(), first.pasts(), "also before it is seen");
        second.set_facts(facts(1));
        second.have_seen_all();
        assert_eq!(ended_of(&second), ["redis:6379"]);
        second.remove("1");
        let stopped = CancellationToken::new();
        let running = tokio::spawn(keeper.run(stopped.clone()));
        while std::fs::read_to_string(dir.path().join(FILE))
            .unwrap()
            .contains("redis")
        {
            sleep(PAUSE).await;
        }
        stopped.cancel();
        running.await.unwrap();
    }
}
