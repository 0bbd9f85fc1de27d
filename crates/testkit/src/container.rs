//! A real container for the length of a test.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::docker::{attempt, docker};
use crate::{Engine, SecondEngine, run_id};

/// What a container is to be like. Docker's defaults hold for all that is not said.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Words before each command of `docker`; none for this machine's Engine.
    engine: Vec<String>,
    image: String,
    name: String,
    options: Vec<String>,
    args: Vec<String>,
}

impl ContainerSpec {
    /// In another Engine than this machine's, which has the image.
    #[must_use]
    pub fn on(mut self, engine: &SecondEngine) -> Self {
        self.engine = vec!["-H".to_owned(), engine.host()];
        self
    }

    /// An option of `docker run`, such as `--pid=host`.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// A name of its own instead of a generated one.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Arguments of the image's entrypoint.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The program to run instead of the image's.
    #[must_use]
    pub fn entrypoint(self, program: &str) -> Self {
        self.option(format!("--entrypoint={program}"))
    }

    /// The user of the container's processes, as a name or uid.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.option(format!("--user={user}"))
    }

    /// A root file system that cannot be written.
    #[must_use]
    pub fn read_only(self) -> Self {
        self.option("--read-only")
    }

    /// One more capability: `SYS_PTRACE`.
    #[must_use]
    pub fn cap_add(self, capability: &str) -> Self {
        self.option(format!("--cap-add={capability}"))
    }

    /// One capability less; `ALL` for none at all.
    #[must_use]
    pub fn cap_drop(self, capability: &str) -> Self {
        self.option(format!("--cap-drop={capability}"))
    }

    /// `none`, `host`, `bridge`, or `container:NAME`. The default here is `none`: few tests need a network, and the
    /// engine's default one may be sick.
    #[must_use]
    pub fn network(self, network: &str) -> Self {
        self.option(format!("--network={network}"))
    }

    /// The limit of its memory, swap included.
    #[must_use]
    pub fn memory_mib(self, mib: u32) -> Self {
        self.option(format!("--memory={mib}m"))
            .option(format!("--memory-swap={mib}m"))
    }

    /// A label.
    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.option(format!("--label={key}={value}"))
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(self, name: &str, value: &str) -> Self {
        self.option(format!("--env={name}={value}"))
    }

    /// Starts it.
    ///
    /// # Panics
    /// Where the Engine refuses.
    #[track_caller]
    #[must_use = "a container ends with its handle"]
    pub fn run(self) -> Container {
        self.launch("run", &["-d"])
    }

    /// Creates it without starting it.
    ///
    /// # Panics
    /// Where the Engine refuses.
    #[track_caller]
    #[must_use = "a container ends with its handle"]
    pub fn create(self) -> Container {
        self.launch("create", &[])
    }

    #[track_caller]
    fn launch(self, command: &str, flags: &[&str]) -> Container {
        Engine::require();
        let mut words = self.engine.clone();
        words.push(command.to_owned());
        words.extend(flags.iter().map(|&flag| flag.to_owned()));
        words.push(format!("--name={}", self.name));
        words.push(format!("--label={}={}", run_id::LABEL, run_id::own()));
        if !self
            .options
            .iter()
            .any(|option| option.starts_with("--network="))
        {
            words.push("--network=none".to_owned());
        }
        words.extend(self.options);
        words.push(self.image);
        words.extend(self.args);
        // The handle comes first: a container that was created but refused to start is removed as well.
        let mut container = Container {
            engine: self.engine,
            id: String::new(),
            name: self.name,
        };
        container.id = docker(&words);
        container
    }
}

/// A container of a test; removed, with its volumes, when dropped.
#[derive(Debug)]
pub struct Container {
    engine: Vec<String>,
    id: String,
    name: String,
}

impl Container {
    /// A container of `image`, yet to be described and started.
    #[must_use]
    pub fn of(image: impl Into<String>) -> ContainerSpec {
        let image = image.into();
        let hint = image
            .rsplit('/')
            .next()
            .and_then(|tail| tail.split(':').next())
            .unwrap_or_default();
        let name = run_id::unique_name(hint);
        ContainerSpec {
            engine: Vec::new(),
            image,
            name,
            options: Vec::new(),
            args: Vec::new(),
        }
    }

    /// The 64 hexadecimal digits by which the Engine knows it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name, without a slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host's pid of its first process; 0 where it does not run.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inspect("{{.State.Pid}}").parse().expect("a pid")
    }

    /// One fact of `docker inspect`, by its Go template.
    #[track_caller]
    #[must_use]
    pub fn inspect(&self, template: &str) -> String {
        self.docker(&[
            "inspect",
            "--type=container",
            "--format",
            template,
            &self.id,
        ])
    }

    /// All of `docker inspect`.
    #[track_caller]
    #[must_use]
    pub fn inspect_all(&self) -> Value {
        serde_json::from_str(&self.inspect("{{json .}}")).expect("JSON of docker inspect")
    }

    /// Runs a program inside, to its end.
    #[track_caller]
    pub fn exec(&self, command: &[&str]) -> Output {
        self.attempt(&[&["exec", &self.id], command].concat())
    }

    /// Runs a script of the container's own shell, as root, and returns what it printed.
    ///
    /// # Panics
    /// Where it ends with an error.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.docker(&["exec", "--user=0", &self.id, "sh", "-c", script])
    }

    /// What changed in its file system, as `docker diff` has it; empty where nothing did.
    #[track_caller]
    #[must_use]
    pub fn diff(&self) -> String {
        self.docker(&["diff", &self.id])
    }

    /// Its processes, as `docker top` has them.
    #[track_caller]
    #[must_use]
    pub fn top(&self) -> String {
        self.docker(&["top", &self.id])
    }

    /// What it wrote to stdout and stderr.
    #[track_caller]
    #[must_use]
    pub fn logs(&self) -> String {
        let output = self.attempt(&["logs", &self.id]);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// `docker stop`, and how long that took.
    #[track_caller]
    pub fn stop(&self) -> Duration {
        let start = Instant::now();
        self.order("stop");
        start.elapsed()
    }

    #[track_caller]
    fn docker(&self, args: &[&str]) -> String {
        docker(&self.words(args))
    }

    #[track_caller]
    fn attempt(&self, args: &[&str]) -> Output {
        attempt(&self.words(args))
    }

    fn words<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let engine = self.engine.iter().map(String::as_str);
        engine.chain(args.iter().copied()).collect()
    }

    /// An order of one word: `start`, `restart`, `kill`, `pause`, `unpause`.
    #[track_caller]
    pub fn order(&self, word: &str) {
        self.docker(&[word, &self.id]);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.id.is_empty() {
            eprintln!("--- {} wrote:\n{}", self.name, self.logs());
        }
        self.attempt(&["rm", "-f", "-v", &self.name]);
    }
}
