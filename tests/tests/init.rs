//! `diogenes-agent init` as a container's first process: the application must not notice that it is there, nor that it
//! has a companion.
//!
//! Where a test compares, the same container without init runs beside it.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diogenes_testkit::{
    Container, ContainerSpec, LISTENER, base_image, dist, docker, listener_image, scratch_image_of,
    wait_until,
};
use diogenes_tests::{
    SOON, children_of, command_line, is_gone, kill, signal, status_of, written_kib,
};
use rustix::process::Signal;

/// Where the containers of these tests have the agent.
const AGENT: &str = "/diogenes-agent";

/// A container of `image` whose first process is init; its arguments are init's.
fn with_init(image: &str) -> ContainerSpec {
    Container::of(image)
        .option(agent_volume())
        .entrypoint(AGENT)
        .args(["init"])
}

fn agent_volume() -> String {
    format!("--volume={}:{AGENT}:ro", dist("diogenes-agent").display())
}

/// A shell's script as the application.
fn script(text: &str) -> ContainerSpec {
    with_init(base_image()).args(["--", "sh", "-c", text])
}

/// Waits for a container's end and returns its exit code.
#[track_caller]
fn exit_code(container: &Container) -> i32 {
    let code = docker(&["wait", container.id()]);
    code.parse().expect("an exit code")
}

/// Waits until the container has logged this line.
#[track_caller]
fn logged(container: &Container, line: &str) {
    wait_until(SOON, line, || {
        container.logs().lines().any(|it| it == line).then_some(())
    });
}

/// The companion beside the application, once it is there.
#[track_caller]
fn companion_of(container: &Container) -> u32 {
    let init = container.pid();
    let find = || {
        let mut children = children_of(init).into_iter();
        children.find(|&pid| command_line(pid) == "diogenes-agent serve")
    };
    wait_until(SOON, "the companion", find).0
}

/// The application: the child that is no companion.
#[track_caller]
fn application_of(container: &Container) -> u32 {
    let is_application = |pid: &u32| !command_line(*pid).starts_with("diogenes-agent");
    let find = || {
        children_of(container.pid())
            .into_iter()
            .find(is_application)
    };
    wait_until(SOON, "the application", find).0
}

#[test]
fn it_exits_as_the_application_does() {
    for (words, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("kill -ABRT $$", 134),
        ("kill -40 $$", 168),
    ] {
        let container = script(words).run();
        assert_eq!(exit_code(&container), code, "{words}");
        assert_eq!(container.logs(), "", "{words}");
    }
}

#[test]
fn a_program_that_is_not_there_or_cannot_run_is_said_so() {
    for (program, code, words) in [
        ("nowhere", 127, "cannot run nowhere: No such file"),
        ("/no/where", 127, "cannot run /no/where: No such file"),
        (
            "/etc/passwd",
            126,
            "cannot run /etc/passwd: Permission denied",
        ),
        ("/etc", 126, "cannot run /etc: Permission denied"),
    ] {
        let container = with_init(base_image()).args(["--", program]).run();
        assert_eq!(exit_code(&container), code, "{program}");
        let logs = container.logs();
        assert!(
            logs.starts_with("diogenes-agent: ") && logs.contains(words),
            "{logs}"
        );
        assert_eq!(logs.lines().count(), 1, "{logs}");
    }
}

#[test]
fn every_signal_reaches_the_application() {
    // Those nobody can catch, SIGCHLD, and the two that the C library of this interpreter keeps for itself.
    let beyond_reach = [9, 17, 19, 32, 33];
    let listen = "import os, signal\n\
        for s in signal.valid_signals() - {9, 17, 19}: signal.signal(s, lambda s, _: print(s, flush=True))\n\
        print('ready', flush=True)\n\
        while True: signal.pause()";
    let container = with_init(base_image())
        .args(["--", "python3", "-c", listen])
        .run();
    logged(&container, "ready");
    for signal in (1..=64).filter(|signal| !beyond_reach.contains(signal)) {
        container.sh(&format!("kill -{signal} 1"));
        logged(&container, &signal.to_string());
    }
}

