//! An Engine over HTTP that answers as it is told.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use diogenes_engine::Docker;

/// An Engine that takes one connection, and what it was asked.
pub(crate) fn engine(
    answer: impl FnOnce(TcpStream) + Send + 'static,
) -> (Docker, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, asked) = channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        sender.send(lines.next().unwrap().unwrap()).unwrap();
        while !lines.next().unwrap().unwrap().is_empty() {}
        answer(stream);
    });
    (
        Docker::new(format!("tcp://{address}").parse().unwrap()),
        asked,
    )
}

/// The head of an answer whose body comes in chunks.
pub(crate) fn head(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// A piece of such a body.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    [
        format!("{:x}\r\n", bytes.len()).as_bytes(),
        bytes,
        b"\r\n".as_slice(),
    ]
    .concat()
}
