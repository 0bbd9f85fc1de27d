//! The log files of one container, as its companion tells them: the last lines first, then what came since.
//!
//! ```text
//! first look ──► last lines, positions ─┬─► next look: what came since the positions ─┐
//!   no companion: said once             └──────────────────◄──────────────────────────┘
//! ```
//! A companion that goes away costs nothing but time: positions are those of files, and the next companion reads on
//! from there. Only what was written to a file that is gone by then is lost, and that is said.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use diogenes_proto::{LogFile, LogPosition, Message, Request, Timestamp, Untrusted};
use tokio::time::sleep;

use crate::logs::wanted::Wanted;
use crate::logs::{Line, Query, line_time};
use crate::registry::Registry;
use crate::session::RequestError;

/// How long a companion may take: a little longer than it allows itself for files that hang.
const DEADLINE: Duration = Duration::from_secs(3);
/// How often a companion that is busy with other askers is asked, and the pause between.
const ATTEMPTS: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(200);
/// Files remembered. An agent tells of fewer at a time; who rotates by name leaves many behind.
const MAX_KNOWN: usize = 256;

/// The log files of a container.
pub(super) struct Files {
    registry: Arc<Registry>,
    container_id: String,
    wanted: Wanted,
    query: Arc<Query>,
    /// By path; None until a companion has told of them.
    known: Option<HashMap<Untrusted, Known>>,
    /// Since when no companion tells of them, and how many looks that were; None while one does.
    away: Option<(Timestamp, u32)>,
    more_noted: bool,
}

/// What is remembered of a file.
#[derive(Default)]
struct Known {
    /// Where to read on; None where it could not be read yet.
    position: Option<LogPosition>,
    /// The last time that was read in it: lines without one belong to the line before.
    at: Option<Timestamp>,
    /// Whether it was said that it cannot be read.
    failed: bool,
    /// Whether it was among those told last.
    present: bool,
}

/// What a look at the files brought.
#[derive(Debug, Default, PartialEq)]
pub(super) struct News {
    /// Lines with the moments by which they are ordered: that of the line, but never before that of a line above it in
    /// its file. Lines without any come first.
    pub(super) lines: Vec<(Option<Timestamp>, Line)>,
    /// What is missing.
    pub(super) notes: Vec<String>,
}

impl Files {
    /// The wanted files of a container.
    pub(super) fn new(
        registry: Arc<Registry>,
        container_id: String,
        wanted: Wanted,
        query: Arc<Query>,
    ) -> Self {
        Self {
            registry,
            container_id,
            wanted,
            query,
            known: None,
            away: None,
            more_noted: false,
        }
    }

    /// The paths of the files that are known.
    pub(super) fn paths(&self) -> Vec<Untrusted> {
        let mut paths: Vec<Untrusted> = self
            .known
            .iter()
            .flatten()
            .map(|file| file.0.clone())
            .collect();
        paths.sort();
        paths
    }

    /// The last lines of each file.
    pub(super) async fn begin(&mut self) -> News {
        let lines = self.query.plain_tail().unwrap_or(u32::MAX);
        self.look(lines).await
    }

    /// What came since the last look. Files met only now begin now: what they held before was not asked for in time.
    pub(super) async fn go_on(&mut self) -> News {
        self.look(0).await
    }

    async fn look(&mut self, lines: u32) -> News {
        let is_first = self.known.is_none();
        let after = self.known.as_ref().map(|known| {
            known
                .values()
                .filter_map(|file| file.position)
                .collect::<Vec<_>>()
        });
        let request = Request::Logs {
            service: self.wanted.only_key().map(str::to_owned),
            lines,
            after,
        };
        let mut news = News::default();
        match self.ask(request).await {
            Ok(logs) => {
                self.note_return(&mut news);
                let known = self.known.get_or_insert_default();
                known.values_mut().for_each(|file| file.present = false);
                let now = Timestamp::now();
                for file in &logs.files {
                    if self.wanted.has_file(file) {
                        let known = known.entry(file.path.clone()).or_default();
                        take(file, known, &self.query, is_first, now, &mut news);
                    }
                }
                if known.len() > MAX_KNOWN {
                    known.retain(|_, file| file.present);
                }
                if logs.omitted > 0 && !std::mem::replace(&mut self.more_noted, true) {
                    news.notes.push(format!(
                        "{} more log files are left out; --service shows those of one service",
                        logs.omitted
                    ));
                }
            }
            Err(reason) => {
                let (since, looks) = self.away.unwrap_or((Timestamp::now(), 0));
                self.away = Some((since, looks + 1));
                if looks + 1 == self.patience() {
                    news.notes
                        .push(format!("log files inside are not shown: {reason}"));
                }
            }
        }
        // Stable: the lines of one file, and those of the same moment, stay in their order.
        news.lines.sort_by_key(|(at, _)| *at);
        news
    }

