//! `tekton publish`: a container as a solution of Ergon's registry.
//!
//! ```text
//! supervisor ─► what was seen ─► metadata ─┐
//! Engine ─────► what it is made from ──────┼─► Solution ─► id ─► Ergon
//! TektonCore ─► whose project it is ───────┘
//! ```
//! The id is made from what somebody decided: name, version, image, declared ports, names of variables.
//! What was seen of the container at this moment, its services too, is metadata: it is stored, and changes no id.

use std::collections::BTreeMap;

use clap::Args;
use diogenes_engine::{Blueprint, Docker, Endpoint, Origin};
use diogenes_proto::Timestamp;
use diogenes_proto::untrusted::{escape, escape_json};
use diogenes_tekton::Address;
use diogenes_tekton::ergon::{
    Client as Ergon, ContainerCi, Content, DockerConfig, Solution, Source,
};
use diogenes_tekton::projects::{self, Project};
use serde_json::{Map, Value, json};

use super::projects as listing;
use crate::api::view::{ContainerView, StatusView};
use crate::cli::client::Client;
use crate::config::Sources;
use crate::exit::Failure;
use crate::run_dir;
use crate::supervisor::Supervisor;
use crate::tekton::aish::CAPABILITIES;
use crate::tekton::here;

/// The version of a solution whose labels tell none.
const FIRST_VERSION: &str = "1.0.0";

/// Arguments of `tekton publish`.
#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Which container.
    name: String,
    /// Address of Ergon; without it, that of the configuration.
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    ergon: Option<Address>,
    /// Print what would be stored, as JSON, and store nothing.
    #[arg(long)]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Publishes it, and tells of it.
///
/// # Errors
/// A [`Failure`] where there is no such container, or where supervisor, Engine or Ergon do not answer.
pub(super) async fn run(args: &PublishArgs, sources: &Sources) -> anyhow::Result<String> {
    let settings = sources.read().map_err(Failure::from)?;
    let client = Client::new(&settings.general.run_dir)?;
    let container = client.container(&args.name).await?;
    let status = client.status().await?;
    // The supervisor's own Engine: the configuration of this command may be another.
    let endpoint: Endpoint = status.supervisor.engine.endpoint.parse()?;
    let engine = Docker::new(endpoint);
    let blueprint = engine.blueprint(&container.id).await?;
    let origins = engine.origins().await?;
    let origin = origins.into_iter().find(|origin| origin.id == container.id);
    let projects = match &settings.tekton.root {
        Some(root) => listing::read(root).unwrap_or_else(|failure| {
            tell_aside(&format!("published without a project: {failure}"));
            Vec::new()
        }),
        None => Vec::new(),
    };
    let solution = solution(
        &container,
        &status,
        blueprint,
        &origin.unwrap_or_default(),
        &projects,
    )?;
    if args.dry_run {
        return Ok(escape_json(&serde_json::to_string_pretty(&solution.entry())?) + "\n");
    }
    let Some(address) = args.ergon.clone().or(settings.tekton.ergon) else {
        let advice = "say where Ergon is, with --ergon URL or as tekton.ergon in the configuration; \
                      --dry-run shows what would be stored";
        return Err(Failure::config(advice).into());
    };
    let told = address.as_str().to_owned();
    let stored = Ergon::new(address)?.store(&solution).await;
    let stored = stored.map_err(|error| {
        let error = escape(&error.to_string()).to_string();
        Failure::failed(format!("Ergon at {told} did not store it: {error}"))
    })?;
    if args.json {
        let view = json!({"id": stored.id, "new": stored.is_new});
        return Ok(serde_json::to_string_pretty(&view)? + "\n");
    }
    let how = if stored.is_new {
        "new"
    } else {
        "known already; what was seen of it is brought up to date"
    };
    Ok(format!("{} ({how})\n", stored.id))
}

/// Says something beside what is printed.
fn tell_aside(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "diogenes: {text}");
}

