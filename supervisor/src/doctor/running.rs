//! The supervisor that runs already, if one does: whether it answers, and how it gets on.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::api::view::StatusView;
use crate::attendants::way_in::Via;
use crate::cli::client::Client;
use crate::cli::table::short_duration;
use crate::doctor::check::Check;
use crate::doctor::{PATIENCE, lock, without_hanging};
use crate::run_dir;
use crate::supervisor::Supervisor;

const ID: &str = "supervisor";
const TITLE: &str = "Supervisor";

/// What was found at the socket of the run directory.
#[derive(Clone, Debug)]
pub(super) enum Running {
    /// Neither a socket nor a lock.
    None,
    /// A socket that nobody listens on, and nobody has the lock: it was killed.
    Stale(PathBuf),
    /// A supervisor answers.
    Live {
        /// What it says.
        status: Box<StatusView>,
        /// Its pid here; None where it is not seen from here.
        pid: Option<u32>,
    },
    /// The socket is there and this user may not use it.
    Denied {
        /// Its path.
        socket: PathBuf,
        /// Who has the lock.
        pid: Option<u32>,
    },
    /// Somebody has the lock, or listens, but does not answer.
    Mute {
        /// Who has the lock.
        pid: Option<u32>,
        /// What the attempt met with.
        reason: String,
    },
}

impl Running {
    /// Asks whoever listens there, for at most [`PATIENCE`].
    pub(super) async fn look(run_dir: &Path) -> Self {
        let late = format!("no answer within {} s", PATIENCE.as_secs());
        let dir = run_dir.to_owned();
        let Some(pid) = without_hanging(move || lock::holder(&dir)).await else {
            // Not even connecting would end on a file system that hangs.
            return Self::Mute {
                pid: None,
                reason: late,
            };
        };
        let socket = run_dir::api_socket(run_dir);
        let ask = async {
            match UnixStream::connect(&socket).await {
                Err(error) => Err((Some(error.kind()), error.to_string())),
                Ok(_) => {
                    let client = Client::new(run_dir).map_err(|error| (None, error.to_string()))?;
                    let status = client.status().await;
                    status.map_err(|failure| (None, failure.message))
                }
            }
        };
        let answer = timeout(PATIENCE, ask).await.unwrap_or(Err((None, late)));
        match answer {
            Ok(status) => Self::Live {
                status: Box::new(status),
                pid,
            },
            Err((Some(ErrorKind::PermissionDenied), _)) => Self::Denied { socket, pid },
            Err((Some(_), reason)) if pid.is_some() => Self::Mute { pid, reason },
            Err((Some(ErrorKind::ConnectionRefused), _)) => Self::Stale(socket),
            Err((Some(_), _)) => Self::None,
            Err((None, reason)) => Self::Mute { pid, reason },
        }
    }

    /// The supervisor's pid here.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Live { pid, .. } | Self::Mute { pid, .. } | Self::Denied { pid, .. } => *pid,
            Self::None | Self::Stale(_) => None,
        }
    }

    /// Whether one answers.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// Whether somebody has the run directory.
    pub(super) fn has_run_dir(&self) -> bool {
        self.is_live() || self.pid().is_some()
    }

    /// Where it listens on TCP.
    pub(super) fn listen(&self) -> Option<SocketAddr> {
        match self {
            Self::Live { status, .. } => status.supervisor.listen.parse().ok(),
            _ => None,
        }
    }
}

/// The verdict.
pub(super) fn judge(facts: &Running) -> Check {
    match facts {
        Running::None => Check::ok(ID, TITLE, "none runs here yet; diogenes serve starts one"),
        Running::Stale(socket) => Check::warning(
            ID,
            TITLE,
            format!(
                "none runs, but one was killed: it left {}",
                socket.display()
            ),
            "nothing has to be done: diogenes serve replaces what is left",
        ),
        Running::Denied { socket, pid } => {
            let runs = pid.map_or_else(String::new, |pid| format!("one runs (pid {pid}), but "));
            Check::warning(
                ID,
                TITLE,
                format!("{runs}this user may not ask at {}", socket.display()),
                "run as root, or as a member of the socket's group",
            )
        }
        Running::Mute { pid, reason } => {
            let who = pid.map_or_else(|| "somebody".to_owned(), |pid| format!("process {pid}"));
            Check::failed(
                ID,
                TITLE,
                format!("{who} has taken the run directory but does not answer: {reason}"),
                "see what it does (is it stopped, or overloaded?), end it, or give this one another --run-dir",
            )
        }
        Running::Live { status, .. } => live(status),
    }
}

