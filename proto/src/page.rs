//! A snapshot in parts that fit a line.
//!
//! The items are counted through, processes first, then listeners; a page says where it begins and where
//! the next one does. The resources and the gaps travel with the first page.

use serde::{Deserialize, Serialize};

use crate::fit::{BODY_BYTES, json_bytes, keep_fitting, keep_fitting_texts};
use crate::word::{self, MAX_WORD_BYTES, tame};
use crate::{Listener, Process, Resources, Snapshot, Timestamp, Untrusted};

/// Longest item as JSON. A longer one is shortened, so that a page always has room for one.
const ITEM_BYTES: usize = 96 * 1024;

/// Room for one list within an item that must be shortened: more than one text at its longest.
const LIST_BYTES: usize = 26 * 1024;

/// Room for the gaps on the first page.
const GAPS_BYTES: usize = 32 * 1024;

/// What the names and brackets of the two lists take.
const LISTS_BYTES: usize = r#""processes":[],"listeners":[],"#.len();

/// A part of a snapshot that fits a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotPage {
    /// The snapshot's hash; all its pages have the same.
    #[serde(deserialize_with = "word::one")]
    pub hash: String,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Index of this page's first item.
    pub offset: u32,
    /// Number of items in the whole snapshot, processes and listeners together.
    pub total: u32,
    /// `offset` of the next page; None on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
    /// Processes of this page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
    /// Listeners of this page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
    /// The resources, on the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// What could not be seen, on the first page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Untrusted>,
}

impl SnapshotPage {
    /// The page that begins at item `offset`, with as many items as fit a line, at least one. None beyond
    /// the end; page 0 is always there, though it may have no items.
    ///
    /// An item that would fill a line almost alone is shortened: a command line ends in `…`, the first of a
    /// socket's owners stay. So are the gaps, whose last then says how many are missing.
    #[must_use]
    pub fn cut(hash: &str, snapshot: &Snapshot, offset: u32) -> Option<Self> {
        let first = usize::try_from(offset).ok()?;
        let total = snapshot.processes.len() + snapshot.listeners.len();
        if first > 0 && first >= total {
            return None;
        }
        let mut page = Self {
            hash: tame(hash.to_owned(), MAX_WORD_BYTES),
            taken_at: snapshot.taken_at,
            offset,
            total: index(total),
            next: Some(u32::MAX),
            ..Self::default()
        };
        if first == 0 {
            page.resources = Some(snapshot.resources.clone());
            page.gaps = snapshot.gaps.clone();
            keep_fitting_texts(&mut page.gaps, GAPS_BYTES);
        }

        let mut room = BODY_BYTES.saturating_sub(json_bytes(&page) + LISTS_BYTES);
        let mut fits = |bytes: usize| match room.checked_sub(bytes.saturating_add(1)) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        for process in snapshot.processes.iter().skip(first) {
            let (process, bytes) = shortened_process(process);
            if !fits(bytes) {
                break;
            }
            page.processes.push(process);
        }
        if first + page.processes.len() >= snapshot.processes.len() {
            for listener in snapshot
                .listeners
                .iter()
                .skip(first.saturating_sub(snapshot.processes.len()))
            {
                let (listener, bytes) = shortened_listener(listener);
                if !fits(bytes) {
                    break;
                }
                page.listeners.push(listener);
            }
        }

        let end = first + page.processes.len() + page.listeners.len();
        page.next = (end < total).then(|| index(end));
        Some(page)
    }
}

/// An index on the wire. More items than `u32` counts cannot be held in memory.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn shortened_process(process: &Process) -> (Process, usize) {
    let mut process = process.clone();
    let mut bytes = json_bytes(&process);
    if bytes > ITEM_BYTES {
        if keep_fitting(&mut process.command, LIST_BYTES) {
            process.command.push(Untrusted::from("…"));
        }
        keep_fitting(&mut process.frameworks, LIST_BYTES / 2);
        bytes = json_bytes(&process);
    }
    (process, bytes)
}

fn shortened_listener(listener: &Listener) -> (Listener, usize) {
    let mut listener = listener.clone();
    let mut bytes = json_bytes(&listener);
    if bytes > ITEM_BYTES {
        keep_fitting(&mut listener.owners, LIST_BYTES);
        bytes = json_bytes(&listener);
    }
    (listener, bytes)
}
