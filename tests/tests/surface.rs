//! What monitors, scripts and operators hold on to, and what becomes of it when something is in the way: a receiver
//! that hangs, a disk that is full, a file that is wrong.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use diogenes_testkit::{
    Container, Supervisor, base_image, demo_image, dist, listener_image, wait_until,
};
use diogenes_tests::{SOON, agent_in, health, present};
use rustix::process::Signal;
use serde_json::Value;

/// A container in which Redis runs as a child of its entrypoint, and can be killed alone.
fn redis() -> Container {
    Container::of(demo_image("redis")).run()
}

const KILL_REDIS: &str = "kill -9 $(cat /proc/[0-9]*/stat | sed -n 's/ (redis-server) .*//p')";

#[test]
fn health_over_http_is_a_status_code_that_tells_the_truth() {
    let container = redis();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let path = format!("/api/v1/containers/{}/health", container.name());
    let (code, body) = supervisor.http("GET", &path, None);
    assert_eq!(code, 200, "{body}");

    container.sh(KILL_REDIS);
    health(&supervisor, &container, "unhealthy");
    let (code, body) = supervisor.http("GET", &path, None);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((code, &body["health"]), (503, &"unhealthy".into()));
    let reason = body["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("Redis"), "the body says why: {body:#}");
    let (code, _) = supervisor.http("GET", "/health", None);
    assert_eq!(
        code, 200,
        "a sick container does not make the supervisor sick"
    );
}

#[test]
fn metrics_show_a_service_that_died() {
    let container = redis();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let state = |health: &str| {
        let (code, text) = supervisor.http("GET", "/metrics", None);
        assert_eq!(code, 200, "{text}");
        let is_it = |line: &&str| {
            line.starts_with("diogenes_container_health{")
                && line.contains(&format!("\"{}\"", container.name()))
                && line.contains(&format!("\"{health}\""))
        };
        let line = text.lines().find(is_it).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no {health} for {}: {text}", container.name()))
    };
    wait_until(SOON, "the metrics to say healthy", || {
        state("healthy").ends_with(" 1").then_some(())
    });
    assert!(state("unhealthy").ends_with(" 0"));
    container.sh(KILL_REDIS);
    wait_until(SOON, "the metrics to say unhealthy", || {
        state("unhealthy").ends_with(" 1").then_some(())
    });
    assert!(state("healthy").ends_with(" 0"));
}

#[test]
fn events_are_followed_and_taken_up_again() {
    let container = redis();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let mut events = Events::follow(&supervisor, None);
    container.sh(KILL_REDIS);
    let died = events.until(|event| event["type"] == "health" && event["to"] == "unhealthy");
    assert_eq!(died["container"]["name"], container.name());
    drop(events);

    // What happens while nobody follows is told to whoever comes back.
    container.sh("start-redis");
    health(&supervisor, &container, "healthy");
    let last = died["id"].as_u64().expect("a number");
    let mut events = Events::follow(&supervisor, Some(last));
    let first = events.next();
    assert_eq!(first["id"].as_u64(), Some(last + 1), "{first}");
    if first["to"] != "healthy" || first["type"] != "health" {
        events.until(|event| event["type"] == "health" && event["to"] == "healthy");
    }

    let words = supervisor.words(&["history", container.name()]);
    assert!(
        words.contains("unhealthy") && words.contains("healthy"),
        "{words}"
    );
}

/// Server-sent events as they come.
struct Events {
    lines: BufReader<std::os::unix::net::UnixStream>,
}

impl Events {
    #[track_caller]
    fn follow(supervisor: &Supervisor, after: Option<u64>) -> Self {
        let mut stream = std::os::unix::net::UnixStream::connect(supervisor.api_socket())
            .expect("the supervisor's socket");
        stream.set_read_timeout(Some(SOON)).expect("a time-out");
        let resume = after.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        write!(
            stream,
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n"
        )
        .expect("a request");
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        lines.read_line(&mut line).expect("a status line");
        assert!(line.contains(" 200 "), "{line}");
        while line.trim() != "" {
            line.clear();
            lines.read_line(&mut line).expect("a header");
        }
        Self { lines }
    }

    #[track_caller]
    fn next(&mut self) -> Value {
        loop {
            let mut line = String::new();
            let length = self.lines.read_line(&mut line).expect("a line in time");
            assert!(length > 0, "the stream ended");
            if let Some(data) = line.strip_prefix("data:") {
                return serde_json::from_str(data.trim()).expect("JSON");
            }
        }
    }

    #[track_caller]
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next();
            if wanted(&event) {
                return event;
            }
        }
    }
}

