//! Who is talking: companions of baked images dial in and are known by the kernel's word, and whoever tries to be
//! somebody else gains nothing.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use diogenes_testkit::{
    Container, ContainerSpec, Supervisor, base_image, dist, docker, listener_image, wait_until,
};
use diogenes_tests::{Peer, SOON, agents_in, command_line};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where a container has the supervisor's directory: a promise to those who mount it.
const MOUNTED: &str = "/run/diogenes/dial-in";

/// The greeting of a liar: names of containers are no part of it, and are not believed.
const HELLO: &str = r#"{"type":"hello","protocol":{"min":1,"max":1},"build":"liar","container":"NAME","container_id":"ID","ci_name":"NAME-container-ci"}"#;

/// Connects to a socket, waits for the first byte of its own input before, and passes bytes both ways.
const BRIDGE: &str = r#"
import os, select, socket, sys
os.read(0, 1)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
while True:
    ready = select.select([0, s], [], [])[0]
    # What comes from the supervisor is passed on first: it may have closed already.
    for source, sink in ((s, lambda d: os.write(1, d)), (0, s.sendall)):
        if source in ready:
            data = s.recv(65536) if source is s else os.read(0, 65536)
            if not data:
                sys.exit()
            sink(data)
"#;

/// A supervisor that attaches to nobody and lets companions dial in.
struct World {
    supervisor: Supervisor,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("diogenes.toml");
        fs::write(&file, "dial_in = true\n[attach]\ndefault = false\n").expect("a file");
        let supervisor = Supervisor::spec()
            .arg(format!("--config={}", file.display()))
            .start();
        Self { supervisor, folder }
    }

    /// The same with another supervisor, as after its restart.
    fn restarted(self) -> Self {
        let Self { supervisor, folder } = self;
        let file = folder.path().join("diogenes.toml");
        let supervisor = Supervisor::spec()
            .folder(supervisor.end(Signal::TERM))
            .arg(format!("--config={}", file.display()))
            .start();
        Self { supervisor, folder }
    }

    fn directory(&self) -> PathBuf {
        self.supervisor.run_dir().join("dial-in")
    }

    fn socket(&self) -> PathBuf {
        self.directory().join("supervisor.sock")
    }

    /// A container of Debian, in which somebody else than a companion may dial.
    fn stranger(&self) -> Container {
        let spec = mounting(Container::of(base_image()), &self.directory());
        spec.args(["sleep", "600"]).run()
    }

    /// Waits until this is known of a container.
    #[track_caller]
    fn until(&self, container: &Container, state: &str, via: Option<&str>) -> (Value, Duration) {
        let what = format!("{state} via {via:?}");
        self.supervisor
            .wait_for(container.name(), SOON, &what, |it| {
                it["state"] == state
                    && it["via"].as_str() == via
                    && (state != "present" || !it["reported_at"].is_null())
            })
    }

    /// The lines of its audit.
    fn audit(&self) -> Vec<String> {
        let log = self.supervisor.log();
        let lines = log.lines().filter(|line| line.contains(" audit: "));
        lines.map(str::to_owned).collect()
    }

    /// How many were refused so far.
    fn refused(&self) -> u64 {
        let (_, page) = self.supervisor.http("GET", "/metrics", None);
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix("diogenes_refused_total "));
        value.expect("the metric").parse().expect("a number")
    }
}

fn mounting(spec: ContainerSpec, directory: &Path) -> ContainerSpec {
    spec.option(format!("--volume={}:{MOUNTED}:ro", directory.display()))
}

/// An image of the test listener with the companion in it; gone with this value.
struct Baked(String);

impl Baked {
    fn listener(hint: &str) -> Self {
        let name = format!("diogenes-test/identity-{hint}-{}:1", std::process::id());
        let mut bake = Command::new(dist("diogenes"));
        let output = bake.args(["bake", &listener_image(), "-t", &name]).output();
        let output = output.expect("diogenes runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        Self(name)
    }

    /// A container of it that listens at a port, and has the directory mounted.
    fn dialling(&self, directory: &Path) -> ContainerSpec {
        mounting(Container::of(&*self.0), directory).args(["http", "0.0.0.0:8000", "200"])
    }
}

impl Drop for Baked {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

/// Somebody who connects to the supervisor's socket and says what the test says.
struct Dialler {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// A word of its command line that no other process has.
    mark: String,
}

impl Dialler {
    /// In a container.
    fn inside(container: &Container) -> Self {
        let socket = format!("{MOUNTED}/supervisor.sock");
        Self::start(&["docker", "exec", "-i", container.id()], &socket)
    }

