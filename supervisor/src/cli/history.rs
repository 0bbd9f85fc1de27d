//! `history`: what changed in a container and when, and how much it took meanwhile.

use clap::Args;
use diogenes_proto::Timestamp;
use diogenes_proto::untrusted::escape;

use crate::api::history::{HistoryView, SampleView};
use crate::cli::happening::Happenings;
use crate::cli::table::{short_bytes, short_duration};
use crate::cli::terminal::Terminal;
use crate::logs::When;

/// Columns of a curve.
const CURVE: usize = 40;
/// The bars of a curve, from nothing to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Which container.
    pub(crate) name: String,
    /// Nothing before: a time (2026-11-21T14:00:00Z, UTC where no offset is given), or how long ago (10m, 2h, 1d).
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A history without what was before `since`.
pub(crate) fn cut(mut history: HistoryView, since: Option<When>) -> HistoryView {
    if let Some(When(since)) = since {
        history.events.retain(|event| event.at >= since);
        history.samples.retain(|sample| sample.at >= since);
    }
    history
}

/// A history for people, the newest last.
pub(crate) fn history(history: &HistoryView, terminal: Terminal, now: Timestamp) -> String {
    let mut happenings = Happenings::new(terminal, false);
    let mut text: String = history
        .events
        .iter()
        .map(|event| happenings.line(event))
        .collect();
    if text.is_empty() {
        text = format!("{}: nothing changed\n", escape(&history.container));
    }
    text + &figures(&history.samples, terminal, now)
}

/// The figures in short; nothing where there are none.
fn figures(samples: &[SampleView], terminal: Terminal, now: Timestamp) -> String {
    let Some(first) = samples.first() else {
        return String::new();
    };
    #[expect(clippy::cast_precision_loss, reason = "what is shown has three digits")]
    let memory: Vec<f64> = samples
        .iter()
        .filter_map(|sample| sample.memory_bytes)
        .map(|bytes| bytes as f64)
        .collect();
    let cpu: Vec<f64> = samples
        .iter()
        .filter_map(|sample| sample.cpu_percent)
        .map(f64::from)
        .collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was a number of bytes"
    )]
    let bytes = |value: f64| short_bytes(value as u64);
    let mut text = format!("\nThe last {}:\n", short_duration(now.since(first.at)));
    text += &figure("CPU", &cpu, |value| format!("{value:.1}%"), terminal);
    text += &figure("Memory", &memory, bytes, terminal);
    text
}

/// `CPU      min 0.1%   mean 0.4%   max 2.0%   ▁▁▂█`; the curve on a terminal only.
fn figure(name: &str, values: &[f64], show: impl Fn(f64) -> String, terminal: Terminal) -> String {
    if values.is_empty() {
        return format!("{name:<7} unknown\n");
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "there are no 2^53 samples")]
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let mut text = format!(
        "{name:<7} min {:<7} mean {:<7} max {:<7}",
        show(least),
        show(mean),
        show(most)
    );
    if terminal.is_terminal {
        text += &curve(values, most);
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// A bar for each value, or for the highest of several neighbours; the highest of all is `most`.
fn curve(values: &[f64], most: f64) -> String {
    let bar = |values: &[f64]| {
        let highest = values.iter().copied().fold(0.0, f64::max);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 7; not a number becomes 0"
        )]
        let height = (highest / most * 7.0).round() as usize;
        BARS[height.min(BARS.len() - 1)]
    };
    values
        .chunks(values.len().div_ceil(CURVE).max(1))
        .map(bar)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::happening::tests::events;

    const PLAIN: Terminal = Terminal {
        width: Some(80),
        colour: false,
        is_terminal: true,
    };

    fn view() -> HistoryView {
        let start = events()[0].at.as_unix_ms();
        let samples = (0..14_u64).map(|minute| SampleView {
            at: Timestamp::from_unix_ms(start + minute * 60_000),
            memory_bytes: Some((10 + minute) << 20),
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            cpu_percent: (minute != 3).then_some(minute as f32 / 4.0),
            processes: 3,
        });
        HistoryView {
            container: "shop".into(),
            ci_name: "shop-container-ci".into(),
            events: events(),
            samples: samples.collect(),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_unix_ms(events()[0].at.as_unix_ms() + 14 * 60_000)
    }

    #[test]
    fn a_past_is_told_with_its_figures() {
        let since = When(events()[8].at);
        insta::assert_snapshot!(history(&cut(view(), Some(since)), PLAIN, now()));
    }

    #[test]
    fn in_a_file_there_are_no_curves() {
        let file = Terminal {
            width: None,
            is_terminal: false,
            ..PLAIN
        };
        let text = history(&view(), file, now());
        assert!(
            !text.contains(BARS[0]) && text.contains("max 3.2%"),
            "{text}"
        );
    }

    #[test]
    fn where_nothing_is_known_that_is_said() {
        let mut view = view();
        view.events.clear();
        assert!(history(&view, PLAIN, now()).starts_with("shop: nothing changed\n"));
        view.samples.truncate(1);
        view.samples[0].memory_bytes = None;
        view.samples[0].cpu_percent = Some(0.0);
        let text = history(&view, PLAIN, now());
        assert!(
            text.contains("Memory  unknown") && text.contains("max 0.0%   ▁"),
            "{text}"
        );
        view.samples.clear();
        assert_eq!(history(&view, PLAIN, now()), "shop: nothing changed\n");
    }

    #[test]
    fn a_curve_is_no_wider_than_it_may() {
        let values: Vec<f64> = (0..120).map(f64::from).collect();
        let curve = curve(&values, 119.0);
        assert_eq!(curve.chars().count(), CURVE);
        assert!(curve.starts_with('▁') && curve.ends_with('█'));
    }
}
