//! Peers for tests: an agent that speaks the real protocol, a way in that leads to such agents, an Engine.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diogenes_engine::{
    Change, ContainerFacts, ContainerState, Endpoint, Engine, EngineError, EngineInfo,
    EngineVersion, Event, Listing, LogLine, LogOptions, LogStream,
};
use diogenes_proto::line::{Addressed, decode, encode};
use diogenes_proto::{
    ErrorCode, Health, Hello, Listener, Logs, Message, Report, Request, Snapshot, SnapshotPage,
    Timestamp, Untrusted, WireError,
};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use crate::alerts::{AlertSettings, Alerts};
use crate::api::view::{ContainerView, EngineView, StatusView, SupervisorView, TektonView};
use crate::attendants::attacher::{AttachError, Target};
use crate::attendants::way_in::{Companion, Process, Via, WayIn};
use crate::config::Settings;
use crate::registry::Registry;
use crate::supervisor::Supervisor;
use crate::tekton::hermes::Hermes;

/// The other end of a session.
pub(crate) struct Peer {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Peer {
    pub(crate) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            lines: BufReader::new(reader).lines(),
            writer,
        }
    }

    /// Both ends of a session.
    pub(crate) fn pair() -> (UnixStream, Self) {
        let (near, far) = UnixStream::pair().unwrap();
        (near, Self::new(far))
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn greet(&mut self) {
        let hello = serde_json::to_string(&Hello::new("diogenes-agent 0.0.0-fake")).unwrap();
        self.raw(format!("{hello}\n").as_bytes()).await;
    }

    pub(crate) async fn say(&mut self, id: Option<u64>, message: &Message) {
        self.raw(format!("{}\n", encode(id, message).unwrap()).as_bytes())
            .await;
    }

    /// The next line; None at the end of the session.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.unwrap_or(None)
    }

    /// The next request that is not a ping.
    pub(crate) async fn request(&mut self) -> Option<Addressed<Request>> {
        loop {
            let line = self.line().await?;
            match decode::<Request>(line.as_bytes()) {
                Ok(Addressed {
                    body: Request::Ping {},
                    id,
                }) => self.say(id, &Message::Pong {}).await,
                Ok(request) => return Some(request),
                // The hello, and errors for us.
                Err(_) => {}
            }
        }
    }

    /// An honest agent: says hello, reports, and answers questions until its session is closed.
    pub(crate) async fn serve(mut self, report: Report) {
        self.greet().await;
        self.say(None, &Message::Report(Box::new(report.clone())))
            .await;
        while let Some(Addressed { id, body }) = self.request().await {
            let reply = match body {
                Request::Ask { question, facts } => {
                    let facts = facts.unwrap_or_default();
                    let logs: Vec<String> =
                        facts.log_tail.iter().map(ToString::to_string).collect();
                    let text = format!("{question}? I am {} {}", facts.name, logs.join("|"));
                    Message::Answer(Box::new(diogenes_proto::Answer {
                        text: text.into(),
                        ..diogenes_proto::Answer::default()
                    }))
                }
                Request::Logs { .. } => Message::Logs(Logs::default()),
                Request::Snapshot { hash, offset } => {
                    let known = hash.is_none_or(|hash| hash == SNAPSHOT_HASH);
                    let page = SnapshotPage::cut(SNAPSHOT_HASH, &snapshot(), offset);
                    match page.filter(|_| known) {
                        Some(page) => Message::Snapshot(Box::new(page)),
                        None => {
                            let message = "no such snapshot or page; ask without a hash";
                            Message::Error(WireError::new(ErrorCode::NotFound, message))
                        }
                    }
                }
                // It is of an older build, and reports no more than it has to.
                Request::Labels { .. } | Request::Remember { .. } => {
                    Message::Error(WireError::new(ErrorCode::Unsupported, "what is that?"))
                }
                _ => Message::Report(Box::new(report.clone())),
            };
            self.say(id, &reply).await;
        }
    }
}

