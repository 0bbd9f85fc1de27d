//! `logs`: what a container writes, line by line, as soon as it is told.
//!
//! Lines go to standard output, what is missing to standard error. Where lines come from several places, each says
//! where it was written, as with Compose: `access.log | GET /`.

use std::io::Write as _;

use clap::Args;
use diogenes_proto::Untrusted;
use diogenes_proto::untrusted::escape_json;

use crate::cli::client::Client;
use crate::cli::terminal::Terminal;
use crate::logs::{Item, Line, Pattern, Query, When};

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Which container.
    name: String,
    /// Only this service, by its key, kind or name.
    ///
    /// That is the files its processes write. Stdout and stderr belong to the whole container: they are shown with
    /// the service whose process is the container's first, and with a service that writes no file.
    #[arg(long, short, value_name = "SERVICE")]
    service: Option<String>,
    /// Nothing written before: a time (2026-11-21T14:00:00Z, UTC where no offset is given), or how long ago (10m, 2h, 1d).
    ///
    /// Lines of files have the time at their beginning, in any of the usual forms; a line without one belongs to the
    /// line before. A file without any time is shown as it is.
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Nothing written after: a time, or how long ago.
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
    /// The last N lines of each place, of those that match; by default all that can be had.
    ///
    /// Places are the container's output, that is stdout and stderr, and each file. Of a file its last 64 KiB can
    /// be had.
    #[arg(long, short = 'n', value_name = "N")]
    tail: Option<u32>,
    /// Only lines that match this regular expression; (?i) at its beginning makes case not matter.
    #[arg(long, short, value_name = "PATTERN")]
    grep: Option<Pattern>,
    /// Go on with what is written from now on, until the container ends or Ctrl-C.
    #[arg(long, short, conflicts_with = "until")]
    follow: bool,
    /// As JSON, an object a line.
    #[arg(long)]
    json: bool,
}

/// Prints what a container writes.
///
/// # Errors
/// A [`crate::exit::Failure`] where the supervisor cannot be reached, refuses, or goes away; or where nothing can be
/// written.
pub(crate) async fn logs(client: &Client, args: LogsArgs) -> anyhow::Result<()> {
    let LogsArgs {
        name,
        service,
        since,
        until,
        tail,
        grep,
        follow,
        json,
    } = args;
    let query = Query {
        service,
        since,
        until,
        tail,
        grep,
        follow,
    };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut printer = Printer::new(Terminal::stdout());
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let mut items = tokio::select! {
        _ = &mut interrupted => return Ok(()),
        items = client.logs(&name, &query) => items?,
    };
    loop {
        let item = tokio::select! {
            _ = &mut interrupted => return Ok(()),
            item = items.next() => item?,
        };
        let Some(bytes) = item else { return Ok(()) };
        let item = Item::decode(&bytes).map_err(crate::cli::client::strange)?;
        match item {
            _ if json => {
                stdout.write_all(escape_json(&String::from_utf8_lossy(&bytes)).as_bytes())?;
                stdout.write_all(b"\n")?;
            }
            Item::Sources { sources } => printer.meet(&sources),
            Item::Line(line) => stdout.write_all(printer.line(&line).as_bytes())?,
            Item::Note { note } => {
                stdout.flush()?;
                // Where nobody can be told, the lines still can.
                let _ = writeln!(
                    stderr,
                    "diogenes: {}",
                    diogenes_proto::untrusted::escape(&note)
                );
            }
        }
        if !items.has_more_at_hand() {
            stdout.flush()?;
        }
    }
}

/// Makes text of lines.
struct Printer {
    terminal: Terminal,
    /// Where lines come from, as far as it is known.
    sources: Vec<Untrusted>,
    /// Columns of the longest name; None where lines do not say where they come from.
    width: Option<usize>,
}

