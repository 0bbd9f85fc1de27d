//! `diogenes tekton …`: what is done for Tekton by hand.

mod projects;
mod publish;
pub(crate) mod stanza;
pub(crate) mod table;

use clap::{Args, Subcommand};

use crate::config::Sources;

/// Arguments of `tekton`.
#[derive(Debug, Args)]
pub(crate) struct TektonArgs {
    #[command(subcommand)]
    command: TektonCommand,
}

#[derive(Debug, Subcommand)]
enum TektonCommand {
    /// Store a container as a solution in Ergon's registry; the same container again is the same entry.
    Publish(publish::PublishArgs),
    /// The projects of TektonCore, and the containers that belong to each.
    Projects(projects::ProjectsArgs),
    /// What to write into Tekton's files so that `tekton status` shows this supervisor.
    Stanza,
}

/// Runs it; returns what to print.
///
/// # Errors
/// A [`Failure`](crate::exit::Failure) where something it takes is not there, or does not answer.
pub(crate) async fn run(args: TektonArgs, sources: &Sources) -> anyhow::Result<String> {
    match args.command {
        TektonCommand::Publish(args) => publish::run(&args, sources).await,
        TektonCommand::Projects(args) => projects::run(&args, sources).await,
        TektonCommand::Stanza => stanza::run(sources).await,
    }
}