/// What the supervisor tells of everything that a registry knows.
pub(crate) fn status_of(registry: &Registry) -> StatusView {
    let at = Timestamp::from_unix_ms(0);
    StatusView {
        containers: registry
            .all()
            .iter()
            .map(|entry| ContainerView::new(entry))
            .collect(),
        supervisor: SupervisorView {
            version: "0.1.0".into(),
            pid: 1,
            started_at: at,
            uptime_s: 60,
            run_dir: "/run/diogenes".into(),
            listen: "127.0.0.1:4120".into(),
            engine: EngineView {
                endpoint: "/var/run/docker.sock".into(),
                reachable: true,
                version: None,
                api_version: None,
                error: None,
                since: at,
            },
            attach_error: None,
            config_error: None,
            tekton: TektonView::default(),
        },
    }
}

/// A process that ends when it is told to.
#[derive(Clone, Debug)]
pub(crate) struct FakeProcess(Arc<watch::Sender<bool>>);

impl FakeProcess {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn end(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.0.borrow()
    }
}

impl Process for FakeProcess {
    fn exited(&self) -> BoxFuture<'_, ()> {
        async {
            let mut ended = self.0.subscribe();
            let _ = ended.wait_for(|ended| *ended).await;
        }
        .boxed()
    }

    fn kill(&self) {
        self.end();
    }
}

/// One companion that was brought in.
#[derive(Clone, Debug)]
pub(crate) struct Entered {
    pub(crate) target: Target,
    pub(crate) agent: FakeProcess,
    pub(crate) init: FakeProcess,
}

/// What becomes of an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Luck {
    /// An honest agent comes in.
    Good,
    /// It cannot be entered.
    Bad(&'static str),
    /// An agent comes in and never says a word.
    Mute,
    /// An agent comes in and is killed before it says a word.
    Killed,
}

/// A way in to fake agents.
#[derive(Default)]
pub(crate) struct FakeWayIn {
    /// What becomes of the next attempts; good luck where nothing else is said.
    pub(crate) luck: Mutex<VecDeque<Luck>>,
    /// Who came in, and the attempts that failed too.
    pub(crate) entered: Mutex<Vec<Entered>>,
    /// How they come in.
    pub(crate) via: Mutex<Via>,
}

impl FakeWayIn {
    pub(crate) fn attempts(&self) -> usize {
        self.entered.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> Entered {
        self.entered.lock().unwrap().last().unwrap().clone()
    }
}

impl WayIn for FakeWayIn {
    fn via(&self) -> Via {
        *self.via.lock().unwrap()
    }

    fn enter(&self, target: Target) -> BoxFuture<'_, Result<Companion, AttachError>> {
        async move {
            let entered = Entered {
                target,
                agent: FakeProcess::new(),
                init: FakeProcess::new(),
            };
            self.entered.lock().unwrap().push(entered.clone());
            let luck = self.luck.lock().unwrap().pop_front().unwrap_or(Luck::Good);
            let (session, peer) = Peer::pair();
            let ended = entered.agent.clone();
            match luck {
                Luck::Bad(reason) => return Err(AttachError::Failed(reason.into())),
                Luck::Good => drop(tokio::spawn(async move {
                    // It ends with its session, and its session with it.
                    tokio::select! {
                        () = peer.serve(report(Health::Healthy)) => ended.end(),
                        () = ended.exited() => {}
                    }
                })),
                Luck::Mute => drop(tokio::spawn(async move {
                    let _peer = peer;
                    ended.exited().await;
                })),
                Luck::Killed => ended.end(),
            }
            Ok(Companion {
                via: self.via(),
                session,
                agent: Box::new(entered.agent),
                init: Box::new(entered.init),
            })
        }
        .boxed()
    }
}

/// A report of nothing but a health.
pub(crate) fn report(health: Health) -> Report {
    Report {
        at: Timestamp::now(),
        since: Timestamp::now(),
        health,
        ..Report::default()
    }
}

/// The hash of [`snapshot`].
pub(crate) const SNAPSHOT_HASH: &str = "5na9";

