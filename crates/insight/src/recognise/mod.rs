//! Processes and listeners joined into services.
//!
//! ```text
//! Process ─► claim (which kind do its marks say?) ─┐
//! Process ─► family (which belong together?) ──────┼─► Recognised
//! Listener ─► owners ──────────────────────────────┘
//! ```
//!
//! A service is a family of processes that is of a known kind, listens on TCP, or has another door that stays: a UDP
//! port, a Unix socket where services keep theirs. Evidence must agree: an
//! executable of a known name counts where it listens or has given itself its kind's title, as a sleeping
//! `postgres` does not; a script named `nginx` is a script. What the socket answers is heard later, and may
//! contradict the claim (`Recognised::contradict`).

mod claim;
mod family;
pub(crate) mod origin;
mod target;

use std::collections::BTreeSet;
use std::time::Duration;

use diogenes_proto::{
    Listener, ProbeKind, ProbeSpec, Process, Snapshot, Timestamp, Transport, Untrusted,
};

use crate::catalogue::{Kind, Layer};
use crate::order::{sort_by, sort_by_key};
use crate::own_words::{Asked, Own, OwnWords};
use crate::program::{Program, application, basename};
use crate::words::{port_words, sentence};
use family::Family;
pub(crate) use target::{datagram_targets, targets};

/// Most services of one container that are looked after; the rest is counted.
pub const MAX_SERVICES: usize = 128;

/// UDP ports from here on are usually a client's, given out by the kernel (`ip_local_port_range`, ip(7)).
const EPHEMERAL_PORTS: u16 = 32_768;

/// A stranger that has lived for so long stays: its door is a service's. A client may have such a one for a moment.
const STAYS: Duration = Duration::from_secs(10);

/// Where name servers are asked (RFC 1035 §4.2): what listens there over UDP alone is a service too.
const DNS_PORT: u16 = 53;

/// What a web server is that stands before another.
pub(crate) const FRONT_ROLE: &str = "proxy";

/// A service as a snapshot shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    /// Its name among the container's services: kind and port (`redis:6379`), unique, the same after a restart.
    pub key: String,
    /// For people: `Redis`, `server.py`.
    pub name: Untrusted,
    /// The entry in the catalogue; None for what is known only by its process.
    pub entry: Option<&'static Kind>,
    /// `redis`, or `tcp`, `udp`, `unix` and `process` where there is no entry.
    pub kind: &'static str,
    /// `cache`, `web`, …; None where unknown.
    pub role: Option<&'static str>,
    /// Whether programs of this kind give themselves a title, and none of its processes has: what it answers must
    /// then say what it is.
    pub untitled: bool,
    /// What its files tell of its version.
    pub version: Option<Untrusted>,
    /// TCP and UDP ports, ascending.
    pub ports: Vec<u16>,
    /// Its listening sockets.
    pub listeners: Vec<Listener>,
    /// Its processes, the main one first; empty where they could not be seen.
    pub pids: Vec<u32>,
    /// When its main process started; None where it could not be seen.
    pub started_at: Option<Timestamp>,
    /// What its main process runs, by which it is known again after a restart.
    pub program: Untrusted,
    /// The path of what its main process executes; None where that could not be read.
    pub executable: Option<Untrusted>,
    /// Its main process lets nobody look into it: neither what it executes could be read, nor what it holds open.
    pub is_closed: bool,
    /// Whether it was started into a running container (`docker exec`), and may leave it as it came.
    pub visitor: bool,
    /// How it may be probed, the best way first; empty where there is no way.
    pub probes: Vec<ProbeSpec>,
    /// What shows that it is what it is.
    pub evidence: Vec<Untrusted>,
    /// What its container says of it.
    pub own: Own,
}

/// Finds the services in a snapshot, those of known kinds first, then by port; at most [`MAX_SERVICES`].
#[must_use]
pub fn recognise(snapshot: &Snapshot) -> Vec<Recognised> {
    recognise_counting(snapshot, &OwnWords::default()).0
}

/// The same, with those that the container itself calls services, and with the number of services beyond
/// [`MAX_SERVICES`].
pub(crate) fn recognise_counting(
    snapshot: &Snapshot,
    words: &OwnWords,
) -> (Vec<Recognised>, usize) {
    let mut services = all(snapshot, words);
    let beyond = services.len().saturating_sub(MAX_SERVICES);
    services.truncate(MAX_SERVICES);
    (services, beyond)
}

