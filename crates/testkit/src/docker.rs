//! The Engine as people use it: through its command line client, so that no test leans on the library under test.

use std::process::{Command, Output, Stdio};

/// Runs `docker` with `args` and returns what it printed, without the line end.
///
/// # Panics
/// Where the client cannot be run or ends with an error: its words are in the message.
#[track_caller]
pub fn docker<S: AsRef<str>>(args: &[S]) -> String {
    Client::default().run(args)
}

/// As [`docker`], the outcome left to the caller.
#[track_caller]
pub(crate) fn attempt<S: AsRef<str>>(args: &[S]) -> Output {
    Client::default().attempt(args)
}

/// The client, and whom it talks to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// The Engine's address, as `--host` takes it; None for the one of this machine.
    pub(crate) host: Option<String>,
}

impl Client {
    /// As [`docker`].
    #[track_caller]
    pub(crate) fn run<S: AsRef<str>>(&self, args: &[S]) -> String {
        let output = self.attempt(args);
        assert!(
            output.status.success(),
            "docker {}: {}{}",
            words(args),
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// As [`attempt`].
    #[track_caller]
    pub(crate) fn attempt<S: AsRef<str>>(&self, args: &[S]) -> Output {
        let mut command = Command::new("docker");
        if let Some(host) = &self.host {
            command.args(["--host", host]);
        }
        command
            .args(args.iter().map(AsRef::as_ref))
            .env("DOCKER_BUILDKIT", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("docker {}: {error}", words(args)))
    }
}

fn words<S: AsRef<str>>(args: &[S]) -> String {
    args.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ")
}
