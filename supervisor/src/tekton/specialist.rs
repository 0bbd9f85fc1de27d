//! The companions on ports of the loopback, speaking as Tekton's own CI specialists do.
//!
//! A container's port follows from its name, so that it mostly is the same after a restart of either; where that one is
//! taken, it is the next free one of the range. `/ci/NAME/discovery` tells it.
//!
//! Whoever is on this host may ask here, and can do nothing else. A web page could make a browser connect: whoever
//! speaks HTTP is hung up on.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use diogenes_proto::Timestamp;
use diogenes_tekton::component::Status;
use diogenes_tekton::specialist::{MAX_LINE_BYTES, Request, Response};
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::codec::{AnyDelimiterCodec, FramedRead};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::ci::description;
use crate::api::http::accept_loop;
use crate::config::value::PortRange;
use crate::registry::{Entry, Registry};
use crate::relay::Relay;
use crate::supervisor::Supervisor;
use crate::tekton::{is_attended, say};

/// Clients of one companion at a time.
const MAX_CLIENTS: usize = 8;
/// How long a client may say nothing, or hold back the rest of a line; and leave an answer unread.
const IDLE_DEADLINE: Duration = Duration::from_secs(300);
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Lines that may make no sense before the connection is closed.
const MAX_BAD_LINES: usize = 5;
/// Changes come in bursts: so long they are gathered.
const PAUSE: Duration = Duration::from_millis(100);
/// What stands where Tekton's specialists name their language model.
const PROVIDER: &str = "diogenes";
const MODEL: &str = "facts";

/// Which container has which port, by its id.
#[derive(Debug, Default)]
pub(crate) struct Ports(RwLock<HashMap<String, u16>>);

impl Ports {
    /// A container's port; None where it has none.
    pub(crate) fn of(&self, id: &str) -> Option<u16> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .copied()
    }

    fn set(&self, ports: HashMap<String, u16>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ports;
    }
}

/// Keeps the ports.
pub(crate) struct Specialists {
    /// Those that may be taken.
    pub(crate) range: PortRange,
    /// Who is known.
    pub(crate) registry: Arc<Registry>,
    /// Who asks.
    pub(crate) relay: Arc<Relay>,
    /// Where the ports are told.
    pub(crate) ports: Arc<Ports>,
    /// Knows when all have stopped.
    pub(crate) tasks: TaskTracker,
}

/// One open port.
struct Open {
    port: u16,
    /// Closes it, and ends its clients.
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Specialists {
    /// Keeps the ports in line with the registry until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut changes = self.registry.subscribe();
        let mut open: HashMap<String, Open> = HashMap::new();
        // Those who were told of that they have no port.
        let mut without = Vec::new();
        loop {
            let entries = self.registry.all();
            let reachable: Vec<&Arc<Entry>> =
                entries.iter().filter(|entry| is_attended(entry)).collect();
            let is_in = |id: &str| reachable.iter().any(|entry| entry.facts.id == id);
            let gone: Vec<String> = open.keys().filter(|id| !is_in(id)).cloned().collect();
            for closing in gone.iter().filter_map(|id| open.remove(id)) {
                closing.stop.cancel();
                // Whoever is next to have this port must come after that.
                let _ = closing.task.await;
            }
            without.retain(|id: &String| is_in(id));
            for entry in reachable {
                let id = &entry.facts.id;
                if open.contains_key(id) {
                    continue;
                }
                let taken: Vec<u16> = open.values().map(|open| open.port).collect();
                match self.open(entry, &taken, &stop).await {
                    Some(opened) => drop(open.insert(id.clone(), opened)),
                    None if without.contains(id) => {}
                    None => {
                        let PortRange { first, last } = self.range;
                        tracing::warn!(
                            "no port from {first} to {last} is free for {}; give more as tekton.specialist_ports",
                            entry.facts.name
                        );
                        without.push(id.clone());
                    }
                }
            }
            self.ports.set(
                open.iter()
                    .map(|(id, open)| (id.clone(), open.port))
                    .collect(),
            );
            let changed = crate::registry::changed(&mut changes, PAUSE);
            if !matches!(stop.run_until_cancelled(changed).await, Some(Ok(()))) {
                return;
            }
        }
    }

    /// Opens a container's port; None where none is free.
    async fn open(&self, entry: &Entry, taken: &[u16], stop: &CancellationToken) -> Option<Open> {
        let free = candidates(&entry.facts.name, self.range).filter(|port| !taken.contains(port));
        for port in free {
            let Ok(listener) =
                TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
            else {
                continue;
            };
            let stop = stop.child_token();
            let clients = Arc::new(AtomicUsize::new(0));
            let (id, registry, relay) = (
                entry.facts.id.clone(),
                self.registry.clone(),
                self.relay.clone(),
            );
            let stopping = stop.clone();
            let serve = move |io| {
                let client = Client {
                    id: id.clone(),
                    port,
                    registry: registry.clone(),
                    relay: relay.clone(),
                    clients: clients.clone(),
                };
                let stopping = stopping.clone();
                async move {
                    client.clients.fetch_add(1, Ordering::Relaxed);
                    let _ = stopping.run_until_cancelled(client.serve(io)).await;
                    client.clients.fetch_sub(1, Ordering::Relaxed);
                }
            };
            let task = self.tasks.spawn(accept_loop(
                listener,
                MAX_CLIENTS,
                stop.clone(),
                self.tasks.clone(),
                serve,
            ));
            tracing::debug!("{} speaks as a specialist on port {port}", entry.facts.name);
            return Some(Open { port, stop, task });
        }
        None
    }
}

