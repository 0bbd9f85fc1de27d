use std::sync::{Arc, Mutex};
use std::time::Duration;

use diogenes_engine::{ContainerFacts, EngineError, LogLine, LogStream};
use diogenes_proto::line::Addressed;
use diogenes_proto::{
    Health, LogFile, LogPosition, Logs as Told, Message, Report, Request, Service, untrusted,
};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::attendants::way_in::Via;
use crate::fakes::{FakeEngine, Peer, exited, running};
use crate::registry::Registry;
use crate::registry::presence::{Absence, Presence};
use crate::session::Session;

const ID: &str = "c1";

struct World {
    registry: Arc<Registry>,
    facts: ContainerFacts,
    logs: Logs,
    /// What the Engine says of the container's output. None once it has said everything.
    output: Option<mpsc::UnboundedSender<Result<LogLine, EngineError>>>,
}

impl World {
    fn new() -> Self {
        let registry = Arc::new(Registry::default());
        let facts = running(ID, "shop", 7);
        registry.set_facts(facts.clone());
        registry.set_presence(ID, Presence::Absent(Absence::Detached));
        let engine = Arc::new(FakeEngine::default());
        let (output, receiver) = mpsc::unbounded_channel();
        *engine.output.lock().unwrap() = Some(receiver);
        Self {
            logs: Logs::new(engine, registry.clone()),
            registry,
            facts,
            output: Some(output),
        }
    }

    /// The Engine says a line, written at this second of the minute.
    fn writes(&self, second: u64, stream: LogStream, text: &str) {
        let line = LogLine {
            at: Some(at(second)),
            stream,
            text: text.into(),
        };
        self.output.as_ref().unwrap().send(Ok(line)).unwrap();
    }

    /// A companion that tells these, one a request, and the last again and again without lines.
    async fn companion(&self, replies: Vec<Told>) -> Companion {
        let (near, mut far) = Peer::pair();
        let (greeting, ()) = tokio::join!(Session::greet(near), far.greet());
        let (session, handle, _) = greeting.unwrap();
        let close = CancellationToken::new();
        tokio::spawn(session.run(close.clone(), |_| {}));
        self.registry.set_session(ID, Some(handle));
        let build = "fake".to_owned();
        self.registry.set_presence(
            ID,
            Presence::Present {
                build,
                via: Via::Attached,
            },
        );
        let asked = Arc::new(Mutex::new(Vec::new()));
        let requests = asked.clone();
        let serving = tokio::spawn(async move {
            let mut replies = replies.into_iter();
            while let Some(Addressed { id, body }) = far.request().await {
                requests.lock().unwrap().push(body);
                let told = replies.next().unwrap_or_default();
                far.say(id, &Message::Logs(told)).await;
            }
        });
        Companion {
            asked,
            close,
            _serving: serving,
        }
    }

    fn leaves(&self, companion: &Companion) {
        companion.close.cancel();
        self.registry.set_session(ID, None);
        self.registry
            .set_presence(ID, Presence::Absent(Absence::Ended));
    }

    async fn ask(&self, query: Query) -> Result<mpsc::Receiver<Item>, Refusal> {
        let entry = self.registry.get(ID).unwrap();
        self.logs.tell(&entry, query).await
    }

    /// All that is told of what was written until now, an item a line, without the sources.
    async fn tell(&mut self, query: Query) -> String {
        self.output = None;
        let mut items = self.ask(query).await.unwrap();
        let mut text = String::new();
        while let Some(item) = items.recv().await {
            text += &show(&item);
        }
        text
    }
}

struct Companion {
    asked: Arc<Mutex<Vec<Request>>>,
    close: CancellationToken,
    _serving: JoinHandle<()>,
}

