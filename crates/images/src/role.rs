//! What gave a container its role, as its companion reads it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Digest;

/// Where the companion of a baked container reads it.
pub const ROLE_PATH: &str = "/etc/diogenes/container.json";

/// The label of an image that names its role in a word: `db`, `cache`.
const ROLE_LABEL: &str = "io.diogenes.role";

/// Where the role comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleSource {
    /// The image's own labels.
    Labels,
    /// A manifest, by its digest.
    Manifest(Digest),
}

/// The content of the file at [`ROLE_PATH`]. Its form is versioned: images live long.
#[derive(Serialize)]
struct Role<'a> {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_digest: Option<String>,
    /// What [`ROLE_LABEL`] says; null where there is no such label.
    role: Option<&'a str>,
}

impl RoleSource {
    /// The digest of what gave the role to an image with these labels, its own before it was baked: of the manifest,
    /// or of the labels as JSON with sorted keys and no blanks.
    pub(crate) fn digest(self, labels: &BTreeMap<String, String>) -> Digest {
        match self {
            Self::Labels => Digest::of(&to_json(labels)),
            Self::Manifest(digest) => digest,
        }
    }

    /// The text of the file.
    pub(crate) fn file(self, labels: &BTreeMap<String, String>) -> Vec<u8> {
        let digest = Some(self.digest(labels).to_string());
        let (labels_digest, manifest_digest) = match self {
            Self::Labels => (digest, None),
            Self::Manifest(_) => (None, digest),
        };
        let mut text = to_json(&Role {
            version: 1,
            labels_digest,
            manifest_digest,
            role: labels.get(ROLE_LABEL).map(String::as_str),
        });
        text.push(b'\n');
        text
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    // Texts alone: nothing in them that JSON cannot say.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_gave_the_role() {
        let labels = BTreeMap::from([("io.diogenes.role".to_owned(), "cache".to_owned())]);
        let digest = Digest::of(br#"{"io.diogenes.role":"cache"}"#);
        assert_eq!(
            String::from_utf8(RoleSource::Labels.file(&labels)).unwrap(),
            format!("{{\"version\":1,\"labels_digest\":\"{digest}\",\"role\":\"cache\"}}\n")
        );
        let manifest = Digest::of(b"manifest");
        assert_eq!(
            String::from_utf8(RoleSource::Manifest(manifest).file(&BTreeMap::new())).unwrap(),
            format!("{{\"version\":1,\"manifest_digest\":\"{manifest}\",\"role\":null}}\n")
        );
    }
}
