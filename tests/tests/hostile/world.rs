//! A supervisor with an innocent container, and how one sees that both are as they were.

use std::fs;
use std::time::Duration;

use diogenes_testkit::{
    Container, ContainerSpec, PrivateEngine, Supervisor, listener_image, wait_until,
};
use diogenes_tests::{SOON, agent_in, attacher_of, children_of, is_gone, status_of};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a supervisor may have taken of memory at its worst moment (`VmHWM`), in KiB: three times what it takes with
/// nobody to harm it.
const PEAK_KIB: u64 = 64 * 1024;
/// In the supervisor's environment, and nobody else's affair.
pub(crate) const SECRET: &str = "SECRET_OF_THE_SUPERVISOR";
/// So long nothing is opened or closed where nothing happens: sockets on the host come a moment after a container.
const SETTLED: Duration = Duration::from_millis(400);
/// Idle connections to the Engine that a supervisor may keep for the next time. Every test here opens many more.
const KEPT: usize = 16;
/// Questions to the neighbour, all of which must be answered.
const QUESTIONS: usize = 20;

/// A supervisor that attends the containers of one test and nobody else's, and the neighbour.
pub(crate) struct World {
    // Fields are dropped in this order: the supervisor last, so that its log is told after all else.
    neighbour: Container,
    supervisor: Supervisor,
    engine: Option<PrivateEngine>,
    prefix: String,
    _folder: TempDir,
}

/// How things stood before an attempt.
pub(crate) struct Calm {
    descriptors: usize,
    neighbours_agent: u32,
}

impl World {
    /// Starts both, and waits until the neighbour is healthy.
    pub(crate) fn new(test: &str) -> Self {
        Self::with(test, "", None)
    }

    /// The same, with further lines of configuration, or on another Engine than this machine's.
    pub(crate) fn with(test: &str, configuration: &str, engine: Option<PrivateEngine>) -> Self {
        let prefix = format!("d-{test}-{}", std::process::id());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("diogenes.toml");
        let text = format!("[attach]\ninclude = [\"{prefix}-*\"]\n{configuration}");
        fs::write(&file, text).expect("a file");
        let mut spec = Supervisor::spec().arg(format!("--config={}", file.display()));
        let mut neighbour = Container::of(listener_image()).name(&format!("{prefix}-neighbour"));
        if let Some(engine) = &engine {
            engine.import(&listener_image());
            spec = spec.arg(format!("--engine={}", engine.host()));
            neighbour = neighbour.on(engine);
        }
        let supervisor = spec.env(SECRET, SECRET).start();
        // Not as root, for that would be a finding.
        let neighbour = neighbour
            .user("1000")
            .args(["http", "127.0.0.1:8000", "200"])
            .run();
        let world = Self {
            neighbour,
            supervisor,
            engine,
            prefix,
            _folder: folder,
        };
        world.neighbour_is_healthy();
        world
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    pub(crate) fn neighbour(&self) -> &Container {
        &self.neighbour
    }

    /// A name by which the supervisor attends a container.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A container that the supervisor attends.
    pub(crate) fn container(&self, image: impl Into<String>, name: &str) -> ContainerSpec {
        let image = image.into();
        let spec = Container::of(image.as_str()).name(&self.name(name));
        match &self.engine {
            Some(engine) => {
                engine.import(&image);
                spec.on(engine)
            }
            None => spec,
        }
    }

    /// How things stand, once all that containers bring with them is there.
    pub(crate) fn calm(&self) -> Calm {
        let neighbours_agent = agent_in(&self.supervisor, &self.neighbour);
        let settled = || {
            let before = self.descriptors();
            std::thread::sleep(SETTLED);
            (self.descriptors() == before).then_some(before)
        };
        Calm {
            descriptors: wait_until(SOON, "the supervisor to settle", settled).0,
            neighbours_agent,
        }
    }

    /// Asks the neighbour's companion again and again: every answer comes, and is its own.
    #[track_caller]
    pub(crate) fn neighbour_answers(&self) {
        let path = format!("/api/v1/containers/{}/ask", self.neighbour.name());
        let question = json!({ "question": "ports" });
        let told = |_: &usize| {
            let (code, body) = self.supervisor.http("POST", &path, Some(&question));
            let body: Value = serde_json::from_str(&body).expect("JSON");
            let answer = body["text"].as_str().unwrap_or_default();
            code == 200 && body["answered_by"] == "companion" && answer.contains("8000")
        };
        assert_eq!((0..QUESTIONS).filter(told).count(), QUESTIONS);
    }

    /// Nothing has happened to the neighbour, and the supervisor has let go of all that it took, and stayed small.
    #[track_caller]
    pub(crate) fn is_unharmed(&self, calm: &Calm) {
        self.neighbour_answers();
        let neighbour = self.neighbour_is_healthy();
        assert_eq!(neighbour["findings"], json!([]), "{neighbour:#}");
        assert_eq!(neighbour["processes"], 1, "{neighbour:#}");
        assert_eq!(
            agent_in(&self.supervisor, &self.neighbour),
            calm.neighbours_agent,
            "the neighbour has the companion it had"
        );
        wait_until(SOON, "the supervisor to close what it opened", || {
            (self.descriptors() <= calm.descriptors + KEPT).then_some(())
        });
        let peak = self.peak_kib();
        println!("the supervisor's memory at its worst moment: {peak} KiB");
        assert!(peak <= PEAK_KIB, "the supervisor took {peak} KiB");
        let attacher = attacher_of(&self.supervisor);
        wait_until(SOON, "no zombies", || {
            let mut children = children_of(self.supervisor.pid());
            children.extend(children_of(attacher));
            children.into_iter().all(|pid| !is_gone(pid)).then_some(())
        });
    }

    #[track_caller]
    fn neighbour_is_healthy(&self) -> Value {
        let healthy = |it: &Value| it["health"] == "healthy" && it["state"] == "present";
        let name = self.neighbour.name();
        let found = self
            .supervisor
            .wait_for(name, SOON, "it is healthy", healthy);
        found.0
    }

    /// What the supervisor has open, but the companions' sockets on the host: there is one for each container of the
    /// Engine, whoever started it.
    fn descriptors(&self) -> usize {
        let count = |path: String| fs::read_dir(path).expect("a living supervisor").count();
        let sockets = count(self.supervisor.run_dir().join("ci").display().to_string());
        count(format!("/proc/{}/fd", self.supervisor.pid())).saturating_sub(sockets)
    }

    fn peak_kib(&self) -> u64 {
        let peak = status_of(self.supervisor.pid(), "VmHWM").expect("a living supervisor");
        let kib = peak.split(' ').next().and_then(|kib| kib.parse().ok());
        kib.expect("a number")
    }
}
