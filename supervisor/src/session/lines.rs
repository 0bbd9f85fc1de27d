//! Lines of a peer that is not trusted: bounded in length and in rate, in bytes until they are decoded.
//!
//! A peer that sends too fast is read more slowly, and its own socket buffer holds it back. Bytes, not text:
//! a line that is not UTF-8 is one bad line, where a text codec would take it for the end of the stream.

use std::time::Duration;

use diogenes_proto::line::{self, Body, MAX_LINE_BYTES};
use diogenes_proto::{ErrorCode, WireError};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::bytes::Bytes;
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, FramedRead};

use crate::session::token_bucket::TokenBucket;

/// Sustained rate and burst, in bytes. A full report of a large container has some tens of KiB.
const BYTES_PER_SECOND: u32 = 1024 * 1024;
const BYTES_BURST: u32 = 4 * 1024 * 1024;
/// Sustained rate and burst, in lines.
const LINES_PER_SECOND: u32 = 2000;
const LINES_BURST: u32 = 4000;
/// The read buffer to begin with: most lines fit, and ten thousand sessions stay small.
const BUFFER_BYTES: usize = 1024;
/// How long a peer may leave what it is sent unread before it counts as stuck.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);

/// The end of a stream of lines.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// More bytes than a line may have, without a line feed.
    #[error("a line longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl LineError {
    /// What to tell the peer; None where there is nobody left to tell.
    pub(crate) fn to_wire(&self) -> Option<WireError> {
        match self {
            Self::TooLong => {
                let message = format!("a line may have {MAX_LINE_BYTES} bytes; the session ends");
                Some(WireError::new(ErrorCode::LineTooLong, message))
            }
            Self::Io(_) => None,
        }
    }
}

/// Reads lines.
pub(crate) struct LineReader<R> {
    framed: FramedRead<R, AnyDelimiterCodec>,
    bytes: TokenBucket,
    lines: TokenBucket,
    /// When the next line may be read.
    open_at: Instant,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Over one half of a connection.
    pub(crate) fn new(reader: R) -> Self {
        let codec =
            AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), b"\n".to_vec(), MAX_LINE_BYTES);
        let now = Instant::now();
        Self {
            framed: FramedRead::with_capacity(reader, codec, BUFFER_BYTES),
            bytes: TokenBucket::new(BYTES_PER_SECOND, BYTES_BURST, now),
            lines: TokenBucket::new(LINES_PER_SECOND, LINES_BURST, now),
            open_at: now,
        }
    }

    /// The next line, without its line feed; what stands before the end of the stream counts as one. None at the end.
    /// May be dropped and called again: nothing is lost.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, LineError>> {
        // Even a sleep until now would take the runtime's timer a millisecond.
        if self.open_at > Instant::now() {
            sleep_until(self.open_at).await;
        }
        let line = self.framed.next().await?;
        Some(match line {
            Ok(line) => {
                let now = Instant::now();
                let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
                self.open_at = now + self.bytes.take(length, now).max(self.lines.take(1, now));
                Ok(line)
            }
            Err(AnyDelimiterCodecError::MaxChunkLengthExceeded) => Err(LineError::TooLong),
            Err(AnyDelimiterCodecError::Io(error)) => Err(LineError::Io(error)),
        })
    }
}

/// Sends one message, within a deadline.
///
/// # Errors
/// Where it does not fit a line, the connection broke, or the peer does not read.
pub(crate) async fn send<W: AsyncWrite + Unpin, T: Body>(
    writer: &mut W,
    id: Option<u64>,
    body: &T,
) -> std::io::Result<()> {
    let text = line::encode(id, body)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
    send_text(writer, text).await
}

/// Sends one line, within a deadline.
///
/// # Errors
/// Where the connection broke or the peer does not read.
pub(crate) async fn send_text<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut text: String,
) -> std::io::Result<()> {
    text.push('\n');
    let stuck = |_| {
        std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "it does not read what it is sent",
        )
    };
    timeout(WRITE_DEADLINE, writer.write_all(text.as_bytes()))
        .await
        .map_err(stuck)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reads_lines_whatever_they_hold() {
        let mut reader = LineReader::new(&b"one\n\xff\xfe\n\nhalf"[..]);
        for expected in [&b"one"[..], b"\xff\xfe", b"", b"half"] {
            assert_eq!(reader.next().await.unwrap().unwrap(), expected);
        }
        assert!(reader.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_without_an_end_is_an_error_and_not_memory() {
        let mut reader = LineReader::new(tokio::io::repeat(b'x'));
        assert!(matches!(reader.next().await, Some(Err(LineError::TooLong))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_read_slowly() {
        let flood = "x\n".repeat(LINES_BURST as usize + 2 * LINES_PER_SECOND as usize);
        let mut reader = LineReader::new(flood.as_bytes());
        let start = Instant::now();
        let mut lines = 0;
        while reader.next().await.is_some() {
            lines += 1;
        }
        assert_eq!(lines, 8000);
        let took = start.elapsed();
        assert!(
            took > Duration::from_millis(1900) && took < Duration::from_millis(2200),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_given_up() {
        let (mut near, _far) = tokio::io::duplex(16);
        let error = send_text(&mut near, "x".repeat(100)).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }
}
