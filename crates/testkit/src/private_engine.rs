//! A container engine of a test's own: it may be stopped, killed and crowded, and nobody else notices.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::docker::{Client, docker};
use crate::wait_until;

/// How long a daemon may take to come up or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A second `dockerd` with folders of its own, without images, networks or rules of its own in the firewall. When
/// dropped it ends, and its containers with it.
#[derive(Debug)]
pub struct PrivateEngine {
    /// What executes `setpriv`, which executes the daemon: in a network namespace of its own, for a daemon without a
    /// bridge removes the one called docker0 that another has made.
    launcher: Vec<String>,
    options: Vec<String>,
    process: Option<Child>,
    folder: TempDir,
}

impl PrivateEngine {
    /// One that answers, with further options of dockerd.
    ///
    /// # Panics
    /// Where it does not come up: it needs root, and dockerd.
    #[track_caller]
    #[must_use = "an Engine ends with its handle"]
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::launch(folder, &["unshare", "--net", "setpriv"], options)
    }

    /// One whose containers have user namespaces: their root is one of the 65,536 users from 100,000 up, who are nobody
    /// on this host. It takes the user `nobody`, and files `/etc/subuid` and `/etc/subgid`, which stay as they are:
    /// only this Engine sees others in their place.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[track_caller]
    #[must_use = "an Engine ends with its handle"]
    pub fn with_remapped_users() -> Self {
        const MOUNT_THEN_EXECUTE: &str = "set -e\n\
            mount --bind \"$0\" /etc/subuid\n\
            mount --bind \"$0\" /etc/subgid\n\
            exec setpriv \"$@\"";
        let group = Command::new("id").args(["-gn", "nobody"]).output();
        let group = String::from_utf8(group.expect("id").stdout).expect("a group's name");
        let group = group.trim();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ranges = folder.path().join("ranges");
        let range = "100000:65536";
        fs::write(&ranges, format!("nobody:{range}\n{group}:{range}\n")).expect("a file of ranges");
        // The root of remapped users must find its way to what the Engine keeps for it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("its mode");
        let ranges = ranges.display().to_string();
        let mounts = ["unshare", "--net", "--mount", "--propagation=private"];
        let launcher = [&mounts[..], &["sh", "-c", MOUNT_THEN_EXECUTE, &ranges]].concat();
        let remap = format!("--userns-remap=nobody:{group}");
        Self::launch(folder, &launcher, &[&remap])
    }

    #[track_caller]
    fn launch(folder: TempDir, launcher: &[&str], options: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let mut engine = Self {
            launcher: owned(launcher),
            options: owned(options),
            process: None,
            folder,
        };
        engine.resume();
        engine
    }

    /// Starts it again after [`Self::end`], with what it had.
    ///
    /// # Panics
    /// Where it does not come up.
    #[track_caller]
    pub fn resume(&mut self) {
        let path = |name: &str| self.path(name).display().to_string();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(path("log"))
            .expect("a log");
        // It ends with the thread that started it, also where that is killed.
        let process = Command::new(&self.launcher[0])
            .args(&self.launcher[1..])
            .args(["--pdeathsig", "TERM", "dockerd"])
            .args(["--host", &self.host()])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "--bridge=none"])
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
            ])
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv is everywhere, and dockerd where Docker's Engine is");
        self.process = Some(process);
        wait_until(PATIENCE, "an Engine of the test's own", || {
            self.docker(&["version"]).status.success().then_some(())
        });
    }

    /// Ends the daemon with `signal` and waits for that. Its containers end too, unless the signal is SIGKILL or it was
    /// started with `--live-restore`.
    ///
    /// # Panics
    /// Where it does not run, or does not end in time.
    #[track_caller]
    pub fn end(&mut self, signal: Signal) {
        let mut process = self.process.take().expect("a running daemon");
        let containerd_file = self.path("exec/containerd/containerd.pid");
        let containerd = fs::read_to_string(&containerd_file).unwrap_or_default();
        kill_process(Pid::from_child(&process), signal).expect("a living daemon");
        wait_until(PATIENCE, "the daemon to end", || {
            process.try_wait().expect("its status")
        });
        // Its containerd ends with it, but perhaps a moment later: the next daemon would take that one for its own.
        let containerd = Path::new("/proc").join(containerd.trim());
        wait_until(PATIENCE, "its containerd to end", || {
            (!containerd.join("comm").exists()).then_some(())
        });
        let _ = fs::remove_file(containerd_file);
    }

    /// The pid of the daemon.
    ///
    /// # Panics
    /// Where it does not run.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running daemon").id()
    }

    /// A path in its folder, which goes with it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The socket of its API.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("docker.sock")
    }

    /// Its address, as `docker --host` and `diogenes --engine` take it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Runs `docker` with it, the outcome left to the caller.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> Output {
        self.client().attempt(args)
    }

    /// Gives it an image of this machine's Engine, under the same name.
    ///
    /// # Panics
    /// Where either Engine refuses.
    #[track_caller]
    pub fn import(&self, image: &str) {
        let archive = self.path("image.tar");
        let archive_path = archive.to_string_lossy();
        docker(&["save", "-o", &archive_path, image]);
        self.client().run(&["load", "-i", &archive_path]);
    }

    pub(crate) fn client(&self) -> Client {
        Client {
            host: Some(self.host()),
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the last words of the test's own Engine:");
            for line in lines.iter().skip(lines.len().saturating_sub(50)) {
                eprintln!("{line}");
            }
        }
        if self.process.is_none() {
            // Its containers may have outlived it, and only it can end them.
            self.resume();
        }
        let list = self.docker(&["ps", "-aq"]);
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        let ids: Vec<&str> = list.split_whitespace().collect();
        if !ids.is_empty() {
            self.docker(&[&["rm", "-f", "-v"], &ids[..]].concat());
        }
        self.end(Signal::TERM);
    }
}
