//! What the supervisor knows: one entry a container, and how the Engine is.
//!
//! Each fact has one writer: the Engine's follower writes the facts of the host, a container's attendant
//! writes its companion's presence and reports. Readers get whole entries that do not change under them;
//! no lock is held longer than it takes to swap a pointer and to note what that changed.

pub(crate) mod change;
pub(crate) mod engine_follower;
pub(crate) mod history;
pub(crate) mod journal;
pub(crate) mod names;
pub(crate) mod past;
pub(crate) mod posture;
pub(crate) mod presence;
pub(crate) mod words;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use diogenes_engine::{ContainerFacts, EngineVersion};
use diogenes_proto::{Finding, Health, Report, Request, Timestamp, Untrusted};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::attendants::policy::Verdict;
use crate::attendants::way_in::Via;
use crate::audit::{Audit, Who};
use crate::registry::change::{Change, changes};
use crate::registry::history::History;
use crate::registry::journal::{Journal, Subject};
use crate::registry::past::{Past, Pasts};
use crate::registry::presence::{Absence, Presence};
use crate::session::{Observation, SessionHandle};

/// All that is known of one container.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What the host knows.
    pub(crate) facts: Arc<ContainerFacts>,
    /// How its companion is present.
    pub(crate) presence: Presence,
    /// Since when.
    pub(crate) presence_since: Timestamp,
    /// Whether it is to have one, and who decided that; None where nobody has yet.
    pub(crate) verdict: Option<Verdict>,
    /// The last report of its companion in this life of the container; None before the first.
    pub(crate) report: Option<Arc<Report>>,
    /// What the supervisor itself found.
    pub(crate) findings: Vec<Finding>,
    /// How well it is walled in, from the facts of the host.
    pub(crate) posture: Arc<[Finding]>,
    /// Whom to ask; None where no companion is there.
    pub(crate) session: Option<SessionHandle>,
}

impl Entry {
    fn new(facts: ContainerFacts) -> Self {
        Self {
            posture: posture::findings(&facts.grants, Timestamp::now()).into(),
            facts: Arc::new(facts),
            presence: Presence::Absent(Absence::NotYet),
            presence_since: Timestamp::now(),
            verdict: None,
            report: None,
            findings: Vec::new(),
            session: None,
        }
    }

    /// It, as one who was refused something.
    pub(crate) fn who(&self) -> Who {
        Who::Container {
            id: self.facts.id.clone(),
            name: self.facts.name.clone(),
        }
    }

    /// The address of its companion for people and for aish.
    pub(crate) fn ci_name(&self) -> String {
        ci_name(&self.facts.name)
    }

    /// The last report while the container is up, also where its companion has fallen silent since.
    pub(crate) fn last_report(&self) -> Option<&Report> {
        self.report.as_deref().filter(|_| self.facts.state.is_up())
    }

    /// The report of a companion that speaks: the only one to be taken for the present.
    pub(crate) fn spoken(&self) -> Option<&Report> {
        let speaks = matches!(self.presence, Presence::Present { .. });
        self.last_report().filter(|_| speaks)
    }

    /// The container's health, and since when; `unknown` where no companion speaks.
    pub(crate) fn health(&self) -> (Health, Timestamp) {
        self.spoken()
            .map_or((Health::Unknown, self.presence_since), |report| {
                (report.health, report.since)
            })
    }

    /// Why it has that health: in the companion's words, or why none speaks.
    pub(crate) fn health_reason(&self) -> Untrusted {
        self.spoken().map_or_else(
            || {
                self.presence
                    .reason(&self.facts, self.presence_since)
                    .into()
            },
            |report| report.reason.clone(),
        )
    }

    /// What the supervisor and a companion that speaks have found.
    pub(crate) fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        let found = self
            .spoken()
            .into_iter()
            .flat_map(|report| &report.findings);
        self.findings.iter().chain(&*self.posture).chain(found)
    }
}

/// `<container name>-container-ci`.
pub(crate) fn ci_name(name: &str) -> String {
    format!("{name}{CI_SUFFIX}")
}

