//! Results for a terminal of 80 columns or more: one row for each entry, and below it what is wrong.

use std::fmt::Write as _;
use std::time::Duration;

use crate::entry::{Entry, Fault};
use crate::trial::{Beside, Outcome};
use crate::verdict::{Sort, Tally, Told};

/// The narrowest width that is written for.
const NARROW: usize = 80;

/// The width of the terminal, or what `COLUMNS` says; 80 where neither is known, and at least that.
#[must_use]
pub fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|it| it.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok();
    told.or_else(|| asked().map(|size| usize::from(size.ws_col)))
        .unwrap_or(NARROW)
        .max(NARROW)
}

/// Within which something that begins to listen is promised to be told.
const NEWCOMER_PROMISE: Duration = Duration::from_secs(2);

/// What the columns are.
#[must_use]
pub fn head() -> String {
    let words = Told {
        kind: "kind".to_owned(),
        role: "role".to_owned(),
        ports: "ports".to_owned(),
        version: "version".to_owned(),
        health: "ok".to_owned(),
    };
    let mut figures = vec!["new".to_owned()];
    figures.extend(Fault::ALL.map(|fault| fault.word().to_owned()));
    line("entry", &words, &figures)
}

/// The row of an entry, and a line for each thing that is wrong.
#[must_use]
pub fn row(entry: &Entry, outcome: &Outcome, width: usize) -> String {
    let mut text = if entry.negative {
        impostor(&entry.name, outcome, width)
    } else {
        service(&entry.name, outcome)
    };
    for wrong in &outcome.verdict.wrongs {
        text += &wrapped(wrong, width);
    }
    text
}

/// What an impostor was taken for, in words.
fn impostor(name: &str, outcome: &Outcome, width: usize) -> String {
    let told = outcome.verdict.all.join(", ");
    let told = if told.is_empty() { "-" } else { &told };
    format!("{:<20} {}\n", fit(name, 20), fit(told, width - 21))
}

fn service(name: &str, outcome: &Outcome) -> String {
    let told = Told {
        // Healthy is what a service that is well should be: a word for it would only make the table wide.
        health: match outcome.verdict.first.health.as_str() {
            "healthy" => "yes".to_owned(),
            other => other.to_owned(),
        },
        ..outcome.verdict.first.clone()
    };
    let cell = |fault: Fault| match outcome.faults.get(&fault) {
        Some(seen) => match seen.took {
            Some(took) => seconds(took) + if seen.late { "!" } else { "" },
            None => "✗".to_owned(),
        },
        None => "-".to_owned(),
    };
    let late = |took: Duration| if took > NEWCOMER_PROMISE { "!" } else { "" };
    let newcomer = outcome.newcomer.map(|took| seconds(took) + late(took));
    let mut figures = vec![newcomer.unwrap_or("-".to_owned())];
    figures.extend(Fault::ALL.map(cell));
    line(name, &told, &figures)
}

/// How much of all was right, by sort and together.
#[must_use]
pub fn summary(tallies: &[(Sort, Tally)], whole: Tally) -> String {
    let mut text = format!("{:<20} {:>9} {:>9}\n", "", "precision", "recall");
    let mut one = |word: &str, tally: Tally| {
        let part = |part: u32, whole: u32| format!("{part} of {whole}");
        let _ = writeln!(
            text,
            "{word:<20} {:>8.1}% {:>8.1}%  claims {:<11} facts {}",
            tally.precision(),
            tally.recall(),
            part(tally.true_claims, tally.claims),
            part(tally.told_facts, tally.facts),
        );
    };
    for (sort, tally) in tallies {
        one(sort.word(), *tally);
    }
    one("all", whole);
    text
}

/// The head of the comparison with nmap.
#[must_use]
pub fn beside_head() -> String {
    format!(
        "{:<11} {:>6} {:<26} {:>6} {}\n",
        "entry", "s", "Diogenes", "s", "nmap -sV"
    )
}

/// One entry of the comparison: names and versions, with the seconds from attach to full knowledge, and of the scan.
#[must_use]
pub fn beside_row(entry: &Entry, told: &Told, beside: &Beside, width: usize) -> String {
    let own = beside.attach_to_knowledge.map_or("✗".to_owned(), seconds);
    let version = if told.version == "-" {
        ""
    } else {
        &told.version
    };
    let scan = &beside.scan;
    let words = scan.words.join(", ");
    let name = fit(&format!("{} {version}", told.kind), 26);
    format!(
        "{:<11} {own:>6} {name:<26} {:>6} {}\n",
        fit(&entry.name, 11),
        seconds(scan.took),
        fit(&words, width - 53)
    )
}

fn line(name: &str, told: &Told, figures: &[String]) -> String {
    let mut text = format!(
        "{:<10} {:<10} {:<6} {:<9} {:<7} {:<3}",
        fit(name, 10),
        fit(&told.kind, 10),
        fit(&told.role, 6),
        fit(&told.ports, 9),
        fit(&told.version, 7),
        fit(&told.health, 3),
    );
    for figure in figures {
        let _ = write!(text, "{figure:>5}");
    }
    text + "\n"
}

/// Three digits of a time in seconds.
fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1.0 => format!("{s:.2}"),
        s if s < 9.95 => format!("{s:.1}"),
        s => format!("{s:.0}"),
    }
}

/// The text, cut where it is too long.
fn fit(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most - 1).collect();
    cut + "…"
}

/// The text below a row, broken between words.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec!["    ✗".to_owned()];
    for word in text.split_whitespace() {
        let last = lines
            .last_mut()
            .filter(|it| it.chars().count() + 1 + word.chars().count() <= width);
        match last {
            Some(last) => *last = format!("{last} {word}"),
            None => lines.push(format!("      {word}")),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_into_eighty_columns() {
        let long = |letter: &str| letter.repeat(40);
        let told = Told {
            kind: long("k"),
            role: long("r"),
            ports: long("p"),
            version: long("v"),
            health: long("h"),
        };
        let faults = ["0.12!"; 6].map(str::to_owned);
        assert_eq!(
            line(&long("n"), &told, &faults).trim_end().chars().count(),
            NARROW
        );
        assert!(head().trim_end().chars().count() <= NARROW);
        assert!(
            wrapped(&"word ".repeat(60), NARROW)
                .lines()
                .all(|it| it.chars().count() <= NARROW)
        );
    }

    #[test]
    fn three_digits_suffice() {
        for (ms, text) in [
            (4, "0.00"),
            (180, "0.18"),
            (9_940, "9.9"),
            (9_960, "10"),
            (61_300, "61"),
        ] {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }
}
