//! What an earlier companion of the container knew, and one that has just come cannot see: how long services took to
//! start, and which of them had ended.
//!
//! A service that ended leaves nothing behind, and without it all that is left may be well. So it is missed as if its
//! end had been seen, until it is back.

use std::time::Duration;

use diogenes_proto::{EndedService, Health, PastStart, Timestamp};

use super::report::ROLES;
use super::track::{Absence, Presence, Track};
use super::{Assessor, MAX_GONE};
use crate::catalogue;
use crate::own_words::Own;
use crate::recognise::{MAX_SERVICES, Recognised};

impl Assessor {
    /// Takes in what an earlier companion knew. Of starts that are told more than once, the last counts; a service that is
    /// known is not taken for ended, nor one whose port another one has.
    pub fn remember(
        &mut self,
        now: Timestamp,
        mut starts: Vec<PastStart>,
        mut ended: Vec<EndedService>,
    ) {
        ended.truncate(MAX_GONE);
        for service in ended {
            let is_known = self.tracks.iter().any(|track| {
                let ports = &track.seen.ports;
                track.key == service.service || service.ports.iter().any(|p| ports.contains(p))
            });
            if !is_known {
                self.tracks.push(gone(service, now));
            }
        }
        starts.truncate(MAX_SERVICES);
        self.past_starts = starts;
        self.tell_of_past_starts();
        self.forget(now);
        self.name_keys();
    }

    pub(super) fn tell_of_past_starts(&mut self) {
        let tracks = &mut self.tracks;
        self.past_starts.retain(|past| {
            let track = tracks.iter_mut().find(|track| track.key == past.service);
            let is_new = track.is_none();
            if let Some(track) = track {
                track.start.remember(Duration::from_millis(past.ms));
            }
            is_new
        });
    }
}

/// What a service is called that is in no catalogue, by how it was reached.
const STRANGERS: [&str; 3] = ["tcp", "udp", "unix"];

/// A service that ended before this companion came.
fn gone(service: EndedService, now: Timestamp) -> Track {
    let entry = catalogue::find(&service.kind);
    let role = ROLES
        .into_iter()
        .find(|role| service.role.as_deref() == Some(role));
    let stranger = STRANGERS.into_iter().find(|kind| service.kind == *kind);
    // What was reached in no way was called a service by its container, or it would not be missed.
    let introduced = entry.is_none() && stranger.is_none() && service.ports.is_empty();
    let kind = match entry {
        Some(entry) => entry.kind,
        None if introduced => "process",
        None => stranger.unwrap_or("tcp"),
    };
    let at = service.since.min(now);
    let seen = Recognised {
        key: service.service,
        name: service.name.clone(),
        entry,
        kind,
        role: role.or(entry.map(|entry| entry.role)),
        untitled: false,
        version: service.version,
        ports: service.ports,
        listeners: Vec::new(),
        pids: Vec::new(),
        started_at: None,
        program: "".into(),
        executable: None,
        is_closed: false,
        visitor: false,
        probes: Vec::new(),
        evidence: Vec::new(),
        own: Own {
            name: Some(service.name),
            introduced,
            role,
            ..Own::default()
        },
    };
    let mut track = Track::new(seen, now);
    // Any other word is what a stranger was heard to speak.
    track.learnt.protocol = (service.kind != kind).then_some(service.kind);
    track.presence = Presence::Ended {
        at,
        absence: Absence::default(),
    };
    (track.health, track.since) = (Health::Unhealthy, at);
    track
}