/// A receiver of calls that hangs on the first so many, and says what it was sent.
fn receiver(hang: usize) -> (u16, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut hung = Vec::new();
        for stream in listener.incoming().flatten() {
            if hung.len() < hang {
                hung.push(stream);
                continue;
            }
            if let Some(call) = read_call(stream)
                && sender.send(call).is_err()
            {
                return;
            }
        }
    });
    (port, received)
}

/// The JSON that was posted, answered by 204.
fn read_call(stream: TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    reader
        .get_mut()
        .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        .ok()?;
    serde_json::from_slice(&body).ok()
}

/// The next call about `container`: this machine may have others.
#[track_caller]
fn call_about(container: &Container, received: &mpsc::Receiver<Value>) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let call = received.recv_timeout(left).expect("a call in time");
        if call["data"]["container"]["name"] == container.name() {
            return call;
        }
    }
}

#[test]
fn a_receiver_that_hangs_holds_up_nothing_and_gets_the_news_in_the_end() {
    let (port, received) = receiver(1);
    let container = redis();
    let supervisor = Supervisor::spec()
        .arg(format!("--alerts-webhook=http://127.0.0.1:{port}/hook"))
        .start();
    health(&supervisor, &container, "healthy");
    container.sh(KILL_REDIS);
    health(&supervisor, &container, "unhealthy");
    // The receiver has the call and says nothing. Everything else goes on as ever.
    let start = Instant::now();
    let why = supervisor.ask(container.name(), "why is redis down?");
    assert!(why.contains("Redis"), "{why}");
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    // Bad news that lasts no longer than a second is none.
    std::thread::sleep(Duration::from_millis(1500));
    container.sh("start-redis");
    health(&supervisor, &container, "healthy");
    // The call is given up after its time-out, and what is true by then is told.
    call_about(&container, &received);
}

#[test]
fn a_change_of_health_runs_a_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let (script, told) = (folder.path().join("tell"), folder.path().join("told"));
    fs::write(
        &script,
        format!(
            "#!/bin/sh\nprintf '%s %s ' \"$DIOGENES_CONTAINER\" \"$DIOGENES_HEALTH\" >> {0}\ncat >> {0}\necho >> {0}\n",
            told.display()
        ),
    )
    .expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("executable");
    let container = redis();
    let supervisor = Supervisor::spec()
        .arg(format!("--alerts-on-change={}", script.display()))
        .start();
    health(&supervisor, &container, "healthy");
    container.sh(KILL_REDIS);
    let expected = format!("{} unhealthy {{", container.name());
    wait_until(SOON, "the command to have run", || {
        let told = fs::read_to_string(&told).unwrap_or_default();
        told.contains(&expected).then_some(())
    });
}