fn all(snapshot: &Snapshot, words: &OwnWords) -> Vec<Recognised> {
    let is_introduced =
        |process: &Process| words.introduce_any() && words.introduce(&describe_process(process));
    let families = family::families(snapshot, &is_introduced);
    let mut services: Vec<_> = families
        .iter()
        .filter_map(|family| describe(snapshot, family, words))
        .collect();
    services.extend(ownerless(snapshot));
    if services.is_empty() {
        services.extend(main_process(snapshot));
    }
    // Known kinds first, so that a crowd of strangers cannot push them out.
    sort_by(&mut services, |a, b| {
        let rank = |s: &Recognised| (s.entry.is_none(), s.ports.first().copied(), s.started_at);
        rank(a).cmp(&rank(b)).then_with(|| a.pids.cmp(&b.pids))
    });
    settle_roles(&mut services);
    make_unique(&mut services);
    services
}

/// A family as a service; None where it is none.
fn describe(snapshot: &Snapshot, family: &Family<'_>, words: &OwnWords) -> Option<Recognised> {
    let main = *family.processes.first()?;
    let listeners: Vec<Listener> = family
        .listeners
        .iter()
        .map(|&index| snapshot.listeners[index].clone())
        .collect();
    // Any UDP socket may be a client's, but for one on the very port that the kind is known for.
    let known_port = family.claim.and_then(|claim| claim.default_port);
    let listens = listeners
        .iter()
        .any(|l| l.transport != Transport::Udp || known_port.is_some() && l.port == known_port);
    let listens_tcp = listeners.iter().any(|l| l.transport == Transport::Tcp);
    let listens_dns = listeners.iter().any(|l| l.port == Some(DNS_PORT));
    let entry = claim::of_family(family, listens);
    let mut service = describe_process(main);
    let is_introduced = words.introduce(&service);
    let stays = !family.visitor && snapshot.taken_at.since(main.started_at) >= STAYS;
    let door = listeners
        .iter()
        .find(|l| is_door(l))
        .filter(|_| stays || is_introduced);
    if entry.is_none() && !listens_tcp && !listens_dns && !is_introduced && door.is_none() {
        return None;
    }
    // What somebody runs by hand and does not serve is a tool: `docker exec … redis-server --version`.
    if family.visitor && listeners.is_empty() && entry.is_some_and(|entry| entry.listens) {
        return None;
    }
    service.visitor = family.visitor;
    service.pids = family.processes.iter().map(|p| p.container_pid).collect();
    service.ports = ports(&listeners);
    if let Some(entry) = entry {
        service.entry = Some(entry);
        service.kind = entry.kind;
        service.name = entry.name.into();
        service.role = Some(entry.role);
        service.untitled = claim::is_untitled(entry, family);
        service.version = main
            .executable
            .as_ref()
            .and_then(|path| entry.version_in(path.as_raw()))
            .map(Untrusted::from);
        service.evidence.extend(claim::evidence(entry, family));
    } else if listens_tcp {
        service.kind = "tcp";
    } else if listens_dns {
        service.kind = "udp";
    } else if let Some(door) = door {
        service.kind = match door.transport {
            Transport::Unix => "unix",
            _ => "udp",
        };
    }
    let is_unix = service.kind == "unix";
    let (probe, port) = match entry {
        Some(entry) => (entry.probe, entry.default_port),
        // Nobody knows what may be said at such a door. Who opens it lives.
        None if is_unix => (ProbeKind::Tcp, None),
        None => (ProbeKind::Discover, None),
    };
    let mut targets = targets(&listeners, port, entry.is_some() || is_unix);
    if targets.is_empty() && matches!(probe, ProbeKind::Dns | ProbeKind::Discover) {
        targets = datagram_targets(&listeners, port.unwrap_or(DNS_PORT));
    }
    service.probes = targets
        .into_iter()
        .map(|target| ProbeSpec::new(probe, target))
        .collect();
    service.listeners = listeners;
    service.key = key(service.kind, &service);
    Some(service)
}

