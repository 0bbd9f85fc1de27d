//! The containers whose companion a person sent away: remembered over restarts, by container id.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::advice;

/// What gives another state directory.
const FLAG: &str = "--state-dir";
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
    memory: Mutex<Memory>,
}

/// What is remembered in this process.
#[derive(Debug, Default)]
struct Memory {
    content: Content,
    /// Whether the file says something else, because it could not be written.
    is_unsaved: bool,
}

impl Detached {
    /// Reads what is remembered. What cannot be read is told in the log and taken for nothing; a place that cannot be
    /// written is told of too.
    pub(crate) fn load(state_dir: &Path) -> Self {
        let path = state_dir.join(FILE);
        let read = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("{} cannot be understood: {error}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Content::default()),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        };
        let is_readable = read.is_ok();
        let content = read.unwrap_or_else(|why| {
            tracing::warn!("{why}; so no container counts as detached");
            Content::default()
        });
        let detached = Self {
            path,
            memory: Mutex::new(Memory {
                content,
                is_unsaved: false,
            }),
        };
        // A disk that is full or read-only is better told of now than when a person relies on it. What could not be
        // read stays as it is, for that person to look at.
        if is_readable {
            detached.save(&mut detached.lock());
        }
        detached
    }

    /// Whether a person sent this container's companion away.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.lock().content.detached.contains(id)
    }

    /// Remembers or forgets, in the file too. What could not be written is tried again with each call.
    pub(crate) fn set(&self, id: &str, detached: bool) {
        let mut memory = self.lock();
        let differs = if detached {
            memory.content.detached.insert(id.to_owned())
        } else {
            memory.content.detached.remove(id)
        };
        if !differs && !memory.is_unsaved {
            return;
        }
        self.save(&mut memory);
    }

    /// Brings the file in line. Under the lock, so that it never goes back in time; it is small, and changes by hand
    /// only.
    fn save(&self, memory: &mut Memory) {
        let written = write(&self.path, &memory.content);
        let was_unsaved = std::mem::replace(&mut memory.is_unsaved, written.is_err());
        let path = self.path.display();
        match written {
            Ok(()) if was_unsaved => tracing::info!("{path} is written again"),
            Ok(()) => {}
            Err(error) if !was_unsaved => {
                let advice = advice::directory(error.kind(), FLAG);
                tracing::warn!(
                    "cannot write {path}: {error}; until that works, which containers are detached is remembered only \
                     as long as this supervisor lives{advice}"
                );
            }
            Err(error) => tracing::debug!("still cannot write {path}: {error}"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces the file as a whole: a reader, or a crash, sees the old or the new one.
fn write(path: &Path, content: &Content) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let new = path.with_extension("json.new");
    let bytes = serde_json::to_vec(content)?;
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    });
    if written.is_err() {
        // Half a file on a full disk is only in the way.
        let _ = std::fs::remove_file(&new);
    }
    written
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
            Detached::load(place.path()).lock().is_unsaved,
            "noticed at the start"
        );
        detached.set("c1", false);
        assert!(Detached::load(place.path()).contains("c1"));
        place.make_writable();
        detached.set("c9", false);
        assert!(!Detached::load(place.path()).contains("c1"));
    }
}
