//! `diogenes man`: the manual pages, made from the help and from the tables of keys and exit codes.

use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;
use crate::config::environment::CONFIG;
use crate::config::{file, keys};
use crate::exit::Exit;
use crate::run_dir;

/// The files a supervisor and its clients use: path and what it is.
pub(crate) fn files() -> [(String, &'static str); 3] {
    let run_dir = Path::new(run_dir::DEFAULT);
    [
        (file::DEFAULT.into(), "the configuration, where it exists"),
        (
            run_dir::api_socket(run_dir).display().to_string(),
            "the supervisor's socket: HTTP, for everything",
        ),
        (
            run_dir::ci_dir(run_dir)
                .join("NAME.sock")
                .display()
                .to_string(),
            "the companion of one container, speaking the companions' protocol",
        ),
    ]
}

/// The page of the program itself.
///
/// # Errors
/// Where it cannot be rendered.
pub(crate) fn page() -> anyhow::Result<String> {
    let man = Man::new(Cli::command().disable_help_subcommand(true)).manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    let codes = Exit::ALL.map(|exit| (format!("{}", exit as u8), exit.meaning().1.to_owned()));
    section("EXIT STATUS", codes).to_writer(&mut page)?;
    section("ENVIRONMENT", variables()).to_writer(&mut page)?;
    section("FILES", files().map(|(path, what)| (path, what.to_owned()))).to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(String::from_utf8(page)?)
}

/// Writes the page of the program and that of each command into a directory.
///
/// # Errors
/// Where the directory cannot be made or written.
pub(crate) fn write_all(directory: &Path) -> anyhow::Result<()> {
    let write = |name: String, page: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
    };
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    write("diogenes.1".into(), page()?.as_bytes())?;
    for command in commands() {
        let name = format!("diogenes-{}", command.get_name());
        let man = Man::new(
            command
                .display_name(name.clone())
                .bin_name(name.replacen('-', " ", 1)),
        );
        let mut page = Vec::new();
        man.title(name.to_uppercase())
            .manual(MANUAL)
            .render(&mut page)?;
        write(format!("{name}.1"), &page)?;
    }
    Ok(())
}

/// The manual's name, in the head of each page.
const MANUAL: &str = "Diogenes";

/// The commands that may be seen, with the flags that every command takes.
pub(crate) fn commands() -> Vec<Command> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned()
        .collect()
}

/// The variables: name and meaning.
fn variables() -> Vec<(String, String)> {
    let of_keys = keys().map(|key| {
        let names = [Some(key.variable()), key.borrowed.map(str::to_owned)];
        let names: Vec<_> = names.into_iter().flatten().collect();
        (names.join(", "), format!("as --{}", key.flag()))
    });
    of_keys
        .chain([
            (CONFIG.to_owned(), "as --config".to_owned()),
            (
                "NO_COLOR".to_owned(),
                "no colours, where it is not empty".to_owned(),
            ),
        ])
        .collect()
}

fn section(title: &str, entries: impl IntoIterator<Item = (String, String)>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (name, what) in entries {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(what)]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        write_all(&dir.path().join("man1")).unwrap();
        for command in commands() {
            let path = dir
                .path()
                .join(format!("man1/diogenes-{}.1", command.get_name()));
            let page = std::fs::read_to_string(&path).unwrap();
            assert!(
                page.contains(&format!("diogenes {}", command.get_name())),
                "{page}"
            );
        }
        let main = std::fs::read_to_string(dir.path().join("man1/diogenes.1")).unwrap();
        for text in [
            "SH \"EXIT STATUS\"",
            "\\fB78\\fR",
            "DIOGENES_STATE_DIR",
            "diogenes.toml",
            "diogenes\\-status(1)",
        ] {
            assert!(main.contains(text), "no {text} in {main}");
        }
        assert!(!main.contains(crate::attendants::attacher::SUBCOMMAND));
    }
}
