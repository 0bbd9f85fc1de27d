//! A file of the state directory: what is remembered over restarts, as JSON.
//!
//! It is replaced as a whole, so that a reader, or a crash, sees the old or the new one. That it cannot be read or written
//! is told in the log, once, and hinders nobody: then it is remembered as long as this process lives.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::advice;

/// What gives another state directory.
const FLAG: &str = "--state-dir";

/// Where something is remembered.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    /// What is in it, as the log's reader is told.
    what: &'static str,
    /// Whether the file says something else, because it could not be written.
    is_unsaved: bool,
}

impl StateFile {
    /// Reads what is remembered in the file `name`: `what`, for the log. What cannot be read is taken for nothing; a place
    /// that cannot be written is told of too.
    pub(crate) fn load<T>(state_dir: &Path, name: &str, what: &'static str) -> (Self, T)
    where
        T: Default + Serialize + DeserializeOwned,
    {
        let path = state_dir.join(name);
        let read = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("{} cannot be understood: {error}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        };
        let mut file = Self {
            path,
            what,
            is_unsaved: false,
        };
        let content = match read {
            Ok(content) => {
                // A disk that is full or read-only is better told of now than when a person relies on it.
                file.save(&content);
                content
            }
            // It stays as it is, for a person to look at, until there is something new to be remembered.
            Err(why) => {
                tracing::warn!("{why}; so {what} is not known");
                T::default()
            }
        };
        (file, content)
    }

    /// Whether the file says something else than what was to be saved last.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// Brings the file in line. What could not be written is to be tried again.
    pub(crate) fn save(&mut self, content: &impl Serialize) {
        let written = write(&self.path, content);
        let was_unsaved = std::mem::replace(&mut self.is_unsaved, written.is_err());
        let (path, what) = (self.path.display(), self.what);
        match written {
            Ok(()) if was_unsaved => tracing::info!("{path} is written again"),
            Ok(()) => {}
            Err(error) if !was_unsaved => {
                let advice = advice::directory(error.kind(), FLAG);
                tracing::warn!(
                    "cannot write {path}: {error}; until that works, {what} is remembered only as long as this \
                     supervisor lives{advice}"
                );
            }
            Err(error) => tracing::debug!("still cannot write {path}: {error}"),
        }
    }
}

fn write(path: &Path, content: &impl Serialize) -> std::io::Result<()> {
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
