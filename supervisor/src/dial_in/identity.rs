//! Which container a caller is in: what the kernel says of it, held against the init that the Engine names.
//!
//! The caller's own names for itself are not asked for. The names in its cgroup's path are hints, and say which
//! containers to look at; it belongs to the one whose init it shares a cgroup with
//! ([`Standing::is_inside`]). Both processes are held by handles that were opened before their files in `/proc` were
//! read, and must be alive after that: neither pid can have been another's in between.

use std::time::Duration;

use diogenes_discovery::identity::Standing;
use diogenes_linux::entrance::Caller;
use diogenes_linux::pidfd::PidFd;
use diogenes_proto::{ErrorCode, WireError};
use tokio::time::{Instant, timeout_at};

use crate::attendants::attacher::{Target, open_init};
use crate::audit::Who;
use crate::registry::Registry;

/// How long the Engine's word of a container is awaited whose companion was faster.
const ENGINE_DEADLINE: Duration = Duration::from_secs(2);

/// The container of a caller.
pub(crate) struct Identified {
    /// The container's full id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// The container's init.
    pub(crate) init: PidFd,
}

impl Identified {
    /// It, as one who is refused something.
    pub(crate) fn who(&self) -> Who {
        Who::Container {
            id: self.id.clone(),
            name: self.name.clone(),
        }
    }
}

/// Why it is not known which container a caller is in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stranger {
    /// It has ended.
    #[error("its process has ended")]
    Gone,
    /// It is in no container at all.
    #[error(
        "it is in no container; on the host, companions are asked with `diogenes ask` or by their sockets"
    )]
    NoContainer,
    /// No container it could be in is known to run.
    #[error(
        "no running container that the engine knows has its cgroup ({0}); one that has just started is known in a moment"
    )]
    Unknown(String),
    /// It is in a container that is within another's cgroup.
    #[error(
        "its cgroup is within two containers', {0} and {1}; start one of them without --cgroup-parent"
    )]
    Ambiguous(String, String),
}

impl Stranger {
    /// As the peer is told.
    pub(crate) fn to_wire(&self) -> WireError {
        let code = match self {
            Self::Unknown(_) => ErrorCode::Busy,
            Self::Gone | Self::NoContainer | Self::Ambiguous(..) => ErrorCode::Forbidden,
        };
        WireError::new(code, format!("you are not known: {self}"))
    }
}

/// The same as [`identify`], with some patience for what the Engine has not told yet: a companion that begins with its
/// container is faster.
///
/// # Errors
/// See [`Stranger`].
pub(crate) async fn identify_in_time(
    caller: &Caller,
    registry: &Registry,
) -> Result<Identified, Stranger> {
    let mut changes = registry.subscribe();
    let deadline = Instant::now() + ENGINE_DEADLINE;
    loop {
        let identified = identify(caller, registry);
        let may_wait = matches!(identified, Err(Stranger::Unknown(_)));
        if !may_wait || !matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
            return identified;
        }
    }
}

/// Finds out which container a caller is in.
///
/// # Errors
/// See [`Stranger`].
pub(crate) fn identify(caller: &Caller, registry: &Registry) -> Result<Identified, Stranger> {
    let standing = standing(caller.pid).ok_or(Stranger::Gone)?;
    let named = standing.named();
    let mut found: Option<(String, String, PidFd)> = None;
    for id in &named {
        let Some((name, init)) = init_of(id, registry) else {
            continue;
        };
        if !standing.is_inside(id, &init.1) || init.0.has_ended() {
            continue;
        }
        if let Some((_, other, _)) = found {
            return Err(Stranger::Ambiguous(other, name));
        }
        found = Some((id.clone(), name, init.0));
    }
    if caller.process.has_ended() {
        return Err(Stranger::Gone);
    }
    match (found, named.first()) {
        (Some((id, name, init)), _) => Ok(Identified { id, name, init }),
        (None, None) => Err(Stranger::NoContainer),
        (None, Some(outermost)) => Err(Stranger::Unknown(outermost.clone())),
    }
}

/// The name and the init of a container that runs, and where that stands; None where there is none of this id.
fn init_of(id: &str, registry: &Registry) -> Option<(String, (PidFd, Standing))> {
    let facts = &registry.get(id)?.facts;
    let target = Target {
        container_id: id.to_owned(),
        init_pid: facts.init_pid.filter(|_| facts.state.has_processes())?,
        is_sandboxed: facts.is_sandboxed(),
    };
    let init = open_init(&target).ok()?;
    let standing = standing(target.init_pid)?;
    Some((facts.name.clone(), (init, standing)))
}

fn standing(pid: u32) -> Option<Standing> {
    let cgroup = std::fs::read(format!("/proc/{pid}/cgroup")).ok()?;
    Some(Standing::parse(&cgroup))
}
