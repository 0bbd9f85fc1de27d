//! A companion that dialled in: it is part of the image, and came by the mounted socket.
//!
//! It counts as the container's companion as long as none is attached. Whoever gave the container the socket wants it
//! to be seen, so it is received where label or configuration want none *attached*, and where none can be; sent away by
//! hand it is like every other. An attached companion sees more and takes its place. There is one visitor at a time: a
//! second is turned away, and the first stays, until its process, its session or the container's init has ended.

use std::sync::Arc;

use diogenes_proto::{ErrorCode, WireError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::attendants::briefing::brief;
use crate::attendants::way_in::{Process, Via};
use crate::registry::Registry;
use crate::registry::presence::Presence;
use crate::session::{Session, SessionHandle};

/// A companion after its hello, of a container that was found out and not told.
pub(crate) struct Visitor {
    /// Its session.
    pub(crate) session: Session,
    /// How to ask it.
    pub(crate) handle: SessionHandle,
    /// Its name and version.
    pub(crate) build: String,
    /// Its process. Not ours to end.
    pub(crate) process: Box<dyn Process>,
    /// The container's init, which it was told by.
    pub(crate) init: Box<dyn Process>,
}

impl std::fmt::Debug for Visitor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Visitor")
            .field("build", &self.build)
            .finish_non_exhaustive()
    }
}

/// Why a visitor is not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwelcome {
    /// A companion is attached, or about to leave.
    #[error("a companion is attached to this container; dial again later")]
    Attended,
    /// Another one has come before.
    #[error("another companion of this container has dialled in before; dial again later")]
    Second,
    /// A person wants none there.
    #[error(
        "the companion of this container was sent away by hand; `diogenes attach` lets it in again"
    )]
    SentAway,
    /// The container has no processes, as far as the Engine has said.
    #[error("the engine has not said yet that this container runs; dial again")]
    NotRunning,
}

impl Unwelcome {
    /// As the peer is told.
    pub(crate) fn to_wire(self) -> WireError {
        let code = match self {
            Self::SentAway => ErrorCode::Forbidden,
            Self::Attended | Self::Second | Self::NotRunning => ErrorCode::Busy,
        };
        WireError::new(code, self.to_string())
    }
}

/// The company of a visitor, until it has gone; whoever drops this closes its session. What it says goes into the
/// registry, which shows it as present from the beginning.
pub(crate) fn receive(
    registry: Arc<Registry>,
    id: String,
    visitor: Visitor,
) -> BoxFuture<'static, ()> {
    let Visitor {
        session,
        handle,
        build,
        process,
        init,
    } = visitor;
    let via = Via::Baked;
    registry.set_session(&id, Some(handle.clone()));
    brief(&registry, &id, handle);
    registry.set_presence(
        &id,
        Presence::Present {
            build: build.clone(),
            via,
        },
    );
    async move {
        let observe = |observation| registry.observe(&id, &build, via, observation);
        tokio::select! {
            biased;
            () = init.exited() => {}
            end = session.run(CancellationToken::new(), observe) => {
                tracing::debug!("the companion that dialled in from {id} has gone: {end}");
            }
            () = process.exited() => {}
        }
        registry.set_session(&id, None);
    }
    .boxed()
}
