//! What one look at a service costs: HTTP probes by its resident companion, beside HEALTHCHECKs by the Engine of the same
//! program, with the CPU time of everything that takes part on either side. Prints figures and their ratio; asserts
//! nothing, because machines are noisy, and what else the Engine's daemons do meanwhile is counted as theirs.
//!
//! `cargo bench -p diogenes-tests --bench probes` runs it alone. The health check is as cheap as one can be: a small static
//! program, no shell. Most people's are a shell and curl.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use diogenes_testkit::{Container, Supervisor, dist, listener_image, scratch_image_of};
use diogenes_tests::measure::{cpu_ns, print_distribution};
use diogenes_tests::{Peer, agent_in, children_of, command_line, health};

const PROBES: u32 = 1000;
const CHECKS: u32 = 20;
/// What the service is told to do.
const SERVICE: [&str; 3] = ["http", "127.0.0.1:8080", "200"];

/// CPU time by whose it is.
type Shares = Vec<(&'static str, Duration)>;

fn main() {
    println!("{PROBES} HTTP probes by a resident companion");
    let ours = print_shares(&probes(), PROBES);
    println!("{CHECKS} HEALTHCHECKs by the Engine");
    let theirs = print_shares(&checks(), CHECKS);
    println!(
        "CPU time of one, everything counted: 1 to {:.0}",
        theirs.as_secs_f64() / ours.as_secs_f64()
    );
}

/// Every probe is asked for through the supervisor, so that they can be counted. What a companion spends on a request as
/// such is told by as many pings; the probes that come by themselves do not cost that, nor the supervisor's share.
fn probes() -> Shares {
    let container = Container::of(listener_image()).args(SERVICE).run();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let socket = format!("ci/{}.sock", container.name());
    let mut peer = Peer::connect(&supervisor.run_dir().join(socket));
    let known = peer.ask(&serde_json::json!({ "type": "services", "id": 1 }));
    let key = &known["services"][0]["key"];
    let request = serde_json::json!({ "type": "probe", "id": 2, "service": key });
    let probe = |peer: &mut Peer| {
        let outcome = &peer.ask(&request)["outcome"];
        assert_eq!(outcome["verdict"], "alive", "{outcome}");
        assert_eq!(outcome["protocol"], "http", "{outcome}");
        Duration::from_micros(outcome["took_us"].as_u64().expect("a time"))
    };
    // The companion has the code in its memory that it needs.
    probe(&mut peer);
    let ping = serde_json::json!({ "type": "ping", "id": 3 });
    let pids = [
        ("companion", agent_in(&supervisor, &container)),
        ("supervisor", supervisor.pid()),
        ("service", container.pid()),
    ];
    let cpu = || pids.map(|(_, pid)| Duration::from_nanos(cpu_ns(pid)));
    let before = cpu();
    let mut times: Vec<_> = (0..PROBES).map(|_| probe(&mut peer)).collect();
    let after = cpu();
    print_distribution("connect to conclusion", &mut times);
    for _ in 0..PROBES {
        assert_eq!(peer.ask(&ping)["type"], "pong");
    }
    let pings = cpu()[0] - after[0];
    let alone = (after[0] - before[0]).saturating_sub(pings) / PROBES;
    println!("  {:<22} {alone:>10.1?} CPU each", "companion, less a ping");
    shares(pids.map(|(name, _)| name), &before, &after)
}

/// The Engine executes the health check at its own interval, and tells of each that ended.
fn checks() -> Shares {
    let image = scratch_image_of(
        "probes-bench",
        &[&dist("test/testkit-listener")],
        "ENTRYPOINT [\"/testkit-listener\"]\n\
         HEALTHCHECK --interval=100ms CMD [\"/testkit-listener\", \"get\", \"127.0.0.1:8080\"]\n",
    );
    let container = Container::of(image).args(SERVICE).run();
    let mut events = Command::new("docker")
        .args(["events", "--filter", "event=exec_die", "--filter"])
        .arg(format!("container={}", container.id()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker events");
    let mut ended = BufReader::new(events.stdout.take().expect("its output")).lines();
    let mut check = || {
        let event = ended.next().expect("an event").expect("a line");
        assert!(event.contains("exitCode=0"), "{event}");
    };
    check();
    let shim = process(|line| line.contains("containerd-shim") && line.contains(container.id()));
    let engine = fs::read_to_string("/var/run/docker.pid").expect("an Engine of this machine");
    let engine = engine.trim().parse().expect("a pid");
    let names = ["dockerd", "containerd", "shim and what it ran", "service"];
    let pids = [engine, containerd_of(engine), shim, container.pid()];
    // A process that was waited for is counted with the one that waited: runc and the check with the shim.
    let cpu = || pids.map(cpu_with_children);
    let before = cpu();
    for _ in 0..CHECKS {
        check();
    }
    let after = cpu();
    events.kill().expect("a process of ours");
    events.wait().expect("its end");
    shares(names, &before, &after)
}

fn shares<const N: usize>(
    names: [&'static str; N],
    before: &[Duration; N],
    after: &[Duration; N],
) -> Shares {
    let spent = before
        .iter()
        .zip(after)
        .map(|(before, after)| *after - *before);
    names.into_iter().zip(spent).collect()
}

/// Prints what each took for one of so many; returns what all took together for one.
fn print_shares(shares: &Shares, number: u32) -> Duration {
    for (name, spent) in shares {
        println!("  {name:<22} {:>10.1?} CPU each", *spent / number);
    }
    let all = shares.iter().map(|(_, spent)| *spent).sum::<Duration>() / number;
    println!("  {:<22} {all:>10.1?} CPU each", "together");
    all
}

/// The first process whose command line is such.
#[track_caller]
fn process(is_it: impl Fn(&str) -> bool) -> u32 {
    let pids = fs::read_dir("/proc").expect("the processes").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found = pids.filter(|&pid| is_it(&command_line(pid)));
    found.next().expect("a daemon of the Engine")
}

/// The containerd that the Engine has started for itself, or the one of the machine.
fn containerd_of(engine: u32) -> u32 {
    let is_containerd = |line: &str| {
        let program = line.split(' ').next().unwrap_or_default();
        program.rsplit('/').next() == Some("containerd")
    };
    let own = children_of(engine)
        .into_iter()
        .find(|&pid| is_containerd(&command_line(pid)));
    own.unwrap_or_else(|| process(is_containerd))
}

/// CPU time of a process and of its children that have ended, to a hundredth of a second: `utime`, `stime`, `cutime` and
/// `cstime` of `/proc/PID/stat` (proc(5)).
fn cpu_with_children(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process that lives");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let times = fields.split(' ').skip(11).take(4);
    let ticks: u32 = times
        .map(|time| time.parse::<u32>().expect("a number"))
        .sum();
    // USER_HZ is 100 on every machine that this runs on.
    Duration::from_millis(10) * ticks
}
