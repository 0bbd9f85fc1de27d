//! What a container was given beyond what the Engine gives by default, as far as it weakens its walls.
//!
//! Source: `HostConfig` and `Mounts` of `GET /containers/{id}/json`, Docker Engine API.

use bollard::models::{HostConfig, MountPoint};

/// Sockets by which an Engine does whatever it is told, by the names of their files.
const ENGINE_SOCKETS: [&str; 5] = [
    "docker.sock",
    "containerd.sock",
    "podman.sock",
    "crio.sock",
    "buildkitd.sock",
];
/// Directories of the host that have such a socket in them, or everything.
const TELLING_DIRECTORIES: [&str; 4] = ["/run", "/var/run", "/run/containerd", "/run/podman"];

/// What a container was given beyond the default. Empty for a usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// All capabilities, all devices, and no confinement (`--privileged`).
    pub privileged: bool,
    /// The host's namespaces it is in: `network`, `pid`, `ipc`, `uts`, `cgroup`.
    pub host_namespaces: Vec<&'static str>,
    /// Capabilities that were added, without `CAP_`: `SYS_PTRACE`, `ALL`.
    pub capabilities: Vec<String>,
    /// Confinements that were switched off: `seccomp`, `apparmor`, `label` (SELinux).
    pub unconfined: Vec<&'static str>,
    /// Where an Engine's socket is inside, as far as mounts tell.
    pub engine_sockets: Vec<String>,
    /// Where the host's root directory is inside.
    pub host_root: Option<String>,
}

impl Grants {
    /// Takes what matters from the wire.
    pub(crate) fn from_wire(host: &HostConfig, mounts: &[MountPoint]) -> Self {
        let modes = [
            ("network", &host.network_mode),
            ("pid", &host.pid_mode),
            ("ipc", &host.ipc_mode),
            ("uts", &host.uts_mode),
        ];
        let is_host = |mode: &Option<String>| mode.as_deref() == Some("host");
        let mut host_namespaces: Vec<&'static str> = modes
            .into_iter()
            .filter(|(_, mode)| is_host(mode))
            .map(|(name, _)| name)
            .collect();
        if host
            .cgroupns_mode
            .is_some_and(|mode| mode.as_ref() == "host")
            && host.privileged == Some(true)
        {
            // On cgroup v1 it is everybody's default, and harmless without the right to write there.
            host_namespaces.push("cgroup");
        }
        let options = host.security_opt.iter().flatten();
        let mut unconfined: Vec<&'static str> = options
            .filter_map(|option| {
                // "seccomp=unconfined", and ":" in the form of old.
                let (name, value) = option.split_once(['=', ':'])?;
                match (name, value) {
                    ("seccomp", "unconfined") => Some("seccomp"),
                    ("apparmor", "unconfined") => Some("apparmor"),
                    ("label", "disable") => Some("label"),
                    _ => None,
                }
            })
            .collect();
        unconfined.dedup();
        let place = |mount: &MountPoint| mount.destination.clone().unwrap_or_default();
        let source = |mount: &MountPoint| mount.source.clone().unwrap_or_default();
        let has_engine_socket = |mount: &&MountPoint| {
            let source = source(mount);
            let name = source.rsplit('/').next().unwrap_or_default();
            ENGINE_SOCKETS.contains(&name) || TELLING_DIRECTORIES.contains(&source.as_str())
        };
        Self {
            privileged: host.privileged.unwrap_or(false),
            host_namespaces,
            capabilities: host
                .cap_add
                .iter()
                .flatten()
                .map(|name| name.trim_start_matches("CAP_").to_owned())
                .collect(),
            unconfined,
            engine_sockets: mounts.iter().filter(has_engine_socket).map(place).collect(),
            host_root: mounts.iter().find(|mount| source(mount) == "/").map(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_weakens_the_walls_is_seen() {
        let host: HostConfig = serde_json::from_str(
            r#"{"Privileged":false,"NetworkMode":"host","PidMode":"","IpcMode":"private",
                "CapAdd":["SYS_PTRACE","CAP_NET_ADMIN"],"SecurityOpt":["seccomp=unconfined","no-new-privileges"]}"#,
        )
        .unwrap();
        let mounts: Vec<MountPoint> = serde_json::from_str(
            r#"[{"Type":"bind","Source":"/var/run/docker.sock","Destination":"/sock"},
                {"Type":"bind","Source":"/","Destination":"/host"},
                {"Type":"volume","Source":"/var/lib/docker/volumes/x/_data","Destination":"/data"}]"#,
        )
        .unwrap();
        assert_eq!(
            Grants::from_wire(&host, &mounts),
            Grants {
                privileged: false,
                host_namespaces: vec!["network"],
                capabilities: vec!["SYS_PTRACE".into(), "NET_ADMIN".into()],
                unconfined: vec!["seccomp"],
                engine_sockets: vec!["/sock".into()],
                host_root: Some("/host".into()),
            }
        );
        let usual: HostConfig = serde_json::from_str(
            r#"{"Privileged":false,"NetworkMode":"bridge","IpcMode":"private","CgroupnsMode":"host"}"#,
        )
        .unwrap();
        assert_eq!(Grants::from_wire(&usual, &[]), Grants::default());
    }
}