/// What a CI's name ends in.
pub(crate) const CI_SUFFIX: &str = "-container-ci";

/// How the Engine is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EngineStatus {
    /// What it says of itself; None where it has not answered yet.
    pub(crate) version: Option<EngineVersion>,
    /// Why it does not answer; None while it does.
    pub(crate) error: Option<String>,
    /// Since when that has been so.
    pub(crate) since: Timestamp,
}

/// A container and its past.
#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    history: History,
    past: Past,
}

/// The facts of all containers.
#[derive(Debug)]
pub(crate) struct Registry {
    slots: RwLock<HashMap<String, Slot>>,
    /// Of containers that this supervisor has not seen yet.
    recalled: RwLock<Pasts>,
    journal: Journal,
    audit: Audit,
    engine: RwLock<EngineStatus>,
    /// Counts the changes, for those who wait for one.
    version: watch::Sender<u64>,
}

impl Default for Registry {
    fn default() -> Self {
        let engine = EngineStatus {
            version: None,
            error: Some("not asked yet".into()),
            since: Timestamp::now(),
        };
        Self {
            slots: RwLock::default(),
            recalled: RwLock::default(),
            journal: Journal::default(),
            audit: Audit::default(),
            engine: RwLock::new(engine),
            version: watch::Sender::new(0),
        }
    }
}

impl Registry {
    /// Notes what the host knows of a container; makes its entry where there is none.
    pub(crate) fn set_facts(&self, facts: ContainerFacts) {
        let mut slots = write(&self.slots);
        if let Some(slot) = slots.get_mut(&facts.id) {
            self.edit_slot(slot, |entry| {
                if *entry.facts == facts {
                    return false;
                }
                if entry.facts.started_at != facts.started_at {
                    // Another life: what was reported of the last one is no longer true.
                    entry.report = None;
                }
                // A container keeps what it was made with; only one that could not be inspected at first learns more.
                if entry.facts.grants != facts.grants {
                    entry.posture = posture::findings(&facts.grants, Timestamp::now()).into();
                }
                entry.facts = Arc::new(facts);
                true
            });
            return;
        }
        let id = facts.id.clone();
        let mut slot = Slot {
            entry: Arc::new(Entry::new(facts)),
            history: History::default(),
            past: write(&self.recalled)
                .containers
                .remove(&id)
                .unwrap_or_default(),
        };
        let change = Change::ContainerAppeared {
            image: slot.entry.facts.image.clone(),
            state: slot.entry.facts.state.as_str().to_owned(),
        };
        self.record(&mut slot, change);
        slots.insert(id, slot);
        self.changed();
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, id: &str) {
        let mut slots = write(&self.slots);
        if let Some(mut slot) = slots.remove(id) {
            self.record(&mut slot, Change::ContainerRemoved {});
            self.changed();
        }
    }

    /// Notes how a companion is present.
    pub(crate) fn set_presence(&self, id: &str, presence: Presence) {
        self.edit(id, |entry| {
            if entry.presence == presence {
                return false;
            }
            entry.presence = presence;
            entry.presence_since = Timestamp::now();
            true
        });
    }

    /// Notes whether a companion is to be there.
    pub(crate) fn set_verdict(&self, id: &str, verdict: Verdict) {
        self.edit(id, |entry| {
            let verdict = Some(verdict);
            let differs = entry.verdict != verdict;
            entry.verdict = verdict;
            differs
        });
    }

    /// Notes whom to ask.
    pub(crate) fn set_session(&self, id: &str, session: Option<SessionHandle>) {
        self.edit(id, |entry| {
            entry.session = session;
            true
        });
    }

    /// Notes a companion's report.
    pub(crate) fn set_report(&self, id: &str, report: Report) {
        let mut slots = write(&self.slots);
        let Some(slot) = slots.get_mut(id) else {
            return;
        };
        slot.history.sample(&report, Timestamp::now());
        slot.past.note(slot.entry.facts.started_at, &report);
        self.edit_slot(slot, |entry| {
            entry.report = Some(Arc::new(report));
            true
        });
    }

