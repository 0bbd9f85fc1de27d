//! Bakes, and writes the result as an archive that any Engine loads.

use std::collections::HashSet;
use std::io::{self, Read, Seek, Write};

use serde_json::json;

use crate::agent::Agent;
use crate::archive::{Archive, MANIFEST, Span};
use crate::config::Config;
use crate::config::HealthCheck;
use crate::init::own_init;
use crate::layer::{DIRECTORIES, Layer};
use crate::role::RoleSource;
use crate::tar::{self, Entries, Kind};
use crate::{ArchiveError, BakeError, Digest};

/// The mode of what the archive holds; Engines do not look at it.
const MODE: u32 = 0o644;

/// A baked image, still to be written.
#[derive(Debug)]
pub struct Baked<R> {
    archive: Archive<R>,
    config: Vec<u8>,
    id: Digest,
    base: Digest,
    /// The layers of the base with their `DiffID`s.
    layers: Vec<(Digest, Span)>,
    added: Layer,
    is_changed: bool,
}

/// Bakes an agent into the one image of an archive. An image with another agent on top gets this one instead.
///
/// # Errors
/// [`BakeError`]: what cannot be baked, and what to do instead.
pub fn bake<R: Read + Seek>(
    archive: R,
    agent: &Agent,
    role: RoleSource,
    healthcheck: HealthCheck,
) -> Result<Baked<R>, BakeError> {
    let mut archive = Archive::open(archive)?;
    let given = Digest::of(&archive.config);
    let config = Config::read(&archive.config)?;
    let diff_ids = config.diff_ids()?;
    if diff_ids.len() != archive.layers.len() {
        return Err(ArchiveError::LayerCount {
            layers: archive.layers.len(),
            diff_ids: diff_ids.len(),
        }
        .into());
    }
    let base = config.base(given)?;
    let layers = base.config.diff_ids()?.len();
    let layers = diff_ids
        .into_iter()
        .zip(archive.layers.clone())
        .take(layers);
    let layers: Vec<_> = layers.collect();
    refuse(&base.config, agent)?;
    refuse_obstacles(&mut archive, &layers)?;
    let labels = base.config.own_labels()?;
    let added = Layer::of(agent, &role.file(&labels));
    let config = base
        .config
        .with_agent(
            agent,
            &added,
            base.digest,
            role.digest(&labels),
            healthcheck,
        )?
        .to_json();
    let id = Digest::of(&config);
    Ok(Baked {
        archive,
        config,
        id,
        base: base.digest,
        layers,
        added,
        is_changed: id != given,
    })
}

/// What an image is that cannot be baked, as its configuration has it.
fn refuse(config: &Config, agent: &Agent) -> Result<(), BakeError> {
    // Both have to be there by Docker's specification; an Engine takes `linux` where the first is not.
    let (system, architecture) = (config.text("os"), config.text("architecture"));
    if !matches!(system, "" | "linux") {
        return Err(BakeError::System(system.to_owned()));
    }
    if architecture != agent.architecture {
        return Err(BakeError::Architecture {
            image: architecture.to_owned(),
            agent: agent.architecture,
        });
    }
    match own_init(config.command()?) {
        Some(init) => Err(BakeError::OwnInit(init.to_owned())),
        None => Ok(()),
    }
}

/// Refuses where a directory of our layer would take the place of something else: of a link to where the files really
/// are, mostly. Layers that are compressed are not looked into; Engines that write such are rare, and such images too.
fn refuse_obstacles<R: Read + Seek>(
    archive: &mut Archive<R>,
    layers: &[(Digest, Span)],
) -> Result<(), BakeError> {
    let mut seen: [Option<Kind>; DIRECTORIES.len()] = Default::default();
    for (_, span) in layers {
        // Whether a layer is sound is for the Engine to say, which unpacks it.
        for entry in Entries::of(archive.window(*span))
            .map_err(ArchiveError::from)?
            .map_while(Result::ok)
        {
            let name = entry.name.trim_start_matches("./").trim_matches('/');
            for ((path, _), seen) in DIRECTORIES.iter().zip(&mut seen) {
                if name == &path[1..] {
                    *seen = Some(entry.kind.clone());
                } else if is_whiteout(name, &path[1..]) {
                    *seen = None;
                }
            }
        }
    }
    for ((path, _), seen) in DIRECTORIES.into_iter().zip(seen) {
        let kind = match seen {
            None | Some(Kind::Directory) => continue,
            Some(Kind::SymbolicLink(_)) => "symbolic link",
            Some(Kind::File | Kind::HardLink(_)) => "file",
            Some(Kind::Other) => "special file",
        };
        return Err(BakeError::NoDirectory { path, kind });
    }
    Ok(())
}

/// Whether an entry takes away what lower layers have at a path: `.wh.NAME` beside it.
/// Source: OCI image specification, layer.md, "Whiteouts".
fn is_whiteout(name: &str, path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (entry_folder, entry_file) = name.rsplit_once('/').unwrap_or(("", name));
    folder == entry_folder && entry_file.strip_prefix(".wh.") == Some(file)
}

impl<R: Read + Seek> Baked<R> {
    /// The digest of its configuration: the image's id, where the Engine keeps images as Docker always has.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The digest of the configuration it was made from, before any baking.
    #[must_use]
    pub fn base(&self) -> Digest {
        self.base
    }

    /// False where the image had this agent and this role already.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// All layers, ours with them.
    #[must_use]
    pub fn layer_count(&self) -> usize {
        self.layers.len() + 1
    }

    /// The length of the added layer.
    #[must_use]
    pub fn added_bytes(&self) -> u64 {
        self.added.bytes.len() as u64
    }

    /// Writes it as an archive for `POST /images/load`, the base's layers straight from the archive it was made from.
    /// `tag` is the name it gets, with its tag.
    ///
    /// # Errors
    /// Where one of the two cannot be read or written.
    pub fn write(&mut self, tag: &str, mut out: impl Write) -> io::Result<()> {
        let config_name = format!("{}.json", self.id.hex());
        put(&mut out, &config_name, &self.config)?;
        let mut names = Vec::new();
        let mut written = HashSet::new();
        for (diff_id, span) in &self.layers {
            names.push(layer_name(*diff_id));
            // A layer may be in an image twice.
            if written.insert(*diff_id) {
                out.write_all(&tar::file(&layer_name(*diff_id), span.size_bytes, MODE))?;
                if io::copy(&mut self.archive.read(*span)?, &mut out)? < span.size_bytes {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                out.write_all(tar::padding(span.size_bytes))?;
            }
        }
        names.push(layer_name(self.added.diff_id));
        put(&mut out, &layer_name(self.added.diff_id), &self.added.bytes)?;
        let manifest = json!([{"Config": config_name, "Layers": names, "RepoTags": [tag]}]);
        put(&mut out, MANIFEST, manifest.to_string().as_bytes())?;
        out.write_all(&tar::END)?;
        out.flush()
    }
}

fn layer_name(diff_id: Digest) -> String {
    format!("{}.tar", diff_id.hex())
}

fn put(out: &mut impl Write, name: &str, content: &[u8]) -> io::Result<()> {
    let size_bytes = content.len() as u64;
    out.write_all(&tar::file(name, size_bytes, MODE))?;
    out.write_all(content)?;
    out.write_all(tar::padding(size_bytes))
}

#[cfg(test)]
#[path = "bake_tests.rs"]
mod tests;
