//! The helper: a small process between the supervisor and a command of the user's, which it can wait for.
//!
//! It has no runtime and sleeps in one poll(2) over the command's end, its output, the supervisor's end and the
//! deadline. The command is in a process group of its own, so that what it starts ends with it when it must.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead as _, BufReader, PipeReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use diogenes_linux::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::{Deserialize, Serialize};

/// How long a command may take to end after SIGTERM.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// Longest order.
const MAX_ORDER_BYTES: u64 = 1 << 20;
/// How much of the output is kept: its end, where programs say why they failed.
const KEPT_OUTPUT_BYTES: usize = 4096;

/// What to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// What its environment has besides this process's own.
    pub(crate) variables: BTreeMap<String, String>,
    /// What it reads on standard input.
    pub(crate) input: String,
    /// How long it may take.
    pub(crate) deadline: Duration,
}

/// What became of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// How it ended.
    #[serde(flatten)]
    pub(crate) end: End,
    /// The last of what it wrote to standard output and standard error.
    pub(crate) output: String,
}

/// How a command ended.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub(crate) enum End {
    /// By itself.
    Exited { code: i32 },
    /// By a signal.
    Killed { signal: i32 },
    /// It was ended at its deadline.
    TooSlow {},
    /// It could not be started.
    NotStarted { why: String },
}

/// Becomes the helper: what the hidden subcommand runs, before there is any thread. Returns the exit code.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "the helper of on_change failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // What the supervisor ignores, its children would: this process could not wait, nor could the command. Writing
    // to a command that does not read is no reason to end, and the standard library gives children SIGPIPE back.
    signals::restore_defaults();
    signals::ignore(Signal::PIPE)?;
    // Away from the supervisor's terminal. It fails only for the leader of a group, which this was not made.
    let _ = rustix::process::setsid();
    let mut line = String::new();
    BufReader::new(io::stdin().take(MAX_ORDER_BYTES)).read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    let outcome = match start(&order) {
        Ok(running) => running.watch(order.deadline)?,
        Err(error) => Some(Outcome {
            end: End::NotStarted {
                why: error.to_string(),
            },
            output: String::new(),
        }),
    };
    // Where the supervisor is gone, nobody wants to know.
    if let Some(outcome) = outcome {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&serde_json::to_vec(&outcome)?)?;
        stdout.flush()?;
    }
    Ok(())
}

/// A command that runs.
struct Running {
    child: Child,
    group: Pid,
    process: OwnedFd,
    output: PipeReader,
    kept: VecDeque<u8>,
}

fn start(order: &Order) -> io::Result<Running> {
    let Some((program, arguments)) = order.argv.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (output, writer) = io::pipe()?;
    ioctl_fionbio(&output, true)?;
    let (reader, mut input) = io::pipe()?;
    let text = order.input.clone();
    // A thread, because the command may never read; it ends with this process.
    std::thread::Builder::new().spawn(move || input.write_all(text.as_bytes()))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(&order.variables)
        .current_dir("/")
        .process_group(0)
        .stdin(reader)
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let child = command.spawn()?;
    // Closes this process's copies of the command's ends.
    drop(command);
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let group = group.ok_or(io::ErrorKind::InvalidData)?;
    let process = pidfd_open(group, PidfdFlags::empty())?;
    Ok(Running {
        child,
        group,
        process,
        output,
        kept: VecDeque::new(),
    })
}

impl Running {
    /// Waits for the command's end, or brings it about; None where the supervisor does not want it any more.
    fn watch(mut self, deadline: Duration) -> io::Result<Option<Outcome>> {
        let mut deadline = Instant::now() + deadline;
        let mut too_slow = false;
        let mut silent = false;
        loop {
            let stdin = io::stdin();
            // No event is asked for on standard input: the supervisor writes nothing more, and its end always counts.
            let mut fds = vec![
                PollFd::new(&self.process, PollFlags::IN),
                PollFd::new(&stdin, PollFlags::empty()),
            ];
            if !silent {
                fds.push(PollFd::new(&self.output, PollFlags::IN));
            }
            let rest =
                deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            let rest = Timespec {
                tv_sec: rest.as_secs().cast_signed(),
                tv_nsec: rest.subsec_nanos().into(),
            };
            rustix::io::retry_on_intr(|| poll(&mut fds, Some(&rest)))?;
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            silent |= ready.get(2) == Some(&true) && !self.read()?;
            if ready[0] {
                let status = self.child.wait()?;
                self.read()?;
                if too_slow {
                    // What it started and left behind ends too.
                    self.signal(Signal::KILL);
                }
                return Ok(Some(self.outcome(status, too_slow)));
            }
            if ready[1] {
                self.end()?;
                return Ok(None);
            }
            if Instant::now() >= deadline {
                self.signal(if too_slow { Signal::KILL } else { Signal::TERM });
                too_slow = true;
                deadline = Instant::now() + GRACE;
            }
        }
    }

    /// Ends the command, giving it a moment to do so by itself.
    fn end(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM);
        let mut fds = [PollFd::new(&self.process, PollFlags::IN)];
        let grace = Timespec {
            tv_sec: GRACE.as_secs().cast_signed(),
            tv_nsec: 0,
        };
        rustix::io::retry_on_intr(|| poll(&mut fds, Some(&grace)))?;
        self.signal(Signal::KILL);
        self.child.wait().map(drop)
    }

    /// Signals the command and all it started. The group may have ended by itself.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }

    /// Reads what there is to read; false at the end of the output.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 16 * 1024];
        // So many times and no more: a command that never stops talking still has a deadline.
        for _ in 0..16 {
            match self.output.read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.kept.extend(&bytes[..length]);
                    let surplus = self.kept.len().saturating_sub(KEPT_OUTPUT_BYTES);
                    self.kept.drain(..surplus);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn outcome(mut self, status: ExitStatus, too_slow: bool) -> Outcome {
        let end = match (status.code(), status.signal()) {
            _ if too_slow => End::TooSlow {},
            (Some(code), _) => End::Exited { code },
            (None, signal) => End::Killed {
                signal: signal.unwrap_or_default(),
            },
        };
        let output = String::from_utf8_lossy(self.kept.make_contiguous());
        Outcome {
            end,
            output: output.trim().to_owned(),
        }
    }
}
