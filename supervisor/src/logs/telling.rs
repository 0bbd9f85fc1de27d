//! Telling one asker: first what was written until now, ordered by time, then what comes, as it comes.
//!
//! ```text
//!          ┌─ Engine's lines ────► Past ─┐ Engine ended, quiet, or later
//! begin ──►│                      ▲      ├──► Sources, lines by time ──► live ──► the container ended,
//!          └─ files' last lines ──┘      │                                        or nobody reads
//!                                        └── without --follow this is the end
//! ```
//! The Engine does not say where the past ends. It is over when a line is younger than the question, or when
//! nothing has come for a moment; being wrong about it costs no line, only some order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use diogenes_discovery::redact::redact_text;
use diogenes_engine::{Engine, EngineError, LogLine, LogOptions, LogStream};
use diogenes_proto::{Timestamp, Untrusted};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::logs::files::{Files, News};
use crate::logs::wanted::{NoSuchService, Wanted};
use crate::logs::{Gone, Item, Line, Out, QUEUE, Query};
use crate::registry::presence::{Absence, Presence};
use crate::registry::{Entry, Registry};

/// Askers at one time.
const MAX_ASKERS: usize = 16;
/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Without a line for so long, the past is over.
const QUIET: Duration = Duration::from_millis(250);
/// Without a line for so long, an Engine that is to tell only the past does not answer.
const STALL: Duration = Duration::from_secs(20);
/// How long the registry may take to learn that the container ended.
const END_DEADLINE: Duration = Duration::from_secs(3);
/// Most text of lines that are held back until it is known which are the last.
const MAX_HELD_BYTES: usize = 2 * 1024 * 1024;

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

type EngineLines = BoxStream<'static, Result<LogLine, EngineError>>;

/// Why nothing is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The service is not known.
    #[error(transparent)]
    NoSuchService(#[from] NoSuchService),
    /// Too many read logs already.
    #[error("{MAX_ASKERS} others read logs at this moment; try again when one has ended")]
    TooMany,
}

/// The logs of all containers.
pub(crate) struct Logs {
    engine: Arc<dyn Engine>,
    registry: Arc<Registry>,
    places: Arc<Semaphore>,
}

impl Logs {
    /// The logs of the containers of an Engine.
    pub(crate) fn new(engine: Arc<dyn Engine>, registry: Arc<Registry>) -> Self {
        Self {
            engine,
            registry,
            places: Arc::new(Semaphore::new(MAX_ASKERS)),
        }
    }

    /// Begins to tell what a container writes. It ends by itself, and when what is returned is dropped.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(crate) async fn tell(
        &self,
        entry: &Entry,
        query: Query,
    ) -> Result<mpsc::Receiver<Item>, Refusal> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Refusal::TooMany)?;
        let wanted = Wanted::find(entry.last_report(), query.service.as_deref())?;
        let query = Arc::new(query);
        let id = entry.facts.id.clone();
        let begun = Timestamp::now();
        let (registry, engine) = (self.registry.clone(), &self.engine);
        let mut files = Files::new(registry.clone(), id, wanted.clone(), query.clone());
        let news = files.begin().await;
        let paths = files.paths();
        let output = wanted.has_output(paths.len()).then(|| {
            let options = LogOptions {
                since: query.since.map(|since| since.0),
                until: query.until.map(|until| until.0),
                tail: query.plain_tail(),
                follow: query.follow,
            };
            engine.logs(&entry.facts.id, options)
        });
        let mut sources = paths;
        if output.is_some() {
            sources.splice(0..0, [STDOUT.into(), STDERR.into()]);
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        let telling = Telling {
            container: Life::of(entry),
            registry,
            query,
            begun,
            output,
            ended_at: None,
            out: Out(sender.clone()),
        };
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = sender.closed() => {}
                // An error says only that nobody reads any more.
                _ = telling.run(sources, news, files) => {}
            }
        });
        Ok(receiver)
    }
}

