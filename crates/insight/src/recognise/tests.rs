use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::scene::{self, Scene};

/// Key, name, role and main pid of each service.
fn told(scene: &Scene) -> Vec<(String, String, &'static str, u32)> {
    recognise(&scene.snapshot)
        .into_iter()
        .map(|s| {
            let main = s.pids.first().copied().unwrap_or(0);
            (s.key, s.name.to_string(), s.role.unwrap_or("-"), main)
        })
        .collect()
}

#[track_caller]
fn expect(scene: &Scene, expected: &[(&str, &str, &str, u32)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|&(k, n, r, p)| (k.to_owned(), n.to_owned(), r, p))
        .collect();
    assert_eq!(told(scene), expected);
}

fn python(pid: u32, parent: u32, command: &[&str]) -> Scene {
    Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh"])
        .process(pid, parent, "/usr/bin/python3.11", command)
}

#[test]
fn redis_under_its_debian_name() {
    expect(&scene::redis(), &[("redis:6379", "Redis", "cache", 17)]);
    let service = &recognise(&scene::redis().snapshot)[0];
    assert_eq!(service.ports, [6379]);
    assert_eq!(service.probes[0].kind, ProbeKind::Redis);
}

#[test]
fn masters_and_workers_are_one_service() {
    expect(
        &scene::web(),
        &[
            ("nginx:80", "nginx", "proxy", 7),
            ("fastapi:8000", "FastAPI", "web", 20),
        ],
    );
    let services = recognise(&scene::web().snapshot);
    assert_eq!(services[0].pids, [7, 8, 9]);
    assert_eq!(services[1].pids, [20, 21, 22, 23]);
    let evidence: Vec<_> = services[1]
        .evidence
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        evidence,
        [
            "pid 20 runs /usr/bin/python3.11",
            "serves the application main:app",
            "FastAPI runs under Uvicorn",
            "4 processes",
        ]
    );
}

#[test]
fn a_file_of_several_names_is_told_with_the_one_it_goes_by() {
    let runs = |executable, name: &str| {
        let scene = Scene::new()
            .process(8, 0, executable, &[name])
            .with(|it| it.name = name.into());
        recognise(&scene.snapshot)[0].evidence[0].to_string()
    };
    assert_eq!(
        runs("/usr/bin/redis-check-rdb", "redis-server"),
        "pid 8 runs /usr/bin/redis-check-rdb as redis-server"
    );
    assert_eq!(
        runs("/usr/bin/redis-server", "redis-server"),
        "pid 8 runs /usr/bin/redis-server"
    );
}

#[test]
fn postgresql_with_its_version() {
    expect(
        &scene::postgresql(),
        &[("postgresql:5432", "PostgreSQL", "db", 1)],
    );
    let service = &recognise(&scene::postgresql().snapshot)[0];
    assert_eq!(service.version.as_ref().unwrap().as_raw(), "15");
    assert_eq!(service.pids, [1, 30, 31, 32]);
}

#[test]
fn nginx_alone_serves_the_web() {
    let scene = Scene::new()
        .process(1, 0, "/usr/sbin/nginx", &["nginx: master process nginx"])
        .process(2, 1, "/usr/sbin/nginx", &["nginx: worker process"])
        .tcp("0.0.0.0", 80, &[1, 2]);
    expect(&scene, &[("nginx:80", "nginx", "web", 1)]);
}

