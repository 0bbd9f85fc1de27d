//! The command line.

pub(crate) mod client;
pub(crate) mod commands;
pub(crate) mod sheet;
pub(crate) mod table;
pub(crate) mod terminal;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use diogenes_engine::Endpoint;

use crate::run_dir;

/// Companions for containers: ask a container how it is, and get the plain truth.
#[derive(Debug, Parser)]
#[command(
    name = "diogenes",
    version,
    about,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 69 no supervisor answers, 78 the configuration cannot work."
)]
pub(crate) struct Cli {
    /// Directory of the supervisor's sockets.
    #[arg(long, global = true, value_name = "DIR", env = "DIOGENES_RUN_DIR", default_value = run_dir::DEFAULT)]
    pub(crate) run_dir: PathBuf,
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
    /// The companions' names, with their containers' health.
    Ls,
    /// Bring a companion into a container, also one that was detached.
    Attach(NameArgs),
    /// Send a container's companion away until it is attached again.
    Detach(NameArgs),
    /// The version of this program.
    Version,
    /// Be the process that enters containers: started by `serve`, of no use by hand.
    #[command(name = crate::attendants::attacher::SUBCOMMAND, hide = true)]
    Attacher,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Loopback address for HTTP, for looking and asking only.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4120")]
    pub(crate) listen: SocketAddr,
    /// Directory of what is remembered over restarts.
    #[arg(
        long,
        value_name = "DIR",
        env = "DIOGENES_STATE_DIR",
        default_value = "/var/lib/diogenes"
    )]
    pub(crate) state_dir: PathBuf,
    /// The Engine: a socket's path, unix://PATH, tcp://HOST:PORT or http://HOST:PORT.
    #[arg(long, value_name = "URL|PATH", env = "DOCKER_HOST", default_value = Endpoint::DEFAULT)]
    pub(crate) engine: Endpoint,
    /// The agent's program; by default the one beside this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) agent: Option<PathBuf>,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// One container only, in full.
    pub(crate) name: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Again every second, until Ctrl-C.
    #[arg(long)]
    pub(crate) watch: bool,
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

/// Arguments of what is done to one container.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Which container.
    pub(crate) name: String,
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
            assert_eq!(
                Cli::try_parse_from(line).unwrap().run_dir,
                PathBuf::from("/r")
            );
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
