//! Images over HTTP, from an Engine that answers as it is told.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

mod answering;

use std::io::{self, Write};

use answering::{chunk, engine, head};
use diogenes_engine::{Bytes, EngineError, Image, Images};
use futures_util::{StreamExt, TryStreamExt, stream};

fn id() -> String {
    format!("sha256:{}", "a".repeat(64))
}

/// An archive of two pieces, the second of which may fail.
fn archive(is_whole: bool) -> diogenes_engine::ArchiveStream {
    let second = if is_whole {
        Ok(Bytes::from_static(b"half"))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    };
    stream::iter([Ok(Bytes::from_static(b"first ")), second]).boxed()
}

#[tokio::test]
async fn an_export_comes_in_pieces() {
    let (docker, asked) = engine(|mut stream| {
        stream.write_all(head("200 OK").as_bytes()).unwrap();
        for piece in ["one ", "two"] {
            stream.write_all(&chunk(piece.as_bytes())).unwrap();
        }
        stream.write_all(&chunk(b"")).unwrap();
    });
    let pieces: Vec<_> = docker.export_image(&id()).try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"one two");
    assert_eq!(
        asked.recv().unwrap(),
        format!("GET /images/{}/get HTTP/1.1", id())
    );
}

#[tokio::test]
async fn an_export_that_breaks_off_ends_with_an_error() {
    let (docker, _asked) = engine(|mut stream| {
        stream.write_all(head("200 OK").as_bytes()).unwrap();
        stream.write_all(&chunk(b"one")).unwrap();
    });
    let mut pieces = docker.export_image(&id());
    assert_eq!(pieces.next().await.unwrap().unwrap(), "one");
    assert!(pieces.next().await.unwrap().is_err());
    assert!(pieces.next().await.is_none());
}

#[tokio::test]
async fn the_engines_own_words_say_why_there_is_no_export() {
    let (docker, _asked) = engine(|mut stream| {
        let body = chunk(b"{\"message\":\"No such image: x\"}\n");
        stream.write_all(head("404 Not Found").as_bytes()).unwrap();
        stream.write_all(&[body, chunk(b"")].concat()).unwrap();
    });
    let error = docker.export_image(&id()).try_collect::<Vec<_>>().await;
    let message = "No such image: x".to_owned();
    assert_eq!(error, Err(EngineError::Api { message }));
}

#[tokio::test]
async fn an_import_is_done_when_the_engine_says_so() {
    let loaded = br#"{"stream":"Loaded image: a:b\n"}"#.as_slice();
    let failed = br#"{"errorDetail":{"message":"no space"},"error":"no space"}"#;
    let refused = br#"{"message":"no space"}"#;
    let no_space = Err(EngineError::Api {
        message: "no space".to_owned(),
    });
    for (status, body, expected) in [
        ("200 OK", loaded, Ok(())),
        ("200 OK", failed, no_space.clone()),
        ("500 X", refused, no_space),
    ] {
        let (docker, asked) = engine(move |mut stream| {
            stream.write_all(head(status).as_bytes()).unwrap();
            stream
                .write_all(&[chunk(body), chunk(b"")].concat())
                .unwrap();
            // Until the other side is done: an answer must not be lost because a question was not heard out.
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        assert_eq!(docker.import_image(archive(true)).await, expected);
        assert_eq!(asked.recv().unwrap(), "POST /images/load?quiet=1 HTTP/1.1");
    }
}

#[tokio::test]
async fn half_an_archive_is_never_taken_for_one() {
    let (docker, _asked) = engine(|mut stream| {
        let mut sent = Vec::new();
        let _ = io::Read::read_to_end(&mut stream, &mut sent);
        assert!(
            !sent.ends_with(b"0\r\n\r\n"),
            "the last chunk says that all came"
        );
    });
    assert!(docker.import_image(archive(false)).await.is_err());
}

#[tokio::test]
async fn a_list_tells_ids_and_names() {
    let (docker, _asked) = engine(|mut stream| {
        let body = format!(
            r#"[{{"Id":"{}","ParentId":"","RepoTags":["a:b"],"RepoDigests":["a@sha256:0"],"Created":1,"Size":1,"SharedSize":-1,"Labels":{{}},"Containers":-1}},
                {{"Id":"{}","ParentId":"","RepoTags":["<none>:<none>"],"RepoDigests":null,"Created":1,"Size":1,"SharedSize":-1,"Labels":null,"Containers":-1}}]"#,
            id(),
            id()
        );
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream
            .write_all(&[head.as_bytes(), body.as_bytes()].concat())
            .unwrap();
    });
    let image = |names: &[&str]| Image {
        id: id(),
        names: names.iter().map(|&name| name.to_owned()).collect(),
    };
    let images = docker.images().await.unwrap();
    assert_eq!(images, [image(&["a:b", "a@sha256:0"]), image(&[])]);
}
