//! What the companion says to each request.

use diogenes_discovery::logs::{Part, Writer};
use diogenes_probes::Curiosity;
use diogenes_proto::message::SnapshotPage;
use diogenes_proto::{
    ErrorCode, Health, LogPosition, Message, Request, Service, Timestamp, Untrusted, WireError,
};
use tokio::sync::oneshot;

use super::{Seen, Task, error, probe};

impl Task {
    /// Answers one request, at once or when what it takes has been done.
    pub(super) fn answer(&mut self, request: Request, reply: oneshot::Sender<Message>) {
        self.worked = true;
        let message = match request {
            Request::Ping {} => Message::Pong {},
            Request::Remember { starts, ended } => {
                self.assessor.remember(Timestamp::now(), starts, ended);
                self.look();
                Message::Pong {}
            }
            Request::Report {} => {
                self.look();
                Message::Report(Box::new((*self.report).clone()))
            }
            Request::Labels { labels } => {
                if self.words.hear(labels) {
                    self.hear();
                } else {
                    self.conclude_held_back();
                }
                Message::Report(Box::new((*self.report).clone()))
            }
            Request::Services {} => Message::Services {
                services: self.report.services.clone(),
            },
            Request::Health { service: None } => Message::Health {
                health: self.report.health,
                since: self.report.since,
                reason: self.report.reason.clone(),
            },
            Request::Health {
                service: Some(name),
            } => self.health_of(&name),
            Request::Ask { question, facts } => {
                let now = Timestamp::now();
                let answer =
                    diogenes_insight::answer(&question, &self.report, facts.as_deref(), now)
                        .fitted();
                Message::Answer(Box::new(answer))
            }
            Request::Snapshot { hash, offset } => self.page(hash, offset),
            Request::Probe { service } => match self.assessor.probe_of(&service) {
                Some(spec) => {
                    tokio::spawn(async move {
                        let outcome = probe(&spec, Curiosity::Health).await;
                        let _ = reply.send(Message::Probe { service, outcome });
                    });
                    return;
                }
                None => error(
                    ErrorCode::NotFound,
                    "there is no service with this key that can be probed; ask for services",
                ),
            },
            Request::Logs {
                service,
                lines,
                after,
            } => match self.read_logs(service.as_deref(), lines, after) {
                Ok(reading) => {
                    tokio::spawn(async move {
                        let _ = reply.send(reading.await);
                    });
                    return;
                }
                Err(error) => Message::Error(error),
            },
        };
        let _ = reply.send(message);
    }

    /// The health of the services that go by this name, kind or key: the worst of them.
    fn health_of(&self, name: &str) -> Message {
        let meant = |service: &&Service| {
            service.name.as_raw() == name || service.kind == name || service.key == name
        };
        let services = || self.report.services.iter().filter(meant);
        let health = Health::worst(services().map(|service| service.health));
        match services().find(|service| service.health == health) {
            Some(service) => {
                let why = service.evidence.first().cloned().unwrap_or_default();
                Message::Health {
                    health,
                    since: service.since,
                    reason: Untrusted::new(format!("{}: {}", service.name.as_raw(), why.as_raw())),
                }
            }
            None => error(
                ErrorCode::NotFound,
                "there is no service of this name; ask for services",
            ),
        }
    }

    /// Begins to read log files; who asks waits for the rest.
    fn read_logs(
        &mut self,
        service: Option<&str>,
        lines: u32,
        after: Option<Vec<LogPosition>>,
    ) -> Result<impl Future<Output = Message> + use<>, WireError> {
        let part = match after {
            Some(positions) => Part::Since(positions),
            None => {
                // Who begins to read may do so because something has just happened.
                self.look();
                Part::Last(usize::try_from(lines).unwrap_or(usize::MAX))
            }
        };
        self.log_reader.read(self.writers(service)?, part)
    }

    /// Who may write logs: the processes of one service, or all, those of services first.
    fn writers(&self, service: Option<&str>) -> Result<Vec<Writer>, WireError> {
        let mut writers = Vec::new();
        let mut is_known = service.is_none();
        for one in &self.report.services {
            if service.is_none_or(|key| key == one.key) {
                is_known = true;
                writers.extend(one.pids.iter().map(|pid| Writer {
                    pid: *pid,
                    service: Some(one.key.clone()),
                }));
            }
        }
        if !is_known {
            let message = "there is no service with this key; ask for services";
            return Err(WireError::new(ErrorCode::NotFound, message));
        }
        if let (None, Some(seen)) = (service, &self.seen[0]) {
            // Processes come by pid, services do not.
            let mut told: Vec<u32> = writers.iter().map(|writer| writer.pid).collect();
            told.sort_unstable();
            let pids = seen.snapshot.processes.iter().map(|one| one.container_pid);
            writers.extend(
                pids.filter(|pid| told.binary_search(pid).is_err())
                    .map(|pid| Writer { pid, service: None }),
            );
        }
        Ok(writers)
    }

    /// A page of the newest snapshot, or of the one with this hash.
    fn page(&mut self, hash: Option<String>, offset: u32) -> Message {
        if hash.is_none() {
            self.look();
        }
        let wanted = |seen: &&Seen| hash.as_ref().is_none_or(|hash| *hash == seen.hash);
        let page = self
            .seen
            .iter()
            .flatten()
            .find(wanted)
            .and_then(|seen| SnapshotPage::cut(&seen.hash, &seen.snapshot, offset));
        match page {
            Some(page) => Message::Snapshot(Box::new(page)),
            None => error(
                ErrorCode::NotFound,
                "there is no such snapshot or page any more; ask without a hash for a new one",
            ),
        }
    }
}
