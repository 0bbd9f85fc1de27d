//! The ways in which a container of the soak lives and ends.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diogenes_testkit::{LISTENER, PrivateEngine, Supervisor, http};
use diogenes_tests::SOON;
use serde_json::{Value, json};

/// How many ways there are: the arms of [`World::live`].
pub(crate) const WAYS: usize = 8;

/// Where containers live.
pub(crate) struct World<'a> {
    engine: PathBuf,
    supervisor: &'a Supervisor,
    image: String,
    met: AtomicUsize,
    missed: AtomicUsize,
}

impl<'a> World<'a> {
    /// Containers of `image` in `engine`, which `supervisor` attends to.
    pub(crate) fn new(engine: &PrivateEngine, supervisor: &'a Supervisor, image: String) -> Self {
        Self {
            engine: engine.socket(),
            supervisor,
            image,
            met: AtomicUsize::new(0),
            missed: AtomicUsize::new(0),
        }
    }

    /// How many containers were seen to have a companion.
    pub(crate) fn met(&self) -> usize {
        self.met.load(Ordering::Relaxed)
    }

    /// How many were waited for in vain, because they ended first.
    pub(crate) fn missed(&self) -> usize {
        self.missed.load(Ordering::Relaxed)
    }

    /// The whole life of one container. Every second one of each way is given the time to have a companion before
    /// anything happens to it; the others meet the supervisor at any moment.
    pub(crate) fn live(&self, number: usize) {
        static NAMES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("soak-{}", NAMES.fetch_add(1, Ordering::Relaxed));
        let serving = &["http", "127.0.0.1:8000", "200"][..];
        let way = number % WAYS;
        let (args, policy) = match way {
            // Over before anybody can be with it.
            0 => (&["die", "50"][..], "no"),
            1 => (&["die", "50"][..], "on-failure"),
            _ => (serving, "no"),
        };
        let id = self.create(&name, args, policy);
        self.order(&id, "start");
        if way > 1 && (number / WAYS).is_multiple_of(2) {
            self.meet(&name);
        }
        match way {
            0 => self.await_end(&id),
            // It is started again and again until it is removed.
            1 => std::thread::sleep(Duration::from_millis(500)),
            2 => self.order(&id, "stop?t=5"),
            3 => self.order(&id, "restart?t=5"),
            // runc gives up where a busy machine does not freeze in time; then there is nothing to go on with.
            4 if self.is_done(&id, "pause") => self.order(&id, "unpause"),
            5 => {
                self.order(&id, &format!("rename?name={name}-renamed"));
                // Somebody else has the name at once.
                let heir = self.create(&name, serving, "no");
                self.order(&heir, "start");
                self.remove(&heir);
            }
            6 => self.order(&id, "kill"),
            // Removed as it is, perhaps while its companion is on the way.
            _ => {}
        }
        self.remove(&id);
    }

    fn create(&self, name: &str, args: &[&str], policy: &str) -> String {
        let wish = json!({
            "Image": self.image,
            "Entrypoint": [LISTENER],
            "Cmd": args,
            "HostConfig": { "NetworkMode": "none", "RestartPolicy": { "Name": policy } },
        });
        let path = format!("/containers/create?name={name}");
        let made: Value = self.ask("POST", &path, Some(&wish));
        made["Id"].as_str().expect("an id").to_owned()
    }

    fn order(&self, id: &str, order: &str) {
        self.ask("POST", &format!("/containers/{id}/{order}"), None);
    }

    fn is_done(&self, id: &str, order: &str) -> bool {
        let path = format!("/containers/{id}/{order}");
        http(&self.engine, "POST", &path, None).0 < 400
    }

    fn remove(&self, id: &str) {
        self.ask("DELETE", &format!("/containers/{id}?force=1&v=1"), None);
    }

    fn await_end(&self, id: &str) {
        self.ask("POST", &format!("/containers/{id}/wait"), None);
    }

    /// One exchange with the Engine, whose refusal ends the soak; null where it says nothing.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (code, reply) = http(&self.engine, method, path, body);
        assert!(code < 400, "{method} {path}: {code} {reply}");
        serde_json::from_str(&reply).unwrap_or_default()
    }

    /// Waits until a companion is with the container.
    fn meet(&self, name: &str) {
        let path = format!("/api/v1/containers/{name}");
        let start = Instant::now();
        while start.elapsed() < SOON {
            let (_, reply) = self.supervisor.http("GET", &path, None);
            let known: Value = serde_json::from_str(&reply).unwrap_or_default();
            if known["state"] == "present" {
                self.met.fetch_add(1, Ordering::Relaxed);
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.missed.fetch_add(1, Ordering::Relaxed);
    }
}
