//! `diogenes-agent`: the companion inside a container.
//!
//! Only arguments are read here. [`companion`] is the one task that owns what is known; [`session`]s talk to it;
//! [`serve`] puts them together for the two ways of running: *attached*, started by the supervisor with its session
//! open, and *unaided*, run by hand and listening on a socket of its own. [`client`] asks such a socket.

mod client;
mod companion;
mod logs;
mod serve;
mod session;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

/// Where an agent listens that was not brought in by a supervisor.
const DEFAULT_SOCKET: &str = "/run/diogenes/agent.sock";

const HELP: &str = "\
diogenes-agent: the companion inside a container

Usage: diogenes-agent [COMMAND] [--socket PATH]

Commands:
  serve            know what runs here, and answer on the socket (the default)
  ask QUESTION…    put a question to the agent that serves the socket
  status           the same as: ask status

Options:
  --socket PATH    the agent's socket [default: /run/diogenes/agent.sock]
  -h, --help       this text
  -V, --version    the version

Exit codes: 0 done, 1 failed, 2 wrong usage, 69 no agent answers.
";

/// What to do, from the arguments.
enum Task {
    /// Started by the attacher, with the pid of the container's init.
    Attached { init_pid: u32 },
    /// Run by hand: listen.
    Serve(PathBuf),
    /// Ask the agent that listens.
    Ask(PathBuf, String),
    /// Print a text.
    Print(String),
}

fn main() -> ExitCode {
    match parse() {
        Ok(Task::Attached { init_pid }) => serve::attached(init_pid),
        Ok(Task::Serve(socket)) => serve::unaided(&socket),
        Ok(Task::Ask(socket, question)) => client::ask(&socket, &question),
        Ok(Task::Print(text)) => client::print(&text),
        Err(error) => {
            eprintln!("diogenes-agent: {error}\nTry: diogenes-agent --help");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<Task, lexopt::Error> {
    let mut args = lexopt::Parser::from_env();
    let mut socket = PathBuf::from(DEFAULT_SOCKET);
    let mut init_pid = 1;
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Task::Print(HELP.to_owned())),
            Short('V') | Long("version") => return Ok(Task::Print(format!("{}\n", build()))),
            Long("socket") => socket = args.value()?.into(),
            Long("init") => init_pid = args.value()?.parse()?,
            Value(word) => words.push(word.string()?),
            _ => return Err(arg.unexpected()),
        }
    }
    let mut words = words.iter().map(String::as_str);
    match (words.next(), words.collect::<Vec<_>>().join(" ")) {
        (Some("attached"), rest) if rest.is_empty() => Ok(Task::Attached { init_pid }),
        (None | Some("serve"), rest) if rest.is_empty() => Ok(Task::Serve(socket)),
        (Some("status"), rest) if rest.is_empty() => Ok(Task::Ask(socket, "status".to_owned())),
        (Some("ask"), question) if !question.is_empty() => Ok(Task::Ask(socket, question)),
        (Some("ask"), _) => Err("ask what? For example: diogenes-agent ask status".into()),
        (Some(command @ ("attached" | "serve" | "status")), rest) => {
            Err(format!("{command} takes no arguments, but here is \"{rest}\"").into())
        }
        (command, _) => {
            Err(format!("there is no command \"{}\"", command.unwrap_or_default()).into())
        }
    }
}

/// Name and version, as `hello` and `--version` give them.
fn build() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
