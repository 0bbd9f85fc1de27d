//! Another Engine beside this machine's, with nothing in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::docker::docker;
use crate::wait_until;

/// An Engine of its own, without networks; it ends with this handle, and with the test's process.
#[derive(Debug)]
pub struct SecondEngine {
    process: Child,
    folder: TempDir,
}

impl SecondEngine {
    /// Starts one.
    ///
    /// # Panics
    /// Where it does not come up; as all functions here, where a program is missing.
    #[track_caller]
    #[must_use = "an Engine ends with its handle"]
    pub fn start() -> Self {
        Self::launch(|_| Command::new("setpriv"), &[])
    }

    /// Starts one whose containers have user namespaces: their root is one of the 65,536 users from 100,000 up, who
    /// are nobody on this host. It takes dockerd, the user `nobody`, and files `/etc/subuid` and `/etc/subgid`, which
    /// stay as they are: only this Engine sees others in their place.
    ///
    /// # Panics
    /// As [`SecondEngine::start`].
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
        let wrap = |folder: &Path| {
            let ranges = folder.join("ranges");
            fs::write(
                &ranges,
                format!("nobody:100000:65536\n{group}:100000:65536\n"),
            )
            .expect("a file of ranges");
            let mut command = Command::new("unshare");
            command
                .args(["--mount", "--propagation=private"])
                .args(["sh", "-c", MOUNT_THEN_EXECUTE])
                .arg(ranges);
            command
        };
        Self::launch(wrap, &[&format!("--userns-remap=nobody:{group}")])
    }

    /// `wrap` gives the command that executes `setpriv` with the arguments that follow.
    #[track_caller]
    fn launch(wrap: impl FnOnce(&Path) -> Command, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The root of remapped users must find its way to what the Engine keeps for it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("its mode");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let log = fs::File::create(path("log")).expect("a log");
        // It ends with this test, also where that is killed.
        let process = wrap(folder.path())
            .args(["--pdeathsig", "TERM", "dockerd"])
            .args(["--host", &format!("unix://{}", path("docker.sock"))])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args([
                "--pidfile",
                &path("pid"),
                "--bridge=none",
                "--log-level=warn",
            ])
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
            ])
            .args(options)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv and unshare are everywhere, and dockerd where Docker's Engine is");
        let engine = Self { process, folder };
        wait_until(Duration::from_secs(60), "a second Engine", || {
            let output = engine.docker(&["version"]);
            output.status.success().then_some(())
        });
        engine
    }

    /// A place for files that go with it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its address, as `DOCKER_HOST` has it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    /// Runs `docker` with `args` against it, to its end.
    #[must_use]
    pub fn docker(&self, args: &[&str]) -> Output {
        let mut command = Command::new("docker");
        command.args(["-H", &self.host()]).args(args);
        command.output().expect("docker runs")
    }

    /// Gives it an image of this machine's Engine.
    ///
    /// # Panics
    /// Where there is none of that name, or it is refused.
    #[track_caller]
    pub fn load(&self, image: &str) {
        let archive = self.path("image.tar").display().to_string();
        docker(&["save", "-o", &archive, image]);
        let output = self.docker(&["load", "-i", &archive]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        fs::remove_file(archive).expect("the archive is removed");
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            eprintln!("--- the second Engine's log:\n{log}");
        }
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}
