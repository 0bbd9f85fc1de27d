//! An unknown listener: what does it speak?
//!
//! First its greeting is waited for, briefly: SSH, mail, MySQL and others speak unasked. A silent one gets
//! one HTTP request. It is an HTTP/1.0 one without any header on purpose: every HTTP server answers it, and
//! a Redis in disguise complains about an unknown command only, where a `Host:` line would make it log
//! "Possible SECURITY ATTACK detected". What answers neither is `tcp`: it takes connections.

use std::time::Duration;

use diogenes_proto::Verdict;
use tokio::time::Instant;

use crate::conclusion::{Conclusion, quote};
use crate::connection::Connector;
use crate::conversation::Heard;
use crate::{greeting, http};

/// How long a greeting is waited for: servers that greet do so at once.
const GREETING_WAIT: Duration = Duration::from_millis(300);
/// How long the answer to the HTTP request is waited for. What needs longer shows itself as `tcp`.
const ANSWER_WAIT: Duration = Duration::from_millis(1000);

const REQUEST: &[u8] = b"HEAD / HTTP/1.0\r\n\r\n";

pub(crate) async fn converse(connector: &Connector<'_>) -> Result<Conclusion, Conclusion> {
    let mut peer = connector.connect().await?;
    let heard = peer
        .listen_until(Instant::now() + GREETING_WAIT, |bytes| {
            bytes.contains(&b'\n') || greeting::parse(bytes).is_some()
        })
        .await;
    if !peer.heard().is_empty() {
        return Ok(greeted(peer.heard()));
    }
    if heard == Heard::Closed {
        return Ok(unknown("closes connections at once"));
    }
    peer.ask(REQUEST).await;
    peer.listen_until(Instant::now() + ANSWER_WAIT, |bytes| {
        http::is_enough(bytes) && bytes.contains(&b'\n')
    })
    .await;
    let words = peer.heard();
    if let Some(conclusion) = http::conclude(words) {
        return Ok(conclusion);
    }
    if let Some(protocol) = greeting::find(words, greeting::PROTESTS) {
        let mut conclusion = Conclusion::answered(
            Verdict::Alive,
            format!("speaks {protocol}: {}", quote(words)),
        );
        conclusion.protocol = Some(protocol);
        return Ok(conclusion);
    }
    Ok(if words.is_empty() {
        unknown("connects; it says nothing that tells what it is")
    } else {
        unknown(&format!(
            "answers, in a protocol that is not known: {}",
            quote(words)
        ))
    })
}

fn greeted(words: &[u8]) -> Conclusion {
    let Some(greeting) = greeting::parse(words) else {
        return unknown(&format!(
            "greets, in a protocol that is not known: {}",
            quote(words)
        ));
    };
    let protocol = greeting.protocol;
    // A MySQL handshake is binary: its version says more than its bytes.
    let evidence = match (&greeting.version, words.iter().take(9).all(|b| *b >= b' ')) {
        (_, true) => format!("greets: {}", quote(words)),
        (Some(version), false) => format!("greets as {protocol} {version:.60}"),
        (None, false) => format!("greets as {protocol}"),
    };
    let mut conclusion = Conclusion::answered(Verdict::Alive, evidence);
    conclusion.protocol = Some(protocol);
    conclusion.version = greeting.version;
    conclusion
}

fn unknown(evidence: &str) -> Conclusion {
    let mut conclusion = Conclusion::new(Verdict::Alive, evidence);
    conclusion.protocol = Some("tcp");
    conclusion
}