    /// A process of the host.
    fn outside(socket: &Path) -> Self {
        Self::start(&[], &socket.to_string_lossy())
    }

    fn start(around: &[&str], socket: &str) -> Self {
        let mark = format!("dialler-{}-{}", std::process::id(), nanos());
        let words = [around, &["python3", "-c", BRIDGE, socket, &mark]].concat();
        let mut process = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a dialler");
        Self {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().expect("a pipe")),
            process,
            mark,
        }
    }

    /// Its process, by the host's pid, which has not connected yet.
    fn pid(&self) -> u32 {
        let is_it = |pid: &u32| {
            let line = command_line(*pid);
            line.contains("python3 -c") && line.ends_with(&self.mark) && !line.contains("docker")
        };
        let find = || {
            let entries = fs::read_dir("/proc").expect("/proc").flatten();
            let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            pids.find(is_it)
        };
        wait_until(SOON, "the dialler", find).0
    }

    /// Connects, and says this.
    #[track_caller]
    fn dial(&mut self, words: &str) {
        self.say(&format!("!{words}"));
    }

    #[track_caller]
    fn say(&mut self, words: &str) {
        let input = self.input.as_mut().expect("its input");
        input.write_all(words.as_bytes()).expect("it listens");
    }

    /// The next line that is not a ping; None at the end.
    #[track_caller]
    fn line(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).expect("a line") == 0 {
                return None;
            }
            let line: Value = serde_json::from_str(&line).expect("JSON");
            let is_asked = ["ping", "labels"].iter().any(|kind| line["type"] == *kind);
            if !is_asked {
                return Some(line);
            }
        }
    }

    /// What the supervisor says last, before it closes the session.
    #[track_caller]
    fn last_words(&mut self) -> Value {
        assert_eq!(self.line().expect("a hello")["type"], "hello");
        let error = self.line().expect("an error");
        assert_eq!((&error["type"], self.line()), (&json!("error"), None));
        error
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        // What runs in a container ends with its input.
        drop(self.input.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn nanos() -> u128 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a clock").as_nanos()
}

/// A report with this reason, as a line.
fn report(reason: &str) -> String {
    let now = "2026-01-31T08:00:00.000Z";
    let report = json!({
        "type": "report", "at": now, "snapshot": "0", "health": "degraded", "since": now, "reason": reason,
        "roles": {}, "services": [], "resources": {}, "findings": [], "processes": 1, "omitted": 0,
    });
    format!("{report}\n")
}

/// A greeting that claims to be of this container.
fn claiming(container: &Container) -> String {
    HELLO
        .replace("NAME", container.name())
        .replace("ID", container.id())
        + "\n"
}

#[test]
fn a_baked_container_with_the_socket_is_seen_and_asked_though_nobody_is_attached() {
    let world = World::new();
    let baked = Baked::listener("seen");
    let plain = baked.dialling(&world.directory()).run();
    let (it, took) = world.until(&plain, "present", Some("baked"));
    println!("seen {} ms after its start", took.as_millis());
    assert!(
        it["reason"].as_str().unwrap().contains("dialled in"),
        "{it}"
    );
    assert!(agents_in(&world.supervisor, &plain).is_empty());
    let answer = world.supervisor.ask(plain.name(), "which ports?");
    assert!(answer.contains("8000"), "{answer}");
    wait_until(SOON, "it to be healthy", || {
        (world.supervisor.container(plain.name())?["health"] == "healthy").then_some(())
    });

    // The least a container can be, and one that says it wants nobody to come in: giving it the socket is another wish.
    let least = baked
        .dialling(&world.directory())
        .user("1000")
        .cap_drop("ALL")
        .label("io.diogenes.attach", "false")
        .run();
    let unseen = Container::of(&*baked.0).args(["tcp", "0.0.0.0:8000"]).run();
    world.until(&least, "present", Some("baked"));
    world.until(&unseen, "absent", None);

    // One session a container, and only while its companion lives.
    plain.order("pause");
    let (it, _) = world.supervisor.wait_for(
        plain.name(),
        Duration::from_secs(40),
        "it is silent: it is frozen with its container",
        |it| it["state"] == "silent",
    );
    assert_eq!(it["via"], "baked");
    plain.order("unpause");
    world.until(&plain, "present", Some("baked"));
    plain.stop();
    world.until(&plain, "absent", None);

    let world = world.restarted();
    let (_, took) = world.until(&least, "present", Some("baked"));
    println!(
        "dialled in again {} ms after the supervisor's restart",
        took.as_millis()
    );
    assert_eq!(world.refused(), 0, "{:?}", world.audit());
}

#[test]
fn an_attached_companion_comes_first_and_detach_sends_both_away() {
    let world = World::new();
    let baked = Baked::listener("attached");
    let container = baked.dialling(&world.directory()).run();
    world.until(&container, "present", Some("baked"));
    world.supervisor.words(&["attach", container.name()]);
    world.until(&container, "present", Some("attached"));
    std::thread::sleep(Duration::from_secs(4));
    world.until(&container, "present", Some("attached"));
    world.supervisor.words(&["detach", container.name()]);
    std::thread::sleep(Duration::from_secs(4));
    let (it, _) = world.until(&container, "absent", None);
    assert!(
        it["reason"].as_str().unwrap().contains("detached by hand"),
        "{it}"
    );
    assert_eq!(world.refused(), 0, "a turn that has to wait is no offence");
}

#[test]
fn nobody_is_who_they_say_they_are() {
    let world = World::new();
    let baked = Baked::listener("victim");
    let victim = baked.dialling(&world.directory()).run();
    let liar = world.stranger();
    world.until(&victim, "present", Some("baked"));

    // A forged hello, and a report in another's name.
    let mut dialler = Dialler::inside(&liar);
    dialler.dial(&(claiming(&victim) + &report("I am the victim")));
    let (it, _) = world.until(&liar, "present", Some("baked"));
    assert_eq!(
        it["health_reason"], "I am the victim",
        "its words are its own container's"
    );
    let it = world
        .supervisor
        .container(victim.name())
        .expect("the victim");
    assert_ne!(it["health_reason"], "I am the victim");

    // It may ask nothing, least of all about others.
    assert_eq!(dialler.line().expect("a hello")["type"], "hello");
    let ask = format!(
        "{{\"id\":1,\"type\":\"ask\",\"question\":\"status\",\"container\":\"{}\"}}\n",
        victim.name()
    );
    for request in [
        ask.as_str(),
        "{\"id\":2,\"type\":\"act\"}\n",
        "{\"id\":3,\"type\":\"ping\"}\n",
    ] {
        dialler.say(request);
        let refused = dialler.line().expect("a reply");
        assert_eq!(refused["code"], "forbidden", "{request}");
    }
    let audit = world.audit();
    let named = |line: &&String| line.contains(liar.name()) && line.contains(liar.id());
    assert_eq!(audit.iter().filter(named).count(), 3, "{audit:#?}");
    assert!(audit[0].contains("what=\"ask\""), "{audit:#?}");
    assert_eq!(world.refused(), 3);

    // A second one in the same container does not disturb the first.
    let mut second = Dialler::inside(&liar);
    second.dial(&(claiming(&victim) + &report("I am the second")));
    let refused = second.last_words();
    assert_eq!(
        (&refused["code"], &refused["retryable"]),
        (&json!("busy"), &json!(true))
    );
    let it = world.supervisor.container(liar.name()).expect("the liar");
    assert_eq!(it["health_reason"], "I am the victim");
    drop(dialler);
    world.until(&liar, "absent", None);
    world.until(&victim, "present", Some("baked"));
}

#[test]
fn another_sessions_bytes_replayed_are_nobodys_but_the_players() {
    // What a companion says to a supervisor, taken down by somebody who has its mount.
    let folder = tempfile::tempdir().expect("a folder");
    let listener = UnixListener::bind(folder.path().join("supervisor.sock")).expect("a socket");
    open_to_all(&folder.path().join("supervisor.sock"));
    let baked = Baked::listener("replay");
    let victim = baked.dialling(folder.path()).run();
    let (mut stream, _) = listener.accept().expect("a companion");
    stream
        .write_all(claiming(&victim).as_bytes())
        .expect("a hello");
    let mut taken = String::new();
    let mut lines = BufReader::new(stream);
    while lines.read_line(&mut taken).expect("a line") > 0 && !taken.contains("\"report\"") {}

    let world = World::new();
    let player = world.stranger();
    let mut dialler = Dialler::inside(&player);
    dialler.dial(&taken);
    let (it, _) = world.until(&player, "present", Some("baked"));
    assert!(
        it["services"].to_string().contains("8000"),
        "its lies are about itself: {it}"
    );
    world.until(&victim, "absent", None);
}

#[test]
fn no_cgroup_that_somebody_made_makes_them_another() {
    let world = World::new();
    let (victim, liar) = (world.stranger(), world.stranger());
    world.until(&victim, "absent", None);
    world.until(&liar, "absent", None);

    // Inside of its own, as a container that may make directories there can.
    let mut dialler = Dialler::inside(&liar);
    let nested = Moved::below(
        liar.pid(),
        &format!("docker/{}", victim.id()),
        dialler.pid(),
    );
    println!("moved in {} hierarchies", nested.made.len());
    dialler.dial(&(claiming(&victim) + &report("nested")));
    let (it, _) = world.until(&liar, "present", Some("baked"));
    assert_eq!(it["health_reason"], "nested");
    world.until(&victim, "absent", None);
    drop(dialler);

    // Beside it, as a user of the host to whom systemd gave a part of the tree.
    for name in [
        format!("docker-{}.scope", victim.id()),
        format!("user.slice/{}", victim.id()),
    ] {
        let mut dialler = Dialler::outside(&world.socket());
        let _beside = Moved::below(std::process::id(), &name, dialler.pid());
        dialler.dial(&(claiming(&victim) + &report("beside")));
        let refused = dialler.last_words();
        assert_eq!(refused["code"], "busy", "{refused}");
        assert!(
            refused["message"].as_str().unwrap().contains(victim.id()),
            "{refused}"
        );
    }
    world.until(&victim, "absent", None);
    assert_eq!(world.refused(), 2);
}

#[test]
fn processes_of_the_host_are_sent_elsewhere_and_clients_act_nowhere() {
    let world = World::new();
    let container = world.stranger();
    world.until(&container, "absent", None);
    let mut dialler = Dialler::outside(&world.socket());
    let pid = dialler.pid();
    dialler.dial(&claiming(&container));
    let refused = dialler.last_words();
    assert_eq!(refused["code"], "forbidden");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("diogenes ask"),
        "{refused}"
    );
    let audit = world.audit();
    assert!(
        audit[0].contains(&format!("uid=0 pid={pid} what=\"dial-in\"")),
        "{audit:#?}"
    );

    let socket = world
        .supervisor
        .run_dir()
        .join(format!("ci/{}.sock", container.name()));
    let mut client = Peer::connect(&socket);
    let refused = client.ask(&json!({ "id": 7, "type": "act", "plan": "restart" }));
    assert_eq!(refused["code"], "forbidden");
    let answer = client.ask(&json!({ "id": 8, "type": "ask", "question": "status" }));
    assert_eq!(answer["type"], "answer");
    let audit = world.audit();
    let who = format!("uid=0 pid={} what=\"act\"", std::process::id());
    assert!(
        audit[1].contains(&who) && audit[1].contains(container.name()),
        "{audit:#?}"
    );
    assert_eq!(world.refused(), 2);
}

