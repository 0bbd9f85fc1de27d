//! The commands that talk to a supervisor: ask it, print what it said.

use std::io::Write as _;
use std::time::Duration;

use diogenes_proto::Timestamp;
use diogenes_proto::untrusted::{escape, escape_json};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::api::view::{ContainerView, StatusView};
use crate::bake;
use crate::cli::client::Client;
use crate::cli::history::HistoryArgs;
use crate::cli::sheet::sheet;
use crate::cli::table::table;
use crate::cli::terminal::Terminal;
use crate::cli::{AskArgs, Command, Format, ListingArgs, LsArgs, NameArgs, StatusArgs};
use crate::cli::{attended, completion, events, history, logs, manual, tekton};
use crate::config::{Sources, listing, sample};
use crate::doctor;
use crate::exit::Failure;
use crate::supervisor::Supervisor;

/// How often `--watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How many containers are polled at a time.
const POLLS: usize = 4;

/// Runs one command.
///
/// # Errors
/// A [`Failure`] where the supervisor cannot be reached or refuses; or where nothing can be written.
pub(crate) async fn run(command: Command, sources: &Sources) -> anyhow::Result<()> {
    let client = || Client::new(&sources.run_dir().map_err(Failure::from)?);
    match command {
        Command::Config(args) => config(sources, &args),
        Command::Doctor(args) => {
            let aim = match args.tekton {
                true => doctor::Aim::Tekton,
                false => doctor::Aim::Attending,
            };
            let (text, ending) = doctor::run(sources, aim, args.of.json).await?;
            print(&text)?;
            Ok(ending?)
        }
        Command::Version(args) if args.json => {
            print(&json(&serde_json::json!({"version": Supervisor::VERSION}))?)
        }
        Command::Version(_) => print(&format!("diogenes {}\n", Supervisor::VERSION)),
        Command::Status(args) if args.watch => watch(&client()?, &args).await,
        Command::Status(args) => print(&status(&client()?, &args).await?),
        Command::Ask(args) => ask(&client()?, args).await,
        Command::Logs(args) => logs::logs(&client()?, args).await,
        Command::History(args) => print(&history(&client()?, &args).await?),
        Command::Events(args) => events::events(&client()?, args).await,
        Command::Ls(args) if args.all => {
            let status = client()?.status().await?;
            print(&if args.json {
                json(&attended::list(&status))?
            } else {
                attended::text(&attended::list(&status))
            })
        }
        Command::Ls(args) => print(&list(&client()?.status().await?, args)?),
        Command::Attach(args) => print(&told(&client()?.act(&args.name, "attach").await?, &args)?),
        Command::Detach(args) => print(&told(&client()?.act(&args.name, "detach").await?, &args)?),
        Command::Bake(args) => print(&bake::run(&args, sources).await?),
        Command::Tekton(args) => print(&tekton::run(args, sources).await?),
        Command::Completion(args) => print(&completion::script(args.shell)),
        Command::Man(args) => match &args.out {
            None => print(&manual::page()?),
            Some(directory) => manual::write_all(directory),
        },
        Command::Serve(_) => Err(Failure::failed("this is no client's command").into()),
    }
}

/// What `status` prints.
async fn status(client: &Client, args: &StatusArgs) -> anyhow::Result<String> {
    let (terminal, now) = (Terminal::stdout(), Timestamp::now());
    match &args.name {
        None if args.json => json(&client.status().await?),
        None if args.format == Some(Format::Tekton) => {
            let status = client.status().await?;
            let own = client.poll(None).await?;
            let ids = status
                .containers
                .iter()
                .map(|container| Some(container.id.as_str()));
            let polls = stream::iter(ids.map(|id| client.poll(id)));
            let polled: Vec<_> = polls.buffered(POLLS).try_collect().await?;
            Ok(tekton::table::table(&status, own, &polled, terminal))
        }
        None => Ok(table(&client.status().await?, terminal, now)),
        Some(name) if args.json => {
            // The same shape as for all, so that a script needs to know only one.
            let mut status = client.status().await?;
            let one = client.container(name).await?;
            status.containers = vec![one];
            json(&status)
        }
        Some(name) => Ok(sheet(&client.container(name).await?, terminal, now)),
    }
}

/// What `history` prints.
async fn history(client: &Client, args: &HistoryArgs) -> anyhow::Result<String> {
    let history = history::cut(client.history(&args.name).await?, args.since);
    if args.json {
        return json(&history);
    }
    Ok(history::history(
        &history,
        Terminal::stdout(),
        Timestamp::now(),
    ))
}

/// Prints the status again and again, until Ctrl-C. On a terminal, a supervisor that goes away is waited for.
async fn watch(client: &Client, args: &StatusArgs) -> anyhow::Result<()> {
    let terminal = Terminal::stdout();
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let text = tokio::select! {
            _ = &mut interrupted => return Ok(()),
            text = status(client, args) => text,
        };
        let text = match text {
            Err(error) if terminal.is_terminal => format!("{error}\n"),
            text => text?,
        };
        if terminal.is_terminal {
            // Written over the old text, each line cleared to its end: clearing it all first would flicker.
            print(&format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")))?;
        } else {
            print(&text)?;
        }
        tokio::select! {
            _ = &mut interrupted => return Ok(()),
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
        }
    }
}

async fn ask(client: &Client, args: AskArgs) -> anyhow::Result<()> {
    let view = client.ask(&args.name, args.question.join(" ")).await?;
    if args.json {
        return print(&json(&view)?);
    }
    print(&view.told())
}

/// What `config` prints.
fn config(sources: &Sources, args: &ListingArgs) -> anyhow::Result<()> {
    if args.sample {
        return print(&sample::text());
    }
    for warning in sources.environment.warnings() {
        let _ = writeln!(std::io::stderr(), "diogenes: {warning}");
    }
    let listed = listing::list(&sources.read().map_err(Failure::from)?);
    print(&if args.of.json {
        json(&listed)?
    } else {
        listing::text(&listed)
    })
}

/// What `ls` prints: the companions' names, aligned, with their containers' health.
fn list(status: &StatusView, args: LsArgs) -> anyhow::Result<String> {
    if args.json {
        let name = |container: &ContainerView| serde_json::json!({"ci_name": container.ci_name, "name": container.name, "health": container.health});
        return json(&status.containers.iter().map(name).collect::<Vec<_>>());
    }
    let width = status
        .containers
        .iter()
        .map(|container| container.ci_name.chars().count())
        .max()
        .unwrap_or(0);
    let line = |container: &ContainerView| {
        format!(
            "{:width$}  {}\n",
            escape(&container.ci_name).to_string(),
            container.health
        )
    };
    Ok(status.containers.iter().map(line).collect())
}

/// What `attach` and `detach` print.
fn told(container: &ContainerView, args: &NameArgs) -> anyhow::Result<String> {
    if args.json {
        return json(container);
    }
    Ok(format!(
        "{}: {} ({})\n",
        escape(&container.name),
        container.state,
        escape(&container.reason)
    ))
}

fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(escape_json(&serde_json::to_string_pretty(value)?) + "\n")
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
