//! What one look at a crowd costs: a thousand processes under several users, some with listeners, beside up to 50,000
//! connections over the loopback, in namespaces of their own. Prints CPU times, and their ratios to what `ss`, `lsof` and
//! psutil take for the same; asserts nothing, because machines are noisy.
//!
//! ```text
//! this program ─ unshare(1): pid, net ─► this program once more ─► 1,000 processes, connections
//!                                                              ├─► diogenes-agent: asked for a report, which takes a
//!                                                              │   snapshot; all that it spends on that is counted
//!                                                              └─► ss, lsof, python
//! ```
//!
//! `cargo bench -p diogenes-tests --bench snapshot` runs it alone, as root, without an Engine. *Cold* is a companion's
//! whole life up to its first answer, on processes that nobody has looked at before; *warm*, each further report, of
//! processes that are no longer young.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use diogenes_testkit::{cache, dist, wait_until};
use diogenes_tests::measure::{cpu_ns, print_distribution};
use diogenes_tests::{Peer, SOON};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

const PROCESSES: usize = 1000;
const CONNECTIONS: [usize; 3] = [0, 5_000, 50_000];
/// One of so many processes listens.
const LISTENING: usize = 25;
/// Processes belong to so many users by turns, root not among them.
const USERS: u32 = 5;
/// Crowds, each of which is looked at for the first time once.
const CROWDS: usize = 3;
/// Reports asked for, and runs of each other program.
const REPORTS: usize = 100;
const RUNS: usize = 5;
/// Until then a process counts as young, and is read in full by each snapshot.
const GROWN_UP: Duration = Duration::from_secs(6);
/// The crowd's ports begin here; those that connections are made to end below it.
const FIRST_PORT: u16 = 20_000;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("inside") {
        inside();
        return;
    }
    install_psutil();
    let status = Command::new("unshare")
        .args(["--fork", "--kill-child", "--pid", "--net", "--mount-proc"])
        .arg(std::env::current_exe().expect("this program"))
        .arg("inside")
        .status()
        .expect("unshare of util-linux");
    assert!(status.success(), "{status}");
}

/// In a pid and a network namespace of its own, as their first process.
fn inside() {
    run(Command::new("ip").args(["link", "set", "lo", "up"]));
    let limit = getrlimit(Resource::Nofile).maximum;
    let files = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::Nofile, files).expect("its own limit");
    let folder = tempfile::tempdir().expect("a folder");

    let mut medians = Vec::new();
    for connections in CONNECTIONS {
        println!("{PROCESSES} processes, {connections} connections");
        let held = hold(connections, limit.unwrap_or(u64::MAX));
        let mut cold = Vec::new();
        for crowd in 1..=CROWDS {
            let _members = gather(PROCESSES - held.0.len());
            let (companion, first) = Companion::start(&folder.path().join("agent.sock"));
            cold.push(first);
            if crowd < CROWDS {
                continue;
            }
            let first = print_distribution("cold", &mut cold);
            let ours = companion.reports();
            let theirs = others();
            for (name, time) in theirs {
                let beside = |ours: Duration| time.as_secs_f64() / ours.as_secs_f64();
                println!(
                    "  {name:<30} cold 1 to {:<6.1} warm 1 to {:.1}",
                    beside(first),
                    beside(ours)
                );
            }
            medians.push(ours);
        }
    }
    let ratio = |index: usize| medians[index].as_secs_f64() / medians[0].as_secs_f64();
    println!(
        "warm, with {} and {} connections beside none: {:.2} and {:.2} to 1",
        CONNECTIONS[1],
        CONNECTIONS[2],
        ratio(1),
        ratio(2)
    );
}