#[test]
fn a_container_that_dials_without_end_keeps_no_other_out() {
    const FLOOD: &str = r#"
import os, socket, sys, time
held = []
for child in range(3):
    if os.fork() == 0:
        break
end = time.time() + 20
dialled = 0
while time.time() < end:
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect(sys.argv[1])
        dialled += 1
        if dialled % 50 == 0 and len(held) < 500:
            held.append(s)
        else:
            s.close()
    except OSError:
        s.close()
print(dialled, flush=True)
"#;
    let world = World::new();
    let baked = Baked::listener("calm");
    let mad = world.stranger();
    world.until(&mad, "absent", None);
    let socket = format!("{MOUNTED}/supervisor.sock");
    let mut flood = Command::new("docker")
        .args(["exec", mad.id(), "python3", "-c", FLOOD, &socket])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a flood");
    wait_until(SOON, "the flood", || world.audit().first().cloned());
    let begun = Instant::now();
    let calm = baked.dialling(&world.directory()).run();
    let (_, took) = world.until(&calm, "present", Some("baked"));
    println!(
        "in the flood a companion was there after {} ms",
        took.as_millis()
    );
    assert!(
        flood.try_wait().expect("its state").is_none(),
        "{:?}",
        begun.elapsed()
    );
    let asked = Instant::now();
    let _ = world.supervisor.ask(calm.name(), "status");
    println!("and answered within {} ms", asked.elapsed().as_millis());

    let mut dialled = String::new();
    let mut output = flood.stdout.take().expect("a pipe");
    output.read_to_string(&mut dialled).expect("numbers");
    flood.wait().expect("its end");
    let dialled: u64 = dialled
        .lines()
        .map(|line| line.parse::<u64>().expect("a number"))
        .sum();
    let (refused, lines) = (world.refused(), world.audit().len());
    println!("{dialled} calls, {refused} refused, {lines} lines in the log");
    assert!(dialled > 1000 && refused > 500, "{dialled} {refused}");
    assert!(lines < 20, "{:#?}", world.audit());
    world.until(&calm, "present", Some("baked"));
}

