//! What an agent tells of its container without being asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fit::{BODY_BYTES, fitting, json_bytes, keep_fitting};
use crate::word::{self, MAX_WORD_BYTES, tame};
use crate::{Finding, Health, Resources, Service, Timestamp, Untrusted};

/// Room for the roles in a report that must be cut.
const ROLES_BYTES: usize = 32 * 1024;

/// Room for one list within a service or finding that must be shortened: more than one text at its longest.
const LIST_BYTES: usize = 26 * 1024;

/// The state of a container as its agent sees it: sent on change, and every 30 s.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When this state was concluded.
    pub at: Timestamp,
    /// Hash of the snapshot it rests on, by which the snapshot can be fetched for a while.
    #[serde(deserialize_with = "word::one")]
    pub snapshot: String,
    /// The worst health of the services; `unknown` where there are none.
    pub health: Health,
    /// Since when it has been that.
    pub since: Timestamp,
    /// Why, in one sentence.
    pub reason: Untrusted,
    /// Role → service in words, `"web": "fastapi on port 8000"`.
    #[serde(deserialize_with = "word::keys")]
    pub roles: BTreeMap<String, Untrusted>,
    /// The services, in the order of their importance to a reader.
    pub services: Vec<Service>,
    /// The container's resources.
    pub resources: Resources,
    /// What is wrong or noteworthy, the weightiest first.
    pub findings: Vec<Finding>,
    /// How many processes the container has.
    pub processes: u32,
    /// How many services, findings and roles were left out or shortened to keep the line within its limit; 0 in
    /// all but absurd cases.
    #[serde(default)]
    pub omitted: u32,
}

impl Report {
    /// The same report by a clock that is so many milliseconds ahead.
    #[must_use]
    pub fn moved(mut self, by_ms: i64) -> Self {
        let services = self.services.iter_mut().map(|service| &mut service.since);
        let findings = self.findings.iter_mut().map(|finding| &mut finding.since);
        let own = [&mut self.at, &mut self.since];
        for moment in own.into_iter().chain(services).chain(findings) {
            *moment = moment.moved(by_ms);
        }
        self
    }

    /// The same report, cut where it would not fit a line: first the lists within the services and findings
    /// are shortened, then the least important services and findings go, of whichever take more room.
    /// `omitted` grows by the number of items that lost something. A report that fits is not touched.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        if json_bytes(&self) <= BODY_BYTES {
            return self;
        }
        self.snapshot = tame(self.snapshot, MAX_WORD_BYTES);
        let roles = fitting(self.roles.iter(), ROLES_BYTES);
        let mut lost = self.roles.len() - roles;
        // Not collected anew: that compiles a sort of its own into the agent, 4 KB of its megabyte.
        while self.roles.len() > roles {
            self.roles.pop_last();
        }

        let mut services = Parts::new(std::mem::take(&mut self.services), shorten_service);
        let mut findings = Parts::new(std::mem::take(&mut self.findings), shorten_finding);
        // As wide as the number can become.
        let omitted = std::mem::replace(&mut self.omitted, u32::MAX);
        let room = BODY_BYTES.saturating_sub(json_bytes(&self));
        while services.bytes.saturating_add(findings.bytes) > room {
            if services.bytes > findings.bytes {
                services.drop_last()
            } else {
                findings.drop_last()
            }
        }
        lost += services.lost() + findings.lost();
        self.omitted = omitted.saturating_add(u32::try_from(lost).unwrap_or(u32::MAX));
        self.services = services.into_items();
        self.findings = findings.into_items();
        self
    }
}

/// A list in a report that is being cut.
struct Parts<T> {
    items: Vec<Part<T>>,
    /// Length of all items as JSON, with their commas.
    bytes: usize,
    dropped: usize,
}

struct Part<T> {
    item: T,
    bytes: usize,
    shortened: bool,
}

impl<T: Serialize> Parts<T> {
    fn new(items: Vec<T>, shorten: fn(&mut T) -> bool) -> Self {
        let part = |mut item: T| {
            let shortened = shorten(&mut item);
            Part {
                bytes: json_bytes(&item).saturating_add(1),
                item,
                shortened,
            }
        };
        let items: Vec<_> = items.into_iter().map(part).collect();
        let bytes = items
            .iter()
            .map(|part| part.bytes)
            .fold(0, usize::saturating_add);
        Self {
            items,
            bytes,
            dropped: 0,
        }
    }

    fn drop_last(&mut self) {
        if let Some(part) = self.items.pop() {
            self.bytes = self.bytes.saturating_sub(part.bytes);
            self.dropped += 1;
        }
    }

    fn lost(&self) -> usize {
        self.dropped + self.items.iter().filter(|part| part.shortened).count()
    }

    fn into_items(self) -> Vec<T> {
        self.items.into_iter().map(|part| part.item).collect()
    }
}

/// Shortens the lists of a service; says whether anything was lost.
fn shorten_service(service: &mut Service) -> bool {
    let mut shortened = keep_fitting(&mut service.evidence, LIST_BYTES);
    for listener in &mut service.listeners {
        shortened |= keep_fitting(&mut listener.owners, LIST_BYTES / 8);
    }
    shortened |= keep_fitting(&mut service.listeners, 2 * LIST_BYTES);
    shortened |= keep_fitting(&mut service.pids, LIST_BYTES);
    shortened | keep_fitting(&mut service.ports, LIST_BYTES)
}

/// Shortens the evidence of a finding; says whether anything was lost.
fn shorten_finding(finding: &mut Finding) -> bool {
    keep_fitting(&mut finding.evidence, LIST_BYTES)
}
