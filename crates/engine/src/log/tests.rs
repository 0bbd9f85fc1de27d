use proptest::prelude::*;
use proptest::sample::Index;

use super::assembler::LINE_BYTES;
use super::*;

const TIME: &str = "2026-01-31T08:00:00.123456789Z";

fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], length.as_slice(), payload].concat()
}

/// A message as the Engine writes it.
fn message(text: &str) -> Vec<u8> {
    format!("{TIME} {text}").into_bytes()
}

/// The lines of a body that comes in these pieces.
fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<LogLine> {
    let mut decoder = Decoder::new();
    let mut lines = Lines::new();
    for piece in pieces {
        decoder.push(piece, &mut lines);
    }
    decoder.finish(&mut lines);
    lines.into()
}

fn line(stream: LogStream, text: &str) -> LogLine {
    LogLine {
        at: Some(Timestamp::from_unix_ms(1_769_846_400_123)),
        stream,
        text: text.into(),
    }
}

#[test]
fn asks_as_the_engine_understands() {
    let options = LogOptions {
        since: Some(Timestamp::from_unix_ms(1_769_846_400_007)),
        until: Some(Timestamp::from_unix_ms(1_769_846_401_000)),
        tail: Some(0),
        follow: true,
    };
    assert_eq!(
        options.target("c0"),
        "/containers/c0/logs?stdout=1&stderr=1&timestamps=1&follow=1&tail=0\
         &since=1769846400.007&until=1769846401.000"
    );
    assert_eq!(
        LogOptions::default().target("c0"),
        "/containers/c0/logs?stdout=1&stderr=1&timestamps=1"
    );
}

#[test]
fn frames_are_told_apart_by_stream() {
    let body = [
        frame(1, &message("out\n")),
        frame(2, &message("half ")),
        frame(1, &message("\r\n")),
        frame(1, b""),
        // A line of more than 16 KiB comes in parts, each with a time.
        frame(2, &message("a line\n")),
        frame(1, &message("no end")),
    ]
    .concat();
    assert_eq!(
        lines([body.as_slice()]),
        [
            line(LogStream::Stdout, "out"),
            line(LogStream::Stdout, ""),
            line(LogStream::Stderr, "half a line"),
            line(LogStream::Stdout, "no end"),
        ]
    );
}

#[test]
fn a_terminals_output_comes_as_it_is() {
    let body = format!("{TIME} one\r\n{TIME} \x1b[1mtwo\n{TIME} \n{TIME} last");
    let told = lines([body.as_bytes()]);
    let expected = ["one", "\x1b[1mtwo", "", "last"].map(|text| line(LogStream::Stdout, text));
    assert_eq!(told, expected);
}

#[test]
fn what_has_no_time_is_told_whole() {
    let long = "x".repeat(100);
    let zero = "0001-01-01T00:00:00Z never";
    for text in [
        "2026 was a good year",
        "word",
        "",
        " blank",
        &long,
        zero,
        TIME,
    ] {
        let told = lines([frame(1, format!("{text}\n").as_bytes()).as_slice()]);
        let expected = LogLine {
            at: None,
            ..line(LogStream::Stdout, text)
        };
        assert_eq!(told, [expected], "{text:?}");
    }
}

#[test]
fn a_line_without_end_is_cut_and_not_kept() {
    let mut assembler = super::assembler::Assembler::new(LogStream::Stdout);
    let mut told = Lines::new();
    assembler.push(&message(""), &mut told);
    for _ in 0..10_000 {
        assembler.push(&[b'x'; 1000], &mut told);
        assert!(assembler.held_bytes() <= 4 * LINE_BYTES);
    }
    assert!(told.is_empty());
    assembler.push(b"\n", &mut told);
    assembler.push(&message("next\n"), &mut told);
    assert_eq!(told.len(), 2);
    let text = told[0].text.as_raw();
    assert!(text.starts_with("xxx") && text.ends_with('…') && text.len() <= 4096);
    assert_eq!(told[1], line(LogStream::Stdout, "next"));
}

#[test]
fn a_frame_may_claim_any_length() {
    let body = [
        &[1, 0, 0, 0, 255, 255, 255, 255],
        message("on\n").as_slice(),
    ]
    .concat();
    assert_eq!(lines([body.as_slice()]), [line(LogStream::Stdout, "on")]);
}

/// Messages of both streams, short and long, with and without end.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        4 => "[a-z \r\n]{0,20}",
        1 => (0_usize..20_000).prop_map(|length| "y".repeat(length)),
    ];
    let message = (1_u8..=2, text, any::<bool>()).prop_map(|(stream, text, has_end)| {
        frame(stream, &message(&(text + if has_end { "\n" } else { "" })))
    });
    let frames = proptest::collection::vec(message, 0..8).prop_map(|frames| frames.concat());
    let plain = "[a-zA-Z0-9:. \r\n-]{0,200}".prop_map(String::into_bytes);
    prop_oneof![
        frames,
        plain,
        proptest::collection::vec(any::<u8>(), 0..200)
    ]
}

proptest! {
    #[test]
    fn how_the_bytes_come_makes_no_difference(body in body(), cuts: Vec<Index>) {
        let whole = lines([body.as_slice()]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
        prop_assert_eq!(&lines(pieces), &whole);
        prop_assert_eq!(&lines(body.chunks(1)), &whole);
    }
}
