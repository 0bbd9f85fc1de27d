//! Asking an agent that serves a socket, from within the same container.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use diogenes_proto::line::{self, MAX_LINE_BYTES};
use diogenes_proto::{Health, Hello, Request, Untrusted};
use serde::Deserialize;

use crate::place;

/// No agent answers (EX_UNAVAILABLE of sysexits.h).
const UNAVAILABLE: u8 = 69;
/// An agent answers in milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// As much of a [`diogenes_proto::Message`] as is needed here: reading the others would cost the agent 200 KB of code.
#[derive(Deserialize)]
pub(crate) struct Reply {
    #[serde(rename = "type")]
    kind: String,
    /// Of an answer.
    #[serde(default)]
    text: Untrusted,
    /// Of an error.
    #[serde(default)]
    message: Untrusted,
    /// Of a health.
    #[serde(default)]
    pub(crate) health: Health,
    /// Of a health: why, in one sentence.
    #[serde(default)]
    pub(crate) reason: Untrusted,
}

/// Asks one question and prints the answer.
pub(crate) fn ask(socket: Option<&Path>, question: &str) -> ExitCode {
    let stream = match place::connect(socket) {
        Ok(stream) => stream,
        Err(why) => {
            eprintln!("diogenes-agent: {why}");
            match socket {
                None => eprintln!("Start one with: diogenes-agent serve"),
                Some(path) => eprintln!(
                    "Start one with: diogenes-agent serve --socket {}",
                    path.display()
                ),
            }
            return ExitCode::from(UNAVAILABLE);
        }
    };
    let request = Request::Ask {
        question: question.to_owned(),
        facts: None,
    };
    match converse(&stream, &request, DEADLINE) {
        Ok(reply) => print(
            &reply
                .text
                .lines()
                .map(|line| line + "\n")
                .collect::<String>(),
        ),
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

/// Puts one request and returns its reply, within `deadline`.
///
/// # Errors
/// A sentence: what the agent says, or what is wrong with it.
pub(crate) fn converse(
    mut stream: &UnixStream,
    request: &Request,
    deadline: Duration,
) -> Result<Reply, String> {
    const ID: u64 = 1;
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("the agent does not answer within {} s", deadline.as_secs())
        }
        _ => format!("the agent does not answer: {error}"),
    };
    let strange = |error: &dyn std::fmt::Display| {
        format!("the agent answers in a way this version does not understand: {error}")
    };
    let hello =
        serde_json::to_string(&Hello::new(crate::build())).map_err(|error| strange(&error))?;
    let request = line::encode(Some(ID), request).map_err(|error| error.to_string())?;
    stream
        .write_all(format!("{hello}\n{request}\n").as_bytes())
        .map_err(broken)?;

    let mut reader = BufReader::new(Until {
        stream,
        end: Instant::now() + deadline,
    });
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
            "error" => return Err(reply.message.to_string()),
            // Reports come unasked.
            "report" => {}
            _ => return Ok(reply),
        }
    }
}

/// A stream that is read until a certain time, however slowly it drips.
struct Until<'a> {
    stream: &'a UnixStream,
    end: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}
