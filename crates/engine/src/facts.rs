//! What the host knows of a container, from `GET /containers/{id}/json` of the Docker Engine API.

use std::collections::BTreeMap;
use std::fmt;

use bollard::models::{ContainerInspectResponse, ContainerSummary, HealthStatusEnum, PortMap};
use diogenes_proto::{Health, HostFacts, PublishedPort, Timestamp};

use crate::grants::Grants;

/// Labels with this prefix are kept, all others are the owner's business.
const LABEL_PREFIX: &str = "io.diogenes.";
/// Most published ports kept of one container: a range of thousands would only crowd out the rest.
const MAX_PUBLISHED: usize = 64;
/// The exit code of a main process that was ended by SIGKILL: 128 and the signal's number.
const KILLED: i64 = 137;

/// Where a container stands in its life. The words are Docker's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Made and never started.
    Created,
    /// Its processes run.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It ended and the Engine will start it again.
    Restarting,
    /// Being deleted.
    Removing,
    /// It ended.
    Exited,
    /// It could not be deleted as a whole.
    Dead,
    /// A word of a newer Engine.
    #[default]
    Other,
}

impl ContainerState {
    /// The state of a word; [`ContainerState::Other`] for a word not known here.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            // A container on its way down still has its processes.
            "running" | "stopping" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Other,
        }
    }

    /// Docker's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Other => "unknown",
        }
    }

    /// Whether there are processes to be with.
    #[must_use]
    pub fn has_processes(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    /// Whether people would call it up: with processes, or about to have some again.
    #[must_use]
    pub fn is_up(self) -> bool {
        self.has_processes() || self == Self::Restarting
    }
}

impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A container in a list: enough to know whether to look closer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Full id, 64 hex digits.
    pub id: String,
    /// Docker's name, without the slash.
    pub name: String,
    /// The image's name.
    pub image: String,
    /// Where it stands.
    pub state: ContainerState,
}

impl Listing {
    /// Takes what matters from the wire; None without an id.
    pub(crate) fn from_wire(wire: ContainerSummary) -> Option<Self> {
        // Links of the legacy kind add names with a second slash; the container's own has one.
        let names = wire.names.unwrap_or_default();
        let own = names
            .iter()
            .find(|name| name.matches('/').count() == 1)
            .or(names.first());
        let id = wire.id?;
        let name = own.map_or_else(
            || short_id(&id).to_owned(),
            |name| name.trim_start_matches('/').to_owned(),
        );
        let state = wire
            .state
            .map(|state| ContainerState::from_word(state.as_ref()))
            .unwrap_or_default();
        Some(Self {
            id,
            name,
            image: wire.image.unwrap_or_default(),
            state,
        })
    }
}

/// Everything the host knows of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFacts {
    /// Full id, 64 hex digits.
    pub id: String,
    /// Docker's name, without the slash.
    pub name: String,
    /// The image's name as it was given at creation.
    pub image: String,
    /// Where it stands.
    pub state: ContainerState,
    /// Pid of its init in the Engine's pid namespace; None while it has no processes.
    pub init_pid: Option<u32>,
    /// When it was last started; None if it never was.
    pub started_at: Option<Timestamp>,
    /// When it last ended; None if it never did.
    pub finished_at: Option<Timestamp>,
    /// How often the Engine restarted it by its restart policy.
    pub restart_count: u64,
    /// Exit code of the last run; None while it runs or if it never ran.
    pub exit_code: Option<i64>,
    /// Whether the Engine saw the out-of-memory killer end the last run.
    pub oom_killed: bool,
    /// What the image's own HEALTHCHECK says; None where there is none.
    pub docker_health: Option<Health>,
    /// The labels that speak to us, `io.diogenes.*`.
    pub labels: BTreeMap<String, String>,
    /// Ports published on the host, at most 64.
    pub published: Vec<PublishedPort>,
    /// Whether it shares the host's or another container's pid namespace: `host`, `container:ID`; None for its own.
    pub pid_mode: Option<String>,
    /// How it is connected: `bridge`, `host`, `none`, `container:ID` or a network's name.
    pub network_mode: String,
    /// Memory limit in bytes; None where there is none.
    pub memory_limit_bytes: Option<u64>,
    /// What it was given beyond the default.
    pub grants: Grants,
    /// What started it: `runc`; empty where the Engine does not say.
    pub runtime: String,
    /// Whether its root file system is read-only.
    pub is_read_only: bool,
}

impl ContainerFacts {
    /// What a list entry alone tells, for a container that could not be inspected.
    #[must_use]
    pub fn from_listing(listing: Listing) -> Self {
        let Listing {
            id,
            name,
            image,
            state,
        } = listing;
        Self {
            id,
            name,
            image,
            state,
            ..Self::default()
        }
    }

    /// The first twelve digits of the id, as Docker shows it.
    #[must_use]
    pub fn short_id(&self) -> &str {
        short_id(&self.id)
    }

    /// Whether others may be in its pid namespace.
    #[must_use]
    pub fn shares_pids(&self) -> bool {
        self.pid_mode.as_deref().is_some_and(is_shared)
    }

