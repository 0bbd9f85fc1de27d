//! DNS, over TCP where it listens on that: the server's version, `version.bind` in class CHAOS.
//!
//! Any answer will do, a refusal too, and BIND 9.18 writes nothing about it. The question is about the server itself, so nothing is asked of anybody else.
//! Source: RFC 1035 §4.1, §4.2.2; RFC 4892 §3; BIND 9 Administrator Reference Manual, "version".

use crate::bytes::Bytes;
use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

/// The number of the question, which the answer repeats.
const NUMBER: u16 = u16::from_be_bytes(*b"di");

pub(crate) const SCRIPT: Script = Script {
    protocol: "dns",
    // Thirty bytes: the number, no flags, one question; version.bind, TXT (16), CHAOS (3).
    question: b"\0\x1edi\0\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03",
    asks: "version.bind",
    reader: Reader::Parser(parse),
    farewell: |_| b"",
};

/// Reads the answer: its number, and the text that it may hold.
pub(crate) fn parse(heard: &[u8]) -> Reply {
    let mut bytes = Bytes(heard);
    let (Some(length), Some(number), Some(flags)) = (bytes.u16(), bytes.u16(), bytes.u16()) else {
        return Reply::Incomplete;
    };
    let is_response = flags & 0x8000 != 0;
    if number != NUMBER || !is_response || length < 12 {
        return Reply::Stranger;
    }
    let Some(message) = heard.get(2..2 + usize::from(length)) else {
        return Reply::Incomplete;
    };
    let answer = match flags & 0xf {
        0 | 5 => Answer::alive("answers version.bind"),
        code => Answer::alive(format!("answers version.bind with code {code}")),
    };
    let (product, version) = text(message).map(split).unwrap_or_default();
    answer.with_product(product).with_version(version).into()
}

/// The text of the first answer. Names are passed over, a compressed one (RFC 1035 §4.1.4) as well as a plain one.
fn text(message: &[u8]) -> Option<&[u8]> {
    let mut bytes = Bytes(message);
    bytes.take(4)?;
    let (questions, answers) = (bytes.u16()?, bytes.u16()?);
    bytes.take(4)?;
    if questions > 1 || answers == 0 {
        return None;
    }
    if questions == 1 {
        name(&mut bytes)?;
        bytes.take(4)?;
    }
    name(&mut bytes)?;
    let kind = bytes.u16()?;
    // Class, time to live.
    bytes.take(6)?;
    let length = usize::from(bytes.u16()?);
    let mut data = Bytes(bytes.take(length)?);
    let length = usize::from(data.u8().filter(|_| kind == 16)?);
    data.take(length)
}

fn name(bytes: &mut Bytes<'_>) -> Option<()> {
    loop {
        match bytes.u8()? {
            0 => return Some(()),
            label @ 1..64 => bytes.take(usize::from(label))?,
            0xc0.. => return bytes.take(1).map(drop),
            _ => return None,
        };
    }
}

/// Product and version of `9.18.33-1~deb12u2-Debian`, `dnsmasq-2.90`, `unbound 1.17.1`.
fn split(text: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let begin = text.iter().position(u8::is_ascii_digit);
    let (product, version) = text.split_at(begin.unwrap_or(text.len()));
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric();
    let length = product.iter().take_while(|byte| is_word(byte)).count();
    let version = version.split(u8::is_ascii_whitespace).next();
    (Some(&product[..length]), version)
}
