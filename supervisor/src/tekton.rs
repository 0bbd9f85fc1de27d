//! At home in Tekton: what its programs are told of the containers, each by a task of its own.

pub(crate) mod hermes;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::registry::Entry;

/// Whether Tekton is told of a container: it is up, and has a companion or is to have one.
pub(crate) fn is_attended(entry: &Entry) -> bool {
    let is_wanted = entry
        .verdict
        .as_ref()
        .is_some_and(|verdict| verdict.wants());
    entry.facts.state.is_up() && (is_wanted || entry.presence.via().is_some())
}

/// Where a program of this host finds our HTTP.
pub(crate) fn base_url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}