/// One run of a container.
struct Life {
    id: String,
    started_at: Option<Timestamp>,
}

impl Life {
    fn of(entry: &Entry) -> Self {
        Self {
            id: entry.facts.id.clone(),
            started_at: entry.facts.started_at,
        }
    }

    /// How it ended, in words; None while it goes on.
    fn end(&self, registry: &Registry) -> Option<String> {
        let Some(entry) = registry.get(&self.id) else {
            return Some("the container was deleted".into());
        };
        if entry.facts.started_at != self.started_at {
            return Some(
                "the container was started again; ask again to follow its new life".into(),
            );
        }
        // In the words for an absent companion, for those are about the container's end; it may still be on its way out.
        let absent = Presence::Absent(Absence::NothingToBeWith);
        (!entry.facts.state.has_processes())
            .then(|| absent.reason(&entry.facts, entry.presence_since))
    }
}

struct Telling {
    container: Life,
    registry: Arc<Registry>,
    query: Arc<Query>,
    /// When it was asked.
    begun: Timestamp,
    /// Stdout and stderr; None where they are not wanted, or have ended.
    output: Option<EngineLines>,
    /// When stdout and stderr ended, as far as nothing was said of it.
    ended_at: Option<Instant>,
    out: Out,
}

impl Telling {
    async fn run(
        mut self,
        sources: Vec<Untrusted>,
        News { lines, notes }: News,
        files: Files,
    ) -> Result<(), Gone> {
        self.out.say(Item::Sources { sources }).await?;
        for note in notes {
            self.out.note(note).await?;
        }
        let mut past = Past::new(lines, &self.query);
        let first_live = self.tell_past(&mut past).await?;
        past.end(&self.out).await?;
        if let Some(line) = first_live {
            self.out.say(Item::Line(line)).await?;
        }
        if self.query.follow {
            self.tell_live(files).await?;
        }
        Ok(())
    }

    /// Tells what was written until now; returns the first line that was written later.
    async fn tell_past(&mut self, past: &mut Past) -> Result<Option<Line>, Gone> {
        let follow = self.query.follow;
        let patience = if follow { QUIET } else { STALL };
        while self.output.is_some() {
            let line = tokio::select! {
                line = next(&mut self.output) => line,
                () = sleep(patience) => {
                    if !follow {
                        self.out.note("stdout and stderr are cut off here: the Engine tells no more").await?;
                    }
                    return Ok(None);
                }
            };
            match self.hear(line).await? {
                Some(line) if follow && line.at > Some(self.begun) => return Ok(Some(line)),
                Some(line) => past.take(line, &self.out).await?,
                None => {}
            }
        }
        Ok(None)
    }

