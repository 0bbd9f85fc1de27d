//! What `REFERENCE.md` says of the metrics, made from the table.

use std::fmt::Write as _;

use crate::api::metrics::FRESH;
use crate::api::metrics::exposition::{Format, MAX_LABEL_BYTES};
use crate::api::metrics::services::{MAX_LISTENERS, MAX_SERVICES};
use crate::api::metrics::table::TABLE;

/// The part of the reference.
pub(crate) fn text() -> String {
    let [classic, openmetrics] = [Format::Classic, Format::OpenMetrics].map(Format::content_type);
    let mut text = format!(
        "Served as `{classic}`, or as `{openmetrics}` where `Accept` asks for that. It is written anew at most every \
         {} s. Of one container, the {MAX_SERVICES} most important services and the accept queues of \
         {MAX_LISTENERS} addresses have series, and a label has {MAX_LABEL_BYTES} bytes at most; \
         `diogenes_container_omitted` counts what is left out.\n\n\
         | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n",
        FRESH.as_secs()
    );
    for metric in TABLE {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let (name, kind) = (metric.name, metric.kind.as_str());
        let _ = writeln!(
            text,
            "| `{name}` | {kind} | {} | {}. |",
            labels.join(" "),
            metric.help
        );
    }
    text
}
