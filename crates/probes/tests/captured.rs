//! What real servers said, byte for byte, as each name tells; Debian 12's packages. The files are inputs of the fuzzer
//! too.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic in its own helpers too"
)]

use diogenes_probes::{Answer, Reply, read};
use diogenes_proto::{ProbeKind, Untrusted, Verdict};
use proptest::prelude::*;

const FOLDER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fuzz/corpus/probes"
);

/// File, kind, words, product, version.
type Case = (
    &'static str,
    ProbeKind,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
);

const CASES: &[Case] = &[
    (
        "memcached-1.6.18",
        ProbeKind::Memcached,
        "answers version",
        None,
        Some("1.6.18"),
    ),
    (
        "nats-server-2.9.10",
        ProbeKind::Nats,
        "says INFO",
        None,
        Some("2.9.10"),
    ),
    (
        "mosquitto-2.0.11",
        ProbeKind::Mqtt,
        "accepts CONNECT",
        None,
        None,
    ),
    (
        "bind-9.18.49",
        ProbeKind::Dns,
        "answers version.bind",
        None,
        Some("9.18.49-1~deb12u1-Debian"),
    ),
    (
        "slapd-2.5.13",
        ProbeKind::Ldap,
        "answers a search of the root DSE",
        None,
        None,
    ),
    (
        "openssh-9.2p1",
        ProbeKind::Ssh,
        "greets",
        Some("openssh"),
        Some("9.2p1"),
    ),
    (
        "vsftpd-3.0.3",
        ProbeKind::Ftp,
        "greets",
        Some("vsftpd"),
        Some("3.0.3"),
    ),
    (
        "mariadb-10.11.18",
        ProbeKind::Mysql,
        "greets",
        Some("mariadb"),
        Some("10.11.18-MariaDB-0+deb12u1"),
    ),
    (
        "dovecot-2.3.19-imap",
        ProbeKind::Imap,
        "greets",
        Some("dovecot"),
        None,
    ),
    (
        "dovecot-2.3.19-pop3",
        ProbeKind::Pop3,
        "greets",
        Some("dovecot"),
        None,
    ),
    (
        "zookeeper-3.8.0",
        ProbeKind::Zookeeper,
        "answers srvr",
        None,
        Some("3.8.0"),
    ),
    (
        "postfix-3.7",
        ProbeKind::Smtp,
        "greets",
        Some("postfix"),
        None,
    ),
    (
        "exim-4.96",
        ProbeKind::Smtp,
        "greets",
        Some("exim"),
        Some("4.96"),
    ),
    (
        "rabbitmq-3.10.8",
        ProbeKind::Amqp,
        "answers the AMQP header",
        Some("rabbitmq"),
        Some("3.10.8"),
    ),
    (
        "php-fpm-8.2",
        ProbeKind::Fastcgi,
        "answers FCGI_GET_VALUES",
        None,
        None,
    ),
    (
        "nginx-1.22.1-tls12",
        ProbeKind::Tls,
        "answers with TLS 1.2",
        None,
        None,
    ),
    (
        "nginx-1.22.1-tls13",
        ProbeKind::Tls,
        "answers with TLS newer than 1.2",
        None,
        None,
    ),
    (
        "apache-2.4-tls12",
        ProbeKind::Tls,
        "answers with TLS 1.2",
        None,
        None,
    ),
];

fn captured(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}/{name}")).unwrap()
}

fn answer(kind: ProbeKind, bytes: &[u8]) -> Answer {
    match read(kind, bytes) {
        Some(Reply::Answer(answer)) => *answer,
        other => panic!("{kind:?}: {other:?}"),
    }
}

#[test]
fn real_servers_are_understood() {
    for (name, kind, words, product, version) in CASES {
        let answer = answer(*kind, &captured(name));
        assert_eq!(answer.verdict, Verdict::Alive, "{name}");
        assert!(answer.words.starts_with(words), "{name}: {}", answer.words);
        assert_eq!(
            answer.product.as_ref().map(Untrusted::as_raw),
            *product,
            "{name}"
        );
        assert_eq!(
            answer.version.as_ref().map(Untrusted::as_raw),
            *version,
            "{name}"
        );
    }
}

#[test]
fn nobody_is_taken_for_another() {
    for (name, own, ..) in CASES {
        let bytes = captured(name);
        for (_, kind, ..) in CASES.iter().filter(|(_, kind, ..)| kind != own) {
            let reply = read(*kind, &bytes).unwrap();
            // RFC 5321 and RFC 959 begin alike.
            let alike = [own, kind].map(|kind| [ProbeKind::Smtp, ProbeKind::Ftp].contains(kind));
            assert!(
                alike == [true; 2] || !matches!(reply, Reply::Answer(_)),
                "{name} as {kind:?}: {reply:?}"
            );
        }
    }
}

#[test]
fn what_is_not_all_there_is_waited_for() {
    for (name, kind, ..) in CASES {
        let bytes = captured(name);
        let whole = read(*kind, &bytes);
        for cut in 0..bytes.len() {
            let early = read(*kind, &bytes[..cut]);
            assert!(
                early == Some(Reply::Incomplete) || early == whole,
                "{name} up to {cut}: {early:?}"
            );
        }
    }
}

#[test]
fn a_certificate_tells_when_it_expires() {
    for (name, expires_at) in [
        ("nginx-1.22.1-tls12", Some("2026-12-01T18:26:31.000Z")),
        ("apache-2.4-tls12", Some("2026-12-01T18:26:31.000Z")),
        ("nginx-1.22.1-tls13", None),
    ] {
        let told = answer(ProbeKind::Tls, &captured(name)).expires_at;
        assert_eq!(
            told.map(|at| at.to_string()).as_deref(),
            expires_at,
            "{name}"
        );
    }
}

proptest! {
    /// What a hostile service may make of a good answer: cut, changed and continued.
    #[test]
    fn nothing_that_looks_like_an_answer_makes_a_reader_panic(
        case in 0..CASES.len(),
        changes in proptest::collection::vec((0_usize..1200, any::<u8>()), 0..6),
        cut in 0_usize..1200,
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let (name, kind, ..) = CASES[case];
        let mut bytes = captured(name);
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        bytes.truncate(cut.max(1));
        bytes.extend(tail);
        if let Some(Reply::Answer(answer)) = read(kind, &bytes) {
            prop_assert!(answer.version.is_none_or(|version| !version.is_empty()));
            prop_assert!(answer.words.len() < 200);
        }
    }
}