#[test]
fn the_configuration_is_read_again_without_losing_a_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("diogenes.toml");
    fs::write(&file, "").expect("a file");
    let container = redis();
    let supervisor = Supervisor::spec()
        .arg(format!("--config={}", file.display()))
        .start();
    health(&supervisor, &container, "healthy");
    let agent = agent_in(&supervisor, &container);

    let (port, received) = receiver(0);
    let alerts = format!("[alerts]\nwebhook = \"http://127.0.0.1:{port}/\"\n");
    fs::write(&file, &alerts).expect("a file");
    supervisor.signal(Signal::HUP);
    wait_until(SOON, "the log to tell of it", || {
        supervisor.log().contains("alerts.webhook").then_some(())
    });
    // What makes no sense changes nothing, and is told.
    fs::write(&file, format!("lisen = 1\n{alerts}")).expect("a file");
    supervisor.signal(Signal::HUP);
    wait_until(SOON, "the log to tell what is wrong", || {
        supervisor.log().contains("lisen").then_some(())
    });
    assert_eq!(
        agent_in(&supervisor, &container),
        agent,
        "the same companion"
    );
    container.sh(KILL_REDIS);
    let call = call_about(&container, &received);
    assert_eq!(call["data"]["to"], "unhealthy", "{call:#}");
}

#[test]
fn a_wrong_configuration_is_refused_with_the_right_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("diogenes.toml");
    fs::write(&file, "lisen = \"127.0.0.1:4120\"\n").expect("a file");
    let output = Command::new(dist("diogenes"))
        .args(["serve", "--config"])
        .arg(&file)
        .output()
        .expect("diogenes");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{words}");
    assert!(
        words.contains("lisen") && words.contains("listen") && words.contains(":1"),
        "{words}"
    );
}

