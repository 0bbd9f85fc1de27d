//! An alert as receivers get it: JSON, a sentence for people, and nothing that grows without bound.
//!
//! What containers say is in it. As JSON it is data; in the sentence, which chats show, the characters that make
//! links and call people are replaced by ones that look alike and do nothing.

use std::time::Duration;

use diogenes_insight::words::span;
use diogenes_proto::untrusted::escape;
use diogenes_proto::{Finding, Health, Service, Severity, Timestamp, Untrusted};
use serde::Serialize;

use crate::alerts::rule::{News, Notice, Standing};
use crate::registry::Entry;
use crate::supervisor::Supervisor;

/// Services and findings told, the most important first.
const MAX_LISTED: usize = 5;
/// Longest text of a container in an alert, in bytes. With it an alert stays well below 32 KiB.
const MAX_TEXT_BYTES: usize = 512;

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Alert {
    /// Always `container.health_changed`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// When it was made.
    pub(crate) timestamp: Timestamp,
    /// All of it in one sentence: what chats show.
    pub(crate) text: String,
    /// The facts.
    pub(crate) data: Data,
}

/// The facts of an alert. Every key is always there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Data {
    /// Which container.
    pub(crate) container: Container,
    /// How it stood before: a health, or `ended`; null where nothing was known.
    pub(crate) from: Option<&'static str>,
    /// How it stands.
    pub(crate) to: &'static str,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Why, in the companion's words, or why none speaks.
    pub(crate) reason: Untrusted,
    /// How long it stood as before, in seconds; null where that is not known.
    pub(crate) lasted_s: Option<u64>,
    /// How long it had not been well, in seconds, where it is again; null in all other alerts.
    pub(crate) recovered_after_s: Option<u64>,
    /// How often it changed in the last five minutes, where that is the news; null in all other alerts.
    pub(crate) flapping: Option<usize>,
    /// Alerts about this container that this one stands for: they could not be delivered before it.
    pub(crate) superseded: u64,
    /// The services that are not well, at most five.
    pub(crate) services: Vec<AilingService>,
    /// What was found, at most five.
    pub(crate) findings: Vec<ToldFinding>,
    /// The name of this host.
    pub(crate) host: String,
    /// The supervisor's version.
    pub(crate) supervisor: &'static str,
}

/// The container of an alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Container {
    /// Its full id.
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its companion's name.
    pub(crate) ci_name: String,
    pub(crate) image: String,
    /// Docker's word for its state.
    pub(crate) state: &'static str,
    /// Exit code of its last run; null while it runs.
    pub(crate) exit_code: Option<i64>,
    pub(crate) oom_killed: bool,
    pub(crate) restart_count: u64,
}

/// A service that is not well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct AilingService {
    pub(crate) name: Untrusted,
    pub(crate) health: Health,
    pub(crate) since: Timestamp,
    /// The weightiest evidence; empty where there is none.
    pub(crate) reason: Untrusted,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ToldFinding {
    pub(crate) code: String,
    pub(crate) severity: Severity,
    /// The service concerned, by its key; null where it is the container's.
    pub(crate) service: Option<String>,
    pub(crate) summary: Untrusted,
}

impl Alert {
    /// The alert that a notice is worth, with what is known of its container.
    pub(crate) fn new(notice: &Notice, entry: &Entry, host: &str) -> Self {
        let facts = &entry.facts;
        let since = match notice.to {
            Standing::Ended => facts.finished_at.unwrap_or(entry.presence_since),
            _ => entry.health().1,
        };
        let reason = shortened(&entry.health_reason());
        let ailing =
            |service: &&Service| !matches!(service.health, Health::Healthy | Health::Starting);
        let services = entry
            .spoken()
            .into_iter()
            .flat_map(|report| &report.services);
        Self {
            kind: "container.health_changed",
            timestamp: Timestamp::now(),
            text: sentence(notice, &facts.name, &reason),
            data: Data {
                container: Container {
                    id: facts.id.clone(),
                    name: facts.name.clone(),
                    ci_name: entry.ci_name(),
                    image: facts.image.chars().take(MAX_TEXT_BYTES).collect(),
                    state: facts.state.as_str(),
                    exit_code: facts.exit_code,
                    oom_killed: facts.oom_killed,
                    restart_count: facts.restart_count,
                },
                from: notice.from.map(|(standing, _)| standing.as_str()),
                to: notice.to.as_str(),
                since,
                reason,
                lasted_s: notice.from.map(|(_, lasted)| lasted.as_secs()),
                recovered_after_s: match notice.news {
                    News::Recovered(after) => Some(after.as_secs()),
                    _ => None,
                },
                flapping: match notice.news {
                    News::Flapping(changes) => Some(changes),
                    _ => None,
                },
                superseded: 0,
                services: services
                    .filter(ailing)
                    .take(MAX_LISTED)
                    .map(AilingService::from)
                    .collect(),
                findings: entry
                    .all_findings()
                    .take(MAX_LISTED)
                    .map(ToldFinding::from)
                    .collect(),
                host: host.to_owned(),
                supervisor: Supervisor::VERSION,
            },
        }
    }
}

impl From<&Service> for AilingService {
    fn from(service: &Service) -> Self {
        Self {
            name: shortened(&service.name),
            health: service.health,
            since: service.since,
            reason: service.evidence.first().map(shortened).unwrap_or_default(),
        }
    }
}