    /// Whether others may be in its network namespace.
    #[must_use]
    pub fn shares_network(&self) -> bool {
        is_shared(&self.network_mode)
    }

    /// Whether its processes have another kernel than the host's, and are not the host's to see.
    #[must_use]
    pub fn is_sandboxed(&self) -> bool {
        is_sandbox(&self.runtime)
    }

    /// The same, in the words an agent understands.
    #[must_use]
    pub fn to_host_facts(&self) -> HostFacts {
        HostFacts {
            name: self.name.clone(),
            image: self.image.clone(),
            state: self.state.as_str().to_owned(),
            started_at: self.started_at,
            restart_count: self.restart_count,
            exit_code: self.exit_code,
            oom_killed: self.oom_killed,
            docker_health: self.docker_health,
            published: self.published.clone(),
            ..HostFacts::default()
        }
    }

    /// Takes what matters from the wire; None without an id or a state.
    pub(crate) fn from_wire(wire: ContainerInspectResponse) -> Option<Self> {
        let id = wire.id?;
        let state = wire.state?;
        let config = wire.config.unwrap_or_default();
        let host = wire.host_config.unwrap_or_default();
        let standing = state
            .status
            .map(|word| ContainerState::from_word(word.as_ref()))
            .unwrap_or_default();
        let started_at = state.started_at.as_deref().and_then(moment);
        let docker_health = state
            .health
            .and_then(|health| health.status)
            .and_then(|status| match status {
                HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
                HealthStatusEnum::STARTING => Some(Health::Starting),
                HealthStatusEnum::HEALTHY => Some(Health::Healthy),
                HealthStatusEnum::UNHEALTHY => Some(Health::Unhealthy),
            });
        let grants = Grants::from_wire(&host, &wire.mounts.unwrap_or_default());
        let ports = wire
            .network_settings
            .and_then(|network| network.ports)
            .unwrap_or_default();
        let exit_code = state
            .exit_code
            .filter(|_| !standing.has_processes() && started_at.is_some());
        Some(Self {
            name: wire.name.map_or_else(
                || short_id(&id).to_owned(),
                |name| name.trim_start_matches('/').to_owned(),
            ),
            id,
            image: config.image.or(wire.image).unwrap_or_default(),
            state: standing,
            init_pid: state
                .pid
                .and_then(|pid| u32::try_from(pid).ok())
                .filter(|pid| *pid > 0),
            started_at,
            finished_at: state.finished_at.as_deref().and_then(moment),
            restart_count: wire
                .restart_count
                .and_then(|count| u64::try_from(count).ok())
                .unwrap_or(0),
            exit_code,
            // The Engine notes the end of any process in the container: a run was ended by that only where its main
            // process was killed.
            oom_killed: state.oom_killed.unwrap_or(false) && exit_code == Some(KILLED),
            docker_health,
            labels: config
                .labels
                .unwrap_or_default()
                .into_iter()
                .filter(|(key, _)| key.starts_with(LABEL_PREFIX))
                .collect(),
            published: published(ports),
            pid_mode: host.pid_mode.filter(|mode| !mode.is_empty()),
            network_mode: host.network_mode.unwrap_or_default(),
            memory_limit_bytes: host
                .memory
                .and_then(|limit| u64::try_from(limit).ok())
                .filter(|limit| *limit > 0),
            grants,
            runtime: host.runtime.unwrap_or_default(),
            is_read_only: host.readonly_rootfs.unwrap_or(false),
        })
    }
}

/// Whether a mode of a namespace means one that is not the container's alone.
fn is_shared(mode: &str) -> bool {
    mode == "host" || mode.starts_with("container:")
}

/// Whether containers of this runtime have another kernel than the host's.
#[must_use]
pub fn is_sandbox(runtime: &str) -> bool {
    ["runsc", "gvisor", "kata"]
        .iter()
        .any(|name| runtime.contains(name))
}

fn short_id(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A time of the Engine; its zero value, `0001-01-01T00:00:00Z`, lies before the epoch and means never.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    humantime::parse_rfc3339_weak(text)
        .ok()
        .map(Timestamp::from)
        .filter(|moment| moment.as_unix_ms() > 0)
}

