use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use diogenes_discovery::identity::Standing;
use diogenes_engine::ContainerFacts;

use super::*;
use crate::attendants::detached::Detached;
use crate::fakes::{FakeWayIn, Peer as Client, defaults, running, until};

struct World {
    path: std::path::PathBuf,
    registry: Arc<Registry>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _dir: tempfile::TempDir,
}

/// A supervisor's door, and nothing else of it but what the Engine said.
fn open() -> World {
    let dir = tempfile::tempdir().unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let registry = Arc::new(Registry::default());
    let attendants = Attendants::new(
        Arc::new(FakeWayIn::default()),
        registry.clone(),
        Detached::load(dir.path()),
        defaults(),
        stop.clone(),
        tasks.clone(),
    );
    let directory = run_dir::dial_in_dir(dir.path());
    let dial_in = DialIn::listen(
        &directory,
        registry.clone(),
        Arc::new(attendants),
        stop.clone(),
        tasks.clone(),
    );
    tasks.spawn(dial_in.unwrap().run());
    World {
        path: directory.join("supervisor.sock"),
        registry,
        stop,
        tasks,
        _dir: dir,
    }
}

impl World {
    async fn dial(&self) -> Client {
        Client::new(UnixStream::connect(&self.path).await.unwrap())
    }
}

/// What the last line before the end of a session says.
async fn last_words(mut client: Client) -> serde_json::Value {
    let mut last = None;
    while let Some(line) = client.line().await {
        last = Some(line);
    }
    serde_json::from_str(&last.expect("words")).unwrap()
}

#[tokio::test]
async fn a_process_of_the_host_is_turned_away_and_audited() {
    let world = open();
    // Whatever it says it is: the Engine knows a container of that name, whose init this process claims to be.
    let own = std::process::id();
    let facts = ContainerFacts {
        init_pid: Some(own),
        ..running(&"c1".repeat(32), "shop", own)
    };
    world.registry.set_facts(facts);
    let mut client = world.dial().await;
    client
        .raw(b"{\"type\":\"hello\",\"protocol\":{\"min\":1,\"max\":1},\"build\":\"x\",\"container\":\"shop\"}\n")
        .await;
    let told = last_words(client).await;
    let message = told["message"].as_str().unwrap();
    // These tests may themselves run in a container, of an Engine that this supervisor does not know.
    let cgroup = std::fs::read("/proc/self/cgroup").unwrap();
    let (code, words) = match Standing::parse(&cgroup).named().first() {
        None => ("forbidden", "diogenes ask".to_owned()),
        Some(id) => ("busy", id.clone()),
    };
    assert_eq!(told["code"], code, "{message}");
    assert!(message.contains(&words), "{message}");
    assert_eq!(world.registry.audit().count(), 1);
    let entry = world.registry.get(&"c1".repeat(32)).unwrap();
    assert!(entry.session.is_none() && entry.report.is_none());
}

#[tokio::test]
async fn whoever_hands_its_connection_on_is_still_who_connected() {
    let world = open();
    let stream = std::os::unix::net::UnixStream::connect(&world.path).unwrap();
    let mut child: Child = Command::new("sleep")
        .arg("60")
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .spawn()
        .unwrap();
    until("this process is audited", || {
        world.registry.audit().count() == 1
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn the_directory_outlives_the_listener_and_a_stale_socket_does_not_matter() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let world = open();
    let directory = world.path.parent().unwrap().to_owned();
    let inode = |path: &std::path::Path| std::fs::metadata(path).unwrap().ino();
    let mounted = inode(&directory);
    let mode = std::fs::metadata(&world.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    world.stop.cancel();
    world.tasks.close();
    world.tasks.wait().await;
    assert!(!world.path.exists());
    // A supervisor that was killed leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&world.path).unwrap());
    let again = run_dir::listen_for_containers(&directory).unwrap();
    assert_eq!(inode(&directory), mounted);
    let _client = UnixStream::connect(&world.path).await.unwrap();
    drop(again);
}
