//! The command line.

pub(crate) mod attended;
pub(crate) mod client;
pub(crate) mod commands;
pub(crate) mod completion;
pub(crate) mod events;
pub(crate) mod happening;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod manual;
#[cfg(test)]
mod reference;
pub(crate) mod sheet;
pub(crate) mod table;
pub(crate) mod tekton;
pub(crate) mod terminal;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bake::BakeArgs;
use crate::cli::events::EventsArgs;
use crate::cli::history::HistoryArgs;
use crate::cli::logs::LogsArgs;
use crate::cli::tekton::TektonArgs;
use crate::config::environment::{CONFIG, Environment};
use crate::config::flags::Flags;
use crate::config::{Sources, file};
use crate::exit::Exit;

/// Companions for containers: ask a container how it is, and get the plain truth.
#[derive(Debug, Parser)]
#[command(
    name = "diogenes",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = exit_codes()
)]
pub(crate) struct Cli {
    #[arg(long, global = true, value_name = "FILE", help = config_help())]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) everywhere: Flags<true>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do. NAME is a container's name, its companion's name (NAME-container-ci), or the beginning of its id.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Be the supervisor of this host: attend to every container.
    Serve(ServeArgs),
    /// How the containers are, one a line; or one container in full.
    Status(StatusArgs),
    /// Ask a container's companion, in words: status, why, ports, …
    Ask(AskArgs),
    /// What a container writes: stdout, stderr and the log files inside, ordered by time.
    Logs(LogsArgs),
    /// What changed in a container, and when.
    History(HistoryArgs),
    /// What changes in the containers, as it happens, until Ctrl-C.
    Events(EventsArgs),
    /// The companions' names, with their containers' health; or whether each container is attended, and why.
    Ls(LsArgs),
    /// Bring a companion into a container, also one that was detached, or that label or configuration leave out.
    Attach(NameArgs),
    /// Send a container's companion away until it is attached again.
    Detach(NameArgs),
    /// Put the agent into an image of the Engine, as its init: for containers without a supervisor.
    Bake(BakeArgs),
    /// The configuration in force, and where each value comes from; given what `serve` is given.
    Config(ListingArgs),
    /// Whether this host has all that `serve` needs, and what to do where not; changes nothing.
    Doctor(DoctorArgs),
    /// What is done for Tekton by hand.
    Tekton(TektonArgs),
    /// The version of this program.
    Version(JsonArgs),
    /// A completion script for a shell, on standard output.
    Completion(CompletionArgs),
    /// The manual page, as roff, on standard output; or all pages into a directory.
    Man(ManArgs),
}

/// Arguments of `completion`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell.
    pub(crate) shell: Shell,
}

/// The shells that can be helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Writes a page for each command into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) flags: Flags<false>,
}

/// Arguments of what looks at the configuration: `config` and `doctor`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) flags: Flags<false>,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub(crate) struct ListingArgs {
    #[command(flatten)]
    pub(crate) of: ConfigArgs,
    /// A file to start from instead, with every key, each as a comment.
    #[arg(long, conflicts_with = "json")]
    pub(crate) sample: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) of: ConfigArgs,
    /// Instead, what of Tekton works right now: aish, Hermes, Ergon and its files.
    #[arg(long)]
    pub(crate) tekton: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// One container only, in full.
    #[arg(conflicts_with = "format")]
    pub(crate) name: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// As another program would show it: `tekton` as `tekton status` does.
    #[arg(long, conflicts_with = "json")]
    pub(crate) format: Option<Format>,
    /// Again every second, until Ctrl-C.
    #[arg(long)]
    pub(crate) watch: bool,
}

/// Whose habits a status follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Those of `tekton status`.
    Tekton,
}

/// Arguments of `ask`.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// Whom to ask.
    pub(crate) name: String,
    /// The question.
    #[arg(required = true, trailing_var_arg = true)]
    pub(crate) question: Vec<String>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `ls`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LsArgs {
    /// All containers the supervisor knows, also those that have ended: whether a companion is there, who decided that
    /// (hand, label, exclude, include or default, the first that says anything), and why it is or is not there.
    #[arg(long)]
    pub(crate) all: bool,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of what takes nothing but the choice of its form.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct JsonArgs {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of what is done to one container.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Which container.
    pub(crate) name: String,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Cli {
    /// Where this process is told what to do.
    pub(crate) fn sources(&self) -> Sources {
        let serving = match &self.command {
            Command::Serve(args) => args.flags.clone(),
            Command::Config(args) => args.of.flags.clone(),
            Command::Doctor(args) => args.of.flags.clone(),
            _ => Flags::default(),
        };
        Sources {
            everywhere: self.everywhere.clone(),
            serving,
            file: self.config.clone(),
            environment: Environment::of_process(),
        }
    }
}

/// The exit codes in a line.
fn exit_codes() -> String {
    let codes = Exit::ALL.map(|exit| format!("{} {}", exit as u8, exit.meaning().0));
    format!("Exit codes: {}.", codes.join(", "))
}

fn config_help() -> String {
    let default = file::DEFAULT;
    format!("The configuration file [env: {CONFIG}] [default: {default}, where it exists]")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_run_directory_may_stand_anywhere() {
        for line in [
            ["diogenes", "--run-dir", "/r", "ls"],
            ["diogenes", "ls", "--run-dir", "/r"],
        ] {
            let sources = Cli::try_parse_from(line).unwrap().sources();
            assert_eq!(sources.run_dir().unwrap(), PathBuf::from("/r"));
        }
        let line = [
            "diogenes", "ask", "--json", "shop", "why", "is", "it", "-slow?",
        ];
        let Command::Ask(ask) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not ask")
        };
        assert_eq!(
            (ask.name.as_str(), ask.question.join(" "), ask.json),
            ("shop", "why is it -slow?".into(), true)
        );
        assert!(Cli::try_parse_from(["diogenes", "serve", "--engine", "nonsense"]).is_err());
    }
}
