//! Too much of everything, against a companion and a supervisor that keep their size.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use diogenes_testkit::{base_image, dist, wait_until};
use diogenes_tests::{SOON, agent_in, present, pss_kib};

use crate::inside::python;
use crate::world::World;

/// Processes, and listeners, that are more than a companion tells of one by one.
const MANY: usize = 5000;
/// What a line of the protocol may have; what is known of one container cannot be much more.
const STATUS_BYTES: usize = 512 * 1024;
/// A companion's own memory, in KiB, in a container with all those: it knows of each what it must.
const COMPANION_KIB: u64 = 32 * 1024;

#[test]
fn five_thousand_processes_that_all_listen_are_told_in_a_bounded_report() {
    const FORK_LISTENERS: &str = r#"
use Socket;
$| = 1;
for my $n (1..$ARGV[0]) {
    next if fork;
    socket(my $listener, PF_INET, SOCK_STREAM, 0);
    bind($listener, sockaddr_in(20000 + $n, INADDR_LOOPBACK));
    listen($listener, 5);
    sleep 600;
    exit;
}
print "all\n";
sleep 600;
"#;
    let world = World::new("many");
    let enemy = world
        .container(base_image(), "enemy")
        .args(["perl", "-e", FORK_LISTENERS, &MANY.to_string()])
        .run();
    let supervisor = world.supervisor();
    let agent = agent_in(supervisor, &enemy);
    let calm = world.calm();
    wait_until(Duration::from_secs(60), "all of them", || {
        enemy.logs().contains("all").then_some(())
    });
    let minute = Duration::from_secs(60);
    let (told, _) = supervisor.wait_for(enemy.name(), minute, "their number", |it| {
        it["resources"]["pids"].as_u64() > Some(MANY as u64)
            && it["processes"].as_u64() > Some(MANY as u64 / 2)
    });
    for _ in 0..3 {
        world.neighbour_answers();
    }
    assert!(told.to_string().len() < STATUS_BYTES);
    for question in ["status", "ports", "what runs here", "why"] {
        assert!(supervisor.ask(enemy.name(), question).len() < STATUS_BYTES);
    }
    let metrics = supervisor.http("GET", "/metrics", None).1;
    assert!(metrics.len() < STATUS_BYTES, "{} bytes", metrics.len());
    assert_eq!(agent_in(supervisor, &enemy), agent);
    let kib = pss_kib(agent);
    println!(
        "a companion of {MANY} processes and listeners: {kib} KiB, status {} bytes",
        told.to_string().len()
    );
    assert!(kib < COMPANION_KIB, "{kib} KiB");
    enemy.order("kill");
    world.is_unharmed(&calm);
}

#[test]
fn output_without_end_fills_nobodys_memory() {
    // Some lines, and one that never ends.
    const FLOOD: &str = "while :; do head -c 1000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' '\\n'; done";
    let world = World::new("output");
    let enemy = world
        .container(base_image(), "enemy")
        .option("--log-opt=max-size=64m")
        .args(["sh", "-c", FLOOD])
        .run();
    present(world.supervisor(), &enemy);
    let calm = world.calm();
    // One who reads, and one who does not.
    let mut following: Vec<_> = (0..2)
        .map(|_| {
            Command::new(dist("diogenes"))
                .args(["logs", "--follow", enemy.name()])
                .env("DIOGENES_RUN_DIR", world.supervisor().run_dir())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("diogenes")
        })
        .collect();
    let mut reader = following[0].stdout.take().expect("its output");
    let reading = std::thread::spawn(move || {
        let (mut bytes, mut buffer) = (0, vec![0; 65536]);
        // Until it is ended.
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            bytes += length;
        }
        bytes
    });
    for _ in 0..3 {
        world.neighbour_answers();
        std::thread::sleep(Duration::from_secs(1));
    }
    for client in &mut following {
        client.kill().expect("it runs until then");
        client.wait().expect("its end");
    }
    let bytes = reading.join().expect("a reader");
    assert!(bytes > 0, "the log is told");
    enemy.order("kill");
    world.is_unharmed(&calm);
}

#[test]
fn ten_thousand_connections_and_services_that_answer_as_they_like_hold_nobody_up() {
    /// Services that never answer, answer a byte a second, or without end; and one whose port is held by connections.
    const SERVE: &str = r"
import os, resource, signal, socket, threading, time
def service(port, treat):
    listener = socket.create_server(('127.0.0.1', port), backlog=128)
    if os.fork():
        return
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=treat, args=(connection,)).start()
def never(connection):
    time.sleep(600)