    /// What a companion of a container is to be told that has just come; None where there is nothing.
    pub(crate) fn past_of(&self, id: &str) -> Option<Request> {
        let slots = read(&self.slots);
        let slot = slots.get(id)?;
        slot.past.to_request(slot.entry.facts.started_at)
    }

    /// Takes in what an earlier supervisor knew.
    fn recall(&self, pasts: Pasts) {
        *write(&self.recalled) = pasts;
    }

    /// Forgets what an earlier supervisor knew of containers that are not there any more: all have been seen.
    fn have_seen_all(&self) {
        *write(&self.recalled) = Pasts::default();
    }

    /// What is to be remembered of all containers.
    fn pasts(&self) -> Pasts {
        let slots = read(&self.slots);
        let mut pasts = read(&self.recalled).clone();
        let worth_it = slots
            .iter()
            .filter(|(_, slot)| slot.past != Past::default());
        let of_slots = worth_it.map(|(id, slot)| (id.clone(), slot.past.clone()));
        pasts.containers.extend(of_slots);
        pasts
    }

    /// Notes what was observed of the session with a companion that calls itself `build`.
    pub(crate) fn observe(&self, id: &str, build: &str, via: Via, observation: Observation) {
        match observation {
            Observation::Report(report) => self.set_report(id, *report),
            Observation::FellSilent => self.set_presence(id, Presence::Silent(via)),
            Observation::SpokeAgain => {
                let build = build.to_owned();
                self.set_presence(id, Presence::Present { build, via });
            }
            Observation::AskedWithoutRight { kind } => {
                let who = self.get(id).map_or(Who::Unknown, |entry| entry.who());
                self.audit.refused(&who, kind, &"companions ask nobody");
            }
        }
    }

    /// Notes what the supervisor itself found.
    pub(crate) fn set_findings(&self, id: &str, findings: Vec<Finding>) {
        self.edit(id, |entry| {
            let differs = entry.findings != findings;
            entry.findings = findings;
            differs
        });
    }

    /// One container by its full id.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Entry>> {
        read(&self.slots).get(id).map(|slot| slot.entry.clone())
    }

    /// A container's recent past; None where it is gone.
    pub(crate) fn history(&self, id: &str) -> Option<History> {
        read(&self.slots).get(id).map(|slot| slot.history.clone())
    }

    /// What happened to all of them.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Who was refused what.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// All containers by name.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        let mut all: Vec<_> = read(&self.slots)
            .values()
            .map(|slot| slot.entry.clone())
            .collect();
        all.sort_by(|a, b| (&a.facts.name, &a.facts.id).cmp(&(&b.facts.name, &b.facts.id)));
        all
    }

    /// The full ids of all containers.
    pub(crate) fn ids(&self) -> Vec<String> {
        read(&self.slots).keys().cloned().collect()
    }

    /// Notes that the Engine answers.
    pub(crate) fn engine_answered(&self, version: EngineVersion) {
        let mut engine = write(&self.engine);
        if engine.error.is_some() || engine.version.as_ref() != Some(&version) {
            let change = Change::Engine {
                reachable: true,
                error: None,
            };
            self.journal.record(None, change, 0);
            *engine = EngineStatus {
                version: Some(version),
                error: None,
                since: Timestamp::now(),
            };
            drop(engine);
            self.changed();
        }
    }

    /// Notes that the Engine does not answer.
    pub(crate) fn engine_failed(&self, error: String) {
        let mut engine = write(&self.engine);
        // The moment is that of the first failure, the words are those of the last.
        if engine.error.is_none()
            || engine.version.is_none() && engine.error.as_deref() == Some("not asked yet")
        {
            engine.since = Timestamp::now();
            let change = Change::Engine {
                reachable: false,
                error: Some(error.clone()),
            };
            self.journal.record(None, change, 0);
        }
        engine.error = Some(error);
        drop(engine);
        self.changed();
    }

    /// How the Engine is.
    pub(crate) fn engine(&self) -> EngineStatus {
        read(&self.engine).clone()
    }

    /// Tells of every change from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Changes an entry; nothing happens where the container is gone. `change` says whether anything differs.
    fn edit(&self, id: &str, change: impl FnOnce(&mut Entry) -> bool) {
        if let Some(slot) = write(&self.slots).get_mut(id) {
            self.edit_slot(slot, change);
        }
    }

    /// Changes an entry under the lock, and notes what that changed.
    fn edit_slot(&self, slot: &mut Slot, change: impl FnOnce(&mut Entry) -> bool) {
        let before = slot.entry.clone();
        if change(Arc::make_mut(&mut slot.entry)) {
            for change in changes(&before, &slot.entry) {
                self.record(slot, change);
            }
            self.changed();
        } else {
            slot.entry = before;
        }
    }

    fn record(&self, slot: &mut Slot, change: Change) {
        if let Some(omitted) = slot.history.admit() {
            let subject = Subject::of(&slot.entry);
            let event = self.journal.record(Some(subject), change, omitted);
            slot.history.note(event);
        }
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}

