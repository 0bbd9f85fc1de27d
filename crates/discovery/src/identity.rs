//! Which container a process is in, told from outside by where it stands in the cgroups: bytes in, verdict out.
//!
//! | made by | a container's own cgroup |
//! |---|---|
//! | Docker with cgroupfs | `/docker/ID`, or another parent (`--cgroup-parent`) |
//! | Docker with systemd | `/system.slice/docker-ID.scope`, or another slice |
//! | Podman | `/machine.slice/libpod-ID.scope`, `/libpod_parent/libpod-ID` |
//! | containerd, CRI-O | `/kubepods/burstable/podUID/ID`, `/kubepods.slice/….slice/cri-containerd-ID.scope`, `….slice:cri-containerd:ID` |
//!
//! A name proves nothing: whoever may make directories below its own cgroup can make `/docker/ID/docker/OTHER` there,
//! and a user to whom systemd gave a part of the tree can make `docker-ID.scope` in it. What cannot be made up is where
//! the container's *init* stands, which the Engine names. So names only say whom to compare with
//! ([`Standing::named`]), and a process is in a container if it stands at or below the cgroup that carries the
//! container's name in its init's path, in every hierarchy of cgroup v1 and v2 that does
//! ([`Standing::is_inside`]). The init itself may stand further down: systemd and Podman move it.
//!
//! Names of cgroups cannot hold line feeds, so no line of the file can be forged by one. Source: cgroups(7).

use crate::procfs::cgroup::{Place, below, parse};

/// Length of a container's id.
const ID_DIGITS: usize = 64;
/// Names that are looked at: nobody nests deeper, and each costs its reader a look at the Engine's container.
const MAX_NAMES: usize = 8;
/// What stands before the id of a container's monitor (Podman, CRI-O): that is a process of the host.
const MONITOR: &str = "conmon-";

/// Where a process stands, in each hierarchy.
#[derive(Clone, Debug)]
pub struct Standing(Vec<Place>);

impl Standing {
    /// Reads `/proc/PID/cgroup`. Lines that are none are passed over.
    #[must_use]
    pub fn parse(cgroup: &[u8]) -> Self {
        Self(parse(cgroup))
    }

    /// The ids that its paths name, the outermost first, each once, a few at most. Names: nothing is proven by them.
    #[must_use]
    pub fn named(&self) -> Vec<String> {
        let mut names: Vec<(usize, &str)> = Vec::new();
        for place in &self.0 {
            let ids = place.path.split('/').filter_map(id);
            for (depth, id) in ids.enumerate().take(MAX_NAMES) {
                if !names.iter().any(|(_, known)| *known == id) {
                    names.push((depth, id));
                }
            }
        }
        names.sort_by_key(|(depth, _)| *depth);
        names.truncate(MAX_NAMES);
        names.into_iter().map(|(_, id)| id.to_owned()).collect()
    }

    /// Whether its paths name this id.
    #[must_use]
    pub fn names(&self, container_id: &str) -> bool {
        self.cgroups_of(container_id).next().is_some()
    }

    /// Whether it is in the container with this id, whose init stands at `init`.
    #[must_use]
    pub fn is_inside(&self, container_id: &str, init: &Self) -> bool {
        let mut cgroups = init.cgroups_of(container_id).peekable();
        let stands_below = |(theirs, cgroup): (&Place, &str)| {
            let mut ours = self.0.iter().filter(|ours| {
                (ours.hierarchy, &ours.controllers) == (theirs.hierarchy, &theirs.controllers)
            });
            ours.any(|ours| below(&ours.path, cgroup).is_some())
        };
        cgroups.peek().is_some() && cgroups.all(stands_below)
    }

    /// The places whose paths name this id, each with its path as far as the name.
    fn cgroups_of<'a>(
        &'a self,
        container_id: &'a str,
    ) -> impl Iterator<Item = (&'a Place, &'a str)> {
        self.0.iter().filter_map(move |place| {
            let mut end = 0;
            for name in place.path.split('/') {
                end += name.len();
                if id(name) == Some(container_id) {
                    return Some((place, &place.path[..end]));
                }
                end += 1;
            }
            None
        })
    }
}

