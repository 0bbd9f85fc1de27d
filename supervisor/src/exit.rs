//! How the program ends, for scripts.

use std::fmt;
use std::process::ExitCode;

/// The exit codes, after sysexits(3) where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It did what it was asked to. A reader that closed the pipe early is no failure.
    Ok = 0,
    /// It could not: no such container, an attach that failed.
    Failed = 1,
    /// The command line makes no sense; clap ends with the same code.
    #[expect(
        dead_code,
        reason = "clap ends the process by itself; the code stands here for the reader"
    )]
    Usage = 2,
    /// No supervisor answers (EX_UNAVAILABLE).
    Unreachable = 69,
    /// The configuration cannot work: a busy port or run directory, an address that may not be used (EX_CONFIG).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An end with an exit code and what to tell the user.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) exit: Exit,
    /// What happened and what mends it.
    pub(crate) message: String,
}

impl Failure {
    /// Something asked for could not be done.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            message: message.into(),
        }
    }

    /// No supervisor answers.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Unreachable,
            message: message.into(),
        }
    }

    /// The configuration cannot work.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Config,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit code of an error, and what to print. A broken pipe anywhere in its causes is a silent success.
pub(crate) fn conclude(error: &anyhow::Error) -> (Exit, Option<String>) {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return (Exit::Ok, None);
    }
    let exit = error
        .downcast_ref::<Failure>()
        .map_or(Exit::Failed, |failure| failure.exit);
    (exit, Some(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn every_end_has_its_code() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(
            conclude(&anyhow::Error::from(broken).context("writing")),
            (Exit::Ok, None)
        );
        let config = Err::<(), _>(Failure::config("port 1 is taken"))
            .context("starting")
            .unwrap_err();
        assert_eq!(
            conclude(&config),
            (Exit::Config, Some("starting: port 1 is taken".into()))
        );
        assert_eq!(conclude(&anyhow::anyhow!("no")).0, Exit::Failed);
    }
}
