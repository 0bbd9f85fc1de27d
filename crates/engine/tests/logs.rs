//! Logs over HTTP, from an Engine that answers as it is told.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

mod answering;

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use diogenes_engine::{Docker, Engine, EngineError, LogLine, LogOptions, LogStream};
use diogenes_proto::Timestamp;
use futures_util::{StreamExt, TryStreamExt};

use answering::{chunk, engine, head};

const TIME: &str = "2026-01-31T08:00:00.123456789Z";

fn frame(stream: u8, text: &str) -> Vec<u8> {
    let text = format!("{TIME} {text}");
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], length.as_slice(), text.as_bytes()].concat()
}

fn line(stream: LogStream, text: &str) -> LogLine {
    LogLine {
        at: Some(Timestamp::from_unix_ms(1_769_846_400_123)),
        stream,
        text: text.into(),
    }
}

#[tokio::test]
async fn lines_come_as_they_are_written() {
    let (go_on, wait) = channel::<()>();
    let (docker, asked) = engine(move |mut stream| {
        stream.write_all(head("200 OK").as_bytes()).unwrap();
        let frames = [frame(1, "one\n"), frame(2, "two\n")].concat();
        for piece in frames.chunks(7) {
            stream.write_all(&chunk(piece)).unwrap();
        }
        wait.recv().unwrap();
        stream.write_all(&chunk(&frame(1, "three"))).unwrap();
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let options = LogOptions {
        tail: Some(5),
        follow: true,
        ..LogOptions::default()
    };
    let mut lines = docker.logs("c0ffee", options);
    assert_eq!(lines.next().await, Some(Ok(line(LogStream::Stdout, "one"))));
    assert_eq!(lines.next().await, Some(Ok(line(LogStream::Stderr, "two"))));
    go_on.send(()).unwrap();
    assert_eq!(
        lines.next().await,
        Some(Ok(line(LogStream::Stdout, "three")))
    );
    assert_eq!(lines.next().await, None);
    assert_eq!(
        asked.recv().unwrap(),
        "GET /containers/c0ffee/logs?stdout=1&stderr=1&timestamps=1&follow=1&tail=5 HTTP/1.1"
    );
}

#[tokio::test]
async fn the_tail_is_the_lines_that_say_something() {
    let (docker, asked) = engine(|mut stream| {
        let body = format!("{TIME} one\r\n{TIME} \r\n{TIME} two");
        stream.write_all(head("200 OK").as_bytes()).unwrap();
        stream.write_all(&chunk(body.as_bytes())).unwrap();
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let tail = docker.log_tail("c0ffee", 3).await.unwrap();
    assert_eq!(tail, ["one".into(), "two".into()]);
    assert!(asked.recv().unwrap().ends_with("&tail=3 HTTP/1.1"));
}

#[tokio::test]
async fn what_the_engine_refuses_is_told_in_its_words() {
    let refusal = |status: &'static str, body: &'static str| async move {
        let (docker, _asked) = engine(move |mut stream| {
            stream.write_all(head(status).as_bytes()).unwrap();
            stream.write_all(&chunk(body.as_bytes())).unwrap();
            stream.write_all(b"0\r\n\r\n").unwrap();
        });
        let lines = docker.logs("c0ffee", LogOptions::default());
        lines.try_collect::<Vec<_>>().await.unwrap_err()
    };
    let words = "configured logging driver does not support reading";
    assert_eq!(
        refusal(
            "501 Not Implemented",
            r#"{"message":"configured logging driver does not support reading"}"#
        )
        .await,
        EngineError::Api {
            message: words.into()
        }
    );
    assert_eq!(
        refusal("500 Internal Server Error", "oops").await,
        EngineError::Api {
            message: "500 Internal Server Error".into()
        }
    );
    let missing = EngineError::NotFound {
        id: "c0ffee".into(),
    };
    assert_eq!(refusal("404 Not Found", "{}").await, missing);
}

#[tokio::test]
async fn an_engine_that_breaks_off_is_an_error_after_its_lines() {
    let (docker, _asked) = engine(|mut stream| {
        stream.write_all(head("200 OK").as_bytes()).unwrap();
        stream.write_all(&chunk(&frame(1, "one\n"))).unwrap();
    });
    let mut lines = docker.logs("c0ffee", LogOptions::default());
    assert_eq!(lines.next().await, Some(Ok(line(LogStream::Stdout, "one"))));
    assert!(lines.next().await.unwrap().is_err());
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn who_loses_interest_hangs_up() {
    let (tell, told) = channel();
    let (docker, _asked) = engine(move |mut stream| {
        stream.write_all(head("200 OK").as_bytes()).unwrap();
        stream.write_all(&chunk(&frame(1, "one\n"))).unwrap();
        let patience = Some(Duration::from_secs(5));
        stream.set_read_timeout(patience).unwrap();
        tell.send(stream.read(&mut [0])).unwrap();
    });
    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut lines = docker.logs("c0ffee", follow);
    assert!(lines.next().await.unwrap().is_ok());
    drop(lines);
    assert_eq!(told.recv().unwrap().unwrap(), 0, "the other side is closed");
}

#[tokio::test]
async fn an_id_is_no_way_to_another_question() {
    let docker = Docker::new("/nowhere/docker.sock".parse().unwrap());
    for id in ["", "x/../../info?", "x?y", "a b", "c0\r\nX: y"] {
        let said = docker.logs(id, LogOptions::default()).next().await.unwrap();
        assert_eq!(said, Err(EngineError::NotFound { id: id.into() }), "{id:?}");
    }
    let absent = docker
        .logs("c0", LogOptions::default())
        .next()
        .await
        .unwrap();
    assert!(absent.unwrap_err().is_absence());
}

#[tokio::test]
async fn nobody_waits_long_for_a_tail() {
    let (docker, _asked) = engine(|_stream| thread::sleep(Duration::from_secs(30)));
    let begun = Instant::now();
    assert!(docker.log_tail("c0", 5).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(3));
}
