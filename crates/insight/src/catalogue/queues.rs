//! Queues, brokers and streams.

use super::Language::{Erlang, Java};
use super::Mark::{Executable, Given, Runs};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// A queue or broker.
const QUEUE: Kind = Kind {
    role: "queue",
    ..USUAL
};

/// One that speaks MQTT.
const MQTT: Kind = Kind {
    probe: ProbeKind::Mqtt,
    default_port: Some(1883),
    ..QUEUE
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "rabbitmq",
        name: "RabbitMQ",
        // scripts/rabbitmq-server: erl … -s rabbit boot. Seen on Debian 12, rabbitmq-server 3.10.8.
        marks: &[Runs(Erlang, "rabbit")],
        probe: ProbeKind::Amqp,
        default_port: Some(5672),
        ..QUEUE
    },
    Kind {
        kind: "mosquitto",
        name: "Mosquitto",
        marks: &[Executable("mosquitto")],
        ..MQTT
    },
    Kind {
        kind: "emqx",
        name: "EMQX",
        // bin/emqx: -progname, and its own release.
        marks: &[Runs(Erlang, "emqx")],
        ..MQTT
    },
    Kind {
        kind: "nats",
        name: "NATS",
        marks: &[Executable("nats-server")],
        probe: ProbeKind::Nats,
        default_port: Some(4222),
        ..QUEUE
    },
    Kind {
        kind: "kafka",
        name: "Kafka",
        // bin/kafka-run-class.sh: the class comes after a class path of several KB, the options before it.
        marks: &[Runs(Java, "kafka.Kafka"), Given(Java, "-Dkafka.logs.dir=")],
        probe: ProbeKind::Kafka,
        default_port: Some(9092),
        ..QUEUE
    },
    Kind {
        kind: "redpanda",
        name: "Redpanda",
        marks: &[Executable("redpanda")],
        probe: ProbeKind::Kafka,
        default_port: Some(9092),
        ..QUEUE
    },
    Kind {
        kind: "pulsar",
        name: "Pulsar",
        marks: &[
            Runs(Java, "org.apache.pulsar.PulsarStandaloneStarter"),
            Runs(Java, "org.apache.pulsar.PulsarBrokerStarter"),
            Given(Java, "-Dpulsar.log.dir="),
        ],
        default_port: Some(8080),
        ..QUEUE
    },
    Kind {
        kind: "activemq",
        name: "ActiveMQ",
        // bin/activemq: -Dactivemq.home=… -jar activemq.jar start; Artemis has options and a class of its own.
        marks: &[
            Runs(Java, "activemq.jar"),
            Given(Java, "-Dactivemq.home="),
            Given(Java, "-Dartemis.home="),
            Given(Java, "-Dartemis.instance="),
        ],
        default_port: Some(8161),
        ..QUEUE
    },
    Kind {
        kind: "nsq",
        name: "NSQ",
        // nsqd and nsqlookupd answer /ping on their HTTP ports.
        marks: &[Executable("nsqd"), Executable("nsqlookupd")],
        default_port: Some(4151),
        readiness: Some("/ping"),
        ..QUEUE
    },
    Kind {
        kind: "beanstalkd",
        name: "beanstalkd",
        marks: &[Executable("beanstalkd")],
        probe: ProbeKind::Tcp,
        default_port: Some(11_300),
        ..QUEUE
    },
    Kind {
        kind: "gearman",
        name: "Gearman",
        // Debian's gearman-job-server.
        marks: &[Executable("gearmand")],
        probe: ProbeKind::Tcp,
        default_port: Some(4730),
        ..QUEUE
    },
];
