//! A snapshot that comes from elsewhere: out of a file, or in pages from an agent.

use diogenes_proto::Snapshot;

use crate::replay::whole_way;

/// See the module. What can be read goes the whole way, from pages to an answer.
pub fn check(json: &[u8]) {
    let Ok(read) = serde_json::from_slice::<Snapshot>(json) else {
        return;
    };
    // Numbers travel in thousandths: only what has travelled is the same as its copy.
    let json = serde_json::to_string(&read).expect("a snapshot can be written");
    whole_way(&serde_json::from_str(&json).expect("a snapshot can be read"));
}
