//! Root in a container against its companion's process.
//!
//! A companion must live where root of its container can see it. What keeps that root away is the launch contract: an
//! undumpable process of an unused user, with no capability that the container's root could not do without. The table
//! says of each attempt who succeeds, and of what succeeds by nature, why it gains nothing.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use diogenes_testkit::{
    Container, ContainerSpec, PrivateEngine, base_image, listener_image, wait_until,
};
use diogenes_tests::{SOON, agent_in, agents_in, is_gone, present, status_of};
use serde_json::{Value, json};

use crate::inside::{attempt, inner_pid, python};
use crate::world::{SECRET, World};

/// Who can do a thing to a companion.
enum Who {
    /// Nobody.
    Nobody,
    /// Root to whom the person who runs the container granted CAP_SYS_PTRACE.
    Tracer,
    /// By nature every root of the same users. The sentence says why that gains nothing.
    Root(#[expect(dead_code, reason = "for the reader")] &'static str),
}
use Who::{Nobody, Root, Tracer};

/// A function of `attempts.py`, and who can do it. The last ends the companion.
#[rustfmt::skip]
const ATTEMPTS: &[(&str, Who)] = &[
    // its memory
    ("ptrace_attach", Tracer),
    ("ptrace_seize", Tracer),
    ("ptrace_as_equal", Nobody),
    ("process_vm_readv", Tracer),
    ("process_vm_writev", Tracer),
    ("read_memory", Tracer),
    ("read_memory_as_equal", Nobody),
    ("write_memory", Tracer),
    ("page_out", Nobody),
    // its descriptors
    ("steal_session", Tracer),
    ("steal_session_as_equal", Nobody),
    ("list_descriptors", Root("their numbers; what they are of is not told")),
    ("list_descriptors_as_equal", Nobody),
    ("open_descriptors", Tracer),
    ("compare_descriptors", Tracer),
    // what /proc tells
    ("environment", Tracer),
    ("auxiliary_vector", Tracer),
    ("stack", Nobody),
    ("system_call", Tracer),
    ("page_map", Tracer),
    ("working_directory", Tracer),
    ("program_link", Tracer),
    ("copy_program", Tracer),
    ("enter_root", Tracer),
    // its namespaces, keys and place; the host behind a bind mount
    ("join_by_pidfd", Nobody),
    ("join_by_file", Nobody),
    ("search_keys", Nobody),
    ("take_into_cgroup", Nobody),
    ("open_host_by_handle", Nobody),
    ("trace_with_perf", Nobody),
    // how it fares
    ("lower_oom_score", Nobody),
    ("raise_oom_score", Root("when the host lacks memory it goes first, and comes back")),
    ("hurry", Nobody),
    ("slow", Nobody),
    ("slow_as_equal", Nobody),
    ("lift_limits_as_equal", Nobody),
    ("lower_limits_as_equal", Root("it can do less for its own container")),
    ("rename_it", Nobody),
    ("stop_and_continue", Root("while it stands still it is shown as silent, never as well")),
    ("kill", Root("it is brought back once at once, and then with patience and a finding")),
];

/// Makes all attempts on the companion of a container, and compares with what is expected of each.
#[track_caller]
fn attempts_end(world: &World, spec: ContainerSpec, succeeds: impl Fn(&Who) -> bool) {
    let enemy = spec.args(["sleep", "600"]).run();
    let agent = agent_in(world.supervisor(), &enemy);
    let calm = world.calm();
    let names: Vec<_> = ATTEMPTS.iter().map(|(name, _)| *name).collect();
    let outcomes = attempt(&enemy, agent, &names);
    let wrong: Vec<_> = ATTEMPTS
        .iter()
        .zip(&outcomes)
        .filter(|((name, who), outcome)| {
            outcome["attempt"] != *name || outcome.get("done").is_some() != succeeds(who)
        })
        .map(|(_, outcome)| outcome)
        .collect();
    assert!(
        wrong.is_empty() && outcomes.len() == ATTEMPTS.len(),
        "{wrong:#?}"
    );
    present(world.supervisor(), &enemy);
    world.is_unharmed(&calm);
}

#[test]
fn root_with_the_usual_capabilities_gets_no_hold_of_its_companion() {
    let world = World::new("usual");
    attempts_end(&world, world.container(base_image(), "enemy"), |who| {
        matches!(who, Root(_))
    });
}

#[test]
fn nor_does_it_where_the_engine_filters_no_system_calls() {
    let world = World::new("unfiltered");
    let spec = world
        .container(base_image(), "enemy")
        .option("--security-opt=seccomp=unconfined");
    attempts_end(&world, spec, |who| matches!(who, Root(_)));
}

#[test]
fn root_that_was_granted_sys_ptrace_takes_its_companion_over_and_no_more() {
    let world = World::new("tracer");
    let spec = world.container(base_image(), "enemy").cap_add("SYS_PTRACE");
    attempts_end(&world, spec, |who| !matches!(who, Nobody));
}

/// Not even what every other root can do: this one is none of the host's users.
#[test]
fn root_of_remapped_users_cannot_touch_its_companion_whatever_it_was_granted() {
    let world = World::with("remapped", "", Some(PrivateEngine::with_remapped_users()));
    let spec = world
        .container(base_image(), "enemy")
        .option("--security-opt=seccomp=unconfined")
        .cap_add("SYS_PTRACE");
    attempts_end(&world, spec, |_| false);
}

/// An enemy who may take its companion over, and that companion.
fn tracer(world: &World) -> (Container, u32) {
    let enemy = world
        .container(base_image(), "enemy")
        .cap_add("SYS_PTRACE")
        .args(["sleep", "600"])
        .run();
    let agent = agent_in(world.supervisor(), &enemy);
    (enemy, agent)
}

/// Seen from the host, where nothing hides it: whoever takes a companion over holds what his container holds, and the
/// one session.
#[test]
fn a_companion_that_was_taken_over_is_worth_nothing() {
    let world = World::new("worth");
    let (enemy, agent) = tracer(&world);
    world.neighbour_answers();
    let _ = world.supervisor().ask(enemy.name(), "status");

    // Every file that it has open lies on a mount of its container, but the sealed files in memory that it is given.
    let mounts = |pid: u32| -> Vec<String> {
        let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("mountinfo");
        let first_word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        table.lines().map(first_word).collect()
    };
    let own = mounts(enemy.pid());
    let (mut sockets, mut files) = (0, 0);
    for entry in fs::read_dir(format!("/proc/{agent}/fd")).expect("descriptors") {
        let entry = entry.expect("a descriptor");
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let target = target.to_string_lossy().into_owned();
        let number = entry.file_name().to_string_lossy().into_owned();
        let info = fs::read_to_string(format!("/proc/{agent}/fdinfo/{number}")).unwrap_or_default();
        let mount = info
            .lines()
            .find_map(|line| line.strip_prefix("mnt_id:"))
            .map(|id| id.trim().to_owned());
        if target.starts_with("socket:") {
            sockets += 1;
        } else if target.starts_with('/') && !target.starts_with("/memfd:") {
            files += 1;
            let mount = mount.expect("a mount");
            assert!(own.contains(&mount), "{target} lies outside: {info}");
        } else {
            let harmless = [
                "/memfd:",
                "anon_inode:[event",
                "anon_inode:[pidfd]",
                "anon_inode:[timerfd]",
                "pipe:",
            ];
            let is_harmless = harmless.iter().any(|kind| target.starts_with(kind));
            assert!(is_harmless, "it holds {target}");
        }
    }
    assert!(
        sockets >= 1 && files >= 1,
        "{sockets} sockets, {files} files"
    );

    // It has no way to more: no privilege to gain, and a filter that outlives whoever takes it.
    for (key, value) in [
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("CapBnd", "0000000000080002"),
    ] {
        assert_eq!(status_of(agent, key).as_deref(), Some(value), "{key}");
    }

    // And it knows nothing of anybody else.
    let memory = memory_of(agent);
    let holds = |word: &str| {
        memory
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    assert!(
        holds("sleep"),
        "its own container's command is in its memory"
    );
    let run_dir = world.supervisor().run_dir().display().to_string();
    for foreign in [
        SECRET,
        run_dir.as_str(),
        "api.sock",
        world.neighbour().name(),
        world.neighbour().id(),
    ] {
        assert!(!holds(foreign), "it knows {foreign}");
    }
}

/// All of a process's memory that it can write.
fn memory_of(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    let memory = fs::File::open(format!("/proc/{pid}/mem")).expect("memory");
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (start, end) = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        let address = |word: &str| u64::from_str_radix(word, 16).expect("an address");
        let (start, end) = (address(start), address(end));
        let mut part = vec![0; usize::try_from(end - start).expect("a size")];
        if memory.read_exact_at(&mut part, start).is_ok() {
            all.extend(part);
        }
    }
    all
}

/// There is a moment in which the companion's process is not the agent yet: nor is it open then.
#[test]
fn a_companion_cannot_be_caught_while_it_comes() {
    const CATCH: &str = include_str!("catch.py");
    const TRIES: usize = 10;
    let world = World::new("catch");
    let enemy = world
        .container(base_image(), "enemy")
        .option("--security-opt=seccomp=unconfined")
        .args(["python3", "-c", CATCH])
        .run();
    let supervisor = world.supervisor();
    agent_in(supervisor, &enemy);
    let calm = world.calm();
    // On a busy machine it does not see each of them.
    let tries = || enemy.logs().lines().filter(|line| *line == "tried").count();
    wait_until(SOON, "tries enough", || {
        supervisor.words(&["detach", enemy.name()]);
        supervisor.words(&["attach", enemy.name()]);
        present(supervisor, &enemy);
        (tries() >= TRIES).then_some(())
    });
    world.is_unharmed(&calm);
    enemy.order("kill");
    let words = enemy.logs();
    assert!(!words.contains("caught"), "{words}");
}

/// Each that hangs takes a place among those who come at a time, until it is given up: the others wait that long.
#[test]
fn companions_that_are_stopped_while_they_come_hold_up_nobody_elses() {
    const STOP_ALL: &str = r"
import os, signal
stopped = set()
while True:
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if pid != '1' and pid not in stopped:
                os.kill(int(pid), signal.SIGSTOP)
                stopped.add(pid)
                print('stopped', flush=True)
        except OSError:
            pass
";
    /// More than come at a time.
    const ENEMIES: usize = 9;
    let world = World::new("stopper");
    let enemies: Vec<_> = (0..ENEMIES)
        .map(|number| {
            world
                .container(base_image(), &format!("enemy-{number}"))
                .option("--cpus=0.1")
                .args(["python3", "-c", STOP_ALL])
                .run()
        })
        .collect();
    wait_until(SOON, "stopped companions", || {
        enemies
            .iter()
            .all(|enemy| enemy.logs().contains("stopped"))
            .then_some(())
    });
    world.neighbour_answers();
    let second = world
        .container(listener_image(), "second")
        .args(["tcp", "127.0.0.1:7000"])
        .run();
    present(world.supervisor(), &second);
    let told = world.supervisor().status();
    for container in told["containers"].as_array().expect("containers") {
        let is_enemy = enemies
            .iter()
            .any(|enemy| container["name"] == enemy.name());
        assert!(
            !is_enemy || container["health"] != "healthy",
            "{container:#}"
        );
    }
    drop(enemies);
    let calm = world.calm();
    world.is_unharmed(&calm);
}

#[test]
fn a_companion_that_is_killed_as_often_as_it_comes_is_brought_with_patience() {
    const KILL_FOR_8_S: &str = r"
import os, signal, time
end = time.time() + 8
killed = set()
while time.time() < end:
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if open(f'/proc/{pid}/comm').read() == 'diogenes-agent\n':
                os.kill(int(pid), signal.SIGKILL)
                killed.add(pid)
        except OSError:
            pass
    time.sleep(0.002)
print(len(killed))
";
    let world = World::new("killer");
    let enemy = world
        .container(base_image(), "enemy")
        .args(["sleep", "600"])
        .run();
    agent_in(world.supervisor(), &enemy);
    let calm = world.calm();
    let killed: usize = python(&enemy, KILL_FOR_8_S, &[])
        .trim()
        .parse()
        .expect("a number");
    println!("{killed} companions killed in 8 s");
    // At the start, at once, after 2 s and after 4 s more; one that dies while it comes counts as well.
    assert!((2..=5).contains(&killed), "{killed}");
    let (told, _) =
        world
            .supervisor()
            .wait_for(enemy.name(), SOON, "a finding tells of it", |it| {
                let findings = it["findings"].as_array();
                findings.is_some_and(|all| all.iter().any(|it| it["code"] == "companion-killed"))
            });
    assert_ne!(told["health"], "healthy");
    world.supervisor().words(&["attach", enemy.name()]);
    present(world.supervisor(), &enemy);
    world.is_unharmed(&calm);
}

/// The companion belongs to none of the container's control groups, so it does not suffer with the container.
#[test]
fn a_companion_outlives_what_uses_up_all_of_its_container() {
    const FORK_ALL: &str = r"
import os, signal
made = 0
try:
    while True:
        if os.fork() == 0:
            signal.pause()
        made += 1
except OSError:
    print(made, flush=True)
signal.pause()
";
    const FILL: &str = "x = [bytearray(1 << 20) for _ in range(1000)]";
    let world = World::new("exhaust");
    let enemy = world
        .container(base_image(), "enemy")
        .option("--pids-limit=100")
        .memory_mib(256)
        .args(["python3", "-c", FORK_ALL])
        .run();
    let supervisor = world.supervisor();
    let agent = agent_in(supervisor, &enemy);
    let calm = world.calm();
    let asked = || {
        let path = format!("/api/v1/containers/{}/ask", enemy.name());
        let question = json!({ "question": "processes" });
        let (_, body) = supervisor.http("POST", &path, Some(&question));
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["answered_by"], "companion", "{body:#}");
        body["text"].as_str().unwrap_or_default().to_owned()
    };
    wait_until(SOON, "all processes that may be", || {
        enemy.logs().contains("99").then_some(())
    });
    wait_until(SOON, "the answer to count them", || {
        asked().contains("100").then_some(())
    });
    assert!(!is_gone(agent));
    world.is_unharmed(&calm);
    drop(enemy);

