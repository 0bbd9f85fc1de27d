//! The protocols of lines: those that greet, and those that answer one word.
//!
//! What a probe leaves in a log, of the servers as Debian 12 installs them (each was run, and its log read):
//!
//! | server | lines |
//! |---|---|
//! | memcached, nats-server, vsftpd, exim | none |
//! | ProFTPD | "FTP session opened", "closed" |
//! | Postfix | "connect from", "disconnect from … quit=1" |
//! | Dovecot | one, level info: "Aborted login by logging out" |
//! | sshd | one, level info: "Connection closed … \[preauth\]"; of a client that says nothing, an error as well |
//!
//! ZooKeeper's source has a line of level info for each word it is asked.

use diogenes_proto::Verdict::{Alive, Failing, Starting};

use crate::line::line;
use crate::script::{Reader, Script};

/// A protocol whose server speaks first.
const fn greeter(
    protocol: &'static str,
    reader: Reader,
    farewell: fn(&[u8]) -> &'static [u8],
) -> Script {
    Script {
        protocol,
        question: b"",
        asks: "a new connection",
        reader,
        farewell,
    }
}

/// `version`: answered from memory. Source: memcached's doc/protocol.txt, memcached.c (`maxconns_fast`).
pub(crate) const MEMCACHED: Script = Script {
    protocol: "memcached",
    question: b"version\r\n",
    asks: "version",
    reader: Reader::Line(&[
        line(b"VERSION ", Alive, "answers version"),
        // With SASL nothing is answered before one has said who one is.
        line(
            b"CLIENT_ERROR unauthenticated",
            Alive,
            "answers version: authentication required",
        ),
        line(
            b"ERROR Too many open connections",
            Failing,
            "takes no connection",
        ),
        line(b"SERVER_ERROR", Failing, "answers version with an error"),
    ]),
    farewell: |_| b"",
};

/// NATS says `INFO` as soon as it has accepted. Nothing is said to it: before `CONNECT` it takes a `PING` for an
/// attempt to get around its passwords, where it has any. Source: NATS documentation, "Client Protocol".
pub(crate) const NATS: Script = greeter(
    "nats",
    Reader::Line(&[
        line(b"INFO {", Alive, "says INFO"),
        line(b"-ERR", Failing, "takes no connection"),
    ]),
    |_| b"",
);

/// The only one of the four-letter words that is on the white list by default. Source: ZooKeeper Administrator's
/// Guide, "The Four Letter Words".
pub(crate) const ZOOKEEPER: Script = Script {
    protocol: "zookeeper",
    question: b"srvr",
    asks: "srvr",
    reader: Reader::Line(&[
        line(b"Zookeeper version: ", Alive, "answers srvr"),
        line(
            b"srvr is not executed because it is not in the whitelist",
            Alive,
            "answers",
        ),
        line(
            b"This ZooKeeper instance is not currently serving requests",
            Failing,
            "serves no requests",
        ),
    ]),
    farewell: |_| b"",
};

/// Source: RFC 5321 §3.1, §4.1.1.10, §4.2.3.
pub(crate) const SMTP: Script = greeter(
    "smtp",
    Reader::Line(&[
        line(b"220", Alive, "greets"),
        line(b"554", Alive, "greets, and takes no mail"),
        line(b"421", Failing, "takes no connection"),
    ]),
    |_| b"QUIT\r\n",
);

/// Source: RFC 9051 §7.1.
pub(crate) const IMAP: Script = greeter(
    "imap",
    Reader::Line(&[
        line(b"* OK", Alive, "greets"),
        line(b"* PREAUTH", Alive, "greets"),
        line(b"* BYE", Failing, "takes no connection"),
    ]),
    |_| b"a LOGOUT\r\n",
);

/// Source: RFC 1939 §4.
pub(crate) const POP3: Script = greeter(
    "pop3",
    Reader::Line(&[
        line(b"+OK", Alive, "greets"),
        line(b"-ERR", Failing, "takes no connection"),
    ]),
    |_| b"QUIT\r\n",
);

/// Source: RFC 959 §5.4.
pub(crate) const FTP: Script = greeter(
    "ftp",
    Reader::Line(&[
        line(b"220", Alive, "greets"),
        line(b"120", Starting, "is not ready yet"),
        line(b"421", Failing, "takes no connection"),
    ]),
    |_| b"QUIT\r\n",
);

/// The identification line, answered by one of ours: a client that says nothing is an error to sshd.
/// Source: RFC 4253 §4.2; OpenSSH's sshd.c.
pub(crate) const SSH: Script = greeter(
    "ssh",
    Reader::Line(&[
        line(b"SSH-2.0-", Alive, "greets"),
        line(b"SSH-1.99-", Alive, "greets"),
        line(b"Exceeded MaxStartups", Failing, "takes no connection"),
        // What OpenSSH 9.8 and later say to an address that came too often without logging in.
        line(
            b"Not allowed at this time",
            Alive,
            "answers, and bars this address for a while",
        ),
    ]),
    |_| b"SSH-2.0-diogenes_agent\r\n",
);
