//! Asking an agent that serves a socket, from a shell in the same container.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use diogenes_proto::line::{self, MAX_LINE_BYTES};
use diogenes_proto::{Hello, Request, Untrusted};
use serde::Deserialize;

/// No agent answers (EX_UNAVAILABLE of sysexits.h).
const UNAVAILABLE: u8 = 69;
/// An agent answers in milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// As much of a [`diogenes_proto::Message`] as is needed here: reading the others would cost the agent 200 KB of code.
#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "type")]
    kind: String,
    /// Of an answer.
    #[serde(default)]
    text: Untrusted,
    /// Of an error.
    #[serde(default)]
    message: Untrusted,
}

/// Asks one question and prints the answer.
pub(crate) fn ask(socket: &Path, question: &str) -> ExitCode {
    let stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) => {
            eprintln!(
                "diogenes-agent: no agent answers at {}: {error}",
                socket.display()
            );
            eprintln!(
                "Start one with: diogenes-agent serve --socket {}",
                socket.display()
            );
            return ExitCode::from(UNAVAILABLE);
        }
    };
    match converse(&stream, question) {
        Ok(text) => print(&text),
        Err(why) => {
            eprintln!("diogenes-agent: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output; a reader that has gone is no failure.
pub(crate) fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn converse(mut stream: &UnixStream, question: &str) -> Result<String, String> {
    const ID: u64 = 1;
    let broken = |error: std::io::Error| format!("the agent does not answer: {error}");
    let strange = |error: &dyn std::fmt::Display| {
        format!("the agent answers in a way this version does not understand: {error}")
    };
    stream.set_read_timeout(Some(DEADLINE)).map_err(broken)?;
    stream.set_write_timeout(Some(DEADLINE)).map_err(broken)?;
    let hello =
        serde_json::to_string(&Hello::new(crate::build())).map_err(|error| strange(&error))?;
    let request = Request::Ask {
        question: question.to_owned(),
        facts: None,
    };
    let request = line::encode(Some(ID), &request).map_err(|error| error.to_string())?;
    stream
        .write_all(format!("{hello}\n{request}\n").as_bytes())
        .map_err(broken)?;

    let mut reader = BufReader::new(stream);
    let mut next = || -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let limit = MAX_LINE_BYTES as u64 + 1;
        match reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut bytes)
            .map_err(broken)?
        {
            0 => Err("the agent closed the conversation".to_owned()),
            _ => Ok(bytes),
        }
    };
    line::decode_hello(&next()?).map_err(|error| strange(&error))?;
    loop {
        let reply: Reply = serde_json::from_slice(&next()?).map_err(|error| strange(&error))?;
        match reply.kind.as_str() {
            "answer" => return Ok(reply.text.lines().map(|line| line + "\n").collect()),
            "error" => return Err(reply.message.to_string()),
            // Reports come unasked.
            _ => {}
        }
    }
}
