//! What `REFERENCE.md` and the sample configuration say, made from the code.
//!
//! Each part of the reference stands between `<!-- made from the code: NAME -->` and `<!-- end -->`; what is outside is
//! written by hand. The tests below fail where a part differs from the code, where one is missing, and where one is
//! there that no code makes. With `UPDATE_REFERENCE=1` in the environment they write it instead.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory as _};

use crate::api::metrics;
use crate::cli::Cli;
use crate::cli::manual::{commands, files};
use crate::config::environment::CONFIG;
use crate::config::key::Takes;
use crate::config::value::Shape;
use crate::config::{Key, file, keys, sample};
use crate::exit::Exit;

/// The parts: name and text.
fn parts() -> Vec<(&'static str, String)> {
    vec![
        ("commands", reference_of_commands()),
        ("configuration", reference_of_keys()),
        ("exit codes", reference_of_exits()),
        ("files", reference_of_files()),
        ("http", crate::api::reference::text()),
        ("metrics", metrics::reference::text()),
    ]
}

fn reference_of_commands() -> String {
    let mut text = String::from("Flags that every command takes:\n\n");
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    text += &table_of_args(&program, |_| true);
    for command in commands() {
        let mut usage = command.clone();
        let usage = usage.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = write!(text, "\n### `{usage}`\n\n{}\n", sentence(&about));
        let is_key = |arg: &Arg| keys().any(|key| Some(key.flag().as_str()) == arg.get_long());
        // Some commands take one or two of them, and say so themselves.
        let takes_keys = keys().filter(|key| !key.everywhere).all(|key| {
            let mut args = command.get_arguments();
            args.any(|arg| Some(key.flag().as_str()) == arg.get_long())
        });
        let own = table_of_args(&command, |arg| {
            let is_told_elsewhere = takes_keys && is_key(arg);
            !arg.is_global_set() && !is_told_elsewhere
        });
        if !own.is_empty() {
            let _ = write!(text, "\n{own}");
        }
        if takes_keys {
            text += "\nTakes the flag of every key of the [configuration](#configuration).\n";
        }
    }
    text
}

/// A table of the arguments that may be seen.
fn table_of_args(command: &Command, wanted: impl Fn(&Arg) -> bool) -> String {
    let shown =
        |arg: &&Arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help") && wanted(arg);
    let rows: String = command
        .get_arguments()
        .filter(shown)
        .map(|arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let values = arg.get_possible_values();
            let values: Vec<_> = values
                .iter()
                .map(clap::builder::PossibleValue::get_name)
                .collect();
            let values = match arg.get_action().takes_values() && !values.is_empty() {
                true => format!(" One of {}.", values.join(", ")),
                false => String::new(),
            };
            row(&[
                &code(&arg.to_string()),
                &format!("{}{values}", sentence(&help)),
            ])
        })
        .collect();
    if rows.is_empty() {
        rows
    } else {
        format!("{}{rows}", head(&["argument", "meaning"]))
    }
}

fn reference_of_keys() -> String {
    let mut text = String::new();
    let mut section = None;
    for key in keys() {
        if section != Some(key.section) {
            section = Some(key.section);
            let title = match key.section {
                "" => "Before any table".to_owned(),
                section => format!("`[{section}]`"),
            };
            let _ = write!(
                text,
                "{}### {title}\n\n",
                if text.is_empty() { "" } else { "\n" }
            );
            text += &head(&["key", "flag and variables", "default", "meaning"]);
        }
        let names = [format!("--{}", key.flag()), key.variable()];
        let names = names
            .into_iter()
            .chain(key.borrowed.map(str::to_owned))
            .map(|name| code(&name));
        let default = key.default.map_or_else(|| key.without.to_owned(), code);
        let reload = match key.takes {
            Takes::Reload => "SIGHUP changes it.",
            Takes::Restart => "A change needs a restart.",
        };
        let list = match key.shape {
            Shape::Text | Shape::Switch => "",
            Shape::List => " A list; in a flag or a variable its words are separated by blanks.",
        };
        text += &row(&[
            &code(key.name),
            &names.collect::<Vec<_>>().join(" "),
            &default,
            &format!("{}{list} {reload}", key.help.trim()),
        ]);
    }
    let _ = write!(
        text,
        "\nThe file itself is named by `--config` or `{CONFIG}`; without them it is `{}`.\n",
        file::DEFAULT
    );
    text
}

