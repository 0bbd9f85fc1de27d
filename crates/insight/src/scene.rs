//! Snapshots for tests, told in few words.

use std::net::IpAddr;

use diogenes_proto::{Listener, Process, Snapshot, Timestamp, Transport};

/// The moment at which scenes play: 2026-01-31T12:00:00Z.
pub(crate) const NOON_MS: u64 = 1_769_860_800_000;

/// A moment some milliseconds after noon.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(NOON_MS + ms)
}

/// A snapshot being told. Processes have been there for an hour, each a little younger than the one before.
#[derive(Clone, Default)]
pub(crate) struct Scene {
    pub(crate) snapshot: Snapshot,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let mut scene = Self::default();
        scene.snapshot.taken_at = at(0);
        scene
    }

    /// A process: pid, parent, executable, command line (words). Its `comm` is its executable's name.
    pub(crate) fn process(
        mut self,
        pid: u32,
        parent: u32,
        executable: &str,
        command: &[&str],
    ) -> Self {
        let name = executable.rsplit('/').next().unwrap_or(executable);
        self.snapshot.processes.push(Process {
            container_pid: pid,
            parent_pid: parent,
            uid: 1000,
            name: name.chars().take(15).collect::<String>().into(),
            command: command.iter().map(|&word| word.into()).collect(),
            executable: Some(executable.into()),
            state: 'S',
            threads: 1,
            started_at: Timestamp::from_unix_ms(NOON_MS - 3_600_000 + u64::from(pid)),
            ..Process::default()
        });
        self
    }

    /// Changes the process told last.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Process)) -> Self {
        change(self.snapshot.processes.last_mut().expect("a process"));
        self
    }

    /// Changes the process of this pid.
    pub(crate) fn with_pid(mut self, pid: u32, change: impl FnOnce(&mut Process)) -> Self {
        let process = self
            .snapshot
            .processes
            .iter_mut()
            .find(|p| p.container_pid == pid);
        change(process.expect("a process of this pid"));
        self
    }

    pub(crate) fn tcp(mut self, address: &str, port: u16, owners: &[u32]) -> Self {
        let inode = 1000 + self.snapshot.listeners.len() as u64;
        self.snapshot.listeners.push(Listener {
            transport: Transport::Tcp,
            address: Some(address.parse::<IpAddr>().expect("an address")),
            port: Some(port),
            inode,
            accept_queue: Some(0),
            backlog: Some(128),
            owners: owners.to_vec(),
            ..Listener::default()
        });
        self
    }

    pub(crate) fn unix(mut self, path: &str, owners: &[u32]) -> Self {
        let inode = 1000 + self.snapshot.listeners.len() as u64;
        self.snapshot.listeners.push(Listener {
            transport: Transport::Unix,
            path: Some(path.into()),
            inode,
            accept_queue: Some(0),
            backlog: Some(128),
            owners: owners.to_vec(),
            ..Listener::default()
        });
        self
    }

    pub(crate) fn udp(mut self, port: u16, owners: &[u32]) -> Self {
        self = self.tcp("0.0.0.0", port, owners);
        let listener = self.snapshot.listeners.last_mut().expect("a listener");
        listener.transport = Transport::Udp;
        listener.accept_queue = None;
        listener.backlog = None;
        self
    }

    /// Without the process of this pid, and without what only it listened on.
    pub(crate) fn without(mut self, pid: u32) -> Self {
        self.snapshot.processes.retain(|p| p.container_pid != pid);
        for listener in &mut self.snapshot.listeners {
            listener.owners.retain(|&owner| owner != pid);
        }
        self.snapshot.listeners.retain(|l| !l.owners.is_empty());
        self
    }
}

/// A container with sh as init, and Redis on 6379, as Debian's package shows itself.
pub(crate) fn redis() -> Scene {
    Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh", "/start.sh"])
        .process(
            17,
            1,
            "/usr/bin/redis-check-rdb",
            &["redis-server *:6379", "", "", ""],
        )
        .with(|p| p.name = "redis-server".into())
        .tcp("0.0.0.0", 6379, &[17])
        .tcp("::", 6379, &[17])
}

/// nginx before FastAPI under uvicorn with two workers.
pub(crate) fn web() -> Scene {
    let spawned =
        "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)";
    Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh", "/start.sh"])
        .process(
            7,
            1,
            "/usr/sbin/nginx",
            &["nginx: master process nginx -g daemon off;"],
        )
        .process(8, 7, "/usr/sbin/nginx", &["nginx: worker process"])
        .process(9, 7, "/usr/sbin/nginx", &["nginx: worker process"])
        .process(
            20,
            1,
            "/usr/bin/python3.11",
            &[
                "/usr/bin/python3",
                "/usr/bin/uvicorn",
                "main:app",
                "--port",
                "8000",
                "--workers",
                "2",
            ],
        )
        .with(|p| {
            p.name = "uvicorn".into();
        })
        .process(
            21,
            20,
            "/usr/bin/python3.11",
            &[
                "/usr/bin/python3",
                "-B",
                "-c",
                "from multiprocessing.resource_tracker import main;main(4)",
            ],
        )
        .process(
            22,
            20,
            "/usr/bin/python3.11",
            &[
                "/usr/bin/python3",
                "-B",
                "-c",
                spawned,
                "--multiprocessing-fork",
            ],
        )
        .with(|p| p.frameworks = vec!["starlette".into(), "fastapi".into()])
        .process(
            23,
            20,
            "/usr/bin/python3.11",
            &[
                "/usr/bin/python3",
                "-B",
                "-c",
                spawned,
                "--multiprocessing-fork",
            ],
        )
        .tcp("0.0.0.0", 80, &[7, 8, 9])
        .tcp("127.0.0.1", 8000, &[20, 22, 23])
}

/// PostgreSQL 15 as Debian's package shows itself.
pub(crate) fn postgresql() -> Scene {
    let executable = "/usr/lib/postgresql/15/bin/postgres";
    Scene::new()
        .process(
            1,
            0,
            executable,
            &[executable, "-D", "/var/lib/postgresql/15/main"],
        )
        .process(30, 1, executable, &["postgres: checkpointer "])
        .process(31, 1, executable, &["postgres: background writer "])
        .process(32, 1, executable, &["postgres: walwriter "])
        .tcp("0.0.0.0", 5432, &[1])
        .tcp("::", 5432, &[1])
        .unix("/var/run/postgresql/.s.PGSQL.5432", &[1])
}
