//! The two text formats, from one set of samples.
//!
//! A sample's line is the same in both; they differ in what stands around it:
//!
//! | | classic 0.0.4 | OpenMetrics 1.0 |
//! |---|---|---|
//! | the family of `x_total`, `x_info` | `x_total`, `x_info` | `x` |
//! | type of an info | gauge | info |
//! | unit | only in the name | `# UNIT` |
//! | end | none | `# EOF` |
//!
//! State sets are gauges in both: OpenMetrics' own type wants the label named like the metric, and then the same
//! series would have one name for old scrapers and another for new ones.
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt::Write as _;

use crate::api::metrics::table::{Id, Kind, TABLE};

/// Longest value of a label, in bytes of UTF-8, before it is escaped; what is beyond is cut.
pub(crate) const MAX_LABEL_BYTES: usize = 256;

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' own.
    Classic,
    /// The standard that grew out of it.
    OpenMetrics,
}

impl Format {
    /// What a response in this format calls itself.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The samples of all metrics.
#[derive(Debug)]
pub(crate) struct Samples {
    /// The lines of each metric, in the order of [`TABLE`]: a format wants those of one metric together.
    lines: Vec<String>,
}

impl Samples {
    /// None yet.
    pub(crate) fn new() -> Self {
        let lines = TABLE.iter().map(|_| String::new()).collect();
        Self { lines }
    }

    /// Adds a sample; `values` are those of the metric's labels, in their order. What is not a number is left out.
    pub(crate) fn add(&mut self, id: Id, values: &[&str], value: f64) {
        let metric = id.metric();
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        if !value.is_finite() {
            return;
        }
        let lines = &mut self.lines[id as usize];
        lines.push_str(metric.name);
        for (index, (label, value)) in metric.labels.iter().zip(values).enumerate() {
            lines.push(if index == 0 { '{' } else { ',' });
            lines.push_str(label);
            lines.push_str("=\"");
            push_label(lines, value);
            lines.push('"');
        }
        if !metric.labels.is_empty() {
            lines.push('}');
        }
        // Display of a float is exact and never in exponents, which both formats take.
        let _ = writeln!(lines, " {value}");
    }

    /// Adds a sample where its value is known.
    pub(crate) fn add_known(&mut self, id: Id, values: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.add(id, values, value);
        }
    }

    /// Adds one series for each of `states`, 1 for `holds` and 0 for the others.
    pub(crate) fn add_states<'a>(
        &mut self,
        id: Id,
        values: &[&str],
        states: impl IntoIterator<Item = &'a str>,
        holds: &str,
    ) {
        for state in states {
            let holds = if state == holds { 1.0 } else { 0.0 };
            self.add(id, &[values, &[state]].concat(), holds);
        }
    }

    /// All of it as a text. Metrics without samples are not mentioned.
    pub(crate) fn text(&self, format: Format) -> String {
        let length = self.lines.iter().map(String::len).sum::<usize>();
        // Every head together takes some 10 KB.
        let mut text = String::with_capacity(length + 16 * 1024);
        for (metric, lines) in TABLE.iter().zip(&self.lines) {
            if lines.is_empty() {
                continue;
            }
            let (name, help) = (metric.name, metric.help);
            let (family, kind) = match (format, metric.kind) {
                (Format::Classic, Kind::Counter) => (name, "counter"),
                (Format::Classic, _) | (_, Kind::Gauge | Kind::StateSet) => (name, "gauge"),
                (_, Kind::Counter) => (name.trim_end_matches("_total"), "counter"),
                (_, Kind::Info) => (name.trim_end_matches("_info"), "info"),
            };
            let _ = writeln!(text, "# HELP {family} {help}.");
            let _ = writeln!(text, "# TYPE {family} {kind}");
            if format == Format::OpenMetrics && !metric.unit.is_empty() {
                let _ = writeln!(text, "# UNIT {family} {}", metric.unit);
            }
            text.push_str(lines);
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

/// The part of a text that a label keeps. Two texts that begin alike may come out as one.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LABEL_BYTES)]
}

/// Writes a label's value with the three characters escaped that both formats want escaped.
fn push_label(text: &mut String, value: &str) {
    for character in cut(value).chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}
