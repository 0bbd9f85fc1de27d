//! Which processes belong to the container, where its pid namespace is shared with others.
//!
//! Then only the cgroup tells. Three pictures of it occur, and `/proc/PID/cgroup` is all there is to tell
//! them apart:
//!
//! | cgroup namespace of the reader | init's path | a member's | a stranger's |
//! |---|---|---|---|
//! | the host's | `/docker/ID` | `/docker/ID`, `/docker/ID/x` | `/system.slice`, `/` |
//! | the container's | `/` | `/`, `/x` | `/../x` |
//! | none, on a plain host | `/` | everything | – |
//!
//! On cgroup v1 an init may have `/docker/ID` in one hierarchy and `/` in one that the Engine does not
//! use; a path of `/` tells nothing as soon as there is a better one.

use crate::procfs::cgroup::{Place, below};

/// The places by which members are known.
#[derive(Debug)]
pub(crate) struct Membership {
    places: Vec<Place>,
}

impl Membership {
    /// Taken from the places of the container's init.
    pub(crate) fn of(mut init: Vec<Place>) -> Self {
        if init.iter().any(|place| place.path != "/") {
            init.retain(|place| place.path != "/");
        }
        Self { places: init }
    }

    /// Whether a process in these places is in the container: at or below the init's in any hierarchy.
    pub(crate) fn includes(&self, process: &[Place]) -> bool {
        let same =
            |a: &Place, b: &Place| a.hierarchy == b.hierarchy && a.controllers == b.controllers;
        self.places.iter().any(|ours| {
            process
                .iter()
                .any(|theirs| same(ours, theirs) && below(&theirs.path, &ours.path).is_some())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::cgroup::parse;

    #[test]
    fn members_stand_at_or_below_the_init() {
        for (init, process, member) in [
            ("0::/docker/a\n", "0::/docker/a\n", true),
            ("0::/docker/a\n", "0::/docker/a/sub\n", true),
            ("0::/docker/a\n", "0::/docker/ab\n", false),
            ("0::/docker/a\n", "0::/\n", false),
            // A private cgroup namespace.
            ("0::/\n", "0::/\n", true),
            ("0::/\n", "0::/job\n", true),
            ("0::/\n", "0::/../b\n", false),
            ("0::/\n", "0::/..\n", false),
            // v1: the hierarchies where the init stands at the root say nothing.
            (
                "4:memory:/docker/a\n0::/\n",
                "4:memory:/docker/b\n0::/\n",
                false,
            ),
            (
                "4:memory:/docker/a\n0::/\n",
                "4:memory:/docker/a\n0::/\n",
                true,
            ),
            // Moved below in one hierarchy, out of it in another: still ours.
            (
                "4:memory:/a\n3:pids:/a\n",
                "4:memory:/a/x\n3:pids:/\n",
                true,
            ),
            // The same path in another hierarchy is not the same place.
            ("4:memory:/a\n", "3:pids:/a\n", false),
            ("", "0::/\n", false),
        ] {
            let membership = Membership::of(parse(init.as_bytes()));
            assert_eq!(
                membership.includes(&parse(process.as_bytes())),
                member,
                "{init:?} {process:?}"
            );
        }
    }
}
