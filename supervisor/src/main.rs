//! `diogenes`: the supervisor and the command line to it, in one program. This file only assembles.
//!
//! ```text
//! registry::engine_follower ─► registry ◄─ attendants ─► session ─► the agent in the container
//!                                 │            ▲ attendants::attendance (the rule)
//!                                 ▼            │
//!               api, ci_sockets ◄─ api::view  relay ◄─ questions      dial_in ─► attendants
//!                  ▲
//!                  │     ▲ config: what all of them are told      registry ─► alerts ─► webhook, on_change
//!                  │     registry ─► tekton ─► aish's registry
//!                  └── cli::client ◄─ cli::commands ─► cli::table, cli::sheet (what people read)
//! ```

mod advice;
mod alerts;
mod api;
mod attendants;
mod audit;
mod bake;
mod ci_sockets;
mod cli;
mod config;
mod dial_in;
mod doctor;
mod exit;
#[cfg(test)]
mod fakes;
mod logs;
mod registry;
mod relay;
mod run_dir;
mod serve;
mod session;
mod state_file;
mod supervisor;
mod tekton;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::alerts::{helper, on_change};
use crate::attendants::attacher;
use crate::cli::terminal::Terminal;
use crate::cli::{Cli, Command};
use crate::config::Settings;
use crate::config::reload::{Reloader, SetLogFilter};
use crate::exit::{Exit, Failure};
use crate::tekton::registrar;

fn main() -> ExitCode {
    // Started by `serve` and of no use by hand, so they are no commands that help or completion would show. No thread
    // and no runtime: a process with threads cannot enter a container.
    match std::env::args_os().nth(1) {
        Some(word) if word == attacher::SUBCOMMAND => return attacher::run(),
        Some(word) if word == on_change::SUBCOMMAND => return helper::run(),
        Some(word) if word == registrar::SUBCOMMAND => return registrar::run(),
        _ => {}
    }
    let ended = run(Cli::parse());
    let (exit, message) = ended.map_or_else(|error| exit::conclude(&error), |()| (Exit::Ok, None));
    if let Some(message) = message {
        // Where not even this can be written, the exit code has to do.
        let _ = writeln!(std::io::stderr(), "diogenes: {message}");
    }
    exit.into()
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let sources = cli.sources();
    match cli.command {
        Command::Serve(_) => {
            let settings = sources.read().and_then(Settings::with_secrets);
            let settings = settings.map_err(Failure::from)?;
            let set_log_filter = log_to_stderr(settings.general.log.env_filter());
            for warning in sources.environment.warnings() {
                tracing::warn!("{warning}");
            }
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(serve::run(Reloader::new(sources, settings, set_log_filter)))
        }
        // A client has one thing to do.
        command => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(cli::commands::run(command, &sources)),
    }
}

/// Tells on standard error what passes the filter; what is returned changes the filter.
fn log_to_stderr(filter: EnvFilter) -> SetLogFilter {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(Terminal::stderr().colour)
        .with_filter_reloading();
    let handle = log.reload_handle();
    log.init();
    Box::new(move |filter| {
        // Fails only where the subscriber is gone: with it the log.
        let _ = handle.reload(filter);
    })
}
