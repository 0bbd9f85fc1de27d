//! What watches: metrics, logs, traces, alerts.

use super::Language::{Java, Perl, Python, Ruby};
use super::Mark::{Calls, Executable, Given, Runs, Title};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// A monitoring program that speaks HTTP.
const MONITORING: Kind = Kind {
    role: "monitoring",
    ..USUAL
};

/// One with a protocol of its own.
const OPAQUE: Kind = Kind {
    probe: ProbeKind::Tcp,
    ..MONITORING
};

/// A collector of logs.
const LOGGING: Kind = Kind {
    role: "logging",
    probe: ProbeKind::Tcp,
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "prometheus",
        name: "Prometheus",
        marks: &[Executable("prometheus")],
        default_port: Some(9090),
        // Prometheus documentation, "Management API".
        readiness: Some("/-/ready"),
        ..MONITORING
    },
    Kind {
        kind: "alertmanager",
        name: "Alertmanager",
        // Debian's name, and the release's own.
        marks: &[
            Executable("prometheus-alertmanager"),
            Executable("alertmanager"),
        ],
        default_port: Some(9093),
        readiness: Some("/-/ready"),
        ..MONITORING
    },
    Kind {
        kind: "pushgateway",
        name: "Pushgateway",
        marks: &[
            Executable("prometheus-pushgateway"),
            Executable("pushgateway"),
        ],
        default_port: Some(9091),
        readiness: Some("/-/ready"),
        ..MONITORING
    },
    Kind {
        kind: "exporter",
        name: "Prometheus exporter",
        // Debian's packages prometheus-*-exporter, and the releases' own names.
        marks: &[
            Executable("prometheus-node-exporter"),
            Executable("node_exporter"),
            Executable("prometheus-blackbox-exporter"),
            Executable("blackbox_exporter"),
            Executable("prometheus-redis-exporter"),
            Executable("redis_exporter"),
            Executable("prometheus-postgres-exporter"),
            Executable("postgres_exporter"),
            Executable("prometheus-mysqld-exporter"),
            Executable("mysqld_exporter"),
            Executable("prometheus-nginx-exporter"),
            Executable("nginx-prometheus-exporter"),
            Executable("statsd_exporter"),
            Executable("cadvisor"),
        ],
        ..MONITORING
    },
    Kind {
        kind: "grafana",
        name: "Grafana",
        // Until 9 grafana-server, since then one executable.
        marks: &[Executable("grafana"), Executable("grafana-server")],
        default_port: Some(3000),
        // Grafana's HTTP API, "Health".
        readiness: Some("/api/health"),
        ..MONITORING
    },
    Kind {
        kind: "loki",
        name: "Loki",
        marks: &[Executable("loki")],
        default_port: Some(3100),
        readiness: Some("/ready"),
        role: "logging",
        ..MONITORING
    },
    Kind {
        kind: "jaeger",
        name: "Jaeger",
        // jaegertracing's images.
        marks: &[
            Executable("jaeger"),
            Executable("jaeger-all-in-one"),
            Executable("all-in-one-linux"),
            Executable("jaeger-query"),
            Executable("jaeger-collector"),
        ],
        default_port: Some(16_686),
        ..MONITORING
    },
    Kind {
        kind: "otel-collector",
        name: "OpenTelemetry Collector",
        marks: &[
            Executable("otelcol"),
            Executable("otelcol-contrib"),
            Executable("otelcol-k8s"),
        ],
        default_port: Some(13_133),
        ..MONITORING
    },
    Kind {
        kind: "telegraf",
        name: "Telegraf",
        marks: &[Executable("bin/telegraf")],
        listens: false,
        ..OPAQUE
    },
    Kind {
        kind: "collectd",
        name: "collectd",
        marks: &[Executable("sbin/collectd")],
        default_port: Some(25_826),
        listens: false,
        ..OPAQUE
    },
    Kind {
        kind: "netdata",
        name: "Netdata",
        marks: &[Executable("netdata")],
        default_port: Some(19_999),
        readiness: Some("/api/v1/info"),
        ..MONITORING
    },
    Kind {
        kind: "zabbix-server",
        name: "Zabbix",
        marks: &[
            Executable("zabbix_server"),
            Executable("zabbix_proxy"),
            Calls("zabbix_server: "),
            Calls("zabbix_proxy: "),
        ],
        default_port: Some(10_051),
        ..OPAQUE
    },
    Kind {
        kind: "zabbix-agent",
        name: "Zabbix agent",
        marks: &[
            Executable("zabbix_agentd"),
            Executable("zabbix_agent2"),
            Calls("zabbix_agentd: "),
        ],
        default_port: Some(10_050),
        ..OPAQUE
    },
    Kind {
        kind: "icinga",
        name: "Icinga",
        // Debian's /usr/sbin/icinga2 is a script around the executable of this name.
        marks: &[Executable("icinga2")],
        default_port: Some(5665),
        ..OPAQUE
    },
    Kind {
        kind: "munin",
        name: "Munin node",
        // Debian's munin-node, a Perl script.
        marks: &[Runs(Perl, "munin-node")],
        default_port: Some(4949),
        ..OPAQUE
    },
    Kind {
        kind: "snmpd",
        name: "SNMP agent",
        marks: &[Executable("snmpd")],
        default_port: Some(161),
        ..OPAQUE
    },
    Kind {
        kind: "graphite",
        name: "Carbon",
        marks: &[
            Runs(Python, "carbon-cache"),
            Runs(Python, "carbon-cache.py"),
            Runs(Python, "carbon-relay.py"),
            Executable("go-carbon"),
        ],
        default_port: Some(2003),
        ..OPAQUE
    },
    Kind {
        kind: "monit",
        name: "Monit",
        marks: &[Executable("monit")],
        default_port: Some(2812),
        ..MONITORING
    },
    Kind {
        kind: "rsyslog",
        name: "rsyslog",
        marks: &[Executable("sbin/rsyslogd")],
        default_port: Some(514),
        listens: false,
        ..LOGGING
    },
    Kind {
        kind: "syslog-ng",
        name: "syslog-ng",
        marks: &[Executable("sbin/syslog-ng")],
        default_port: Some(514),
        listens: false,
        ..LOGGING
    },
    Kind {
        kind: "logstash",
        name: "Logstash",
        marks: &[
            Runs(Java, "org.logstash.Logstash"),
            Given(Java, "-Dls.cgroup.cpuacct.path.override="),
        ],
        probe: ProbeKind::Http,
        default_port: Some(9600),
        ..LOGGING
    },
    Kind {
        kind: "fluentd",
        name: "Fluentd",
        // fluentd's lib/fluent/supervisor.rb: "supervisor:fluentd", "worker:fluentd".
        marks: &[
            Runs(Ruby, "fluentd"),
            Runs(Ruby, "td-agent"),
            Title(Ruby, "supervisor:"),
            Title(Ruby, "worker:"),
        ],
        default_port: Some(24_224),
        ..LOGGING
    },
    Kind {
        kind: "fluent-bit",
        name: "Fluent Bit",
        marks: &[Executable("bin/fluent-bit"), Executable("td-agent-bit")],
        probe: ProbeKind::Http,
        default_port: Some(2020),
        listens: false,
        ..LOGGING
    },
    Kind {
        kind: "vector",
        name: "Vector",
        marks: &[Executable("bin/vector")],
        default_port: Some(8686),
        probe: ProbeKind::Http,
        listens: false,
        ..LOGGING
    },
];
