//! What a companion costs, measured on a real Engine beside what people use today. Prints distributions; asserts
//! nothing, because machines are noisy: read the ratios.
//!
//! `make bench` runs it; with `-- --brief` it leaves out the idle minute. It executes itself once more to be an attacher.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use diogenes_linux::attacher;
use diogenes_linux::program::Program;
use diogenes_testkit::{Container, Supervisor, demo_image, dist, listener_image};
use diogenes_tests::measure::{HttpConnection, cpu_ns, print_distribution, timed};
use diogenes_tests::{Peer, agent_in, agents_in, attacher_of, health, present, pss_kib};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// As `diogenes` has it.
const SUBCOMMAND: &str = "attacher";

fn main() {
    if std::env::args().nth(1).as_deref() == Some(SUBCOMMAND) {
        attacher::serve().expect("an attacher");
        return;
    }
    attach();
    questions();
    if std::env::args().all(|arg| arg != "--brief") {
        idle();
    }
}

/// A launch through the attacher up to the agent's hello, beside `docker exec` of a program that does nothing.
fn attach() {
    const ROUNDS: usize = 50;
    let container = Container::of(demo_image("redis")).run();
    let program = Program::load(&dist("diogenes-agent"), Path::new("/tmp")).expect("the agent");
    let (mut command, link) = attacher::command(&program, SUBCOMMAND).expect("a command");
    let mut child = command.spawn().expect("an attacher");
    let pid = Pid::from_raw(container.pid().try_into().expect("a pid")).expect("a pid");
    let init = pidfd_open(pid, PidfdFlags::empty()).expect("a pidfd");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(timed(|| {
            link.request(round as u64, 1, init.as_fd())
                .expect("a request");
            let attached = link
                .receive()
                .expect("a reply")
                .expect("a living attacher")
                .result
                .expect("an agent");
            let mut hello = [0; 256];
            let bytes = UnixStream::from(attached.session)
                .read(&mut hello)
                .expect("a hello");
            assert!(hello[..bytes].starts_with(b"{\"type\":\"hello\""));
        }));
        theirs.push(timed(|| {
            assert!(container.exec(&["true"]).status.success())
        }));
    }
    drop(link);
    child.wait().expect("its end");
    compare(
        "attach, up to the first line",
        &mut ours,
        "docker exec true",
        &mut theirs,
    );
}

/// Questions to a companion through the supervisor, on both of its sockets, beside asking Redis itself by exec.
fn questions() {
    const ROUNDS: usize = 1000;
    let container = Container::of(demo_image("redis")).run();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let mut peer = Peer::connect(
        &supervisor
            .run_dir()
            .join(format!("ci/{}.sock", container.name())),
    );
    let request = serde_json::json!({ "type": "ask", "id": 1, "question": "status" });
    let mut lines: Vec<_> = (0..ROUNDS)
        .map(|_| timed(|| assert_eq!(peer.ask(&request)["type"], "answer")))
        .collect();
    let mut api = HttpConnection::unix(&supervisor.api_socket());
    let path = format!("/api/v1/containers/{}/ask", container.name());
    let mut http: Vec<_> = (0..ROUNDS)
        .map(|_| timed(|| drop(api.post(&path, "{\"question\":\"status\"}"))))
        .collect();
    let path = format!("/ci/{}/message", container.name());
    let mut aish: Vec<_> = (0..ROUNDS)
        .map(|_| {
            // aish makes a connection for each message.
            timed(|| {
                drop(HttpConnection::tcp(supervisor.port()).post(&path, "{\"message\":\"status\"}"))
            })
        })
        .collect();
    let mut theirs: Vec<_> = (0..20)
        .map(|_| timed(|| assert!(container.exec(&["redis-cli", "ping"]).status.success())))
        .collect();
    compare(
        "question to answer, protocol socket",
        &mut lines,
        "docker exec redis-cli ping",
        &mut theirs,
    );
    compare(
        "question to answer, HTTP",
        &mut http,
        "docker exec redis-cli ping",
        &mut theirs,
    );
    compare(
        "message to answer, as aish sends it",
        &mut aish,
        "docker exec redis-cli ping",
        &mut theirs,
    );
}

/// What ten companions and the supervisor cost while nothing happens.
fn idle() {
    const WATCHED: Duration = Duration::from_secs(60);
    let mut containers: Vec<_> = (0..9)
        .map(|_| {
            Container::of(listener_image())
                .args(["children", "19"])
                .run()
        })
        .collect();
    containers.push(Container::of(demo_image("redis")).run());
    let supervisor = Supervisor::start();
    for container in &containers {
        present(&supervisor, container);
    }
    let agents: Vec<_> = containers
        .iter()
        .map(|container| agent_in(&supervisor, container))
        .collect();
    // The first looks and the stretching of the interval are over.
    std::thread::sleep(Duration::from_secs(30));
    let mut watched = agents.clone();
    watched.extend([supervisor.pid(), attacher_of(&supervisor)]);
    let before: Vec<_> = watched.iter().map(|&pid| cpu_ns(pid)).collect();
    std::thread::sleep(WATCHED);
    let percent = |index: usize| {
        (cpu_ns(watched[index]) - before[index]) as f64 / WATCHED.as_nanos() as f64 * 100.0
    };
    println!("idle for {} s, 20 processes a container", WATCHED.as_secs());
    for (index, &pid) in watched.iter().enumerate() {
        let name = match index {
            9 => "companion of Redis",
            10 => "supervisor",
            11 => "attacher",
            _ => "companion",
        };
        println!(
            "  {name:<20} CPU {:.4} % of a core   PSS {:>5} KiB",
            percent(index),
            pss_kib(pid)
        );
    }
    for container in &containers[1..] {
        supervisor.words(&["detach", container.name()]);
        assert!(agents_in(&supervisor, container).is_empty());
    }
    println!(
        "  {:<20} {:>27} PSS {:>5} KiB",
        "a single companion",
        "",
        pss_kib(agents[0])
    );
}

fn compare(name: &str, ours: &mut [Duration], their_name: &str, theirs: &mut [Duration]) {
    println!("{name}");
    let (our_median, their_median) = (
        print_distribution("ours", ours),
        print_distribution(their_name, theirs),
    );
    println!(
        "  ratio of the medians: 1 to {:.1}",
        their_median.as_secs_f64() / our_median.as_secs_f64()
    );
}