fn solution(
    container: &ContainerView,
    status: &StatusView,
    blueprint: Blueprint,
    origin: &Origin,
    projects: &[Project],
) -> anyhow::Result<Solution> {
    let project = projects::project_of(&listing::traces(origin), projects);
    let project = project.map(|(project, _)| project);
    let socket = run_dir::ci_dir(status.supervisor.run_dir.as_ref());
    let socket = socket.join(format!("{}.sock", container.name));
    let version = blueprint.version.filter(|version| is_version(version));
    Ok(Solution {
        name: container.name.clone(),
        version: version.unwrap_or_else(|| FIRST_VERSION.to_owned()),
        source: Source {
            project_id: project.map(|project| project.id.clone()),
            sprint_id: None,
            location: location(container, status, origin, project)?,
        },
        content: Content {
            image: blueprint.image.clone(),
            image_id: blueprint.image_id,
            image_digests: blueprint.repo_digests,
            docker_config: DockerConfig {
                dockerfile_path: blueprint.dockerfile,
                base_image: blueprint.image,
                exposed_ports: blueprint.exposed_ports,
                environment: blueprint.environment,
                build_args: BTreeMap::new(),
                container_ci: ContainerCi {
                    enabled: container
                        .policy
                        .as_ref()
                        .is_some_and(|policy| policy.wanted),
                    socket: socket.display().to_string(),
                    capabilities: CAPABILITIES.map(|intent| intent.as_str().to_owned()).into(),
                },
            },
        },
        metadata: seen(container),
    })
}

/// The project's directory, or Compose's; else where its companion answers.
fn location(
    container: &ContainerView,
    status: &StatusView,
    origin: &Origin,
    project: Option<&Project>,
) -> anyhow::Result<String> {
    let directory = project.and_then(|project| project.local_directory.clone());
    let directory = directory.or_else(|| origin.compose_dir.clone());
    match directory.filter(|directory| directory.starts_with('/')) {
        Some(directory) => Ok(directory),
        None => {
            let listen = here(status.supervisor.listen.parse()?);
            Ok(format!("http://{listen}/ci/{}", container.name))
        }
    }
}

/// What was seen at this moment.
fn seen(container: &ContainerView) -> Map<String, Value> {
    let services = container.services.iter().map(|service| {
        json!({
            "name": service.name.to_string(),
            "kind": service.kind,
            "role": service.role,
            "version": service.version.as_ref().map(ToString::to_string),
            "ports": service.ports,
            "health": service.health,
        })
    });
    let findings = container.findings.iter();
    let findings: Vec<&str> = findings.map(|finding| finding.code.as_str()).collect();
    let seen = json!({
        "published_by": format!("diogenes {}", Supervisor::VERSION),
        "seen_at": Timestamp::now(),
        "container_id": container.id,
        "ci_name": container.ci_name,
        "container_state": container.container_state,
        "started_at": container.started_at,
        "health": container.health,
        "health_reason": container.health_reason.as_ref().map(ToString::to_string),
        "services": services.collect::<Vec<_>>(),
        "published_ports": container.published,
        "findings": findings,
    });
    match seen {
        Value::Object(seen) => seen,
        _ => Map::new(),
    }
}

/// `1.2.3`, and what may follow it (semver.org): Ergon's own schema takes nothing else.
fn is_version(text: &str) -> bool {
    let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |number: &&str| {
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        digits && !number.is_empty() && (*number == "0" || !number.starts_with('0'))
    };
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte);
    numbers.len() == 3
        && numbers.iter().all(is_number)
        && rest.len() != 1
        && rest.bytes().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_three_numbers() {
        for right in ["1.0.0", "0.12.3-rc.1+build5"] {
            assert!(is_version(right), "{right}");
        }
        for wrong in [
            "", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-ä", "latest",
        ] {
            assert!(!is_version(wrong), "{wrong}");
        }
    }
}
