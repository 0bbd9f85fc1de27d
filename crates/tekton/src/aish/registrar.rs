//! Keeping entries in a file that others rewrite at any time from what they once read.
//!
//! ```text
//! look ─► unchanged, and seen so before ─────────────────────────────────────► later
//!      ─► changed ─► lock ─► read ─┬─► ours are right ────────────────────────► later, to be sure
//!                                  ├─► ours are missing or wrong ─► replace ──► soon: who else was writing?
//!                                  └─► no JSON object ─► somebody is writing ─► soon; after a while: trouble
//! ```
//!
//! The file is written only where our entries are not what they should be, so two of us, or one of us and a program
//! that knows better, do not keep each other busy: at most one writing for each of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::contact::Contact;
use super::entries::Entries;
use super::folder::{Folder, FolderError, Held, Lock, Marks, Stamp};

/// How soon to look again where all is well.
pub const LATER: Duration = Duration::from_secs(1);
/// How soon to look again where somebody may be half-way through a writing.
pub const SOON: Duration = Duration::from_millis(50);
/// For how long a file that makes no sense, or another's lock, is taken for a passing thing.
const PATIENCE: Duration = Duration::from_secs(3);
/// For how long a replaced file is watched for those who had it open.
const WATCHED: Duration = Duration::from_secs(3);

/// What is to be told of the registry. Each is told when it comes about, not again at every look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The entries are in their place.
    Registered(usize),
    /// Somebody has removed this CI by aish: it is left out until it is given anew after not being given.
    Removed(String),
    /// An entry of this name is somebody else's.
    Taken(String),
    /// The registry cannot be kept, in words, with what to do.
    Trouble(String),
}

/// Why one look came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{} is no JSON object ({error}), and has not become one for {} s; it is left as it is: mend it or remove it", path.display(), PATIENCE.as_secs())]
    NoJson {
        path: PathBuf,
        error: serde_json::Error,
    },
    #[error("{}: another program has held the lock beside it for {} s; end what hangs there", path.display(), PATIENCE.as_secs())]
    Locked { path: PathBuf },
}

/// How a look ended.
enum Look {
    /// Everything is in its place, and was so at the look before.
    Settled,
    /// Everything is in its place, as far as can be seen.
    Right,
    /// Somebody else is at it.
    Busy(Option<Trouble>),
}

/// Keeps entries of one owner in one registry.
#[derive(Debug)]
pub struct Registrar {
    root: PathBuf,
    owner: String,
    pid: u32,
    contacts: BTreeMap<String, Contact>,
    /// The marks' directory, with the lock that keeps others of this owner away: one that is about to leave would take
    /// these marks with it.
    place: Option<((u64, u64), Lock)>,
    /// Whose marks were there at the last look.
    marked: BTreeSet<String>,
    /// Who was removed by aish.
    removed: BTreeSet<String>,
    /// The file's state at the last look at which all was right, and whether it was so before.
    seen: Option<(Option<Stamp>, bool)>,
    /// The file that was replaced last, and our own that replaced it.
    replaced: Option<(Held, Stamp, Instant)>,
    /// Since when others have been at it.
    busy_since: Option<Instant>,
    /// What was told last of each kind.
    told_taken: BTreeSet<String>,
    told: Option<Notice>,
}

impl Registrar {
    /// One that keeps no entries yet, in the registry of the Tekton at `root`. `owner` tells this one's entries from
    /// others', over its restarts; `pid` is a process that the user of aish may signal.
    #[must_use]
    pub fn new(root: &Path, owner: &str, pid: u32) -> Self {
        Self {
            root: root.to_owned(),
            owner: owner.to_owned(),
            pid,
            contacts: BTreeMap::new(),
            place: None,
            marked: BTreeSet::new(),
            removed: BTreeSet::new(),
            seen: None,
            replaced: None,
            busy_since: None,
            told_taken: BTreeSet::new(),
            told: None,
        }
    }

    /// Gives the CIs that are to be reachable from now on. Those whose names cannot be keys are passed over.
    pub fn give(&mut self, contacts: impl IntoIterator<Item = Contact>) {
        let sound = contacts.into_iter().filter(Contact::is_sound);
        self.contacts = sound
            .map(|contact| (contact.name.clone(), contact))
            .collect();
        self.removed.retain(|key| self.contacts.contains_key(key));
        self.told_taken
            .retain(|key| self.contacts.contains_key(key));
        self.seen = None;
    }

    /// Looks at the registry, and puts right what is not. Returns what is to be told, and how soon to look again.
    pub fn look(&mut self, now: Instant) -> (Vec<Notice>, Duration) {
        let mut notices = Vec::new();
        let looked = self.try_look(now, &mut notices);
        if !matches!(looked, Ok(Look::Busy(_))) {
            self.busy_since = None;
        }
        let trouble = match looked {
            Ok(Look::Settled | Look::Right) => None,
            Ok(Look::Busy(trouble)) => {
                let since = *self.busy_since.get_or_insert(now);
                match trouble.filter(|_| now.duration_since(since) >= PATIENCE) {
                    None => return (notices, SOON),
                    trouble => trouble,
                }
            }
            Err(trouble) => Some(trouble),
        };
        let told = match trouble {
            Some(trouble) => Notice::Trouble(trouble.to_string()),
            None => Notice::Registered(self.wanted().count()),
        };
        if self.told.as_ref() != Some(&told) {
            notices.push(told.clone());
            self.told = Some(told);
        }
        (notices, if self.replaced.is_some() { SOON } else { LATER })
    }

