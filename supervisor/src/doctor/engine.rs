//! The Engine: whether it answers, how it is set up, and whether its containers can be entered from here.

use std::path::Path;
use std::time::Duration;

use diogenes_engine::{
    Docker, Endpoint, Engine, EngineError, EngineInfo, EngineVersion, is_sandbox,
};
use diogenes_proto::Timestamp;
use tokio::time::timeout;

use crate::attendants::attacher::{AttachError, Target, open_init};
use crate::attendants::choice::Choice;
use crate::doctor::check::Check;
use crate::doctor::{PATIENCE, without_hanging};

/// With so many containers looked at, one of them settles it.
const MAX_CONTAINERS_TRIED: usize = 4;

/// What was seen of the Engine.
#[derive(Clone, Debug)]
pub(super) struct EngineFacts {
    pub(super) endpoint: Endpoint,
    /// What the configuration says of the way in.
    pub(super) via: Choice,
    /// Its answer, or why there is none.
    pub(super) version: Result<EngineVersion, EngineError>,
    /// How it is set up, or why it does not tell.
    pub(super) info: Result<EngineInfo, EngineError>,
    /// How far its clock is ahead of ours; negative where it is behind, None where it does not tell.
    pub(super) ahead_ms: Option<i64>,
    pub(super) sight: Sight,
}

/// Whether the Engine's processes can be seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// This container's first process is the one that has this pid here.
    Proven {
        /// The container's name.
        container: String,
        /// The pid.
        pid: u32,
    },
    /// A container runs whose first process is not here, for this reason.
    Contradicted(String),
    /// No container runs; the Engine's own process has this pid here.
    EngineSeen(i32),
    /// No container runs; the Engine's socket belongs to a process that is not here.
    EngineNotSeen,
    /// Nothing tells: no container runs, and the Engine is not reached by a socket of this host; or it was too slow.
    Unknown,
}

impl EngineFacts {
    /// Asks the Engine, for at most twice [`PATIENCE`].
    pub(super) async fn look(docker: &Docker, via: Choice) -> Self {
        let endpoint = docker.endpoint().clone();
        let not_asked = |error: &EngineError| Self {
            endpoint: endpoint.clone(),
            via,
            version: Err(error.clone()),
            info: Err(error.clone()),
            ahead_ms: None,
            sight: Sight::Unknown,
        };
        if let Some(socket) = endpoint.socket().map(Path::to_owned)
            && without_hanging(move || socket.exists()).await.is_none()
        {
            // Not even connecting would end on a file system that hangs.
            return not_asked(&late(&endpoint));
        }
        let version = match within(&endpoint, docker.version()).await {
            Ok(version) => version,
            Err(error) => return not_asked(&error),
        };
        let asked_at = Timestamp::now();
        let info = async {
            let info = within(&endpoint, docker.info()).await;
            (info, Timestamp::now())
        };
        let sight = async { timeout(PATIENCE, look_for_containers(docker)).await };
        let ((info, answered_at), sight) = tokio::join!(info, sight);
        let time = info.as_ref().ok().and_then(|info| info.time);
        Self {
            via,
            version: Ok(version),
            ahead_ms: time.map(|time| ahead_ms(time, asked_at, answered_at)),
            info,
            sight: sight.unwrap_or(Sight::Unknown),
            endpoint,
        }
    }
}

/// An answer that does not come counts as the Engine's absence, as [`Docker`] itself has it after a longer wait.
async fn within<T>(
    endpoint: &Endpoint,
    question: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    timeout(PATIENCE, question)
        .await
        .map_err(|_| late(endpoint))?
}

fn late(endpoint: &Endpoint) -> EngineError {
    EngineError::Unreachable {
        endpoint: endpoint.clone(),
        reason: format!("no answer within {} s", PATIENCE.as_secs()),
    }
}

/// How far a clock is ahead that told its time somewhere between two moments of ours.
fn ahead_ms(told: Timestamp, asked: Timestamp, answered: Timestamp) -> i64 {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    // One of the two is zero: `since` never goes below it.
    ms(told.since(answered)) - ms(asked.since(told))
}

