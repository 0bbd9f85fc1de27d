//! The Engine's images: which there are, one as an archive, and an archive as one.
//!
//! Archives are as large as images and go through in pieces, read no faster than they are written: bollard would do
//! so too, but ends a question after a fixed time, and an Engine may be busy with a large image for minutes. So what
//! is bounded here is how long it may stay silent.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::query_parameters::ListImagesOptions;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
pub use hyper::body::Bytes;
use serde::Deserialize;
use tokio::time::timeout;

use crate::docker::DEADLINE;
use crate::{Docker, EngineError, transport};

/// How long an Engine may be silent over an archive. It writes a whole image to its own disk before the first byte of
/// an export, and unpacks all layers before the last word of an import: 20.10 took about a second for 330 MB.
const SILENCE: Duration = Duration::from_secs(300);
/// Most bytes read of what an Engine tells of an import, which is a line or two.
const TOLD_BYTES: usize = 64 * 1024;

/// An archive of images in pieces, up to its end or first error.
pub type ArchiveStream = BoxStream<'static, io::Result<Bytes>>;

/// An image, as a list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// Its names with their tags (`debian:12`) or digests (`debian@sha256:…`); none for one that lost its name.
    pub names: Vec<String>,
}

/// The images of an Engine.
pub trait Images: Send + Sync {
    /// All images that somebody may start, in no order. Source: Docker Engine API, `GET /images/json`.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn images(&self) -> BoxFuture<'_, Result<Vec<Image>, EngineError>>;

    /// One image as an archive, by its [`Image::id`]: a name could stand for many. The stream ends at its first error.
    /// Source: Docker Engine API, `GET /images/{name}/get`.
    fn export_image(&self, id: &str) -> BoxStream<'static, Result<Bytes, EngineError>>;

    /// Takes the images of an archive in, with their names, which others may have had until now.
    /// Source: Docker Engine API, `POST /images/load`.
    ///
    /// # Errors
    /// See [`EngineError`]; [`EngineError::Api`] also where the Engine finds fault with the archive.
    fn import_image(&self, archive: ArchiveStream) -> BoxFuture<'_, Result<(), EngineError>>;
}

impl Images for Docker {
    fn images(&self) -> BoxFuture<'_, Result<Vec<Image>, EngineError>> {
        async {
            let client = self.client()?;
            // What nobody named and others are built on is left out.
            let options = ListImagesOptions {
                all: false,
                filters: None::<HashMap<_, _>>,
                ..ListImagesOptions::default()
            };
            let list = self
                .within(DEADLINE, client.list_images(Some(options)))
                .await?;
            let image = |image: bollard::models::ImageSummary| Image {
                id: image.id,
                names: [image.repo_tags, image.repo_digests]
                    .concat()
                    .into_iter()
                    // Older Engines write `<none>:<none>` for none.
                    .filter(|name| !name.starts_with("<none>"))
                    .collect(),
            };
            Ok(list.into_iter().map(image).collect())
        }
        .boxed()
    }

    fn export_image(&self, id: &str) -> BoxStream<'static, Result<Bytes, EngineError>> {
        let (docker, id) = (self.clone(), id.to_owned());
        let opened = async move {
            // It goes into the request's address as it is.
            let digits = id.strip_prefix("sha256:").unwrap_or(&id);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let message = format!("no image has the id {id:?}");
                return Err(EngineError::Api { message });
            }
            let target = format!("/images/{id}/get");
            let answer = match timeout(SILENCE, transport::get(&docker.endpoint, &target)).await {
                Ok(answer) => answer.map_err(|error| docker.explain_cause(&error))?,
                Err(_) => return Err(docker.late(SILENCE)),
            };
            let pieces = Pieces { docker, answer };
            pieces.accepted().await
        };
        let pieces = |pieces| stream::try_unfold(pieces, Pieces::next);
        stream::once(opened).map_ok(pieces).try_flatten().boxed()
    }

    fn import_image(&self, archive: ArchiveStream) -> BoxFuture<'_, Result<(), EngineError>> {
        async {
            let taken = Arc::new(AtomicU64::new(0));
            let archive = {
                let taken = taken.clone();
                let count = move |_: &_| {
                    taken.fetch_add(1, Ordering::Relaxed);
                };
                archive.inspect(count).boxed()
            };
            let asked = transport::post_archive(&self.endpoint, "/images/load?quiet=1", archive);
            tokio::pin!(asked);
            let answer = loop {
                let before = taken.load(Ordering::Relaxed);
                match timeout(SILENCE, &mut asked).await {
                    Ok(answer) => break answer.map_err(|error| self.explain_cause(&error))?,
                    Err(_) if taken.load(Ordering::Relaxed) == before => {
                        return Err(self.late(SILENCE));
                    }
                    Err(_) => {}
                }
            };
            let docker = self.clone();
            let mut pieces = Pieces { docker, answer }.accepted().await?;
            let mut told = Vec::new();
            while let Some((bytes, rest)) = pieces.next().await? {
                pieces = rest;
                told.extend_from_slice(&bytes);
                if told.len() > TOLD_BYTES {
                    let message = "more words about an import than belong to one".to_owned();
                    return Err(EngineError::Api { message });
                }
            }
            match fault(&told) {
                Some(message) => Err(EngineError::Api { message }),
                None => Ok(()),
            }
        }
        .boxed()
    }
}

/// The fault among the Engine's words about an import, which come one JSON object a line. Its status is 200 by then.
fn fault(told: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Told {
        error: Option<String>,
    }
    let mut lines = serde_json::Deserializer::from_slice(told).into_iter::<Told>();
    lines.find_map(|line| line.ok()?.error)
}

/// An answer that is being read.
struct Pieces {
    docker: Docker,
    answer: transport::Answer,
}

impl Pieces {
    /// Only where the Engine does as asked.
    async fn accepted(mut self) -> Result<Self, EngineError> {
        if self.answer.status.is_success() {
            return Ok(self);
        }
        Err(self.docker.refusal(&mut self.answer).await)
    }

    /// The next piece and what is left; None at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, EngineError> {
        match timeout(SILENCE, self.answer.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(bytes))) => Ok(Some((bytes, self))),
            Ok(Some(Err(error))) => Err(self.docker.explain_cause(&error)),
            Err(_) => Err(self.docker.late(SILENCE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_found_among_the_engines_words() {
        let told = b"{\"stream\":\"Loaded image: a:b\\n\"}\r\n";
        assert_eq!(fault(told), None);
        assert_eq!(fault(b""), None);
        let told = [
            &told[..],
            b"{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\r\n",
        ]
        .concat();
        assert_eq!(fault(&told).as_deref(), Some("no"));
    }

    #[tokio::test]
    async fn an_id_that_is_none_never_reaches_the_engine() {
        let docker = Docker::new("/nowhere/docker.sock".parse().unwrap());
        for id in ["", "sha256:", "../containers/json?x=", "debian:12"] {
            let mut pieces = docker.export_image(id);
            let told = pieces.next().await.unwrap().unwrap_err();
            assert!(matches!(told, EngineError::Api { .. }), "{told}");
            assert!(pieces.next().await.is_none());
        }
    }
}
