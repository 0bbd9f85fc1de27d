//! What a companion that has just come is told: its container's own words on the labels, which it reads
//! ([`diogenes_insight::own_words`]), and what an earlier companion learnt.

use std::collections::BTreeMap;
use std::time::Duration;

use diogenes_proto::{Request, Untrusted};

use crate::registry::Registry;
use crate::session::SessionHandle;

/// How long the companion may take to hear each; nobody waits for it.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most bytes of labels that are told. With every character escaped it is still no more than a line of the protocol.
const MAX_BYTES: usize = 32 * 1024;

/// Tells the companion of a container, which has just said hello. An older one does not know what this is, and says so.
pub(crate) fn brief(registry: &Registry, id: &str, companion: SessionHandle) {
    let Some(entry) = registry.get(id) else {
        return;
    };
    let labels = labels(&entry.facts.labels);
    let mut briefing = vec![Request::Labels { labels }];
    briefing.extend(registry.past_of(id));
    let name = entry.facts.name.clone();
    tokio::spawn(async move {
        for request in briefing {
            // What it makes of them comes as a report.
            if let Err(error) = companion.request(request, DEADLINE).await {
                tracing::debug!("the companion of {name} could not be briefed: {error}");
            }
        }
    });
}

/// Each as `name=value`, cut where it is longer than a text may be, which the companion sees; as many as there is room
/// for.
fn labels(labels: &BTreeMap<String, String>) -> Vec<Untrusted> {
    let mut room = MAX_BYTES;
    let fits = |label: &Untrusted| {
        let rest = room.checked_sub(label.as_raw().len());
        room = rest.unwrap_or(room);
        rest.is_some()
    };
    let labels = labels
        .iter()
        .map(|(name, value)| Untrusted::new(format!("{name}={value}")));
    labels.filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use diogenes_proto::line::{decode, encode};
    use diogenes_proto::untrusted;

    use super::*;

    #[test]
    fn labels_are_told_as_docker_takes_them_and_always_fit_a_line() {
        let mut labels = BTreeMap::from([
            ("io.diogenes.container".to_owned(), "\u{1}".repeat(99_999)),
            ("io.diogenes.silence".to_owned(), "runs-as-root".to_owned()),
        ]);
        for number in 0..500 {
            labels.insert(
                format!("io.diogenes.service.{number}.name"),
                "\u{1}".repeat(100),
            );
        }
        let labels = super::labels(&labels);
        let longest = labels[0].as_raw();
        assert!(longest.len() <= untrusted::MAX_BYTES && longest.ends_with('…'));
        assert!(
            labels
                .iter()
                .any(|label| label.as_raw() == "io.diogenes.silence=runs-as-root")
        );
        let request = Request::Labels { labels };
        let line = encode(Some(u64::MAX), &request).unwrap();
        assert_eq!(decode::<Request>(line.as_bytes()).unwrap().body, request);
    }
}
