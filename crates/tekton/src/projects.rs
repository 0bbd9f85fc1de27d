//! The projects of TektonCore, and which containers belong to them: read only, from
//! `$TEKTON_ROOT/.tekton/projects/projects.json`.
//!
//! The file is others', and hostile as every file is: bounded, a regular one, and nothing in it leads anywhere. An
//! unknown key would break TektonCore's own listing, so nothing is ever written there; here one breaks nothing.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::Deserialize;

/// Where it is below Tekton's root.
const FILE: &str = ".tekton/projects/projects.json";
/// Largest file that is read: far more than TektonCore has.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Most projects that are told of.
const MAX_PROJECTS: usize = 10_000;

/// A project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it stands: `active`, `paused`, …; None where nobody says.
    #[serde(default)]
    pub state: Option<String>,
    /// Where its files are.
    #[serde(default)]
    pub local_directory: Option<String>,
}

/// Why the projects cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProjectsError {
    /// The file cannot be opened or read.
    #[error("{}: {error}{}", path.display(), advice(error))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// It is a directory, a pipe or something stranger.
    #[error("{} is no regular file", .0.display())]
    NoFile(PathBuf),
    /// It is too long.
    #[error("{} has more than {MAX_BYTES} bytes; no list of projects is that long", .0.display())]
    TooLong(PathBuf),
    /// It is not what TektonCore writes.
    #[error("{} is no list of projects: {error}; TektonCore makes an empty one where the file is missing", path.display())]
    Garbage {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        error: serde_json::Error,
    },
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            "; is this Tekton's directory, and has TektonCore been started there?"
        }
        std::io::ErrorKind::PermissionDenied => "; run as the user who owns Tekton's directory",
        _ => "",
    }
}

/// All projects of the Tekton in `root`, in their order.
///
/// # Errors
/// Where the file is missing, or not what TektonCore writes.
pub fn read(root: &Path) -> Result<Vec<Project>, ProjectsError> {
    #[derive(Deserialize)]
    struct All {
        projects: Vec<Project>,
    }
    let path = root.join(FILE);
    let unreadable = |error: std::io::Error| ProjectsError::Unreadable {
        path: path.clone(),
        error,
    };
    // A pipe in its place must not make us wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(&path, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?;
    let file = std::fs::File::from(file);
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(ProjectsError::NoFile(path));
    }
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ProjectsError::TooLong(path));
    }
    match serde_json::from_slice::<All>(&bytes) {
        Ok(mut all) => {
            all.projects.truncate(MAX_PROJECTS);
            Ok(all.projects)
        }
        Err(error) => Err(ProjectsError::Garbage { path, error }),
    }
}

/// What is known of where a container comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// The project that its own label names, by id or name.
    pub label: Option<String>,
    /// The project of Compose that it is part of.
    pub compose_project: Option<String>,
    /// Where the files of that are.
    pub compose_dir: Option<String>,
    /// What of the host is mounted into it.
    pub binds: Vec<String>,
}

/// By what a container belongs to a project, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// Its label names the project.
    Label,
    /// Compose's files are in the project's directory.
    ComposeDirectory,
    /// Compose's project has the project's name.
    ComposeProject,
    /// Something of the project's directory is mounted into it.
    Mount,
}

impl Tie {
    /// In a few words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::ComposeDirectory => "compose directory",
            Self::ComposeProject => "compose project",
            Self::Mount => "mount",
        }
    }
}

/// The project a container belongs to, and by what; None for none. The strongest tie counts, and among directories the
/// deepest. A label that names no project of the list ties it to none: somebody has decided.
#[must_use]
pub fn project_of<'a>(traces: &Traces, projects: &'a [Project]) -> Option<(&'a Project, Tie)> {
    if let Some(label) = &traces.label {
        let named = |project: &&Project| project.id == *label || same_name(&project.name, label);
        return Some((projects.iter().find(named)?, Tie::Label));
    }
    let tie = |project: &'a Project| {
        let directory = project.local_directory.as_deref().and_then(sound_directory);
        let holds = |path: &String| {
            directory.is_some_and(|directory| Path::new(path).starts_with(directory))
        };
        let tie = if traces.compose_dir.iter().any(holds) {
            Tie::ComposeDirectory
        } else if traces
            .compose_project
            .iter()
            .any(|name| same_name(&project.name, name))
        {
            Tie::ComposeProject
        } else if traces.binds.iter().any(holds) {
            Tie::Mount
        } else {
            return None;
        };
        let depth = directory.map_or(0, |directory| directory.components().count());
        Some((project, tie, depth))
    };
    let ties = projects.iter().filter_map(tie);
    let strongest = ties.min_by_key(|(_, tie, depth)| (*tie, std::cmp::Reverse(*depth)));
    strongest.map(|(project, tie, _)| (project, tie))
}

