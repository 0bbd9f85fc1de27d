//! Being at home in Tekton: what its programs need to know of the companions is kept where they look for it.
//!
//! ```text
//! registry ─┬─► aish ── pipe ─► registrar (a process of Tekton's user) ─► wrapped_cis.json
//!           └─► hermes ─► Hermes, over HTTP
//! ```

pub(crate) mod aish;
pub(crate) mod hermes;
pub(crate) mod registrar;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::attendants::policy::Verdict;
use crate::registry::Entry;

/// Whether Tekton is told of a container: it is up, and has a companion or is to have one.
pub(crate) fn is_attended(entry: &Entry) -> bool {
    let is_wanted = entry.verdict.as_ref().is_some_and(Verdict::wants);
    entry.facts.state.is_up() && (is_wanted || entry.presence.via().is_some())
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
