//! What the supervisor tells over HTTP and in `--json`: the stable form of its facts.
//!
//! Every key is always there, null where nothing is known. Where no companion speaks, health is `unknown`:
//! what was true when it last spoke is not passed off as true now.

use std::collections::BTreeMap;
use std::path::PathBuf;

use diogenes_engine::{ContainerFacts, ContainerState};
use diogenes_proto::{
    Activity, Answer, Finding, Health, PublishedPort, Report, Resources, Service, Severity,
    Timestamp, Untrusted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attendants::policy::Verdict;
use crate::registry::Entry;

/// One container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Container")]
pub(crate) struct ContainerView {
    /// Its name.
    pub(crate) name: String,
    /// Its full id.
    pub(crate) id: String,
    /// Its companion's name, by which people and aish address it.
    pub(crate) ci_name: String,
    /// Its image, as it was named when the container was made.
    pub(crate) image: String,
    /// The worst health of its services; `unknown` where no companion speaks.
    pub(crate) health: Health,
    /// Since when it has that health.
    pub(crate) since: Timestamp,
    /// `attached`, `baked`, `exec`; null where no companion is there.
    pub(crate) via: Option<String>,
    /// `present`, `silent` or `absent`.
    pub(crate) state: String,
    /// The reason for `state`, in words.
    pub(crate) reason: String,
    /// The same in a word or two.
    pub(crate) companion: String,
    /// Whether it is to have a companion; null where that is not decided yet.
    #[serde(default)]
    pub(crate) policy: Option<PolicyView>,
    /// Why it has that health, in the companion's words; null where none speaks.
    pub(crate) health_reason: Option<Untrusted>,
    /// Role → service in words.
    pub(crate) roles: BTreeMap<String, Untrusted>,
    /// What runs there, as last reported, in the order of importance to a reader.
    pub(crate) services: Vec<ServiceView>,
    /// What it uses and may use.
    pub(crate) resources: ResourcesView,
    /// What is wrong or noteworthy, the weightiest first.
    pub(crate) findings: Vec<FindingView>,
    /// Number of processes; null where unknown.
    pub(crate) processes: Option<u32>,
    /// When the companion last reported; null where it has not, in this life of the container.
    pub(crate) reported_at: Option<Timestamp>,
    /// Docker's word for the container's state.
    pub(crate) container_state: String,
    /// When it was last started; null where it never was.
    pub(crate) started_at: Option<Timestamp>,
    /// When it last ended; null where it never did.
    pub(crate) finished_at: Option<Timestamp>,
    /// Exit code of the last run; null while it runs, and where it never ran.
    pub(crate) exit_code: Option<i64>,
    /// Whether the Engine saw the last run end out of memory.
    pub(crate) oom_killed: bool,
    /// How often the Engine restarted it by its restart policy.
    pub(crate) restart_count: u64,
    /// What the image's own HEALTHCHECK says; null where there is none.
    pub(crate) docker_health: Option<Health>,
    /// Ports published on the host, at most 64.
    pub(crate) published: Vec<PublishedPort>,
}

/// Whether a container is to have a companion, and who decided that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub(crate) struct PolicyView {
    /// Whether it is.
    pub(crate) wanted: bool,
    /// Who decided: `hand`, `label`, `exclude`, `include` or `default`, of which each goes over those behind it.
    pub(crate) rule: String,
    /// The pattern of `attach.exclude` or `attach.include` that decided; null where none did, so too where
    /// `attach.include` names others only.
    pub(crate) pattern: Option<String>,
    /// The same in words.
    pub(crate) reason: String,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Service")]
pub(crate) struct ServiceView {
    /// Its name for people.
    pub(crate) name: Untrusted,
    /// Lower-case word for what it is: `redis`, `postgresql`, `http`, …
    pub(crate) kind: String,
    /// What it does for the container: `web`, `api`, `db`, `cache`, …; null where unknown.
    pub(crate) role: Option<String>,
    /// The version it told; null where it cannot be known.
    pub(crate) version: Option<Untrusted>,
    /// TCP and UDP ports it listens on, ascending.
    pub(crate) ports: Vec<u16>,
    /// Whether it works; `unknown` where no companion speaks.
    pub(crate) health: Health,
    /// Whether it is at work, which says nothing of its health; null where that cannot be told.
    pub(crate) activity: Option<Activity>,
    /// Since when it has that health.
    pub(crate) since: Timestamp,
    /// Why it has that health, the weightiest first.
    pub(crate) evidence: Vec<Untrusted>,
}

/// A container's resources; null where unknown, a limit also where there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ContainerResources")]
pub(crate) struct ResourcesView {
    /// CPU use in percent of one core.
    pub(crate) cpu_percent: Option<f64>,
    /// CPU limit in cores.
    pub(crate) cpu_limit_cores: Option<f64>,
    /// CPU time used, in microseconds.
    pub(crate) cpu_usage_us: Option<u64>,
    /// Scheduler periods in which it was throttled.
    pub(crate) throttled_periods: Option<u64>,
    /// Time its tasks waited throttled, in microseconds.
    pub(crate) throttled_us: Option<u64>,
    /// Memory in bytes, without the inactive file cache.
    pub(crate) memory_bytes: Option<u64>,
    /// Memory limit in bytes.
    pub(crate) memory_limit_bytes: Option<u64>,
    /// Memory in percent of its limit.
    pub(crate) memory_percent: Option<f64>,
    /// Processes killed out of memory.
    pub(crate) oom_kills: Option<u64>,
    /// Processes and threads.
    pub(crate) pids: Option<u64>,
    /// Limit of processes and threads.
    pub(crate) pids_limit: Option<u64>,
    /// 1 or 2.
    pub(crate) cgroup_version: Option<u8>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub(crate) struct FindingView {
    /// Its kind, a stable word: `service-gone`, `accept-queue-full`, …
    pub(crate) code: String,
    /// How much it matters.
    pub(crate) severity: Severity,
    /// The fact in one sentence.
    pub(crate) summary: Untrusted,
    /// The service concerned, by its key; null where it is the container's.
    pub(crate) service: Option<String>,
    /// What shows it.
    pub(crate) evidence: Vec<Untrusted>,
    /// Since when it holds.
    pub(crate) since: Timestamp,
}

/// How the Engine is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Engine")]
pub(crate) struct EngineView {
    /// Where it is.
    pub(crate) endpoint: String,
    /// Whether it answers.
    pub(crate) reachable: bool,
    /// Its version; null where it has not answered yet.
    pub(crate) version: Option<String>,
    /// The version of its API; null where it has not answered yet.
    pub(crate) api_version: Option<String>,
    /// Why it does not answer.
    pub(crate) error: Option<String>,
    /// Since when it answers, or does not.
    pub(crate) since: Timestamp,
}

/// The supervisor itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Supervisor")]
pub(crate) struct SupervisorView {
    /// Its version.
    pub(crate) version: String,
    /// Its pid on the host.
    pub(crate) pid: u32,
    /// When it started.
    pub(crate) started_at: Timestamp,
    /// For how long it has been running, in seconds.
    pub(crate) uptime_s: u64,
    /// Directory of its sockets.
    pub(crate) run_dir: String,
    /// Address of its TCP listener.
    pub(crate) listen: String,
    /// Its container engine.
    pub(crate) engine: EngineView,
    /// Why no container can be entered; null where they can.
    pub(crate) attach_error: Option<String>,
    /// Why the last reload of the configuration changed nothing; null where it did, or there was none.
    #[serde(default)]
    pub(crate) config_error: Option<String>,
    /// Where it finds Tekton.
    #[serde(default)]
    pub(crate) tekton: TektonView,
}

/// Where a supervisor finds Tekton's files and programs; null what it was not told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Tekton")]
pub(crate) struct TektonView {
    /// Tekton's directory.
    pub(crate) root: Option<PathBuf>,
    /// The address of Hermes.
    pub(crate) hermes: Option<String>,
    /// The address of Ergon.
    pub(crate) ergon: Option<String>,
}

/// Everything: what `status --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Status")]
pub(crate) struct StatusView {
    /// All containers by name.
    pub(crate) containers: Vec<ContainerView>,
    /// The supervisor.
    pub(crate) supervisor: SupervisorView,
}

/// An answer, and whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnswerOf", extend("examples" = [{
    "container": "shop",
    "ci_name": "shop-container-ci",
    "answered_by": "companion",
    "intent": "status",
    "text": "Running 2 services: FastAPI (healthy), Redis (healthy).",
    "as_of": "2026-01-31T08:00:00.123Z",
}]))]
pub(crate) struct AnswerView {
    /// The container's name.
    pub(crate) container: String,
    /// Its companion's name.
    pub(crate) ci_name: String,
    /// `companion`; or `supervisor` where none could be asked, and where it was asked about the past.
    pub(crate) answered_by: String,
    #[serde(flatten)]
    pub(crate) answer: Answer,
}