impl From<&Finding> for ToldFinding {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.clone(),
            severity: finding.severity,
            service: finding.service.clone(),
            summary: shortened(&finding.summary),
        }
    }
}

/// All of it in one sentence.
fn sentence(notice: &Notice, name: &str, reason: &Untrusted) -> String {
    let was = |(standing, lasted): (Standing, Duration)| {
        format!(" (was {} for {})", standing.as_str(), span(lasted))
    };
    let was = notice.from.map(was).unwrap_or_default();
    let text = match notice.news {
        News::Recovered(after) => format!("{name} is healthy again, after {}", span(after)),
        News::Flapping(changes) => format!(
            "{name} is flapping: {changes} changes in 5 min, now {}: {reason}",
            notice.to.as_str()
        ),
        News::Changed if notice.to == Standing::Ended => format!("{name} ended{was}: {reason}"),
        News::Changed => format!("{name} is {}{was}: {reason}", notice.to.as_str()),
    };
    let tame = |c| match c {
        '<' => '‹',
        '>' => '›',
        '@' => '＠',
        c => c,
    };
    escape(&text).to_string().chars().map(tame).collect()
}

/// A container's text, cut to what an alert has room for.
fn shortened(text: &Untrusted) -> Untrusted {
    let raw = text.as_raw();
    if raw.len() <= MAX_TEXT_BYTES {
        return text.clone();
    }
    let end = raw.floor_char_boundary(MAX_TEXT_BYTES - '…'.len_utf8());
    format!("{}…", &raw[..end]).into()
}

#[cfg(test)]
pub(crate) mod tests {
    use diogenes_engine::{ContainerFacts, ContainerState};
    use diogenes_proto::Report;

    use super::*;
    use crate::attendants::way_in::Via;
    use crate::registry::Registry;
    use crate::registry::presence::Presence;

    /// An alert about a container of this id and name.
    pub(crate) fn alert(id: &str, to: Standing) -> Alert {
        told(id, News::Changed, to, "Redis does not answer")
    }

    fn told(id: &str, news: News, to: Standing, reason: &str) -> Alert {
        let registry = Registry::default();
        registry.set_facts(ContainerFacts {
            id: id.into(),
            name: format!("name-{id}"),
            image: "i".repeat(10_000),
            state: ContainerState::Running,
            ..ContainerFacts::default()
        });
        let build = "diogenes-agent".into();
        registry.set_presence(
            id,
            Presence::Present {
                build,
                via: Via::Attached,
            },
        );
        let service = |health| Service {
            key: "s".into(),
            name: reason.into(),
            kind: "s".into(),
            health,
            evidence: vec![reason.into(); 9],
            ..Service::default()
        };
        let finding = Finding {
            code: "service-gone".into(),
            severity: Severity::Critical,
            summary: reason.into(),
            service: None,
            evidence: Vec::new(),
            since: Timestamp::default(),
        };
        let mut services = vec![service(Health::Unhealthy); 50];
        services.insert(0, service(Health::Healthy));
        let report = Report {
            health: Health::Unhealthy,
            reason: reason.into(),
            services,
            findings: vec![finding; 50],
            ..Report::default()
        };
        registry.set_report(id, report);
        let notice = Notice {
            id: id.into(),
            from: Some((Standing::Healthy, Duration::from_secs(200))),
            to,
            news,
        };
        Alert::new(&notice, &registry.get(id).unwrap(), "host")
    }

    #[test]
    fn says_all_of_it_in_a_sentence() {
        let alert = alert("c1", Standing::Unhealthy);
        assert_eq!(
            alert.text,
            "name-c1 is unhealthy (was healthy for 3 min): Redis does not answer"
        );
        let recovered = News::Recovered(Duration::from_secs(42));
        assert_eq!(
            told("c1", recovered, Standing::Healthy, "").text,
            "name-c1 is healthy again, after 42 s"
        );
        assert_eq!(
            told("c1", News::Flapping(14), Standing::Unhealthy, "gone").text,
            "name-c1 is flapping: 14 changes in 5 min, now unhealthy: gone"
        );
        assert_eq!(
            told("c1", News::Changed, Standing::Ended, "exit 3").text,
            "name-c1 ended (was healthy for 3 min): exit 3"
        );
        assert!(
            alert
                .data
                .services
                .iter()
                .all(|service| service.health == Health::Unhealthy)
        );
    }

    #[test]
    fn a_container_cannot_call_people_or_make_links_or_move_a_cursor() {
        let alert = told(
            "c1",
            News::Changed,
            Standing::Unhealthy,
            "<!channel> @all <http://evil|click> \x1b[2J\n",
        );
        assert!(
            alert
                .text
                .chars()
                .all(|c| !matches!(c, '<' | '>' | '@') && !c.is_control())
        );
    }

    #[test]
    fn stays_small_whatever_a_container_says() {
        let alert = told(
            "c1",
            News::Changed,
            Standing::Unhealthy,
            &"\u{1}€".repeat(5000),
        );
        let json = serde_json::to_vec(&alert).unwrap();
        assert!(json.len() < 32 * 1024, "{} bytes", json.len());
        assert_eq!(
            (alert.data.services.len(), alert.data.findings.len()),
            (5, 5)
        );
    }
}
