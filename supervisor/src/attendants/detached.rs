//! The containers whose companion a person sent away: remembered over restarts, by container id.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::state_file::StateFile;

/// Name of the file in the state directory.
const FILE: &str = "detached.json";

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Content {
    /// Full container ids.
    detached: BTreeSet<String>,
}

/// The detached containers.
#[derive(Debug)]
pub(crate) struct Detached(Mutex<(StateFile, Content)>);

impl Detached {
    /// Reads what is remembered.
    pub(crate) fn load(state_dir: &Path) -> Self {
        let what = "which containers are detached";
        Self(Mutex::new(StateFile::load(state_dir, FILE, what)))
    }

    /// Whether a person sent this container's companion away.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.lock().1.detached.contains(id)
    }

    /// Remembers or forgets, in the file too: under the lock, so that it never goes back in time; it is small, and changes
    /// by hand only. What could not be written is tried again with each call.
    pub(crate) fn set(&self, id: &str, detached: bool) {
        let (file, content) = &mut *self.lock();
        let differs = if detached {
            content.detached.insert(id.to_owned())
        } else {
            content.detached.remove(id)
        };
        if differs || file.is_unsaved() {
            file.save(content);
        }
    }

    fn lock(&self) -> MutexGuard<'_, (StateFile, Content)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_remembered_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("not/yet/there");
        let detached = Detached::load(&state);
        detached.set("c1", true);
        detached.set("c2", true);
        detached.set("c1", false);
        let again = Detached::load(&state);
        assert!(again.contains("c2") && !again.contains("c1"));
    }

    #[test]
    fn works_in_memory_where_nothing_can_be_written() {
        let detached = Detached::load(Path::new("/proc/self/no-such-place"));
        detached.set("c1", true);
        assert!(detached.contains("c1"));
    }

    #[test]
    fn a_broken_file_is_taken_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(!Detached::load(dir.path()).contains("c1"));
        let kept = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(kept, "{", "left for a person to look at");
    }

    #[test]
    fn a_full_disk_loses_nothing_that_was_there_and_is_made_up_for() {
        // Where the tests may not mount, the case above is what can be shown.
        let Some(place) = crate::fakes::Mount::tmpfs("size=8k") else {
            return works_in_memory_where_nothing_can_be_written();
        };
        let detached = Detached::load(place.path());
        detached.set("c1", true);
        let filler = place.path().join("filler");
        std::fs::write(&filler, [0; 4096]).unwrap();
        detached.set("c2", true);
        assert!(detached.contains("c2"));
        let on_disk = Detached::load(place.path());
        assert!(on_disk.contains("c1") && !on_disk.contains("c2"));
        assert!(!place.path().join("detached.json.new").exists());

        std::fs::remove_file(&filler).unwrap();
        detached.set("c9", false);
        assert!(
            Detached::load(place.path()).contains("c2"),
            "the next change of any container makes up for it"
        );

        place.make_read_only();
        assert!(
            Detached::load(place.path()).lock().0.is_unsaved(),
            "noticed at the start"
        );
        detached.set("c1", false);
        assert!(Detached::load(place.path()).contains("c1"));
        place.make_writable();
        detached.set("c9", false);
        assert!(!Detached::load(place.path()).contains("c1"));
    }
}