impl AnswerView {
    /// The answer for people: its text and then its evidence, line by line, each safe for a terminal.
    pub(crate) fn told(&self) -> String {
        let mut text = String::new();
        for line in self.answer.text.lines() {
            text += &line;
            text.push('\n');
        }
        // An answer to "why" is its evidence already, and ends with the service's own last lines.
        let told = self.answer.intent == diogenes_insight::Intent::Why.as_str();
        let evidence = self.answer.evidence.iter().filter(|_| !told);
        for line in evidence.flat_map(Untrusted::lines) {
            text += &format!("  {line}\n");
        }
        text
    }
}

impl ContainerView {
    /// The view of an entry.
    pub(crate) fn new(entry: &Entry) -> Self {
        let facts: &ContainerFacts = &entry.facts;
        let (report, spoken) = (entry.last_report(), entry.spoken());
        let (health, since) = entry.health();
        Self {
            name: facts.name.clone(),
            id: facts.id.clone(),
            ci_name: entry.ci_name(),
            image: facts.image.clone(),
            health,
            since,
            via: entry.presence.via().map(str::to_owned),
            state: entry.presence.state().to_owned(),
            reason: entry.presence.reason(facts, entry.presence_since),
            companion: entry.presence.short(facts),
            policy: entry.verdict.as_ref().map(PolicyView::from),
            health_reason: spoken.map(|report| report.reason.clone()),
            roles: report
                .map(|report| report.roles.clone())
                .unwrap_or_default(),
            services: ServiceView::all(entry),
            resources: ResourcesView::new(spoken, facts),
            findings: entry.all_findings().map(FindingView::from).collect(),
            processes: spoken.map(|report| report.processes),
            reported_at: entry.report.as_ref().map(|report| report.at),
            container_state: facts.state.as_str().to_owned(),
            started_at: facts.started_at,
            finished_at: facts.finished_at,
            exit_code: facts.exit_code,
            oom_killed: facts.oom_killed,
            restart_count: facts.restart_count,
            docker_health: facts.docker_health,
            published: facts.published.clone(),
        }
    }