/// The ports of a range, beginning with the one that follows from a name: FNV-1a, which no release of anything changes.
fn candidates(name: &str, range: PortRange) -> impl Iterator<Item = u16> {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let first = u64::from(range.first);
    let length = u64::from(range.last) - first + 1;
    (0..length).filter_map(move |step| u16::try_from(first + (hash % length + step) % length).ok())
}

/// One client of a companion.
struct Client {
    id: String,
    port: u16,
    registry: Arc<Registry>,
    relay: Arc<Relay>,
    clients: Arc<AtomicUsize>,
}

impl Client {
    /// Answers it until it goes, falls silent or makes no sense.
    async fn serve(&self, io: impl AsyncRead + AsyncWrite) {
        let (reader, mut writer) = tokio::io::split(Box::pin(io));
        let codec =
            AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), Vec::new(), MAX_LINE_BYTES);
        let mut lines = FramedRead::new(reader, codec);
        let mut bad_lines = 0;
        while let Ok(Some(line)) = timeout(IDLE_DEADLINE, lines.next()).await {
            let (response, is_bad) = match line {
                Ok(line) => match Request::read(&line) {
                    Ok(request) => (self.answer(request).await, false),
                    Err(_) if is_http(&line) => return,
                    Err(error) => (
                        Response::Error {
                            error: error.to_string(),
                        },
                        true,
                    ),
                },
                Err(_) => (
                    Response::Error {
                        error: format!("a line has at most {MAX_LINE_BYTES} bytes"),
                    },
                    true,
                ),
            };
            bad_lines += usize::from(is_bad);
            let written =
                timeout(WRITE_DEADLINE, writer.write_all(response.line().as_bytes())).await;
            if !matches!(written, Ok(Ok(()))) || bad_lines >= MAX_BAD_LINES {
                return;
            }
        }
    }

    async fn answer(&self, request: Request) -> Response {
        let Some(entry) = self.registry.get(&self.id) else {
            return Response::Error {
                error: "the container is gone".into(),
            };
        };
        let ai_id = entry.ci_name().to_lowercase();
        match request {
            Request::Chat { content } => Response::Response {
                ai_id,
                content: say(&self.relay, &entry, &content).await.response,
            },
            Request::Ping => Response::Pong {
                ai_id,
                timestamp: seconds(Timestamp::now()),
            },
            Request::Health => Response::HealthResponse {
                ai_id,
                status: Status::from(entry.health().0).as_str().to_owned(),
                component: entry.facts.name.clone(),
                model: format!("{PROVIDER}:{MODEL}"),
                clients: self.clients.load(Ordering::Relaxed),
            },
            Request::Info => Response::InfoResponse {
                ai_id,
                component: entry.facts.name.clone(),
                description: description(&entry),
                model_provider: PROVIDER.to_owned(),
                model_name: MODEL.to_owned(),
                system_prompt: format!(
                    "diogenes {}: answers from what it sees in the container, without a language model",
                    Supervisor::VERSION
                ),
                port: self.port,
            },
            Request::Other(kind) => {
                let kind = diogenes_proto::untrusted::escape(&kind[..kind.floor_char_boundary(64)])
                    .to_string();
                Response::Error {
                    error: format!(
                        "unknown type \"{kind}\": there are chat, ping, health and info"
                    ),
                }
            }
        }
    }
}

/// Whether a line is the first of an HTTP request.
fn is_http(line: &[u8]) -> bool {
    line.windows(6).any(|window| window == b" HTTP/")
}

