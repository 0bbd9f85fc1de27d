//! Databases, relational and not, and what is put before them.

use super::Language::{Erlang, Java};
use super::Mark::{Calls, Executable, Given, Product, Runs, VersionAfter};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// A database.
const DB: Kind = Kind {
    role: "db",
    ..USUAL
};

/// One that speaks a protocol of its own, which nobody here speaks.
const OPAQUE: Kind = Kind {
    probe: ProbeKind::Tcp,
    ..DB
};

/// One that speaks as PostgreSQL does.
const POSTGRES: Kind = Kind {
    probe: ProbeKind::Postgresql,
    ..DB
};

/// One that speaks as MySQL does.
const MYSQL: Kind = Kind {
    probe: ProbeKind::Mysql,
    ..DB
};

/// A pooler or router before databases.
const POOL: Kind = Kind {
    role: "proxy",
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "postgresql",
        name: "PostgreSQL",
        // "postmaster" is the older name, still a link in Debian.
        marks: &[
            Executable("postgres"),
            Executable("postmaster"),
            // PostgreSQL's src/backend/utils/misc/ps_status.c: its children only, the postmaster keeps argv.
            Calls("postgres: "),
            // Debian and the official image; Red Hat's packages from postgresql.org.
            VersionAfter("/usr/lib/postgresql/"),
            VersionAfter("/usr/pgsql-"),
        ],
        default_port: Some(5432),
        ..POSTGRES
    },
    Kind {
        kind: "mariadb",
        name: "MariaDB",
        // Older packages and images call it mysqld; then its version tells.
        marks: &[Executable("mariadbd"), Product("MariaDB")],
        default_port: Some(3306),
        ..MYSQL
    },
    Kind {
        kind: "mysql",
        name: "MySQL",
        // Oracle's packages and image; Percona's as well.
        marks: &[Executable("mysqld"), Executable("mysqld-debug")],
        default_port: Some(3306),
        ..MYSQL
    },
    Kind {
        kind: "cockroachdb",
        name: "CockroachDB",
        marks: &[Executable("cockroach")],
        // Its HTTP server; with certificates it is TLS, which is told.
        default_port: Some(8080),
        readiness: Some("/health?ready=1"),
        ..DB
    },
    Kind {
        kind: "mongodb",
        name: "MongoDB",
        // mongos is the router of a sharded cluster.
        marks: &[Executable("mongod"), Executable("mongos")],
        probe: ProbeKind::Mongodb,
        default_port: Some(27_017),
        ..DB
    },
    Kind {
        kind: "couchdb",
        name: "CouchDB",
        // rel/overlay/etc/vm.args and bin/couchdb: -progname couchdb.
        marks: &[Runs(Erlang, "couchdb")],
        default_port: Some(5984),
        // CouchDB documentation, "/_up".
        readiness: Some("/_up"),
        ..DB
    },
    Kind {
        kind: "cassandra",
        name: "Cassandra",
        // bin/cassandra: the class comes after a class path of several KB, the options before it.
        marks: &[
            Runs(Java, "org.apache.cassandra.service.CassandraDaemon"),
            Given(Java, "-Dcassandra.logdir="),
            Given(Java, "-Dcassandra-foreground="),
        ],
        default_port: Some(9042),
        ..OPAQUE
    },
    Kind {
        kind: "scylladb",
        name: "ScyllaDB",
        marks: &[Executable("scylla")],
        default_port: Some(9042),
        ..OPAQUE
    },
    Kind {
        kind: "clickhouse",
        name: "ClickHouse",
        // One executable, whose link "clickhouse-server" is what is started; the kernel shows the file.
        marks: &[Executable("clickhouse"), Executable("clickhouse-server")],
        default_port: Some(8123),
        readiness: Some("/ping"),
        ..DB
    },
    Kind {
        kind: "influxdb",
        name: "InfluxDB",
        marks: &[Executable("influxd"), Executable("influxdb3")],
        default_port: Some(8086),
        readiness: Some("/ping"),
        ..DB
    },
    Kind {
        kind: "victoriametrics",
        name: "VictoriaMetrics",
        marks: &[
            Executable("victoria-metrics"),
            Executable("victoria-metrics-prod"),
        ],
        default_port: Some(8428),
        readiness: Some("/health"),
        ..DB
    },
    Kind {
        kind: "neo4j",
        name: "Neo4j",
        marks: &[
            Runs(Java, "com.neo4j.server.enterprise.EnterpriseEntryPoint"),
            Runs(Java, "org.neo4j.server.CommunityEntryPoint"),
        ],
        default_port: Some(7474),
        ..DB
    },
    Kind {
        kind: "arangodb",
        name: "ArangoDB",
        marks: &[Executable("arangod")],
        default_port: Some(8529),
        ..DB
    },
    Kind {
        kind: "firebird",
        name: "Firebird",
        // Debian's firebird3.0-server: /usr/sbin/firebird.
        marks: &[Executable("firebird")],
        default_port: Some(3050),
        ..OPAQUE
    },
    Kind {
        kind: "mssql",
        name: "SQL Server",
        // Microsoft's image: /opt/mssql/bin/sqlservr.
        marks: &[Executable("sqlservr")],
        default_port: Some(1433),
        ..OPAQUE
    },
    Kind {
        kind: "pgbouncer",
        name: "PgBouncer",
        marks: &[Executable("pgbouncer")],
        default_port: Some(6432),
        probe: ProbeKind::Postgresql,
        ..POOL
    },
    Kind {
        kind: "pgpool",
        name: "Pgpool-II",
        marks: &[Executable("pgpool"), Calls("pgpool: ")],
        default_port: Some(5433),
        probe: ProbeKind::Postgresql,
        ..POOL
    },
    Kind {
        kind: "proxysql",
        name: "ProxySQL",
        marks: &[Executable("proxysql")],
        default_port: Some(6033),
        probe: ProbeKind::Mysql,
        ..POOL
    },
    Kind {
        kind: "patroni",
        name: "Patroni",
        // Patroni's REST API; any member that runs answers /liveness with 200.
        marks: &[Runs(super::Language::Python, "patroni")],
        role: "cluster",
        default_port: Some(8008),
        readiness: Some("/liveness"),
        ..POOL
    },
];
