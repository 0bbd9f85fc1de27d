//! What the container says of itself, in its file and its labels: kept, and read anew where it changes.
//!
//! The file is looked at on a thread, for it may hang on a dead volume; one look that hangs is the last. The labels are
//! the supervisor's to tell to whom it has brought in. No service is asked before both are known, or a moment has passed:
//! a probe that is not wanted is not even sent once.

use std::path::Path;
use std::time::Duration;

use diogenes_discovery::reader;
use diogenes_discovery::reread::{Found, Stamp, look};
use diogenes_insight::OwnWords;
use diogenes_insight::own_words::{FILE, MAX_BYTES};
use diogenes_proto::Untrusted;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How often the file is looked at, at most: when the container is.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long nobody is asked anything, at the start, until the file has been looked at, and the labels have been heard:
/// the supervisor sends them behind its hello.
const PATIENCE: Duration = Duration::from_millis(300);

/// What was read last, and what is under way.
pub(crate) struct Words {
    labels: Vec<Untrusted>,
    awaits_labels: bool,
    /// Until when nobody is asked anything, for something may still be said; None once all is heard.
    patient_until: Option<Instant>,
    file: Option<Vec<u8>>,
    /// Why there is no text in a file that is there.
    unreadable: Option<&'static str>,
    stamp: Option<Stamp>,
    looking: Option<oneshot::Receiver<Found>>,
    next_look: Instant,
}

impl Words {
    /// Nothing is known yet. Who `hears_labels` was brought in by a supervisor that will tell them.
    pub(crate) fn new(hears_labels: bool) -> Self {
        let now = Instant::now();
        Self {
            labels: Vec::new(),
            awaits_labels: hears_labels,
            patient_until: Some(now + PATIENCE),
            file: None,
            unreadable: None,
            stamp: None,
            looking: None,
            next_look: now,
        }
    }

    /// Takes in the labels; tells whether they are others than before.
    pub(crate) fn hear(&mut self, labels: Vec<Untrusted>) -> bool {
        self.awaits_labels = false;
        let are_others = labels != self.labels;
        self.labels = labels;
        are_others
    }

    /// Until when no service is to be asked; None where that is over.
    pub(crate) fn holds_back(&mut self, now: Instant) -> Option<Instant> {
        let may_come = self.awaits_labels || self.looking.is_some();
        self.patient_until = self.patient_until.filter(|by| may_come && *by > now);
        self.patient_until
    }

    /// Whether somebody was held back at the last word, and is not any more.
    pub(crate) fn was_awaited(&mut self) -> bool {
        self.patient_until.is_some() && self.holds_back(Instant::now()).is_none()
    }

    /// All that is said.
    pub(crate) fn read(&self) -> OwnWords {
        let mut words = OwnWords::read(self.file.as_deref(), &self.labels);
        if let Some(why) = self.unreadable {
            words.unreadable(why);
        }
        words
    }

    /// Looks at the file, where it is time to and no look is under way.
    pub(crate) fn look(&mut self) {
        let now = Instant::now();
        if self.looking.is_some() || now < self.next_look {
            return;
        }
        self.next_look = now + INTERVAL;
        let (sender, found) = oneshot::channel();
        let known = self.stamp;
        // One byte more than is read tells that it is too long.
        let work = move || {
            let _ = sender.send(look(
                Path::new("/"),
                Path::new(FILE),
                known,
                MAX_BYTES as u64 + 1,
            ));
        };
        // Without a thread the file is as it was.
        if reader::spawn("own-words", work).is_ok() {
            self.looking = Some(found);
        }
    }

    /// The look that is under way has ended: whether something else is said now. Never, where none is.
    pub(crate) async fn changed(&mut self) -> bool {
        let Some(looking) = &mut self.looking else {
            return std::future::pending().await;
        };
        let found = looking.await.unwrap_or(Found::Same);
        self.looking = None;
        (self.stamp, self.file, self.unreadable) = match found {
            Found::Same => return false,
            Found::Nothing => (None, None, None),
            Found::File(stamp, text) => (Some(stamp), Some(text), None),
            Found::Unreadable(stamp, why) => (Some(stamp), None, Some(why)),
        };
        true
    }
}
