//! The container engine behind a trait: what runs, what changes, and what the host knows of a container.
//!
//! This is the only crate that knows bollard, and the Engine's API. Its wire structs end here: callers see [`ContainerFacts`] and
//! [`Event`], every field of which has been looked at. An event is only a hint that a container changed;
//! whoever hears it inspects the container, so that a lost or doubled event does no harm.
//!
//! Images pass through as archives, see [`Images`]. A program is brought into a running container by
//! [`Docker::upload`], and run there as an [`Exec`].
//!
//! ```text
//! bollard (wire) ─► facts ─► ContainerFacts ─► Engine (trait) ─► supervisor
//! ```

mod docker;
mod endpoint;
mod error;
mod event;
mod exec;
mod facts;
mod frames;
mod grants;
mod images;
mod info;
mod log;
mod origin;
mod transport;
mod upload;

use diogenes_proto::{Timestamp, Untrusted};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

pub use docker::{Docker, LOOK_BACK};
pub use endpoint::{Endpoint, EndpointError};
pub use error::EngineError;
pub use event::{Change, Event};
pub use exec::{Exec, ExecInput, ExecOutput};
pub use facts::{ContainerFacts, ContainerState, Listing, is_sandbox};
pub use grants::Grants;
pub use images::{ArchiveStream, Bytes, Image, Images};
pub use info::EngineInfo;
pub use log::{LogLine, LogOptions, LogStream};
pub use origin::{Blueprint, Origin, PROJECT_LABEL};

/// What an Engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineVersion {
    /// Its version: `20.10.24`.
    pub version: String,
    /// The API version spoken with it: `1.41`.
    pub api_version: String,
}

/// A container engine. Every call has its own deadline, so none can hang its caller.
pub trait Engine: Send + Sync + 'static {
    /// Where it is, for people: `/var/run/docker.sock`.
    fn endpoint(&self) -> &Endpoint;

    /// Asks for its version, agreeing on the API version by the way.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn version(&self) -> BoxFuture<'_, Result<EngineVersion, EngineError>>;

    /// Asks how it is set up.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn info(&self) -> BoxFuture<'_, Result<EngineInfo, EngineError>>;

    /// Asks whether it still answers.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn ping(&self) -> BoxFuture<'_, Result<(), EngineError>>;

    /// All containers, in whatever state.
    ///
    /// # Errors
    /// See [`EngineError`]; a list that could not be had is never an empty one.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Listing>, EngineError>>;

    /// Everything known of one container.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is none of this id.
    fn inspect<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerFacts, EngineError>>;

    /// What happens to containers from `since` on (by the Engine's clock). The stream ends, mostly with an
    /// error before, when the Engine goes away.
    fn events(&self, since: Timestamp) -> BoxStream<'static, Result<Event, EngineError>>;

    /// What a container writes to stdout and stderr, each of them in its order. Without
    /// [`LogOptions::follow`] the stream ends with what there is, else when the container does. It is read no
    /// faster than its lines are taken, and ends at its first error: [`EngineError::NotFound`] where there is
    /// no such container, [`EngineError::Api`] also where its logging driver cannot be read.
    fn logs(
        &self,
        id: &str,
        options: LogOptions,
    ) -> BoxStream<'static, Result<LogLine, EngineError>>;

    /// The last lines a container wrote to stdout and stderr, oldest first, empty ones left out. Has a short
    /// deadline, for a person waits.
    ///
    /// # Errors
    /// [`EngineError::Api`] also where the container's logging driver cannot be read.
    fn log_tail<'a>(
        &'a self,
        id: &'a str,
        lines: u32,
    ) -> BoxFuture<'a, Result<Vec<Untrusted>, EngineError>>;
}
