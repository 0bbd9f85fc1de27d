//! `events`: what changes in the containers, as it happens, over restarts of the supervisor.
//!
//! The supervisor tells server-sent events (HTML Living Standard, 9.2): each has a number, and who comes back with the
//! last one misses nothing, or is told that something is missing.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use diogenes_proto::untrusted::escape_json;

use crate::cli::client::{Client, strange};
use crate::cli::happening::Happenings;
use crate::cli::terminal::Terminal;
use crate::exit::{Exit, Failure};
use crate::registry::journal::Event;

/// How long to wait before coming back.
const COME_BACK: Duration = Duration::from_secs(1);

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only those of one container.
    #[arg(long, short, value_name = "NAME")]
    container: Option<String>,
    /// As JSON, an object a line.
    #[arg(long)]
    json: bool,
}

/// Prints what changes, until Ctrl-C. A supervisor that goes away is waited for.
///
/// # Errors
/// A [`Failure`] where there is no supervisor to begin with, or it refuses; or where nothing can be written.
pub(crate) async fn events(client: &Client, args: EventsArgs) -> anyhow::Result<()> {
    let mut follower = Follower {
        client,
        happenings: Happenings::new(Terminal::stdout(), args.container.is_none()),
        args,
        frames: Frames::default(),
        is_known: false,
        is_away: false,
    };
    let interrupted = tokio::signal::ctrl_c();
    tokio::select! {
        _ = interrupted => Ok(()),
        ended = follower.run() => ended,
    }
}

struct Follower<'a> {
    client: &'a Client,
    args: EventsArgs,
    happenings: Happenings,
    frames: Frames,
    /// Whether a supervisor has answered before.
    is_known: bool,
    /// Whether it was said that the supervisor is gone.
    is_away: bool,
}

impl Follower<'_> {
    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            if let Err(error) = self.follow().await {
                let unreachable = |failure: &Failure| failure.exit == Exit::Unreachable;
                if !self.is_known || !error.downcast_ref().is_some_and(unreachable) {
                    return Err(error);
                }
                if !std::mem::replace(&mut self.is_away, true) {
                    note(&format!("{error}; waiting for it"));
                }
            }
            tokio::time::sleep(COME_BACK).await;
        }
    }

    /// Prints one stream of events to its end.
    async fn follow(&mut self) -> anyhow::Result<()> {
        self.frames.reset();
        let container = self.args.container.as_deref();
        let mut lines = self.client.events(container, self.frames.last).await?;
        self.is_known = true;
        if std::mem::take(&mut self.is_away) {
            note("the supervisor is back");
        }
        let mut stdout = std::io::stdout();
        while let Some(line) = lines.next().await? {
            let Some(frame) = self.frames.take(&String::from_utf8_lossy(&line)) else {
                continue;
            };
            if frame.event == "lost" {
                note(
                    "events before the next are missing: the supervisor was restarted, or there were too many",
                );
                continue;
            }
            if self.args.json {
                stdout.write_all(escape_json(&frame.data).as_bytes())?;
                stdout.write_all(b"\n")?;
            } else {
                let event: Event = serde_json::from_str(&frame.data).map_err(strange)?;
                stdout.write_all(self.happenings.line(&event).as_bytes())?;
            }
            stdout.flush()?;
        }
        Ok(())
    }
}

/// Where nobody can be told, the events still can.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "diogenes: {text}");
}

/// One event as it is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Frame {
    event: String,
    data: String,
}

/// Makes events of lines.
#[derive(Debug, Default)]
struct Frames {
    /// The number of the last event; None before the first.
    last: Option<u64>,
    id: Option<u64>,
    frame: Frame,
}

impl Frames {
    /// Forgets what was begun; the last number stays.
    fn reset(&mut self) {
        self.id = None;
        self.frame = Frame::default();
    }

    /// Takes a line; returns the event that it ends. One without data, a sign of life, only has a number.
    fn take(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            self.last = self.id.take().or(self.last);
            let frame = std::mem::take(&mut self.frame);
            return (!frame.data.is_empty()).then_some(frame);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = value.parse().ok(),
            "event" => self.frame.event = value.to_owned(),
            "data" => self.frame.data += value,
            // Comments, and when to come back.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_events() {
        let mut frames = Frames::default();
        let stream = "retry: 2000\nid: 6\n: following\n\nid: 7\nevent: health\ndata: {\"id\":7}\n\nid: 8\ndata:{}";
        let told: Vec<Frame> = stream
            .lines()
            .filter_map(|line| frames.take(line))
            .collect();
        let event = Frame {
            event: "health".into(),
            data: "{\"id\":7}".into(),
        };
        assert_eq!(told, [event]);
        assert_eq!(frames.last, Some(7), "what is not complete has not come");
        frames.reset();
        assert_eq!(frames.take(""), None);
        assert_eq!(frames.last, Some(7));
    }
}