    /// Takes all entries and marks back. Called once more where it could not be done at once: false.
    pub fn leave(&mut self, now: Instant) -> bool {
        self.give([]);
        let left = matches!(
            self.try_look(now, &mut Vec::new()),
            Ok(Look::Settled | Look::Right) | Err(_)
        );
        if let Ok(folder) = Folder::open(&self.root) {
            folder.remove_marks(&self.owner);
        }
        left
    }

    /// The keys that are to be there.
    fn wanted(&self) -> impl Iterator<Item = &String> {
        self.contacts
            .keys()
            .filter(|key| !self.removed.contains(*key))
    }

    fn try_look(&mut self, now: Instant, notices: &mut Vec<Notice>) -> Result<Look, Trouble> {
        // Opened anew each time: it may have been removed, and made again.
        let folder = Folder::open(&self.root)?;
        let marks = folder.marks(&self.owner)?;
        let place = marks.place()?;
        if self
            .place
            .as_ref()
            .is_none_or(|(before, _)| *before != place)
        {
            let Some(lock) = marks.lock()? else {
                return Ok(Look::Busy(Some(Trouble::Locked {
                    path: folder.file_path(),
                })));
            };
            // Where the whole directory is gone, somebody has cleaned up, and meant nobody.
            self.marked.clear();
            self.place = Some((place, lock));
        }
        self.set_marks(&marks, notices)?;
        let stamp = folder.stamp()?;
        let late = self.written_late(stamp, now);
        if late.is_none() && self.seen == Some((stamp, true)) {
            return Ok(Look::Settled);
        }
        let Some(lock) = folder.lock()? else {
            return Ok(Look::Busy(Some(Trouble::Locked {
                path: folder.file_path(),
            })));
        };
        let held = folder.read()?;
        let on_file = match held
            .as_ref()
            .map(|held| Entries::read(&held.text))
            .transpose()
        {
            Ok(entries) => entries.unwrap_or_default(),
            Err(error) => {
                self.seen = None;
                return Ok(Look::Busy(Some(Trouble::NoJson {
                    path: folder.file_path(),
                    error,
                })));
            }
        };
        let wanted: BTreeMap<String, Value> = self
            .wanted()
            .filter_map(|key| Some((key.clone(), self.contacts.get(key)?)))
            .map(|(key, contact)| {
                let mark = marks.path(&key);
                (key, contact.entry(self.pid, &mark, &self.owner))
            })
            .collect();
        let (entries, taken) = match late {
            None => on_file.reconcile(&wanted, &self.owner),
            Some(Late {
                entries,
                is_last: true,
            }) => entries.reconcile(&wanted, &self.owner),
            Some(Late {
                entries,
                is_last: false,
            }) => on_file
                .clone()
                .with_missing(entries)
                .reconcile(&wanted, &self.owner),
        };
        let taken = taken
            .into_iter()
            .filter(|key| self.told_taken.insert(key.clone()));
        notices.extend(taken.map(Notice::Taken));
        if entries == on_file {
            let stamp = held.as_ref().map(Held::stamp);
            let is_as_before = self.seen.is_some_and(|(before, _)| before == stamp);
            self.seen = Some((stamp, is_as_before));
            return Ok(Look::Right);
        }
        self.seen = None;
        if !folder.replace(held.as_ref(), &entries.text(), &lock)? {
            return Ok(Look::Busy(None));
        }
        let stamp = folder.stamp()?;
        self.seen = Some((stamp, false));
        self.replaced = held
            .zip(stamp)
            .map(|(held, stamp)| (held, stamp, now + WATCHED));
        Ok(Look::Right)
    }

    /// Makes the marks what they should be. One that was there and is gone was removed by aish.
    fn set_marks(&mut self, marks: &Marks, notices: &mut Vec<Notice>) -> Result<(), FolderError> {
        let gone: Vec<String> = self
            .wanted()
            .filter(|key| self.marked.contains(*key) && !marks.has(key))
            .cloned()
            .collect();
        for key in gone {
            self.seen = None;
            self.removed.insert(key.clone());
            notices.push(Notice::Removed(key));
        }
        let wanted: BTreeSet<String> = self.wanted().cloned().collect();
        if wanted != self.marked || wanted.is_empty() {
            marks.keep_only(|key| wanted.contains(key));
            for key in &wanted {
                marks.set(key)?;
            }
            self.marked = wanted;
        }
        Ok(())
    }

    /// What somebody has written into the file that was replaced. `stamp` is the state of the file that is in its place.
    fn written_late(&mut self, stamp: Option<Stamp>, now: Instant) -> Option<Late> {
        let (held, own, until) = self.replaced.as_mut()?;
        let is_last = stamp == Some(*own);
        // A file that can no longer be read has nothing to say.
        match held.written_since().ok().flatten().map(Entries::read) {
            Some(Ok(entries)) => return Some(Late { entries, is_last }),
            // Half-written: its writer is not done.
            Some(Err(_)) => *until = now + WATCHED,
            None if now >= *until => self.replaced = None,
            None => {}
        }
        None
    }
}

/// What was written into a file without a name.
struct Late {
    entries: Entries,
    /// Whether nobody has written since into the file that has the name: then this is the last word, and what is missing
    /// in it is meant to be.
    is_last: bool,
}

#[cfg(test)]
#[path = "registrar_tests.rs"]
mod tests;
