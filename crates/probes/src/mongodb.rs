//! MongoDB: `buildInfo`, which needs no authentication and tells the version.
//!
//! Written by the specification: Debian has no MongoDB to try it on. Source: MongoDB documentation, "MongoDB Wire Protocol" (OP_MSG), "buildInfo"; the BSON specification 1.1. Servers
//! older than 3.6 do not know the message and close. `mongod` notes every connection.

use crate::bytes::Bytes;
use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

/// The number of the question, which the answer repeats.
const REQUEST_ID: u32 = 0x676f_6964;
const OP_MSG: u32 = 2013;
/// Longest answer taken for one, in bytes: real ones have two or three thousand.
const LONGEST: usize = 64 * 1024;
/// As much of an answer as is waited for: the version comes early.
const LOOKED_AT: usize = 1024;

pub(crate) const SCRIPT: Script = Script {
    protocol: "mongodb",
    // Length 56, number, no answer to anything, OP_MSG, no flags, one section of kind 0, and in BSON
    // {buildInfo: 1, $db: "admin"}.
    question: b"\x38\0\0\0diog\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\
        \x23\0\0\0\x10buildInfo\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0",
    asks: "buildInfo",
    reader: Reader::Parser(parse),
    farewell: |_| b"",
};

/// Reads the answer to `buildInfo`.
pub(crate) fn parse(heard: &[u8]) -> Reply {
    let mut bytes = Bytes(heard);
    let Some((length, _number, to, code)) = header(&mut bytes) else {
        return Reply::Incomplete;
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if to != REQUEST_ID || code != OP_MSG || !(26..LONGEST).contains(&length) {
        return Reply::Stranger;
    }
    let Some(looked_at) = heard.get(16..length.min(LOOKED_AT)) else {
        return Reply::Incomplete;
    };
    let mut bytes = Bytes(looked_at);
    // Flags, the section's kind, the document's length.
    bytes.take(9);
    let document = Document::read(bytes);
    match (document.version, document.error) {
        (None, Some(message)) => Answer::alive("answers buildInfo").saying(message).into(),
        (version, _) => Answer::alive("answers buildInfo")
            .with_version(version)
            .into(),
    }
}

fn header(bytes: &mut Bytes<'_>) -> Option<(u32, u32, u32, u32)> {
    Some((
        bytes.u32_le()?,
        bytes.u32_le()?,
        bytes.u32_le()?,
        bytes.u32_le()?,
    ))
}

/// What is looked for in a document.
#[derive(Default)]
struct Document<'a> {
    version: Option<&'a [u8]>,
    error: Option<&'a [u8]>,
}

impl<'a> Document<'a> {
    /// Walks the elements of a document, its own only, as far as they can be read.
    fn read(mut bytes: Bytes<'a>) -> Self {
        let mut found = Self::default();
        while let Some((name, value)) = element(&mut bytes) {
            match name {
                b"version" => found.version = value,
                b"errmsg" => found.error = value,
                _ => {}
            }
        }
        found
    }
}

/// The next element's name, and its value where that is a text; None at the end, or at what is not known.
fn element<'a>(bytes: &mut Bytes<'a>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let kind = bytes.u8().filter(|&kind| kind != 0)?;
    let name = bytes.text()?;
    let fixed = match kind {
        // Text: its length with the zero byte that ends it.
        0x02 => {
            let length = usize::try_from(bytes.u32_le()?).ok()?;
            let text = bytes.take(length)?;
            return Some((name, text.strip_suffix(b"\0")));
        }
        // A document or an array: its length is its own part.
        0x03 | 0x04 => usize::try_from(bytes.u32_le()?).ok()?.checked_sub(4)?,
        0x01 | 0x09 | 0x11 | 0x12 => 8,
        0x07 => 12,
        0x08 => 1,
        0x0a => 0,
        0x10 => 4,
        0x13 => 16,
        _ => return None,
    };
    bytes.take(fixed)?;
    Some((name, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of this document.
    fn message(document: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
        [
            &length(26 + document.len())[..],
            b"\x07\0\0\0diog\xdd\x07\0\0\0\0\0\0\0",
            &length(5 + document.len()),
            document,
            b"\0",
        ]
        .concat()
    }

    #[test]
    fn the_question_is_as_long_as_it_says() {
        let question = SCRIPT.question;
        assert_eq!(usize::from(question[0]), question.len());
        assert_eq!(usize::from(question[21]), question.len() - 21);
    }

    #[test]
    fn answers() {
        let good = message(b"\x02version\0\x07\0\0\x007.0.14\0\x04modules\0\x05\0\0\0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f");
        let version = |reply| match reply {
            Reply::Answer(answer) => answer.version,
            other => panic!("{other:?}"),
        };
        assert_eq!(version(parse(&good)), Some("7.0.14".into()));
        for cut in 0..good.len() {
            assert_eq!(parse(&good[..cut]), Reply::Incomplete, "{cut}");
        }
        let bad = message(b"\x01ok\0\0\0\0\0\0\0\0\0\x02errmsg\0\x03\0\0\0no\0");
        let Reply::Answer(answer) = parse(&bad) else {
            panic!("an error is an answer");
        };
        assert_eq!(answer.said.as_deref(), Some("\"no\""));
        assert_eq!(parse(b"HTTP/1.1 400 Bad Request\r\n"), Reply::Stranger);
    }
}
