//! The table of `status`: one line a container, fitting the terminal.
//!
//! Where it does not fit, the services give way first, then the names, then the words of the companion.
//! Everything in it is printable: text of containers is escaped on the way in.

use std::time::Duration;

use diogenes_proto::untrusted::escape;
use diogenes_proto::{Health, Timestamp};

use crate::api::view::{ContainerView, ServiceView, StatusView};
use crate::cli::terminal::Terminal;

/// The columns' heads.
const HEADS: [&str; 7] = [
    "NAME",
    "HEALTH",
    "SERVICES",
    "CPU",
    "MEMORY",
    "UP",
    "COMPANION",
];
const NAME: usize = 0;
const HEALTH: usize = 1;
const SERVICES: usize = 2;
const CPU: usize = 3;
const UP: usize = 5;
const COMPANION: usize = 6;
/// Which columns give way, in this order, and how narrow they may become.
const GIVING_WAY: [(usize, usize); 5] = [
    (SERVICES, 20),
    (NAME, 16),
    (COMPANION, 9),
    (SERVICES, 12),
    (NAME, 8),
];
/// Columns between two columns.
const GAP: usize = 2;

/// The table, with what must be known before it: that the Engine is away, or no container can be entered.
pub(crate) fn table(status: &StatusView, terminal: Terminal, now: Timestamp) -> String {
    let mut text = String::new();
    let supervisor = &status.supervisor;
    if let Some(error) = &supervisor.engine.error {
        let since = short_duration(now.since(supervisor.engine.since));
        text += &format!(
            "The Engine has not answered for {since}, what follows may be old: {}\n",
            escape(error)
        );
    }
    if let Some(error) = &supervisor.attach_error {
        text += &format!("No companion can be attached: {}\n", escape(error));
    }
    if status.containers.is_empty() {
        if supervisor.engine.error.is_none() {
            text += "No containers are running. Start one, for example: docker run -d redis\n";
        } else {
            text += "No containers are known.\n";
        }
        return text;
    }
    let rows: Vec<[String; 7]> = status
        .containers
        .iter()
        .map(|container| row(container, now))
        .collect();
    let widths = widths(&rows, terminal.width);
    text += &line(&HEADS.map(str::to_owned), &widths, None, terminal);
    for (row, container) in rows.iter().zip(&status.containers) {
        text += &line(row, &widths, Some(container.health), terminal);
    }
    text
}

fn row(container: &ContainerView, now: Timestamp) -> [String; 7] {
    let services: Vec<String> = container.services.iter().map(service).collect();
    [
        escape(&container.name).to_string(),
        container.health.to_string(),
        or_dash(services.join(" ")),
        container
            .resources
            .cpu_percent
            .map_or_else(|| "-".into(), |percent| format!("{percent:.1}%")),
        memory(container),
        container
            .uptime(now)
            .map_or_else(|| "-".into(), short_duration),
        escape(&container.companion).to_string(),
    ]
}

/// `redis:6379`; with `!` where it does not work.
fn service(service: &ServiceView) -> String {
    let mut text = match service.kind.as_str() {
        // What is known only by what it speaks is better called by its program.
        "process" | "tcp" | "udp" | "unix" | "http" => service.name.to_string(),
        kind => escape(kind).to_string(),
    };
    if !service.ports.is_empty() {
        let ports: Vec<String> = service.ports.iter().take(4).map(u16::to_string).collect();
        text = format!("{text}:{}", ports.join(","));
    }
    if matches!(service.health, Health::Unhealthy | Health::Degraded) {
        text.push('!');
    }
    text
}

fn memory(container: &ContainerView) -> String {
    let resources = &container.resources;
    match (
        resources.memory_bytes,
        resources.memory_limit_bytes,
        resources.memory_percent,
    ) {
        (Some(used), Some(limit), Some(percent)) => {
            format!("{}/{} {percent:.0}%", short_bytes(used), short_bytes(limit))
        }
        (Some(used), _, _) => short_bytes(used),
        (None, Some(limit), _) => format!("-/{}", short_bytes(limit)),
        (None, None, _) => "-".into(),
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".into() } else { text }
}

fn widths(rows: &[[String; 7]], width: Option<usize>) -> [usize; 7] {
    let mut widths = HEADS.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let Some(width) = width else { return widths };
    for (column, least) in GIVING_WAY {
        let total = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        let excess = total.saturating_sub(width);
        widths[column] = widths[column]
            .saturating_sub(excess)
            .max(least.min(widths[column]));
    }
    widths
}

fn line(
    cells: &[String; 7],
    widths: &[usize; 7],
    health: Option<Health>,
    terminal: Terminal,
) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, *width);
        let padding = " ".repeat(width - cell.chars().count());
        let cell = match health {
            Some(health) if column == HEALTH => terminal.paint(&cell, health),
            _ => cell,
        };
        if matches!(column, CPU | UP) {
            line += &padding;
            line += &cell;
        } else {
            line += &cell;
            line += &padding;
        }
        line += "  ";
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}

/// A text of at most so many columns.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// `5s`, `3m`, `2h`, `5d`.
pub(crate) fn short_duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// `512B`, `12K`, `64M`, `1.5G`: powers of 1024.
pub(crate) fn short_bytes(bytes: u64) -> String {
    const UNITS: [(u64, char); 4] = [
        (1 << 40, 'T'),
        (1 << 30, 'G'),
        (1 << 20, 'M'),
        (1 << 10, 'K'),
    ];
    let Some((size, unit)) = UNITS.into_iter().find(|(size, _)| bytes >= *size) else {
        return format!("{bytes}B");
    };
    let tenths = u128::from(bytes) * 10 / u128::from(size);
    if tenths < 100 && matches!(unit, 'G' | 'T') {
        format!("{}.{}{unit}", tenths / 10, tenths % 10)
    } else {
        format!("{}{unit}", tenths / 10)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
