//! Where containers come from: what they were made from and with, for those who would find or make them again.
//!
//! Asked for by a person, and rarely: nothing of it is kept by a supervisor. Of variables only the names are read.

use std::collections::HashMap;

use bollard::models::{ContainerInspectResponse, ContainerSummary, ImageInspect};
use bollard::query_parameters::ListContainersOptions;

use crate::docker::DEADLINE;
use crate::{Docker, EngineError, Listing};

/// What Compose labels its containers with (`docker compose`, and docker-compose since 1.25).
const COMPOSE_PROJECT: &str = "com.docker.compose.project";
const COMPOSE_DIR: &str = "com.docker.compose.project.working_dir";
/// The label that names a container's project, whatever else speaks for another.
pub const PROJECT_LABEL: &str = "io.diogenes.tekton.project";
/// The label that tells where the Dockerfile of its image is: an Engine does not remember it.
const DOCKERFILE_LABEL: &str = "io.diogenes.tekton.dockerfile";
/// The version of what an image packages (OCI image specification, annotations).
const VERSION_LABEL: &str = "org.opencontainers.image.version";
/// Most names, folders or ports that are kept of one container, and the longest of them.
const MAX_ITEMS: usize = 256;
const MAX_CHARS: usize = 4096;

/// Where a container belongs on its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Full id, 64 hex digits.
    pub id: String,
    /// Docker's name, without the slash.
    pub name: String,
    /// What its own label says its project is.
    pub project: Option<String>,
    /// The project of Compose that it is part of.
    pub compose_project: Option<String>,
    /// Where that project's files are.
    pub compose_dir: Option<String>,
    /// Folders and files of the host that are mounted into it.
    pub binds: Vec<String>,
}

/// What a container was made from and with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blueprint {
    /// Its image, as it was named when the container was made.
    pub image: String,
    /// The image's id: `sha256:` and the digest of its configuration, or of its manifest, as the Engine stores images.
    pub image_id: String,
    /// The image's names by digest, `NAME@sha256:…`; none for one that was never pulled or pushed.
    pub repo_digests: Vec<String>,
    /// Ports that image or command line declare, as `8080/tcp`.
    pub exposed_ports: Vec<String>,
    /// The names of its variables.
    pub environment: Vec<String>,
    /// The version that its labels tell.
    pub version: Option<String>,
    /// Where its labels say that its Dockerfile is.
    pub dockerfile: Option<String>,
}

impl Docker {
    /// Where all containers belong. Source: Docker Engine API, `GET /containers/json`.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn origins(&self) -> Result<Vec<Origin>, EngineError> {
        let options = ListContainersOptions {
            all: true,
            ..ListContainersOptions::default()
        };
        let client = self.client()?;
        let list = client.list_containers(Some(options));
        let list = self.within(DEADLINE, list).await?;
        Ok(list.into_iter().filter_map(Origin::from_wire).collect())
    }

    /// What a container was made from and with. Source: Docker Engine API, `GET /containers/{id}/json` and
    /// `GET /images/{name}/json`.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is none of this id.
    pub async fn blueprint(&self, id: &str) -> Result<Blueprint, EngineError> {
        let client = self.client()?;
        let container = self.about(id, client.inspect_container(id, None)).await?;
        let image_id = container.image.clone().unwrap_or_default();
        // An image can be deleted while containers of it live on: its id is known all the same.
        let image = match self.about(&image_id, client.inspect_image(&image_id)).await {
            Ok(image) => image,
            Err(EngineError::NotFound { .. }) => ImageInspect::default(),
            Err(error) => return Err(error),
        };
        Ok(Blueprint::from_wire(container, image))
    }
}

