//! The registrar: a small process that keeps the companions in aish's registry.
//!
//! It is the process that the entries name. aish must be able to signal it, so it runs as the user of aish; with that
//! user's rights alone, nothing they plant in Tekton's folder leads it where they could not go by themselves. And aish
//! may end it: nobody misses it, for the supervisor starts another at once.
//!
//! One for all companions: a process for each would tell by its end which of them was removed, but two hundred of them
//! would cost more than all else. The mark that aish deletes tells that too.
//!
//! It has no runtime and sleeps in poll(2) until there is an order or it is time to look. When the orders' pipe closes,
//! be it that the supervisor has died, it takes its entries out and ends.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use diogenes_linux::signals;
use diogenes_tekton::aish::registrar::SOON;
use diogenes_tekton::aish::{Contact, Notice, Registrar};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// The hidden subcommand that this executable is started with to become the registrar.
pub(crate) const SUBCOMMAND: &str = "aish-registrar";

/// Longest order, in bytes: some ten thousand companions.
const MAX_ORDER_BYTES: usize = 8 << 20;
/// How long it tries to take its entries out at its end.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);

/// Who is to be in which registry: one JSON line each time it changes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Tekton's directory: the first order's counts.
    pub(crate) root: PathBuf,
    /// Whose entries they are: likewise.
    pub(crate) owner: String,
    /// All that are to be reachable.
    pub(crate) contacts: Vec<Contact>,
}

/// Becomes the registrar: what the hidden subcommand runs, before there is any thread. Returns the exit code.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "the registrar of aish failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // SIGTERM ends it at once, as aish expects. Writing to a supervisor that is gone is no reason to leave in a hurry.
    signals::restore_defaults();
    signals::ignore(Signal::PIPE)?;
    // Away from the supervisor's terminal. It fails only for the leader of a group, which this was not made.
    let _ = rustix::process::setsid();
    let mut orders = Orders::default();
    let Some(first) = orders.next()? else {
        return Ok(());
    };
    let mut registrar = Registrar::new(&first.root, &first.owner, std::process::id());
    registrar.give(first.contacts);
    loop {
        let (notices, wait) = registrar.look(Instant::now());
        tell(&notices);
        if !orders.wait(wait)? {
            continue;
        }
        match orders.next()? {
            Some(order) => registrar.give(order.contacts),
            None => break,
        }
    }
    let deadline = Instant::now() + LEAVE_DEADLINE;
    while !registrar.leave(Instant::now()) && Instant::now() < deadline {
        std::thread::sleep(SOON);
    }
    Ok(())
}

/// Tells the supervisor. Where it is gone, nobody wants to know.
fn tell(notices: &[Notice]) {
    let mut stdout = io::stdout().lock();
    for line in notices.iter().flat_map(serde_json::to_string) {
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }
}

/// What comes in on standard input.
#[derive(Default)]
struct Orders {
    read: Vec<u8>,
}

impl Orders {
    /// Waits so long for something to read, or for the end; false where nothing came.
    fn wait(&self, at_most: Duration) -> io::Result<bool> {
        if self.read.contains(&b'\n') {
            return Ok(true);
        }
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let at_most = Timespec {
            tv_sec: at_most.as_secs().cast_signed(),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        Ok(rustix::io::retry_on_intr(|| poll(&mut fds, Some(&at_most)))? > 0)
    }

    /// The next order, once all of it is there; None at the end.
    fn next(&mut self) -> io::Result<Option<Order>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            let mut bytes = [0; 16 * 1024];
            // Past the standard library's buffer, which poll(2) does not see into.
            let length = rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut bytes))?;
            if length == 0 {
                return Ok(None);
            }
            self.read.extend_from_slice(&bytes[..length]);
            if self.read.len() > MAX_ORDER_BYTES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
    }
}
