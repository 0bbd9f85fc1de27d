//! A way to bring a companion into a container, as the attendant sees it. Tests bring in companions of their own.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::UnixStream;

use diogenes_linux::pidfd::PidFd;

use crate::attendants::attacher::{AttachError, Attacher, Target};

/// How a companion came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Via {
    /// The attacher entered the container.
    #[default]
    Attached,
    /// The Engine started it there.
    Exec,
    /// It is part of the image, and dialled in.
    Baked,
}

impl Via {
    /// `attached`, `exec` or `baked`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Exec => "exec",
            Self::Baked => "baked",
        }
    }

    /// What was done with it, in words.
    pub(crate) fn past(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Exec => "brought in by exec",
            Self::Baked => "dialled in",
        }
    }

    /// Whether it stands in the container's cgroup, and still with it when the container is paused.
    pub(crate) fn freezes(self) -> bool {
        matches!(self, Self::Exec | Self::Baked)
    }
}

/// A companion that has just come in.
pub(crate) struct Companion {
    /// How.
    pub(crate) via: Via,
    /// Its session, before the hello.
    pub(crate) session: UnixStream,
    /// Its process.
    pub(crate) agent: Box<dyn Process>,
    /// The container's init.
    pub(crate) init: Box<dyn Process>,
}

/// A process that cannot be mistaken for another.
pub(crate) trait Process: Send + Sync {
    /// Returns when it has ended.
    fn exited(&self) -> BoxFuture<'_, ()>;
    /// Ends it at once.
    fn kill(&self);
}

impl Process for PidFd {
    fn exited(&self) -> BoxFuture<'_, ()> {
        PidFd::exited(self).boxed()
    }

    fn kill(&self) {
        PidFd::kill(self);
    }
}

/// A way in.
pub(crate) trait WayIn: Send + Sync + 'static {
    /// Brings a companion in.
    ///
    /// # Errors
    /// See [`AttachError`].
    fn enter(&self, target: Target) -> BoxFuture<'_, Result<Companion, AttachError>>;

    /// How companions come in, as far as is known before the next one has.
    fn via(&self) -> Via {
        Via::Attached
    }
}

impl WayIn for Attacher {
    fn enter(&self, target: Target) -> BoxFuture<'_, Result<Companion, AttachError>> {
        async move {
            let attached = self.attach(&target).await?;
            Ok(Companion {
                via: Via::Attached,
                session: attached.session,
                agent: Box::new(attached.agent),
                init: Box::new(attached.init),
            })
        }
        .boxed()
    }
}

/// What stands in where no way in could be opened: every attempt says why.
pub(crate) struct NoWayIn(pub(crate) String);

impl WayIn for NoWayIn {
    fn enter(&self, _: Target) -> BoxFuture<'_, Result<Companion, AttachError>> {
        std::future::ready(Err(AttachError::NotPermitted(self.0.clone()))).boxed()
    }
}