#[test]
fn a_stop_is_as_fast_as_without_and_by_the_signal_the_image_names() {
    let plain = || Container::of(listener_image()).args(["say", "up"]);
    let ours = || with_init(&listener_image()).args(["--", LISTENER, "say", "up"]);
    let time = |spec: ContainerSpec| {
        let container = spec.run();
        logged(&container, "up");
        let start = Instant::now();
        docker(&["kill", "--signal=TERM", container.id()]);
        assert_eq!(exit_code(&container), 0);
        start.elapsed()
    };
    // In turns, so that a busy machine is busy for both; the best of each, for what others do only adds.
    let times: Vec<_> = (0..5).map(|_| (time(plain()), time(ours()))).collect();
    let best =
        |of: fn(&(Duration, Duration)) -> Duration| times.iter().map(of).min().expect("times");
    let (without, with) = (best(|it| it.0), best(|it| it.1));
    println!("SIGTERM to exit: {without:?} without init, {with:?} with it");
    assert!(with < without * 3 / 2, "{with:?} instead of {without:?}");

    let container = script("trap 'exit 5' QUIT; echo up; while :; do sleep 0.01; done")
        .option("--stop-signal=SIGQUIT")
        .run();
    logged(&container, "up");
    container.stop();
    assert_eq!(container.inspect("{{.State.ExitCode}}"), "5");
}

#[test]
fn ten_thousand_orphans_leave_no_zombie() {
    let storm =
        "i=0; while [ $i -lt 10000 ]; do (true &); i=$((i+1)); done; echo over; exec sleep 1000";
    let container = script(storm).run();
    wait_until(SOON * 6, "the end of the storm", || {
        container.logs().contains("over").then_some(())
    });
    let init = container.pid();
    let zombies = || {
        let children = children_of(init);
        children.into_iter().filter(|&pid| is_gone(pid)).count()
    };
    wait_until(SOON, "no zombies", || (zombies() == 0).then_some(()));
    let held = written_kib(init);
    println!("after the storm init holds {held} KiB");
    assert!(held <= 200, "{held} KiB");
}

#[test]
fn it_holds_little_memory_and_sleeps() {
    let container = script("exec sleep 1000").run();
    companion_of(&container);
    wait_until(SOON, "the companion's answer", || {
        container.exec(&[AGENT, "health"]).status.code()
    });
    let init = container.pid();
    let held = written_kib(init);
    println!("init holds {held} KiB");
    assert!(held <= 200, "{held} KiB");
    let switches = || status_of(init, "voluntary_ctxt_switches");
    let before = switches();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(switches(), before, "it woke though nothing happened");
    assert_eq!(status_of(init, "Threads").as_deref(), Some("1"));

    let alone = with_init(base_image())
        .args(["--no-companion", "--", "sleep", "1000"])
        .run();
    application_of(&alone);
    assert_eq!(
        children_of(alone.pid()).len(),
        1,
        "no companion was asked for"
    );
    assert!(written_kib(alone.pid()) <= 200);
}

#[test]
fn the_application_is_given_what_it_would_be_given_without() {
    // Sorted, for it is the Engine's client that has no order.
    let look = "tr '\\0' '\\n' < /proc/$$/environ | sort; pwd; umask; ulimit -a; id; ls /proc/self/fd; \
        grep -E 'Sig[PBIC]|Shd|NoNewPrivs|Seccomp:|Cap' /proc/self/status; cat /proc/self/oom_score_adj; nice";
    let odd = |spec: ContainerSpec| {
        spec.option("--hostname=same")
            .option("--workdir=/tmp")
            .env("ODD", "a b\tc=d")
            .env("EMPTY", "")
    };
    let plain = odd(Container::of(base_image()).entrypoint("sh"))
        .args(["-c", look])
        .run();
    let ours = odd(script(look)).run();
    assert_eq!((exit_code(&plain), exit_code(&ours)), (0, 0));
    assert_eq!(ours.logs(), plain.logs());
    assert!(ours.logs().contains("ODD=a b\tc=d"), "{}", ours.logs());
}