/// An absolute directory other than the root, which would hold everything, and without a step back.
fn sound_directory(text: &str) -> Option<&Path> {
    let path = Path::new(text);
    let steps_back = path.components().any(|step| step == Component::ParentDir);
    (path.is_absolute() && path.parent().is_some() && !steps_back).then_some(path)
}

/// Whether Compose would call both the same: it takes lower case, and leaves out all but letters, digits, `-` and `_`.
fn same_name(one: &str, other: &str) -> bool {
    let plain = |name: &str| -> String {
        let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        name.to_ascii_lowercase().chars().filter(kept).collect()
    };
    let one = plain(one);
    !one.is_empty() && one == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(id: &str, name: &str, directory: &str) -> Project {
        Project {
            id: id.into(),
            name: name.into(),
            state: None,
            local_directory: Some(directory.into()),
        }
    }

    #[test]
    fn a_container_belongs_where_its_strongest_tie_leads() {
        let projects = [
            project("p1", "Shop", "/srv/shop"),
            project("p2", "Cart", "/srv/shop/cart"),
            project("p3", "All", "/"),
            project("p4", "Sly", "/srv/../srv/blog"),
        ];
        let traces = |label: &str, compose: &str, dir: &str, bind: &str| {
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            Traces {
                label: some(label),
                compose_project: some(compose),
                compose_dir: some(dir),
                binds: some(bind).into_iter().collect(),
            }
        };
        for (traces, expected) in [
            (
                traces("p2", "shop", "/srv/shop", ""),
                Some(("p2", Tie::Label)),
            ),
            (traces("cart", "", "", ""), Some(("p2", Tie::Label))),
            (traces("other", "shop", "/srv/shop", ""), None),
            (
                traces("", "cart", "/srv/shop", ""),
                Some(("p1", Tie::ComposeDirectory)),
            ),
            (
                traces("", "x", "/srv/shop/cart/deploy", ""),
                Some(("p2", Tie::ComposeDirectory)),
            ),
            (
                traces("", "shop", "/elsewhere", "/srv/shop/cart"),
                Some(("p1", Tie::ComposeProject)),
            ),
            (
                traces("", "", "", "/srv/shop/cart/data"),
                Some(("p2", Tie::Mount)),
            ),
            (traces("", "", "", "/srv/shopping"), None),
            (traces("", "", "", "/srv/blog"), None),
            (traces("", "", "", "/etc"), None),
            (traces("", "", "", ""), None),
        ] {
            let found = project_of(&traces, &projects);
            let found = found.map(|(project, tie)| (project.id.as_str(), tie));
            assert_eq!(found, expected, "{traces:?}");
        }
    }

    fn root_with(text: &[u8]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(FILE);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        root
    }

    #[test]
    fn the_file_is_read_as_tekton_core_writes_it() {
        let root = root_with(
            br#"{"version":"1.0","created_at":"x","projects":[
                {"id":"p1","name":"Shop","description":"","state":"active","github_url":null,
                 "local_directory":"/srv/shop","metadata":{}},
                {"id":"p2","name":"Bare"}]}"#,
        );
        let projects = read(root.path()).unwrap();
        assert_eq!(projects[0].local_directory.as_deref(), Some("/srv/shop"));
        assert_eq!((projects[1].name.as_str(), projects.len()), ("Bare", 2));
    }

    #[test]
    fn a_broken_file_is_an_error_that_says_which_and_where() {
        for (text, part) in [
            (&b"{\"projects\":[{\"id\":1}]}"[..], "line 1"),
            (b"[]", "no list of projects"),
            (b"", "EOF"),
            (b"\xff\xfe", "no list of projects"),
            (&b"[".repeat(100_000), "no list of projects"),
        ] {
            let root = root_with(text);
            let error = read(root.path()).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(FILE), "{error}");
        }
        let root = tempfile::tempdir().unwrap();
        let error = read(root.path()).unwrap_err().to_string();
        assert!(error.contains("is this Tekton's directory"), "{error}");
        let file = root.path().join(FILE);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &file,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        let error = read(root.path()).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
        std::fs::remove_file(&file).unwrap();
        let long = std::fs::File::create(&file).unwrap();
        long.set_len(MAX_BYTES + 1).unwrap();
        let error = read(root.path()).unwrap_err().to_string();
        assert!(error.contains("16777216 bytes"), "{error}");
    }
}
