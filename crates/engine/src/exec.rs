//! A further program in a running container, spoken with over its standard input and output.
//!
//! ```text
//! POST /containers/ID/exec ─► POST /exec/ID/start: the connection itself ─┬─► input
//!                                                                         └─ frames ◄─ output
//! ```
//!
//! bollard would do so too, but keeps a frame until all of it has come, and a frame may claim any length. Here nothing
//! is kept but what one read brought.

use std::io;

use bollard::exec::CreateExecOptions;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::docker::DEADLINE;
use crate::frames::Frames;
use crate::{Docker, EngineError, LogStream, transport};

/// What is read at once. The Engine's own frames have up to 32 KiB.
const READ_BYTES: usize = 16 * 1024;

/// A program that was started. Its connection ends with the last of both halves, and then its standard input does.
#[derive(Debug)]
pub struct Exec {
    /// Its standard input: an `AsyncWrite`, whose shutdown the program reads as the end.
    pub input: ExecInput,
    /// Its standard output and error.
    pub output: ExecOutput,
}

/// A program's standard input.
pub type ExecInput = WriteHalf<TokioIo<Upgraded>>;

/// A program's standard output and error.
#[derive(Debug)]
pub struct ExecOutput {
    reader: ReadHalf<TokioIo<Upgraded>>,
    frames: Frames,
    buffer: Box<[u8]>,
    /// What of the buffer was read and not yet taken.
    unread: std::ops::Range<usize>,
}

impl ExecOutput {
    /// The next bytes of either stream, as they come, at most 16 KiB; None at the end, when the program and all that
    /// inherited its output have ended. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// Where the connection breaks off.
    pub async fn next(&mut self) -> io::Result<Option<(LogStream, &[u8])>> {
        loop {
            let mut unread = &self.buffer[self.unread.clone()];
            let piece = self.frames.next(&mut unread);
            let taken = piece.as_ref().map_or(0, |piece| piece.bytes.len());
            let end = self.unread.end - unread.len();
            self.unread.start = end;
            match piece {
                None => {
                    let count = self.reader.read(&mut self.buffer).await?;
                    if count == 0 {
                        return Ok(None);
                    }
                    self.unread = 0..count;
                }
                Some(piece) if taken > 0 => {
                    return Ok(Some((piece.stream, &self.buffer[end - taken..end])));
                }
                // A frame's head alone, or an empty one.
                Some(_) => {}
            }
        }
    }
}

impl Docker {
    /// Prepares a program as root of a running container, with the container's own privileges and no more, in its
    /// root directory. Returns the id by which it is started. Source: Docker Engine API,
    /// `POST /containers/{id}/exec`.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is no such container, [`EngineError::Api`] where it does not run or is
    /// paused.
    pub async fn create_exec(&self, id: &str, command: &[String]) -> Result<String, EngineError> {
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            privileged: Some(false),
            cmd: Some(command.to_vec()),
            // By number: an image need not have a list of users.
            user: Some("0:0".to_owned()),
            working_dir: Some("/".to_owned()),
            ..CreateExecOptions::default()
        };
        let client = self.client()?;
        let created = self.about(id, client.create_exec(id, options)).await?;
        Ok(created.id)
    }

    /// Starts a program that was prepared. That it could not be started is told by the Engine in what then comes from
    /// it. Source: Docker Engine API, `POST /exec/{id}/start`.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn start_exec(&self, exec_id: &str) -> Result<Exec, EngineError> {
        // It goes into the request's address as it is.
        if exec_id.is_empty() || !exec_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let message = format!("an exec with the id {exec_id:?}");
            return Err(EngineError::Api { message });
        }
        let target = format!("/exec/{exec_id}/start");
        let json = r#"{"Detach":false,"Tty":false}"#.to_owned();
        let asked = transport::hijack(&self.endpoint, &target, json);
        let answer = match timeout(DEADLINE, asked).await {
            Ok(answer) => answer.map_err(|error| self.explain_cause(&error))?,
            Err(_) => return Err(self.late(DEADLINE)),
        };
        match answer {
            Ok(connection) => {
                let (reader, input) = tokio::io::split(connection);
                let output = ExecOutput {
                    reader,
                    frames: Frames::default(),
                    buffer: vec![0; READ_BYTES].into(),
                    unread: 0..0,
                };
                Ok(Exec { input, output })
            }
            Err(mut refusal) => Err(self.refusal(&mut refusal).await),
        }
    }
}