    let enemy = world
        .container(base_image(), "glutton")
        .memory_mib(64)
        .args(["sh", "-c", "while :; do python3 -c \"$0\"; done", FILL])
        .run();
    let agent = agent_in(world.supervisor(), &enemy);
    let calm = world.calm();
    world
        .supervisor()
        .wait_for(enemy.name(), SOON, "its memory ran out", |it| {
            it["resources"]["oom_kills"].as_u64().unwrap_or_default() >= 2
        });
    assert_eq!(agents_in(world.supervisor(), &enemy), [agent]);
    world.is_unharmed(&calm);
}

#[test]
fn a_session_that_was_left_open_ends_with_its_companion() {
    let world = World::new("inherit");
    let (enemy, agent) = tracer(&world);
    let calm = world.calm();
    // A copy of the session's descriptor keeps the connection open when the companion is dead.
    const HOLD: &str = r"
import ctypes, os, signal, sys, time
pid = int(sys.argv[1])
session = ctypes.CDLL(None).syscall(438, os.pidfd_open(pid), 3, 0)
os.kill(pid, signal.SIGKILL)
time.sleep(3)
print(session)
";
    let held = python(&enemy, HOLD, &[&inner_pid(agent)]);
    assert!(
        held.trim().parse::<i32>().expect("a number") > 2,
        "it held {held}"
    );
    wait_until(Duration::from_secs(5), "another companion", || {
        agents_in(world.supervisor(), &enemy)
            .into_iter()
            .find(|&other| other != agent)
    });
    present(world.supervisor(), &enemy);
    world.is_unharmed(&calm);
}

/// What is no companion of this supervisor is not taken for one, whatever it calls itself.
#[test]
fn an_application_that_calls_itself_a_companion_is_an_application() {
    const POSE: &str = r"
import os
os.execve('/usr/bin/sleep', ['diogenes-agent', '600'], {})
";
    let world = World::new("pose");
    let enemy = world
        .container(base_image(), "enemy")
        .args([
            "sh",
            "-c",
            "cp /usr/bin/sleep /diogenes-agent; /diogenes-agent 600 & exec python3 -c \"$0\"",
            POSE,
        ])
        .run();
    let agent = agent_in(world.supervisor(), &enemy);
    let seen = diogenes_tests::snapshot(world.supervisor(), enemy.name());
    let shown = seen["processes"].as_array().expect("processes").len();
    assert_eq!(shown, 2, "both are shown: {seen:#}");
    world.supervisor().words(&["detach", enemy.name()]);
    wait_until(SOON, "the companion to leave", || {
        is_gone(agent).then_some(())
    });
    assert_eq!(
        enemy.top().lines().count(),
        3,
        "and both live: {}",
        enemy.top()
    );
}
