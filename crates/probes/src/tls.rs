//! TLS: a `ClientHello`, answered by a `ServerHello` and, up to TLS 1.2, by a certificate in plain sight.
//!
//! TLS 1.2 is all that is offered: in 1.3 the certificate is encrypted, and to read it would take a whole TLS stack.
//! A server that speaks nothing older refuses with an alert, which proves that TLS answers as well. No name is asked
//! for, so the certificate is the server's usual one. We leave as RFC 5246 §7.2.1 wants it, by `user_canceled` and
//! `close_notify`: so nginx, Apache and `openssl s_server` write nothing at their usual levels, HAProxy "SSL handshake
//! failure", Dovecot a line of level info, and Redis "Error accepting a client connection".
//!
//! Source: RFC 5246 §6.2.1, §7.4; RFC 8446 §4.2.1, §6, appendix B.2.

use crate::bytes::Bytes;
use crate::certificate;
use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

pub(crate) const SCRIPT: Script = Script {
    protocol: "tls",
    question: HELLO,
    asks: "a TLS hello",
    reader: Reader::Parser(parse),
    // Two warnings: user_canceled, close_notify.
    farewell: |_| b"\x15\x03\x03\0\x02\x01\x5a\x15\x03\x03\0\x02\x01\0",
};

/// A `ClientHello` for TLS 1.2. Its random bytes need not be random: no key is ever made with them.
const HELLO: &[u8] = b"\x16\x03\x01\0\x7d\
    \x01\0\0\x79\x03\x03\
    Diogenes asks whether TLS answer\
    \0\
    \0\x1a\
    \xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30\xcc\xa9\xcc\xa8\xc0\x09\xc0\x13\xc0\x14\0\x9c\0\x9d\0\x2f\0\xff\
    \x01\0\
    \0\x36\
    \0\x0a\0\x0a\0\x08\0\x1d\0\x17\0\x18\0\x19\
    \0\x0b\0\x02\x01\0\
    \0\x0d\0\x1a\0\x18\x04\x03\x05\x03\x06\x03\x08\x07\x08\x04\x08\x05\x08\x06\x04\x01\x05\x01\x06\x01\x02\x01\x02\x03\
    \0\x17\0\0";

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
/// `protocol_version`.
const TOO_OLD: u8 = 70;
/// A certificate that is not there by here is not waited for, in bytes: real ones have one or two thousand.
const LONGEST_WAITED_FOR: usize = 6 * 1024;
/// Longest record (RFC 5246 §6.2.3).
const LONGEST_RECORD: usize = (1 << 14) + 2048;

/// Reads a server's first records.
pub(crate) fn parse(heard: &[u8]) -> Reply {
    let mut handshake = Vec::new();
    let mut records = Bytes(heard);
    let is_over = loop {
        match record(&mut records) {
            Record::Of(HANDSHAKE, fragment, is_whole) => {
                handshake.extend_from_slice(fragment);
                if !is_whole {
                    break false;
                }
            }
            Record::Of(ALERT, fragment, is_whole) if handshake.is_empty() => {
                return match (fragment, is_whole) {
                    (_, false) => Reply::Incomplete,
                    (&[_level, description], true) => alert(description).into(),
                    (_, true) => Reply::Stranger,
                };
            }
            Record::Of(..) | Record::Stranger => break true,
            Record::None => break false,
        }
    };
    server_hello(&handshake, is_over)
}

/// A record, as far as it is there.
enum Record<'a> {
    /// Its type, what it holds, and whether that is all.
    Of(u8, &'a [u8], bool),
    /// Too short to tell.
    None,
    Stranger,
}

fn record<'a>(records: &mut Bytes<'a>) -> Record<'a> {
    let head = &records.0[..records.0.len().min(3)];
    if !matches!(head, [] | [20..=23] | [20..=23, 3] | [20..=23, 3, 0..=4]) {
        return Record::Stranger;
    }
    let (Some(kind), Some(_version), Some(length)) = (records.u8(), records.u16(), records.u16())
    else {
        return Record::None;
    };
    let length = usize::from(length);
    if length > LONGEST_RECORD {
        return Record::Stranger;
    }
    let there = length.min(records.0.len());
    let fragment = records.take(there).unwrap_or_default();
    Record::Of(kind, fragment, there == length)
}

/// Source: RFC 8446 §6.
fn alert(description: u8) -> Answer {
    match description {
        TOO_OLD => Answer::alive("answers with TLS newer than 1.2"),
        _ => Answer::alive(format!("answers with TLS (alert {description})")),
    }
}

/// Reads the handshake's messages. What follows the hello may be lacking where it `is_over`, or where it is not the
/// certificate.
fn server_hello(handshake: &[u8], is_over: bool) -> Reply {
    let lacking = if is_over {
        Reply::Stranger
    } else {
        Reply::Incomplete
    };
    if handshake.first().is_some_and(|&kind| kind != SERVER_HELLO) {
        return Reply::Stranger;
    }
    let mut messages = Bytes(handshake);
    let Some((_, hello)) = message(&mut messages) else {
        return lacking;
    };
    let Some(version) = Bytes(hello).u16() else {
        return lacking;
    };
    let mut answer = Answer::alive(match version {
        0x0303 => "answers with TLS 1.2".to_owned(),
        0x0302 => "answers with TLS 1.1".to_owned(),
        0x0301 => "answers with TLS 1.0".to_owned(),
        other => format!("answers with TLS (version {other:#06x})"),
    });
    match first_certificate(&mut messages) {
        Some(certificate) => answer.expires_at = certificate::expires_at(certificate),
        None if is_over || handshake.len() > LONGEST_WAITED_FOR => {}
        None if messages.0.first().is_some_and(|&kind| kind != CERTIFICATE) => {}
        None => return Reply::Incomplete,
    }
    answer.into()
}

/// The next message's kind, and what it holds.
fn message<'a>(messages: &mut Bytes<'a>) -> Option<(u8, &'a [u8])> {
    let kind = messages.u8()?;
    let length = messages.u24()?;
    Some((kind, messages.take(length)?))
}

/// The server's own certificate, which comes first; those of its authorities are not waited for.
fn first_certificate<'a>(messages: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let mut bytes = *messages;
    (bytes.u8()? == CERTIFICATE).then_some(())?;
    // The lengths of the message and of the chain.
    bytes.take(6)?;
    let length = bytes.u24()?;
    bytes.take(length)
}
