//! Lines through the codec both ends use: tokio-util's `LinesCodec`, with our limit. What it does with bad
//! lines is written down here, because the transports rest on it.

use diogenes_proto::line::{Addressed, MAX_LINE_BYTES, decode, encode};
use diogenes_proto::{ErrorCode, Message, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder, LinesCodec, LinesCodecError};

/// What comes out of a stream that arrives in the given chunks and then ends.
fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<String, LinesCodecError>> {
    let mut codec = LinesCodec::new_with_max_length(MAX_LINE_BYTES);
    let (mut buffer, mut lines) = (BytesMut::new(), Vec::new());
    let mut take = |next: Result<Option<String>, LinesCodecError>| {
        let line = next.transpose();
        let more = line.is_some();
        lines.extend(line);
        more
    };
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        while take(codec.decode(&mut buffer)) {}
    }
    while take(codec.decode_eof(&mut buffer)) {}
    lines
}

fn chunks<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter()
        .map(|end| &stream[std::mem::replace(&mut start, end)..end])
        .collect()
}

fn ping() -> String {
    encode(Some(1), &Request::Ping {}).expect("a ping fits a line")
}

/// A request of exactly `bytes` bytes.
fn padded(bytes: usize) -> String {
    let line = ping().replace('}', ",\"padding\":\"");
    let padding = "x".repeat(bytes - line.len() - 2);
    line + &padding + "\"}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_a_stream_is_cut_the_messages_are_the_same(
        messages in vec((any::<Option<u64>>(), arbitrary_message()), 0..6),
        cuts in vec(any::<Index>(), 0..12),
        crlf: bool,
        last_line_ended: bool,
    ) {
        let mut codec = LinesCodec::new_with_max_length(MAX_LINE_BYTES);
        let mut stream = BytesMut::new();
        for (id, message) in &messages {
            let end = if crlf { "\r" } else { "" };
            codec.encode(encode(*id, message).unwrap() + end, &mut stream).unwrap();
        }
        if !last_line_ended {
            stream.truncate(stream.len().saturating_sub(1));
        }
        let lines = read(chunks(&stream, &cuts));
        let came: Vec<_> = lines.into_iter().map(|line| decode::<Message>(line.unwrap().as_bytes()).unwrap()).collect();
        let sent: Vec<_> = messages.into_iter().map(|(id, body)| Addressed { id, body }).collect();
        prop_assert_eq!(came, sent);
    }

    #[test]
    fn arbitrary_bytes_end_in_typed_errors(stream in vec(any::<u8>(), 0..300), cuts in vec(any::<Index>(), 0..12)) {
        for line in read(chunks(&stream, &cuts)) {
            if let Ok(line) = line && let Err(bad) = decode::<Request>(line.as_bytes()) {
                prop_assert!(!bad.error.is_fatal());
            }
        }
    }
}

fn arbitrary_message() -> impl Strategy<Value = Message> {
    crate::arbitrary::message()
}

#[test]
fn the_limit_is_the_same_in_codec_and_decoder() {
    let longest = padded(MAX_LINE_BYTES);
    let lines = read([longest.as_bytes(), b"\n"]);
    assert_eq!(lines.len(), 1);
    assert!(decode::<Request>(lines[0].as_ref().unwrap().as_bytes()).is_ok());

    let longer = padded(MAX_LINE_BYTES + 1);
    assert_eq!(
        decode::<Request>(longer.as_bytes()).unwrap_err().error.code,
        ErrorCode::LineTooLong
    );
    assert!(matches!(
        read([longer.as_bytes(), b"\n"])[..],
        [Err(LinesCodecError::MaxLineLengthExceeded)]
    ));
}

/// The codec reports a long line once, as soon as the limit is passed, drops the rest of it unseen and goes on
/// with the next line. So the error can be sent before the line ends; that the session is then closed is the
/// transport's to do.
#[test]
fn a_too_long_line_is_one_error_and_then_the_codec_goes_on() {
    let flood = vec![b'x'; 3 * MAX_LINE_BYTES];
    let next = format!("\n{}\n", ping());
    for size in [1000, MAX_LINE_BYTES, flood.len()] {
        let lines = read(flood.chunks(size).chain([next.as_bytes()]));
        assert_eq!(lines.len(), 2, "in chunks of {size}");
        assert!(matches!(
            lines[0],
            Err(LinesCodecError::MaxLineLengthExceeded)
        ));
        assert_eq!(lines[1].as_ref().unwrap(), &ping());
    }
}

#[test]
fn while_a_long_line_is_dropped_nothing_is_kept() {
    let mut codec = LinesCodec::new_with_max_length(MAX_LINE_BYTES);
    let mut buffer = BytesMut::from(&vec![b'x'; MAX_LINE_BYTES + 1][..]);
    assert!(codec.decode(&mut buffer).is_err());
    for _ in 0..10 {
        buffer.extend_from_slice(&[b'x'; 5000]);
        assert!(matches!(codec.decode(&mut buffer), Ok(None)));
        assert!(buffer.is_empty());
    }
}

/// The codec calls a line that is not UTF-8 an I/O error of kind `InvalidData`. The transport answers it as
/// `malformed`, and must not take it for a broken connection.
#[test]
fn a_line_that_is_not_utf_8_is_one_error_and_then_the_codec_goes_on() {
    let stream = [b"\xff\xfe{\n", ping().as_bytes(), b"\n"].concat();
    let lines = read([&stream[..]]);
    assert_eq!(lines.len(), 2);
    let Err(LinesCodecError::Io(error)) = &lines[0] else {
        panic!("{lines:?}")
    };
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(lines[1].as_ref().unwrap(), &ping());
}

/// For a transport that does not pass over it.
#[test]
fn an_empty_line_is_malformed() {
    let lines = read([&b"\n\r\n \n"[..]]);
    assert_eq!(lines.len(), 3);
    for line in lines {
        let bad = decode::<Request>(line.unwrap().as_bytes()).unwrap_err();
        assert_eq!((bad.id, bad.error.code), (None, ErrorCode::Malformed));
    }
}

#[test]
fn half_a_line_is_malformed_when_the_stream_ends() {
    let line = ping();
    let lines = read([&line.as_bytes()[..line.len() / 2]]);
    assert_eq!(lines.len(), 1);
    let bad = decode::<Request>(lines[0].as_ref().unwrap().as_bytes()).unwrap_err();
    assert_eq!(bad.error.code, ErrorCode::Malformed);
}
