//! `diogenes`: the supervisor and the command line to it, in one program. This file only assembles.
//!
//! ```text
//! registry::engine_follower ─► registry ◄─ attendants ─► session ─► the agent in the container
//!                                 │            ▲ attendants::attendance (the rule)
//!                                 ▼            │
//!               api, ci_sockets ◄─ api::view  relay ◄─ questions
//!                  ▲
//!                  └── cli::client ◄─ cli::commands ─► cli::table, cli::sheet (what people read)
//! ```

mod api;
mod attendants;
mod ci_sockets;
mod cli;
mod exit;
#[cfg(test)]
mod fakes;
mod registry;
mod relay;
mod run_dir;
mod serve;
mod session;
mod supervisor;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Attacher) {
        // No thread and no runtime: a process with threads cannot enter a container.
        return attendants::attacher::run();
    }
    let ended = run(cli);
    let (exit, message) = ended.map_or_else(|error| exit::conclude(&error), |()| (Exit::Ok, None));
    if let Some(message) = message {
        // Where not even this can be written, the exit code has to do.
        let _ = writeln!(std::io::stderr(), "diogenes: {message}");
    }
    exit.into()
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { run_dir, command } = cli;
    match command {
        Command::Serve(args) => {
            let config = serve::Config {
                listen: args.listen,
                run_dir,
                state_dir: args.state_dir,
                engine: args.engine,
                agent: args.agent,
            };
            log_to_stderr();
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(serve::run(config))
        }
        // A client has one thing to do.
        command => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(cli::commands::run(command, &run_dir)),
    }
}

/// `RUST_LOG` chooses what is told; without it, what an operator wants to know.
fn log_to_stderr() {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
