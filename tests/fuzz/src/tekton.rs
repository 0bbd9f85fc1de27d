//! What Tekton's programs write: aish's registry among whose entries ours are kept, and lines for a specialist.

use std::collections::BTreeMap;

use diogenes_tekton::aish::Reply;
use diogenes_tekton::aish::entries::Entries;
use diogenes_tekton::aish::talk::MAX_REPLY_BYTES;
use diogenes_tekton::specialist::{MAX_LINE_BYTES, Request, Response};
use serde_json::{Value, json};

/// Whose entries are kept here.
const OWNER: &str = "diogenes@fuzz";

/// See the module: others' entries stay as they are, ours are there, and no answer is too long for its reader.
pub fn check(bytes: &[u8]) {
    if let Ok(before) = Entries::read(bytes) {
        keep(&before);
    }
    let _ = Request::read(bytes);
    let text = String::from_utf8_lossy(bytes);
    let told = Reply::new(&text).response;
    // A no-break space has a byte more than a blank.
    assert!(told.len() <= 2 * MAX_REPLY_BYTES);
    let line = Response::Response {
        ai_id: "shop-container-ci".into(),
        content: told,
    }
    .line();
    assert!(line.len() <= MAX_LINE_BYTES && line.ends_with("}\n"));
    serde_json::from_str::<Response>(&line).expect("a line can be read again");
}

fn keep(before: &Entries) {
    let names = ["shop-container-ci", "a", ""];
    let entry = |name: &str| json!({"name": name, "pid": 1, "registered_by": OWNER});
    let wanted: BTreeMap<String, Value> = names.map(|name| (name.to_owned(), entry(name))).into();
    let (after, taken) = before.reconcile(&wanted, OWNER);
    let again = Entries::read(after.text().as_bytes()).expect("what is written can be read");
    assert_eq!(again, after);
    assert_eq!(again.reconcile(&wanted, OWNER).0, after, "once is enough");
    for name in names {
        let is_ours = after
            .get(name)
            .and_then(|raw| serde_json::from_str::<Value>(raw).ok())
            == Some(entry(name));
        assert!(
            is_ours || taken.iter().any(|taken| taken == name),
            "{name:?}"
        );
    }
    let is_foreign = |key: &&str| {
        before
            .get(key)
            .is_some_and(|raw| !raw.contains("registered_by"))
    };
    for key in before.keys().filter(is_foreign) {
        assert_eq!(before.get(key), after.get(key), "{key:?}");
    }
    // And when all of ours leave, nobody else does.
    let (left, _) = after.reconcile(&BTreeMap::new(), OWNER);
    assert_eq!(left, before.reconcile(&BTreeMap::new(), OWNER).0);
}