/// A small file system of its own, for as long as this lives.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    #[track_caller]
    fn mount(options: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .status()
            .expect("mount");
        assert!(status.success(), "mount -o {options}");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Detaching works whatever becomes of the file that remembers it, and the log says what is wrong with that.
#[track_caller]
fn detaches_and_complains(disk: &SmallDisk, complaint: &str) {
    let container = Container::of(listener_image())
        .args(["http", "127.0.0.1:8000", "200"])
        .run();
    let supervisor = Supervisor::spec()
        .arg(format!("--state-dir={}", disk.path().display()))
        .start();
    present(&supervisor, &container);
    supervisor.words(&["detach", container.name()]);
    let view = supervisor
        .container(container.name())
        .expect("the container");
    assert_eq!(view["state"], "absent", "{view:#}");
    let log = supervisor.log();
    assert!(
        log.contains(complaint) && log.contains("--state-dir"),
        "{log}"
    );
    supervisor.words(&["attach", container.name()]);
    present(&supervisor, &container);
}

#[test]
fn a_full_disk_is_told_and_stops_nothing() {
    let disk = SmallDisk::mount("size=4k");
    fs::write(disk.path().join("filler"), vec![0; 4096]).expect("a full disk");
    detaches_and_complains(&disk, "No space left on device");
}

#[test]
fn a_read_only_state_directory_is_told_and_stops_nothing() {
    let disk = SmallDisk::mount("ro");
    detaches_and_complains(&disk, "Read-only file system");
}

#[test]
fn a_run_directory_that_cannot_be_written_is_refused_in_words() {
    for (options, complaint) in [
        ("ro", "Read-only file system"),
        ("size=4k,nr_inodes=1", "No space left on device"),
    ] {
        let disk = SmallDisk::mount(options);
        let output = Command::new(dist("diogenes"))
            .arg("serve")
            .arg(format!("--run-dir={}", disk.path().display()))
            .arg("--listen=127.0.0.1:0")
            .output()
            .expect("diogenes");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{words}");
        assert!(
            words.contains(complaint) && words.contains("--run-dir"),
            "{words}"
        );
    }
}

#[test]
fn logs_come_from_the_engine_and_from_files_inside() {
    const WRITER: &str = "exec 3>>/var/log/app.log; while :; do echo said; echo 'filed password=hunter2' >&3; sleep 0.2; done";
    let container = Container::of(base_image()).args(["sh", "-c", WRITER]).run();
    let supervisor = Supervisor::start();
    present(&supervisor, &container);
    let name = container.name();
    let (lines, _) = wait_until(SOON, "both kinds of lines", || {
        let lines = supervisor.words(&["logs", name, "--tail", "5"]);
        (lines.contains("said") && lines.contains("filed")).then_some(lines)
    });
    assert!(
        lines.contains("app.log"),
        "each line says where it is from: {lines}"
    );
    assert!(!lines.contains("hunter2"), "secrets stay inside: {lines}");

    let grepped = supervisor.words(&["logs", name, "--grep", "^sa", "--json"]);
    let items = grepped
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let texts: Vec<Value> = items.filter_map(|item| item.get("text").cloned()).collect();
    assert!(
        !texts.is_empty() && texts.iter().all(|text| text == "said"),
        "{grepped}"
    );
    let output = supervisor.cli(&["logs", name, "--grep", "("]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn followed_logs_show_what_is_written_meanwhile() {
    let container = redis();
    let supervisor = Supervisor::start();
    health(&supervisor, &container, "healthy");
    let mut follower = Command::new(dist("diogenes"))
        .args(["logs", container.name(), "--follow", "--tail", "0"])
        .env("DIOGENES_RUN_DIR", supervisor.run_dir())
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .expect("diogenes");
    let output = follower.stdout.take().expect("its output");
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    std::thread::sleep(Duration::from_secs(1));
    container.sh("redis-cli config set loglevel verbose > /dev/null; redis-cli bgsave > /dev/null");
    let deadline = Instant::now() + SOON;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines
            .recv_timeout(left)
            .expect("a line about the background save");
        if line.contains("Background saving") {
            break;
        }
    }
    let _ = follower.kill();
    let _ = follower.wait();
}

#[test]
fn the_doctor_says_what_is_missing_and_how_to_mend_it() {
    let supervisor = Supervisor::start();
    let output = supervisor.cli(&["doctor"]);
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(words.contains('✓') && !words.contains('✗'), "{words}");

    let output = supervisor.cli(&["doctor", "--engine", "/nowhere/docker.sock", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = told["checks"].as_array().expect("checks");
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check["status"] == "failed")
        .collect();
    assert!(
        failed.iter().any(|check| check["advice"]
            .as_str()
            .is_some_and(|advice| !advice.is_empty())),
        "{told:#}"
    );
    assert_eq!(told["ready"], false);
}

#[test]
fn a_token_opens_acting_over_tcp_and_its_absence_closes_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    fs::write(&file, "sesame-sesame-sesame-sesame\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a private file");
    let container = Container::of(listener_image())
        .args(["http", "127.0.0.1:8000", "200"])
        .run();
    let supervisor = Supervisor::spec()
        .arg(format!("--token-file={}", file.display()))
        .start();
    present(&supervisor, &container);
    let call = |method: &str, path: &str, token: Option<&str>| {
        let mut stream =
            TcpStream::connect(("127.0.0.1", supervisor.port())).expect("a connection");
        let token = token.map_or_else(String::new, |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{token}Content-Length: 0\r\n\r\n"
        )
        .expect("a request");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        let code: u16 = reply
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a code");
        (code, reply)
    };
    let (code, reply) = call("GET", "/api/v1/containers", None);
    assert_eq!(code, 401, "{reply}");
    assert!(
        reply.to_lowercase().contains("www-authenticate: bearer"),
        "{reply}"
    );
    assert_eq!(call("GET", "/api/v1/containers", Some("sesame")).0, 401);
    assert_eq!(
        call("GET", "/health", None).0,
        200,
        "monitors need no token"
    );
    let sesame = Some("sesame-sesame-sesame-sesame");
    assert_eq!(call("GET", "/api/v1/containers", sesame).0, 200);
    let detach = format!("/api/v1/containers/{}/detach", container.name());
    assert_eq!(call("POST", &detach, None).0, 401);
    assert_eq!(call("POST", &detach, sesame).0, 200);
    assert!(
        supervisor
            .log()
            .lines()
            .all(|line| !line.contains("sesame"))
    );
}