#[test]
fn python_servers() {
    for (command, framework, key, name) in [
        (
            &["python3", "-m", "uvicorn", "a:b"][..],
            None,
            "uvicorn:8000",
            "Uvicorn",
        ),
        (
            &["python3", "/usr/bin/gunicorn", "a:b"],
            None,
            "gunicorn:8000",
            "Gunicorn",
        ),
        (
            &["gunicorn: master [a:b]"],
            None,
            "gunicorn:8000",
            "Gunicorn",
        ),
        (
            &["python3", "/usr/bin/gunicorn", "a:b"],
            Some("flask"),
            "flask:8000",
            "Flask",
        ),
        (
            &["python3", "/usr/bin/gunicorn", "a.wsgi"],
            Some("django"),
            "django:8000",
            "Django",
        ),
        (
            &["python3", "/srv/app.py"],
            Some("flask"),
            "flask:8000",
            "Flask",
        ),
        (
            &["python3", "/srv/app.py"],
            Some("fastapi"),
            "fastapi:8000",
            "FastAPI",
        ),
        (
            &["python3", "/usr/bin/uvicorn", "a:b"],
            Some("starlette"),
            "starlette:8000",
            "Starlette",
        ),
        (
            &["python3", "-m", "http.server", "8000"],
            None,
            "http.server:8000",
            "Python http.server",
        ),
        (
            &["python3", "/srv/server.py"],
            None,
            "tcp:8000",
            "server.py",
        ),
    ] {
        let scene = python(5, 1, command)
            .with(|p| p.frameworks = framework.into_iter().map(Into::into).collect())
            .tcp("0.0.0.0", 8000, &[5]);
        let role = if key.starts_with("tcp") { "-" } else { "web" };
        expect(&scene, &[(key, name, role, 5)]);
    }
}

#[test]
fn a_server_that_does_not_listen_yet_is_known() {
    expect(
        &python(5, 1, &["python3", "/usr/bin/uvicorn", "main:app"]),
        &[("uvicorn", "Uvicorn", "web", 5)],
    );
    let nginx = Scene::new()
        .process(1, 0, "/usr/bin/tini", &["tini"])
        .process(2, 1, "/usr/sbin/nginx", &["nginx: master process nginx"]);
    expect(&nginx, &[("nginx", "nginx", "web", 2)]);
}

#[test]
fn what_an_init_has_started_is_what_a_container_is_for() {
    for init in ["/diogenes-agent", "/usr/bin/tini", "/usr/bin/dumb-init"] {
        let scene = Scene::new()
            .process(1, 0, init, &["init", "--", "sleep", "1000"])
            .process(2, 1, "/usr/bin/sleep", &["sleep", "1000"])
            .process(3, 1, "/diogenes-agent", &["diogenes-agent", "serve"])
            .process(9, 0, "/usr/bin/dash", &["sh"]);
        expect(&scene, &[("process:sleep", "sleep", "-", 2)]);
    }
    let alone = Scene::new().process(1, 0, "/usr/bin/tini", &["tini"]);
    expect(&alone, &[("process:tini", "tini", "-", 1)]);
}

#[test]
fn what_only_looks_like_a_service_is_none() {
    // Each is described as the container's main process, as nothing else is there.
    for (executable, comm, command) in [
        (
            "/usr/bin/dash",
            "nginx",
            &["/bin/sh", "/usr/local/bin/nginx"][..],
        ),
        (
            "/usr/bin/dash",
            "sh",
            &["sh", "-c", "nginx -g 'daemon off;'"],
        ),
        (
            "/usr/bin/sleep",
            "sleep",
            &["postgres: checkpointer", "1000"],
        ),
        ("/tmp/postgres", "postgres", &["postgres", "1000"]),
        ("/usr/bin/sleep", "postgres", &["postgres"]),
        ("/usr/bin/sleep", "sleep", &["redis-server *:6379"]),
        ("/usr/bin/node", "node", &["node", "worker.js"]),
        (
            "/usr/bin/redis-check-rdb",
            "redis-check-rdb",
            &["redis-check-rdb", "dump.rdb"],
        ),
        ("/usr/bin/python3.11", "python3", &["python3", "nginx"]),
    ] {
        let scene = Scene::new()
            .process(1, 0, executable, command)
            .with(|p| p.name = comm.into());
        let services = recognise(&scene.snapshot);
        assert_eq!(services.len(), 1, "{command:?}");
        assert_eq!(services[0].kind, "process", "{command:?}");
        assert!(services[0].probes.is_empty());
    }
}

