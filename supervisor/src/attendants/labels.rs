//! A container's own words on its labels, told to its companion, which reads them ([`diogenes_insight::own_words`]).

use std::collections::BTreeMap;
use std::time::Duration;

use diogenes_proto::{Request, Untrusted};

use crate::registry::Registry;
use crate::session::SessionHandle;

/// How long the companion may take to hear them; nobody waits for it.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most bytes of labels that are told. With every character escaped it is still no more than a line of the protocol.
const MAX_BYTES: usize = 32 * 1024;

/// Tells the companion of a container, which has just said hello, what is on its labels.
pub(crate) fn tell(registry: &Registry, id: &str, handle: SessionHandle) {
    let Some(entry) = registry.get(id) else {
        return;
    };
    let labels = told(&entry.facts.labels);
    let name = entry.facts.name.clone();
    tokio::spawn(async move {
        // What it makes of them comes as a report. An older one does not know of labels, and says so.
        if let Err(error) = handle.request(Request::Labels { labels }, DEADLINE).await {
            tracing::debug!("the companion of {name} has not heard of its labels: {error}");
        }
    });
}

/// Each as `name=value`, cut where it is longer than a text may be, which the companion sees; as many as there is room
/// for.
fn told(labels: &BTreeMap<String, String>) -> Vec<Untrusted> {
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
        let labels = told(&labels);
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
