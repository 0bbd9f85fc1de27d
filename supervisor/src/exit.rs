//! How the program ends, for scripts.

use std::fmt;
use std::process::ExitCode;

use crate::config::given::Mistakes;

/// The exit codes, after sysexits(3) where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// It could not be done.
    Failed = 1,
    /// Wrong usage; clap ends with the same code.
    Usage = 2,
    /// No supervisor answers (EX_UNAVAILABLE).
    Unreachable = 69,
    /// The configuration cannot work (EX_CONFIG).
    Config = 78,
}

impl Exit {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::Config,
    ];

    /// What it means, in a few words, and in full: the text of the help, the man page and the reference.
    pub(crate) const fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Self::Ok => (
                "done",
                "it did what it was asked to; a reader that closed the pipe early is no failure",
            ),
            Self::Failed => (
                "failed",
                "it could not be done: no such container, an attach that failed, an answer that cannot be had",
            ),
            Self::Usage => ("wrong usage", "the command line makes no sense"),
            Self::Unreachable => (
                "no supervisor answers",
                "no supervisor answers at the run directory's socket, or it may not be opened",
            ),
            Self::Config => (
                "the configuration cannot work",
                "a mistake in flags, variables or the file; a busy port or run directory; an address that may not be used",
            ),
        }
    }
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
    /// What happened and what mends it; empty where that was told already.
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

    /// What was asked for came out badly, and was told already.
    pub(crate) fn told() -> Self {
        Self::failed("")
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

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::config(mistakes.to_string())
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
    let message = format!("{error:#}");
    (exit, (!message.is_empty()).then_some(message))
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
        assert_eq!(conclude(&Failure::told().into()), (Exit::Failed, None));
    }
}
