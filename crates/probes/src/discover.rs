//! An unknown listener: what does it speak?
//!
//! ```text
//! what its port is known for ─► a greeting, else one HTTP request ─► closed: TLS? silent: DNS?
//!        connection 1                    connection 2                    connection 3
//! ```
//!
//! A listener on a well-known port is asked in the protocol of that port first; whatever it answers may tell more.
//! Then its greeting is waited for, briefly: SSH, mail, MySQL and others speak unasked. A silent one gets one HTTP
//! request. It is an HTTP/1.0 one without any header on purpose: every HTTP server answers it, and a Redis in
//! disguise complains about an unknown command only, where a `Host:` line would make it log "Possible SECURITY
//! ATTACK detected". Who finds that bad is asked once more with all headers. Who closes at that, or finds the request bad, may want TLS; who goes on waiting takes it for the
//! length of something, as DNS does. Over UDP nothing but what its port is known for is asked. What answers to nothing is `tcp`: it takes connections. What speaks a binary
//! protocol at a port that it is not known for stays `tcp`, too: to try them all would fill its log.

use std::time::Duration;

use diogenes_proto::{ProbeKind, ProbeTarget, Verdict};
use tokio::time::Instant;

use crate::conclusion::{Conclusion, quote};
use crate::connection::Connector;
use crate::conversation::Heard;
use crate::http::{self, StatusLine, parse_status_line};
use crate::{Curiosity, greeting, postgresql, redis, script};

/// How long an answer is waited for. What needs longer shows itself as `tcp`.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
/// How long a greeting is waited for: servers that greet do so at once.
const GREETING_WAIT: Duration = Duration::from_millis(300);

const REQUEST: &[u8] = b"HEAD / HTTP/1.0\r\n\r\n";

/// What ports are known for: IANA's registry, and what servers use by default. Those of plain HTTP are not among them,
/// for that is asked anyway.
const PORTS: &[(&[u16], ProbeKind)] = &[
    (&[21], ProbeKind::Ftp),
    (&[22], ProbeKind::Ssh),
    (&[25, 587], ProbeKind::Smtp),
    (&[53], ProbeKind::Dns),
    (&[110], ProbeKind::Pop3),
    (&[143], ProbeKind::Imap),
    (&[389], ProbeKind::Ldap),
    (
        &[443, 465, 636, 853, 990, 993, 995, 5671, 6443, 8443, 8883],
        ProbeKind::Tls,
    ),
    (&[1883], ProbeKind::Mqtt),
    (&[2181], ProbeKind::Zookeeper),
    (&[3306], ProbeKind::Mysql),
    (&[4222], ProbeKind::Nats),
    (&[5432], ProbeKind::Postgresql),
    (&[5672], ProbeKind::Amqp),
    (&[6379], ProbeKind::Redis),
    (&[9000], ProbeKind::Fastcgi),
    (&[9092], ProbeKind::Kafka),
    (&[11211], ProbeKind::Memcached),
    (&[27017], ProbeKind::Mongodb),
];

fn known_for(target: &ProbeTarget) -> Option<ProbeKind> {
    let (ProbeTarget::Tcp(address) | ProbeTarget::Udp(address)) = target else {
        return None;
    };
    let known = |(ports, _): &&(&[u16], ProbeKind)| ports.contains(&address.port());
    PORTS.iter().find(known).map(|&(_, kind)| kind)
}

