//! `diogenes-agent`: the companion inside a container.
//!
//! Only arguments are read here. [`companion`] is the one task that owns what is known; [`session`]s talk to it;
//! [`serve`] puts them together for the ways of running: *attached*, started by the supervisor with its session open,
//! or by the Engine with it on standard input and output, and *unaided*, run by hand or by its image and listening on a
//! socket of its own; such a one goes to the supervisor too where its container lets it ([`dial_in`]). [`client`] asks
//! such a socket, and [`health`] what a container engine wants to know of it; [`place`] is where that socket is.
//! [`init`] is taken before all of this: it starts a container's application,
//! and an unaided companion beside it.

mod client;
mod clock;
mod companion;
mod dial_in;
mod health;
mod init;
mod logs;
mod lookup;
mod own_words;
mod place;
mod serve;
mod session;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
diogenes-agent: the companion inside a container

Usage: diogenes-agent [COMMAND] [--socket PATH]
       diogenes-agent init [-g] [--no-companion] [--] PROGRAM [ARG…]

Commands:
  serve            know what runs here, and answer on the socket (the default)
  ask QUESTION…    put a question to the agent that serves the socket
  status           the same as: ask status
  health [SERVICE] one line, and 0 where it is healthy or degraded, else 1: for HEALTHCHECK
  init PROGRAM…    be a container's first process: run the program, pass signals on, reap
                   orphans, exit as it does (128 and the number where a signal ended it, 127
                   not found, 126 not executable), and keep a companion beside it. As another
                   process than the first, adopt orphans (PR_SET_CHILD_SUBREAPER)

Options of init, which come before PROGRAM:
  -g, --group      signals go to the program's process group, and SIGTERM to what it leaves
  -r FROM:TO       pass signal TO on for FROM, by number; 0 passes none
  -e CODE          exit with 0 where the program exits with CODE
  -p SIGNAL        get this signal when the parent of init ends
  --no-companion   run the program alone

Options:
  --strict         health: degraded is not enough
  --socket PATH    the agent's socket [default: /run/diogenes/agent.sock; where it cannot be
                   made, an abstract socket of the container's own network]
  -h, --help       this text
  -V, --version    the version

Exit codes: 0 done, 1 failed, 2 wrong usage, 69 no agent answers.
";

/// What to do, from the arguments.
enum Task {
    /// Started by the attacher, with the pid of the container's init.
    Attached { init_pid: u32 },
    /// Started by the Engine: the session is standard input and output.
    OnStdio { shared_pids: bool, shared_net: bool },
    /// Run by hand: listen; here and below, None is the usual place.
    Serve(Option<PathBuf>),
    /// Ask the agent that listens.
    Ask(Option<PathBuf>, String),
    /// Say how the container fares, or one service of it.
    Health {
        socket: Option<PathBuf>,
        service: Option<String>,
        strict: bool,
    },
    /// Print a text.
    Print(String),
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|command| command == "init").is_some() {
        return init::run(args);
    }
    match parse(args) {
        Ok(Task::Attached { init_pid }) => serve::attached(init_pid),
        Ok(Task::OnStdio {
            shared_pids,
            shared_net,
        }) => serve::on_stdio(shared_pids, shared_net),
        Ok(Task::Serve(socket)) => serve::unaided(socket.as_deref()),
        Ok(Task::Ask(socket, question)) => client::ask(socket.as_deref(), &question),
        Ok(Task::Health {
            socket,
            service,
            strict,
        }) => health::run(socket.as_deref(), service, strict),
        Ok(Task::Print(text)) => client::print(&text),
        Err(error) => misused(&error),
    }
}

/// Says what is wrong with the arguments.
fn misused(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("diogenes-agent: {why}\nTry: diogenes-agent --help");
    ExitCode::from(2)
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Task, String> {
    let mut socket = None;
    let mut init_pid = 1;
    let mut strict = false;
    let (mut stdio, mut shared_pids, mut shared_net) = (false, false, false);
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = args.next() {
        let arg = arg
            .into_string()
            .map_err(|arg| format!("{} is no UTF-8", arg.display()))?;
        let (option, value) = match arg.split_once('=') {
            Some((option, value)) if arg.starts_with("--") => (option, Some(value)),
            _ => (&*arg, None),
        };
        match (option, value) {
            ("-h" | "--help", None) => return Ok(Task::Print(HELP.to_owned())),
            ("-V" | "--version", None) => return Ok(Task::Print(format!("{}\n", build()))),
            ("--strict", None) => strict = true,
            ("--stdio", None) => stdio = true,
            ("--shared-pids", None) => shared_pids = true,
            ("--shared-net", None) => shared_net = true,
            ("--socket", Some(path)) => socket = Some(path.into()),
            ("--socket", None) => {
                socket = Some(args.next().ok_or("--socket needs a path")?.into());
            }
            ("--init", Some(pid)) => init_pid = pid.parse().map_err(|_| "--init needs a pid")?,
            _ if arg.starts_with('-') => return Err(format!("there is no option {arg}")),
            _ => words.push(arg),
        }
    }
    let mut words = words.iter().map(String::as_str);
    match (words.next(), words.collect::<Vec<_>>().join(" ")) {
        (Some("attached"), rest) if rest.is_empty() && stdio => Ok(Task::OnStdio {
            shared_pids,
            shared_net,
        }),
        (Some("attached"), rest) if rest.is_empty() => Ok(Task::Attached { init_pid }),
        (None | Some("serve"), rest) if rest.is_empty() => Ok(Task::Serve(socket)),
        (Some("status"), rest) if rest.is_empty() => Ok(Task::Ask(socket, "status".to_owned())),
        (Some("health"), service) => Ok(Task::Health {
            socket,
            service: Some(service).filter(|service| !service.is_empty()),
            strict,
        }),
        (Some("ask"), question) if !question.is_empty() => Ok(Task::Ask(socket, question)),
        (Some("ask"), _) => Err("ask what? For example: diogenes-agent ask status".to_owned()),
        (Some(command @ ("attached" | "serve" | "status")), rest) => Err(format!(
            "{command} takes no arguments, but here is \"{rest}\""
        )),
        (command, _) => Err(format!(
            "there is no command \"{}\"",
            command.unwrap_or_default()
        )),
    }
}

/// Name and version, as `hello` and `--version` give them.
fn build() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_stand_anywhere_and_give_their_value_in_either_way() {
        for line in [
            "health --socket /a.sock redis",
            "--socket=/a.sock health redis",
            "health redis --socket /a.sock",
        ] {
            let Ok(Task::Health {
                socket,
                service,
                strict,
            }) = parsed(line)
            else {
                panic!("{line}")
            };
            assert_eq!(socket, Some(PathBuf::from("/a.sock")), "{line}");
            assert_eq!(
                (service.as_deref(), strict),
                (Some("redis"), false),
                "{line}"
            );
        }
        assert!(matches!(parsed(""), Ok(Task::Serve(None))));
        assert!(matches!(
            parsed("attached --init=7"),
            Ok(Task::Attached { init_pid: 7 })
        ));
        assert!(matches!(
            parsed("attached --stdio --shared-net"),
            Ok(Task::OnStdio {
                shared_pids: false,
                shared_net: true
            })
        ));
        assert!(
            matches!(parsed("ask why is it slow?"), Ok(Task::Ask(_, question)) if question == "why is it slow?")
        );
        assert!(matches!(
            parsed("health --strict"),
            Ok(Task::Health {
                service: None,
                strict: true,
                ..
            })
        ));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "dance",
            "status now",
            "ask",
            "--socket",
            "--init=x",
            "--strict=1",
            "-x",
            "serve --loud",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