#[test]
fn a_stranger_on_a_known_port_is_a_stranger() {
    let scene = python(5, 1, &["python3", "/srv/nginx"]).tcp("0.0.0.0", 80, &[5]);
    expect(&scene, &[("tcp:80", "nginx", "-", 5)]);
    assert_eq!(
        recognise(&scene.snapshot)[0].probes[0].kind,
        ProbeKind::Discover
    );
    let scene = python(5, 1, &["python3", "-m", "http.server", "6379"]).tcp("0.0.0.0", 6379, &[5]);
    expect(
        &scene,
        &[("http.server:6379", "Python http.server", "web", 5)],
    );
}

#[test]
fn two_of_a_kind_are_two_services() {
    let redis = |scene: Scene, pid, port| {
        scene
            .process(pid, 1, "/usr/bin/redis-server", &["redis-server"])
            .tcp("0.0.0.0", port, &[pid])
    };
    let scene = Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]);
    let scene = redis(redis(scene, 5, 6380), 6, 6379);
    expect(
        &scene,
        &[
            ("redis:6379", "Redis", "cache", 6),
            ("redis:6380", "Redis", "cache", 5),
        ],
    );
}

#[test]
fn the_same_port_on_two_addresses_makes_two_keys() {
    let scene = Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh"])
        .process(5, 1, "/usr/bin/redis-server", &["redis-server"])
        .process(6, 1, "/usr/bin/redis-server", &["redis-server"])
        .tcp("127.0.0.1", 6379, &[5])
        .tcp("127.0.0.2", 6379, &[6]);
    expect(
        &scene,
        &[
            ("redis:6379", "Redis", "cache", 5),
            ("redis:6379#2", "Redis", "cache", 6),
        ],
    );
}

#[test]
fn a_supervisor_is_not_what_it_supervises() {
    // supervisord is Python as the application is, and listens on a port of its own.
    let scene = python(5, 1, &["python3", "/usr/bin/supervisord"])
        .process(
            6,
            5,
            "/usr/bin/python3.11",
            &["python3", "/usr/bin/uvicorn", "a:b"],
        )
        .process(7, 5, "/usr/bin/redis-server", &["redis-server *:6379"])
        .process(8, 5, "/usr/bin/python3.11", &["python3", "/srv/plain.py"])
        .tcp("127.0.0.1", 9001, &[5])
        .tcp("0.0.0.0", 8000, &[6])
        .tcp("0.0.0.0", 6379, &[7])
        .tcp("0.0.0.0", 7000, &[8]);
    expect(
        &scene,
        &[
            ("redis:6379", "Redis", "cache", 7),
            ("uvicorn:8000", "Uvicorn", "web", 6),
            ("supervisord:9001", "Supervisor", "supervisor", 5),
            ("tcp:7000", "plain.py", "-", 8),
        ],
    );
}

#[test]
fn what_a_supervisor_starts_is_no_part_of_it() {
    // Python as the supervisor itself is, and silent.
    let scene = python(5, 1, &["python3", "/usr/bin/supervisord"])
        .process(6, 5, "/usr/bin/python3.11", &["python3", "/srv/sync.py"])
        .unix("/var/run/supervisor.sock", &[5]);
    expect(&scene, &[("supervisord", "Supervisor", "supervisor", 5)]);
    assert_eq!(recognise(&scene.snapshot)[0].pids, [5]);
}

