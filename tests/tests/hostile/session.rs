//! Whoever has a companion's session, against the supervisor and everybody else.
//!
//! The enemy takes the session from its companion, as whoever was granted CAP_SYS_PTRACE can, and says through it what
//! no companion would. All it reaches is the picture of its own container.

use std::time::Duration;

use diogenes_testkit::{Container, base_image};
use diogenes_tests::{agent_in, present};
use serde_json::{Value, json};

use crate::inside::{inner_pid, python};
use crate::terminal::{FORGED, hostile_text, is_harmless, shown};
use crate::world::World;

/// A container in which root may take its companion over.
fn enemy(world: &World) -> Container {
    let enemy = world
        .container(base_image(), "enemy")
        .cap_add("SYS_PTRACE")
        .args(["sleep", "600"])
        .run();
    present(world.supervisor(), &enemy);
    enemy
}

/// Says these expressions of bytes in the companion's place; what the supervisor said meanwhile.
#[track_caller]
fn say(world: &World, enemy: &Container, seconds: &str, payloads: &[&str]) -> String {
    say_and_reply(world, enemy, seconds, &json!({}), payloads)
}

/// The same, and replies to requests, by their type.
#[track_caller]
fn say_and_reply(
    world: &World,
    enemy: &Container,
    seconds: &str,
    replies: &Value,
    payloads: &[&str],
) -> String {
    let agent = inner_pid(agent_in(world.supervisor(), enemy));
    let replies = replies.to_string();
    let words = [&[agent.as_str(), seconds, replies.as_str()], payloads].concat();
    python(enemy, include_str!("stolen.py"), &words)
}

/// A line of the protocol, as an expression.
fn line(message: &Value) -> String {
    format!("({} + chr(10)).encode()", Value::from(message.to_string()))
}

/// A report in which every text is `text`.
fn report(text: &str) -> Value {
    let since = "2026-01-31T08:00:00.000Z";
    json!({
        "type": "report", "at": since, "snapshot": text, "health": "unhealthy", "since": since, "reason": text,
        "roles": { text: text },
        "services": [{
            "key": text, "name": text, "kind": text, "role": text, "version": text, "ports": [80],
            "listeners": [{ "transport": "tcp", "address": "0.0.0.0", "port": 80, "inode": 1, "uid": 0, "owners": [1], "path": text }],
            "pids": [1], "health": "unhealthy", "activity": "busy", "since": since, "evidence": [text],
        }],
        "resources": {},
        "findings": [{
            "code": text, "severity": "critical", "summary": text, "service": text, "evidence": [text], "since": since,
        }],
        "processes": 1, "omitted": 0,
    })
}

/// Replies in which every text is `text`, and a snapshot has one page after another.
fn replies(text: &str) -> Value {
    let at = "2026-01-31T08:00:00.000Z";
    // An answer may have lines, as a log may.
    let line = text.replace('\n', "");
    json!({
        "ask": {
            "type": "answer", "intent": text, "text": line, "evidence": [text], "data": { text: text }, "as_of": at,
        },
        "logs": {
            "type": "logs", "omitted": 1,
            "files": [
                { "path": text, "service": text, "pid": 1, "lines": [text, text], "unfinished": text },
                { "path": text, "pid": 1, "failure": text },
            ],
        },
        "snapshot": {
            "type": "snapshot", "hash": text, "taken_at": at, "offset": 0, "total": u32::MAX, "next": 1,
            "processes": [{
                "container_pid": 1, "parent_pid": 0, "uid": 0, "started_at": at, "name": text, "command": [text],
                "executable": text, "state": "S", "threads": 1, "cpu_ms": 0, "rss_bytes": 0,
            }],
            "listeners": [], "gaps": [text],
        },
    })
}

