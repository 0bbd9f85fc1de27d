//! Files for a container's file system, as an archive.

use bollard::query_parameters::UploadToContainerOptions;
use hyper::body::Bytes;

use crate::{Docker, EngineError};

/// An archive with nothing in it: POSIX.1-2017, pax, ends every one with two blocks of zeros.
const EMPTY: &[u8] = &[0; 1024];

impl Docker {
    /// Unpacks an archive in the root directory of a container's file system, whether it runs or not. What is there
    /// already under a file's name is replaced, a symbolic link too, and never followed; only a directory stays, and
    /// is an error. Source: Docker Engine API, `PUT /containers/{id}/archive`.
    ///
    /// # Errors
    /// [`EngineError::Api`] also where the file system is read-only: then the Engine does not even look whether
    /// something else is mounted there.
    pub async fn upload(&self, id: &str, archive: Bytes) -> Result<(), EngineError> {
        match self.unpack(id, archive).await {
            // An Engine that refuses does so before it has read the archive, and may close the connection over it.
            // One that is short enough to be on its way by then is refused in words.
            Err(broken_off) if broken_off.is_absence() => {
                self.unpack(id, Bytes::from_static(EMPTY)).await?;
                Err(broken_off)
            }
            done => done,
        }
    }

    async fn unpack(&self, id: &str, archive: Bytes) -> Result<(), EngineError> {
        let options = UploadToContainerOptions {
            path: "/".into(),
            no_overwrite_dir_non_dir: Some("true".into()),
            ..UploadToContainerOptions::default()
        };
        let archive = bollard::body_full(archive);
        let client = self.client()?;
        self.about(id, client.upload_to_container(id, Some(options), archive))
            .await
    }
}
