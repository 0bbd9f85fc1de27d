//! One health check of one service: what to ask, and what came of it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, Untrusted, word};

/// What a probe speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// HTTP/1.1: any well-formed response with a status below 500 is alive.
    Http,
    /// Redis' `PING`.
    Redis,
    /// PostgreSQL's `GSSENCRequest`, which a server answers before it asks who is there, and does not log.
    Postgresql,
    /// TLS: a `ServerHello` that answers a `ClientHello` proves that TLS answers, and nothing of what lies below.
    Tls,
    /// FastCGI's `FCGI_GET_VALUES`.
    Fastcgi,
    /// Memcached's `version`.
    Memcached,
    /// MySQL's and MariaDB's greeting.
    Mysql,
    /// MongoDB's `hello`.
    Mongodb,
    /// The start of an AMQP 0-9-1 connection.
    Amqp,
    /// MQTT's `CONNECT`, answered by a `CONNACK` of any code.
    Mqtt,
    /// NATS' `INFO`, which it says unasked.
    Nats,
    /// Kafka's `ApiVersions`.
    Kafka,
    /// ZooKeeper's `srvr`, the one four-letter word that its white list has by default.
    Zookeeper,
    /// SMTP's greeting, and `QUIT`.
    Smtp,
    /// IMAP's greeting, and `LOGOUT`.
    Imap,
    /// POP3's greeting, and `QUIT`.
    Pop3,
    /// A DNS query for the server's version, any answer to which is alive.
    Dns,
    /// LDAP's search of the root DSE without a bind.
    Ldap,
    /// gRPC's health check, any answer to which but "not serving" is alive; in plain HTTP/2.
    Grpc,
    /// SSH's identification line.
    Ssh,
    /// FTP's greeting, and `QUIT`.
    Ftp,
    /// A connection that the service accepts, nothing said.
    Tcp,
    /// Listen for a greeting, then try a few protocols: learns what an unknown listener speaks.
    Discover,
}

/// The word of each protocol that has a probe of its own.
const PROTOCOLS: &[(&str, ProbeKind)] = &[
    ("http", ProbeKind::Http),
    ("redis", ProbeKind::Redis),
    ("postgresql", ProbeKind::Postgresql),
    ("tls", ProbeKind::Tls),
    ("fastcgi", ProbeKind::Fastcgi),
    ("memcached", ProbeKind::Memcached),
    ("mysql", ProbeKind::Mysql),
    ("mongodb", ProbeKind::Mongodb),
    ("amqp", ProbeKind::Amqp),
    ("mqtt", ProbeKind::Mqtt),
    ("nats", ProbeKind::Nats),
    ("kafka", ProbeKind::Kafka),
    ("zookeeper", ProbeKind::Zookeeper),
    ("smtp", ProbeKind::Smtp),
    ("imap", ProbeKind::Imap),
    ("pop3", ProbeKind::Pop3),
    ("dns", ProbeKind::Dns),
    ("ldap", ProbeKind::Ldap),
    ("grpc", ProbeKind::Grpc),
    ("ssh", ProbeKind::Ssh),
    ("ftp", ProbeKind::Ftp),
    ("tcp", ProbeKind::Tcp),
];

impl ProbeKind {
    /// The kind of probe that speaks this protocol; None where none does.
    #[must_use]
    pub fn speaking(protocol: &str) -> Option<Self> {
        let known = PROTOCOLS.iter().find(|(word, _)| *word == protocol);
        known.map(|&(_, kind)| kind)
    }

    /// The words of all protocols that have a probe of their own.
    pub fn protocols() -> impl Iterator<Item = &'static str> {
        PROTOCOLS.iter().map(|&(word, _)| word)
    }

    /// The word of the protocol it speaks; None for [`ProbeKind::Discover`], which has to find that out.
    #[must_use]
    pub fn protocol(self) -> Option<&'static str> {
        let known = PROTOCOLS.iter().find(|(_, kind)| *kind == self);
        known.map(|&(word, _)| word)
    }
}

/// Where a probe connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeTarget {
    /// A TCP address, always one of the container's own.
    Tcp(SocketAddr),
    /// A UDP address of the container's own, for what is asked over UDP alone: DNS.
    Udp(SocketAddr),
    /// The path of a Unix socket in the container.
    Unix(Untrusted),
}

/// A probe of one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// What to speak.
    pub kind: ProbeKind,
    /// Where.
    pub target: ProbeTarget,
    /// The path that an HTTP probe asks for by `GET`, one that tells whether the service is ready; None: `/`, by
    /// `HEAD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The statuses of an HTTP answer, from and to, that count as well, where somebody has said so; all others then
    /// count as failing. None: whatever is below 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<(u16, u16)>,
}

impl ProbeSpec {
    /// A probe of the usual way.
    #[must_use]
    pub fn new(kind: ProbeKind, target: ProbeTarget) -> Self {
        Self {
            kind,
            target,
            path: None,
            expected: None,
        }
    }
}

/// What a probe says of the service. A closed set: another word needs a new protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It answers as it should; "authentication required" counts.
    Alive,
    /// It answers that it is not ready yet.
    Starting,
    /// It answers that something is wrong: HTTP 5xx.
    Failing,
    /// Nobody listens there.
    Refused,
    /// It took the connection, or did not even accept it, and said nothing in time.
    Silent,
    /// What it said is not the protocol.
    Garbled,
    /// The probe itself could not be done: no permission, no file descriptor left.
    Impossible,
}

/// What came of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeOutcome {
    /// The conclusion.
    pub verdict: Verdict,
    /// What was seen, in words a person understands: `HTTP 502 in 3 ms`, `no answer to PING in 2 s`.
    pub evidence: Untrusted,
    /// Time from connecting to the conclusion, in microseconds.
    pub took_us: u64,
    /// The version the service told; None where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Untrusted>,
    /// The protocol that `Discover` found, a lower-case word: `http`, `ssh`, `smtp`; None otherwise.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "word::maybe"
    )]
    pub protocol: Option<String>,
    /// The product the service named in a greeting or header: `uvicorn`, `nginx`; None where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Untrusted>,
    /// The path that told whether the service is ready; None where none was asked for or found.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "word::maybe"
    )]
    pub path: Option<String>,
    /// When the certificate that a TLS server showed expires; None where it showed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl ProbeOutcome {
    /// A verdict with what led to it, nothing else learnt.
    #[must_use]
    pub fn new(verdict: Verdict, evidence: impl Into<Untrusted>, took_us: u64) -> Self {
        Self {
            verdict,
            evidence: evidence.into(),
            took_us,
            version: None,
            protocol: None,
            product: None,
            path: None,
            expires_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_is_called_what_its_kind_is_called_on_the_wire() {
        for (word, kind) in PROTOCOLS {
            assert_eq!(serde_json::to_value(kind).unwrap(), *word);
            assert_eq!(ProbeKind::speaking(word), Some(*kind));
            assert_eq!(kind.protocol(), Some(*word));
        }
        assert_eq!(ProbeKind::speaking("gopher"), None);
        assert_eq!(ProbeKind::Discover.protocol(), None);
    }
}