fn live(status: &StatusView) -> Check {
    let supervisor = &status.supervisor;
    let up = short_duration(std::time::Duration::from_secs(supervisor.uptime_s));
    let mut attended = 0;
    let mut by_exec = 0;
    let mut without = 0;
    let mut reasons: HashMap<&str, usize> = HashMap::new();
    for container in &status.containers {
        if container.via.is_some() {
            attended += 1;
            by_exec += usize::from(container.via.as_deref() == Some(Via::Exec.as_str()));
        } else if container.companion == "failed" || container.companion.starts_with("killed") {
            without += 1;
            // When it is tried again differs between containers.
            let reason = container.reason.split("; next try at").next();
            *reasons.entry(reason.unwrap_or_default()).or_default() += 1;
        }
    }
    let exec = match by_exec {
        0 => String::new(),
        count => format!(" ({count} by exec)"),
    };
    let detail = format!(
        "{} serves (pid {}, up {up}): containers attended: {attended}{exec}",
        supervisor.version, supervisor.pid
    );
    if let Some(error) = &supervisor.attach_error {
        return Check::failed(
            ID,
            TITLE,
            format!("{detail}, for no container can be entered: {error}"),
            "mend that and start it again",
        );
    }
    // The alphabet settles a tie, so that the answer stays the same.
    let most = reasons
        .into_iter()
        .max_by_key(|(reason, count)| (*count, std::cmp::Reverse(*reason)));
    if let Some((reason, count)) = most {
        return Check::warning(
            ID,
            TITLE,
            format!("{detail}, {without} could not be; most often ({count}): {reason}"),
            "diogenes status NAME tells more of each",
        );
    }
    if let Some(error) = &supervisor.engine.error {
        return Check::warning(
            ID,
            TITLE,
            format!("{detail}, but its Engine does not answer: {error}"),
            "mend the Engine; the supervisor finds it again by itself",
        );
    }
    if let Some(error) = &supervisor.config_error {
        return Check::warning(
            ID,
            TITLE,
            format!("{detail}, by its old configuration: {error}"),
            "mend the configuration and reload again (SIGHUP)",
        );
    }
    if supervisor.version != Supervisor::VERSION {
        return Check::warning(
            ID,
            TITLE,
            format!("{detail}; this program is {}", Supervisor::VERSION),
            "start the supervisor again to have the same",
        );
    }
    Check::ok(ID, TITLE, detail)
}

#[cfg(test)]
pub(super) mod tests {

    use super::*;
    use crate::doctor::check::Status::{Failed, Ok as Fine, Warning};
    use crate::run_dir::RunDir;

    /// A supervisor that answers, with containers that are so present.
    pub(in crate::doctor) fn status(containers: &[(Option<&str>, &str, &str)]) -> StatusView {
        let container = |(via, companion, reason): &(Option<&str>, &str, &str)| {
            let entry = crate::registry::Registry::default();
            entry.set_facts(crate::fakes::running("c1", "shop", 1));
            let mut view = crate::api::view::ContainerView::new(&entry.get("c1").unwrap());
            view.via = via.map(str::to_owned);
            view.companion = (*companion).to_owned();
            view.reason = (*reason).to_owned();
            view
        };
        StatusView {
            containers: containers.iter().map(container).collect(),
            supervisor: crate::fakes::supervisor()
                .view(&crate::registry::Registry::default().engine()),
        }
    }

    fn verdict(status: StatusView) -> Check {
        judge(&Running::Live {
            status: Box::new(status),
            pid: Some(7),
        })
    }

    #[test]
    fn each_supervisor_has_its_verdict() {
        let mut well = status(&[(Some("attached"), "attached", ""), (None, "label", "")]);
        well.supervisor.engine.error = None;
        let mut lame = well.clone();
        lame.supervisor.attach_error = Some("no agent".into());
        let mut alone = well.clone();
        alone.supervisor.engine.error = Some("refused".into());
        let mut stuck = well.clone();
        stuck.supervisor.config_error = Some("unknown key".into());
        let mut old = well.clone();
        old.supervisor.version = "0.0.1".into();
        for (status, expected, words) in [
            (well, Fine, "containers attended: 1"),
            (lame, Failed, "no container can be entered: no agent"),
            (alone, Warning, "its Engine does not answer: refused"),
            (stuck, Warning, "by its old configuration: unknown key"),
            (old, Warning, "this program is "),
        ] {
            let check = verdict(status);
            assert_eq!(check.status, expected, "{check:?}");
            assert!(check.detail.contains(words), "{check:?}");
        }
    }

    #[test]
    fn the_most_frequent_reason_is_told() {
        let check = verdict(status(&[
            (None, "failed", "could not attach: b; next try at 1"),
            (None, "failed", "could not attach: a; next try at 2"),
            (None, "failed", "could not attach: b; next try at 3"),
            (None, "killed 2x", "its companion ended"),
        ]));
        assert_eq!(check.status, Warning);
        assert!(
            check.detail.ends_with(
                "containers attended: 0, 4 could not be; most often (2): could not attach: b"
            ),
            "{check:?}"
        );
    }

    #[tokio::test]
    async fn what_is_found_at_the_socket_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let none = Running::look(dir.path()).await;
        assert_eq!(judge(&none).status, Fine);
        let socket = run_dir::api_socket(dir.path());
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let stale = Running::look(dir.path()).await;
        assert!(
            matches!(&stale, Running::Stale(path) if *path == socket),
            "{stale:?}"
        );
        assert_eq!(judge(&stale).status, Warning);
        let _taken = RunDir::take(dir.path()).unwrap();
        let mute = Running::look(dir.path()).await;
        assert_eq!(mute.pid(), Some(std::process::id()));
        assert_eq!(judge(&mute).status, Failed);
        std::fs::remove_file(&socket).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        tokio::time::pause();
        let hanging = judge(&Running::look(dir.path()).await);
        assert_eq!(hanging.status, Failed);
        assert!(
            hanging.detail.contains("no answer within 2 s"),
            "{hanging:?}"
        );
    }
}
