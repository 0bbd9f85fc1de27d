//! Where a service can be probed from inside the container.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use diogenes_proto::{Listener, ProbeTarget, Transport, Untrusted};

use crate::order::sort_by_key;

/// Most ways that are tried for one service.
const MAX_TARGETS: usize = 4;

/// A service's addresses for probing, the likeliest to work first: its usual port, then those that are open to
/// others, for what only listens on loopback is often there to shut it down or to look inside. A wildcard address becomes loopback: for
/// `::` both loopbacks, as a snapshot does not tell a dual-stack socket (which 127.0.0.1 reaches, also where
/// the container has no IPv6) from an IPv6-only one.
pub(crate) fn targets(listeners: &[Listener], port: Option<u16>, unix: bool) -> Vec<ProbeTarget> {
    let mut targets = addresses(listeners, Transport::Tcp, port);
    targets.truncate(MAX_TARGETS);
    let mut targets: Vec<ProbeTarget> = targets.into_iter().map(ProbeTarget::Tcp).collect();
    if unix {
        let paths = listeners.iter().filter(|l| l.transport == Transport::Unix);
        targets.extend(
            paths
                .flat_map(unix_paths)
                .take(MAX_TARGETS)
                .map(ProbeTarget::Unix),
        );
    }
    targets.truncate(MAX_TARGETS);
    targets
}

/// The same for what listens on UDP alone: of this port only, for any other may be a client's.
pub(crate) fn datagram_targets(listeners: &[Listener], port: u16) -> Vec<ProbeTarget> {
    let mut targets = addresses(listeners, Transport::Udp, Some(port));
    targets.retain(|address| address.port() == port);
    targets.truncate(MAX_TARGETS);
    targets.into_iter().map(ProbeTarget::Udp).collect()
}

/// The addresses on which a service listens in this way, as they can be reached.
fn addresses(listeners: &[Listener], transport: Transport, port: Option<u16>) -> Vec<SocketAddr> {
    let mut bound: Vec<(u16, IpAddr)> = listeners
        .iter()
        .filter(|l| l.transport == transport)
        .filter_map(|l| Some((l.port?, l.address?)))
        .collect();
    sort_by_key(&mut bound, |&(p, address)| {
        (
            Some(p) != port,
            address.is_loopback(),
            p,
            address.is_ipv6(),
            !address.is_unspecified(),
        )
    });
    let mut reached = Vec::new();
    for &(port, address) in &bound {
        let loopback_v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let loopback_v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        let addresses = match address {
            IpAddr::V4(v4) if v4.is_unspecified() => vec![loopback_v4],
            IpAddr::V6(v6) if v6.is_unspecified() => vec![loopback_v4, loopback_v6],
            concrete => vec![concrete],
        };
        for address in addresses {
            let address = SocketAddr::new(address, port);
            if !reached.contains(&address) {
                reached.push(address);
            }
        }
        if reached.len() >= MAX_TARGETS {
            break;
        }
    }
    reached
}

/// Where a Unix socket is: under the path that the kernel has of it, or, where that ends with its owner's pid, first
/// without. Supervisor binds such a path and renames it (supervisor/http.py); the kernel keeps the first name.
fn unix_paths(listener: &Listener) -> Vec<Untrusted> {
    let Some(path) = &listener.path else {
        return Vec::new();
    };
    let renamed = path.as_raw().rsplit_once('.').filter(|(_, end)| {
        end.parse()
            .is_ok_and(|pid: u32| listener.owners.contains(&pid))
    });
    let renamed = renamed.map(|(before, _)| Untrusted::from(before));
    renamed.into_iter().chain([path.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str, port: u16) -> Listener {
        Listener {
            address: Some(address.parse().unwrap()),
            port: Some(port),
            ..Listener::default()
        }
    }

    #[test]
    fn the_likeliest_first() {
        let socket = Listener {
            transport: Transport::Unix,
            path: Some("/run/x.sock".into()),
            ..Listener::default()
        };
        let renamed = Listener {
            path: Some("/run/supervisor.sock.8".into()),
            owners: vec![8],
            ..socket.clone()
        };
        for (listeners, port, expected) in [
            (
                vec![renamed],
                None,
                vec!["/run/supervisor.sock", "/run/supervisor.sock.8"],
            ),
            (vec![tcp("0.0.0.0", 80)], None, vec!["127.0.0.1:80"]),
            (vec![tcp("::", 80)], None, vec!["127.0.0.1:80", "[::1]:80"]),
            (
                vec![tcp("::", 80), tcp("0.0.0.0", 80)],
                None,
                vec!["127.0.0.1:80", "[::1]:80"],
            ),
            (vec![tcp("172.17.0.2", 80)], None, vec!["172.17.0.2:80"]),
            (
                vec![tcp("0.0.0.0", 80), tcp("0.0.0.0", 8000)],
                Some(8000),
                vec!["127.0.0.1:8000", "127.0.0.1:80"],
            ),
            // Tomcat with a connector of its own, and its shutdown port.
            (
                vec![tcp("127.0.0.1", 8005), tcp("::", 8081)],
                Some(8080),
                vec!["127.0.0.1:8081", "[::1]:8081", "127.0.0.1:8005"],
            ),
            (
                vec![socket.clone(), tcp("127.0.0.1", 1)],
                None,
                vec!["127.0.0.1:1", "/run/x.sock"],
            ),
            (vec![socket], None, vec!["/run/x.sock"]),
            (vec![], None, vec![]),
        ] {
            let found: Vec<String> = targets(&listeners, port, true)
                .into_iter()
                .map(|target| match target {
                    ProbeTarget::Tcp(address) | ProbeTarget::Udp(address) => address.to_string(),
                    ProbeTarget::Unix(path) => path.to_string(),
                })
                .collect();
            assert_eq!(found, expected);
        }
    }
}
