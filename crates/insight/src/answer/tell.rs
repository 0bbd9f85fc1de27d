//! The sentences of each kind of answer.

use diogenes_proto::{Activity, Health, Service, Severity, Untrusted};

use super::{Asked, Told};
use crate::words::{
    ago, bytes, clock, count, decimal, list, port_words, role_words, sentence, span,
};

/// Most services whose reasons are told in one answer; the evidence has the rest.
const MAX_REASONS: usize = 4;
/// Most log lines told.
const MAX_LOG_LINES: usize = 10;

impl Asked<'_> {
    pub(super) fn status(&self) -> Told {
        let services = self.services_meant();
        let words = list_plain(services.iter().map(|service| service_words(service)));
        let mut text = if !self.about.is_empty() {
            words
        } else if services.is_empty() {
            "Running no service".to_owned()
        } else {
            let there = services
                .iter()
                .filter(|service| !service.pids.is_empty() || !service.listeners.is_empty());
            let there = there.count();
            let number = count(services.len(), "service");
            if there == services.len() {
                format!("Running {number}: {words}")
            } else {
                format!("Running {there} of {number}: {words}")
            }
        };
        if let Some(memory) = self.memory_words().filter(|_| self.about.is_empty()) {
            text = format!("{text}. {memory}.");
        }
        if !self.all_healthy(&services) {
            let reason = match self.about.as_slice() {
                [] => self.report.reason.to_string(),
                about => list(
                    &about
                        .iter()
                        .filter_map(|s| reason_words(s))
                        .collect::<Vec<_>>(),
                ),
            };
            text = format!("{text}\n{}", capitalised(&reason));
        }
        text.extend(self.contradiction().map(|words| format!("\n{words}")));
        Told {
            text,
            evidence: evidence_of(&services),
            ..Told::default()
        }
    }

    pub(super) fn why(&self) -> Told {
        let services = self.services_meant();
        let (well, unwell): (Vec<&Service>, Vec<&Service>) = services
            .iter()
            .partition(|service| service.health == Health::Healthy);
        let findings = self.findings_meant(Severity::is_trouble);
        if unwell.is_empty() && findings.is_empty() {
            return self.all_works(&well);
        }
        let mut lines: Vec<String> = unwell
            .iter()
            .take(MAX_REASONS)
            .map(|service| self.reasons(service))
            .collect();
        if let Some(rest) = unwell.get(MAX_REASONS..).filter(|rest| !rest.is_empty()) {
            lines.push(format!(
                "And {}.",
                list_plain(rest.iter().map(|service| service_words(service)))
            ));
        }
        // Findings of services are in their reasons already.
        let own = self
            .report
            .findings
            .iter()
            .filter(|f| f.severity.is_trouble())
            .filter(|f| f.service.is_none() && self.about.is_empty());
        lines.extend(own.map(|finding| format!("{}.", capitalised(&finding.summary.to_string()))));
        if lines.is_empty() {
            lines.extend(
                findings
                    .iter()
                    .map(|words| format!("{}.", capitalised(words))),
            );
        }
        lines.extend(self.contradiction());
        let log = self
            .facts
            .map_or(&[][..], |facts| facts.log_tail.as_slice());
        if !log.is_empty() && !unwell.is_empty() {
            lines.push("Its last lines:".to_owned());
            let from = log.len().saturating_sub(MAX_LOG_LINES);
            lines.extend(
                log[from..]
                    .iter()
                    .map(|line| format!("  {}", sentence(line))),
            );
        }
        let mut evidence = evidence_of(&unwell);
        evidence.extend(findings.iter().map(sentence));
        Told {
            text: lines.join("\n"),
            evidence,
            ..Told::default()
        }
    }

    fn all_works(&self, services: &[&Service]) -> Told {
        let words = list(
            &services
                .iter()
                .map(|service| match service.evidence.first() {
                    Some(evidence) => format!("{} ({evidence})", service.name),
                    None => service.name.to_string(),
                })
                .collect::<Vec<_>>(),
        );
        let text = match (services, self.about.is_empty()) {
            ([], _) => "Nothing is known to run here.".to_owned(),
            (_, true) => format!("Everything works: {words}."),
            ([one], false) => match one.evidence.first() {
                Some(evidence) => format!("{} works: {evidence}.", one.name),
                None => format!("{} works.", one.name),
            },
            (_, false) => format!("All of them work: {words}."),
        };
        let contradiction = self.contradiction().map(|words| format!("\n{words}"));
        Told {
            text: text + &contradiction.unwrap_or_default(),
            evidence: evidence_of(services),
            ..Told::default()
        }
    }

    /// Why one service is as it is: its health, since when, and its evidence.
    fn reasons(&self, service: &Service) -> String {
        let lasting = span(self.now.since(service.since));
        let since = clock(service.since, self.now);
        let facts: Vec<String> = service
            .evidence
            .iter()
            .take(4)
            .map(ToString::to_string)
            .collect();
        let health = match service.health {
            Health::Unknown => "is of unknown health".to_owned(),
            health => format!("is {health}"),
        };
        format!(
            "{} {health} since {since} ({lasting}): {}.",
            service.name,
            facts.join("; ")
        )
    }

    pub(super) fn services(&self) -> Told {
        let services = self.services_meant();
        let told = services
            .iter()
            .map(|service| match service.ports.as_slice() {
                [] => service.name.to_string(),
                ports => format!("{} ({})", service.name, port_words(ports)),
            });
        let mut text = match services.as_slice() {
            [] => "Running no service".to_owned(),
            _ => format!("Running {}", list_plain(told)),
        };
        let memory = self
            .memory_words()
            .map(|words| format!("{words}, "))
            .unwrap_or_default();
        let health = if services.is_empty() {
            "nothing to judge".to_owned()
        } else if self.all_healthy(&services) {
            match services.len() {
                1 => "healthy".to_owned(),
                _ => "all services healthy".to_owned(),
            }
        } else {
            self.report.reason.to_string()
        };
        text = format!("{text}. {}.", capitalised(&format!("{memory}{health}")));
        let roles = self.report.roles.iter();
        let data: Vec<_> = roles
            .map(|(role, words)| (role.clone(), words.clone()))
            .collect();
        let evidence = services.iter().map(|s| {
            let role = s.role.as_deref().unwrap_or("no known role");
            sentence(format!("{}: {role}, {}", s.name, role_words(s)))
        });
        Told {
            text,
            evidence: evidence.collect(),
            data,
        }
    }

    pub(super) fn ports(&self) -> Told {
        let services = self.services_meant();
        let data: Vec<(String, Untrusted)> = services
            .iter()
            .filter(|s| !s.ports.is_empty())
            .map(|s| (s.key.clone(), sentence(port_words(&s.ports))))
            .collect();
        let mut lines = vec![if services
            .iter()
            .all(|s| s.ports.is_empty() && s.listeners.is_empty())
        {
            "Nothing listens here.".to_owned()
        } else {
            let told = services.iter().map(|service| {
                let lost = if service.listeners.is_empty() {
                    ", closed now"
                } else {
                    ""
                };
                match service.ports.as_slice() {
                    [] => format!("{} (a Unix socket)", service.name),
                    ports => format!("{} ({}{lost})", service.name, port_words(ports)),
                }
            });
            format!("Listening: {}.", list_plain(told))
        }];
        if let Some(facts) = self.facts.filter(|facts| !facts.published.is_empty()) {
            let published: Vec<String> = facts
                .published
                .iter()
                .take(16)
                .map(|p| {
                    let (host, protocol) = (
                        Untrusted::from(p.host_address.as_str()),
                        Untrusted::from(p.protocol.as_str()),
                    );
                    format!(
                        "{}/{protocol:.8} at {host:.64}:{}",
                        p.container_port, p.host_port
                    )
                })
                .collect();
            lines.push(format!("Published on the host: {}.", published.join(", ")));
        }
        let sockets = services.iter().flat_map(|service| {
            service.listeners.iter().map(|l| {
                let place = match (&l.address, l.port, &l.path) {
                    (Some(address), Some(port), _) => {
                        std::net::SocketAddr::new(*address, port).to_string()
                    }
                    (_, _, Some(path)) => format!("{path:.120}"),
                    _ => "an unnamed socket".to_owned(),
                };
                sentence(format!("{} listens on {place}", service.name))
            })
        });
        Told {
            text: lines.join("\n"),
            evidence: sockets.take(32).collect(),
            data,
        }
    }

    pub(super) fn memory(&self) -> Told {
        let resources = &self.report.resources;
        let used = resources.memory_bytes.map(bytes);
        let mut text = match (self.memory_words(), used, resources.memory_limit_bytes) {
            (Some(words), Some(used), Some(limit)) => {
                format!("{words}: {used} of {}.", bytes(limit))
            }
            (_, Some(used), _) => format!("Memory in use: {used}, without a limit."),
            _ => "How much memory is in use cannot be read here.".to_owned(),
        };
        if let Some(kills) = resources.oom_kills.filter(|&kills| kills > 0) {
            let processes = count(usize::try_from(kills).unwrap_or(usize::MAX), "process");
            text = format!("{text} The out-of-memory killer has ended {processes}.");
        }
        if !self.about.is_empty() {
            text = format!("{text} That is the whole container: it is not measured by service.");
        }
        let data = self
            .memory_words()
            .map(|words| ("memory".to_owned(), sentence(words)));
        Told {
            text,
            data: data.into_iter().collect(),
            ..Told::default()
        }
    }

    pub(super) fn cpu(&self) -> Told {
        let resources = &self.report.resources;
        let limit = match resources.cpu_limit_cores {
            Some(cores) => format!("limited to {} cores", decimal(cores, 2)),
            None => "without a limit".to_owned(),
        };
        let mut text = match resources.cpu_percent {
            Some(percent) => format!("CPU at {}% of one core, {limit}.", decimal(percent, 1)),
            None => format!("How much CPU is in use is known from the second look on; {limit}."),
        };
        if let Some(periods) = resources.throttled_periods.filter(|&periods| periods > 0) {
            text = format!("{text} Throttled in {periods} periods so far.");
        }
        let busy: Vec<String> = self
            .services_meant()
            .iter()
            .filter(|service| service.activity == Some(Activity::Busy))
            .map(|service| service.name.to_string())
            .collect();
        if !busy.is_empty() {
            text = format!("{text} Busy: {}.", list(&busy));
        }
        Told::from(text)
    }

    pub(super) fn processes(&self) -> Told {
        let total = count(self.report.processes as usize, "process");
        let services = self.services_meant();
        let told = services
            .iter()
            .map(|service| match service.pids.as_slice() {
                [] => format!("{} (none)", service.name),
                [pid] => format!("{} (pid {pid})", service.name),
                [main, others @ ..] => {
                    format!("{} (pid {main} and {} more)", service.name, others.len())
                }
            });
        let text = if services.is_empty() {
            format!("{total}.")
        } else {
            format!("{total}: {}.", list_plain(told))
        };
        Told::from(text)
    }

    pub(super) fn uptime(&self) -> Told {
        let mut lines = Vec::new();
        if let (Some(started), true) = (
            self.facts.and_then(|facts| facts.started_at),
            self.about.is_empty(),
        ) {
            lines.push(format!(
                "The container was started {}.",
                ago(started, self.now)
            ));
        }
        if self.about.is_empty() {
            lines.push(format!(
                "It has been {} since {}.",
                self.report.health,
                ago(self.report.since, self.now)
            ));
        }
        for service in self.about.iter().take(MAX_REASONS) {
            lines.push(format!(
                "{} has been {} since {}.",
                service.name,
                service.health,
                ago(service.since, self.now)
            ));
        }
        Told::from(lines.join("\n"))
    }

    pub(super) fn restarts(&self) -> Told {
        let Some(facts) = self.facts else {
            return self.hosts_to_tell("How often the container was restarted");
        };
        let mut text = match facts.restart_count {
            0 => "The container was never restarted by its restart policy.".to_owned(),
            1 => "The container was restarted once by its restart policy.".to_owned(),
            times => format!("The container was restarted {times} times by its restart policy."),
        };
        if facts.oom_killed {
            text.push_str(" The out-of-memory killer ended its last run.");
        }
        for finding in self
            .report
            .findings
            .iter()
            .filter(|f| f.code == "crash-loop")
        {
            text = format!("{text} {}.", capitalised(&finding.summary.to_string()));
        }
        Told::from(text)
    }

    pub(super) fn image(&self) -> Told {
        match self.facts {
            Some(facts) if !facts.image.is_empty() => {
                let image = Untrusted::from(facts.image.as_str());
                Told::from(format!("It was made from the image {image:.256}."))
            }
            _ => self.hosts_to_tell("The image it was made from"),
        }
    }

    /// What cannot be seen from the inside.
    fn hosts_to_tell(&self, what: &str) -> Told {
        Told::from(format!(
            "{what} is known to the host only: ask its supervisor."
        ))
    }

    pub(super) fn version(&self) -> Told {
        let told = self
            .services_meant()
            .into_iter()
            .map(|service| match &service.version {
                Some(version) => format!("{} {version:.60}", service.name),
                None => format!("{} (it does not tell its version)", service.name),
            });
        let words = list_plain(told);
        Told::from(if words.is_empty() {
            "No service is known here.".to_owned()
        } else {
            format!("{words}.")
        })
    }

    pub(super) fn findings(&self) -> Told {
        let findings = self.findings_meant(|_| true);
        let text = match findings.as_slice() {
            [] if self.report.health == Health::Healthy => "Nothing was found wrong.".to_owned(),
            [] => format!(
                "Nothing was found wrong; the health is {}: {}.",
                self.report.health, self.report.reason
            ),
            some => {
                let lines: Vec<String> = some
                    .iter()
                    .take(10)
                    .map(|words| format!("- {}", capitalised(words)))
                    .collect();
                format!("{}:\n{}", count(some.len(), "finding"), lines.join("\n"))
            }
        };
        Told {
            text,
            evidence: findings.iter().map(sentence).collect(),
            ..Told::default()
        }
    }

    pub(super) fn health(&self) -> Told {
        let services = self.services_meant();
        let mut text = match self.about.as_slice() {
            [] => {
                let report = self.report;
                let since = clock(report.since, self.now);
                format!(
                    "{} since {since}: {}.",
                    capitalised(report.health.as_str()),
                    report.reason
                )
            }
            about => about
                .iter()
                .map(|service| self.reasons(service))
                .collect::<Vec<_>>()
                .join("\n"),
        };
        text.extend(self.contradiction().map(|words| format!("\n{words}")));
        Told {
            text,
            evidence: evidence_of(&services),
            ..Told::default()
        }
    }

    /// Where Docker says something else than what is seen from the inside.
    fn contradiction(&self) -> Option<String> {
        let facts = self
            .facts
            .filter(|facts| facts.without_agent.is_none() && facts.state == "running")?;
        let (docker, inside) = (facts.docker_health, self.report.health);
        match (docker, inside) {
            (Some(Health::Healthy), Health::Unhealthy | Health::Degraded) => Some(format!(
                "Docker's own HEALTHCHECK says healthy; seen from the inside it is {inside}."
            )),
            (Some(Health::Unhealthy), Health::Healthy) => Some(
                "Docker's own HEALTHCHECK says unhealthy, though everything answers from the inside.".to_owned(),
            ),
            (None, Health::Unhealthy) => Some("Docker shows the container as up all the same.".to_owned()),
            _ => None,
        }
    }

    /// `Memory at 45%`; None without a limit.
    fn memory_words(&self) -> Option<String> {
        self.report
            .resources
            .memory_percent()
            .map(|percent| format!("Memory at {}%", decimal(percent, 0)))
    }

    fn all_healthy(&self, services: &[&Service]) -> bool {
        let parts = services
            .iter()
            .all(|service| service.health == Health::Healthy);
        parts && (!self.about.is_empty() || self.report.health == Health::Healthy)
    }

    /// The findings about what was asked, of the severities that are wanted.
    fn findings_meant(&self, wanted: impl Fn(Severity) -> bool) -> Vec<String> {
        let keys: Vec<&str> = self
            .about
            .iter()
            .map(|service| service.key.as_str())
            .collect();
        self.report
            .findings
            .iter()
            .filter(|f| wanted(f.severity))
            .filter(|f| {
                keys.is_empty() || f.service.as_deref().is_some_and(|key| keys.contains(&key))
            })
            .map(|finding| finding.summary.to_string())
            .collect()
    }
}

