//! A real supervisor for the length of a test, with folders and a port of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{PrivateEngine, dist, http, wait_until};

/// How long a supervisor may take to come up or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a supervisor is to be started.
#[derive(Debug, Default)]
pub struct SupervisorSpec {
    args: Vec<String>,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
    folder: Option<TempDir>,
}

impl SupervisorSpec {
    /// One more argument of `diogenes serve`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A command that confines itself and then executes it: `setpriv` and its options.
    #[must_use]
    pub fn wrapper<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.wrapper = words.into_iter().map(Into::into).collect();
        self
    }

    /// Another Engine than this machine's.
    #[must_use]
    pub fn engine(self, engine: &PrivateEngine) -> Self {
        self.arg(format!("--engine={}", engine.host()))
    }

    /// The folders of an earlier supervisor, as [`Supervisor::end`] gave them back.
    #[must_use]
    pub fn folder(mut self, folder: TempDir) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// Where it ends or does not answer in time: its log is printed.
    #[track_caller]
    #[must_use = "a supervisor ends with its handle"]
    pub fn start(self) -> Supervisor {
        let folder = self
            .folder
            .unwrap_or_else(|| tempfile::tempdir().expect("a temporary folder"));
        let run_dir = folder.path().join("run");
        let log = folder.path().join("serve.log");
        let port = free_port();
        let words = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log file");
        let program = dist("diogenes").into_os_string();
        let mut line = self.wrapper.into_iter().map(Into::into).chain([program]);
        let mut command = Command::new(line.next().expect("at least the program"));
        let child = command
            .args(line)
            .arg("serve")
            // As variables, so that a test may give flags of its own.
            .env("DIOGENES_RUN_DIR", &run_dir)
            .env("DIOGENES_STATE_DIR", folder.path().join("state"))
            .env("DIOGENES_LISTEN", format!("127.0.0.1:{port}"))
            .args(self.args)
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(words.try_clone().expect("a second handle of the log"))
            .stderr(words)
            .spawn()
            .expect("diogenes serve");
        let mut supervisor = Supervisor {
            child,
            folder: Some(folder),
            run_dir,
            log,
            port,
        };
        wait_until(PATIENCE, "the supervisor to answer", || {
            if let Some(status) = supervisor
                .child
                .try_wait()
                .expect("the supervisor's status")
            {
                panic!("the supervisor ended at its start: {status}");
            }
            UnixStream::connect(supervisor.api_socket()).ok()
        });
        supervisor
    }
}

/// A running `diogenes serve`. When dropped it is asked to end, then made to; on a failed test its log is printed.
#[derive(Debug)]
pub struct Supervisor {
    child: Child,
    folder: Option<TempDir>,
    run_dir: PathBuf,
    log: PathBuf,
    port: u16,
}

impl Supervisor {
    /// A supervisor yet to be described and started.
    #[must_use]
    pub fn spec() -> SupervisorSpec {
        SupervisorSpec::default()
    }

    /// A supervisor with nothing said about it.
    ///
    /// # Panics
    /// As [`SupervisorSpec::start`].
    #[track_caller]
    #[must_use = "a supervisor ends with its handle"]
    pub fn start() -> Self {
        Self::spec().start()
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its loopback TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its sockets.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// The socket its clients talk HTTP over.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.run_dir.join("api.sock")
    }

    /// All it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs `diogenes` with `args` against it, to its end.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Output {
        Command::new(dist("diogenes"))
            .args(args)
            .env("DIOGENES_RUN_DIR", &self.run_dir)
            .stdin(Stdio::null())
            .output()
            .expect("diogenes")
    }

    /// Runs `diogenes` with `args` and returns what it printed, without the line end.
    ///
    /// # Panics
    /// Where it ends with an error.
    #[track_caller]
    pub fn words(&self, args: &[&str]) -> String {
        let output = self.cli(args);
        assert!(
            output.status.success(),
            "diogenes {}: {output:?}",
            args.join(" ")
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// `diogenes status --json`.
    #[track_caller]
    #[must_use]
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.words(&["status", "--json"])).expect("JSON of the status")
    }

    /// What it knows of the container `name`; None where it knows none of that name.
    #[track_caller]
    #[must_use]
    pub fn container(&self, name: &str) -> Option<Value> {
        self.status()["containers"]
            .as_array()?
            .iter()
            .find(|container| container["name"] == name)
            .cloned()
    }

    /// Waits until what it knows of the container `name` satisfies `wanted`, and returns that with the time it took.
    ///
    /// # Panics
    /// When the deadline passes: what it knew last is printed.
    #[track_caller]
    pub fn wait_for(
        &self,
        name: &str,
        deadline: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> (Value, Duration) {
        let mut last = None;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(deadline, &format!("{name}: {what}"), || {
                last = self.container(name);
                last.clone().filter(&wanted)
            })
        }));
        outcome.unwrap_or_else(|panic| {
            eprintln!("--- last known of {name}:\n{:#}", last.unwrap_or_default());
            std::panic::resume_unwind(panic)
        })
    }

    /// `diogenes ask NAME QUESTION`: the answer in words.
    ///
    /// # Panics
    /// Where it ends with an error.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, name: &str, question: &str) -> String {
        self.words(&["ask", name, question])
    }

    /// One HTTP exchange over its socket: the status code and the body. `body` is sent as JSON where there is one.
    ///
    /// # Panics
    /// Where the socket refuses, or what comes back is not HTTP.
    #[track_caller]
    pub fn http(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        http(&self.api_socket(), method, path, body)
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// Where it has ended.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a living supervisor");
    }

    /// Ends it with `signal` and returns its folders, from which another can be started.
    ///
    /// # Panics
    /// Where it does not end in time.
    #[track_caller]
    pub fn end(mut self, signal: Signal) -> TempDir {
        self.signal(signal);
        wait_until(PATIENCE, "the supervisor to end", || {
            self.child.try_wait().expect("its status")
        });
        self.folder.take().expect("folders until the end")
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the supervisor's log:\n{}", self.log());
        }
        // A reaped child's pid may be another's already: only one that still runs is signalled.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // A stopped supervisor cannot end before it goes on.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = kill_process(Pid::from_child(&self.child), Signal::CONT);
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("--- the supervisor did not end within 5 s of SIGTERM and was killed");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback TCP port nobody listens on at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
