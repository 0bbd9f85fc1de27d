//! Kafka: `ApiVersions`, which a broker answers before anybody has said who they are.
//!
//! Written by the specification: Debian has no Kafka to try it on. Source: Kafka protocol guide, "ApiVersions", "Error Codes". Brokers since 0.10 know it.

use crate::bytes::Bytes;
use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

/// The number of the question, which the answer repeats.
const CORRELATION: u32 = u32::from_be_bytes(*b"diog");
/// Longest answer taken for one, in bytes: real ones have a few hundred.
const LONGEST: u32 = 64 * 1024;
/// `UNSUPPORTED_VERSION`.
const UNSUPPORTED: u16 = 35;

pub(crate) const SCRIPT: Script = Script {
    protocol: "kafka",
    // Eighteen bytes: ApiVersions (18) in version 0, the number, the client's name.
    question: b"\0\0\0\x12\0\x12\0\0diog\0\x08diogenes",
    asks: "ApiVersions",
    reader: Reader::Parser(parse),
    farewell: |_| b"",
};

/// Reads the answer's length, number and error code. The list of what it can do is not waited for.
pub(crate) fn parse(heard: &[u8]) -> Reply {
    let mut bytes = Bytes(heard);
    let (Some(length), Some(number), Some(error)) = (bytes.u32(), bytes.u32(), bytes.u16()) else {
        return Reply::Incomplete;
    };
    if number != CORRELATION || !(6..LONGEST).contains(&length) {
        return Reply::Stranger;
    }
    match error {
        0 | UNSUPPORTED => Answer::alive("answers ApiVersions").into(),
        error => Answer::failing(format!("answers ApiVersions with error {error}")).into(),
    }
}
