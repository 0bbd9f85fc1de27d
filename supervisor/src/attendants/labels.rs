//! A container's own words on its labels, told to its companion, which reads them ([`diogenes_insight::own_words`]).

use std::collections::BTreeMap;
use std::time::Duration;

use diogenes_insight::own_words::MAX_BYTES;
use diogenes_proto::Request;

use crate::registry::Registry;
use crate::session::SessionHandle;

/// How long the companion may take to hear them; nobody waits for it.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most labels that are told, and most bytes of each but the one that may be a whole text.
const MAX_LABELS: usize = 128;
const MAX_LABEL_BYTES: usize = 512;
const WHOLE_TEXT: &str = "io.diogenes.container";

/// Tells the companion of a container, which has just said hello, what is on its labels.
pub(crate) fn tell(registry: &Registry, id: &str, handle: SessionHandle) {
    let Some(entry) = registry.get(id) else {
        return;
    };
    let request = Request::Labels {
        labels: told(&entry.facts.labels),
    };
    let name = entry.facts.name.clone();
    tokio::spawn(async move {
        // What it makes of them comes as a report. An older one does not know of labels, and says so.
        if let Err(error) = handle.request(request, DEADLINE).await {
            tracing::debug!("the companion of {name} has not heard of its labels: {error}");
        }
    });
}

/// Each as `name=value`. What is too long is cut where the companion still sees that it is too long.
fn told(labels: &BTreeMap<String, String>) -> Vec<String> {
    let told = labels.iter().take(MAX_LABELS).map(|(name, value)| {
        let most = if name == WHOLE_TEXT {
            MAX_BYTES + 1
        } else {
            MAX_LABEL_BYTES
        };
        let mut label = format!("{name}={value}");
        label.truncate(label.floor_char_boundary(name.len().min(MAX_LABEL_BYTES) + 1 + most));
        label
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_as_docker_takes_them_and_cut() {
        let labels = BTreeMap::from([
            (WHOLE_TEXT.to_owned(), "ü".repeat(MAX_BYTES)),
            ("io.diogenes.service.80.name".to_owned(), "x".repeat(9999)),
            ("io.diogenes.silence".to_owned(), "runs-as-root".to_owned()),
        ]);
        let told = told(&labels);
        assert!(told[0].len() > MAX_BYTES + WHOLE_TEXT.len() && told[0].len() < MAX_BYTES + 64);
        assert_eq!(
            told[1].len(),
            "io.diogenes.service.80.name=".len() + MAX_LABEL_BYTES
        );
        assert_eq!(told[2], "io.diogenes.silence=runs-as-root");
    }
}
