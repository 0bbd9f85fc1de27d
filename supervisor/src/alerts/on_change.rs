//! `on_change`: an alert as the start of a local command.
//!
//! The supervisor cannot start it itself: it ignores SIGCHLD, so none of its children can be waited for, and the
//! command would inherit that and could not wait for its own. So it executes itself once more as `diogenes
//! on-change`, and that process ([`helper`](super::helper)) runs the command:
//!
//! ```text
//! supervisor ── stdin: order, one JSON line, then open as long as wanted ──► helper ── stdin: the alert ──► command
//!            ◄──────── stdout: what became of it, one JSON line ────────────        ◄── output, exit ──────
//! ```
//! When the order's pipe closes, be it that the supervisor has died, the helper ends the command and itself.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use diogenes_proto::untrusted::{escape, escape_json};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::alerts::delivery::{Parcel, Receiver, Refusal};
use crate::alerts::helper::{End, GRACE, Order, Outcome};

/// The hidden subcommand that this executable is started with to become the helper.
pub(crate) const SUBCOMMAND: &str = "on-change";

/// How long a command may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// How long the helper may take beyond that before it is taken for dead.
const HELPER_GRACE: Duration = Duration::from_secs(3);
/// Longest line from the helper: the output it keeps may be all escapes.
const MAX_OUTCOME_BYTES: u64 = 64 * 1024;
/// Longest value of a variable, in characters.
const MAX_VALUE_CHARS: usize = 1000;

/// A command to run at each alert.
pub(crate) struct OnChange {
    /// The program and its arguments; not empty.
    argv: Vec<String>,
    deadline: Duration,
    /// This executable.
    helper: PathBuf,
}

impl OnChange {
    /// The command of these words; None where there are none.
    pub(crate) fn new(argv: Vec<String>, deadline: Duration) -> Option<Self> {
        (!argv.is_empty()).then(|| Self {
            argv,
            deadline,
            helper: "/proc/self/exe".into(),
        })
    }

    fn order(&self, parcel: &Parcel) -> serde_json::Result<Order> {
        let data = &parcel.alert.data;
        let variables = [
            ("DIOGENES_CONTAINER", data.container.name.as_str()),
            ("DIOGENES_HEALTH", data.to),
            ("DIOGENES_FROM", data.from.unwrap_or_default()),
            ("DIOGENES_REASON", data.reason.as_raw()),
        ];
        Ok(Order {
            argv: self.argv.clone(),
            variables: variables
                .map(|(name, value)| (name.to_owned(), harmless(value)))
                .into(),
            input: escape_json(&serde_json::to_string(&parcel.alert)?),
            deadline: self.deadline,
        })
    }

    async fn run(&self, parcel: &Parcel) -> io::Result<Outcome> {
        let order = self.order(parcel)?;
        let (their_order, our_order) = io::pipe()?;
        let (our_outcome, their_outcome) = io::pipe()?;
        let mut command = Command::new(&self.helper);
        command.arg(SUBCOMMAND).env_clear().current_dir("/");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .stdin(their_order)
            .stdout(their_outcome)
            .stderr(Stdio::null());
        // Nobody waits for it: the kernel reaps it, and it ends when the order's pipe is closed.
        drop(command.spawn()?);
        // Its ends of the pipes are in the command.
        drop(command);

        let mut our_order = pipe::Sender::from_file(File::from(OwnedFd::from(our_order)))?;
        let our_outcome = pipe::Receiver::from_file(File::from(OwnedFd::from(our_outcome)))?;
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        our_order.write_all(&line).await?;
        let mut outcome = Vec::new();
        our_outcome
            .take(MAX_OUTCOME_BYTES)
            .read_to_end(&mut outcome)
            .await?;
        if outcome.is_empty() {
            return Err(io::Error::other("its helper was killed"));
        }
        // Held until here: closed, it would end the command.
        drop(our_order);
        Ok(serde_json::from_slice(&outcome)?)
    }
}

impl Receiver for OnChange {
    fn take<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), Refusal>> {
        async move {
            let not_ever = |why| Err(Refusal::NotEver { why });
            let program = self.argv.first().map_or("", String::as_str);
            let patience = self.deadline + GRACE + HELPER_GRACE;
            let outcome = match timeout(patience, self.run(parcel)).await {
                Err(_) => return not_ever(format!("{program}: its helper does not end")),
                Ok(Err(error)) => return Err(Refusal::not_now(format!("{program}: {error}"))),
                Ok(Ok(outcome)) => outcome,
            };
            if !outcome.output.is_empty() {
                tracing::debug!("{program} said: {}", escape(&outcome.output));
            }
            match outcome.end {
                End::Exited { code: 0 } => Ok(()),
                // It has run, and was told all; running it again is for the next change.
                End::Exited { code } => not_ever(format!("{program} ended with exit code {code}")),
                End::Killed { signal } => {
                    not_ever(format!("{program} was ended by signal {signal}"))
                }
                End::TooSlow {} => not_ever(format!(
                    "{program} was ended: it took longer than {} s",
                    self.deadline.as_secs()
                )),
                End::NotStarted { why } => not_ever(format!("cannot run {program}: {why}")),
            }
        }
        .boxed()
    }
}

/// A value that no shell script stumbles over: without NUL and control characters, and not endless.
fn harmless(value: &str) -> String {
    value
        .chars()
        .take(MAX_VALUE_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
#[path = "on_change_tests.rs"]
mod tests;