/// What can be said of any process.
fn describe_process(main: &Process) -> Recognised {
    let name = program_of(main);
    let pid = main.container_pid;
    let own_name = Program::of(main).filter(|program| program.interpreted.is_none());
    let runs = match &main.executable {
        // A busybox, or a link.
        Some(path) if own_name.is_some_and(|program| program.name() != name.as_raw()) => {
            format!("pid {pid} runs {path:.200} as {name:.40}")
        }
        Some(path) => format!("pid {pid} runs {path:.200}"),
        None => format!(
            "pid {pid} is called {:.40}; what it executes cannot be read",
            main.name
        ),
    };
    Recognised {
        key: String::new(),
        program: name.clone(),
        executable: main.executable.clone(),
        is_closed: main.executable.is_none(),
        name,
        entry: None,
        kind: "process",
        role: None,
        untitled: false,
        version: None,
        ports: Vec::new(),
        listeners: Vec::new(),
        pids: vec![pid],
        started_at: Some(main.started_at),
        visitor: false,
        probes: Vec::new(),
        evidence: vec![sentence(runs)],
        own: Own::default(),
    }
}

/// What a process runs, in a word: what a service is known by after a restart.
pub(crate) fn program_of(process: &Process) -> Untrusted {
    let program = Program::of(process);
    program.map_or_else(
        || process.name.clone(),
        |program| Untrusted::from(called(process, &program)),
    )
}

/// The name a process goes by. One file under several names is called as it was started, where the kernel and the command
/// line agree on that: Debian's redis-server is a link to redis-check-rdb.
fn called<'a>(process: &'a Process, program: &Program<'a>) -> &'a str {
    let said = process.command.first().map_or("", Untrusted::as_raw);
    let comm = process.name.as_raw();
    if program.interpreted.is_none() && !comm.is_empty() && basename(said) == comm {
        comm
    } else {
        program.name()
    }
}

/// The container's first process, or what an init there has started, where there is nothing else to tell of.
fn main_process(snapshot: &Snapshot) -> Option<Recognised> {
    let is_init =
        |p: &Process| claim::of_process(p).is_some_and(|kind| kind.layer == Layer::Supervisor);
    let processes = || snapshot.processes.iter().filter(|p| p.state != 'Z');
    let below_init = processes().any(|p| p.container_pid == 1 && is_init(p));
    let init = processes().min_by_key(|p| {
        (
            is_init(p),
            below_init && p.parent_pid != 1,
            p.container_pid != 1,
            p.parent_pid != 0,
            p.started_at,
            p.container_pid,
        )
    })?;
    let mut service = describe_process(init);
    service.key = key(service.kind, &service);
    Some(service)
}

/// TCP listeners whose processes could not be seen, joined by port.
fn ownerless(snapshot: &Snapshot) -> Vec<Recognised> {
    let nobodys =
        |l: &&Listener| l.transport == Transport::Tcp && l.owners.is_empty() && !is_engines_dns(l);
    let ports = snapshot.listeners.iter().filter(nobodys);
    ascending(ports.filter_map(|l| l.port).collect())
        .into_iter()
        .map(|port| {
            let listeners: Vec<Listener> = snapshot
                .listeners
                .iter()
                .filter(nobodys)
                .filter(|l| l.port == Some(port))
                .cloned()
                .collect();
            let uid = listeners.first().map_or(0, |l| l.uid);
            let evidence =
                format!("the process that listens on port {port} could not be seen; its socket is of uid {uid}");
            let mut service = Recognised {
                key: String::new(),
                name: format!("port {port}").into(),
                entry: None,
                kind: "tcp",
                role: None,
                untitled: false,
                version: None,
                ports: vec![port],
                pids: Vec::new(),
                started_at: None,
                program: Untrusted::default(),
                executable: None,
                is_closed: false,
                visitor: false,
                probes: targets(&listeners, None, false)
                    .into_iter()
                    .map(|target| ProbeSpec::new(ProbeKind::Discover, target))
                    .collect(),
                listeners,
                evidence: vec![sentence(evidence)],
                own: Own::default(),
            };
            service.key = key("tcp", &service);
            service
        })
        .collect()
}

/// Docker's own name server in a container on a user-defined network: the daemon listens on 127.0.0.11 in
/// the container's network namespace, from outside of it. Source: moby, libnetwork/resolver.go.
fn is_engines_dns(listener: &Listener) -> bool {
    listener.owners.is_empty()
        && listener
            .address
            .is_some_and(|a| a.to_string() == "127.0.0.11")
}

