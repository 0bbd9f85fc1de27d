//! What is known of one container's services and their listeners, as samples.
//!
//! Names, versions, paths and how many there are is for the container to say, so each is bounded here: texts are
//! made harmless and cut, the first so many have series, and what is left out is counted.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use diogenes_proto::{Health, Listener, Report, Service, Transport, Untrusted};

use crate::api::metrics::containers::HEALTHS;
use crate::api::metrics::exposition::{Samples, cut};
use crate::api::metrics::table::Id;
use crate::api::metrics::value::{count, moment, seconds, whole};
use crate::registry::Entry;

/// Services of one container that have series: the most important ones.
pub(crate) const MAX_SERVICES: usize = 64;
/// Addresses of one container whose accept queues have series, of all its services together.
pub(crate) const MAX_LISTENERS: usize = 64;

/// Writes the services of a container's last report. Where its companion has fallen silent since, they are still
/// there, and nothing more is known of them.
pub(crate) fn write(samples: &mut Samples, name: &str, entry: &Entry, report: &Report) {
    let mut taken = HashSet::new();
    let told = report
        .services
        .iter()
        .filter(|service| taken.len() < MAX_SERVICES && taken.insert(cut(&service.key)));
    let told: Vec<&Service> = told.collect();
    let speaks = entry.spoken().is_some();
    for service in &told {
        let at = [name, &service.key];
        let [_, key] = at;
        let text = |text: Option<&Untrusted>| text.map(Untrusted::to_string).unwrap_or_default();
        let (title, version) = (text(Some(&service.name)), text(service.version.as_ref()));
        let role = service.role.as_deref().unwrap_or_default();
        let what = [name, key, &title, &service.kind, role, &version];
        samples.add(Id::ServiceInfo, &what, 1.0);
        let (health, since) = if speaks {
            (service.health, service.since)
        } else {
            entry.health()
        };
        samples.add_states(
            Id::ServiceHealth,
            &at,
            HEALTHS.map(Health::as_str),
            health.as_str(),
        );
        samples.add(Id::ServiceHealthSince, &at, moment(since));
        if let Some(probes) = service.probes.filter(|_| speaks) {
            samples.add(Id::ServiceProbes, &at, whole(probes.run));
            samples.add(Id::ServiceProbeFailures, &at, whole(probes.failed));
            samples.add(Id::ServiceProbeTime, &at, seconds(probes.total_us));
            samples.add(Id::ServiceProbeLast, &at, seconds(probes.last_us));
        }
    }
    if speaks {
        let omitted_listeners = listeners(samples, name, report, &told);
        let omitted = [
            ("services", count(report.services.len() - told.len())),
            ("listeners", count(omitted_listeners)),
            ("report_items", f64::from(report.omitted)),
        ];
        for (what, omitted) in omitted {
            samples.add(Id::ContainerOmitted, &[name, what], omitted);
        }
    }
}

/// The accept queue of one address.
struct Queue<'a> {
    service: &'a str,
    transport: &'static str,
    address: String,
    waiting: u32,
    limit: u32,
}

/// Writes a container's listeners; tells how many addresses were left out.
fn listeners(samples: &mut Samples, name: &str, report: &Report, told: &[&Service]) -> usize {
    let all = report
        .services
        .iter()
        .map(|service| service.listeners.len());
    samples.add(Id::ContainerListeners, &[name], count(all.sum()));

    let mut queues: Vec<Queue<'_>> = Vec::new();
    let mut places: HashMap<(&str, &str, String), usize> = HashMap::new();
    for service in told {
        for queue in service
            .listeners
            .iter()
            .filter_map(|listener| queue(service, listener))
        {
            let place = (queue.service, queue.transport, queue.address.clone());
            let place = *places.entry(place).or_insert(queues.len());
            match queues.get_mut(place) {
                None => queues.push(queue),
                // Several sockets may share an address (SO_REUSEPORT), each with a queue of its own: one that is
                // full turns people away, however empty the others are.
                Some(known) if queue.share() > known.share() => *known = queue,
                Some(_) => {}
            }
        }
    }
    for queue in queues.iter().take(MAX_LISTENERS) {
        let at = [name, queue.service, queue.transport, &queue.address];
        samples.add(Id::AcceptQueue, &at, f64::from(queue.waiting));
        samples.add(Id::AcceptQueueLimit, &at, f64::from(queue.limit));
    }
    queues.len().saturating_sub(MAX_LISTENERS)
}

/// The accept queue of a listener; None where it has none, or it is not known.
fn queue<'a>(service: &'a Service, listener: &Listener) -> Option<Queue<'a>> {
    let transport = match listener.transport {
        Transport::Tcp => "tcp",
        Transport::Unix => "unix",
        Transport::Udp => return None,
    };
    let address = match (listener.address, listener.port, &listener.path) {
        (Some(ip), Some(port), _) => SocketAddr::new(ip, port).to_string(),
        (_, _, Some(path)) => path.to_string(),
        _ => String::new(),
    };
    Some(Queue {
        service: cut(&service.key),
        transport,
        address: cut(&address).to_owned(),
        waiting: listener.accept_queue?,
        limit: listener.backlog?,
    })
}

impl Queue<'_> {
    /// How full it is; a queue without room is full with the first that waits.
    fn share(&self) -> f64 {
        f64::from(self.waiting) / f64::from(self.limit.max(1))
    }
}