/// Waits for a change, and for those that come with it: changes come in bursts, which are gathered for so long.
///
/// # Errors
/// Where the registry is gone.
pub(crate) async fn changed(
    changes: &mut watch::Receiver<u64>,
    gather: Duration,
) -> Result<(), watch::error::RecvError> {
    changes.changed().await?;
    sleep(gather).await;
    Ok(())
}

// No code under these locks can panic half-way through a change, so a poisoned lock still guards whole entries.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attendants::way_in::Via;

    fn facts(id: &str, name: &str) -> ContainerFacts {
        ContainerFacts {
            id: id.into(),
            name: name.into(),
            ..ContainerFacts::default()
        }
    }

    #[test]
    fn readers_keep_what_they_read_and_hear_of_changes() {
        let registry = Registry::default();
        registry.set_facts(facts("2", "b"));
        registry.set_facts(facts("1", "c"));
        let before = registry.get("2").unwrap();
        let mut changes = registry.subscribe();
        registry.set_presence("2", Presence::Silent(Via::Attached));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        registry.set_presence("2", Presence::Silent(Via::Attached));
        assert!(
            !changes.has_changed().unwrap(),
            "the same again is no change"
        );
        assert_eq!(before.presence, Presence::Absent(Absence::NotYet));
        assert_eq!(
            registry.get("2").unwrap().presence,
            Presence::Silent(Via::Attached)
        );
        assert_eq!(
            registry
                .all()
                .iter()
                .map(|entry| entry.facts.name.clone())
                .collect::<Vec<_>>(),
            ["b", "c"]
        );
        registry.remove("2");
        registry.set_report("2", Report::default());
        assert_eq!(
            registry.ids(),
            ["1"],
            "a late report does not bring a container back"
        );
    }

    #[test]
    fn a_report_belongs_to_one_life_of_its_container() {
        let registry = Registry::default();
        let mut facts = facts("1", "a");
        registry.set_facts(facts.clone());
        registry.set_report("1", Report::default());
        facts.restart_count = 1;
        registry.set_facts(facts.clone());
        assert!(registry.get("1").unwrap().report.is_some());
        facts.started_at = Some(Timestamp::now());
        registry.set_facts(facts);
        assert!(registry.get("1").unwrap().report.is_none());
    }

    #[test]
    fn the_engines_absence_has_a_beginning() {
        let registry = Registry::default();
        registry.engine_answered(EngineVersion {
            version: "20.10".into(),
            api_version: "1.41".into(),
        });
        registry.engine_failed("gone".into());
        let first = registry.engine();
        registry.engine_failed("still gone".into());
        let second = registry.engine();
        assert_eq!(second.since, first.since);
        assert_eq!(second.error.as_deref(), Some("still gone"));
        assert!(second.version.is_some());
    }
}
