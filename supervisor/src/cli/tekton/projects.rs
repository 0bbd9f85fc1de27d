//! `tekton projects`: which containers belong to which project of TektonCore. Nothing is written anywhere.

use std::path::{Path, PathBuf};

use clap::Args;
use diogenes_engine::{Docker, Origin, PROJECT_LABEL};
use diogenes_proto::untrusted::{escape, escape_json};
use diogenes_tekton::projects::{self, Project, Traces};
use serde::Serialize;

use crate::config::Sources;
use crate::exit::Failure;

/// Arguments of `tekton projects`.
#[derive(Debug, Args)]
pub(crate) struct ProjectsArgs {
    /// Directory of Tekton; without it, that of the configuration.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A project with its containers.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ProjectView<'a> {
    id: &'a str,
    name: &'a str,
    state: Option<&'a str>,
    local_directory: Option<&'a str>,
    containers: Vec<MemberView<'a>>,
}

/// A container of a project.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct MemberView<'a> {
    name: &'a str,
    id: &'a str,
    /// By what it belongs there.
    by: &'static str,
}

/// All projects, and those that speak of one that is not there.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ProjectsView<'a> {
    projects: Vec<ProjectView<'a>>,
    /// Containers whose label names no project of the list, with what it names.
    strays: Vec<StrayView<'a>>,
}

/// A container whose label names no project of the list.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct StrayView<'a> {
    name: &'a str,
    id: &'a str,
    label: &'a str,
}

/// Looks, and tells.
///
/// # Errors
/// A [`Failure`] where there is no list of projects, or the Engine does not answer.
pub(super) async fn run(args: &ProjectsArgs, sources: &Sources) -> anyhow::Result<String> {
    let settings = sources.read().map_err(Failure::from)?;
    let root = args.root.clone().or(settings.tekton.root);
    let Some(root) = root else {
        let advice = "give Tekton's directory with --root DIR, in TEKTON_ROOT, or as tekton.root in the configuration";
        return Err(Failure::config(advice).into());
    };
    let projects = read(&root)?;
    let mut origins = Docker::new(settings.general.engine).origins().await?;
    origins.sort_by(|a, b| a.name.cmp(&b.name));
    let view = ProjectsView::new(&projects, &origins);
    if args.json {
        return Ok(escape_json(&serde_json::to_string_pretty(&view)?) + "\n");
    }
    Ok(view.text(&root))
}

/// The list of projects.
pub(super) fn read(root: &Path) -> Result<Vec<Project>, Failure> {
    projects::read(root).map_err(|error| Failure::failed(escape(&error.to_string()).to_string()))
}

/// What there is to go by.
pub(super) fn traces(origin: &Origin) -> Traces {
    Traces {
        label: origin.project.clone(),
        compose_project: origin.compose_project.clone(),
        compose_dir: origin.compose_dir.clone(),
        binds: origin.binds.clone(),
    }
}

impl<'a> ProjectsView<'a> {
    fn new(projects: &'a [Project], origins: &'a [Origin]) -> Self {
        let mut views: Vec<_> = projects
            .iter()
            .map(|project| ProjectView {
                id: &project.id,
                name: &project.name,
                state: project.state.as_deref(),
                local_directory: project.local_directory.as_deref(),
                containers: Vec::new(),
            })
            .collect();
        let mut strays = Vec::new();
        for origin in origins {
            let (name, id) = (&origin.name, &origin.id);
            match (
                projects::project_of(&traces(origin), projects),
                &origin.project,
            ) {
                (Some((project, tie)), _) => {
                    let place = projects.iter().position(|it| std::ptr::eq(it, project));
                    let by = tie.as_str();
                    if let Some(view) = place.and_then(|place| views.get_mut(place)) {
                        view.containers.push(MemberView { name, id, by });
                    }
                }
                (None, Some(label)) => strays.push(StrayView { name, id, label }),
                (None, None) => {}
            }
        }
        Self {
            projects: views,
            strays,
        }
    }

    fn text(&self, root: &Path) -> String {
        let mut text = String::new();
        if self.projects.is_empty() {
            text += &format!("no projects in {}\n", root.display());
        }
        for project in &self.projects {
            let state = project.state.unwrap_or("state unknown");
            let directory = project.local_directory.unwrap_or("no directory");
            let head = format!("{} ({state}, {directory})", project.name);
            text += &format!("{}\n", escape(&head));
            for container in &project.containers {
                text += &format!("  {} (by {})\n", escape(container.name), container.by);
            }
            if project.containers.is_empty() {
                text += "  no containers\n";
            }
        }
        for stray in &self.strays {
            text += &format!(
                "{}: its label {PROJECT_LABEL} names {:?}, which is no project's id or name\n",
                escape(stray.name),
                stray.label
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_project_tells_its_containers_and_by_what() {
        let project = |id: &str, name: &str| Project {
            id: id.into(),
            name: name.into(),
            state: Some("active".into()),
            local_directory: Some(format!("/srv/{id}")),
        };
        let projects = [project("p1", "Shop"), project("p2", "Blog\u{1b}[2J")];
        let origin = |name: &str, dir: &str, label: Option<&str>| Origin {
            id: format!("id-{name}"),
            name: name.into(),
            project: label.map(str::to_owned),
            compose_dir: Some(dir.into()),
            ..Origin::default()
        };
        let origins = [
            origin("a", "/srv/p1/deploy", None),
            origin("b", "/srv/p2", Some("Shop")),
            origin("c", "/srv/p1", Some("gone")),
            origin("d", "/else", None),
        ];
        let view = ProjectsView::new(&projects, &origins);
        assert_eq!(
            view.text(Path::new("/tekton")),
            "Shop (active, /srv/p1)\n  a (by compose directory)\n  b (by label)\n\
             Blog\\u{1b}[2J (active, /srv/p2)\n  no containers\n\
             c: its label io.diogenes.tekton.project names \"gone\", which is no project's id or name\n"
        );
        assert_eq!(
            ProjectsView::new(&[], &[]).text(Path::new("/tekton")),
            "no projects in /tekton\n"
        );
    }
}
