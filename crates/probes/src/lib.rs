//! Speak a service's protocol just far enough to know whether it works.
//!
//! A probe is one short conversation over the container's own loopback or a Unix socket. It is polite: it
//! changes nothing, needs no credentials, reads a few KiB at most, is over by its deadline, and chooses the
//! one question of each protocol that leaves no line in the service's error log. "Authentication required"
//! is an answer, so it counts as alive.
//!
//! ```text
//! ProbeSpec ─► connect ─► converse (a script; http, redis, postgresql, discover) ─► ProbeOutcome
//! ```
//!
//! Each protocol is a pure parser of bytes that never panics. Where one question and its answer are all, the rest
//! is data (`script`); the others have a conversation of a few lines. [`run`] puts them together; it never fails:
//! what goes wrong is what it reports.

mod amqp;
mod bytes;
mod certificate;
mod conclusion;
mod connection;
mod conversation;
mod datagrams;
mod discover;
mod dns;
mod fastcgi;
mod greeters;
pub mod greeting;
mod grpc;
pub mod http;
mod kafka;
mod ldap;
mod line;
mod memcached;
mod mongodb;
mod mqtt;
mod mysql;
pub mod postgresql;
mod readiness;
pub mod redis;
mod reply;
mod script;
mod tls;

use std::time::Duration;

use diogenes_proto::{ProbeKind, ProbeOutcome, ProbeSpec, Verdict};
use tokio::time::{Instant, timeout_at};

use conclusion::{Conclusion, millis};
use connection::Connector;
pub use reply::{Answer, Reply};

/// Whether a probe also asks for the version, where that takes a question of its own (Redis' `INFO server`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curiosity {
    /// Only whether it works.
    #[default]
    Health,
    /// Its version too. Meant to be asked once in a service's life.
    HealthAndVersion,
    /// All of that, and by which path an HTTP service tells whether it is ready. Takes a round of requests that the
    /// service may note, so it is for applications only, and once in a service's life.
    Everything,
}

/// What a probe may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for everything: connecting, asking, asking again.
    pub deadline: Duration,
    /// Most bytes read of one answer; what is beyond is not looked at.
    pub read_bytes: usize,
    /// What to ask.
    pub curiosity: Curiosity,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            read_bytes: 8 * 1024,
            curiosity: Curiosity::Health,
        }
    }
}

/// Reads what a service said in answer to the one question of this kind of probe, or unasked; None where there is more
/// to the conversation than that.
#[must_use]
pub fn read(kind: ProbeKind, heard: &[u8]) -> Option<Reply> {
    script::of(kind).map(|script| script.read(heard))
}

/// Runs one probe. Must be called within a tokio runtime that has I/O and time enabled; dropping the future
/// closes the connection.
pub async fn run(spec: &ProbeSpec, limits: Limits) -> ProbeOutcome {
    let started = Instant::now();
    let connector = Connector {
        target: &spec.target,
        until: started + limits.deadline,
        patience: limits.deadline,
        read_bytes: limits.read_bytes,
    };
    let conversation = async {
        match spec.kind {
            ProbeKind::Http => {
                let path = spec.path.as_deref();
                http::converse(&connector, path, spec.expected, limits.curiosity).await
            }
            ProbeKind::Redis => redis::converse(&connector, limits.curiosity).await,
            ProbeKind::Postgresql => postgresql::converse(&connector).await,
            ProbeKind::Memcached => memcached::converse(&connector).await,
            ProbeKind::Discover => discover::converse(&connector).await,
            kind => match script::of(kind) {
                Some(script) => script::converse(&connector, script).await,
                // Tcp: all that has no script and is none of these.
                None => connector.connect().await.map(|_| Conclusion::connects()),
            },
        }
    };
    // The conversations keep the deadline themselves and know what they waited for; this is the net below.
    let concluded = timeout_at(connector.until, conversation).await;
    let conclusion = match concluded {
        Ok(Ok(conclusion) | Err(conclusion)) => conclusion,
        Err(_elapsed) => Conclusion::new(
            Verdict::Silent,
            format!("no answer in {}", millis(limits.deadline)),
        ),
    };
    conclusion.into_outcome(started)
}