/// `{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}],"443/tcp":null}` as a sorted list.
fn published(ports: PortMap) -> Vec<PublishedPort> {
    let mut published: Vec<PublishedPort> = ports
        .into_iter()
        .flat_map(|(port, bindings)| {
            bindings
                .unwrap_or_default()
                .into_iter()
                .map(move |binding| (port.clone(), binding))
        })
        .filter_map(|(port, binding)| {
            let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
            Some(PublishedPort {
                container_port: number.parse().ok()?,
                protocol: protocol.to_owned(),
                host_address: binding.host_ip.unwrap_or_default(),
                host_port: binding.host_port?.parse().ok()?,
            })
        })
        .collect();
    published.sort_by(|a, b| {
        (a.container_port, a.host_port, &a.host_address).cmp(&(
            b.container_port,
            b.host_port,
            &b.host_address,
        ))
    });
    published.truncate(MAX_PUBLISHED);
    published
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(json: &str) -> ContainerFacts {
        ContainerFacts::from_wire(serde_json::from_str(json).unwrap()).unwrap()
    }

    /// As Engine 20.10 (API 1.41) writes it, cut to what is read.
    #[test]
    fn a_running_container() {
        let facts = facts(
            r#"{"Id":"4f5e1c8b7a6d","Name":"/shop","RestartCount":2,"Image":"sha256:0",
            "State":{"Status":"running","Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,
                "Pid":4711,"ExitCode":0,"Error":"","StartedAt":"2026-01-31T08:00:00.123456789Z","FinishedAt":"0001-01-01T00:00:00Z",
                "Health":{"Status":"unhealthy","FailingStreak":3,"Log":[]}},
            "HostConfig":{"NetworkMode":"default","PidMode":"","Memory":67108864,"Runtime":"runc","ReadonlyRootfs":true},
            "Config":{"Image":"shop:1","Labels":{"io.diogenes.attach":"false","secret":"x"}},
            "NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}],"443/tcp":null}}}"#,
        );
        assert_eq!(facts.name, "shop");
        assert_eq!(facts.image, "shop:1");
        assert_eq!(facts.state, ContainerState::Running);
        assert_eq!(facts.init_pid, Some(4711));
        assert_eq!(
            facts.started_at.unwrap().to_string(),
            "2026-01-31T08:00:00.123Z"
        );
        assert_eq!((facts.finished_at, facts.exit_code), (None, None));
        assert!(facts.is_read_only && !facts.is_sandboxed());
        assert!(!facts.shares_pids() && !facts.shares_network());
        assert_eq!(facts.docker_health, Some(Health::Unhealthy));
        assert_eq!(
            facts.labels.into_iter().collect::<Vec<_>>(),
            [("io.diogenes.attach".into(), "false".into())]
        );
        assert_eq!(facts.memory_limit_bytes, Some(64 << 20));
        assert_eq!(facts.pid_mode, None);
        let port = PublishedPort {
            container_port: 80,
            protocol: "tcp".into(),
            host_address: "127.0.0.1".into(),
            host_port: 8080,
        };
        assert_eq!(facts.published, [port]);
    }

    #[test]
    fn a_container_killed_for_its_memory() {
        let facts = facts(
            r#"{"Id":"4f5e","Name":"/shop","State":{"Status":"exited","OOMKilled":true,"Pid":0,"ExitCode":137,
            "StartedAt":"2026-01-31T08:00:00Z","FinishedAt":"2026-01-31T09:00:00Z"}}"#,
        );
        assert_eq!(
            (facts.init_pid, facts.exit_code, facts.oom_killed),
            (None, Some(137), true)
        );
        assert_eq!(facts.to_host_facts().state, "exited");
        assert!(!facts.state.is_up());
    }

    #[test]
    fn a_child_killed_for_its_memory_is_not_the_end_of_the_run() {
        let stopped = facts(
            r#"{"Id":"4f5e","Name":"/shop","State":{"Status":"exited","OOMKilled":true,"Pid":0,"ExitCode":0,
            "StartedAt":"2026-01-31T08:00:00Z","FinishedAt":"2026-01-31T09:00:00Z"}}"#,
        );
        assert_eq!((stopped.exit_code, stopped.oom_killed), (Some(0), false));
        let running = facts(
            r#"{"Id":"4f5e","Name":"/shop","State":{"Status":"running","OOMKilled":true,"Pid":7,"ExitCode":0,
            "StartedAt":"2026-01-31T08:00:00Z","FinishedAt":"0001-01-01T00:00:00Z"}}"#,
        );
        assert!(!running.oom_killed);
    }

    #[test]
    fn a_container_that_never_ran_has_no_exit_code() {
        let facts = facts(
            r#"{"Id":"4f5e","State":{"Status":"created","Pid":0,"ExitCode":0,"StartedAt":"0001-01-01T00:00:00Z"}}"#,
        );
        assert_eq!(
            (facts.exit_code, facts.started_at, facts.name.as_str()),
            (None, None, "4f5e")
        );
    }

    #[test]
    fn a_container_in_anothers_namespaces() {
        let facts = facts(
            r#"{"Id":"4f5e","State":{"Status":"running"},"HostConfig":{"NetworkMode":"container:c0","PidMode":"host","Runtime":"io.containerd.runsc.v1"}}"#,
        );
        assert!(facts.shares_pids() && facts.shares_network() && facts.is_sandboxed());
    }

    #[test]
    fn the_name_in_a_list_is_the_containers_own() {
        let wire = serde_json::from_str(
            r#"{"Id":"c0","Names":["/web/db","/db"],"Image":"redis","State":"paused"}"#,
        )
        .unwrap();
        let listing = Listing::from_wire(wire).unwrap();
        assert_eq!(
            (listing.name.as_str(), listing.state),
            ("db", ContainerState::Paused)
        );
    }
}
