//! Memcached asked for its version in words; and where it is silent, once more in its binary protocol: with `-S`, which
//! wants passwords, it waits for that alone, and tells its version before it has one.
//!
//! Source: memcached's doc/protocol.txt, doc/protocol-binary.txt, proto_bin.c (`authenticated`).

use diogenes_proto::Verdict;

use crate::conclusion::Conclusion;
use crate::connection::Connector;
use crate::greeters::MEMCACHED;
use crate::reply::{Answer, Reply};
use crate::script::{self, Reader, Script};

/// Bytes of a header, in either direction.
const HEADER: usize = 24;

/// A header without anything behind it: a request (0x80) for the version (0x0b).
const BINARY: Script = Script {
    protocol: MEMCACHED.protocol,
    question: b"\x80\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    asks: MEMCACHED.asks,
    reader: Reader::Parser(parse),
    farewell: |_| b"",
};

/// Asks in words, for half of the time; then in binary.
pub(crate) async fn converse(connector: &Connector<'_>) -> Result<Conclusion, Conclusion> {
    let in_words = connector.within(connector.patience / 2);
    match script::converse(&in_words, &MEMCACHED).await {
        Err(silence) if silence.verdict == Verdict::Silent => {
            script::converse(connector, &BINARY).await
        }
        answered => answered,
    }
}

/// Reads the answer: its status stands in the seventh and eighth byte, the length of what follows the header from the
/// ninth on.
fn parse(heard: &[u8]) -> Reply {
    const BEGINS: &[u8] = b"\x81\x0b";
    let common = heard.len().min(BEGINS.len());
    if heard[..common] != BEGINS[..common] {
        return Reply::Stranger;
    }
    let Some((header, body)) = heard.split_at_checked(HEADER) else {
        return Reply::Incomplete;
    };
    if header[6..8] != [0, 0] {
        return Answer::alive("answers version: authentication required").into();
    }
    let length = header[8..12]
        .iter()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    match body.get(..length) {
        Some(version) => Answer::alive("answers version")
            .with_version(Some(version))
            .into(),
        // A version is a few letters.
        None if length > 64 => Reply::Stranger,
        None => Reply::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_binary_protocol() {
        // As memcached 1.6.18 gave it with -S.
        let mut heard = b"\x81\x0b\0\0\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        heard.extend_from_slice(b"1.6.18");
        for end in 0..heard.len() {
            assert_eq!(parse(&heard[..end]), Reply::Incomplete, "{end}");
        }
        let Reply::Answer(answer) = parse(&heard) else {
            panic!("no answer");
        };
        assert_eq!(answer.version.unwrap().as_raw(), "1.6.18");
        heard[7] = 0x20;
        assert!(
            matches!(parse(&heard), Reply::Answer(answer) if answer.words.ends_with("required"))
        );
        heard[7] = 0;
        heard[8] = 1;
        assert_eq!(parse(&heard), Reply::Stranger);
        assert_eq!(parse(b"VERSION"), Reply::Stranger);
    }
}
