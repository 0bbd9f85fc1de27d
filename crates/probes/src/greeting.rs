//! What a service says of itself unasked, or in protest at a question in another protocol.
//!
//! A table: to teach it a protocol, add one [`Sign`].

use crate::reply::Reply;

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
    sign(b"SSH-", "", "ssh"),                  // RFC 4253 §4.2
    sign(b"220", "smtp", "smtp"),              // RFC 5321 §4.2, "220 host ESMTP Postfix"
    sign(b"220", "ftp", "ftp"),                // RFC 959, "220 (vsFTPd 3.0.3)"
    sign(b"554", "smtp", "smtp"),              // RFC 5321 §3.1: a server that takes no mail
    sign(b"+OK", "", "pop3"),                  // RFC 1939 §4
    sign(b"* OK", "", "imap"),                 // RFC 9051 §7.1
    sign(b"* PREAUTH", "", "imap"),            // RFC 9051 §7.1
    sign(b"200 ", "nntp", "nntp"),             // RFC 3977 §5.1
    sign(b"RFB 0", "", "vnc"),                 // RFC 6143 §7.1.1
    sign(b"@RSYNCD:", "", "rsync"),            // rsync's clientserver.c
    sign(b"( success ( 2 ", "", "svn"), // Subversion's libsvn_ra_svn/protocol, "2.1 Greeting"
    sign(b":", " notice ", "irc"),      // RFC 2812 §3.3.2, what servers say while they look one up
    sign(b"220", "lmtp", "lmtp"),       // RFC 2033 §4
    sign(b"\"IMPLEMENTATION\" ", "", "sieve"), // RFC 5804 §1.7
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

/// The protocol of what a server said unasked; None where it is not known.
#[must_use]
pub fn protocol(bytes: &[u8]) -> Option<&'static str> {
    if matches!(crate::mysql::parse(bytes), Reply::Answer(_)) {
        return Some("mysql");
    }
    if crate::http::is_http2(bytes) {
        return Some("http2");
    }
    find(bytes, GREETINGS)
}

/// Whether more would not tell more: a line, which a binary greeting is not even where it holds a line feed.
pub(crate) fn is_enough(bytes: &[u8]) -> bool {
    let is_line = || bytes.contains(&b'\n') && crate::mysql::parse(bytes) != Reply::Incomplete;
    protocol(bytes).is_some() || is_line()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_greetings() {
        for (bytes, protocol) in [
            (&b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"[..], "ssh"),
            (b"220 mail.example.org ESMTP Postfix\r\n", "smtp"),
            (b"220 (vsFTPd 3.0.3)\r\n", "ftp"),
            (b"+OK Dovecot ready.\r\n", "pop3"),
            (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", "imap"),
            (b"INFO {\"server_id\":\"N\"}\r\n", "nats"),
            (
                b"( success ( 2 2 ( ) ( edit-pipeline svndiff1 ) ) ) ",
                "svn",
            ),
            (
                b":irc.example.net NOTICE * :*** Looking up your hostname...\r\n",
                "irc",
            ),
            (b"220 mail.example.org LMTP Postfix\r\n", "lmtp"),
            (b"\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"\r\n", "sieve"),
        ] {
            assert_eq!(super::protocol(bytes), Some(protocol));
        }
        for stranger in [
            &b""[..],
            b"hello",
            b"220 welcome\r\n",
            b"\0\0\0\0\0",
            b"\x05\0\0\0\x0a",
        ] {
            assert_eq!(protocol(stranger), None, "{}", stranger.escape_ascii());
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
            let _ = (protocol(&bytes), find(&bytes, PROTESTS));
        }

        #[test]
        fn never_panics_on_what_begins_well(start in 0..GREETINGS.len(), tail in proptest::collection::vec(any::<u8>(), 0..99)) {
            let bytes = [GREETINGS[start].begins, &tail].concat();
            let _ = (protocol(&bytes), find(&bytes, GREETINGS));
        }
    }
}