/// Processes that end with this value.
struct Processes(Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// So many connections, both ends of each, in as few processes as may open them; returns when they are there.
fn hold(connections: usize, limit: u64) -> Processes {
    // Some descriptors are the program's own; and a port has some 28,000 clients at most (ip_local_port_range).
    let each = usize::try_from(limit / 2).map_or(10_000, |most| most.min(10_000)) - 50;
    let mut left = connections;
    let mut holders = Vec::new();
    while left > 0 {
        let port = FIRST_PORT - 1 - u16::try_from(holders.len()).expect("few");
        let address = format!("{}:{port}", Ipv4Addr::LOCALHOST);
        let number = left.min(each);
        holders.push(spawn(&["pairs", &number.to_string(), &address], 0));
        left -= number;
    }
    wait_until(SOON * 3, "the connections", || {
        let sockets = std::fs::read_to_string("/proc/net/sockstat").ok()?;
        let tcp = sockets
            .lines()
            .find_map(|line| line.strip_prefix("TCP: inuse "))?;
        let number: usize = tcp.split(' ').next()?.parse().ok()?;
        (number >= 2 * connections).then_some(())
    });
    Processes(holders)
}

/// A crowd, all of it listening that will.
fn gather(number: usize) -> Processes {
    let members = (0..number).map(|index| {
        let uid = 1000 + u32::try_from(index).expect("few") % USERS;
        let port = usize::from(FIRST_PORT) + index;
        let address = format!("{}:{port}", Ipv4Addr::LOCALHOST);
        match index % LISTENING {
            0 => spawn(&["tcp", &address], uid),
            _ => spawn(&[], uid),
        }
    });
    let members = Processes(members.collect());
    std::thread::sleep(Duration::from_millis(500));
    members
}

fn spawn(words: &[&str], uid: u32) -> Child {
    let mut command = Command::new(dist("test/testkit-listener"));
    command.args(words).stdin(Stdio::null()).uid(uid);
    command.spawn().expect("a small program")
}

/// A companion that somebody runs by hand.
struct Companion {
    process: Processes,
    peer: Peer,
}

impl Companion {
    /// Starts it; returns the CPU time it has used when it has answered for the first time, which it does when it has seen
    /// everything once.
    fn start(socket: &Path) -> (Self, Duration) {
        let mut command = Command::new(dist("diogenes-agent"));
        let command = command.arg("serve").arg("--socket").arg(socket);
        command.stderr(Stdio::null());
        let process = Processes(vec![command.spawn().expect("a companion")]);
        let peer = Peer::connect(socket);
        let mut companion = Self { process, peer };
        assert_eq!(companion.ask("ping")["type"], "pong");
        let spent = companion.spent();
        (companion, spent)
    }

    fn spent(&self) -> Duration {
        Duration::from_nanos(cpu_ns(self.process.0[0].id()))
    }

    fn ask(&mut self, what: &str) -> Value {
        self.peer.ask(&json!({ "type": what, "id": 1 }))
    }

    /// Asks for reports; prints what each cost, and returns the median.
    fn reports(mut self) -> Duration {
        std::thread::sleep(GROWN_UP);
        let mut times: Vec<_> = (0..REPORTS)
            .map(|_| {
                let before = self.spent();
                let report = self.ask("report");
                assert!(
                    report["processes"].as_u64() >= Some(PROCESSES as u64),
                    "{report}"
                );
                self.spent() - before
            })
            .collect();
        print_distribution("warm", &mut times)
    }
}

/// What people use today; each with the CPU time of one run.
fn others() -> [(&'static str, Duration); 4] {
    const LOADED: &str = "import psutil";
    // What a snapshot has of each process, and the sockets with their owners.
    const FACTS: &str = "import psutil\n\
        psutil.net_connections('all')\n\
        for process in psutil.process_iter():\n \
            process.as_dict(['ppid', 'uids', 'create_time', 'name', 'cmdline', 'exe', 'status', 'num_threads', \
            'cpu_times', 'memory_info', 'num_fds'])\n";
    let python = python();
    let python = python.to_str().expect("a plain path");
    let named = |name: &'static str, command: &[&str]| (name, cpu_of(name, command));
    let loaded = cpu_of("python3 with psutil", &[python, "-c", LOADED]);
    let facts = named("psutil, the same facts", &[python, "-c", FACTS]);
    [
        named("ss -tlnp", &["ss", "-tlnp"]),
        named("lsof -i -nP", &["lsof", "-i", "-nP"]),
        named(
            "lsof -i -nP, of TCP listeners",
            &["lsof", "-nP", "-iTCP", "-sTCP:LISTEN"],
        ),
        (facts.0, facts.1.saturating_sub(loaded)),
    ]
}

/// User and system time of a program, the median of some runs; its distribution is printed.
fn cpu_of(name: &str, command: &[&str]) -> Duration {
    // The shell tells thousandths of a second, of what it has waited for.
    const SCRIPT: &str = "TIMEFORMAT='%3U %3S'; time \"$@\" >/dev/null 2>/dev/null";
    let times = (0..RUNS).map(|_| {
        let output = Command::new("bash")
            .args(["-c", SCRIPT, "bash"])
            .args(command)
            .output()
            .expect("bash");
        let words = String::from_utf8_lossy(&output.stderr);
        let times = words.split_whitespace().map(|time| time.parse::<f64>());
        let times: Result<Vec<_>, _> = times.collect();
        let times = times.unwrap_or_else(|_| panic!("{command:?}: {words}"));
        Duration::from_secs_f64(times.iter().sum())
    });
    print_distribution(name, &mut times.collect::<Vec<_>>())
}

fn run(command: &mut Command) {
    let status = command.status().expect("a program of this machine");
    assert!(status.success(), "{command:?}: {status}");
}

/// The Python of an environment of its own, where psutil is.
fn python() -> PathBuf {
    cache().join("psutil/bin/python3")
}

/// Makes that environment where there is none; the network is needed for it.
fn install_psutil() {
    let has_it = Command::new(python())
        .args(["-c", "import psutil"])
        .status()
        .is_ok_and(|status| status.success());
    if !has_it {
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(cache().join("psutil")));
        run(Command::new(python()).args(["-m", "pip", "install", "--quiet", "psutil"]));
    }
}