impl Companion {
    /// What it was asked last.
    fn asked(&self) -> Request {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

fn show(item: &Item) -> String {
    match item {
        Item::Sources { .. } => String::new(),
        Item::Line(line) => format!("{} | {}\n", line.source, line.text),
        Item::Note { note } => format!("note: {note}\n"),
    }
}

/// What has been told by now.
async fn heard(items: &mut mpsc::Receiver<Item>) -> String {
    sleep(Duration::from_millis(1500)).await;
    let mut text = String::new();
    while let Ok(item) = items.try_recv() {
        text += &show(&item);
    }
    text
}

/// A second of the minute 14:00 of 2026-11-21.
fn at(second: u64) -> Timestamp {
    Timestamp::from_unix_ms((1_795_269_600 + second) * 1000)
}

fn file(path: &str, offset: u64, lines: &[&str]) -> LogFile {
    LogFile {
        path: path.into(),
        service: Some("nginx-80".into()),
        pid: 7,
        position: Some(LogPosition {
            device: 1,
            inode: 2,
            offset,
        }),
        lines: lines.iter().map(|line| Untrusted::from(*line)).collect(),
        ..LogFile::default()
    }
}

fn told(files: Vec<LogFile>) -> Told {
    Told { files, omitted: 0 }
}

fn query(text: &str) -> Query {
    let uri: axum::http::Uri = format!("/logs?{text}").parse().unwrap();
    axum::extract::Query::try_from_uri(&uri).unwrap().0
}

const ACCESS: &str = "/var/log/access.log";

fn access() -> LogFile {
    let lines = [
        "::1 - - [21/Nov/2026:14:00:02 +0000] GET /a 200",
        "::1 - - [21/Nov/2026:14:00:01 +0000] GET /b 500",
        "::1 - - [21/Nov/2026:14:00:05 +0000] GET /c 200",
    ];
    file(ACCESS, 100, &lines)
}

fn app() -> LogFile {
    let lines = [
        "2026-11-21 14:00:03 ERROR it broke",
        "    at line 7",
        "2026-11-21 14:00:06 ok",
    ];
    file("/srv/app.log", 200, &lines)
}

#[tokio::test(start_paused = true)]
async fn lines_of_all_sources_are_ordered_by_time() {
    let mut world = World::new();
    world.writes(1, LogStream::Stdout, "start");
    world.writes(4, LogStream::Stderr, "careful");
    world.writes(9, LogStream::Stdout, "ready");
    let odd = file("/srv/odd.log", 3, &["no time"]);
    let _companion = world
        .companion(vec![told(vec![access(), app(), odd])])
        .await;
    insta::assert_snapshot!(world.tell(Query::default()).await);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_asked_for_is_told() {
    for (text, lines) in [
        (
            "since=2026-11-21T14:00:05Z",
            "access.log /c|app.log ok|stdout ready",
        ),
        // A line without a time belongs to the one before.
        (
            "until=2026-11-21T14:00:03Z",
            "stdout start|access.log /a|access.log /b|app.log broke|app.log line 7",
        ),
        ("tail=1", "access.log /c|app.log ok|stdout ready"),
        ("tail=1&grep=r[ts]", "stdout start"),
        (
            "tail=1&until=2026-11-21T14:00:02Z",
            "stdout start|access.log /b",
        ),
        ("grep=(%3Fi)OK$", "app.log ok"),
        ("grep=500$|broke", "access.log /b|app.log broke"),
    ] {
        let mut world = World::new();
        world.writes(1, LogStream::Stdout, "start");
        world.writes(9, LogStream::Stdout, "ready");
        let _companion = world.companion(vec![told(vec![access(), app()])]).await;
        let query = query(text);
        // What the fake Engine does not do: the real one knows since and tail.
        let engine_does = query.since.is_some() || query.plain_tail().is_some();
        let told = world.tell(query).await;
        let told = if engine_does {
            told.replace("stdout | start\n", "")
        } else {
            told
        };
        let expected: Vec<&str> = lines.split('|').filter(|line| !line.is_empty()).collect();
        assert_eq!(told.lines().count(), expected.len(), "{text}: {told}");
        for (line, expected) in told.lines().zip(expected) {
            let (source, word) = expected.split_once(' ').unwrap();
            let (name, rest) = line.split_once(" | ").unwrap();
            assert!(
                name.ends_with(source) && rest.contains(word),
                "{text}: {told}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn as_little_as_possible_is_read() {
    let lines = async |text: &str| {
        let mut world = World::new();
        let companion = world.companion(Vec::new()).await;
        world.tell(query(text)).await;
        match companion.asked() {
            Request::Logs { lines, after, .. } => (lines, after),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(lines("tail=5").await, (5, None));
    // The last five that match may stand anywhere.
    assert_eq!(lines("tail=5&grep=x").await, (u32::MAX, None));
    assert_eq!(lines("").await, (u32::MAX, None));
}

#[tokio::test(start_paused = true)]
async fn nobody_finds_a_secret_by_its_letters() {
    let mut world = World::new();
    world.writes(
        1,
        LogStream::Stdout,
        "connecting to postgres://app:hunter2@db/shop",
    );
    let shown = world.tell(Query::default()).await;
    assert!(
        shown.contains("connecting to postgres://app:") && !shown.contains("hunter2"),
        "{shown}"
    );
    let mut world = World::new();
    world.writes(
        1,
        LogStream::Stdout,
        "connecting to postgres://app:hunter2@db/shop",
    );
    let found = world.tell(query("grep=hunter2")).await;
    assert!(!found.contains("connecting"), "{found}");
}

fn service(key: &str, pid: u32) -> Service {
    Service {
        key: key.into(),
        name: key.split('-').next().unwrap().into(),
        kind: key.split('-').next().unwrap().into(),
        pids: vec![pid],
        health: Health::Healthy,
        ..Service::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_has_its_own_lines() {
    for (name, init, expected) in [
        ("nginx", 1, "access.log|stdout"),
        ("nginx", 9, "access.log"),
        ("redis", 9, "stdout"),
    ] {
        let mut world = World::new();
        world.writes(9, LogStream::Stdout, "ready");
        let mut last = access();
        last.lines.drain(..2);
        let strange = LogFile {
            service: None,
            ..app()
        };
        let companion = world.companion(vec![told(vec![last, strange])]).await;
        world.registry.set_report(
            ID,
            Report {
                services: vec![service("nginx-80", init), service("redis-6379", 20)],
                ..Report::default()
            },
        );
        let shown = world.tell(query(&format!("service={name}"))).await;
        let sources: Vec<&str> = shown
            .lines()
            .map(|line| {
                line.split(" | ")
                    .next()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
            })
            .collect();
        assert_eq!(sources.join("|"), expected, "{name}: {shown}");
        let Request::Logs { service, .. } = companion.asked() else {
            panic!()
        };
        assert!(service.unwrap().starts_with(name));
        let error = world.ask(query("service=ngnix")).await.unwrap_err();
        assert!(
            error.to_string().ends_with("did you mean nginx?"),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_companion_there_is_the_output_and_a_note() {
    let mut world = World::new();
    world.writes(1, LogStream::Stdout, "start");
    insta::assert_snapshot!(world.tell(Query::default()).await);
}

#[tokio::test(start_paused = true)]
async fn without_the_engine_there_are_the_files_and_a_note() {
    let mut world = World::new();
    let message = "configured logging driver does not support reading".to_owned();
    let error = EngineError::Api { message };
    world.output.as_ref().unwrap().send(Err(error)).unwrap();
    let _companion = world.companion(vec![told(vec![app()])]).await;
    insta::assert_snapshot!(world.tell(Query::default()).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_of_files_is_said() {
    let mut world = World::new();
    let cut = LogFile {
        omitted: true,
        unfinished: Some("2026-11-21 14:00:07 and".into()),
        ..app()
    };
    let dead = LogFile {
        failure: Some("no answer in time".into()),
        position: None,
        ..file("/mnt/dead\u{1b}.log", 0, &[])
    };
    let told = Told {
        files: vec![cut, dead],
        omitted: 3,
    };
    let _companion = world.companion(vec![told]).await;
    insta::assert_snapshot!(world.tell(Query::default()).await);
}

#[tokio::test(start_paused = true)]
async fn hostile_lines_are_bounded_and_stay_lines() {
    let mut world = World::new();
    world.writes(1, LogStream::Stdout, &"x".repeat(1_000_000));
    world.writes(2, LogStream::Stderr, "\u{1b}[2J\nforged");
    let mut items = {
        world.output = None;
        world.ask(Query::default()).await.unwrap()
    };
    let mut lines = Vec::new();
    while let Some(item) = items.recv().await {
        let json = serde_json::to_string(&item).unwrap();
        assert!(
            json.len() < 2 * untrusted::MAX_BYTES
                && !json.contains('\n')
                && !json.contains('\u{1b}')
        );
        assert_eq!(
            Item::decode(json.as_bytes()).unwrap(),
            item,
            "it comes back as it was"
        );
        if let Item::Line(line) = item {
            lines.push(line.text);
        }
    }
    assert!(lines[0].as_raw().len() <= untrusted::MAX_BYTES);
    assert_eq!(lines[1].to_string(), "\\u{1b}[2J\\nforged");
    assert!(Item::decode(b"{\"text\":\"x\"}").is_err());
}

#[tokio::test(start_paused = true)]
async fn the_last_of_endless_lines_are_held_in_bounded_memory() {
    let mut world = World::new();
    let line = "x".repeat(4000);
    for second in 0..700 {
        world.writes(second, LogStream::Stdout, &line);
    }
    let shown = world.tell(query("grep=x&tail=700")).await;
    let count = shown
        .lines()
        .filter(|line| line.starts_with("stdout |"))
        .count();
    assert!((400..600).contains(&count), "{count}");
    assert!(shown.contains("only the last 2 MiB"));
}

#[tokio::test(start_paused = true)]
async fn what_comes_is_told_as_it_comes() {
    let mut world = World::new();
    world.writes(3, LogStream::Stdout, "start");
    let half = LogFile {
        unfinished: Some("half a".into()),
        ..file(ACCESS, 100, &["2026-11-21 14:00:05 one"])
    };
    let rotated = LogFile {
        restarted: true,
        ..file(ACCESS, 10, &["first of a new file"])
    };
    let replies = vec![
        told(vec![half]),
        told(vec![file(ACCESS, 120, &["half a line"])]),
        told(vec![rotated]),
    ];
    let companion = world.companion(replies).await;
    let mut items = world.ask(query("follow=true&tail=1")).await.unwrap();
    let past = heard(&mut items).await;
    assert_eq!(
        past,
        "stdout | start\n/var/log/access.log | 2026-11-21 14:00:05 one\n/var/log/access.log | half a line\n"
    );
    world.writes(60, LogStream::Stderr, "live");
    let live = heard(&mut items).await;
    assert_eq!(
        live,
        "stderr | live\n/var/log/access.log | first of a new file\n"
    );
    sleep(Duration::from_secs(1)).await;
    let Request::Logs { after, .. } = companion.asked() else {
        panic!()
    };
    let offsets: Vec<u64> = after
        .unwrap()
        .iter()
        .map(|position| position.offset)
        .collect();
    assert_eq!(offsets, [10], "it reads on where it left off");
    // The container ends: its last line comes before that is said.
    world.registry.set_facts(exited(&world.facts, 3));
    world.writes(61, LogStream::Stdout, "bye");
    world.output = None;
    assert_eq!(
        heard(&mut items).await,
        "stdout | bye\nnote: container exited with code 3\n"
    );
    assert!(items.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_companion_that_goes_and_comes_back_leaves_two_notes() {
    let world = World::new();
    let first = world
        .companion(vec![told(vec![file(ACCESS, 100, &["one"])])])
        .await;
    let mut items = world.ask(query("follow=true")).await.unwrap();
    assert_eq!(heard(&mut items).await, "/var/log/access.log | one\n");
    world.leaves(&first);
    let away = heard(&mut items).await + &heard(&mut items).await;
    assert_eq!(
        away,
        "note: log files inside are not shown: its companion has just ended\n"
    );
    let second = world
        .companion(vec![told(vec![file(ACCESS, 130, &["two"])])])
        .await;
    let back = heard(&mut items).await;
    assert!(
        back.starts_with("note: log files are shown again; what was written since"),
        "{back}"
    );
    assert!(back.ends_with("\n/var/log/access.log | two\n"), "{back}");
    let first_asked = second.asked.lock().unwrap()[0].clone();
    let Request::Logs { after, .. } = first_asked else {
        panic!()
    };
    assert_eq!(
        after.unwrap()[0].offset,
        100,
        "from where the first left off"
    );
}

#[tokio::test(start_paused = true)]
async fn a_companion_that_comes_late_does_not_tell_the_past() {
    let world = World::new();
    let mut items = world.ask(query("follow=true")).await.unwrap();
    let begin = heard(&mut items).await;
    assert!(
        begin.starts_with("note: log files inside are not shown: detached by hand"),
        "{begin}"
    );
    let late = world
        .companion(vec![told(vec![file(ACCESS, 100, &[])])])
        .await;
    assert_eq!(
        heard(&mut items).await,
        "note: log files are shown from now on\n"
    );
    let Request::Logs { lines, after, .. } = late.asked.lock().unwrap()[0].clone() else {
        panic!()
    };
    assert_eq!((lines, after), (0, None));
}

#[tokio::test(start_paused = true)]
async fn files_alone_are_followed_until_the_container_ends() {
    let world = World::new();
    let _companion = world.companion(vec![told(vec![access()]); 50]).await;
    let services = vec![service("nginx-80", 9)];
    let report = Report {
        services,
        ..Report::default()
    };
    world.registry.set_report(ID, report);
    let mut items = world
        .ask(query("follow=true&service=nginx&tail=0"))
        .await
        .unwrap();
    assert_eq!(heard(&mut items).await.lines().count(), 3);
    world.registry.remove(ID);
    assert!(
        heard(&mut items)
            .await
            .ends_with("note: the container was deleted\n")
    );
    assert!(items.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_costs_little_and_who_goes_costs_nothing() {
    let world = World::new();
    let items = world.ask(query("follow=true")).await.unwrap();
    let output = world.output.as_ref().unwrap();
    for second in 0..10_000 {
        world.writes(second, LogStream::Stdout, "x");
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(items.len(), QUEUE, "no more is read than is taken");
    drop(items);
    output.closed().await;
}

#[tokio::test(start_paused = true)]
async fn so_many_may_read_at_one_time() {
    let world = World::new();
    let mut places = Vec::new();
    let refusal = loop {
        match world.ask(query("follow=true")).await {
            Ok(items) => places.push(items),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(places.len(), 16);
    assert_eq!(
        refusal.to_string(),
        "16 others read logs at this moment; try again when one has ended"
    );
    places.pop();
    sleep(Duration::from_secs(1)).await;
    assert!(world.ask(query("follow=true")).await.is_ok());
}
