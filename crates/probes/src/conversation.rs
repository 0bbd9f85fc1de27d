//! A connection with what was heard on it: bounded in bytes, and over by the deadline.

use std::io;
use std::time::Duration;

use diogenes_proto::Verdict;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::conclusion::{Conclusion, millis};

/// Why listening ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// What was waited for is there.
    Enough,
    /// As much as may be read, and still not what was waited for.
    TooMuch,
    /// The other side closed, or reset, the connection first.
    Closed,
    /// Time ran out first.
    Nothing,
}

/// One connection.
pub(crate) struct Conversation<S> {
    stream: S,
    until: Instant,
    patience: Duration,
    read_bytes: usize,
    heard: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// `patience` is the probe's whole time, of which `until` is the end: what evidence names.
    pub(crate) fn new(stream: S, until: Instant, patience: Duration, read_bytes: usize) -> Self {
        Self {
            stream,
            until,
            patience,
            read_bytes,
            heard: Vec::new(),
        }
    }

    /// What was heard since the last question.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Asks, forgetting what was heard before. A peer that will not take the question has closed or stopped
    /// reading; what it said instead is still heard by [`Self::listen`], so no error is lost here.
    pub(crate) async fn ask(&mut self, question: &[u8]) {
        self.heard.clear();
        let _ = timeout_at(self.until, self.stream.write_all(question)).await;
    }

    /// Listens until `enough` says so of what was heard.
    pub(crate) async fn listen(&mut self, enough: impl Fn(&[u8]) -> bool) -> Heard {
        self.listen_until(self.until, enough).await
    }

    /// Listens until `enough` says so, `moment` at the latest.
    pub(crate) async fn listen_until(
        &mut self,
        moment: Instant,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Heard {
        let moment = moment.min(self.until);
        let mut chunk = [0_u8; 1024];
        loop {
            let room = self.read_bytes.saturating_sub(self.heard.len());
            if room == 0 {
                return Heard::TooMuch;
            }
            let window = room.min(chunk.len());
            match timeout_at(moment, self.stream.read(&mut chunk[..window])).await {
                Err(_elapsed) => return Heard::Nothing,
                Ok(Ok(0)) => return Heard::Closed,
                Ok(Ok(read)) => self.heard.extend_from_slice(&chunk[..read]),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(Err(_reset)) => return Heard::Closed,
            }
            if enough(&self.heard) {
                return Heard::Enough;
            }
        }
    }

    /// Says farewell, and waits for the other side to close. Whoever closes with something unread resets the
    /// connection (RFC 1122 §4.2.2.13), which many servers write a line about.
    pub(crate) async fn leave(&mut self, farewell: &[u8], patience: Duration) {
        self.ask(farewell).await;
        let _ = timeout_at(self.until, self.stream.shutdown()).await;
        self.listen_until(Instant::now() + patience, |_| false)
            .await;
    }

    /// What it means that `question` got no answer that could be read.
    pub(crate) fn unanswered(&self, question: &str, heard: Heard) -> Conclusion {
        let some = self.heard.len();
        match heard {
            Heard::Nothing if some == 0 => Conclusion::new(
                Verdict::Silent,
                format!("no answer to {question} in {}", millis(self.patience)),
            ),
            Heard::Nothing => Conclusion::new(
                Verdict::Silent,
                format!(
                    "an unfinished answer to {question} after {} ({some} bytes)",
                    millis(self.patience)
                ),
            ),
            Heard::Closed if some == 0 => Conclusion::new(
                Verdict::Garbled,
                format!("closes the connection without an answer to {question}"),
            ),
            Heard::Closed | Heard::TooMuch | Heard::Enough => Conclusion::new(
                Verdict::Garbled,
                format!(
                    "what it answers to {question} is something else: {}",
                    crate::conclusion::quote(&self.heard)
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(2);

    fn conversation() -> (Conversation<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(64 * 1024);
        let until = Instant::now() + DEADLINE;
        (Conversation::new(near, until, DEADLINE, 8 * 1024), far)
    }

    fn has_line(bytes: &[u8]) -> bool {
        bytes.contains(&b'\n')
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_deadline() {
        let (mut near, _far) = conversation();
        let started = Instant::now();
        near.ask(b"hello?\n").await;
        let heard = near.listen(has_line).await;
        assert_eq!(heard, Heard::Nothing);
        assert_eq!(started.elapsed(), DEADLINE);
        let conclusion = near.unanswered("hello", heard);
        assert_eq!(conclusion.verdict, Verdict::Silent);
        assert_eq!(conclusion.evidence, "no answer to hello in 2 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_does_not_hold_it() {
        let (near, _far) = duplex(16);
        let started = Instant::now();
        let mut near = Conversation::new(near, Instant::now() + DEADLINE, DEADLINE, 8 * 1024);
        near.ask(&[b'x'; 1000]).await;
        assert_eq!(near.listen(has_line).await, Heard::Nothing);
        assert_eq!(started.elapsed(), DEADLINE);
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_come_together() {
        let (mut near, mut far) = conversation();
        let peer = async {
            for byte in b"+PONG\r\n" {
                sleep(Duration::from_millis(50)).await;
                far.write_all(&[*byte]).await.unwrap();
            }
        };
        let (heard, ()) = tokio::join!(near.listen(has_line), peer);
        assert_eq!(heard, Heard::Enough);
        assert_eq!(near.heard(), b"+PONG\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_drip_ends_at_the_deadline() {
        let (mut near, mut far) = conversation();
        let started = Instant::now();
        let peer = async {
            loop {
                sleep(Duration::from_millis(300)).await;
                far.write_all(b"x").await.unwrap();
            }
        };
        let heard = tokio::select! {
            heard = near.listen(has_line) => heard,
            () = peer => unreachable!(),
        };
        assert_eq!(heard, Heard::Nothing);
        assert_eq!(started.elapsed(), DEADLINE);
        let conclusion = near.unanswered("hello", heard);
        assert_eq!(
            conclusion.evidence,
            "an unfinished answer to hello after 2 s (6 bytes)"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_giant_is_not_read_to_its_end() {
        let (mut near, mut far) = conversation();
        far.write_all(&[b'x'; 60_000]).await.unwrap();
        assert_eq!(near.listen(has_line).await, Heard::TooMuch);
        assert_eq!(near.heard().len(), 8 * 1024);
        let conclusion = near.unanswered("hello", Heard::TooMuch);
        assert_eq!(conclusion.verdict, Verdict::Garbled);
        assert!(conclusion.evidence.len() < 250, "{}", conclusion.evidence);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_connection_is_no_silence() {
        let (mut near, far) = conversation();
        drop(far);
        near.ask(b"hello?\n").await;
        let heard = near.listen(has_line).await;
        assert_eq!(heard, Heard::Closed);
        let conclusion = near.unanswered("hello", heard);
        assert_eq!(
            conclusion.evidence,
            "closes the connection without an answer to hello"
        );
    }
}