#[test]
fn standard_input_is_the_applications() {
    let mut client = Command::new("docker")
        .args(["run", "--rm", "-i", "--network=none", &agent_volume()])
        .args([
            &format!("--entrypoint={AGENT}"),
            base_image(),
            "init",
            "--",
            "cat",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker");
    let text: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let mut stdin = client.stdin.take().expect("its stdin");
    let writer = std::thread::spawn({
        let text = text.clone();
        move || stdin.write_all(text.as_bytes())
    });
    let output = client.wait_with_output().expect("its end");
    writer.join().expect("no panic").expect("all was taken");
    assert!(output.status.success());
    assert!(
        output.stdout == text.as_bytes(),
        "{} bytes",
        output.stdout.len()
    );
}

/// A terminal that is hung up when its test is over, whatever came of it.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Types `keys` on a terminal, each after the words it waits for, and returns what the terminal showed and the exit code.
#[track_caller]
fn on_a_terminal(command: &str, keys: &[(&str, &str)]) -> (String, Option<i32>) {
    let typescript = tempfile::NamedTempFile::new().expect("a file");
    let terminal = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", command])
        .arg(typescript.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script(1)");
    let mut terminal = Terminal(terminal);
    let shown = || fs::read(typescript.path()).map(|it| String::from_utf8_lossy(&it).into_owned());
    let mut stdin = terminal.0.stdin.take().expect("its stdin");
    let mut seen = 0;
    for (words, keys) in keys {
        wait_until(SOON, words, || {
            let at = shown().ok()?.get(seen..)?.find(words)?;
            seen += at + words.len();
            Some(())
        });
        stdin.write_all(keys.as_bytes()).expect("a terminal");
    }
    let status = terminal.0.wait().expect("its end");
    (shown().expect("a typescript"), status.code())
}

// The jobs below are one process each: a shell that is stopped between vfork and exec stands still for ever, whoever is
// its parent.

/// To a shell that has started one that says "runs" and sleeps: stops it by its key, lets it go on, interrupts it, and has
/// the shell say how it ended.
const STOP_GO_ON_AND_END: [(&str, &str); 6] = [
    ("runs", "\x1a"),
    ("Stopped", "echo co\"\"ntinue; fg\n"),
    ("continue", ""),
    ("sleep 1000", "\x03"),
    ("ready> ", "echo ended by $?\n"),
    ("ended by 130", "exit 9\n"),
];

#[test]
fn on_a_terminal_the_application_has_the_keys() {
    let run = format!(
        "docker run --rm -it --network=none {} --entrypoint={AGENT} {} init --",
        agent_volume(),
        base_image()
    );
    let wait = "sh -c \"trap 'echo got it; exit 6' INT; echo up; while :; do sleep 0.01; done\"";
    let (shown, code) = on_a_terminal(&format!("{run} {wait}"), &[("up", "\x03")]);
    assert_eq!(code, Some(6), "{shown}");
    assert!(shown.contains("got it"), "{shown}");

    // A shell stops a job by its key, continues it, interrupts it, and says how it ended.
    let (shown, code) = on_a_terminal(
        &format!("{run} bash --norc -i"),
        &[
            &[
                ("# ", "PS1='ready> '; tty\n"),
                ("/dev/pts/", "sh -c 'echo ru\"\"ns; exec sleep 1000'\n"),
            ],
            &STOP_GO_ON_AND_END[..],
        ]
        .concat(),
    );
    assert_eq!(code, Some(9), "{shown}");
    assert!(!shown.contains("no job control"), "{shown}");
}

#[test]
fn below_a_shell_it_stops_and_continues_with_the_application() {
    let agent = dist("diogenes-agent");
    let agent = agent.display();
    let (shown, code) = on_a_terminal(
        "bash --norc -i",
        &[
            &[
                ("# ", "PS1='ready> '\n"),
                (
                    "ready> ",
                    &format!(
                        "{agent} init --no-companion -- sh -c 'echo ru\"\"ns; exec sleep 1000'\n"
                    ),
                ),
            ],
            &STOP_GO_ON_AND_END[..],
        ]
        .concat(),
    );
    assert_eq!(code, Some(9), "{shown}");
}

#[test]
fn with_the_group_option_a_signal_is_for_all_of_the_group() {
    let family = "sh -c 'trap \"echo child; exit\" TERM; echo up; while :; do sleep 0.01; done' & \
        trap 'echo parent; wait; exit 4' TERM; while :; do sleep 0.01; done";
    for (option, told) in [("-g", true), ("--no-companion", false)] {
        let container = with_init(base_image())
            .args([option, "--", "sh", "-c", family])
            .run();
        logged(&container, "up");
        docker(&["kill", "--signal=TERM", container.id()]);
        logged(&container, "parent");
        if told {
            assert_eq!(exit_code(&container), 4);
            logged(&container, "child");
        } else {
            std::thread::sleep(Duration::from_millis(300));
            assert!(!container.logs().contains("child"), "{}", container.logs());
        }
    }
}

#[test]
fn kill_minus_one_ends_the_companion_for_a_second_and_nothing_else() {
    let container =
        script("sleep 1; echo before; kill -KILL -1; echo after; exec sleep 1000").run();
    let first = companion_of(&container);
    logged(&container, "after");
    wait_until(SOON, "the end of the companion", || {
        is_gone(first).then_some(())
    });
    let second = companion_of(&container);
    assert_ne!(first, second);
    assert_eq!(container.inspect("{{.State.Running}}"), "true");
    assert_eq!(container.logs(), "before\nafter\n");
}

#[test]
fn a_companion_killed_five_times_comes_back_later_each_time_and_changes_nothing() {
    let container = script("echo up; trap 'exit 3' TERM; while :; do sleep 0.01; done").run();
    let application = application_of(&container);
    let mut companion = companion_of(&container);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        kill(companion);
        let end = Instant::now();
        wait_until(SOON, "its end", || {
            (!children_of(container.pid()).contains(&companion)).then_some(())
        });
        companion = companion_of(&container);
        pauses.push(end.elapsed());
    }
    kill(companion);
    println!("pauses: {pauses:?}");
    for (pause, seconds) in pauses.iter().zip([1, 2, 4, 8]) {
        let seconds = Duration::from_secs(seconds);
        assert!(*pause >= seconds && *pause < seconds * 2, "{pauses:?}");
    }
    assert_eq!(application_of(&container), application);
    docker(&["kill", "--signal=TERM", container.id()]);
    assert_eq!(exit_code(&container), 3);
    assert_eq!(container.logs(), "up\n");
}

#[test]
fn a_companion_that_crashes_at_its_start_is_silent() {
    // Nowhere to put its socket.
    let container = script("echo up; sleep 4; exit 8").read_only().run();
    let (init, application) = (container.pid(), application_of(&container));
    let mut lives = std::collections::BTreeSet::new();
    while !is_gone(init) {
        let children = children_of(init).into_iter();
        lives.extend(children.filter(|&pid| pid != application));
        std::thread::sleep(Duration::from_micros(100));
    }
    assert_eq!(exit_code(&container), 8);
    assert_eq!(container.logs(), "up\n");
    // At the start, after 1 s and after 2 more; a life is short, and one may have gone unseen.
    assert!((1..=3).contains(&lives.len()), "{lives:?}");
}

#[test]
fn the_companion_shares_no_descriptor_with_the_application() {
    let container = script("echo up; exec sleep 1000").run();
    let companion = companion_of(&container);
    let of =
        |pid: u32, fd: u32| fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("a descriptor");
    let application = application_of(&container);
    for fd in 0..=2 {
        assert_eq!(of(companion, fd).to_str(), Some("/dev/null"));
        assert_ne!(of(companion, fd), of(application, 1));
    }
    let flood = "flood\n".repeat(100_000);
    fs::write(format!("/proc/{companion}/fd/2"), flood).expect("a flood");
    logged(&container, "up");
    assert_eq!(container.logs(), "up\n");
    let field = |pid: u32, index: usize| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
        let tail = stat.rsplit_once(')').expect("a name").1.to_owned();
        tail.split_whitespace()
            .nth(index)
            .expect("a field")
            .to_owned()
    };
    // Session and process group (proc_pid_stat(5), fields 6 and 5).
    assert_eq!(field(companion, 3), companion.to_string());
    assert_eq!(field(application, 2), application.to_string());
    let expendable =
        fs::read_to_string(format!("/proc/{companion}/oom_score_adj")).expect("a score");
    assert_eq!(expendable.trim(), "1000");
    assert_eq!(
        fs::read(format!("/proc/{companion}/environ")).expect("environ"),
        b""
    );
}

#[test]
fn a_companion_that_stands_still_is_said_so_in_time_and_holds_nothing_up() {
    let container = script("trap 'exit 3' TERM; while :; do sleep 0.01; done").run();
    let companion = companion_of(&container);
    wait_until(SOON, "the companion's answer", || {
        container
            .exec(&[AGENT, "ask", "status"])
            .status
            .success()
            .then_some(())
    });
    signal(companion, Signal::STOP);
    let start = Instant::now();
    let output = container.exec(&[AGENT, "health"]);
    let time = start.elapsed();
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(words, "unknown: the agent does not answer within 2 s\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(time < Duration::from_secs(3), "{time:?}");
    let start = Instant::now();
    docker(&["kill", "--signal=TERM", container.id()]);
    assert_eq!(exit_code(&container), 3);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(is_gone(companion));
}

#[test]
fn an_image_with_nothing_else_in_it_can_have_a_healthcheck() {
    let (agent, listener) = (dist("diogenes-agent"), dist("test/testkit-listener"));
    let image = scratch_image_of(
        "healthcheck",
        &[&agent, &listener],
        "HEALTHCHECK --interval=1s --retries=1 CMD [\"/diogenes-agent\", \"health\"]\n\
         ENTRYPOINT [\"/diogenes-agent\", \"init\", \"--\", \"/testkit-listener\"]\n",
    );
    for (answer, state, words) in [
        ("200", "healthy", "healthy: "),
        ("500", "unhealthy", "unhealthy: "),
    ] {
        let container = Container::of(&image)
            .args(["http", "0.0.0.0:80", answer])
            .run();
        wait_until(SOON, state, || {
            let health = container.inspect("{{json .State.Health}}");
            let health: serde_json::Value = serde_json::from_str(&health).expect("JSON");
            let output = health["Log"].as_array()?.last()?["Output"].as_str()?;
            (health["Status"] == state && output.starts_with(words)).then_some(())
        });
    }
}

#[test]
fn the_companion_answers_and_docker_takes_its_word_for_the_health() {
    let container = with_init(base_image())
        .args(["--", "redis-server", "--save", ""])
        .option("--health-cmd=/diogenes-agent health")
        .option("--health-interval=1s")
        .run();
    let docker_says = || container.inspect("{{.State.Health.Status}}");
    wait_until(SOON, "healthy", || {
        (docker_says() == "healthy").then_some(())
    });
    let outputs = container.inspect("{{range .State.Health.Log}}{{.Output}}{{end}}");
    assert!(
        outputs.ends_with("\nhealthy: Redis works") || outputs == "healthy: Redis works",
        "{outputs}"
    );
    let words = container.exec(&[AGENT, "ask", "status"]);
    assert!(
        String::from_utf8_lossy(&words.stdout).contains("Redis (healthy)"),
        "{words:?}"
    );
    let health = |args: &[&str]| {
        let output = container.exec(&[&[AGENT, "health"], args].concat());
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(words.lines().count(), 1, "{words}");
        (output.status.code(), words)
    };
    let (code, words) = health(&["redis", "--strict"]);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.starts_with("healthy: Redis: "), "{words}");
    let (code, words) = health(&["postgresql"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("no service of this name"), "{words}");
    let (code, words) = health(&["--socket", "/nowhere.sock"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(
        words.contains("no agent answers at /nowhere.sock"),
        "{words}"
    );

    // Redis stands still: it is there, and it does not answer.
    container.sh("kill -STOP $(pidof redis-server)");
    wait_until(SOON * 2, "unhealthy", || {
        (health(&["redis"]).0 == Some(1)).then_some(())
    });
    let (_, words) = health(&[]);
    assert!(words.starts_with("unhealthy: "), "{words}");
}
