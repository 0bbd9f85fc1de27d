//! What a container is called and what it says of itself, against whoever reads it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use diogenes_testkit::{base_image, listener_image, wait_until};
use diogenes_tests::{SOON, agent_in, present, snapshot};
use serde_json::{Value, json};

use crate::terminal::{FORGED, hostile_text, is_harmless, shown};
use crate::world::World;

/// Every place in which an application has the word: names of processes, arguments, files, sockets, banners, logs.
const SAY_IT_EVERYWHERE: &str = r#"
import ctypes, os, shutil, signal, socket, subprocess, sys
text = sys.argv[1]
raw = text.encode() + b'\xff\xfe'
# A name of a file has no slash, and is short.
name = raw.replace(b'/', b'')[:60]
ctypes.CDLL(None).prctl(15, raw[:15], 0, 0, 0)
log = open(b'/var/log/app' + name + b'.log', 'ab', buffering=0)
log.write(raw + b'\x00\n' + raw + b'\n')
os.write(1, raw + b'\n' + b'x' * 300000 + b'\n' + raw + b'\n')
os.write(2, raw + b'\n')
local = socket.socket(socket.AF_UNIX)
local.bind(b'/tmp/' + name)
local.listen()
abstract = socket.socket(socket.AF_UNIX)
abstract.bind(b'\0' + name)
abstract.listen()
SERVE = '''
import socket, sys
port, words = int(sys.argv[1]), sys.argv[2].encode('latin-1').decode('unicode_escape').encode('utf-8', 'surrogateescape')
listener = socket.create_server(('127.0.0.1', port))
while True:
    connection, _ = listener.accept()
    try:
        connection.settimeout(1)
        if port >= 6379:
            connection.recv(4096)
        connection.sendall(words)
    except OSError:
        pass
    connection.close()
'''
def serve(port, words):
    # Each from a program of its own, so that each is a service of its own.
    program = b'/tmp/%d' % port + name
    shutil.copy('/usr/bin/python3.11', program)
    words = words.encode('unicode_escape').decode('latin-1')
    return subprocess.Popen([program, '-c', SERVE, str(port), words, raw]).pid
line = text.replace('\r', '').replace('\n', '')
serve(8001, f'HTTP/1.1 503 {line}\r\nServer: {line}\r\nX-Powered-By: {line}\r\nContent-Length: 2\r\n\r\nok')
serve(6379, f'-ERR {line}\r\n')
serve(25, f'220 {line}\r\n')
victim = serve(22, f'SSH-2.0-{line}\r\n')
open('/victim', 'w').write(str(victim))
signal.pause()
"#;

#[test]
fn nothing_a_container_says_reaches_a_terminal_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = folder.path().join("told");
    let tell = folder.path().join("tell");
    fs::write(
        &tell,
        format!(
            "#!/bin/sh\n{{ printenv | grep ^DIOGENES_; cat; }} >> {}\n",
            told.display()
        ),
    )
    .expect("a script");
    fs::set_permissions(&tell, fs::Permissions::from_mode(0o755)).expect("its mode");
    let alerts = format!("[alerts]\non_change = [{:?}]\n", tell.display().to_string());
    let world = World::with("words", &alerts, None);
    let text = hostile_text();
    let enemy = world
        .container(base_image(), "enemy")
        .label("io.diogenes.attach", &text)
        .label("maintainer", &text)
        .label("com.docker.compose.service", world.neighbour().name())
        .env("NAME", &text)
        .option(format!("--hostname={}", world.neighbour().name()))
        .args(["python3", "-c", SAY_IT_EVERYWHERE, &text])
        .run();
    present(world.supervisor(), &enemy);
    let calm = world.calm();
    world
        .supervisor()
        .wait_for(enemy.name(), SOON, "what it says of itself", |it| {
            let services = it["services"].as_array();
            services.is_some_and(|all| all.len() >= 4) && it.to_string().contains(FORGED)
        });
    enemy.sh("kill -9 $(cat /victim)");
    wait_until(SOON, "the alert", || told.exists().then_some(()));
    let mut all = shown(&world, enemy.name());
    all.push(("an alert", fs::read_to_string(&told).expect("UTF-8")));
    for (place, words) in &all {
        is_harmless(place, words);
    }
    let holds = |place: &str| {
        let found = all.iter().find(|(name, _)| *name == place);
        found.is_some_and(|(_, words)| words.contains(FORGED))
    };
    for place in ["logs", "status NAME"] {
        assert!(
            holds(place),
            "the enemy's words are there, escaped, in {place}: {all:#?}"
        );
    }
    world.is_unharmed(&calm);
}

#[test]
fn no_name_makes_a_container_pass_for_another() {
    let world = World::new("names");
    let supervisor = world.supervisor();
    let http = |name: String, port: u16| {
        let address = format!("127.0.0.1:{port}");
        world
            .container(listener_image(), "x")
            .name(&name)
            .args(["http", address.as_str(), "200"])
            .run()
    };
    let calm = world.calm();
    // In another case; with more than a socket's path has room for; as if it were a path, or the supervisor's own.
    let mut others = vec![
        (
            http(
                world
                    .neighbour()
                    .name()
                    .to_uppercase()
                    .replacen('D', "d", 1),
                8101,
            ),
            false,
        ),
        (http(world.name(&"x".repeat(150)), 8102), true),
        (http(world.name(".."), 8103), true),
        (http(world.name("api.sock"), 8104), true),
        (http(world.name("neighbour-container-ci"), 8105), true),
    ];
    // The first's name matches no pattern of the configuration.
    supervisor.words(&["attach", others[0].0.name()]);
    others[0].1 = true;
    for (port, (container, is_attended)) in (8101_u16..).zip(&others) {
        assert!(is_attended);
        agent_in(supervisor, container);
        wait_until(SOON, "its own answer", || {
            let answer = supervisor.ask(container.name(), "ports");
            answer.contains(&port.to_string()).then_some(())
        });
    }
    world.neighbour_answers();
    // Each has a socket of its own, and none stands outside of the directory of sockets.
    let sockets: Vec<_> = fs::read_dir(supervisor.run_dir().join("ci"))
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    for (container, _) in &others {
        let by_name = format!("{}.sock", container.name());
        let by_id = format!("{}.sock", &container.id()[..12]);
        let own: Vec<_> = sockets
            .iter()
            .filter(|socket| **socket == *by_name || **socket == *by_id)
            .collect();
        assert_eq!(own.len(), 1, "{}: {sockets:?}", container.name());
    }
    let neighbours = &world.neighbour().id()[..12];
    let seen = snapshot(supervisor, neighbours);
    assert_eq!(
        seen["listeners"][0]["port"], 8000,
        "a name that differs from another's only in case takes it from both"
    );
    let whole: Value = supervisor.status();
    let known = whole["containers"].as_array().expect("containers").iter();
    let ids: Vec<_> = known.map(|it| it["id"].clone()).collect();
    assert!(ids.contains(&json!(world.neighbour().id())));
    drop(others);
    world.is_unharmed(&calm);
}
