//! Being at home in Tekton: what its programs need to know of the companions is kept where they look for it.
//!
//! ```text
//! registry ─┬─► aish ── pipe ─► registrar (a process of Tekton's user) ─► wrapped_cis.json
//!           ├─► hermes ─► Hermes, over HTTP
//!           └─► specialist ─► a port of the loopback for each companion
//! ```
//!
//! Whoever comes by one of these ways may look and ask, and do nothing.

pub(crate) mod aish;
pub(crate) mod hermes;
pub(crate) mod registrar;
pub(crate) mod specialist;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use diogenes_discovery::redact::redact_text;
use diogenes_proto::request::MAX_QUESTION_BYTES;
use diogenes_tekton::aish::Reply;
use tokio::time::timeout;

use crate::api::health::COMPONENT_NAME;
use crate::attendants::policy::Verdict;
use crate::registry::Entry;
use crate::relay::Relay;

/// How long an answer may take before there is none: Tekton's programs wait 30 s, or for ever.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// What a companion says to a message. There is always a reply.
pub(crate) async fn say(relay: &Relay, entry: &Entry, message: &str) -> Reply {
    if message.trim().is_empty() {
        return Reply::new(
            "ask something; the answer to \"what can I ask?\" is all that can be asked",
        );
    }
    if message.len() > MAX_QUESTION_BYTES {
        return Reply::new(&format!(
            "that is too long: a question has at most {MAX_QUESTION_BYTES} bytes"
        ));
    }
    match timeout(ANSWER_DEADLINE, relay.ask(entry, message)).await {
        // Tekton keeps every reply in files: whatever may have slipped through before must not get there.
        Ok(answer) => Reply::new(&redact_text(answer.told().trim_end())),
        Err(_) => Reply::new(&format!(
            "no answer within {} s; ask again later",
            ANSWER_DEADLINE.as_secs()
        )),
    }
}

/// Whether Tekton is told of a container: it is up, and has a companion or is to have one.
pub(crate) fn is_attended(entry: &Entry) -> bool {
    let is_wanted = entry.verdict.as_ref().is_some_and(Verdict::wants);
    entry.facts.state.is_up() && (is_wanted || entry.presence.via().is_some())
}

/// What this supervisor calls itself where it must know its own again after a restart: one run directory of one host.
pub(crate) fn our_name(run_dir: &Path) -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    format!("{COMPONENT_NAME}@{host}:{}", run_dir.display())
}

/// Where a listener is reached from this host.
pub(crate) fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