#[test]
fn masters_helpers_and_sessions_are_one_service() {
    let init = || Scene::new().process(1, 0, "/usr/bin/dash", &["sh"]);
    // Seen on Debian 12: squid 5.7, whose child holds the socket.
    let squid = init()
        .process(8, 1, "/usr/sbin/squid", &["squid", "--foreground"])
        .process(11, 8, "/usr/sbin/squid", &["(squid-1)", "--kid", "squid-1"])
        .process(
            12,
            11,
            "/usr/lib/squid/log_file_daemon",
            &["(logfile-daemon)", "x"],
        )
        .process(13, 11, "/usr/lib/squid/pinger", &["(pinger)"])
        .tcp("0.0.0.0", 3128, &[11]);
    // haproxy 2.6 with a master.
    let haproxy = init()
        .process(8, 1, "/usr/sbin/haproxy", &["haproxy", "-W", "-db"])
        .process(9, 8, "/usr/sbin/haproxy", &["haproxy", "-W", "-db"])
        .tcp("0.0.0.0", 80, &[9]);
    // A session that forwards a port to the client's display.
    let sshd = init()
        .process(
            8,
            1,
            "/usr/sbin/sshd",
            &["sshd: /usr/sbin/sshd -D [listener]"],
        )
        .process(9, 8, "/usr/sbin/sshd", &["sshd: me [priv]"])
        .process(10, 9, "/usr/sbin/sshd", &["sshd: me@pts/0"])
        .process(11, 10, "/usr/bin/bash", &["-bash"])
        .tcp("0.0.0.0", 22, &[8])
        .tcp("127.0.0.1", 6010, &[10]);
    let postfix = init()
        .process(
            8,
            1,
            "/usr/lib/postfix/sbin/master",
            &["/usr/lib/postfix/sbin/master", "-w"],
        )
        .process(9, 8, "/usr/lib/postfix/sbin/qmgr", &["qmgr", "-l"])
        .process(
            10,
            8,
            "/usr/lib/postfix/sbin/smtpd",
            &["smtpd", "-n", "smtp"],
        )
        .tcp("0.0.0.0", 25, &[8, 10]);
    let worker = |scene: Scene, pid| {
        let command = ["python3", "/usr/bin/celery", "-A", "tasks", "worker"];
        scene.process(pid, 8, "/usr/bin/python3.11", &command)
    };
    let celery = init().process(
        8,
        1,
        "/usr/bin/python3.11",
        &["python3", "/usr/bin/celery", "-A", "tasks", "worker"],
    );
    let celery = worker(worker(celery, 17), 18);
    for (scene, key, pids) in [
        (squid, "squid:3128", &[8, 11, 12, 13][..]),
        (haproxy, "haproxy:80", &[8, 9]),
        (sshd, "openssh:22", &[8, 9, 10]),
        (postfix, "postfix:25", &[8, 9, 10]),
        (celery, "celery", &[8, 17, 18]),
    ] {
        let services = recognise(&scene.snapshot);
        assert_eq!(services.len(), 1, "{key}");
        assert_eq!(
            (services[0].key.as_str(), services[0].pids.as_slice()),
            (key, pids)
        );
    }
}

#[test]
fn a_kinds_usual_port_names_it() {
    let scene = Scene::new()
        .process(1, 0, "/usr/bin/caddy", &["caddy", "run"])
        .process(2, 1, "/usr/sbin/snmpd", &["snmpd", "-f"])
        .tcp("127.0.0.1", 79, &[1])
        .tcp("::", 80, &[1])
        .udp(161, &[2]);
    expect(
        &scene,
        &[
            ("caddy:80", "Caddy", "web", 1),
            ("snmpd:161", "SNMP agent", "monitoring", 2),
        ],
    );
    // A UDP socket on another port may be a client's.
    let client = Scene::new()
        .process(1, 0, "/usr/sbin/snmpd", &["snmpd"])
        .udp(9000, &[1]);
    expect(&client, &[("udp:9000", "snmpd", "-", 1)]);
}

#[test]
fn a_leaked_listener_stays_with_its_service() {
    let scene = scene::redis()
        .process(40, 17, "/usr/bin/bash", &["bash", "backup.sh"])
        .process(41, 17, "/usr/sbin/nginx", &["nginx: master process"])
        .tcp("0.0.0.0", 80, &[41]);
    let mut scene = scene;
    scene.snapshot.listeners[0].owners = vec![17, 40, 41];
    expect(
        &scene,
        &[
            ("nginx:80", "nginx", "web", 41),
            ("redis:6379", "Redis", "cache", 17),
        ],
    );
    assert_eq!(recognise(&scene.snapshot)[0].ports, [80]);
}

