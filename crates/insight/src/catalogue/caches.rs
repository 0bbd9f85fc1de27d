//! Caches, and what keeps its data in memory.

use super::Mark::{Applet, Calls, Executable, Product};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// What speaks as Redis does.
const REDIS: Kind = Kind {
    role: "cache",
    probe: ProbeKind::Redis,
    default_port: Some(6379),
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "redis",
        name: "Redis",
        marks: &[
            Executable("redis-server"),
            // Debian's /usr/bin/redis-server is a link to redis-check-rdb: all three are one program, which
            // looks at its own name (Redis' src/server.c, main). Seen on Debian 12, redis 7.0.15.
            Applet(&("redis-check-rdb", "redis-server")),
            Applet(&("redis-check-aof", "redis-server")),
            // Redis' proc-title-template: "{title} {listen-addr} {server-mode}".
            Calls("redis-server "),
        ],
        ..REDIS
    },
    Kind {
        kind: "valkey",
        name: "Valkey",
        marks: &[
            Executable("valkey-server"),
            // As with Redis: one program under several names (Valkey's src/server.c).
            Applet(&("valkey-check-rdb", "valkey-server")),
            Applet(&("valkey-check-aof", "valkey-server")),
            // INFO's server_name.
            Product("valkey"),
            Calls("valkey-server "),
        ],
        ..REDIS
    },
    Kind {
        kind: "redis-sentinel",
        name: "Redis Sentinel",
        // A link to the same program: Debian's redis-sentinel.
        marks: &[
            Executable("redis-sentinel"),
            Applet(&("redis-check-rdb", "redis-sentinel")),
            Applet(&("redis-check-aof", "redis-sentinel")),
            // redis-server --sentinel: INFO's redis_mode.
            Product("redis-sentinel"),
            Calls("redis-sentinel "),
        ],
        role: "monitoring",
        default_port: Some(26_379),
        ..REDIS
    },
    Kind {
        kind: "keydb",
        name: "KeyDB",
        marks: &[Executable("keydb-server"), Calls("keydb-server ")],
        ..REDIS
    },
    Kind {
        kind: "memcached",
        name: "Memcached",
        marks: &[Executable("memcached")],
        probe: ProbeKind::Memcached,
        default_port: Some(11_211),
        ..REDIS
    },
];