/// `Redis (healthy)`; of a worker that waits for work, `Celery (idle)`.
fn service_words(service: &Service) -> String {
    let is_waiting = service.role.as_deref() == Some("worker")
        && service.activity == Some(Activity::Idle)
        && matches!(service.health, Health::Healthy | Health::Unknown);
    if is_waiting {
        format!("{} (idle)", service.name)
    } else {
        format!("{} ({})", service.name, service.health)
    }
}

/// Why a service is not healthy; None where it is.
fn reason_words(service: &Service) -> Option<String> {
    let evidence = service
        .evidence
        .first()
        .filter(|_| service.health != Health::Healthy)?;
    Some(format!("{}: {evidence}", service.name))
}

fn evidence_of(services: &[&Service]) -> Vec<Untrusted> {
    let facts = services.iter().flat_map(|service| {
        service
            .evidence
            .iter()
            .map(|fact| sentence(format!("{}: {fact}", service.name)))
    });
    facts.take(64).collect()
}

/// Items as the house style has them: `a, b, c`.
fn list_plain(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// A sentence with a large first letter, unless it begins with a name of its own.
fn capitalised(text: &str) -> String {
    // "nginx" begins a sentence as it is.
    if crate::catalogue::kinds().any(|kind| text.starts_with(kind.name)) {
        return text.to_owned();
    }
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