/// The container's id in the name of a cgroup; None where it is no container's.
fn id(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (engine, id) = match name.rfind(['-', ':']) {
        Some(at) => name.split_at(at + 1),
        None => ("", name),
    };
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_id = id.len() == ID_DIGITS && id.bytes().all(is_digit) && !engine.ends_with(MONITOR);
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn a() -> String {
        "a1".repeat(32)
    }

    fn b() -> String {
        "b2".repeat(32)
    }

    /// A file in which `A` and `B` stand for ids.
    fn standing(text: &str) -> Standing {
        let text = text.replace('A', &a()).replace('B', &b());
        Standing::parse(text.as_bytes())
    }

    /// As the kernel of a host with cgroup v1 writes it.
    fn v1(path: &str) -> String {
        [
            "9:name=systemd",
            "8:pids",
            "4:memory",
            "2:cpu,cpuacct",
            "0:",
        ]
        .map(|hierarchy| format!("{hierarchy}:{path}\n"))
        .concat()
    }

    fn v2(path: &str) -> String {
        format!("0::{path}\n")
    }

    #[test]
    fn every_engine_names_its_containers() {
        for path in [
            "/docker/A",
            "/system.slice/docker-A.scope",
            "/build/A",
            "/custom.slice/docker-A.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-A.scope",
            "/machine.slice/libpod-A.scope",
            "/machine.slice/libpod-A.scope/container",
            "/libpod_parent/libpod-A",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-A.scope/container",
            "/kubepods/burstable/pod5c3b0a1e-0f3a-4a39-9f6f-0a2b6d1d7c11/A",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod5c3b0a1e_0f3a.slice/cri-containerd-A.scope",
            "/system.slice/containerd.service/kubepods-burstable-pod5c3b.slice:cri-containerd:A",
            "/kubepods.slice/kubepods-pod5c3b.slice/crio-A.scope",
            "/system.slice/nerdctl-A.scope",
            // Seen from a supervisor in a cgroup namespace of its own.
            "/../docker-A.scope",
        ] {
            for file in [v1(path), v2(path)] {
                let process = standing(&file);
                assert_eq!(process.named(), [a()], "{path}");
                assert!(process.names(&a()) && !process.names(&b()), "{path}");
                assert!(process.is_inside(&a(), &process), "{path}");
            }
        }
    }

    #[test]
    fn what_is_no_container_names_none() {
        for path in [
            "/",
            "",
            "/init.scope",
            "/system.slice/ssh.service",
            "/user.slice/user-1000.slice/session-2.scope",
            "/docker",
            "/docker/buildkit/a6x0w5",
            "/process_api/3a76a3ac246517cf3f83d65a8db4eded",
            "/machine.slice/libpod-conmon-A.scope",
            "/kubepods.slice/crio-conmon-A.scope",
            "/docker/A1",
            "/docker/xA",
            // A cgroup that was removed below its last process.
            "/docker/A (deleted)",
        ] {
            assert!(standing(&v2(path)).named().is_empty(), "{path}");
        }
        let capitals = v2(&format!("/docker/{}", a().to_uppercase()));
        assert!(Standing::parse(capitals.as_bytes()).named().is_empty());
    }

    #[test]
    fn a_process_is_in_the_container_below_whose_cgroup_it_stands() {
        let init = standing(&v2("/docker/A"));
        for (path, inside) in [
            ("/docker/A", true),
            ("/docker/A/worker", true),
            // Docker inside of a container, and what a container may make there itself.
            ("/docker/A/docker/B", true),
            ("/docker/B/docker/A", false),
            ("/docker/B", false),
            ("/docker/A1", false),
            ("/docker", false),
            ("/", false),
            ("/docker/A/../B", false),
            (
                "/user.slice/user-1000.slice/user@1000.service/docker-A.scope",
                false,
            ),
        ] {
            assert_eq!(standing(&v2(path)).is_inside(&a(), &init), inside, "{path}");
        }
        let nested = standing(&v2("/docker/A/docker/B"));
        assert_eq!(nested.named(), [a(), b()], "from the outside in");
        assert!(!nested.is_inside(&b(), &standing(&v2("/docker/B"))));
    }

    #[test]
    fn an_init_that_moved_further_down_has_the_container_around_it() {
        for (init, process) in [
            (
                "/docker/A/init.scope",
                "/docker/A/system.slice/redis.service",
            ),
            (
                "/machine.slice/libpod-A.scope/container",
                "/machine.slice/libpod-A.scope/exec",
            ),
        ] {
            assert!(standing(&v2(process)).is_inside(&a(), &standing(&v2(init))));
        }
    }

    #[test]
    fn every_hierarchy_that_names_the_container_must_agree() {
        let init = standing("9:name=systemd:/\n8:pids:/docker/A\n4:memory:/docker/A\n0::/\n");
        for (process, inside) in [
            (
                "9:name=systemd:/\n8:pids:/docker/A\n4:memory:/docker/A/x\n0::/\n",
                true,
            ),
            (
                "9:name=systemd:/\n8:pids:/docker/A\n4:memory:/docker/B\n0::/\n",
                false,
            ),
            (
                "9:name=systemd:/\n8:pids:/docker/A\n4:memory:/\n0::/\n",
                false,
            ),
            ("8:pids:/docker/A\n", false),
            // The same path in another hierarchy is another place.
            ("7:pids:/docker/A\n4:memory:/docker/A\n", false),
            ("", false),
        ] {
            assert_eq!(
                standing(process).is_inside(&a(), &init),
                inside,
                "{process:?}"
            );
        }
        let unnamed = standing(&v1("/"));
        assert!(
            !unnamed.is_inside(&a(), &unnamed),
            "an init that is not named proves nothing"
        );
    }

    #[test]
    fn no_number_of_names_is_too_much() {
        let nested: String = (0..2000).map(|i| format!("/docker/{i:064x}")).collect();
        assert_eq!(standing(&v1(&nested)).named().len(), MAX_NAMES);
    }

    /// Paths made of what a container might call its own directories.
    fn path() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            Just("A".to_owned()),
            Just("B".to_owned()),
            Just("docker-A.scope".to_owned()),
            Just("docker-B.scope".to_owned()),
            Just("..".to_owned()),
            Just("docker".to_owned()),
            Just(String::new()),
            "[ -~]{0,6}",
        ];
        proptest::collection::vec(name, 0..6).prop_map(|names| format!("/{}", names.join("/")))
    }

    proptest! {
        /// Whatever a container makes below its own cgroup, its processes are in it and in no other.
        #[test]
        fn nothing_made_inside_leads_out(made in path()) {
            let made = made.replace("..", "dots");
            for (home, other) in [("/docker/A", "/docker/B"), ("/x.slice/docker-A.scope", "/x.slice/docker-B.scope")] {
                for file in [v1, v2] {
                    let process = standing(&file(&format!("{home}{made}")));
                    prop_assert!(process.is_inside(&a(), &standing(&file(home))));
                    prop_assert!(!process.is_inside(&b(), &standing(&file(other))));
                    prop_assert_eq!(&process.named()[0], &a());
                }
            }
        }

        /// Nor does anything made elsewhere lead in.
        #[test]
        fn nothing_made_outside_leads_in(made in path()) {
            let process = standing(&v2(&format!("/user.slice{made}")));
            prop_assert!(!process.is_inside(&a(), &standing(&v2("/docker/A"))));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let process = Standing::parse(&bytes);
            for id in process.named() {
                prop_assert!(process.names(&id));
            }
        }
    }
}