async fn look_for_containers(docker: &Docker) -> Sight {
    let Ok(containers) = docker.list().await else {
        return Sight::Unknown;
    };
    let running = containers
        .into_iter()
        .filter(|container| container.state.has_processes());
    let mut sight = None;
    for container in running.take(MAX_CONTAINERS_TRIED) {
        let Ok(facts) = docker.inspect(&container.id).await else {
            continue;
        };
        let Some(init_pid) = facts.init_pid else {
            continue;
        };
        let target = Target {
            container_id: facts.id.clone(),
            init_pid,
            is_sandboxed: facts.is_sandboxed(),
        };
        let reason = match open_init(&target) {
            Ok(_) => {
                return Sight::Proven {
                    container: facts.name,
                    pid: init_pid,
                };
            }
            Err(AttachError::Gone) => {
                // Not here, or ended since: then the Engine knows.
                let again = docker.inspect(&container.id).await;
                if again.is_ok_and(|again| again.init_pid != Some(init_pid)) {
                    continue;
                }
                format!(
                    "there is no process {init_pid} here, which is the first of {}",
                    facts.name
                )
            }
            Err(error) => error.to_string(),
        };
        sight = Some(Sight::Contradicted(reason));
    }
    match (sight, docker.endpoint().socket()) {
        (Some(sight), _) => sight,
        (None, Some(socket)) => look_for_engine(socket).await,
        (None, None) => Sight::Unknown,
    }
}

/// Who listens on the Engine's socket. Source: unix(7), `SO_PEERCRED`: pid 0 stands for one that is not in this pid
/// namespace.
async fn look_for_engine(socket: &Path) -> Sight {
    let Ok(stream) = tokio::net::UnixStream::connect(socket).await else {
        return Sight::Unknown;
    };
    match stream.peer_cred().ok().and_then(|peer| peer.pid()) {
        Some(0) => Sight::EngineNotSeen,
        Some(pid) => Sight::EngineSeen(pid),
        None => Sight::Unknown,
    }
}

/// The verdicts. Where a supervisor answers (`is_attended`), it is no matter whether this user may ask the Engine.
/// `may_attach` tells whether privileges and kernel are what attaching takes.
pub(super) fn judge(facts: &EngineFacts, is_attended: bool, may_attach: bool) -> Vec<Check> {
    let way_in = way_in(facts, may_attach);
    vec![answers(facts, is_attended), set_up(facts), way_in]
}

fn answers(facts: &EngineFacts, is_attended: bool) -> Check {
    const ID: &str = "engine";
    const TITLE: &str = "Engine";
    let error = match &facts.version {
        Ok(version) => {
            let EngineVersion {
                version,
                api_version,
            } = version;
            return Check::ok(
                ID,
                TITLE,
                format!("{version}, API {api_version}, at {}", facts.endpoint),
            );
        }
        Err(error) => error.to_string(),
    };
    match error.split_once(": ") {
        // It says what to do by itself.
        Some((what, advice))
            if matches!(facts.version, Err(EngineError::PermissionDenied { .. })) =>
        {
            let check = if is_attended {
                Check::warning
            } else {
                Check::failed
            };
            check(ID, TITLE, what.to_owned(), advice.to_owned())
        }
        _ if matches!(facts.version, Err(EngineError::Unreachable { .. })) => Check::failed(
            ID,
            TITLE,
            error,
            "start it (systemctl start docker), or name another with --engine or DOCKER_HOST",
        ),
        _ => Check::failed(
            ID,
            TITLE,
            format!(
                "{} does not answer as an Engine does: {error}",
                facts.endpoint
            ),
            "name the Engine with --engine or DOCKER_HOST",
        ),
    }
}

