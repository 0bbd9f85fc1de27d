//! What other services lean on, and products that are served whole: coordination, secrets, identity, code,
//! publishing.

use super::Language::{Java, Node, Python};
use super::Mark::{Executable, Given, Runs, Title};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// What keeps the parts of a system together.
const COORDINATION: Kind = Kind {
    role: "coordination",
    ..USUAL
};

/// What says who is who, and keeps secrets.
const SECURITY: Kind = Kind {
    role: "security",
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "etcd",
        name: "etcd",
        // Debian's etcd-server.
        marks: &[Executable("etcd")],
        role: "db",
        default_port: Some(2379),
        // etcd documentation, "Monitoring etcd".
        readiness: Some("/health"),
        ..COORDINATION
    },
    Kind {
        kind: "zookeeper",
        name: "ZooKeeper",
        // bin/zkServer.sh; a Kafka's own ZooKeeper is started as Kafka is, with its class after a long class path.
        marks: &[
            Runs(Java, "org.apache.zookeeper.server.quorum.QuorumPeerMain"),
            Runs(Java, "org.apache.zookeeper.server.ZooKeeperServerMain"),
            Given(Java, "-Dzookeeper.log.dir="),
        ],
        probe: ProbeKind::Zookeeper,
        default_port: Some(2181),
        ..COORDINATION
    },
    Kind {
        kind: "consul",
        name: "Consul",
        marks: &[Executable("consul")],
        default_port: Some(8500),
        readiness: Some("/v1/status/leader"),
        ..COORDINATION
    },
    Kind {
        kind: "nomad",
        name: "Nomad",
        marks: &[Executable("nomad")],
        default_port: Some(4646),
        readiness: Some("/v1/agent/health"),
        ..COORDINATION
    },
    Kind {
        kind: "epmd",
        name: "Erlang port mapper",
        // Erlang's epmd(1): started beside every node that is part of a cluster.
        marks: &[Executable("epmd")],
        probe: ProbeKind::Tcp,
        default_port: Some(4369),
        ..COORDINATION
    },
    Kind {
        kind: "dbus",
        name: "D-Bus",
        marks: &[Executable("dbus-daemon"), Executable("dbus-broker-launch")],
        probe: ProbeKind::Tcp,
        ..COORDINATION
    },
    Kind {
        kind: "docker",
        name: "Docker",
        marks: &[Executable("dockerd")],
        readiness: Some("/_ping"),
        ..COORDINATION
    },
    Kind {
        kind: "containerd",
        name: "containerd",
        marks: &[Executable("containerd")],
        probe: ProbeKind::Tcp,
        ..COORDINATION
    },
    Kind {
        kind: "kubernetes",
        name: "Kubernetes",
        marks: &[
            Executable("kube-apiserver"),
            Executable("kubelet"),
            Executable("k3s"),
            Executable("kube-controller-manager"),
            Executable("kube-scheduler"),
            Executable("kube-proxy"),
        ],
        probe: ProbeKind::Tls,
        default_port: Some(6443),
        ..COORDINATION
    },
    Kind {
        kind: "vault",
        name: "Vault",
        // OpenBao is its open continuation.
        marks: &[Executable("vault"), Executable("bao")],
        default_port: Some(8200),
        // A sealed or standby node answers too: Vault's HTTP API, /sys/health.
        readiness: Some("/v1/sys/health?standbyok=true&sealedcode=503&uninitcode=503"),
        ..SECURITY
    },
    Kind {
        kind: "keycloak",
        name: "Keycloak",
        // bin/kc.sh: -Dkc.home.dir=… io.quarkus.bootstrap.runner.QuarkusEntryPoint.
        marks: &[Given(Java, "-Dkc.home.dir=")],
        default_port: Some(8080),
        ..SECURITY
    },
    Kind {
        kind: "fail2ban",
        name: "Fail2ban",
        // Debian's fail2ban, a Python script.
        marks: &[Runs(Python, "fail2ban-server")],
        probe: ProbeKind::Tcp,
        ..SECURITY
    },
    Kind {
        kind: "jenkins",
        name: "Jenkins",
        // The official image: java … -jar /usr/share/jenkins/jenkins.war.
        marks: &[Runs(Java, "jenkins.war")],
        default_port: Some(8080),
        readiness: Some("/login"),
        ..USUAL
    },
    Kind {
        kind: "gitea",
        name: "Gitea",
        marks: &[Executable("gitea")],
        default_port: Some(3000),
        readiness: Some("/api/healthz"),
        ..USUAL
    },
    Kind {
        kind: "n8n",
        name: "n8n",
        marks: &[Runs(Node, "n8n")],
        default_port: Some(5678),
        readiness: Some("/healthz"),
        ..USUAL
    },
    Kind {
        kind: "node-red",
        name: "Node-RED",
        // packages/node_modules/node-red/red.js: process.title = "node-red".
        marks: &[Runs(Node, "node-red"), Title(Node, "node-red")],
        default_port: Some(1880),
        ..USUAL
    },
    Kind {
        kind: "icecast",
        name: "Icecast",
        marks: &[Executable("icecast")],
        role: "media",
        default_port: Some(8000),
        ..USUAL
    },
    Kind {
        kind: "transmission",
        name: "Transmission",
        marks: &[Executable("transmission-daemon")],
        role: "file",
        default_port: Some(9091),
        ..USUAL
    },
    Kind {
        kind: "cups",
        name: "CUPS",
        marks: &[Executable("cupsd")],
        role: "print",
        default_port: Some(631),
        ..USUAL
    },
    Kind {
        kind: "minidlna",
        name: "MiniDLNA",
        marks: &[Executable("minidlnad")],
        role: "media",
        default_port: Some(8200),
        ..USUAL
    },
    Kind {
        kind: "mpd",
        name: "Music Player Daemon",
        marks: &[Executable("mpd")],
        role: "media",
        probe: ProbeKind::Tcp,
        default_port: Some(6600),
        ..USUAL
    },
    Kind {
        kind: "radicale",
        name: "Radicale",
        marks: &[Runs(Python, "radicale")],
        default_port: Some(5232),
        ..USUAL
    },
    Kind {
        kind: "apt-cacher-ng",
        name: "apt-cacher-ng",
        marks: &[Executable("apt-cacher-ng")],
        role: "proxy",
        default_port: Some(3142),
        ..USUAL
    },
    Kind {
        kind: "distcc",
        name: "distcc",
        marks: &[Executable("distccd")],
        role: "worker",
        probe: ProbeKind::Tcp,
        default_port: Some(3632),
        ..USUAL
    },
    Kind {
        kind: "tarantool",
        name: "Tarantool",
        // Its greeting begins "Tarantool 2.6.0 (Binary)".
        marks: &[Executable("tarantool")],
        role: "db",
        probe: ProbeKind::Tcp,
        default_port: Some(3301),
        ..USUAL
    },
    Kind {
        kind: "iperf",
        name: "iperf3",
        marks: &[Executable("iperf3")],
        role: "network",
        probe: ProbeKind::Tcp,
        default_port: Some(5201),
        ..USUAL
    },
];