/// Whether somebody may be expected to come this way, though it is no TCP port: by a Unix socket where services keep
/// theirs (hier(7)), for elsewhere are those of a program's own parts, and they come and go.
#[inline(never)]
fn is_door(listener: &Listener) -> bool {
    match (listener.port, &listener.path) {
        (Some(port), _) => listener.transport == Transport::Udp && port < EPHEMERAL_PORTS,
        (None, Some(path)) => {
            let path = path.as_raw();
            path.starts_with("/run/") || path.starts_with("/var/run/")
        }
        (None, None) => false,
    }
}

/// Whether a service is reached by datagrams alone.
#[inline(never)]
pub(crate) fn takes_datagrams_only(listeners: &[Listener]) -> bool {
    listeners.iter().any(is_door) && listeners.iter().all(|l| l.transport == Transport::Udp)
}

/// TCP and UDP ports worth telling, ascending.
fn ports(listeners: &[Listener]) -> Vec<u16> {
    let told = |l: &&Listener| l.transport == Transport::Tcp || is_door(l);
    let told = listeners.iter().filter(told);
    ascending(told.filter_map(|l| l.port).collect())
}

/// Each port once, ascending.
fn ascending(mut ports: Vec<u16>) -> Vec<u16> {
    sort_by_key(&mut ports, |&port| port);
    ports.dedup();
    ports
}

impl Recognised {
    /// The main process, by pid and start; None where it could not be seen.
    pub(crate) fn main(&self) -> Option<(u32, Timestamp)> {
        Some((*self.pids.first()?, self.started_at?))
    }

    /// What is left of a claim that its answers contradict: a program that listens.
    pub(crate) fn contradict(&mut self) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        let words = format!(
            "it looks like {}, but does not answer as {0} does",
            entry.name
        );
        self.evidence.insert(0, sentence(words));
        self.kind = "tcp";
        self.name = self.program.clone();
        self.role = None;
        self.version = None;
        self.untitled = false;
        if self.own.asked == Asked::AsUsual {
            for probe in &mut self.probes {
                probe.kind = ProbeKind::Discover;
            }
        }
        self.key = key(self.kind, self);
    }
}

/// A service's key before it is made unique: kind and port (the kind's usual one, else the lowest), else kind and
/// name.
fn key(kind: &str, service: &Recognised) -> String {
    let usual = service.entry.and_then(|entry| entry.default_port);
    let tcp = service
        .listeners
        .iter()
        .filter(|l| l.transport == Transport::Tcp)
        .filter_map(|l| l.port)
        .min_by_key(|&port| (Some(port) != usual, port));
    if let Some(port) = tcp.or(service.ports.first().copied()) {
        return format!("{kind}:{port}");
    }
    if service.entry.is_some() {
        return kind.to_owned();
    }
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".-_".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = service
        .program
        .as_raw()
        .chars()
        .take(64)
        .map(plain)
        .collect();
    format!("{kind}:{name}")
}

fn make_unique(services: &mut [Recognised]) {
    let mut taken = BTreeSet::new();
    for service in services {
        service.key = unique(&service.key, |key| taken.contains(key));
        taken.insert(service.key.clone());
    }
}

/// The key itself, or with the first number behind it that makes it unique.
pub(crate) fn unique(key: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(key) {
        return key.to_owned();
    }
    (2_u32..)
        .map(|number| format!("{key}#{number}"))
        .find(|key| !taken(key))
        .unwrap_or_default()
}

/// Gives each service the role it has beside the others: nginx is a proxy where something else serves the web.
fn settle_roles(services: &mut [Recognised]) {
    for at in 0..services.len() {
        let fronts = services[at].entry.is_some_and(|entry| entry.fronts);
        let is_web = |(other, service): (usize, &Recognised)| {
            other != at && service.entry.is_some_and(|e| e.role == "web" && !e.fronts)
        };
        if fronts && services.iter().enumerate().any(is_web) {
            services[at].role = Some(FRONT_ROLE);
        }
    }
}

/// The words for a service's sockets: `port 6379`, `its Unix socket`, `no port`.
pub(crate) fn socket_words(ports: &[u16], listeners: &[Listener]) -> String {
    match ports {
        [] if listeners.is_empty() => "no port".to_owned(),
        [] => "its Unix socket".to_owned(),
        ports => port_words(ports),
    }
}

/// The application a family serves, by the command line of its processes.
fn application_of<'a>(family: &Family<'a>) -> Option<&'a str> {
    family
        .processes
        .iter()
        .find_map(|process| application(process))
}

#[cfg(test)]
pub(crate) mod tests;
