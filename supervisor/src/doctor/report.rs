//! The report: all verdicts and what they come to, for people and for scripts.

use diogenes_proto::Health;
use diogenes_proto::untrusted::escape;
use serde::Serialize;

use crate::cli::terminal::Terminal;
use crate::doctor::check::{Check, Status};

/// Columns where nobody says how many there are, as in a file: what every terminal has.
const DEFAULT_WIDTH: usize = 80;
/// Longer lines are hard to read, on however wide a terminal.
const MAX_WIDTH: usize = 110;
/// Narrower columns of text are harder to read than lines that the terminal breaks.
const MIN_TEXT_WIDTH: usize = 24;
/// What others say may stand in a verdict; more of it is cut off.
const MAX_TEXT_CHARS: usize = 600;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// That containers can be attended.
    Attending,
    /// That Tekton has all of it.
    Tekton,
}

impl Aim {
    /// In words.
    fn as_str(self) -> &'static str {
        match self {
            Self::Attending => "containers can be attended",
            Self::Tekton => "Tekton has all of the companions",
        }
    }
}

/// What `--json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    checks: Vec<Check>,
    /// Whether nothing failed.
    pub(super) ready: bool,
    #[serde(skip)]
    aim: Aim,
}

impl Report {
    /// The report of these verdicts.
    pub(super) fn new(checks: Vec<Check>, aim: Aim) -> Self {
        let ready = checks.iter().all(|check| check.status != Status::Failed);
        Self { checks, ready, aim }
    }

    /// One line a verdict and one at the end, no longer than the terminal is wide.
    pub(super) fn text(&self, terminal: Terminal) -> String {
        let titles = self.checks.iter().map(|check| check.title.chars().count());
        let indent = titles.max().unwrap_or(0) + 4;
        let width = terminal.width.unwrap_or(DEFAULT_WIDTH).min(MAX_WIDTH);
        let width = width.saturating_sub(indent).max(MIN_TEXT_WIDTH);
        let mut text = String::new();
        for check in &self.checks {
            let (mark, health) = match check.status {
                Status::Ok => ("✓", Health::Healthy),
                Status::Warning => ("!", Health::Degraded),
                Status::Failed => ("✗", Health::Unhealthy),
            };
            let mark = terminal.paint(mark, health);
            let head = format!("{mark} {:1$}", check.title, indent - 2);
            let margin = " ".repeat(indent);
            for (number, line) in wrap(&check.detail, width).iter().enumerate() {
                let margin = if number == 0 { &head } else { &margin };
                text += &format!("{margin}{line}\n");
            }
            let advice = check
                .advice
                .iter()
                .flat_map(|advice| wrap(advice, width - 2));
            for (number, line) in advice.enumerate() {
                let arrow = if number == 0 { "→ " } else { "  " };
                text += &format!("{margin}{arrow}{line}\n");
            }
        }
        text + "\n" + &self.summary() + "\n"
    }

    fn summary(&self) -> String {
        let count = |status| {
            let of = self.checks.iter().filter(|check| check.status == status);
            of.count()
        };
        let aim = self.aim.as_str();
        match (count(Status::Failed), count(Status::Warning)) {
            (0, 0) => format!("ready: {aim}"),
            (0, 1) => format!("ready: {aim}, with one limit (!)"),
            (0, limits) => format!("ready: {aim}, with {limits} limits (!)"),
            (1, _) => format!("1 thing to mend before {aim}"),
            (failures, _) => format!("{failures} things to mend before {aim}"),
        }
    }
}

/// Breaks a text between words into printable lines of at most so many columns; a longer word gets a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let text: String = text.chars().take(MAX_TEXT_CHARS).collect();
    let text = escape(&text).to_string();
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::new(
            vec![
                Check::ok(
                    "engine",
                    "Engine",
                    "20.10, API 1.41, at /var/run/docker.sock",
                ),
                Check::warning("clock", "Clock", "3 s behind\x1b[2J", "set it"),
                Check::failed(
                    "privileges",
                    "Privileges",
                    "user 65534, without CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SETUID and CAP_SETGID",
                    "run as root: sudo diogenes serve; or grant what is missing to the unit that starts it",
                ),
            ],
            Aim::Attending,
        )
    }

    #[test]
    fn a_person_reads_it() {
        let terminal = Terminal {
            width: Some(80),
            colour: false,
            is_terminal: true,
        };
        let text = report().text(terminal);
        insta::assert_snapshot!(text);
        assert!(text.lines().all(|line| line.chars().count() <= 80));
        let wide = Terminal {
            width: Some(200),
            colour: true,
            ..terminal
        };
        let text = report().text(wide);
        assert!(text.contains("\x1b[32m✓\x1b[0m Engine"), "{text}");
        assert_eq!(text.lines().count(), 7, "{text}");
        let narrow = Terminal {
            width: Some(1),
            ..terminal
        };
        assert!(report().text(narrow).contains("CAP_SYS_ADMIN"));
    }

    #[test]
    fn a_script_reads_it() {
        let value = serde_json::to_value(report()).unwrap();
        assert_eq!(value["ready"], false);
        assert_eq!(value["checks"][0]["status"], "ok");
        assert!(value["checks"][0]["advice"].is_null());
        assert_eq!(value["checks"][2]["id"], "privileges");
        assert_eq!(value["checks"][2]["status"], "failed");
    }

    #[test]
    fn only_failures_are_in_the_way() {
        let ready = Report::new(report().checks.drain(..2).collect(), Aim::Attending);
        assert!(ready.ready);
        assert_eq!(
            ready.summary(),
            "ready: containers can be attended, with one limit (!)"
        );
        assert_eq!(
            report().summary(),
            "1 thing to mend before containers can be attended"
        );
    }
}