#[test]
fn a_companion_dials_nowhere_but_into_a_mount_it_cannot_write() {
    // A directory that somebody in the container has made, a link to one that is mounted, and a mount that can be written.
    const PLANT: &str = "import os, socket, sys\n\
        s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777); s.listen()\n\
        s.accept(); print('deceived', flush=True)";
    let folder = tempfile::tempdir().expect("a folder");
    let trap = UnixListener::bind(folder.path().join("supervisor.sock")).expect("a socket");
    trap.set_nonblocking(true).expect("a socket option");
    open_to_all(&folder.path().join("supervisor.sock"));
    let agent = dist("diogenes-agent");
    let container = |volume: &str| {
        Container::of(base_image())
            .option(format!("--volume={}:/agent:ro", agent.display()))
            .option(format!("--volume={}:{volume}", folder.path().display()))
            .args(["sleep", "600"])
            .run()
    };
    let serve = |container: &Container| {
        docker(&["exec", "-d", container.id(), "/agent", "serve"]);
        wait_until(SOON, "the companion", || {
            container
                .exec(&["/agent", "status"])
                .status
                .success()
                .then_some(())
        });
    };

    let planted = container("/elsewhere:ro");
    planted.sh(&format!("mkdir -p {MOUNTED}"));
    let bait = planted.sh(&format!(
        "python3 -c \"{PLANT}\" {MOUNTED}/supervisor.sock > /tmp/bait 2>&1 & sleep 1; ls {MOUNTED}"
    ));
    assert_eq!(bait, "supervisor.sock");
    serve(&planted);
    let linked = container("/elsewhere:ro");
    linked.sh(&format!(
        "mkdir -p /run/diogenes && ln -s /elsewhere {MOUNTED}"
    ));
    serve(&linked);
    let writable = container(&format!("{MOUNTED}:rw"));
    serve(&writable);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(planted.sh("cat /tmp/bait"), "");
    assert_eq!(
        trap.accept().map(drop).expect_err("nobody has come").kind(),
        std::io::ErrorKind::WouldBlock
    );

    // And that it would have come.
    let mounted = container(&format!("{MOUNTED}:ro"));
    serve(&mounted);
    wait_until(SOON, "a companion", || trap.accept().ok());
}