impl Printer {
    fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            sources: Vec::new(),
            width: None,
        }
    }

    /// Learns where lines may come from.
    fn meet(&mut self, sources: &[Untrusted]) {
        self.sources = sources.to_vec();
        // A container that writes no file has its lines as `docker logs` has them.
        let has_files = sources.iter().any(is_file);
        if has_files && sources.len() > 1 {
            let names = sources
                .iter()
                .map(|source| self.name(source).chars().count());
            self.width = names.max();
        }
    }

    /// What a source is called: a file by the end of its path, where no other ends so.
    fn name(&self, source: &Untrusted) -> String {
        let last = |source: &Untrusted| {
            let path = source.as_raw();
            path.rsplit_once('/')
                .map_or(path, |(_, name)| name)
                .to_owned()
        };
        let name = last(source);
        let alike = self.sources.iter().filter(|other| last(other) == name);
        if alike.count() <= 1 {
            Untrusted::from(name).to_string()
        } else {
            source.to_string()
        }
    }

    /// A line for people.
    fn line(&mut self, Line { source, text, .. }: &Line) -> String {
        if is_file(source) && !self.sources.contains(source) {
            // A file that came later: from now on there are several sources.
            self.sources.push(source.clone());
            let length = self.name(source).chars().count();
            self.width = Some(self.width.unwrap_or(0).max(length));
        }
        let colour = |codes: &str, text: String| {
            if self.terminal.colour {
                format!("\x1b[{codes}m{text}\x1b[0m")
            } else {
                text
            }
        };
        let mut line = String::new();
        if let Some(width) = self.width {
            line += &colour("36", format!("{:width$} |", self.name(source)));
            line.push(' ');
        }
        let text = text.to_string();
        line += &if source.as_raw() == "stderr" {
            colour("33", text)
        } else {
            text
        };
        line + "\n"
    }
}

fn is_file(source: &Untrusted) -> bool {
    source.as_raw().starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(sources: &[&str], lines: &[(&str, &str)], colour: bool) -> String {
        let mut printer = Printer::new(Terminal {
            width: Some(80),
            colour,
            is_terminal: true,
        });
        let sources: Vec<Untrusted> = sources.iter().map(|source| (*source).into()).collect();
        printer.meet(&sources);
        let line = |(source, text): &(&str, &str)| {
            printer.line(&Line {
                at: None,
                source: (*source).into(),
                text: (*text).into(),
            })
        };
        lines.iter().map(line).collect()
    }

    const OUTPUT: [&str; 2] = ["stdout", "stderr"];

    #[test]
    fn output_alone_looks_as_it_was_written() {
        let lines = [("stdout", "ready"), ("stderr", "warning")];
        insta::assert_snapshot!(print(&OUTPUT, &lines, false));
        insta::assert_snapshot!(print(&OUTPUT, &lines, true).escape_debug());
    }

    #[test]
    fn lines_of_several_places_say_where_they_were_written() {
        let sources = [
            "stdout",
            "stderr",
            "/var/log/nginx/access.log",
            "/a/x.log",
            "/b/x.log",
        ];
        let lines = [
            ("stdout", "ready"),
            ("/var/log/nginx/access.log", "GET / 200"),
            ("/a/x.log", "one"),
            ("/b/x.log", "two"),
        ];
        insta::assert_snapshot!(print(&sources, &lines, false));
        assert!(print(&sources, &lines, true).starts_with("\x1b[36mstdout     |\x1b[0m ready\n"));
        assert_eq!(print(&["/a/x.log"], &[("/a/x.log", "one")], false), "one\n");
    }

    #[test]
    fn a_file_that_comes_later_is_told_from_the_others() {
        let lines = [
            ("stdout", "ready"),
            ("/late.log", "hello"),
            ("stdout", "on"),
        ];
        insta::assert_snapshot!(print(&OUTPUT, &lines, false));
    }

    #[test]
    fn no_line_moves_a_cursor_or_forges_another() {
        let lines = [
            ("stdout", "\u{1b}[2Jgone\u{7}\rover"),
            ("/x\u{1b}[1m.log", "a\nstdout | forged"),
        ];
        insta::assert_snapshot!(print(&OUTPUT, &lines, false));
        let long = "x".repeat(100_000);
        assert!(print(&OUTPUT, &[("stdout", &long)], false).len() <= 4098);
    }
}
