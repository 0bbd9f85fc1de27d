//! Proxies and load balancers: what they answer may be another's answer.

use super::Language::Python;
use super::Mark::{Calls, Executable, Helper, Runs};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// A proxy.
const PROXY: Kind = Kind {
    role: "proxy",
    relays: true,
    ..USUAL
};

/// One that people put their browsers behind.
const FORWARD: Kind = Kind {
    forwards: true,
    ..PROXY
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "haproxy",
        name: "HAProxy",
        marks: &[Executable("haproxy")],
        ..PROXY
    },
    Kind {
        kind: "traefik",
        name: "Traefik",
        marks: &[Executable("traefik")],
        default_port: Some(80),
        // Traefik's "ping" lives on another entry point, where it is enabled at all.
        ..PROXY
    },
    Kind {
        kind: "envoy",
        name: "Envoy",
        marks: &[Executable("envoy"), Executable("envoy-static")],
        ..PROXY
    },
    Kind {
        kind: "varnish",
        name: "Varnish",
        marks: &[Executable("varnishd"), Helper("vcc")],
        relays: false,
        // Debian's varnish.service; the documentation's example has 80.
        default_port: Some(6081),
        ..PROXY
    },
    Kind {
        kind: "squid",
        name: "Squid",
        // Debian's squid and squid-openssl.
        marks: &[
            Executable("squid"),
            Calls("(squid-"),
            Helper("log_file_daemon"),
            Helper("pinger"),
            Helper("security_file_certgen"),
            Helper("unlinkd"),
            Helper("diskd"),
        ],
        default_port: Some(3128),
        ..FORWARD
    },
    Kind {
        kind: "trafficserver",
        name: "Apache Traffic Server",
        // docs.trafficserver.apache.org, "traffic_server", "traffic_manager".
        marks: &[Executable("traffic_server"), Executable("traffic_manager")],
        default_port: Some(8080),
        ..PROXY
    },
    Kind {
        kind: "nghttpx",
        name: "nghttpx",
        // Debian's nghttp2-proxy.
        marks: &[Executable("nghttpx")],
        default_port: Some(3000),
        ..PROXY
    },
    Kind {
        kind: "tinyproxy",
        name: "Tinyproxy",
        marks: &[Executable("tinyproxy")],
        default_port: Some(8888),
        ..FORWARD
    },
    Kind {
        kind: "privoxy",
        name: "Privoxy",
        marks: &[Executable("privoxy")],
        default_port: Some(8118),
        ..FORWARD
    },
    Kind {
        kind: "pound",
        name: "Pound",
        marks: &[Executable("sbin/pound")],
        ..PROXY
    },
    Kind {
        kind: "hitch",
        name: "Hitch",
        marks: &[Executable("hitch")],
        probe: ProbeKind::Tls,
        ..PROXY
    },
    Kind {
        kind: "stunnel",
        name: "stunnel",
        // Debian's stunnel4.
        marks: &[Executable("stunnel")],
        probe: ProbeKind::Tls,
        ..PROXY
    },
    Kind {
        kind: "sslh",
        name: "sslh",
        // What it says is said by whom it passes one on to.
        marks: &[
            Executable("sslh"),
            Executable("sslh-ev"),
            Executable("sslh-select"),
        ],
        probe: ProbeKind::Tcp,
        ..PROXY
    },
    Kind {
        kind: "oauth2-proxy",
        name: "OAuth2 Proxy",
        marks: &[Executable("oauth2-proxy")],
        default_port: Some(4180),
        readiness: Some("/ping"),
        ..PROXY
    },
    Kind {
        kind: "socat",
        name: "socat",
        // Debian's executable is socat1.
        marks: &[Executable("socat")],
        probe: ProbeKind::Discover,
        ..PROXY
    },
    Kind {
        kind: "shadowsocks",
        name: "Shadowsocks",
        // Of shadowsocks-libev; ssserver is shadowsocks-rust's.
        marks: &[Executable("ss-server"), Executable("ssserver")],
        probe: ProbeKind::Tcp,
        default_port: Some(8388),
        ..PROXY
    },
    Kind {
        kind: "websockify",
        name: "websockify",
        // It answers browsers itself.
        marks: &[Runs(Python, "websockify")],
        relays: false,
        ..PROXY
    },
    Kind {
        kind: "twemproxy",
        name: "Twemproxy",
        // Before Redis or Memcached. Its statistics are on 22222.
        marks: &[Executable("nutcracker")],
        probe: ProbeKind::Discover,
        ..PROXY
    },
    Kind {
        kind: "tor",
        name: "Tor",
        marks: &[Executable("bin/tor")],
        probe: ProbeKind::Tcp,
        default_port: Some(9050),
        ..PROXY
    },
    Kind {
        kind: "dante",
        name: "Dante",
        // Debian's dante-server.
        marks: &[Executable("danted"), Executable("sockd")],
        probe: ProbeKind::Tcp,
        default_port: Some(1080),
        ..PROXY
    },
];
