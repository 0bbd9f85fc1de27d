//! The application: started in a process group of its own, told every signal, and stopped and continued with init.

use std::ffi::{CString, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::ptr::null;

use rustix::io::Errno;
use rustix::process::Pid;

use super::inherited::Inherited;
use super::terminal::Terminal;
use super::{exit, fork, is_first, last_errno};

/// What shells exit with where a program is there but cannot be executed (POSIX, sh, 2.8.2).
const NOT_EXECUTABLE: u8 = 126;
/// What shells exit with where a program is not there.
const NOT_FOUND: u8 = 127;

/// The running application.
#[derive(Debug)]
pub(super) struct Application {
    pid: Pid,
    to_group: bool,
    /// None where there is none, or where init runs in its background.
    terminal: Option<Terminal>,
    /// Init stopped itself because the application was stopped.
    suspended: bool,
}

impl Application {
    /// Starts it.
    ///
    /// # Errors
    /// Where no process can be made.
    pub(super) fn start(
        command: &[OsString],
        to_group: bool,
        inherited: &Inherited,
    ) -> Result<Self, Errno> {
        let terminal = Terminal::in_our_hands();
        let Some(pid) = fork()? else {
            let _ = rustix::process::setpgid(None, None);
            if let Some(terminal) = terminal {
                terminal.give(0);
            }
            inherited.restore();
            exit(explain(command, execute(command)))
        };
        // Here as well: a signal for the group may come before the child has made it. Refused once the child is executed.
        let _ = rustix::process::setpgid(Some(pid), Some(pid));
        Ok(Self {
            pid,
            to_group,
            terminal,
            suspended: false,
        })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Passes a signal on; 0 is none.
    pub(super) fn deliver(&mut self, signal: libc::c_int) {
        if signal == libc::SIGCONT && std::mem::take(&mut self.suspended) {
            // What the terminal's keys stopped is the whole group, and where a shell has put init into the foreground,
            // the group is to be there.
            if let Some(terminal) = self.terminal.filter(Terminal::is_in_our_hands) {
                terminal.give(self.pid.as_raw_pid());
            }
            self.send(true, signal);
        } else {
            self.send(self.to_group, signal);
        }
    }

    /// The application was stopped. For job control init stops as well, so that a shell sees its job stopped and takes
    /// the terminal back. A SIGSTOP is no job control, and the first process of a container has no shell above it.
    pub(super) fn stopped(&mut self, signal: libc::c_int) {
        if is_first() || !matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) {
            return;
        }
        if let Some(terminal) = self.terminal {
            terminal.give(0);
        }
        self.suspended = true;
        // SAFETY: numbers only. The SIGCONT that ends the stop is awaited like every signal.
        unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
    }

    /// The application has ended: what is left of its group is told to end, where signals are the whole group's.
    pub(super) fn dismiss(&self) {
        if self.to_group {
            self.send(true, libc::SIGTERM);
        }
    }

    fn send(&self, to_group: bool, signal: libc::c_int) {
        let pid = self.pid.as_raw_pid();
        // SAFETY: numbers only. That nobody is left to be told is no failure; the pid is not given to another process
        // before init has reaped it, and a group's not before its last member is gone.
        unsafe { libc::kill(if to_group { -pid } else { pid }, signal) };
    }
}

/// Becomes the application; returns only where that fails. What is neither ELF nor begins with `#!` is the shell's
/// (POSIX, execvp).
fn execute(command: &[OsString]) -> Errno {
    // Arguments came from a command line: none can hold a zero.
    let terminated = |text: &OsString| CString::new(text.as_bytes()).unwrap_or_default();
    let args: Vec<CString> = command.iter().map(terminated).collect();
    // Room for a shell in front, and for the null that ends the list.
    let mut argv = vec![c"/bin/sh".as_ptr()];
    argv.extend(args.iter().map(|arg| arg.as_ptr()));
    argv.push(null());
    let program = argv[1..].as_ptr();
    // SAFETY: the arguments are C strings that live until the call's end, there is at least one, and the list ends with
    // null. The environment is the one this program was given: nothing here changes it.
    unsafe { libc::execvp(*program, program) };
    let failure = last_errno();
    if failure == Errno::NOEXEC {
        // SAFETY: as above.
        unsafe { libc::execv(argv[0], argv.as_ptr()) };
    }
    failure
}

/// Says why the application does not run, and returns what to exit with.
fn explain(command: &[OsString], errno: Errno) -> u8 {
    let program = command.first().cloned().unwrap_or_default();
    let program = program.display();
    // Nobody may be reading.
    let _ = writeln!(
        std::io::stderr(),
        "diogenes-agent: cannot run {program}: {errno}"
    );
    match errno {
        Errno::NOENT => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    }
}
