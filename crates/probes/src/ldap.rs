//! LDAP: the root of the directory tree, asked for without a bind, and an unbind.
//!
//! Any result will do; a server that wants to know first who asks says so. slapd 2.5 writes nothing at Debian's log
//! level, `none`. Source: RFC 4511 §4.2, §4.3, §4.5;
//! RFC 4512 §5.1.

use crate::bytes::Bytes;
use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

pub(crate) const SCRIPT: Script = Script {
    protocol: "ldap",
    // Message 1, a search: base "", that object only, never follow aliases, one entry, two seconds, (objectClass=*),
    // no attributes ("1.1").
    question:
        b"\x30\x2a\x02\x01\x01\x63\x25\x04\0\x0a\x01\0\x0a\x01\0\x02\x01\x01\x02\x01\x02\x01\x01\0\
        \x87\x0bobjectClass\x30\x05\x04\x031.1",
    asks: "a search of the root DSE",
    reader: Reader::Parser(parse),
    // Message 2, an unbind.
    farewell: |_| b"\x30\x05\x02\x01\x02\x42\0",
};

/// Operations of a server: an entry, the end of a search, a notice that it disconnects.
const ENTRY: u8 = 0x64;
const DONE: u8 = 0x65;
const NOTICE: u8 = 0x78;

/// Reads the first message of the answer.
pub(crate) fn parse(heard: &[u8]) -> Reply {
    let Some(&first) = heard.first() else {
        return Reply::Incomplete;
    };
    if first != 0x30 {
        return Reply::Stranger;
    }
    match read(Bytes(heard)) {
        None => Reply::Incomplete,
        Some((number, operation, code)) => verdict(number, operation, code),
    }
}

/// Number, operation and result code of a message; None where it is too short.
fn read(mut bytes: Bytes<'_>) -> Option<(Option<u8>, u8, Option<u8>)> {
    bytes.u8()?;
    length(&mut bytes)?;
    let number = (bytes.u8()? == 0x02 && bytes.u8()? == 1).then(|| bytes.u8());
    let Some(number) = number else {
        return Some((None, 0, None));
    };
    let number = number?;
    let operation = bytes.u8()?;
    if operation == ENTRY {
        return Some((Some(number), operation, None));
    }
    length(&mut bytes)?;
    // The result code, an enumeration of one byte.
    let head = bytes.take(3)?;
    let code = head
        .strip_prefix(b"\x0a\x01")
        .and_then(|code| code.first().copied());
    Some((Some(number), operation, code))
}

/// A length in BER: one byte, or a byte that tells how many follow.
fn length(bytes: &mut Bytes<'_>) -> Option<()> {
    match bytes.u8()? {
        long @ 0x81..=0x84 => bytes.take(usize::from(long & 0x7f)).map(drop),
        _ => Some(()),
    }
}

/// Source: RFC 4511 appendix A.
fn verdict(number: Option<u8>, operation: u8, code: Option<u8>) -> Reply {
    match (number, operation, code) {
        (Some(1), ENTRY, _) => Answer::alive("answers a search of the root DSE").into(),
        (Some(1), DONE, Some(51)) | (Some(0), NOTICE, Some(51)) => {
            Answer::failing("answers: busy").into()
        }
        (Some(1), DONE, Some(52)) | (Some(0), NOTICE, Some(52)) => {
            Answer::failing("answers: unavailable").into()
        }
        (Some(1), DONE, Some(8 | 13 | 48 | 50)) => {
            Answer::alive("answers: authentication required").into()
        }
        (Some(1), DONE, Some(code)) | (Some(0), NOTICE, Some(code)) => {
            Answer::alive(format!("answers with result code {code}")).into()
        }
        _ => Reply::Stranger,
    }
}