fn seconds(at: Timestamp) -> f64 {
    Duration::from_millis(at.as_unix_ms()).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    use tokio::net::TcpStream;

    use super::*;
    use crate::fakes::{FakeEngine, running, until};

    struct World {
        registry: Arc<Registry>,
        ports: Arc<Ports>,
        stop: CancellationToken,
    }

    impl World {
        fn start(range: PortRange) -> Self {
            let registry = Arc::new(Registry::default());
            let (ports, stop) = (Arc::new(Ports::default()), CancellationToken::new());
            let specialists = Specialists {
                range,
                registry: registry.clone(),
                relay: Arc::new(Relay::new(
                    Arc::new(FakeEngine::default()),
                    registry.clone(),
                )),
                ports: ports.clone(),
                tasks: TaskTracker::new(),
            };
            tokio::spawn(specialists.run(stop.clone()));
            Self {
                registry,
                ports,
                stop,
            }
        }

        fn add(&self, id: &str, name: &str) {
            self.registry.set_facts(running(id, name, 7));
            self.registry
                .set_verdict(id, crate::attendants::policy::Verdict::Default(true));
        }

        async fn port(&self, id: &str) -> u16 {
            until("it has a port", || self.ports.of(id).is_some()).await;
            self.ports.of(id).unwrap()
        }
    }

    /// Ports that were free a moment ago.
    async fn free(number: u16) -> PortRange {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let first = listener.local_addr().unwrap().port();
            let Some(last) = first.checked_add(number - 1) else {
                continue;
            };
            let mut others = Vec::new();
            for port in first + 1..=last {
                others.extend(TcpListener::bind(("127.0.0.1", port)).await);
            }
            if others.len() + 1 == usize::from(number) {
                return PortRange { first, last };
            }
        }
    }

    /// What is answered to these bytes, line by line, until the connection is closed or so many lines have come.
    async fn told(port: u16, bytes: &[u8], lines: usize) -> Vec<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut reader = BufReader::new(stream).lines();
        let mut told = Vec::new();
        while told.len() < lines
            && let Ok(Some(line)) = reader.next_line().await
        {
            told.push(serde_json::from_str(&line).unwrap());
        }
        told
    }

    #[tokio::test]
    async fn speaks_as_tektons_specialists_do() {
        let world = World::start(free(4).await);
        world.add("c1", "Shop");
        let port = world.port("c1").await;
        let asked = b"{\"type\":\"ping\"}\n{\"type\":\"health\"}\n{\"type\":\"info\"}\n{\"type\":\"chat\",\"content\":\"status\"}\nnonsense\n{\"type\":\"sing\"}\n";
        let told = told(port, asked, 6).await;
        assert_eq!(
            (&told[0]["type"], &told[0]["ai_id"]),
            (&"pong".into(), &"shop-container-ci".into())
        );
        let health = json!({"type": "health_response", "ai_id": "shop-container-ci", "status": "unknown", "component": "Shop", "model": "diogenes:facts", "clients": 1});
        assert_eq!(told[1], health);
        assert_eq!(
            (&told[2]["type"], &told[2]["port"]),
            (&"info_response".into(), &port.into())
        );
        assert_eq!(told[3]["type"], "response");
        assert!(
            told[3]["content"]
                .as_str()
                .unwrap()
                .contains("turn has not come yet"),
            "{}",
            told[3]
        );
        assert_eq!(told[4], json!({"type": "error", "error": "Invalid JSON"}));
        assert!(
            told[5]["error"]
                .as_str()
                .unwrap()
                .contains("unknown type \"sing\"")
        );
    }

    #[tokio::test]
    async fn each_has_a_port_as_long_as_there_are_any_and_frees_it() {
        let range = free(2).await;
        let world = World::start(range);
        world.add("c1", "shop");
        let first = world.port("c1").await;
        assert_eq!(Some(first), candidates("shop", range).next());
        world.add("c2", "shop2");
        let second = world.port("c2").await;
        assert_ne!(first, second);
        world.add("c3", "cafe");
        tokio::time::sleep(3 * PAUSE).await;
        assert_eq!(world.ports.of("c3"), None);
        world.registry.remove("c1");
        assert_eq!(world.port("c3").await, first);
        world.stop.cancel();
        until("all are closed", || {
            std::net::TcpListener::bind(("127.0.0.1", first)).is_ok()
        })
        .await;
    }

    #[tokio::test]
    async fn who_talks_nonsense_or_http_is_hung_up_on() {
        let world = World::start(free(1).await);
        world.add("c1", "shop");
        let port = world.port("c1").await;
        let page =
            b"POST / HTTP/1.1\r\nHost: x\r\n\r\n{\"type\":\"chat\",\"content\":\"status\"}\n";
        assert_eq!(told(port, page, 9).await, [] as [Value; 0]);
        assert_eq!(
            told(port, &b"x\n".repeat(50), 50).await.len(),
            MAX_BAD_LINES
        );
        let endless = told(port, &vec![b'x'; 2 * MAX_LINE_BYTES], 9).await;
        assert!(
            endless[0]["error"].as_str().unwrap().contains("at most"),
            "{endless:?}"
        );
    }

    #[test]
    fn a_name_has_the_same_port_in_every_release() {
        let range = PortRange {
            first: 4200,
            last: 4299,
        };
        let ports: Vec<u16> = candidates("shop", range).collect();
        assert_eq!((ports.len(), ports[0], ports[1]), (100, 4241, 4242));
        let all: std::collections::HashSet<u16> = ports.into_iter().collect();
        assert_eq!(all, (4200..=4299).collect());
        assert_eq!(
            candidates(
                "x",
                PortRange {
                    first: 65535,
                    last: 65535
                }
            )
            .collect::<Vec<_>>(),
            [65535]
        );
    }
}
