//! MySQL and MariaDB: their greeting, and a leave that neither is counted against us nor gets into a log.
//!
//! It is a trap. A server counts whoever leaves without finishing the handshake, and after 100 of them
//! (`max_connect_errors`) bars the address for good: "Host is blocked because of many connection errors". What counts
//! are handshakes that break off; one that ends in a refusal does not. Loopback and the Unix socket are never barred
//! (`ip_to_hostname` in `sql/hostname.cc`: they are not in the host cache), which was tried with `max_connect_errors=3`
//! on MariaDB 10.11. It, however, writes a warning about everybody who leaves (`log_warnings=2`, the default): "Aborted
//! connection … This connection closed normally without authentication", and one about everybody whom it refuses. But
//! for one: `mariadb.sys`, the account that every MariaDB since 10.4 has to own its views with, and that is locked. "Access
//! denied, this account is locked" ends the handshake properly, and is not logged. So that is how we leave MariaDB;
//! nothing is opened by it on any server, and there is no password in it. `Aborted_connects` does count us.
//! MySQL notes neither by default (`log_error_verbosity=2`).

use crate::bytes::Bytes;
use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

pub(crate) const SCRIPT: Script = Script {
    protocol: "mysql",
    question: b"",
    asks: "a new connection",
    reader: Reader::Parser(parse),
    farewell: |greeting| if is_mariadb(greeting) { REFUSED } else { b"" },
};

/// The answer to a greeting: capabilities (4.1, long flag, long password, secure connection, plugins), 16 MiB, utf8,
/// the account, no password, its plugin. Behind it `COM_QUIT`, for a server that asks nobody who they are
/// (`skip-grant-tables`). Source: MySQL Source Code Documentation, "Protocol::HandshakeResponse41".
const REFUSED: &[u8] = b"\x43\0\0\x01\
    \x05\x82\x08\0\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    mariadb.sys\0\0mysql_native_password\0\
    \x01\0\0\0\x01";

/// Longest greeting taken for one, in bytes: real ones have about a hundred.
const LONGEST: usize = 1024;

/// Reads the handshake packet, numbered 0: protocol version 10 and the server's version, or an error. Source: MySQL
/// Source Code Documentation, "Protocol::HandshakeV10", "ERR_Packet".
pub(crate) fn parse(heard: &[u8]) -> Reply {
    let Some((header, body)) = heard.split_first_chunk::<4>() else {
        return Reply::Incomplete;
    };
    let length =
        usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
    if header[3] != 0 || !(8..LONGEST).contains(&length) {
        return Reply::Stranger;
    }
    let Some(packet) = body.get(..length) else {
        return Reply::Incomplete;
    };
    match packet {
        [10, rest @ ..] => match Bytes(rest).text() {
            Some(version) if !version.is_empty() && version.iter().all(u8::is_ascii_graphic) => {
                // What MariaDB puts before its own version for old replicas (its `RPL_VERSION_HACK`).
                let own = version.strip_prefix(b"5.5.5-").unwrap_or(version);
                Answer::alive("greets")
                    .with_version(Some(own))
                    .with_product(is_mariadb(version).then_some(b"mariadb"))
                    .into()
            }
            _ => Reply::Stranger,
        },
        [0xff, low, high, message @ ..] => error(u16::from_le_bytes([*low, *high]), message),
        _ => Reply::Stranger,
    }
}

fn is_mariadb(greeting: &[u8]) -> bool {
    greeting.windows(7).any(|part| part == b"MariaDB")
}

/// Source: MySQL 8.0 Error Message Reference, "Server Error Message Reference".
fn error(number: u16, message: &[u8]) -> Reply {
    match number {
        // ER_HOST_IS_BLOCKED, ER_HOST_NOT_PRIVILEGED: it serves others.
        1129 | 1130 => Answer::alive("answers").saying(message).into(),
        1000..5000 => Answer::failing("takes no connection")
            .saying(message)
            .into(),
        _ => Reply::Stranger,
    }
}