    /// How long it has run; None where it does not.
    pub(crate) fn uptime(&self, now: Timestamp) -> Option<std::time::Duration> {
        let runs = ContainerState::from_word(&self.container_state).has_processes();
        self.started_at
            .filter(|_| runs)
            .map(|start| now.since(start))
    }
}

impl From<&Verdict> for PolicyView {
    fn from(verdict: &Verdict) -> Self {
        Self {
            wanted: verdict.wants(),
            rule: verdict.rule().to_owned(),
            pattern: verdict.pattern().map(|pattern| pattern.as_str().to_owned()),
            reason: verdict.reason(),
        }
    }
}

impl ServiceView {
    /// The services of a container, as they were last reported.
    pub(crate) fn all(entry: &Entry) -> Vec<Self> {
        let speaks = entry.spoken().is_some();
        let services = entry
            .last_report()
            .into_iter()
            .flat_map(|report| &report.services);
        services.map(|service| Self::new(service, speaks)).collect()
    }

    fn new(service: &Service, speaks: bool) -> Self {
        Self {
            name: service.name.clone(),
            kind: service.kind.clone(),
            role: service.role.clone(),
            version: service.version.clone(),
            ports: service.ports.clone(),
            health: if speaks {
                service.health
            } else {
                Health::Unknown
            },
            activity: service.activity.filter(|_| speaks),
            since: service.since,
            evidence: service.evidence.clone(),
        }
    }
}