    /// How many looks may be in vain before that is said. A companion that is killed is back by the next, and one that
    /// ends with its container is no news; only who begins without one is told at once.
    fn patience(&self) -> u32 {
        if self.known.is_some() { 2 } else { 1 }
    }

    /// Says what may be missing, now that somebody tells of the files again.
    fn note_return(&mut self, news: &mut News) {
        let patience = self.patience();
        if let Some((since, _)) = self.away.take().filter(|(_, looks)| *looks >= patience) {
            news.notes.push(if self.known.is_some() {
                format!(
                    "log files are shown again; what was written since {since} to files that were rotated or closed meanwhile is missing"
                )
            } else {
                "log files are shown from now on".to_owned()
            });
        }
    }

    /// Asks the companion; or why it cannot be asked, in words.
    async fn ask(&self, request: Request) -> Result<diogenes_proto::Logs, String> {
        let entry = self
            .registry
            .get(&self.container_id)
            .ok_or("the container was deleted")?;
        let session = entry
            .session
            .as_ref()
            .ok_or_else(|| entry.presence.reason(&entry.facts, entry.presence_since))?;
        for _ in 1..ATTEMPTS {
            match session.request(request.clone(), DEADLINE).await {
                Err(RequestError::Refused(error)) if error.retryable => sleep(BUSY_PAUSE).await,
                answer => return understood(answer),
            }
        }
        understood(session.request(request, DEADLINE).await)
    }
}

/// The logs in an answer; or why there are none, in words.
fn understood(answer: Result<Message, RequestError>) -> Result<diogenes_proto::Logs, String> {
    match answer {
        Ok(Message::Logs(logs)) => Ok(logs),
        Ok(_) => Err("its companion said something else".to_owned()),
        Err(error) => Err(format!("its companion does not tell of them: {error}")),
    }
}

/// Takes what was told of one file.
fn take(
    file: &LogFile,
    known: &mut Known,
    query: &Query,
    is_first: bool,
    now: Timestamp,
    news: &mut News,
) {
    known.present = true;
    known.position = file.position.or(known.position);
    if file.restarted {
        known.at = None;
    }
    let has_failed = file.failure.is_some();
    if let Some(failure) = file.failure.as_ref().filter(|_| !known.failed) {
        news.notes
            .push(format!("{} is not shown: {failure}", file.path));
    }
    known.failed = has_failed;
    if file.omitted {
        let what = if is_first {
            "earlier lines are"
        } else {
            "too much came at once, lines before these are"
        };
        news.notes.push(format!("{}: {what} left out", file.path));
    }
    // The rest of its line will come, where somebody waits for it.
    let unfinished = file.unfinished.iter().filter(|_| !query.follow);
    let (mut key, first) = (None, news.lines.len());
    for text in file.lines.iter().chain(unfinished) {
        known.at = line_time::of_line(text.as_raw(), now).or(known.at);
        key = key.max(known.at);
        if query.wants(known.at, text.as_raw()) {
            let line = Line {
                at: known.at,
                source: file.path.clone(),
                text: text.clone(),
            };
            news.lines.push((key, line));
        }
    }
    if let Some(tail) = query.tail.filter(|_| is_first) {
        let count = news.lines.len() - first;
        let excess = count.saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
        news.lines.drain(first..first + excess);
    }
}