fn set_up(facts: &EngineFacts) -> Check {
    const ID: &str = "engine-setup";
    const TITLE: &str = "Engine's setup";
    let info = match &facts.info {
        Ok(info) => info,
        Err(_) if facts.version.is_err() => return not_known(ID, TITLE),
        Err(error) => {
            return Check::warning(
                ID,
                TITLE,
                format!("it does not tell: {error}"),
                "look yourself: docker info",
            );
        }
    };
    let or_unknown = |word: &str| {
        if word.is_empty() {
            "unknown".to_owned()
        } else {
            word.to_owned()
        }
    };
    let mut detail = format!(
        "storage {}, cgroup {} by {}, runtime {}",
        or_unknown(&info.storage_driver),
        info.cgroup_version
            .map_or_else(|| "version unknown".into(), |version| format!("v{version}")),
        or_unknown(&info.cgroup_driver),
        or_unknown(&info.default_runtime),
    );
    if info.remaps_users {
        detail += ", users remapped: companions stay beyond the reach of containers' root";
    }
    if is_sandbox(&info.default_runtime) {
        return Check::warning(
            ID,
            TITLE,
            detail,
            "a sandbox keeps its own processes from the host: its containers can be attended by exec alone, not attached to",
        );
    }
    if info.is_rootless {
        return Check::warning(
            ID,
            TITLE,
            format!("{detail}, rootless"),
            "a rootless Engine's containers too are attached to only by the host's root; exec takes no more than its socket",
        );
    }
    Check::ok(ID, TITLE, detail)
}

fn way_in(facts: &EngineFacts, may_attach: bool) -> Check {
    const ID: &str = "way-in";
    const TITLE: &str = "Way in";
    const NO_OTHER: &str = "run the supervisor on the Engine's own host, in its pid namespace (for a container: --pid=host), \
                            or let it take exec (--via auto)";
    const DEARER: &str = "nothing has to be done; a supervisor on the Engine's own host, as root and in its pid namespace, \
                          attaches, and then no companion needs anything of its container";
    if facts.version.is_err() {
        return not_known(ID, TITLE);
    }
    if let Some(reason) = facts.via.rules_attaching_out(&facts.endpoint) {
        return Check::ok(ID, TITLE, format!("exec: {reason}"));
    }
    let instead = |reason: &str| match facts.via {
        Choice::Attach => Check::failed(ID, TITLE, format!("none: {reason}"), NO_OTHER),
        Choice::Auto | Choice::Exec => Check::warning(ID, TITLE, format!("exec: {reason}"), DEARER),
    };
    let without_cgroups = facts
        .info
        .as_ref()
        .is_ok_and(|info| info.cgroup_driver == "none");
    match &facts.sight {
        Sight::EngineNotSeen => instead("the Engine's process is not in this pid namespace"),
        _ if !may_attach && facts.via == Choice::Auto => {
            instead("attaching takes what is missing below")
        }
        Sight::Proven { container, pid } => Check::ok(
            ID,
            TITLE,
            format!("attached: the first process of {container} is {pid} here"),
        ),
        _ if without_cgroups => {
            instead("without cgroups nothing proves which processes are a container's")
        }
        Sight::Contradicted(reason) => instead(reason),
        Sight::EngineSeen(pid) => Check::ok(
            ID,
            TITLE,
            format!(
                "attached: the Engine's socket is held by process {pid} here, and no container runs yet to prove more"
            ),
        ),
        Sight::Unknown => Check::warning(
            ID,
            TITLE,
            "nothing proves yet whether this is the Engine's host",
            format!("start a container and look again; if it is another host, {NO_OTHER}"),
        ),
    }
}

