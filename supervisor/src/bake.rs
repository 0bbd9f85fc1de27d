//! `diogenes bake`: an image of the Engine with the agent in it.
//!
//! ```text
//! IMAGE ─► names ─► export ─► spool (a file without a name) ─► diogenes_images::bake ─► import ─► NEW
//! ```
//!
//! No supervisor takes part. Of the image no more is in memory than a piece on its way; the spool is gone with this
//! process, however that ends.

mod names;
mod spool;

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use diogenes_engine::{Docker, Endpoint, Images};
use diogenes_images::{AGENT_PATH, Agent, Baked, Digest, HealthCheck, RoleSource, bake};
use diogenes_linux::contract::AGENT_NAME;
use diogenes_linux::program::Program;
use diogenes_proto::untrusted::escape;
use serde::Serialize;
use tokio::time::timeout;

use crate::attendants::attacher::beside_this_executable;
use crate::cli::table::short_bytes;
use crate::config::Sources;
use crate::doctor::{PATIENCE, ask_version};
use crate::exit::Failure;
use names::NewName;

/// Longest manifest that is read. It is read for its digest alone; nobody writes such a long one by hand.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// Arguments of `bake`.
#[derive(Debug, Args)]
pub(crate) struct BakeArgs {
    /// The image to bake, by its name or id; it is left as it is.
    pub(crate) image: String,
    /// The name of the baked image.
    #[arg(short, long, value_name = "NEW")]
    pub(crate) tag: NewName,
    /// The agent's program; without it, the one that serve would take.
    #[arg(long, value_name = "PATH")]
    pub(crate) agent: Option<PathBuf>,
    /// The Engine: a socket's path, unix://PATH, tcp://HOST:PORT or http://HOST:PORT; without it, that of the configuration.
    #[arg(long, value_name = "URL|PATH")]
    pub(crate) engine: Option<Endpoint>,
    /// What gives the container its role, recorded by its digest; without it, that of the image's labels is.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Have Docker's health field filled by the companion, where the image has no HEALTHCHECK of its own.
    #[arg(long)]
    pub(crate) healthcheck: bool,
    /// Also where NEW is a name of IMAGE, which then loses it.
    #[arg(long)]
    pub(crate) force: bool,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl BakeArgs {
    fn healthcheck(&self) -> HealthCheck {
        if self.healthcheck {
            HealthCheck::AddWhereNone
        } else {
            HealthCheck::Leave
        }
    }
}

/// What came of it, for scripts.
#[derive(Debug, Serialize)]
pub(crate) struct BakedView {
    /// The new name, with its tag.
    image: String,
    /// The id the Engine has it by.
    id: String,
    /// The digest of the configuration of the image without the agent.
    base: String,
    agent_version: String,
    /// All layers, ours with them.
    layers: usize,
    /// The length of our layer; 0 where nothing was added.
    bytes_added: u64,
    /// False where the image had this agent and role already.
    changed: bool,
}

/// Bakes, and tells of it.
///
/// # Errors
/// A [`Failure`] where there is no such image, where it cannot be baked, or where the Engine refuses.
pub(crate) async fn run(args: &BakeArgs, sources: &Sources) -> anyhow::Result<String> {
    let general = sources.read().map_err(Failure::from)?.general;
    let engine = Docker::new(args.engine.clone().unwrap_or(general.engine));
    let agent = load_agent(args.agent.clone().or(general.agent)).await?;
    let role = match &args.manifest {
        None => RoleSource::Labels,
        Some(path) => RoleSource::Manifest(digest_of_file(path)?),
    };
    let view = bake_into(&engine, args, &agent, role).await?;
    if args.json {
        return Ok(serde_json::to_string_pretty(&view)? + "\n");
    }
    Ok(told(&args.image, &view))
}

/// Takes the image out, bakes it and puts the result back.
async fn bake_into(
    engine: &impl Images,
    args: &BakeArgs,
    agent: &Agent,
    role: RoleSource,
) -> anyhow::Result<BakedView> {
    let image = names::find(&engine.images().await?, &args.image)?;
    let spooled = spool::fill(engine.export_image(&image.id)).await?;
    let refused = |why: String| Failure::failed(format!("cannot bake {}: {why}", args.image));
    let baked = bake(spooled, agent, role, args.healthcheck())
        .map_err(|error| refused(error.to_string()))?;
    let new = args.tag.to_string();
    let is_own_name = image.names.contains(&new);
    if is_own_name && baked.is_changed() && !args.force {
        let advice = "which it would lose; give the baked image another, or say --force";
        return Err(refused(format!("{new} is its own name, {advice}")).into());
    }
    let mut view = BakedView {
        image: new.clone(),
        id: image.id,
        base: baked.base().to_string(),
        agent_version: agent.version().to_owned(),
        layers: baked.layer_count(),
        bytes_added: if baked.is_changed() {
            baked.added_bytes()
        } else {
            0
        },
        changed: baked.is_changed(),
    };
    // Where nothing changes, what may be left to do is the name.
    if view.changed || !is_own_name {
        put_back(engine, baked, new.clone()).await?;
        view.id = names::find(&engine.images().await?, &new)
            .with_context(|| format!("the Engine took {new} in and does not have it"))?
            .id;
    }
    Ok(view)
}

async fn put_back(
    engine: &impl Images,
    mut baked: Baked<File>,
    name: String,
) -> anyhow::Result<()> {
    let (pieces, written) = spool::stream(move |out| baked.write(&name, out));
    let imported = engine.import_image(pieces).await;
    // An Engine that has enough closes the pipe: why, it tells itself.
    match written.await? {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot read the image back from the temporary file")
        }
        _ => Ok(imported?),
    }
}

