//! Ergon, the registry of solutions: a container as something that can be made again.
//!
//! A solution's id is made from its content, so that the same one is one entry, however often and from wherever it is
//! published. What somebody decided is content: image, ports, names of variables. What was seen at a moment is metadata:
//! health, services, when. It is stored anew each time and never changes the id; nor does how the companion is reached,
//! which is this host's business.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::http::{Address, ExchangeError, client, exchange};

/// The path of its interface, where the address has none.
const INTERFACE: &str = "/api/ergon/registry";
/// Longest answer: an entry comes back whole.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// What Ergon calls a container among its kinds of solutions.
const KIND: &str = "container";

/// A container as a solution.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Its name, by which people search.
    pub name: String,
    /// Its version, of three numbers.
    pub version: String,
    /// Where it comes from. Says nothing of what it is, and so has no part in its id.
    pub source: Source,
    /// What it is.
    pub content: Content,
    /// What was seen of it.
    pub metadata: Map<String, Value>,
}

/// Where a solution comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The project of TektonCore.
    pub project_id: Option<String>,
    /// The sprint.
    pub sprint_id: Option<String>,
    /// An absolute path or an HTTP address: Ergon's own schema takes nothing else.
    pub location: String,
}

/// What a container is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Content {
    /// Its image, by name.
    pub image: String,
    /// The same, by its content.
    pub image_id: String,
    /// The image's names by digest, under which it can be pulled; none where it was built here.
    pub image_digests: Vec<String>,
    /// How to make it.
    pub docker_config: DockerConfig,
}

/// How a container is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DockerConfig {
    /// Where its Dockerfile is; None where nobody says.
    pub dockerfile_path: Option<String>,
    /// The image it is made from.
    pub base_image: String,
    /// Ports it listens on, as `8080/tcp`.
    pub exposed_ports: Vec<String>,
    /// The names of its variables, never their values.
    pub environment: Vec<String>,
    /// Arguments of its build; an Engine remembers none.
    pub build_args: BTreeMap<String, String>,
    /// Its companion.
    pub container_ci: ContainerCi,
}

/// A container's companion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContainerCi {
    /// Whether it has one.
    pub enabled: bool,
    /// Where on its host it is spoken to.
    pub socket: String,
    /// What it can be asked for.
    pub capabilities: Vec<String>,
}

impl Solution {
    /// Its id: `container-` and the SHA-256 of type, name, version and content, as JSON with sorted keys and without
    /// blanks. Of the content all counts but `docker_config.container_ci`.
    #[must_use]
    pub fn id(&self) -> String {
        let mut content = serde_json::json!(self.content);
        if let Some(config) = content["docker_config"].as_object_mut() {
            config.remove("container_ci");
        }
        let identity = serde_json::json!({
            "content": content,
            "name": self.name,
            "type": KIND,
            "version": self.version,
        });
        let mut text = String::new();
        write_canonical(&identity, &mut text);
        let mut id = format!("{KIND}-");
        for byte in Sha256::digest(text) {
            // Writing to a String cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        id
    }

    /// The body of `POST /store`.
    #[must_use]
    pub fn entry(&self) -> Value {
        serde_json::json!({
            "id": self.id(),
            "type": KIND,
            "version": self.version,
            "name": self.name,
            "source": self.source,
            "lineage": [],
            "content": self.content,
            "metadata": self.metadata,
        })
    }
}

/// Sorted by our own hand: whether serde_json's maps are sorted is up to what else is built beside us.
fn write_canonical(value: &Value, text: &mut String) {
    let separated = |first: &mut bool, text: &mut String| {
        if !std::mem::take(first) {
            text.push(',');
        }
    };
    let mut first = true;
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in entries {
                separated(&mut first, text);
                *text += &Value::from(key.as_str()).to_string();
                text.push(':');
                write_canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                separated(&mut first, text);
                write_canonical(item, text);
            }
            text.push(']');
        }
        plain => *text += &plain.to_string(),
    }
}

/// What became of a solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The id that Ergon has it by.
    pub id: String,
    /// Whether Ergon did not have it before.
    pub is_new: bool,
}

/// A client of one Ergon.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
}

#[derive(Deserialize)]
struct StoreAnswer {
    success: bool,
    id: String,
}

