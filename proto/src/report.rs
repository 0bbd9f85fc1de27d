//! What an agent tells of its container without being asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Finding, Health, Resources, Service, Timestamp, Untrusted};

/// The state of a container as its agent sees it: sent on change, and every 30 s.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When this state was concluded.
    pub at: Timestamp,
    /// Hash of the snapshot it rests on, by which the snapshot can be fetched for a while.
    pub snapshot: String,
    /// The worst health of the services; `unknown` where there are none.
    pub health: Health,
    /// Since when it has been that.
    pub since: Timestamp,
    /// Why, in one sentence.
    pub reason: Untrusted,
    /// Role → service in words, `"web": "fastapi on port 8000"`.
    pub roles: BTreeMap<String, Untrusted>,
    /// The services, in the order of their importance to a reader.
    pub services: Vec<Service>,
    /// The container's resources.
    pub resources: Resources,
    /// What is wrong or noteworthy, the weightiest first.
    pub findings: Vec<Finding>,
    /// How many processes the container has.
    pub processes: u32,
    /// How many services and findings were left out to keep the line within its limit; 0 in all but absurd cases.
    #[serde(default)]
    pub omitted: u32,
}
