//! Asking the installed packages for versions, without ever waiting for a file.
//!
//! One program at a time is looked up, on a thread: files of the container may hang for ever, on a dead network volume.
//! A lookup that hangs is the last one: versions are good to know, and not worth more threads than that.

use std::path::Path;

use diogenes_discovery::{packages, reader};
use diogenes_proto::{Origin, Untrusted};
use tokio::sync::oneshot;

/// The lookup under way, if any.
#[derive(Default)]
pub(crate) struct Lookup(Option<(String, oneshot::Receiver<Option<Untrusted>>)>);

impl Lookup {
    /// Whether another one may begin.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Looks up where a service's program comes from.
    pub(crate) fn begin(&mut self, key: String, origin: Origin) {
        let (sender, found) = oneshot::channel();
        let work = move || {
            let _ = sender.send(packages::version(Path::new("/"), &origin));
        };
        // Without a thread there is no version, as where no package tells.
        if reader::thread("packages").spawn(work).is_ok() {
            self.0 = Some((key, found));
        }
    }

    /// The service's key, and what was found; never, where nothing is under way.
    pub(crate) async fn found(&mut self) -> (String, Option<Untrusted>) {
        let Some((_, found)) = &mut self.0 else {
            return std::future::pending().await;
        };
        let version = found.await.ok().flatten();
        let key = self.0.take().map(|(key, _)| key).unwrap_or_default();
        (key, version)
    }
}