def slowly(connection):
    try:
        for byte in b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 600:
            connection.sendall(bytes([byte]))
            time.sleep(1)
    except OSError:
        pass
def endlessly(connection):
    try:
        connection.sendall(b'HTTP/1.1 200 OK\r\nX: ')
        while True:
            connection.sendall(b'x' * 65536)
    except OSError:
        pass
service(8001, never)
service(8002, slowly)
service(8003, endlessly)
service(6379, endlessly)
held = socket.create_server(('127.0.0.1', 8004), backlog=128)
if os.fork() == 0:
    kept = [held.accept() for _ in range(5000)]
    time.sleep(600)
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
kept = [socket.create_connection(('127.0.0.1', 8004)) for _ in range(5000)]
for listed in range(100):
    extra = socket.socket()
    extra.setblocking(False)
    extra.connect_ex(('127.0.0.1', 8004))
    kept.append(extra)
print('held', flush=True)
signal.pause()
";
    let world = World::new("held");
    let enemy = world
        .container(base_image(), "enemy")
        .option("--ulimit=nofile=20000:20000")
        .args(["python3", "-c", SERVE])
        .run();
    let supervisor = world.supervisor();
    let agent = agent_in(supervisor, &enemy);
    let calm = world.calm();
    let open = || {
        std::fs::read_dir(format!("/proc/{agent}/fd"))
            .expect("a living companion")
            .count()
    };
    wait_until(SOON, "the connections", || {
        enemy.logs().contains("held").then_some(())
    });
    supervisor.wait_for(enemy.name(), SOON, "that it does not work", |it| {
        it["health"] == "unhealthy" || it["health"] == "degraded"
    });
    let mut most = 0;
    for _ in 0..4 {
        world.neighbour_answers();
        most = most.max(open());
        assert!(supervisor.ask(enemy.name(), "why").len() < 16 * 1024);
        std::thread::sleep(Duration::from_millis(700));
    }
    println!(
        "a companion of services that hang: {most} descriptors, {} KiB",
        pss_kib(agent)
    );
    assert!(most < 128, "{most} descriptors");
    assert_eq!(agent_in(supervisor, &enemy), agent);
    world.is_unharmed(&calm);
}

#[test]
fn processes_that_come_go_and_change_faster_than_anybody_looks_confuse_nobody() {
    const STORM: &str = r#"
import ctypes, os, sys, time
end = time.time() + 5
libc = ctypes.CDLL(None)
made = 0
if os.fork() == 0:
    while time.time() < end:
        if os.fork() == 0:
            os.execv('/bin/sh', ['/bin/sh', '-c', 'exec -a redis-server sleep 0.001'])
        os.wait()
    os._exit(0)
if os.fork() == 0:
    # One pid that is another program at each look.
    name = 0
    while time.time() < end:
        name += 1
        libc.prctl(15, b'name%d) R 1' % name, 0, 0, 0)
    os._exit(0)
if os.fork() == 0:
    # One pid that executes itself anew, each time by another name.
    chain = '[ $1 -gt 1000 ] || exec sh -c "$0" "$0" $(($1 + 1))'
    os.execv('/bin/sh', ['sh', '-c', chain, chain, '0'])
while time.time() < end:
    if os.fork() == 0:
        os._exit(0)
    os.waitpid(-1, os.WNOHANG)
    made += 1
print(made)
"#;
    /// Who is left of a storm is a zombie until the container's first process, this one, reaps it.
    const REAP: &str = r"
import os, time
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.05)
";
    let world = World::new("storm");
    let enemy = world
        .container(base_image(), "enemy")
        .args(["python3", "-c", REAP])
        .run();
    let supervisor = world.supervisor();
    let agent = agent_in(supervisor, &enemy);
    let calm = world.calm();
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| python(&enemy, STORM, &[]));
        while !storm.is_finished() {
            let seen = diogenes_tests::snapshot(supervisor, enemy.name());
            assert!(!seen["processes"].as_array().expect("processes").is_empty());
            let _ = supervisor.ask(enemy.name(), "processes");
            world.neighbour_answers();
        }
        println!(
            "{} processes in 5 s",
            storm.join().expect("the storm").trim()
        );
    });
    assert_eq!(agent_in(supervisor, &enemy), agent);
    // Nobody looks at what is calm again, unless somebody asks.
    wait_until(SOON, "the one that is left", || {
        let seen = diogenes_tests::snapshot(supervisor, enemy.name());
        (seen["processes"].as_array().expect("processes").len() == 1).then_some(())
    });
    world.is_unharmed(&calm);
}