#[test]
fn sockets_without_owners() {
    let scene = Scene::new()
        .process(1, 0, "/usr/bin/sleep", &["sleep"])
        .tcp("0.0.0.0", 8080, &[])
        .tcp("::", 8080, &[])
        .tcp("127.0.0.11", 40_123, &[]);
    expect(&scene, &[("tcp:8080", "port 8080", "-", 0)]);
    let evidence = recognise(&scene.snapshot)[0].evidence[0].to_string();
    assert!(evidence.contains("uid 0"), "{evidence}");
}

#[test]
fn a_stranger_with_a_door_of_its_own_that_stays_is_a_service() {
    let stranger = || Scene::new().process(1, 0, "/usr/bin/foo", &["foo"]);
    let process = [("process:foo", "foo", "-", 1)];
    expect(&stranger().udp(5000, &[1]), &[("udp:5000", "foo", "-", 1)]);
    expect(
        &stranger().unix("/run/foo.sock", &[1]),
        &[("unix:foo", "foo", "-", 1)],
    );
    // A client's port, a socket of a program's own parts, and what has only just come.
    expect(&stranger().udp(40_000, &[1]), &process);
    expect(&stranger().unix("/tmp/pymp-x/listener", &[1]), &process);
    let young = stranger()
        .with(|p| p.started_at = scene::at(0))
        .udp(5000, &[1]);
    expect(&young, &process);
    // Who was started by hand may be gone at any moment.
    let visitor = scene::redis()
        .process(90, 0, "/usr/bin/nc", &["nc", "-ul", "5000"])
        .udp(5000, &[90]);
    expect(&visitor, &[("redis:6379", "Redis", "cache", 17)]);
    expect(&Scene::new(), &[]);
}

#[test]
fn a_mere_fork_is_its_parents_part_though_it_alone_listens() {
    let forks = |line: &[&str]| {
        Scene::new()
            .process(1, 0, "/bin/sh", &["sh"])
            .process(5, 1, "/usr/sbin/sipd", &["sipd", "-D"])
            .process(6, 5, "/usr/sbin/sipd", line)
            .tcp("0.0.0.0", 5060, &[6])
    };
    expect(&forks(&["sipd", "-D"]), &[("tcp:5060", "sipd", "-", 5)]);
    expect(&forks(&["sipd", "other"]), &[("tcp:5060", "sipd", "-", 6)]);
}

#[test]
fn a_zombie_is_no_service() {
    let scene = scene::redis().with_pid(17, |p| {
        p.state = 'Z';
        p.executable = None;
        p.command.clear();
    });
    let mut scene = scene;
    scene.snapshot.listeners.clear();
    assert_eq!(recognise(&scene.snapshot)[0].kind, "process");
}

#[test]
fn a_crowd_is_bounded_and_known_kinds_come_first() {
    let mut scene = scene::redis();
    for port in 0..1000 {
        scene = scene.tcp("0.0.0.0", 10_000 + port, &[]);
    }
    let services = recognise(&scene.snapshot);
    assert_eq!(services.len(), MAX_SERVICES);
    assert_eq!(services[0].kind, "redis");
    assert_eq!(
        recognise_counting(&scene.snapshot, &OwnWords::default()).1,
        1001 - MAX_SERVICES
    );
}

