//! What happens to containers.

use bollard::models::{EventMessage, EventMessageTypeEnum};

/// The events asked for. Everything else (each `exec`, each `top`) would only be noise.
pub(crate) const ACTIONS: &[&str] = &[
    "start",
    "restart",
    "die",
    "oom",
    "pause",
    "unpause",
    "rename",
    "update",
    "health_status",
    "destroy",
];

/// How far an event reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The container is different from before; inspect it.
    Changed,
    /// It is no more.
    Destroyed,
}

/// Something happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The container's full id.
    pub container_id: String,
    /// What.
    pub change: Change,
}

impl Event {
    /// Takes what matters from the wire; None where it is not about a container.
    pub(crate) fn from_wire(wire: EventMessage) -> Option<Self> {
        if wire.typ != Some(EventMessageTypeEnum::CONTAINER) {
            return None;
        }
        let container_id = wire.actor?.id?;
        let change = if wire.action.as_deref() == Some("destroy") {
            Change::Destroyed
        } else {
            Change::Changed
        };
        Some(Self {
            container_id,
            change,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_to_containers_counts() {
        let event = |json: &str| Event::from_wire(serde_json::from_str(json).unwrap());
        let changed = Some(Event {
            container_id: "c0".into(),
            change: Change::Changed,
        });
        let destroyed = Some(Event {
            container_id: "c0".into(),
            change: Change::Destroyed,
        });
        for (json, expected) in [
            (
                r#"{"Type":"container","Action":"die","Actor":{"ID":"c0","Attributes":{"exitCode":"137"}}}"#,
                changed.clone(),
            ),
            (
                r#"{"Type":"container","Action":"health_status: healthy","Actor":{"ID":"c0"}}"#,
                changed,
            ),
            (
                r#"{"Type":"container","Action":"destroy","Actor":{"ID":"c0"}}"#,
                destroyed,
            ),
            (
                r#"{"Type":"network","Action":"destroy","Actor":{"ID":"n0"}}"#,
                None,
            ),
            (r#"{"Type":"container","Action":"die"}"#, None),
        ] {
            assert_eq!(event(json), expected, "{json}");
        }
    }
}