impl Client {
    /// A client of the Ergon at `address`. Nothing is sent yet.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(address: Address) -> Result<Self, ExchangeError> {
        Ok(Self {
            http: client(1)?,
            address: address.with_interface(INTERFACE),
        })
    }

    /// `GET /{id}`: an entry; None where there is none of this id.
    ///
    /// # Errors
    /// Where the exchange fails.
    pub async fn get(&self, id: &str) -> Result<Option<Map<String, Value>>, ExchangeError> {
        let request = self.http.request(Method::GET, self.address.page(&[id]));
        match exchange(request, MAX_BYTES).await {
            Err(ExchangeError::Status { status: 404, .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Whether a registry answers there: `GET /types`.
    ///
    /// # Errors
    /// Where the exchange fails.
    pub async fn kinds(&self) -> Result<Map<String, Value>, ExchangeError> {
        let page = self.address.page(&["types"]);
        exchange(self.http.request(Method::GET, page), MAX_BYTES).await
    }

    /// Stores a solution, or what was seen of it since, where Ergon has it already.
    ///
    /// Ergon replaces the whole entry, and with it when it was made and whether it was found to meet its standards:
    /// both are given back to it.
    ///
    /// # Errors
    /// Where an exchange fails.
    pub async fn store(&self, solution: &Solution) -> Result<Stored, ExchangeError> {
        let id = solution.id();
        let before = self.get(&id).await?;
        let is_new = before.is_none();
        let mut entry = solution.entry();
        for key in ["created", "meets_standards"] {
            if let Some(value) = before.as_ref().and_then(|before| before.get(key)) {
                entry[key] = value.clone();
            }
        }
        let page = self.address.page(&["store"]);
        let request = self.http.request(Method::POST, page).json(&entry);
        let answer: StoreAnswer = exchange(request, MAX_BYTES).await?;
        if !answer.success || answer.id != id {
            return Err(ExchangeError::Garbage("a store of something else".into()));
        }
        Ok(Stored { id, is_new })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solution() -> Solution {
        Solution {
            name: "shop".into(),
            version: "1.0.0".into(),
            source: Source {
                project_id: None,
                sprint_id: None,
                location: "/srv/shop".into(),
            },
            content: Content {
                image: "shop:1".into(),
                image_id: "sha256:ab".into(),
                image_digests: Vec::new(),
                docker_config: DockerConfig {
                    base_image: "shop:1".into(),
                    exposed_ports: vec!["8080/tcp".into()],
                    environment: vec!["PATH".into()],
                    ..DockerConfig::default()
                },
            },
            metadata: Map::new(),
        }
    }

    #[test]
    fn the_id_is_that_of_the_content_and_of_nothing_else() {
        let one = solution();
        // Written down, so that it stays what it is: ids are kept by others.
        assert_eq!(
            one.id(),
            "container-3929fc413d9279b900b9743331d9cb78260d341504b54e21e59b10096d752f31"
        );
        let mut same = one.clone();
        same.metadata.insert("health".into(), "unhealthy".into());
        same.source.project_id = Some("p1".into());
        same.content.docker_config.container_ci.enabled = true;
        assert_eq!(same.id(), one.id());
        let changes: [fn(&mut Solution); 4] = [
            |it| it.name = "other".into(),
            |it| it.version = "1.0.1".into(),
            |it| it.content.image_id = "sha256:cd".into(),
            |it| it.content.docker_config.environment.push("DEBUG".into()),
        ];
        for change in changes {
            let mut other = one.clone();
            change(&mut other);
            assert_ne!(other.id(), one.id());
        }
    }

    #[test]
    fn canonical_json_has_sorted_keys_and_no_blanks() {
        let value: Value =
            serde_json::from_str(r#"{"b":[1, {"d":null,"c":"\n"}],"a":{}, "é":[]}"#).unwrap();
        let mut text = String::new();
        write_canonical(&value, &mut text);
        assert_eq!(text, r#"{"a":{},"b":[1,{"c":"\n","d":null}],"é":[]}"#);
    }

    #[test]
    fn an_entry_has_the_names_that_ergon_knows() {
        let entry = solution().entry();
        assert_eq!(entry["type"], "container");
        let config = entry["content"]["docker_config"].as_object().unwrap();
        for key in [
            "dockerfile_path",
            "base_image",
            "exposed_ports",
            "environment",
            "build_args",
            "container_ci",
        ] {
            assert!(config.contains_key(key), "{key}");
        }
    }
}