/// What the enemy says, and that the session goes on all the same.
#[test]
fn what_makes_no_sense_is_answered_with_an_error_and_reaches_nobody() {
    let world = World::new("nonsense");
    let enemy = enemy(&world);
    let calm = world.calm();
    let (name, id) = (world.neighbour().name(), world.neighbour().id());
    // As if it were another container.
    let mut impersonation = report("FORGED");
    for (key, value) in [
        ("container", name),
        ("container_id", id),
        ("id", "7"),
        ("name", name),
    ] {
        impersonation[key] = value.into();
    }
    let hello = json!({ "type": "hello", "protocol": { "min": 1, "max": 1 }, "build": "FORGED", "container": name });
    let payloads = [
        // a second hello, forged and replayed
        line(&hello),
        line(&hello),
        // another container's report
        line(&impersonation),
        // what only a client may ask
        line(&json!({ "id": 1, "type": "ask", "question": "status", "container": name })),
        line(&json!({ "id": 2, "type": "snapshot", "container": name })),
        line(&json!({ "id": 3, "type": "act", "container": name })),
        line(&json!({ "id": 4, "type": "logs", "container": name })),
        // answers to questions that nobody asked
        r#"b"".join(b'{"id":%d,"type":"answer","text":"FORGED"}\n' % n for n in range(500))"#
            .to_owned(),
        // no text, no JSON, no end
        r#"b'\xff\xfe{"type":"report"}\n'"#.to_owned(),
        r#"b'{"type":"report\0"}\n'"#.to_owned(),
        r#"b'[' * 100000 + b'\n'"#.to_owned(),
        r#"b'{"type":"pong","id":' + b'9' * 100000 + b'}\n'"#.to_owned(),
        r#"b'\n' * 3"#.to_owned(),
    ];
    let payloads: Vec<_> = payloads.iter().map(String::as_str).collect();
    let answers = say(&world, &enemy, "2", &payloads);
    let answers: Vec<Value> = answers
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(!answers.is_empty());
    let told_nothing = |it: &&Value| it["type"] == "error" || it["type"] == "ping";
    assert!(
        answers.iter().all(|it| told_nothing(&it)),
        "the supervisor asks and refuses, and tells nothing: {answers:#?}"
    );
    let seen = world.supervisor().status();
    for container in seen["containers"].as_array().expect("containers") {
        if container["name"] != enemy.name() {
            assert!(!container.to_string().contains("FORGED"), "{container:#}");
        }
    }
    world.is_unharmed(&calm);
}

/// What ends the session: the enemy's own, and nobody else's.
#[test]
fn what_cannot_be_borne_ends_the_session_and_another_companion_comes() {
    let world = World::new("unbearable");
    for (what, payload) in [
        ("a line that is too long", "b'x' * (300 * 1024)"),
        (
            "a line without an end",
            r#"b'{"type":"report","reason":"' + b'x' * (1 << 20)"#,
        ),
        ("nonsense without end", r#"b'nonsense\n' * 100000"#),
    ] {
        let enemy = enemy(&world);
        let calm = world.calm();
        let before = agent_in(world.supervisor(), &enemy);
        let answers = say(&world, &enemy, "5", &[payload]);
        assert!(answers.contains("closed"), "{what}: {answers}");
        world
            .supervisor()
            .wait_for(enemy.name(), Duration::from_secs(5), what, |it| {
                it["state"] == "present"
            });
        assert_ne!(agent_in(world.supervisor(), &enemy), before, "{what}");
        world.is_unharmed(&calm);
    }
}

/// More than any companion says: the enemy is read more slowly, its neighbour is not.
#[test]
fn a_flood_of_reports_slows_only_who_sends_it() {
    let world = World::new("flood");
    let enemy = enemy(&world);
    let calm = world.calm();
    let big = line(&report(&"FLOOD ".repeat(500)));
    let flood = format!("{big} * 3000");
    let small = r#"b'{"type":"pong","id":5}\n' * 300000"#;
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| say(&world, &enemy, "6", &[small, &flood]));
        for _ in 0..5 {
            world.neighbour_answers();
            std::thread::sleep(Duration::from_millis(500));
        }
        flooding.join().expect("the flood");
    });
    world.is_unharmed(&calm);
}

#[test]
fn nothing_a_companion_can_say_reaches_a_terminal_as_it_is() {
    let world = World::new("said");
    let enemy = enemy(&world);
    let calm = world.calm();
    let text = hostile_text();
    std::thread::scope(|scope| {
        let report = line(&report(&text));
        let (world, enemy) = (&world, &enemy);
        let speaking =
            scope.spawn(move || say_and_reply(world, enemy, "6", &replies(&text), &[&report]));
        let supervisor = world.supervisor();
        let (told, _) =
            supervisor.wait_for(enemy.name(), Duration::from_secs(6), "the report", |it| {
                it.to_string().contains(FORGED)
            });
        assert_eq!(told["health"], "unhealthy");
        for (place, words) in shown(world, enemy.name()) {
            is_harmless(place, &words);
        }
        let logs = supervisor.words(&["logs", enemy.name()]);
        assert!(
            logs.contains(FORGED),
            "it was asked in the companion's place: {logs}"
        );
        // Pages without end are given up.
        let path = format!("/api/v1/containers/{}/snapshot", enemy.name());
        let (_, snapshot) = supervisor.http("GET", &path, None);
        assert!(snapshot.len() < 1 << 20, "{} bytes", snapshot.len());
        speaking.join().expect("what it says");
    });
    world.is_unharmed(&calm);
}
