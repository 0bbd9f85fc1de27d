//! The containers whose companion a person sent away: remembered over restarts, by container id.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Name of the file in the state directory.
const FILE: &str = "detached.json";

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Content {
    /// Full container ids.
    detached: BTreeSet<String>,
}

/// The detached containers. Where the file cannot be written, they are remembered as long as this process lives.
#[derive(Debug)]
pub(crate) struct Detached {
    path: PathBuf,
    content: Mutex<Content>,
}

impl Detached {
    /// Reads what is remembered. What cannot be read is told in the log and taken for nothing.
    pub(crate) fn load(state_dir: &Path) -> Self {
        let path = state_dir.join(FILE);
        let content = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(
                    "{} cannot be understood, so no container counts as detached: {error}",
                    path.display()
                );
                Content::default()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Content::default(),
            Err(error) => {
                tracing::warn!(
                    "cannot read {}, so no container counts as detached: {error}",
                    path.display()
                );
                Content::default()
            }
        };
        Self {
            path,
            content: Mutex::new(content),
        }
    }

    /// Whether a person sent this container's companion away.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.content
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .detached
            .contains(id)
    }

    /// Remembers or forgets, in the file too.
    pub(crate) fn set(&self, id: &str, detached: bool) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = if detached {
            content.detached.insert(id.to_owned())
        } else {
            content.detached.remove(id)
        };
        if !differs {
            return;
        }
        // Written under the lock, so that the file never goes back in time. It is small, and changes by hand only.
        if let Err(error) = write(&self.path, &content) {
            tracing::warn!(
                "cannot write {}: {error}; which containers are detached is remembered only until this supervisor ends \
                 (give a writable place with --state-dir)",
                self.path.display()
            );
        }
    }
}

/// Replaces the file as a whole: a reader, or a crash, sees the old or the new one.
fn write(path: &Path, content: &Content) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let new = path.with_extension("json.new");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
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
    }
}