impl Origin {
    fn from_wire(wire: ContainerSummary) -> Option<Self> {
        let mut labels = wire.labels.clone().unwrap_or_default();
        let binds = wire.mounts.clone().unwrap_or_default().into_iter();
        let binds = binds.filter(|mount| mount.typ.as_deref() == Some("bind"));
        let binds = binds.filter_map(|mount| mount.source);
        let Listing { id, name, .. } = Listing::from_wire(wire)?;
        Some(Self {
            id,
            name,
            project: take(&mut labels, PROJECT_LABEL),
            compose_project: take(&mut labels, COMPOSE_PROJECT),
            compose_dir: take(&mut labels, COMPOSE_DIR),
            binds: bounded(binds.collect()),
        })
    }
}

impl Blueprint {
    fn from_wire(container: ContainerInspectResponse, image: ImageInspect) -> Self {
        let config = container.config.unwrap_or_default();
        let mut labels = config.labels.unwrap_or_default();
        let variables = config.env.unwrap_or_default();
        let names = variables.iter().map(|variable| {
            let name = variable.split_once('=').map(|(name, _)| name);
            name.unwrap_or(variable).to_owned()
        });
        Self {
            image: config.image.unwrap_or_default(),
            image_id: container.image.unwrap_or_default(),
            repo_digests: bounded(image.repo_digests.unwrap_or_default()),
            exposed_ports: bounded(config.exposed_ports.unwrap_or_default()),
            environment: bounded(names.collect()),
            version: take(&mut labels, VERSION_LABEL),
            dockerfile: take(&mut labels, DOCKERFILE_LABEL),
        }
    }
}

/// A label, where it has a value of a sound length.
fn take(labels: &mut HashMap<String, String>, key: &str) -> Option<String> {
    let value = labels.remove(key);
    value.filter(|value| !value.is_empty() && value.chars().count() <= MAX_CHARS)
}

/// Sorted, each once, not too many and none too long.
fn bounded(mut items: Vec<String>) -> Vec<String> {
    items.retain(|item| !item.is_empty() && item.chars().count() <= MAX_CHARS);
    items.sort_unstable();
    items.dedup();
    items.truncate(MAX_ITEMS);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_by_labels_and_binds() {
        let wire = serde_json::json!({
            "Id": "c1", "Names": ["/shop-web-1"], "Image": "shop", "State": "running",
            "Labels": {
                "com.docker.compose.project": "shop",
                "com.docker.compose.project.working_dir": "/srv/shop",
                "io.diogenes.tekton.project": "", "other": "x",
            },
            "Mounts": [
                {"Type": "bind", "Source": "/srv/shop/src", "Destination": "/app"},
                {"Type": "volume", "Name": "data", "Source": "/var/lib/docker/volumes/data/_data"},
            ],
        });
        let origin = Origin::from_wire(serde_json::from_value(wire).unwrap()).unwrap();
        assert_eq!((origin.name.as_str(), origin.project), ("shop-web-1", None));
        assert_eq!(origin.compose_project.as_deref(), Some("shop"));
        assert_eq!(origin.compose_dir.as_deref(), Some("/srv/shop"));
        assert_eq!(origin.binds, ["/srv/shop/src"]);
    }

    #[test]
    fn a_blueprint_has_the_names_of_variables_and_never_their_values() {
        let container = serde_json::json!({
            "Id": "c1", "Image": "sha256:ab",
            "Config": {
                "Image": "shop:1", "Env": ["PATH=/bin", "DB_PASSWORD=hunter2", "EMPTY"],
                "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
                "Labels": {"org.opencontainers.image.version": "2.1.0"},
            },
        });
        let image = serde_json::json!({"RepoDigests": ["shop@sha256:cd"]});
        let blueprint = Blueprint::from_wire(
            serde_json::from_value(container).unwrap(),
            serde_json::from_value(image).unwrap(),
        );
        assert_eq!(blueprint.environment, ["DB_PASSWORD", "EMPTY", "PATH"]);
        assert_eq!(blueprint.exposed_ports, ["53/udp", "8080/tcp"]);
        assert_eq!(blueprint.repo_digests, ["shop@sha256:cd"]);
        assert_eq!(blueprint.version.as_deref(), Some("2.1.0"));
        assert!(!format!("{blueprint:?}").contains("hunter2"));
    }
}