fn not_known(id: &'static str, title: &'static str) -> Check {
    Check::warning(
        id,
        title,
        "not known while the Engine does not answer",
        "mend that first",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{self, Failed, Ok as Fine, Warning};

    fn engine() -> EngineFacts {
        EngineFacts {
            endpoint: Endpoint::default(),
            via: Choice::Attach,
            version: Ok(EngineVersion {
                version: "20.10.24".into(),
                api_version: "1.41".into(),
            }),
            info: Ok(EngineInfo {
                storage_driver: "overlay2".into(),
                cgroup_driver: "systemd".into(),
                cgroup_version: Some(2),
                default_runtime: "runc".into(),
                ..EngineInfo::default()
            }),
            ahead_ms: Some(0),
            sight: Sight::EngineSeen(7),
        }
    }

    fn with_info(change: impl FnOnce(&mut EngineInfo)) -> EngineFacts {
        let mut facts = engine();
        change(facts.info.as_mut().unwrap());
        facts
    }

    fn statuses(facts: &EngineFacts) -> Vec<Status> {
        judge(facts, false, true)
            .iter()
            .map(|check| check.status)
            .collect()
    }

    #[test]
    fn an_engine_that_answers() {
        assert_eq!(statuses(&engine()), [Fine; 3]);
        let details: Vec<_> = judge(&engine(), false, true)
            .into_iter()
            .map(|check| check.detail)
            .collect();
        assert_eq!(details[0], "20.10.24, API 1.41, at /var/run/docker.sock");
        assert_eq!(
            details[1],
            "storage overlay2, cgroup v2 by systemd, runtime runc"
        );
        let silent = EngineFacts {
            info: Err(EngineError::Api {
                message: "no".into(),
            }),
            ..engine()
        };
        assert_eq!(statuses(&silent), [Fine, Warning, Fine]);
        let remapped = with_info(|info| info.remaps_users = true);
        assert_eq!(statuses(&remapped), [Fine; 3]);
    }

    #[test]
    fn an_engine_that_does_not() {
        let unreachable = EngineError::Unreachable {
            endpoint: Endpoint::default(),
            reason: "connection refused".into(),
        };
        let denied = EngineError::PermissionDenied {
            socket: "/var/run/docker.sock".into(),
            group: " (docker)".into(),
        };
        let strange = EngineError::Api {
            message: "404 page not found".into(),
        };
        for (error, attended, advice) in [
            (strange, Failed, "name the Engine"),
            (unreachable, Failed, "systemctl start docker"),
            (
                denied,
                Warning,
                "run as root, or add this user to the group of the socket (docker)",
            ),
        ] {
            let facts = EngineFacts {
                version: Err(error.clone()),
                info: Err(error),
                sight: Sight::Unknown,
                ..engine()
            };
            assert_eq!(statuses(&facts), [Failed, Warning, Warning]);
            let check = answers(&facts, false);
            assert!(check.advice.as_ref().unwrap().contains(advice), "{check:?}");
            assert_eq!(answers(&facts, true).status, attended);
        }
    }

    #[test]
    fn there_is_a_way_in_only_where_containers_can_be_seen() {
        let proven = Sight::Proven {
            container: "shop".into(),
            pid: 9,
        };
        for (sight, status) in [
            (proven.clone(), Fine),
            (Sight::EngineSeen(1), Fine),
            (Sight::EngineNotSeen, Failed),
            (
                Sight::Contradicted("process 9 is not the container's".into()),
                Failed,
            ),
            (Sight::Unknown, Warning),
        ] {
            let facts = EngineFacts { sight, ..engine() };
            assert_eq!(way_in(&facts, true).status, status, "{facts:?}");
            // Where there is no other, there is exec.
            let facts = EngineFacts {
                via: Choice::Auto,
                ..facts
            };
            let status = if status == Failed { Warning } else { status };
            assert_eq!(way_in(&facts, true).status, status, "{facts:?}");
            let check = way_in(&facts, false);
            assert!(check.detail.starts_with("exec: "), "{check:?}");
        }
        let rootless = with_info(|info| {
            info.is_rootless = true;
            info.cgroup_driver = "none".into();
        });
        assert_eq!(statuses(&rootless), [Fine, Warning, Failed]);
        let seen_all_the_same = EngineFacts {
            sight: proven,
            ..rootless
        };
        assert_eq!(way_in(&seen_all_the_same, true).status, Fine);
        let wanted = EngineFacts {
            via: Choice::Exec,
            ..seen_all_the_same
        };
        assert!(way_in(&wanted, true).detail.starts_with("exec: "));
        let sandbox = with_info(|info| info.default_runtime = "runsc".into());
        assert_eq!(set_up(&sandbox).status, Warning);
    }

    #[test]
    fn a_clock_is_ahead_or_behind_only_beyond_the_time_of_the_answer() {
        let at = Timestamp::from_unix_ms;
        for (told, expected) in [(900, -100), (1000, 0), (1030, 0), (1050, 0), (4050, 3000)] {
            assert_eq!(ahead_ms(at(told), at(1000), at(1050)), expected, "{told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_hangs_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let facts =
            EngineFacts::look(&Docker::new(Endpoint::Unix(socket.clone())), Choice::Auto).await;
        assert_eq!(statuses(&facts), [Failed, Warning, Warning]);
        assert!(
            answers(&facts, false)
                .detail
                .contains("no answer within 2 s")
        );
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(look_for_engine(&socket).await, Sight::EngineSeen(own));
    }
}