fn reference_of_exits() -> String {
    let row_of = |exit: Exit| {
        row(&[
            &code(&(exit as u8).to_string()),
            exit.meaning().0,
            exit.meaning().1,
        ])
    };
    head(&["code", "in short", "meaning"]) + &Exit::ALL.map(row_of).concat()
}

fn reference_of_files() -> String {
    head(&["path", "what it is"])
        + &files()
            .map(|(path, what)| row(&[&code(&path), what]))
            .concat()
}

/// A help text with the full stop that clap's style leaves out.
fn sentence(text: &str) -> String {
    let ends = text.ends_with(['.', '…', ']']);
    format!("{text}{}", if ends { "" } else { "." })
}

fn head(names: &[&str]) -> String {
    row(names) + &row(&vec!["---"; names.len()])
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

fn project_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn updating() -> bool {
    std::env::var_os("UPDATE_REFERENCE").is_some()
}

/// Compares a file with what it should be, or writes it.
fn settle(path: &str, expected: &str) {
    let path = project_file(path);
    if updating() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == expected,
        "{} does not say what the code does: run the tests once with UPDATE_REFERENCE=1\n{}",
        path.display(),
        first_difference(&found, expected)
    );
}

fn first_difference(found: &str, expected: &str) -> String {
    let mut pairs = found.lines().zip(expected.lines());
    let difference = pairs.find(|(found, expected)| found != expected);
    difference.map_or_else(
        || "one of them is longer".into(),
        |(found, expected)| format!("found:    {found}\nexpected: {expected}"),
    )
}

#[test]
fn the_reference_says_what_the_code_does() {
    let text = std::fs::read_to_string(project_file("REFERENCE.md")).unwrap();
    let (mut rest, mut expected, mut named) = (text.as_str(), String::new(), Vec::new());
    while let Some((before, after)) = rest.split_once("<!-- made from the code: ") {
        let (name, after) = after.split_once(" -->\n").unwrap();
        let (_, after) = after.split_once("<!-- end -->").unwrap();
        let made = parts().into_iter().find(|(part, _)| *part == name);
        let (_, made) =
            made.unwrap_or_else(|| panic!("no code makes the part {name:?} of REFERENCE.md"));
        let _ = write!(
            expected,
            "{before}<!-- made from the code: {name} -->\n\n{made}\n<!-- end -->"
        );
        named.push(name);
        rest = after;
    }
    expected += rest;
    let made: Vec<_> = parts().iter().map(|(name, _)| *name).collect();
    assert_eq!(
        named, made,
        "the parts of REFERENCE.md are not those the code makes"
    );
    settle("REFERENCE.md", &expected);
}

#[test]
fn the_sample_configuration_has_every_key_and_works() {
    settle("../deploy/diogenes.toml", &sample::text());
    // As it is, it changes nothing; with every key in force it is valid.
    let all: String = sample::text()
        .lines()
        .map(|line| {
            match line
                .strip_prefix("# ")
                .filter(|line| keys().any(|key| line.starts_with(&format!("{} = ", key.name))))
            {
                Some(entry) => format!("{entry}\n"),
                None => format!("{line}\n"),
            }
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("diogenes.toml");
    for (text, given) in [
        (sample::text(), 0),
        (all.replace("\"docker\"", "\"root\""), keys().count()),
    ] {
        std::fs::write(&path, text).unwrap();
        let sources = crate::config::Sources {
            file: Some(path.clone()),
            ..Default::default()
        };
        let settings = sources.read().unwrap();
        let from_file =
            |key: &&Key| settings.givens.get(key).source != crate::config::given::Source::Default;
        assert_eq!(keys().filter(from_file).count(), given);
    }
}
