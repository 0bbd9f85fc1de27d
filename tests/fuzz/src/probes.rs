//! What a service answers to a probe, over a real socket.
//!
//! The parts of the input are what the peer says: the first as its greeting or its first answer, the second as
//! its answer to a Redis prober's second question. Then it closes. Every kind of probe has to make sense of it.

use std::cell::RefCell;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
use std::time::Duration;

use diogenes_probes::http::{
    StatusLine, header, is_http2, is_tls, parse_product, parse_status_line,
};
use diogenes_probes::redis::{self, Reply, info_field};
use diogenes_probes::{self as probes, Curiosity, Limits, greeting, postgresql, run};
use diogenes_proto::line::encode;
use diogenes_proto::{Message, ProbeKind, ProbeOutcome, ProbeSpec, ProbeTarget, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};

use crate::parts;

/// Longer than any machine stalls: a peer that answers and closes is never silent.
const DEADLINE: Duration = Duration::from_secs(60);
/// Most bytes of the input that are tried as a beginning.
const BEGINNINGS: usize = 64;

/// The probes that have more to say than one question.
const CONVERSATIONS: [ProbeKind; 4] = [
    ProbeKind::Http,
    ProbeKind::Redis,
    ProbeKind::Postgresql,
    ProbeKind::Discover,
];
/// The probes of services that are asked.
const QUESTIONS: [ProbeKind; 11] = [
    ProbeKind::Tls,
    ProbeKind::Fastcgi,
    ProbeKind::Memcached,
    ProbeKind::Mongodb,
    ProbeKind::Amqp,
    ProbeKind::Mqtt,
    ProbeKind::Kafka,
    ProbeKind::Zookeeper,
    ProbeKind::Dns,
    ProbeKind::Ldap,
    ProbeKind::Grpc,
];
/// The probes of services that speak first.
const GREETINGS: [ProbeKind; 7] = [
    ProbeKind::Mysql,
    ProbeKind::Nats,
    ProbeKind::Smtp,
    ProbeKind::Imap,
    ProbeKind::Pop3,
    ProbeKind::Ssh,
    ProbeKind::Ftp,
];

fn kinds() -> impl Iterator<Item = ProbeKind> {
    let scripts = QUESTIONS.into_iter().chain(GREETINGS);
    CONVERSATIONS.into_iter().chain(scripts)
}

/// See the module.
pub fn check(input: &[u8]) {
    parsers(input);
    thread_local!(static PEER: RefCell<Peer> = RefCell::new(Peer::new()));
    let parts = parts::of(input);
    PEER.with_borrow_mut(|peer| {
        for kind in kinds() {
            let spec = ProbeSpec::new(kind, peer.target.clone());
            concluded(kind, parts[0], &peer.probed(&spec, &parts));
        }
        let spec = ProbeSpec {
            path: Some("/ready".to_owned()),
            ..ProbeSpec::new(ProbeKind::Http, peer.target.clone())
        };
        concluded(spec.kind, parts[0], &peer.probed(&spec, &parts));
    });
}

/// What can be told from the beginning of an answer stays true of the whole.
fn parsers(bytes: &[u8]) {
    let status = parse_status_line(bytes);
    let reply = redis::parse_reply(bytes);
    let error = postgresql::parse_reply(bytes);
    for cut in 0..bytes.len().min(BEGINNINGS) {
        let beginning = &bytes[..cut];
        let early = parse_status_line(beginning);
        assert!(early == StatusLine::Incomplete || early == status);
        let early = redis::parse_reply(beginning);
        assert!(early == Reply::Incomplete || early == reply);
        let early = postgresql::parse_reply(beginning);
        if bytes.starts_with(b"E") {
            assert!(early == postgresql::Reply::Incomplete || early == error);
        }
    }
    for kind in kinds() {
        let Some(whole) = probes::read(kind, bytes) else {
            continue;
        };
        for cut in 0..bytes.len().min(BEGINNINGS) {
            let early = probes::read(kind, &bytes[..cut]);
            assert!(
                early == Some(probes::Reply::Incomplete) || early.as_ref() == Some(&whole),
                "{kind:?}: {early:?} became {whole:?}"
            );
        }
    }
    if let Some(value) = header(bytes, "server") {
        assert!(!value.contains(&b'\n'));
        if let Some((product, version)) = parse_product(value) {
            assert!(!product.is_empty() && version.is_none_or(|version| !version.is_empty()));
        }
    }
    if let Some(value) = info_field(bytes, "redis_version") {
        assert!(!value.is_empty() && !value.contains(&b'\n'));
    }
    if let postgresql::Reply::Error(error) = &error {
        assert!(error.sqlstate.chars().count() <= 5);
    }
    let found = greeting::find(bytes, greeting::PROTESTS);
    assert!(found.is_none_or(is_word));
}

