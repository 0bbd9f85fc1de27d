//! What a service says of itself unasked, or in protest at a question in another protocol.
//!
//! A table: to teach it a protocol, add one [`Sign`].

use diogenes_proto::Untrusted;

/// How a protocol is known by what a server says first.
#[derive(Clone, Copy, Debug)]
pub struct Sign {
    /// What the words begin with.
    pub begins: &'static [u8],
    /// What else is in the first line, in lower case; empty where the beginning suffices.
    pub contains: &'static str,
    /// The protocol, a lower-case word.
    pub protocol: &'static str,
}

const fn sign(begins: &'static [u8], contains: &'static str, protocol: &'static str) -> Sign {
    Sign {
        begins,
        contains,
        protocol,
    }
}

/// What servers say unasked.
pub const GREETINGS: &[Sign] = &[
    sign(b"SSH-", "", "ssh"),             // RFC 4253 §4.2
    sign(b"220", "smtp", "smtp"),         // RFC 5321 §4.2, "220 host ESMTP Postfix"
    sign(b"220", "ftp", "ftp"),           // RFC 959, "220 (vsFTPd 3.0.3)"
    sign(b"554", "smtp", "smtp"),         // RFC 5321 §3.1: a server that takes no mail
    sign(b"+OK", "", "pop3"),             // RFC 1939 §4
    sign(b"* OK", "", "imap"),            // RFC 9051 §7.1
    sign(b"* PREAUTH", "", "imap"),       // RFC 9051 §7.1
    sign(b"200 ", "nntp", "nntp"),        // RFC 3977 §5.1
    sign(b"RFB 0", "", "vnc"),            // RFC 6143 §7.1.1
    sign(b"@RSYNCD:", "", "rsync"),       // rsync's clientserver.c
    sign(b"INFO {", "server_id", "nats"), // NATS client protocol, INFO
];

/// What servers answer to an HTTP request that is none of their business.
pub const PROTESTS: &[Sign] = &[
    sign(b"-ERR", "unknown command", "redis"), // Redis' src/server.c
    sign(b"-NOAUTH", "", "redis"),             // Redis' src/server.c
    sign(b"-DENIED", "", "redis"),             // Redis' src/networking.c
    sign(b"ERROR\r\n", "", "memcached"),       // memcached's doc/protocol.txt
    sign(b"AMQP", "", "amqp"),                 // AMQP 0-9-1 §4.2.2: the versions it speaks
];

/// What a greeting tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The protocol, a lower-case word.
    pub protocol: &'static str,
    /// The server's version, where the greeting has it in a fixed place.
    pub version: Option<Untrusted>,
}

/// Finds the protocol of a server's words in a table; None where no sign fits.
#[must_use]
pub fn find(bytes: &[u8], signs: &[Sign]) -> Option<&'static str> {
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let lower = line.to_ascii_lowercase();
    signs
        .iter()
        .find(|sign| {
            bytes.starts_with(sign.begins)
                && (sign.contains.is_empty()
                    || lower
                        .windows(sign.contains.len())
                        .any(|w| w == sign.contains.as_bytes()))
        })
        .map(|sign| sign.protocol)
}

/// Reads what a server said unasked; None where it is not known.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Greeting> {
    if let Some(greeting) = parse_mysql(bytes) {
        return Some(greeting);
    }
    if crate::http::is_http2(bytes) {
        return Some(Greeting {
            protocol: "http2",
            version: None,
        });
    }
    let protocol = find(bytes, GREETINGS)?;
    let version = match protocol {
        "ssh" => ssh_version(bytes),
        _ => None,
    };
    Some(Greeting { protocol, version })
}

/// MySQL's handshake: a packet numbered 0 with protocol version 10 and the server's version, or an error.
/// Source: MySQL Source Code Documentation, "Protocol::HandshakeV10", "ERR_Packet".
fn parse_mysql(bytes: &[u8]) -> Option<Greeting> {
    let (header, body) = bytes.split_first_chunk::<4>()?;
    let length =
        usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
    if header[3] != 0 || !(8..1024).contains(&length) {
        return None;
    }
    let version = match body {
        [10, rest @ ..] => {
            let end = rest.iter().position(|&b| b == 0).filter(|&end| end > 0)?;
            let text = &rest[..end];
            if !text.iter().all(|b| b.is_ascii_graphic()) {
                return None;
            }
            Some(Untrusted::from_bytes(text))
        }
        // "Host is not allowed to connect", "too many connections": error numbers from 1000 on.
        [0xff, low, high, ..] if (1000..5000).contains(&u16::from_le_bytes([*low, *high])) => None,
        _ => return None,
    };
    Some(Greeting {
        protocol: "mysql",
        version,
    })
}

/// The version in `SSH-2.0-OpenSSH_9.2p1 Debian-2`. Source: RFC 4253 §4.2.
fn ssh_version(bytes: &[u8]) -> Option<Untrusted> {
    let line = bytes.split(|&b| b == b'\n').next()?;
    let software = line.splitn(3, |&b| b == b'-').nth(2)?.trim_ascii();
    let software = software.split(|&b| b == b' ').next()?;
    let version = software.strip_prefix(b"OpenSSH_").unwrap_or(software);
    (!version.is_empty()).then(|| Untrusted::from_bytes(version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_greetings() {
        for (bytes, protocol, version) in [
            (
                &b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"[..],
                "ssh",
                Some("9.2p1"),
            ),
            (b"220 mail.example.org ESMTP Postfix\r\n", "smtp", None),
            (b"220 (vsFTPd 3.0.3)\r\n", "ftp", None),
            (b"+OK Dovecot ready.\r\n", "pop3", None),
            (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", "imap", None),
            (
                b"\x5b\0\0\0\x0a10.11.6-MariaDB-0+deb12u1\0\x08\0\0\0",
                "mysql",
                Some("10.11.6-MariaDB-0+deb12u1"),
            ),
            (b"\x45\0\0\0\xff\x6a\x04Host is not allowed", "mysql", None),
            (b"INFO {\"server_id\":\"N\"}\r\n", "nats", None),
        ] {
            let greeting = parse(bytes).unwrap_or_else(|| panic!("{}", bytes.escape_ascii()));
            assert_eq!(greeting.protocol, protocol);
            assert_eq!(
                greeting.version.as_ref().map(Untrusted::as_raw),
                version,
                "{protocol}"
            );
        }
        for stranger in [
            &b""[..],
            b"hello",
            b"220 welcome\r\n",
            b"\0\0\0\0\0",
            b"\x05\0\0\0\x0a",
        ] {
            assert_eq!(parse(stranger), None, "{}", stranger.escape_ascii());
        }
    }

    #[test]
    fn known_protests() {
        for (bytes, protocol) in [
            (
                &b"-ERR unknown command 'HEAD', with args beginning with: '/'\r\n"[..],
                Some("redis"),
            ),
            (b"-NOAUTH Authentication required.\r\n", Some("redis")),
            (b"ERROR\r\n", Some("memcached")),
            (b"AMQP\x00\x00\x09\x01", Some("amqp")),
            (b"-ERR what?\r\n", None),
        ] {
            assert_eq!(find(bytes, PROTESTS), protocol);
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (parse(&bytes), find(&bytes, PROTESTS));
        }

        #[test]
        fn never_panics_on_what_begins_well(start in 0..GREETINGS.len(), tail in proptest::collection::vec(any::<u8>(), 0..99)) {
            let bytes = [GREETINGS[start].begins, &tail].concat();
            let _ = (parse(&bytes), find(&bytes, GREETINGS));
        }
    }
}
