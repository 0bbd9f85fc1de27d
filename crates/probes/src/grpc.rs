//! gRPC, in plain HTTP/2: its own health check for the whole server, and `GOAWAY`.
//!
//! A server that has no such service answers that it has none, which is a sign of life too. HTTP/2's compressed headers
//! need not be read for that: `application/grpc` has two ways of being written, and the answer is one message of two
//! bytes. grpcio 1.51 writes no line about it. Sources: RFC 9113 §3.4, §4.1, §6; RFC 7541
//! §6, appendix B; gRPC's "gRPC over HTTP2" and "GRPC Health Checking Protocol".

use crate::bytes::Bytes;
use crate::http;
use crate::reply::{Answer, Reply};
use crate::script::{Reader, Script};

pub(crate) const SCRIPT: Script = Script {
    protocol: "grpc",
    // The client's preface, its settings (the usual ones), the headers of stream 1, and a message without a word.
    question: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \0\0\0\x04\0\0\0\0\0\
        \0\0\x5c\x01\x04\0\0\0\x01\
        \x83\x86\x04\x1c/grpc.health.v1.Health/Check\x01\x09localhost\
        \0\x02te\x08trailers\x0f\x10\x10application/grpc\x0f\x2b\x0ediogenes-agent\
        \0\0\x05\0\x01\0\0\0\x01\0\0\0\0\0",
    asks: "the health check",
    reader: Reader::Parser(parse),
    farewell: |_| b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0",
};

/// The bytes before a frame's content.
const HEAD: usize = 9;
/// The one stream that there is.
const OURS: u16 = 1;
/// Frames of these types (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
/// The flag of the last frame of a stream.
const END_STREAM: u8 = 1;
/// What a message has before it: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The type of content, as it is and in Huffman's code: whole bytes, by chance.
const CONTENT: [&[u8]; 2] = [
    b"application/grpc",
    b"\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64",
];

struct Frame<'a> {
    of: u8,
    flags: u8,
    stream: u16,
    content: &'a [u8],
}

/// Reads frames until the answer is there.
fn parse(heard: &[u8]) -> Reply {
    let mut bytes = Bytes(heard);
    let mut is_grpc = false;
    if heard.len() >= HEAD && !http::is_http2(heard) {
        return Reply::Stranger;
    }
    while let Some(frame) = frame(&mut bytes) {
        match (frame.of, frame.stream) {
            (HEADERS, OURS) => {
                is_grpc |= CONTENT.iter().any(|word| holds(frame.content, word));
                if !is_grpc {
                    return Reply::Stranger;
                }
                if frame.flags & END_STREAM != 0 {
                    return Answer::alive("answers, without a word on its health").into();
                }
            }
            (DATA, OURS) if is_grpc && frame.content.len() >= PREFIX => {
                return told(&frame.content[PREFIX..]).into();
            }
            (RST_STREAM, OURS) | (GOAWAY, _) => return Reply::Stranger,
            _ => {}
        }
    }
    Reply::Incomplete
}

fn frame<'a>(bytes: &mut Bytes<'a>) -> Option<Frame<'a>> {
    let length = bytes.u24()?;
    let (of, flags) = (bytes.u8()?, bytes.u8()?);
    // Of four bytes, the first two are never needed here.
    bytes.u16()?;
    Some(Frame {
        of,
        flags,
        stream: bytes.u16()?,
        content: bytes.take(length)?,
    })
}

/// What a `HealthCheckResponse` says: field 1 is 0 for unknown, 1 for serving, 2 for not serving.
fn told(message: &[u8]) -> Answer {
    match message {
        [8, 1, ..] => Answer::alive("says SERVING"),
        [8, 2, ..] => Answer::failing("says NOT_SERVING"),
        _ => Answer::alive("answers the health check"),
    }
}

fn holds(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(of: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        let head = [0, 0, length, of, flags, 0, 0, 0, stream];
        [&head[..], content].concat()
    }

    /// A server's settings and then these frames.
    fn after_settings(frames: &[Vec<u8>]) -> Vec<u8> {
        [&[said(4, 0, 0, &[0, 3, 0, 0, 0, 100])][..], frames]
            .concat()
            .concat()
    }

    fn words(heard: &[u8]) -> String {
        match parse(heard) {
            Reply::Answer(answer) => format!("{:?} {}", answer.verdict, answer.words),
            Reply::Incomplete => "incomplete".to_owned(),
            Reply::Stranger => "stranger".to_owned(),
        }
    }

    #[test]
    fn the_question_is_whole() {
        let question = SCRIPT
            .question
            .strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        let mut left = Bytes(question);
        let mut types = Vec::new();
        while let Some(frame) = frame(&mut left) {
            types.push(frame.of);
        }
        assert_eq!((types, left.0), (vec![4, HEADERS, DATA], &b""[..]));
    }

    #[test]
    fn health_is_told_where_there_is_such_a_service() {
        let headers = |flags| {
            said(
                HEADERS,
                flags,
                1,
                b"\x88\x5f\x8b\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64",
            )
        };
        let says = |message: &[u8]| {
            let content = [&[0, 0, 0, 0, 2], message].concat();
            after_settings(&[headers(4), said(DATA, 0, 1, &content)])
        };
        assert_eq!(words(&says(&[8, 1])), "Alive says SERVING");
        assert_eq!(words(&says(&[8, 2])), "Failing says NOT_SERVING");
        assert_eq!(words(&says(&[])), "Alive answers the health check");
        // As grpcio 1.51 answers without one.
        let none = b"\x88@\x0ccontent-type\x10application/grpc@\x0bgrpc-status\x0212";
        let none = after_settings(&[said(8, 0, 0, &[0, 0, 0, 5]), said(HEADERS, 5, 1, none)]);
        assert_eq!(words(&none), "Alive answers, without a word on its health");
        for cut in 0..none.len() {
            assert_eq!(words(&none[..cut]), "incomplete", "{cut}");
        }
    }

    #[test]
    fn another_server_of_http2_is_a_stranger() {
        // Node's http2.
        let page = said(
            HEADERS,
            4,
            1,
            b"\x88a\x96\xddm_J\x08Ji?u\x04\x018\xa0\x1a\xb8\xd0n4\xe2\x98\xb4o",
        );
        assert_eq!(words(&after_settings(&[page])), "stranger");
        assert_eq!(
            words(&after_settings(&[said(GOAWAY, 0, 0, &[0; 8])])),
            "stranger"
        );
        assert_eq!(words(b"HTTP/1.1 400 Bad Request\r\n"), "stranger");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let _ = parse(&after_settings(&[bytes]));
        }
    }
}
