//! `diogenes completion`: scripts that complete commands and flags.

use clap::CommandFactory as _;

use crate::cli::{Cli, Shell};

impl From<Shell> for clap_complete::Shell {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Zsh => Self::Zsh,
            Shell::Fish => Self::Fish,
        }
    }
}

/// The script for a shell.
pub(crate) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(
        clap_complete::Shell::from(shell),
        &mut command,
        name,
        &mut script,
    );
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_script_knows_the_commands_and_no_hidden_one() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["status", "detach", "state-dir", "alerts-webhook"] {
                assert!(script.contains(word), "{shell:?} lacks {word}");
            }
            assert!(
                !script.contains(crate::attendants::attacher::SUBCOMMAND),
                "{shell:?}"
            );
        }
    }

    /// Bash is wherever the tests run; the others' own parsers are asked where they are installed.
    #[test]
    fn the_shells_can_read_their_scripts() {
        for (shell, program) in [
            (Shell::Bash, "bash"),
            (Shell::Zsh, "zsh"),
            (Shell::Fish, "fish"),
        ] {
            let started = Command::new(program)
                .arg("-n")
                .stdin(Stdio::piped())
                .spawn();
            let mut running = match started {
                Ok(running) => running,
                Err(error)
                    if shell != Shell::Bash && error.kind() == std::io::ErrorKind::NotFound =>
                {
                    continue;
                }
                Err(error) => panic!("{program}: {error}"),
            };
            running
                .stdin
                .take()
                .unwrap()
                .write_all(script(shell).as_bytes())
                .unwrap();
            assert!(running.wait().unwrap().success(), "{program}");
        }
    }
}
