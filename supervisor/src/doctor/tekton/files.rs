//! Tekton's own files: the projects of TektonCore, and whether `tekton status` shows the supervisor.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use diogenes_tekton::projects;

use crate::api::health::COMPONENT_NAME;
use crate::cli::tekton::stanza;
use crate::config::secrets::read_bounded;
use crate::doctor::check::Check;
use crate::doctor::{hung, without_hanging};

const PROJECTS_ID: &str = "tekton-projects";
const PROJECTS_TITLE: &str = "TektonCore's projects";
const STATUS_ID: &str = "tekton-status";
const STATUS_TITLE: &str = "tekton status";
/// Which components it lists.
const COMPONENTS: &str = "config/tekton_components.yaml";
/// Where Tekton's variables are, the strongest last.
const VARIABLES: [&str; 2] = [".env.tekton", ".env.local"];
/// Largest of these files that is read.
const MAX_BYTES: u64 = 4 << 20;

/// Everything of these files; nothing where there is no directory to look in.
pub(super) async fn checks(root: Option<&Path>, listen: SocketAddr) -> Vec<Check> {
    let Some(root) = root.map(Path::to_owned) else {
        return Vec::new();
    };
    let look = move || vec![judge_projects(&root), judge_status(&root, listen.port())];
    match without_hanging(look).await {
        Some(checks) => checks,
        None => vec![hung(PROJECTS_ID, PROJECTS_TITLE)],
    }
}

fn judge_projects(root: &Path) -> Check {
    match projects::read(root) {
        Ok(projects) => {
            let detail = format!(
                "{} in all; diogenes tekton projects tells their containers",
                projects.len()
            );
            Check::ok(PROJECTS_ID, PROJECTS_TITLE, detail)
        }
        Err(error) => Check::warning(
            PROJECTS_ID,
            PROJECTS_TITLE,
            error.to_string(),
            "start TektonCore once, or mend its file; only tekton projects does without",
        ),
    }
}

fn judge_status(root: &Path, port: u16) -> Check {
    let variable = stanza::own().port_variable();
    let advice = "diogenes tekton stanza prints what belongs into both files";
    let warning = |detail: String| Check::warning(STATUS_ID, STATUS_TITLE, detail, advice);
    let components = root.join(COMPONENTS);
    match read_bounded(&components, MAX_BYTES) {
        Err(error) => return warning(format!("{} cannot be read: {error}", components.display())),
        Ok((text, _)) if !lists(&text, COMPONENT_NAME) => {
            let path = components.display();
            return warning(format!(
                "does not show the supervisor: {path} has no {COMPONENT_NAME}"
            ));
        }
        Ok(_) => {}
    }
    let files = VARIABLES.map(|file| root.join(file));
    let given = |file: &PathBuf| {
        let (text, _) = read_bounded(file, MAX_BYTES).ok()?;
        value(&text, &variable).map(str::to_owned)
    };
    match files.iter().rev().find_map(given) {
        None => Check::failed(
            STATUS_ID,
            STATUS_TITLE,
            format!(
                "{COMPONENTS} has {COMPONENT_NAME}, but {variable} is set neither in {} nor in {}: so none of Tekton's \
                 programs starts",
                VARIABLES[0], VARIABLES[1]
            ),
            advice,
        ),
        Some(value) if value != port.to_string() => warning(format!(
            "looks for the supervisor at another port: {variable} is {value:?}, and it listens on {port}"
        )),
        Some(_) => Check::ok(
            STATUS_ID,
            STATUS_TITLE,
            format!("shows the supervisor, at port {port}"),
        ),
    }
}

/// Whether the components of this YAML have one of that id: a key two levels deep, as Tekton writes them.
fn lists(yaml: &str, id: &str) -> bool {
    let mut in_components = false;
    for line in yaml.lines() {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let is_top = text.len() == line.len();
        if is_top {
            in_components = text.starts_with("components:");
        } else if in_components
            && let Some((key, rest)) = text.split_once(':')
            && key.trim_matches(['"', '\'']) == id
            && (rest.trim().is_empty() || rest.trim().starts_with(['{', '#']))
        {
            return true;
        }
    }
    false
}

/// The value of a variable in a file of `NAME=value` lines, the last that counts.
fn value<'a>(text: &'a str, variable: &str) -> Option<&'a str> {
    let given = |line: &'a str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        (name.trim() == variable).then(|| value.trim().trim_matches(['"', '\'']))
    };
    text.lines().rev().find_map(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{Ok as Fine, Warning};

    #[test]
    fn the_supervisor_is_shown_where_both_files_say_so() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let judged = || judge_status(root.path(), 4120);
        assert!(judged().detail.contains("cannot be read"));
        write(
            COMPONENTS,
            "# diogenes:\ncomponents:\n  hermes:\n    name: \"diogenes:\"\nother:\n  diogenes:\n",
        );
        assert!(
            judged().detail.contains("has no diogenes"),
            "{:?}",
            judged()
        );
        write(
            COMPONENTS,
            "components:\n  hermes:\n    name: \"Hermes\"\n\n  diogenes:\n    name: \"Diogenes\"\n",
        );
        assert!(judged().detail.contains("DIOGENES_PORT is set neither"));
        write(".env.tekton", "DIOGENES_PORT=1\n");
        assert!(judged().detail.contains("\"1\", and it listens on 4120"));
        assert_eq!(judged().status, Warning);
        write(
            ".env.local",
            "# DIOGENES_PORT=2\nexport DIOGENES_PORT='4120'\n",
        );
        assert_eq!(judged().status, Fine, "{:?}", judged());
    }

    #[test]
    fn projects_that_cannot_be_read_are_a_limit() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(judge_projects(root.path()).status, Warning);
    }
}
