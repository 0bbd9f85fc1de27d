//! Looking at the files of programs and packages, without ever waiting for one.
//!
//! One program at a time is looked up, on a thread: files of the container may hang for ever, on a dead network volume.
//! A lookup that hangs is the last one: what it tells is good to know, and not worth more threads than that.

use std::path::Path;

use diogenes_discovery::{packages, reader, writable};
use diogenes_proto::{Background, Origin};
use tokio::sync::oneshot;

/// The lookup under way, if any.
#[derive(Default)]
pub(crate) struct Lookup(Option<(String, oneshot::Receiver<Background>)>);

impl Lookup {
    /// Whether another one may begin.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Looks up a service's program.
    pub(crate) fn begin(&mut self, key: String, origin: Origin) {
        let (sender, found) = oneshot::channel();
        let work = move || {
            let root = Path::new("/");
            let version = || packages::version(root, &origin);
            let _ = sender.send(Background {
                version: origin.wants_version.then(version).flatten(),
                writable: writable(root, &origin),
            });
        };
        // Without a thread nothing is told, as where no file tells.
        if reader::spawn("lookup", work).is_ok() {
            self.0 = Some((key, found));
        }
    }

    /// The service's key, and what was found; never, where nothing is under way.
    pub(crate) async fn found(&mut self) -> (String, Background) {
        let Some((_, found)) = &mut self.0 else {
            return std::future::pending().await;
        };
        let background = found.await.unwrap_or_default();
        let key = self.0.take().map(|(key, _)| key).unwrap_or_default();
        (key, background)
    }
}