/// What every honest agent sees: more than fits a line.
pub(crate) fn snapshot() -> Snapshot {
    let process = |pid: u32| diogenes_proto::Process {
        container_pid: pid,
        host_pid: Some(1),
        command: vec!["worker".into(), "x".repeat(400).into()],
        state: 'S',
        ..diogenes_proto::Process::default()
    };
    let listener = |port: u16| Listener {
        port: Some(port),
        inode: port.into(),
        ..Listener::default()
    };
    Snapshot {
        processes: (1..=1200).map(process).collect(),
        listeners: (8000..8150).map(listener).collect(),
        ..Snapshot::default()
    }
}

/// A running container.
pub(crate) fn running(id: &str, name: &str, init_pid: u32) -> ContainerFacts {
    ContainerFacts {
        id: id.into(),
        name: name.into(),
        image: "fake".into(),
        state: ContainerState::Running,
        init_pid: Some(init_pid),
        started_at: Some(Timestamp::from_unix_ms(
            1_769_846_400_000 + u64::from(init_pid),
        )),
        ..ContainerFacts::default()
    }
}

/// The same container after its end.
pub(crate) fn exited(facts: &ContainerFacts, exit_code: i64) -> ContainerFacts {
    ContainerFacts {
        state: ContainerState::Exited,
        init_pid: None,
        exit_code: Some(exit_code),
        ..facts.clone()
    }
}

/// An Engine whose containers are what the test says.
#[derive(Default)]
pub(crate) struct FakeEngine {
    endpoint: Endpoint,
    pub(crate) containers: Mutex<HashMap<String, ContainerFacts>>,
    pub(crate) logs: Mutex<Vec<Untrusted>>,
    /// What the next reader of logs is told, as the test sends it; None for `logs`.
    pub(crate) output: Mutex<Option<mpsc::UnboundedReceiver<Result<LogLine, EngineError>>>>,
    /// Whether nobody answers.
    pub(crate) away: Mutex<bool>,
    /// How often somebody asked for the version: once a connection.
    pub(crate) connections: Mutex<u32>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<Result<Event, EngineError>>>>,
}

impl FakeEngine {
    /// Changes a container and tells of it.
    pub(crate) fn set(&self, facts: &ContainerFacts) {
        self.containers
            .lock()
            .unwrap()
            .insert(facts.id.clone(), facts.clone());
        self.tell(Event {
            container_id: facts.id.clone(),
            change: Change::Changed,
        });
    }

    /// Deletes a container and tells of it.
    pub(crate) fn destroy(&self, id: &str) {
        self.containers.lock().unwrap().remove(id);
        self.tell(Event {
            container_id: id.into(),
            change: Change::Destroyed,
        });
    }

    /// Goes away, or comes back.
    pub(crate) fn set_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
        self.listeners.lock().unwrap().clear();
    }

    fn tell(&self, event: Event) {
        self.listeners
            .lock()
            .unwrap()
            .retain(|listener| listener.send(Ok(event.clone())).is_ok());
    }

    fn answer<T>(&self, answer: T) -> Result<T, EngineError> {
        if *self.away.lock().unwrap() {
            return Err(EngineError::Unreachable {
                endpoint: self.endpoint.clone(),
                reason: "it is away".into(),
            });
        }
        Ok(answer)
    }
}