/// Any snapshot at all, contradictions included.
pub(crate) fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let word = prop_oneof![
        Just("nginx"),
        Just("/usr/bin/python3"),
        Just("/usr/bin/uvicorn"),
        Just("-m"),
        Just("main:app"),
        Just("redis-server *:6379"),
        Just("postgres: startup"),
        Just(""),
        Just("-"),
        Just("--"),
        Just("é\u{0}"),
        Just("/usr/bin/node"),
        Just("/usr/lib/postgresql/15/bin/postgres"),
        Just("/usr/bin/java"),
        Just("-jar"),
    ];
    let process = (
        0..12_u32,
        0..12_u32,
        proptest::option::of(word.clone()),
        proptest::collection::vec(word, 0..4),
        prop_oneof![Just('S'), Just('Z'), Just('T')],
        0..5_u64,
    )
        .prop_map(|(pid, parent, executable, command, state, age)| Process {
            container_pid: pid,
            parent_pid: parent,
            executable: executable.map(Into::into),
            name: "nginx".into(),
            command: command.into_iter().map(Into::into).collect(),
            state,
            started_at: scene::at(age),
            ..Process::default()
        });
    let listener = (
        0..3_u8,
        0..4_u16,
        proptest::collection::vec(0..12_u32, 0..4),
        0..4_u64,
    )
        .prop_map(|(transport, port, owners, inode)| Listener {
            transport: [Transport::Tcp, Transport::Udp, Transport::Unix][usize::from(transport)],
            address: (transport < 2).then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            port: (transport < 2).then_some(port),
            path: (transport == 2).then(|| "/run/x".into()),
            inode,
            owners,
            accept_queue: Some(port.into()),
            backlog: Some(2),
            ..Listener::default()
        });
    (
        proptest::collection::vec(process, 0..14),
        proptest::collection::vec(listener, 0..8),
    )
        .prop_map(|(processes, listeners)| Snapshot {
            processes,
            listeners,
            ..Snapshot::default()
        })
}

proptest! {
    #[test]
    fn never_panics_and_keys_are_unique(snapshot in any_snapshot()) {
        let services = recognise(&snapshot);
        let keys: BTreeSet<_> = services.iter().map(|s| &s.key).collect();
        prop_assert_eq!(keys.len(), services.len());
        prop_assert_eq!(recognise(&snapshot), services);
    }
}

#[test]
fn a_program_of_several_names_is_called_as_it_was_started() {
    for (comm, said, name) in [
        ("shopd", "/opt/bin/shopd", "shopd"),
        ("shopd", "something", "shop-tool"),
        ("something", "shopd", "shop-tool"),
    ] {
        let scene = Scene::new()
            .process(1, 0, "/opt/bin/shop-tool", &[said, "--port", "1"])
            .with(|p| p.name = comm.into());
        let services = recognise(&scene.snapshot);
        assert_eq!(services[0].name.as_raw(), name, "{comm} {said}");
    }
}

#[test]
fn a_reloader_and_the_child_that_serves_are_one_service() {
    // Django's "manage.py runserver", and "flask run" of a Werkzeug in which the child alone listens.
    for (parent, child, framework, told) in [
        (
            &["python3", "manage.py", "runserver"][..],
            &["/usr/bin/python3", "manage.py", "runserver"][..],
            "django",
            ("django:8000", "Django", "web", 7),
        ),
        (
            &["python3", "-m", "flask", "run"],
            &["/usr/bin/python3", "-m", "flask", "run"],
            "flask",
            ("flask:8000", "Flask", "web", 7),
        ),
    ] {
        let scene = python(7, 1, parent)
            .with(|p| p.frameworks = vec![framework.to_owned()])
            .process(9, 7, "/usr/bin/python3.11", child)
            .with(|p| p.frameworks = vec![framework.to_owned()])
            .tcp("0.0.0.0", 8000, &[9]);
        expect(&scene, &[told]);
        assert_eq!(recognise(&scene.snapshot)[0].pids, [7, 9]);
    }
    // What has other arguments is another program, and so is what has none: BusyBox is one file.
    let scene = python(7, 1, &["python3", "manage.py", "runserver"])
        .process(9, 7, "/usr/bin/python3.11", &["python3", "other.py"])
        .tcp("0.0.0.0", 8000, &[9]);
    assert_eq!(recognise(&scene.snapshot)[0].pids, [9]);
    let scene = Scene::new()
        .process(1, 0, "/bin/busybox", &["init"])
        .process(9, 1, "/bin/busybox", &["other"])
        .tcp("0.0.0.0", 8000, &[9]);
    assert_eq!(recognise(&scene.snapshot)[0].pids, [9]);
}
