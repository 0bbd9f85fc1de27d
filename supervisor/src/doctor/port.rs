//! The TCP port: free, ours, or whose.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use diogenes_linux::sock_diag::SockDiag;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::doctor::check::Check;
use crate::doctor::running::Running;

pub(super) const ID: &str = "port";
pub(super) const TITLE: &str = "Port";

/// How long a port's owner is searched for among the host's processes.
const SEARCH: Duration = Duration::from_secs(1);

/// What was seen of the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) listen: SocketAddr,
    pub(super) state: State,
}

/// Whether the address could be listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It could.
    Free,
    /// Somebody listens there.
    Taken {
        /// Pid and name of the process; None where it is not visible.
        owner: Option<(u32, String)>,
    },
    /// It could not, for this reason.
    Unfit(String),
}

impl Port {
    /// Binds to the address without listening: nobody can connect, and a supervisor that starts just then is not
    /// kept out.
    pub(super) fn look(listen: SocketAddr) -> Self {
        let state = match try_to_bind(listen) {
            Ok(()) => State::Free,
            Err(error) if error.kind() == ErrorKind::AddrInUse => State::Taken {
                owner: owner(listen),
            },
            Err(error) => State::Unfit(error.to_string()),
        };
        Self { listen, state }
    }
}

fn try_to_bind(address: SocketAddr) -> std::io::Result<()> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // As the supervisor's own: connections that are closing do not count.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(bind(&socket, &address)?)
}

/// The process that listens there, by the kernel's socket table and then by its open files.
fn owner(address: SocketAddr) -> Option<(u32, String)> {
    let listening = SockDiag::open().ok()?.tcp_listening().ok()?;
    let covers = |bound: IpAddr| {
        bound == address.ip() || bound.is_unspecified() || address.ip().is_unspecified()
    };
    let socket = listening
        .sockets
        .iter()
        .find(|socket| socket.port == address.port() && covers(socket.address))?;
    let link = format!("socket:[{}]", socket.inode);
    let give_up = Instant::now() + SEARCH;
    let owner = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .take_while(|_| Instant::now() < give_up)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid| has_open(*pid, &link))?;
    let name = std::fs::read_to_string(format!("/proc/{owner}/comm")).unwrap_or_default();
    Some((owner, name.trim().to_owned()))
}

fn has_open(pid: u32, link: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .flatten()
        .any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link))
}

/// The verdict.
pub(super) fn judge(facts: &Port, running: &Running) -> Check {
    let Port { listen, state } = facts;
    if let Some(ours) = running.listen() {
        let detail = if ours == *listen {
            format!("{ours} is the running supervisor's")
        } else {
            format!("the running supervisor listens on {ours}")
        };
        return Check::ok(ID, TITLE, detail);
    }
    match state {
        State::Free if listen.port() == 0 => Check::ok(ID, TITLE, "any free one will do"),
        State::Free => Check::ok(ID, TITLE, format!("{listen} is free")),
        State::Taken { owner } => {
            let who = owner.as_ref().map_or_else(
                || "somebody (root sees who)".to_owned(),
                |(pid, name)| format!("{name} (pid {pid})"),
            );
            Check::failed(
                ID,
                TITLE,
                format!("{listen} is taken by {who}"),
                format!(
                    "end it, or give another port with --listen {}:PORT",
                    host(listen.ip())
                ),
            )
        }
        State::Unfit(why) => Check::failed(
            ID,
            TITLE,
            format!("{listen} cannot be used: {why}"),
            "give another address with --listen",
        ),
    }
}

/// As it stands before a port.
fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{Failed, Ok as Fine};
    use crate::doctor::running::tests::status;

    fn verdict(listen: &str, state: State, running: &Running) -> Check {
        let listen = listen.parse().unwrap();
        judge(&Port { listen, state }, running)
    }

    #[test]
    fn each_port_has_its_verdict() {
        let live = Running::Live {
            status: Box::new(status(&[])),
            pid: None,
        };
        let taken = |owner: Option<(u32, &str)>| State::Taken {
            owner: owner.map(|(pid, name)| (pid, name.to_owned())),
        };
        for (listen, state, running, expected, words) in [
            (
                "127.0.0.1:4120",
                State::Free,
                &Running::None,
                Fine,
                "is free",
            ),
            (
                "127.0.0.1:0",
                State::Free,
                &Running::None,
                Fine,
                "any free one",
            ),
            (
                "127.0.0.1:4120",
                taken(None),
                &live,
                Fine,
                "is the running supervisor's",
            ),
            (
                "127.0.0.1:4121",
                State::Free,
                &live,
                Fine,
                "listens on 127.0.0.1:4120",
            ),
            (
                "[::1]:4120",
                taken(Some((9, "nginx"))),
                &Running::None,
                Failed,
                "by nginx (pid 9)",
            ),
            (
                "127.0.0.1:4120",
                taken(None),
                &Running::None,
                Failed,
                "root sees who",
            ),
            (
                "127.9.9.9:80",
                State::Unfit("Permission denied".into()),
                &Running::None,
                Failed,
                "Permission denied",
            ),
        ] {
            let check = verdict(listen, state, running);
            assert_eq!(check.status, expected, "{check:?}");
            assert!(check.detail.contains(words), "{check:?}");
        }
    }

    #[test]
    fn the_owner_of_a_port_is_found() {
        for any in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let listener = std::net::TcpListener::bind(any).unwrap();
            let mut address = listener.local_addr().unwrap();
            if address.ip().is_unspecified() {
                address.set_ip("127.0.0.1".parse().unwrap());
            }
            let State::Taken { owner } = Port::look(address).state else {
                panic!("{address} is taken");
            };
            assert_eq!(owner.unwrap().0, std::process::id());
            drop(listener);
            assert_eq!(Port::look(address).state, State::Free);
        }
        let elsewhere = Port::look("192.0.2.1:80".parse().unwrap());
        assert!(matches!(elsewhere.state, State::Unfit(_)));
    }
}