/// What people read.
fn told(image: &str, view: &BakedView) -> String {
    let (image, new, version) = (escape(image), &view.image, &view.agent_version);
    let short_id = view.id.trim_start_matches("sha256:");
    let short_id = short_id.get(..12).unwrap_or(short_id);
    if !view.changed {
        return format!(
            "{image} has {AGENT_NAME} {version} in it already; {new} is the same image ({short_id})\n"
        );
    }
    format!(
        "{new} ({short_id}) is {image} with {AGENT_NAME} {version} as its init: one layer more, {}\n\
         Run it as you run {image}, then ask it: docker exec CONTAINER {AGENT_PATH} status\n",
        short_bytes(view.bytes_added)
    )
}

/// Loads the program as the supervisor does, and asks it for its version.
async fn load_agent(named: Option<PathBuf>) -> anyhow::Result<Agent> {
    let path = named.map_or_else(beside_this_executable, Ok)?;
    let program = Program::load(&path, &spool::directory()).context(
        "no agent to bake in; `make build` makes one beside diogenes, or name it with --agent",
    )?;
    let version = timeout(PATIENCE, ask_version(&program)).await;
    let version = version.map_err(|_| anyhow::anyhow!("it does not answer"));
    let version = version.and_then(|answer| Ok(answer?));
    let version =
        version.with_context(|| format!("cannot ask {} for its version", path.display()))?;
    let Some(version) = version.strip_prefix(AGENT_NAME).map(str::trim) else {
        let message = format!(
            "{} calls itself {version:?}: it is no agent",
            path.display()
        );
        return Err(Failure::failed(message).into());
    };
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Agent::new(bytes, version.to_owned(), architecture()))
}

/// This machine's processor in Docker's words; programs for others were refused. Source: Go's GOARCH.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest_of_file(path: &Path) -> anyhow::Result<Digest> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(MAX_MANIFEST_BYTES + 1)
            .read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let bytes = read().with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        let limit = short_bytes(MAX_MANIFEST_BYTES);
        let message = format!(
            "{} is longer than {limit}: it is no manifest",
            path.display()
        );
        return Err(Failure::failed(message).into());
    }
    Ok(Digest::of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_what_came_of_it_and_what_comes_next() {
        let mut view = BakedView {
            image: "shop:ci".into(),
            id: format!("sha256:{}", "ab".repeat(32)),
            base: String::new(),
            agent_version: "1.0".into(),
            layers: 4,
            bytes_added: 989_184,
            changed: true,
        };
        assert_eq!(
            told("shop", &view),
            "shop:ci (abababababab) is shop with diogenes-agent 1.0 as its init: one layer more, 966K\n\
             Run it as you run shop, then ask it: docker exec CONTAINER /usr/libexec/diogenes/diogenes-agent status\n"
        );
        view.changed = false;
        assert_eq!(
            told("sh\u{1b}p", &view),
            "sh\\u{1b}p has diogenes-agent 1.0 in it already; shop:ci is the same image (abababababab)\n"
        );
    }

    #[test]
    fn a_manifest_counts_by_its_digest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "role: cache\n").unwrap();
        let digest = digest_of_file(file.path()).unwrap();
        assert_eq!(digest, Digest::of(b"role: cache\n"));
        file.as_file().set_len(MAX_MANIFEST_BYTES + 1).unwrap();
        let error = digest_of_file(file.path()).unwrap_err();
        assert!(error.to_string().contains("is longer than 16M"), "{error}");
        assert!(digest_of_file(Path::new("/nowhere")).is_err());
    }
}
