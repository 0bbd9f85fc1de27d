//! AMQP 0-9-1: the protocol header, answered by `connection.start`.
//!
//! There is no polite way to go: a connection cannot be closed properly before somebody has logged in. RabbitMQ 3.10
//! warns "client unexpectedly closed TCP connection" of whoever just leaves, and writes an error about a
//! `connection.close`, another version or an unknown mechanism (all of them tried). Of a connection on which nothing was
//! said it writes nothing. So whoever decides when to ask should seldom ask, and otherwise merely connect.

use crate::bytes::Bytes;
use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

pub(crate) const SCRIPT: Script = Script {
    protocol: "amqp",
    question: b"AMQP\0\0\x09\x01",
    asks: "the AMQP header",
    reader: Reader::Parser(parse),
    farewell: |_| b"",
};

/// Longest `connection.start` taken for one, in bytes: RabbitMQ's has about 500.
const LONGEST: usize = 8 * 1024;

/// Reads the answer to the header: `connection.start`, or the header of the version that the server speaks, after
/// which it closes. Source: AMQP 0-9-1 specification §2.3.5, §4.2.2; its reference, `connection.start`.
pub(crate) fn parse(heard: &[u8]) -> Reply {
    const OTHER: &[u8] = b"AMQP";
    let common = heard.len().min(OTHER.len());
    if heard[..common] == OTHER[..common] {
        return if heard.len() < OTHER.len() {
            Reply::Incomplete
        } else {
            Answer::alive("answers in another version of AMQP").into()
        };
    }
    let mut frame = Bytes(heard);
    // A method frame on channel 0.
    let (Some(kind), Some(channel), Some(length)) = (frame.u8(), frame.u16(), frame.u32()) else {
        return if b"\x01\0\0".starts_with(&heard[..heard.len().min(3)]) {
            Reply::Incomplete
        } else {
            Reply::Stranger
        };
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if kind != 1 || channel != 0 || !(12..LONGEST).contains(&length) {
        return Reply::Stranger;
    }
    let Some(payload) = frame.take(length) else {
        return Reply::Incomplete;
    };
    let mut payload = Bytes(payload);
    // Class connection, method start; the version of the protocol in two bytes.
    if (payload.u16(), payload.u16(), payload.u16()) != (Some(10), Some(10), Some(9)) {
        return Reply::Stranger;
    }
    let Properties { product, version } = Properties::read(payload).unwrap_or_default();
    // "RabbitMQ"; its product is told where it is another's.
    let other = product.filter(|product| !product.eq_ignore_ascii_case(b"rabbitmq"));
    Answer::alive("answers the AMQP header")
        .with_product(other.or(product.map(|_| &b"rabbitmq"[..])))
        .with_version(version)
        .into()
}

/// What a server says of itself.
#[derive(Default)]
struct Properties<'a> {
    product: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
}

impl<'a> Properties<'a> {
    /// Walks the table of server properties, its own entries only. Source: AMQP 0-9-1 §4.2.5.5; RabbitMQ's errata.
    fn read(mut bytes: Bytes<'a>) -> Option<Self> {
        let mut found = Self::default();
        let mut table = Bytes(sized(&mut bytes)?);
        while !table.0.is_empty() {
            let length = usize::from(table.u8()?);
            let name = table.take(length)?;
            let value = match table.u8()? {
                // A long text; a table or an array is passed over.
                b'S' | b'F' | b'A' => sized(&mut table)?,
                b't' => table.take(1)?,
                b'I' => table.take(4)?,
                b'l' | b'T' => table.take(8)?,
                _ => return Some(found),
            };
            match name {
                b"product" => found.product = Some(value),
                b"version" => found.version = Some(value),
                _ => {}
            }
        }
        Some(found)
    }
}

/// Bytes behind their number.
fn sized<'a>(bytes: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(bytes.u32()?).ok()?;
    bytes.take(length)
}