fn open_to_all(socket: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).expect("a mode");
}

/// A process in cgroups that the test made, in every hierarchy where that can be had; they go with this value.
struct Moved {
    made: Vec<PathBuf>,
}

impl Moved {
    /// Moves `pid` below the cgroups where `above` stands.
    fn below(above: u32, name: &str, pid: u32) -> Self {
        let standing = fs::read_to_string(format!("/proc/{above}/cgroup")).expect("its cgroups");
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
        let mut made = Vec::new();
        for mount in mounts.lines().filter(|line| line.contains(" - cgroup")) {
            let point = Path::new(mount.split(' ').nth(4).expect("a mount point"));
            let options = mount.rsplit(' ').next().unwrap_or_default();
            let is_here = |line: &&str| {
                let controllers = line.split(':').nth(1).unwrap_or_default();
                match controllers {
                    "" => mount.contains(" - cgroup2 "),
                    _ => controllers
                        .split(',')
                        .all(|one| options.split(',').any(|option| option == one)),
                }
            };
            let Some(place) = standing.lines().find(is_here) else {
                continue;
            };
            let mut cgroup = point.join(
                place
                    .rsplit(':')
                    .next()
                    .unwrap_or_default()
                    .trim_start_matches('/'),
            );
            for part in name.split('/') {
                let above = cgroup.clone();
                cgroup.push(part);
                if fs::create_dir(&cgroup).is_ok() {
                    made.push(cgroup.clone());
                }
                // A cpuset takes nobody before it has something to run on.
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let _ = fs::read(above.join(file))
                        .and_then(|value| fs::write(cgroup.join(file), value));
                }
            }
            let _ = fs::write(cgroup.join("cgroup.procs"), pid.to_string());
        }
        let now = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its cgroups");
        assert!(now.contains(name), "nothing could be forged: {now}");
        Self { made }
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        for cgroup in self.made.iter().rev() {
            // Its last process may take a moment to end.
            for _ in 0..200 {
                if fs::remove_dir(cgroup).is_ok() || !cgroup.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