impl Engine for FakeEngine {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn version(&self) -> BoxFuture<'_, Result<EngineVersion, EngineError>> {
        *self.connections.lock().unwrap() += 1;
        let version = EngineVersion {
            version: "20.10".into(),
            api_version: "1.41".into(),
        };
        std::future::ready(self.answer(version)).boxed()
    }

    fn info(&self) -> BoxFuture<'_, Result<EngineInfo, EngineError>> {
        std::future::ready(self.answer(EngineInfo::default())).boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        std::future::ready(self.answer(())).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Listing>, EngineError>> {
        let containers = self.containers.lock().unwrap();
        let listing = |facts: &ContainerFacts| Listing {
            id: facts.id.clone(),
            name: facts.name.clone(),
            image: facts.image.clone(),
            state: facts.state,
        };
        std::future::ready(self.answer(containers.values().map(listing).collect())).boxed()
    }

    fn inspect<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerFacts, EngineError>> {
        let found = self.containers.lock().unwrap().get(id).cloned();
        let found = self
            .answer(found)
            .and_then(|found| found.ok_or(EngineError::NotFound { id: id.into() }));
        std::future::ready(found).boxed()
    }

    fn events(&self, _: Timestamp) -> BoxStream<'static, Result<Event, EngineError>> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap().push(sender);
        stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
    }

    fn logs(
        &self,
        _: &str,
        options: LogOptions,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        if let Some(mut output) = self.output.lock().unwrap().take() {
            return stream::poll_fn(move |context| output.poll_recv(context)).boxed();
        }
        let texts = match self.answer(self.logs.lock().unwrap().clone()) {
            Ok(texts) => texts,
            Err(error) => return stream::once(std::future::ready(Err(error))).boxed(),
        };
        let most = options.tail.map_or(texts.len(), |tail| tail as usize);
        let skipped = texts.len().saturating_sub(most);
        let lines = texts.into_iter().skip(skipped).map(|text| {
            Ok(LogLine {
                at: None,
                stream: LogStream::Stdout,
                text,
            })
        });
        let lines = stream::iter(lines);
        if options.follow {
            lines.chain(stream::pending()).boxed()
        } else {
            lines.boxed()
        }
    }

    fn log_tail<'a>(
        &'a self,
        _: &'a str,
        _: u32,
    ) -> BoxFuture<'a, Result<Vec<Untrusted>, EngineError>> {
        std::future::ready(self.answer(self.logs.lock().unwrap().clone())).boxed()
    }
}

/// Waits until something is so. With a paused clock this takes no time.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("this never came about: {what}");
}

/// A file system of its own for a test: small, or read-only. Gone with this value.
pub(crate) struct Mount(tempfile::TempDir);

impl Mount {
    /// An empty one with these options of tmpfs(5); None where this process may not mount.
    pub(crate) fn tmpfs(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", options, "tmpfs"], dir.path()).then_some(Self(dir))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// From now on nothing can be written there.
    pub(crate) fn make_read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], self.path()));
    }

    /// From now on it can be written again.
    pub(crate) fn make_writable(&self) {
        assert!(mount(&["-o", "remount,rw"], self.path()));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.path())
            .status();
    }
}

fn mount(arguments: &[&str], at: &std::path::Path) -> bool {
    let mut mount = std::process::Command::new("mount");
    let mounted = mount
        .args(arguments)
        .arg(at)
        .stderr(std::process::Stdio::null())
        .status();
    mounted.is_ok_and(|status| status.success())
}

/// A configuration in which nobody said anything, and never will.
pub(crate) fn defaults() -> watch::Receiver<Arc<Settings>> {
    watch::Sender::new(Arc::new(Settings::with(&[]))).subscribe()
}

/// The way to a Hermes at this address, for a supervisor at the usual one.
pub(crate) fn hermes(address: &str) -> Arc<Hermes> {
    let address = diogenes_tekton::Address::parse(address).unwrap();
    let listen = "127.0.0.1:4120".parse().unwrap();
    Hermes::new(
        address,
        listen,
        "/run/diogenes".as_ref(),
        None,
        &Registry::default(),
    )
    .unwrap()
}

/// What a supervisor knows of itself, with alerts for everybody who can receive them.
pub(crate) fn supervisor() -> Supervisor {
    let alerts = AlertSettings {
        webhook: Some("http://127.0.0.1:9/".parse().unwrap()),
        webhook_secrets: None,
        on_change: vec!["/bin/true".into()],
    };
    Supervisor {
        started_at: Timestamp::from_unix_ms(1_769_846_400_123),
        started: std::time::Instant::now(),
        run_dir: "/run/diogenes".into(),
        listen: "127.0.0.1:4120".parse().unwrap(),
        engine: "/var/run/docker.sock".into(),
        attach_error: None,
        hermes: Some(hermes("http://127.0.0.1:9")),
        settings: defaults(),
        alerts: Arc::new(Alerts::waiting(&alerts)),
    }
}
