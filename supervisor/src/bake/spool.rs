//! The file an image waits in, and the pipe it leaves by.
//!
//! An archive has to be read twice, as its manifest comes last, and may have many gigabytes: so it lies on disk, in a
//! file without a name, which the kernel removes with the process.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use diogenes_engine::{ArchiveStream, Bytes, EngineError};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::advice;

/// Length of a piece on its way to the Engine, in bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that may wait.
const PIECES: usize = 4;

/// Where the file is: not `/tmp`, which is memory on many hosts.
pub(super) fn directory() -> PathBuf {
    std::env::var_os("TMPDIR")
        .filter(|directory| !directory.is_empty())
        .map_or_else(|| "/var/tmp".into(), PathBuf::from)
}

/// Writes all of an export to a file.
pub(super) async fn fill(
    mut pieces: BoxStream<'static, Result<Bytes, EngineError>>,
) -> anyhow::Result<File> {
    let directory = directory();
    let cannot = |error: io::Error| {
        let advice = advice::directory(error.kind(), "TMPDIR=DIR");
        let message = format!("cannot keep the image in {}{advice}", directory.display());
        anyhow::Error::from(error).context(message)
    };
    let file = tempfile::tempfile_in(&directory).map_err(cannot)?;
    let mut file = tokio::fs::File::from_std(file);
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece?).await.map_err(cannot)?;
    }
    file.flush().await.map_err(cannot)?;
    Ok(file.into_std().await)
}

/// Runs `write` on a thread; what it writes comes out of the stream, and its end with the handle.
pub(super) fn stream(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> (ArchiveStream, JoinHandle<io::Result<()>>) {
    let (sender, mut receiver) = mpsc::channel(PIECES);
    let written = tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE_BYTES, Pipe(sender.clone()));
        let ended = write(&mut out).and_then(|()| out.flush());
        if let Err(error) = &ended {
            // What was sent is no whole archive: the receiver must not take it for one.
            let _ = sender.blocking_send(Err(error.kind().into()));
        }
        // Without what it still holds: nothing follows an error, and after none there is nothing.
        let _ = out.into_parts();
        ended
    });
    let pieces = stream::poll_fn(move |context| receiver.poll_recv(context));
    (pieces.boxed(), written)
}

/// The writing end of a channel.
struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_comes_out_in_its_order() {
        let text: Vec<u8> = (0..3 * PIECE_BYTES).map(|at| (at % 251) as u8).collect();
        let expected = text.clone();
        let (mut pieces, written) = stream(move |out| out.write_all(&text));
        let mut read = Vec::new();
        while let Some(piece) = pieces.next().await {
            read.extend_from_slice(&piece.unwrap());
        }
        written.await.unwrap().unwrap();
        assert!(read == expected);
    }

    #[tokio::test]
    async fn a_writer_that_fails_ends_the_stream_with_an_error() {
        let (mut pieces, written) = stream(|out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::UnexpectedEof.into())
        });
        let mut last = None;
        while let Some(piece) = pieces.next().await {
            last = Some(piece);
        }
        assert!(last.unwrap().is_err() && written.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_reader_that_leaves_stops_the_writer() {
        let (pieces, written) = stream(|out| {
            loop {
                out.write_all(&[0; 1024])?;
            }
        });
        drop(pieces);
        let error = written.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn an_export_that_breaks_off_is_no_image() {
        let pieces = vec![
            Ok(Bytes::from_static(b"half")),
            Err(EngineError::Api {
                message: "no".into(),
            }),
        ];
        let error = fill(stream::iter(pieces).boxed()).await.unwrap_err();
        assert_eq!(error.to_string(), "the Engine answered: no");
    }
}