    /// Tells what comes, until the container ends.
    async fn tell_live(mut self, files: Files) -> Result<(), Gone> {
        let mut changes = self.registry.subscribe();
        let mut looks = std::pin::pin!(stream::unfold(files, |mut files| async {
            sleep(LOOK_INTERVAL).await;
            Some((files.go_on().await, files))
        }));
        loop {
            // While its output goes on, there may be lines of its last moment to come.
            if self.output.is_none()
                && let Some(end) = self.container.end(&self.registry)
            {
                return self.out.note(end).await;
            }
            let ended_at = self.ended_at;
            tokio::select! {
                line = next(&mut self.output) => {
                    if let Some(line) = self.hear(line).await? {
                        self.out.say(Item::Line(line)).await?;
                    }
                }
                Some(news) = looks.next() => {
                    for note in news.notes {
                        self.out.note(note).await?;
                    }
                    for (_, line) in news.lines {
                        self.out.say(Item::Line(line)).await?;
                    }
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                () = expired(ended_at) => {
                    self.ended_at = None;
                    self.out.note("stdout and stderr have ended; the container goes on").await?;
                }
            }
        }
    }

    /// Takes what the Engine says; returns the line where one is asked for.
    async fn hear(
        &mut self,
        said: Option<Result<LogLine, EngineError>>,
    ) -> Result<Option<Line>, Gone> {
        match said {
            Some(Ok(LogLine { at, stream, text })) => {
                let text = Untrusted::new(redact_text(text.as_raw()));
                let source = match stream {
                    LogStream::Stdout => STDOUT,
                    LogStream::Stderr => STDERR,
                };
                let wanted = self.query.wants(at, text.as_raw());
                return Ok(wanted.then(|| Line {
                    at,
                    source: source.into(),
                    text,
                }));
            }
            Some(Err(error)) => {
                self.output = None;
                let note = format!("stdout and stderr are not shown from here on: {error}");
                self.out.note(note).await?;
            }
            None => {
                self.output = None;
                self.ended_at = Some(Instant::now());
            }
        }
        Ok(None)
    }
}

/// The next line; never, where there is no stream.
async fn next(output: &mut Option<EngineLines>) -> Option<Result<LogLine, EngineError>> {
    match output {
        Some(output) => output.next().await,
        None => std::future::pending().await,
    }
}

/// When nothing has explained for a while why the output ended; never, where it did not.
async fn expired(ended_at: Option<Instant>) {
    match ended_at {
        Some(ended_at) => sleep_until(ended_at + END_DEADLINE).await,
        None => std::future::pending().await,
    }
}

/// What was written until now: the files' lines, waiting to be put between those of the Engine.
struct Past {
    /// By time. Lines of files without any time come first.
    files: VecDeque<(Option<Timestamp>, Line)>,
    /// The Engine's lines, where only the last are wanted and the Engine cannot tell which these are.
    last: Option<Last>,
}

impl Past {
    fn new(files: Vec<(Option<Timestamp>, Line)>, query: &Query) -> Self {
        let picks = query.plain_tail().is_none();
        Self {
            files: files.into(),
            last: query.tail.filter(|_| picks).map(Last::new),
        }
    }

    /// Takes a line of the Engine.
    async fn take(&mut self, line: Line, out: &Out) -> Result<(), Gone> {
        match &mut self.last {
            Some(last) => last.push(line),
            None => {
                self.tell_files(line.at, out).await?;
                out.say(Item::Line(line)).await?;
            }
        }
        Ok(())
    }

    /// Tells what is left.
    async fn end(mut self, out: &Out) -> Result<(), Gone> {
        if let Some(last) = self.last.take() {
            if last.cut {
                let held = MAX_HELD_BYTES / 1024 / 1024;
                let note = format!(
                    "stdout and stderr: only the last {held} MiB of lines are kept for a tail"
                );
                out.note(note).await?;
            }
            for line in last.lines {
                self.take(line, out).await?;
            }
        }
        while let Some((_, line)) = self.files.pop_front() {
            out.say(Item::Line(line)).await?;
        }
        Ok(())
    }

    /// Tells the files' lines up to a moment.
    async fn tell_files(&mut self, until: Option<Timestamp>, out: &Out) -> Result<(), Gone> {
        while let Some((_, line)) = self.files.pop_front_if(|(at, _)| *at <= until) {
            out.say(Item::Line(line)).await?;
        }
        Ok(())
    }
}

/// The last lines of many.
struct Last {
    lines: VecDeque<Line>,
    most: usize,
    bytes: usize,
    /// Whether lines are missing that were wanted.
    cut: bool,
}

impl Last {
    fn new(most: u32) -> Self {
        Self {
            lines: VecDeque::new(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            bytes: 0,
            cut: false,
        }
    }

    fn push(&mut self, line: Line) {
        self.bytes += size(&line);
        self.lines.push_back(line);
        while self.lines.len() > self.most || self.bytes > MAX_HELD_BYTES {
            self.cut |= self.lines.len() <= self.most;
            let Some(first) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= size(&first);
        }
    }
}

/// What a line takes in memory.
fn size(line: &Line) -> usize {
    size_of::<Line>() + line.source.as_raw().len() + line.text.as_raw().len()
}
