//! What starts other programs in a container and looks after them. It is a service only where it listens: what it
//! starts is what the container is for.

use super::Language::{Python, Ruby};
use super::Mark::{Applet, Executable, Runs};
use super::{Kind, Layer, USUAL};
use diogenes_proto::ProbeKind;

/// A supervisor.
const SUPERVISOR: Kind = Kind {
    role: "supervisor",
    layer: Layer::Supervisor,
    probe: ProbeKind::Tcp,
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "supervisord",
        name: "Supervisor",
        // Debian's supervisor, a Python script. Its socket answers HTTP: supervisor/http.py.
        marks: &[
            Runs(Python, "supervisord"),
            Runs(Python, "supervisor.supervisord"),
        ],
        probe: ProbeKind::Http,
        default_port: Some(9001),
        ..SUPERVISOR
    },
    Kind {
        kind: "circus",
        name: "Circus",
        marks: &[Runs(Python, "circusd")],
        ..SUPERVISOR
    },
    Kind {
        kind: "honcho",
        name: "Honcho",
        marks: &[
            Runs(Python, "honcho"),
            Runs(Ruby, "foreman"),
            Executable("overmind"),
            Executable("hivemind"),
            Executable("goreman"),
        ],
        ..SUPERVISOR
    },
    Kind {
        kind: "systemd",
        name: "systemd",
        marks: &[Executable("lib/systemd/systemd")],
        ..SUPERVISOR
    },
    Kind {
        kind: "s6",
        name: "s6",
        // s6-overlay's first process becomes s6-svscan.
        marks: &[
            Executable("s6-svscan"),
            Executable("s6-supervise"),
            Executable("s6-linux-init-shutdownd"),
            Executable("s6-ipcserverd"),
        ],
        ..SUPERVISOR
    },
    Kind {
        kind: "runit",
        name: "runit",
        // BusyBox has them as well.
        marks: &[
            Executable("runit"),
            Executable("runsvdir"),
            Executable("runsv"),
            Applet(&("busybox", "runsvdir")),
            Applet(&("busybox", "runsv")),
        ],
        ..SUPERVISOR
    },
    Kind {
        kind: "daemontools",
        name: "daemontools",
        marks: &[Executable("svscan"), Executable("supervise")],
        ..SUPERVISOR
    },
    Kind {
        kind: "inetd",
        name: "inetd",
        marks: &[
            Executable("inetd"),
            Executable("xinetd"),
            Applet(&("busybox", "inetd")),
        ],
        ..SUPERVISOR
    },
    Kind {
        kind: "init",
        name: "init",
        // First processes that forward signals and reap: tini, Docker's --init (tini too), dumb-init, Podman's,
        // and this program itself where it was baked in.
        marks: &[
            Executable("diogenes-agent"),
            Executable("tini"),
            Executable("tini-static"),
            Executable("docker-init"),
            Executable("dumb-init"),
            Executable("catatonit"),
        ],
        listens: false,
        ..SUPERVISOR
    },
];