impl ResourcesView {
    fn new(report: Option<&Report>, facts: &ContainerFacts) -> Self {
        let resources: Resources = report
            .map(|report| report.resources.clone())
            .unwrap_or_default();
        // The Engine knows the limit even where no companion speaks.
        let resources = Resources {
            memory_limit_bytes: resources.memory_limit_bytes.or(facts.memory_limit_bytes),
            ..resources
        };
        Self {
            cpu_percent: resources.cpu_percent,
            cpu_limit_cores: resources.cpu_limit_cores,
            cpu_usage_us: resources.cpu_usage_us,
            throttled_periods: resources.throttled_periods,
            throttled_us: resources.throttled_us,
            memory_bytes: resources.memory_bytes,
            memory_limit_bytes: resources.memory_limit_bytes,
            memory_percent: resources.memory_percent(),
            oom_kills: resources.oom_kills,
            pids: resources.pids,
            pids_limit: resources.pids_limit,
            cgroup_version: resources.cgroup_version,
        }
    }
}

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> Self {
        let Finding {
            code,
            severity,
            summary,
            service,
            evidence,
            since,
        } = finding.clone();
        Self {
            code,
            severity,
            summary,
            service,
            evidence,
            since,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::attendants::way_in::Via;
    use crate::registry::Registry;
    use crate::registry::presence::Presence;

    fn entry(presence: Presence) -> Arc<Entry> {
        let registry = Registry::default();
        registry.set_facts(ContainerFacts {
            id: "c1".into(),
            name: "shop".into(),
            state: ContainerState::Running,
            ..ContainerFacts::default()
        });
        let service = Service {
            key: "redis".into(),
            name: "Redis".into(),
            kind: "redis".into(),
            ports: vec![6379],
            pids: vec![1],
            health: Health::Healthy,
            ..Service::default()
        };
        let report = Report {
            health: Health::Healthy,
            services: vec![service],
            ..Report::default()
        };
        registry.set_report("c1", report);
        registry.set_presence("c1", presence);
        registry.get("c1").unwrap()
    }

    #[test]
    fn every_key_is_always_there() {
        let view =
            serde_json::to_value(ContainerView::new(&entry(Presence::Silent(Via::Attached))))
                .unwrap();
        let keys = [
            "name",
            "id",
            "ci_name",
            "image",
            "health",
            "since",
            "via",
            "state",
            "reason",
            "roles",
            "services",
            "resources",
            "findings",
        ];
        for key in keys {
            assert!(view.get(key).is_some(), "{key}");
        }
        for key in [
            "name", "kind", "role", "version", "ports", "health", "activity", "since", "evidence",
        ] {
            assert!(view["services"][0].get(key).is_some(), "{key}");
        }
        assert!(
            view["resources"]
                .as_object()
                .unwrap()
                .contains_key("memory_limit_bytes")
        );
    }

    #[test]
    fn old_news_is_not_passed_off_as_health() {
        let present = ContainerView::new(&entry(Presence::Present {
            build: "diogenes-agent 0.1.0".into(),
            via: Via::Attached,
        }));
        assert_eq!(
            (present.health, present.services[0].health),
            (Health::Healthy, Health::Healthy)
        );
        let silent = ContainerView::new(&entry(Presence::Silent(Via::Attached)));
        assert_eq!(
            (silent.health, silent.services[0].health),
            (Health::Unknown, Health::Unknown)
        );
        assert_eq!(silent.via.as_deref(), Some("attached"));
    }
}
