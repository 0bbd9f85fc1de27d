//! What a network is made of: names, addresses, directories, remote shells, tunnels, time.

use super::Language::{Erlang, Lua};
use super::Mark::{Applet, Calls, Executable, Helper, Runs};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// A name server.
const DNS: Kind = Kind {
    role: "dns",
    probe: ProbeKind::Dns,
    default_port: Some(53),
    ..USUAL
};

/// A directory of people and machines.
const DIRECTORY: Kind = Kind {
    role: "directory",
    probe: ProbeKind::Ldap,
    default_port: Some(389),
    ..USUAL
};

/// A remote shell.
const SSH: Kind = Kind {
    role: "ssh",
    probe: ProbeKind::Ssh,
    default_port: Some(22),
    ..USUAL
};

/// What speaks a protocol of its own, or UDP.
const OTHER: Kind = Kind {
    role: "network",
    probe: ProbeKind::Tcp,
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "bind",
        name: "BIND",
        // Debian's bind9.
        marks: &[Executable("named")],
        ..DNS
    },
    Kind {
        kind: "unbound",
        name: "Unbound",
        marks: &[Executable("unbound")],
        ..DNS
    },
    Kind {
        kind: "dnsmasq",
        name: "dnsmasq",
        marks: &[Executable("dnsmasq")],
        ..DNS
    },
    Kind {
        kind: "coredns",
        name: "CoreDNS",
        marks: &[Executable("coredns")],
        ..DNS
    },
    Kind {
        kind: "powerdns",
        name: "PowerDNS",
        marks: &[Executable("pdns_server")],
        ..DNS
    },
    Kind {
        kind: "pdns-recursor",
        name: "PowerDNS Recursor",
        marks: &[Executable("pdns_recursor")],
        ..DNS
    },
    Kind {
        kind: "dnsdist",
        name: "dnsdist",
        marks: &[Executable("dnsdist")],
        ..DNS
    },
    Kind {
        kind: "knot",
        name: "Knot DNS",
        marks: &[Executable("knotd")],
        ..DNS
    },
    Kind {
        kind: "knot-resolver",
        name: "Knot Resolver",
        marks: &[Executable("kresd")],
        ..DNS
    },
    Kind {
        kind: "nsd",
        name: "NSD",
        marks: &[Executable("nsd"), Calls("nsd: ")],
        ..DNS
    },
    Kind {
        kind: "pihole",
        name: "Pi-hole",
        marks: &[Executable("pihole-FTL")],
        ..DNS
    },
    Kind {
        kind: "openldap",
        name: "OpenLDAP",
        marks: &[Executable("slapd")],
        ..DIRECTORY
    },
    Kind {
        kind: "openssh",
        name: "OpenSSH",
        marks: &[
            Executable("sshd"),
            // OpenSSH's sshd.c: "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups".
            Calls("sshd: "),
            // Since 9.8 each connection is another program's.
            Helper("sshd-session"),
            Helper("sshd-auth"),
        ],
        ..SSH
    },
    Kind {
        kind: "dropbear",
        name: "Dropbear",
        marks: &[
            Executable("dropbear"),
            Applet(&("dropbearmulti", "dropbear")),
        ],
        ..SSH
    },
    Kind {
        kind: "kerberos",
        name: "Kerberos",
        marks: &[Executable("krb5kdc")],
        role: "directory",
        default_port: Some(88),
        ..OTHER
    },
    Kind {
        kind: "kadmind",
        name: "Kerberos administration",
        marks: &[Executable("kadmind")],
        role: "directory",
        default_port: Some(749),
        ..OTHER
    },
    Kind {
        kind: "freeradius",
        name: "FreeRADIUS",
        // Debian's name; radiusd elsewhere.
        marks: &[Executable("freeradius"), Executable("radiusd")],
        role: "directory",
        default_port: Some(1812),
        ..OTHER
    },
    Kind {
        kind: "openvpn",
        name: "OpenVPN",
        marks: &[Executable("openvpn")],
        default_port: Some(1194),
        ..OTHER
    },
    Kind {
        kind: "strongswan",
        name: "strongSwan",
        marks: &[Executable("charon"), Executable("charon-systemd")],
        default_port: Some(500),
        ..OTHER
    },
    Kind {
        kind: "coturn",
        name: "coturn",
        marks: &[Executable("turnserver")],
        default_port: Some(3478),
        ..OTHER
    },
    Kind {
        kind: "chrony",
        name: "chrony",
        marks: &[Executable("chronyd")],
        default_port: Some(323),
        ..OTHER
    },
    Kind {
        kind: "ntp",
        name: "NTP",
        // Debian's ntpsec; openntpd has titles.
        marks: &[Executable("ntpd"), Calls("ntpd: ")],
        default_port: Some(123),
        ..OTHER
    },
    Kind {
        kind: "dhcpd",
        name: "DHCP server",
        // ISC's dhcpd and Kea.
        marks: &[Executable("dhcpd"), Executable("kea-dhcp4")],
        default_port: Some(67),
        ..OTHER
    },
    Kind {
        kind: "asterisk",
        name: "Asterisk",
        marks: &[Executable("asterisk")],
        role: "voice",
        default_port: Some(5060),
        ..OTHER
    },
    Kind {
        kind: "kamailio",
        name: "Kamailio",
        marks: &[Executable("kamailio")],
        role: "voice",
        default_port: Some(5060),
        ..OTHER
    },
    Kind {
        kind: "ejabberd",
        name: "ejabberd",
        // ejabberdctl: erl … -s ejabberd.
        marks: &[Runs(Erlang, "ejabberd")],
        role: "chat",
        default_port: Some(5222),
        ..OTHER
    },
    Kind {
        kind: "prosody",
        name: "Prosody",
        marks: &[Runs(Lua, "prosody")],
        role: "chat",
        default_port: Some(5222),
        ..OTHER
    },
    Kind {
        kind: "irc",
        name: "IRC server",
        // InspIRCd, ngIRCd, UnrealIRCd.
        marks: &[
            Executable("inspircd"),
            Executable("ngircd"),
            Executable("unrealircd"),
        ],
        role: "chat",
        default_port: Some(6667),
        ..OTHER
    },
    Kind {
        kind: "mumble",
        name: "Mumble server",
        marks: &[
            Executable("mumble-server"),
            Executable("murmurd"),
            Executable("murmur.x86"),
        ],
        role: "chat",
        default_port: Some(64_738),
        ..OTHER
    },
    Kind {
        kind: "znc",
        name: "ZNC",
        marks: &[Executable("znc")],
        role: "chat",
        ..OTHER
    },
    Kind {
        kind: "xrdp",
        name: "xrdp",
        marks: &[Executable("xrdp"), Helper("xrdp-sesman")],
        role: "desktop",
        default_port: Some(3389),
        ..OTHER
    },
    Kind {
        kind: "vnc",
        name: "VNC server",
        // TigerVNC, TightVNC, x11vnc.
        marks: &[
            Executable("Xtigervnc"),
            Executable("Xvnc"),
            Executable("Xtightvnc"),
            Executable("x11vnc"),
        ],
        role: "desktop",
        default_port: Some(5900),
        probe: ProbeKind::Discover,
        ..OTHER
    },
    Kind {
        kind: "avahi",
        name: "Avahi",
        marks: &[Executable("avahi-daemon")],
        default_port: Some(5353),
        ..OTHER
    },
];
