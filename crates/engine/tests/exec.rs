//! Programs in containers over HTTP, from an Engine that answers as it is told.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

mod answering;

use std::io::{Read, Write};
use std::time::Duration;

use diogenes_engine::{Bytes, EngineError, LogStream};
use tokio::io::AsyncWriteExt;

use answering::{chunk, engine, head};

const HANDED_OVER: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

#[tokio::test]
async fn a_program_is_spoken_with_over_the_connection() {
    let (docker, asked) = engine(|mut stream| {
        // What it says first may come with the head, and be cut anywhere.
        let said = b"\x02\0\0\0\0\0\0\x04oh, \x01\0\0\0\0\0\0\x05hel";
        stream.write_all(&[HANDED_OVER, said].concat()).unwrap();
        stream.write_all(b"lo").unwrap();
        // The end of its input leaves its output open.
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert!(heard.ends_with("question"), "{heard}");
        stream.write_all(b"\x01\0\0\0\0\0\0\x01!").unwrap();
    });
    let mut exec = docker.start_exec("c0ffee").await.unwrap();
    assert_eq!(asked.recv().unwrap(), "POST /exec/c0ffee/start HTTP/1.1");
    exec.input.write_all(b"question").await.unwrap();
    exec.input.shutdown().await.unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((stream, bytes)) = exec.output.next().await.unwrap() {
        match stream {
            LogStream::Stdout => out.extend_from_slice(bytes),
            LogStream::Stderr => err.extend_from_slice(bytes),
        }
    }
    assert_eq!((&out[..], &err[..]), (&b"hello!"[..], &b"oh, "[..]));
}

#[tokio::test]
async fn what_a_frame_claims_is_not_waited_for() {
    let (docker, _asked) = engine(|mut stream| {
        let endless = [HANDED_OVER, b"\x01\0\0\0\xff\xff\xff\xffx"].concat();
        stream.write_all(&endless).unwrap();
        std::thread::sleep(Duration::from_secs(30));
    });
    let mut exec = docker.start_exec("c0ffee").await.unwrap();
    let said = exec.output.next().await.unwrap();
    assert_eq!(said, Some((LogStream::Stdout, &b"x"[..])));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_engines_words() {
    let (docker, _asked) = engine(|mut stream| {
        let body = br#"{"message":"Container c0 is paused"}"#;
        stream.write_all(head("409 Conflict").as_bytes()).unwrap();
        stream.write_all(&chunk(body)).unwrap();
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let told = docker.start_exec("c0ffee").await.unwrap_err();
    let message = "Container c0 is paused".to_owned();
    assert_eq!(told, EngineError::Api { message });
}

#[tokio::test]
async fn an_id_is_no_way_to_another_question() {
    let docker = diogenes_engine::Docker::new("/nowhere/docker.sock".parse().unwrap());
    for id in ["", "../containers", "c0?x", "c0 x"] {
        let told = docker.start_exec(id).await.unwrap_err();
        assert!(matches!(told, EngineError::Api { .. }), "{told}");
    }
    let told = docker.upload("c0", Bytes::new()).await.unwrap_err();
    assert!(told.is_absence(), "{told}");
}
