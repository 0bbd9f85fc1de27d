//! `diogenes status --format tekton`: the table of `tekton status`, for the supervisor and its containers.
//!
//! The same columns, symbols, frame and habits: as wide as a head and two more, the port to the right, an unknown
//! version as `unknown`, nobody as `None`. Where that does not fit the terminal, air gives way first, then versions,
//! names and the words for companions.

use std::time::Duration;

use diogenes_proto::Health;
use diogenes_proto::untrusted::escape;

use crate::api::view::{ContainerView, StatusView};
use crate::cli::terminal::Terminal;

/// What Tekton would find by asking a component for its health.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Polled {
    /// How long the answer took; None where there was none.
    pub(crate) took: Option<Duration>,
    /// Whether it is registered with Hermes.
    pub(crate) is_registered: bool,
}

/// The columns' heads.
const HEADS: [&str; 7] = [
    "Component",
    "Port",
    "Status",
    "Version",
    "CI Status",
    "Response",
    "Reg",
];
const COMPONENT: usize = 0;
const PORT: usize = 1;
const STATUS: usize = 2;
const VERSION: usize = 3;
const CI_STATUS: usize = 4;
/// How much wider than its head a column is at least, where there is room.
const AIR: usize = 2;
/// Which columns give way, in this order, and how narrow they may become.
const GIVING_WAY: [(usize, usize); 5] = [
    (VERSION, 7),
    (COMPONENT, 12),
    (CI_STATUS, 9),
    (COMPONENT, 9),
    (STATUS, 11),
];

type Row = [String; 7];

/// The table. `own` is what the supervisor was found to be, `polled` the containers, in their order.
pub(crate) fn table(
    status: &StatusView,
    own: Polled,
    polled: &[Polled],
    terminal: Terminal,
) -> String {
    let supervisor = std::iter::once((supervisor(status, own), own_health(status)));
    let containers = status.containers.iter().zip(polled);
    let containers = containers.map(|(view, polled)| (container(view, *polled), view.health));
    let rows: Vec<(Row, Health)> = supervisor.chain(containers).collect();
    let widths = widths(rows.iter().map(|(row, _)| row), terminal.width);
    let rule = |left: &str, line: &str, cross: &str, right: &str| {
        let lines = widths.map(|width| line.repeat(width + 2));
        format!("{left}{}{right}\n", lines.join(cross))
    };
    let mut text = rule("╒", "═", "╤", "╕");
    text += &line(&HEADS.map(str::to_owned), &widths, None, terminal);
    text += &rule("╞", "═", "╪", "╡");
    let lines: Vec<String> = rows
        .iter()
        .map(|(row, health)| line(row, &widths, Some(*health), terminal))
        .collect();
    text += &lines.join(&rule("├", "─", "┼", "┤"));
    text + &rule("╘", "═", "╧", "╛")
}

fn own_health(status: &StatusView) -> Health {
    match status.supervisor.engine.reachable && status.supervisor.attach_error.is_none() {
        true => Health::Healthy,
        false => Health::Degraded,
    }
}

fn supervisor(status: &StatusView, polled: Polled) -> Row {
    let port = status
        .supervisor
        .listen
        .rsplit(':')
        .next()
        .unwrap_or_default();
    [
        super::stanza::own().name,
        port.to_owned(),
        of_health(own_health(status)),
        status.supervisor.version.clone(),
        format!(
            "{} present",
            status
                .containers
                .iter()
                .filter(|view| view.state == "present")
                .count()
        ),
        response(polled),
        registered(polled),
    ]
}

fn container(view: &ContainerView, polled: Polled) -> Row {
    let first = view.services.first();
    let port = first.and_then(|service| service.ports.first());
    let version = first.and_then(|service| service.version.as_ref());
    let is_up = matches!(
        view.container_state.as_str(),
        "running" | "paused" | "restarting"
    );
    let status = match (is_up, view.state.as_str()) {
        (false, _) => "⭕ not_running".to_owned(),
        (true, "silent") => "⏱️ timeout".to_owned(),
        (true, _) => of_health(view.health),
    };
    let companion = match view.state.as_str() {
        "absent" => "None".to_owned(),
        _ => escape(&view.companion).to_string(),
    };
    [
        escape(&view.name).to_string(),
        port.map_or_else(|| "-".to_owned(), u16::to_string),
        status,
        version.map_or_else(|| "unknown".to_owned(), ToString::to_string),
        companion,
        response(polled),
        registered(polled),
    ]
}

/// A health with Tekton's symbol for it; what it has none for gets the one for what it does not know.
fn of_health(health: Health) -> String {
    let symbol = match health {
        Health::Healthy => "✅",
        Health::Unhealthy => "❌",
        Health::Degraded => "⚠️",
        Health::Starting => "🟡",
        Health::Unknown => "❓",
    };
    format!("{symbol} {health}")
}

fn response(polled: Polled) -> String {
    polled.took.map_or_else(
        || "-".to_owned(),
        |took| format!("{:.3}s", took.as_secs_f64()),
    )
}

fn registered(polled: Polled) -> String {
    (if polled.is_registered { "✅" } else { "❌" }).to_owned()
}

fn widths<'a>(rows: impl Iterator<Item = &'a Row>, room: Option<usize>) -> [usize; 7] {
    let mut content = HEADS.map(columns);
    for row in rows {
        for (width, cell) in content.iter_mut().zip(row) {
            *width = (*width).max(columns(cell));
        }
    }
    let mut widths = content;
    for (width, head) in widths.iter_mut().zip(HEADS) {
        *width = (*width).max(columns(head) + AIR);
    }
    let Some(room) = room else { return widths };
    // A bar before each column and one behind the last, and a blank on either side of each cell.
    let room = room.saturating_sub(3 * widths.len() + 1);
    let excess = |widths: &[usize; 7]| widths.iter().sum::<usize>().saturating_sub(room);
    for (column, least) in content.into_iter().enumerate().rev() {
        widths[column] = widths[column].saturating_sub(excess(&widths)).max(least);
    }
    for (column, least) in GIVING_WAY {
        let least = least.min(widths[column]);
        widths[column] = widths[column].saturating_sub(excess(&widths)).max(least);
    }
    widths
}

fn line(cells: &Row, widths: &[usize; 7], health: Option<Health>, terminal: Terminal) -> String {
    let mut line = String::from("│");
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, *width);
        let padding = " ".repeat(width.saturating_sub(columns(&cell)));
        // As Tekton colours it: by the component's health.
        let cell = match health {
            Some(health) if column == CI_STATUS => terminal.paint(&cell, health),
            _ => cell,
        };
        line += &match column {
            PORT => format!(" {padding}{cell} │"),
            _ => format!(" {cell}{padding} │"),
        };
    }
    line + "\n"
}

/// How many columns of a terminal a text takes.
fn columns(text: &str) -> usize {
    let width = |c: char| match c {
        // Makes the symbol before it a picture, two columns wide.
        '\u{fe0f}' => 1,
        '✅' | '❌' | '⭕' | '❓' | '🟡' => 2,
        _ => 1,
    };
    text.chars().map(width).sum()
}

/// A text of at most so many columns.
fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if columns(&kept) >= width {
            kept.pop();
            break;
        }
    }
    kept + "…"
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
