//! Questions: from whoever asks to the companion, with what only the host knows; answered from the last
//! report where no companion can be asked. What is asked about the past the supervisor answers itself.

mod past;

use std::sync::Arc;
use std::time::Duration;

use diogenes_engine::Engine;
use diogenes_insight::Intent;
use diogenes_proto::{Answer, Health, HostFacts, Message, Report, Request, Timestamp, Untrusted};

use crate::api::view::AnswerView;
use crate::registry::presence::Presence;
use crate::registry::{Entry, Registry};

/// How long a companion may think. It needs a millisecond; a person waits.
const ASK_DEADLINE: Duration = Duration::from_secs(1);
/// Log lines given along when somebody asks why.
const LOG_LINES: u32 = 20;

/// The relay.
pub(crate) struct Relay {
    engine: Arc<dyn Engine>,
    registry: Arc<Registry>,
}

impl Relay {
    /// A relay that reads the containers' logs from `engine`, and their past from `registry`.
    pub(crate) fn new(engine: Arc<dyn Engine>, registry: Arc<Registry>) -> Self {
        Self { engine, registry }
    }

    /// Answers a question about a container. There is always an answer.
    pub(crate) async fn ask(&self, entry: &Entry, question: &str) -> AnswerView {
        let intent = diogenes_insight::understand(question);
        let (answered_by, answer) = match intent {
            Intent::Changes => ("supervisor", self.tell_past(entry, question)),
            _ => self.ask_about_now(entry, question, intent).await,
        };
        AnswerView {
            container: entry.facts.name.clone(),
            ci_name: entry.ci_name(),
            answered_by: answered_by.to_owned(),
            answer,
        }
    }

    /// What changed.
    fn tell_past(&self, entry: &Entry, question: &str) -> Answer {
        let history = self.registry.history(&entry.facts.id);
        past::answer(question, entry, history.as_ref(), Timestamp::now())
    }

    /// Who answered what is asked about the present, and what.
    async fn ask_about_now(
        &self,
        entry: &Entry,
        question: &str,
        intent: Intent,
    ) -> (&'static str, Answer) {
        let mut facts = entry.facts.to_host_facts();
        if intent == Intent::Why && entry.health().0 != Health::Healthy {
            facts.log_tail = self.log_tail(entry).await;
        }
        let (answered_by, mut answer) = match self.ask_companion(entry, question, &facts).await {
            Ok(answer) => ("companion", answer),
            Err(reason) => {
                facts.without_agent = Some(reason);
                ("supervisor", answer_alone(entry, question, &facts))
            }
        };
        if intent == Intent::Uptime
            && let Some(history) = self.registry.history(&entry.facts.id)
        {
            let before = past::before(question, entry, &history, Timestamp::now());
            answer.evidence.extend(before);
        }
        (answered_by, answer)
    }

    /// The companion's own answer; or why there is none, in words that go on from "the companion is".
    async fn ask_companion(
        &self,
        entry: &Entry,
        question: &str,
        facts: &HostFacts,
    ) -> Result<Answer, String> {
        let reason = || entry.presence.reason(&entry.facts, entry.presence_since);
        let session = entry
            .session
            .as_ref()
            .ok_or_else(|| format!("not there: {}", reason()))?;
        let request = Request::Ask {
            question: question.to_owned(),
            facts: Some(Box::new(facts.clone())),
        };
        match session.request(request, ASK_DEADLINE).await {
            Ok(Message::Answer(answer)) => Ok(*answer),
            Ok(_) => Err("not answering: it said something else".into()),
            Err(_) if matches!(entry.presence, Presence::Silent(_)) => {
                Err(format!("silent: {}", reason()))
            }
            Err(error) => Err(format!("not answering: {error}")),
        }
    }

    /// The last lines the container wrote, secrets redacted; none where they cannot be had, which the log of
    /// the supervisor tells: the answer is worth having without them.
    async fn log_tail(&self, entry: &Entry) -> Vec<Untrusted> {
        match self.engine.log_tail(&entry.facts.id, LOG_LINES).await {
            Ok(lines) => lines
                .iter()
                .map(|line| diogenes_discovery::redact::redact_text(line.as_raw()).into())
                .collect(),
            Err(error) => {
                tracing::debug!("no log lines of {}: {error}", entry.facts.name);
                Vec::new()
            }
        }
    }
}

/// The answer from the last report, or from the host's facts alone: a report that never was has no time.
fn answer_alone(entry: &Entry, question: &str, facts: &HostFacts) -> Answer {
    let nothing = Report::default();
    let report = entry.report.as_deref().unwrap_or(&nothing);
    diogenes_insight::answer(question, report, Some(facts), Timestamp::now())
}