pub(crate) async fn converse(connector: &Connector<'_>) -> Result<Conclusion, Conclusion> {
    if let Some(kind) = known_for(connector.target)
        && let Some(conclusion) = speaks(connector, kind).await
    {
        return Ok(conclusion);
    }
    if let ProbeTarget::Udp(_) = connector.target {
        let evidence = "answers nothing that tells what it is";
        return Ok(Conclusion::new(Verdict::Garbled, evidence));
    }
    let mut peer = connector.connect().await?;
    let heard = peer
        .listen_until(Instant::now() + GREETING_WAIT, greeting::is_enough)
        .await;
    if !peer.heard().is_empty() {
        if http::is_http2(peer.heard())
            && let Some(conclusion) = speaks(connector, ProbeKind::Grpc).await
        {
            return Ok(conclusion);
        }
        return Ok(greeted(peer.heard()));
    }
    if heard == Heard::Closed {
        return Ok(unknown("closes connections at once"));
    }
    let asked = Instant::now();
    peer.ask(REQUEST).await;
    let heard = peer
        .listen_until(Instant::now() + ANSWER_WAIT, |bytes| {
            http::is_enough(bytes) && bytes.contains(&b'\n')
        })
        .await;
    let took = asked.elapsed();
    let words = peer.heard();
    let answer = understood(words).map(|mut answer| {
        answer.took = Some(took);
        answer
    });
    let is_bad = parse_status_line(words) == StatusLine::Status(400);
    if is_bad && let Some(conclusion) = answers_a_whole_request(connector).await {
        return Ok(conclusion);
    }
    let next = match (heard, &answer) {
        // "The plain HTTP request was sent to HTTPS port", and the like.
        _ if is_bad => Some(ProbeKind::Tls),
        _ if http::is_http2(words) => Some(ProbeKind::Grpc),
        (Heard::Closed, None) if words.is_empty() => Some(ProbeKind::Tls),
        (Heard::Nothing, None) if words.is_empty() => Some(ProbeKind::Dns),
        _ => None,
    };
    if let Some(kind) = next
        && let Some(conclusion) = speaks(connector, kind).await
    {
        return Ok(conclusion);
    }
    Ok(answer.unwrap_or_else(|| {
        if words.is_empty() {
            unknown("connects; it says nothing that tells what it is")
        } else {
            unknown(&format!(
                "answers, in a protocol that is not known: {}",
                quote(words)
            ))
        }
    }))
}

/// Asks in one protocol; None where the answer is none, whatever that may mean.
async fn speaks(connector: &Connector<'_>, kind: ProbeKind) -> Option<Conclusion> {
    let connector = connector.within(ANSWER_WAIT);
    let attempt = match (kind, script::of(kind)) {
        (_, Some(script)) => script::converse(&connector, script).await,
        (ProbeKind::Redis, _) => redis::converse(&connector, Curiosity::HealthAndVersion).await,
        (ProbeKind::Postgresql, _) => postgresql::converse(&connector).await,
        _ => return None,
    };
    attempt.ok()
}

/// Asks again with all headers, for some find a request without `Host` bad; None where that is bad too.
async fn answers_a_whole_request(connector: &Connector<'_>) -> Option<Conclusion> {
    let mut peer = connector.connect().await.ok()?;
    let asked = Instant::now();
    peer.ask(http::request("HEAD", "/", "close").as_bytes())
        .await;
    peer.listen_until(asked + ANSWER_WAIT, http::is_enough)
        .await;
    let is_bad = parse_status_line(peer.heard()) == StatusLine::Status(400);
    let mut answer = http::conclude(peer.heard()).filter(|_| !is_bad)?;
    answer.took = Some(asked.elapsed());
    Some(answer)
}

/// What an answer to an HTTP request tells; None where it is not known.
fn understood(words: &[u8]) -> Option<Conclusion> {
    http::conclude(words).or_else(|| {
        let protocol = greeting::find(words, greeting::PROTESTS)?;
        let answer = Conclusion::answered(Verdict::Alive, format!("speaks {protocol}"));
        Some(answer.saying(words).in_protocol(protocol))
    })
}

fn greeted(words: &[u8]) -> Conclusion {
    let Some(protocol) = greeting::protocol(words) else {
        return unknown(&format!(
            "greets, in a protocol that is not known: {}",
            quote(words)
        ));
    };
    let script = ProbeKind::speaking(protocol).and_then(script::of);
    script
        .and_then(|script| script::conclude(script, words))
        .unwrap_or_else(|| {
            Conclusion::answered(Verdict::Alive, "greets")
                .saying(words)
                .in_protocol(protocol)
        })
}

fn unknown(evidence: &str) -> Conclusion {
    Conclusion::new(Verdict::Alive, evidence).in_protocol("tcp")
}