/// What a probe may say of a peer that says `words` at once.
fn concluded(kind: ProbeKind, words: &[u8], outcome: &ProbeOutcome) {
    use Verdict::{Alive, Failing, Garbled, Starting};
    let told = &outcome.evidence;
    assert!(
        matches!(outcome.verdict, Alive | Starting | Failing | Garbled),
        "{told}"
    );
    assert!(!told.is_empty() && told.to_string().len() < 4096);
    assert!(told.lines().count() == 1, "{told}");
    assert!(outcome.protocol.as_deref().is_none_or(is_word));
    assert_eq!(
        outcome.verdict == Garbled,
        outcome.protocol.is_none(),
        "{told}"
    );
    assert!(
        outcome
            .version
            .as_ref()
            .is_none_or(|version| !version.is_empty())
    );
    let is_http = matches!(parse_status_line(words), StatusLine::Status(_));
    let alive = outcome.verdict == Alive;
    match kind {
        ProbeKind::Http if alive => assert!(is_http || is_tls(words) || is_http2(words), "{told}"),
        ProbeKind::Redis if alive => {
            assert!(words.starts_with(b"+PONG") || words.starts_with(b"-"))
        }
        ProbeKind::Postgresql if alive => {
            assert!(matches!(words, [b'G' | b'N' | b'S'] | [b'E', ..]))
        }
        ProbeKind::Discover => assert!(alive, "{told}"),
        kind if outcome.verdict != Garbled => {
            let read = probes::read(kind, words);
            let is_answer = |reply| matches!(reply, probes::Reply::Answer(_));
            assert!(read.is_none_or(is_answer), "{told}");
        }
        _ => {}
    }
    let message = Message::Probe {
        service: "service:1".to_owned(),
        outcome: outcome.clone(),
    };
    encode(Some(u64::MAX), &message).expect("an outcome fits a line");
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// The other side of a probe.
struct Peer {
    runtime: Runtime,
    listener: UnixListener,
    target: ProbeTarget,
}

impl Peer {
    /// Listens at an abstract name of its own.
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let thread = format!("{:?}", std::thread::current().id());
        let name = format!("diogenes-fuzz-{}-{thread}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let listener = StdListener::bind_addr(&address).expect("a name of our own");
        listener
            .set_nonblocking(true)
            .expect("a socket that need not block");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::from_std(listener).expect("a socket in the runtime")
        };
        Self {
            runtime,
            listener,
            target: ProbeTarget::Unix(format!("@{name}").into()),
        }
    }

    fn probed(&self, spec: &ProbeSpec, parts: &[&[u8]]) -> ProbeOutcome {
        let limits = Limits {
            deadline: DEADLINE,
            curiosity: Curiosity::Everything,
            ..Limits::default()
        };
        self.runtime.block_on(async {
            tokio::select! {
                outcome = run(spec, limits) => outcome,
                () = self.serve(spec.kind, parts) => unreachable!("it serves until the probe is done"),
            }
        })
    }

    async fn serve(&self, kind: ProbeKind, parts: &[&[u8]]) {
        // Who is understood at once is asked nothing more, and whoever waits for a question would wait for ever.
        let asks_twice = kind == ProbeKind::Redis && redis::parse_reply(parts[0]) == Reply::Pong;
        let said = &parts[..parts.len().min(1 + usize::from(asks_twice))];
        let greets = kind == ProbeKind::Discover || GREETINGS.contains(&kind);
        loop {
            let (stream, _) = self.listener.accept().await.expect("a connection");
            speak(stream, said, greets).await;
        }
    }
}

/// A prober that has heard enough leaves at any point, which is no failure.
async fn speak(mut stream: UnixStream, said: &[&[u8]], greets: bool) {
    let mut question = [0; 1024];
    for part in said {
        if !greets && !matches!(stream.read(&mut question).await, Ok(1..)) {
            return;
        }
        if stream.write_all(part).await.is_err() {
            return;
        }
    }
    if stream.shutdown().await.is_ok() {
        while matches!(stream.read(&mut question).await, Ok(1..)) {}
    }
}
