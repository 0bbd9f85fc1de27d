//! Telling what the processes log to files, without ever waiting for a file.
//!
//! To open or to read a file of the container may hang for ever (a dead network volume). So each request has a
//! thread, and is answered after a time with what that thread has read by then:
//!
//! ```text
//! request ─► thread: find ─► read, file by file ─► Progress ─┬─ done ────────┬─► answer
//!                                                            └─ time is up ──┘
//! ```
//!
//! A thread that hangs is left to itself; as long as it does, its file is not tried again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diogenes_discovery::logs::{Part, Writer, find};
use diogenes_discovery::reader;
use diogenes_proto::{ErrorCode, LogFile, Logs, Message, Untrusted, WireError};
use rustix::io::Errno;
use tokio::sync::oneshot;

/// How long a request waits for files; far more than disks need.
const DEADLINE: Duration = Duration::from_secs(2);
/// Threads at a time, those that hang among them: each costs its stack.
const MAX_THREADS: usize = 4;
/// Most files that are told.
const MAX_FILES: usize = 32;

/// The threads that read log files for this agent.
#[derive(Default)]
pub(crate) struct LogReader {
    threads: Vec<Arc<Mutex<Progress>>>,
}

/// How far a thread has come.
struct Progress {
    logs: Logs,
    /// The file it reads now.
    reading: Option<LogFile>,
    begun: Instant,
}

impl LogReader {
    /// Begins to read this part of the files of `writers`, and returns the wait for the answer.
    pub(crate) fn read(
        &mut self,
        writers: Vec<Writer>,
        part: Part,
    ) -> Result<impl Future<Output = Message> + use<>, WireError> {
        // A thread that has ended has let go of its half.
        self.threads.retain(|thread| Arc::strong_count(thread) > 1);
        let hanging = self.hanging();
        self.begin(move |progress, is_given_up| {
            read_all(&writers, &part, &hanging, progress, is_given_up)
        })
    }

    /// Gives the work a thread. It is told where to note its progress, and how to know that nobody waits any more.
    fn begin<W>(&mut self, work: W) -> Result<impl Future<Output = Message> + use<W>, WireError>
    where
        W: FnOnce(&Mutex<Progress>, &dyn Fn() -> bool) -> Result<(), Errno> + Send + 'static,
    {
        if self.threads.len() >= MAX_THREADS {
            let message =
                "too many requests for log files are under way, or a volume is dead; ask again";
            return Err(WireError::new(ErrorCode::Busy, message));
        }
        let progress = Arc::new(Mutex::new(Progress {
            logs: Logs::default(),
            reading: None,
            begun: Instant::now(),
        }));
        let (done, is_done) = oneshot::channel();
        let shared = Arc::clone(&progress);
        let work = move || {
            let result = work(&shared, &|| done.is_closed());
            let _ = done.send(result);
        };
        reader::spawn("logs", work).map_err(|error| {
            let message = format!("cannot start a thread to read log files: {error}");
            WireError::new(ErrorCode::Internal, message)
        })?;
        self.threads.push(Arc::clone(&progress));
        Ok(async move {
            match tokio::time::timeout(DEADLINE, is_done).await {
                Ok(Ok(Err(error))) => {
                    let message = format!("cannot look for log files in /proc: {error}");
                    Message::Error(WireError::new(ErrorCode::Internal, message))
                }
                _ => Message::Logs(lock(&progress).told().fitted()),
            }
        })
    }

    /// The files that threads still wait for, long after their requests were answered.
    fn hanging(&self) -> Vec<Untrusted> {
        let threads = self.threads.iter().map(|thread| lock(thread));
        threads
            .filter(|progress| progress.begun.elapsed() >= DEADLINE)
            .filter_map(|progress| Some(progress.reading.as_ref()?.path.clone()))
            .collect()
    }
}

impl Progress {
    /// What was read by now. A file that is still being read is told as hanging.
    fn told(&mut self) -> Logs {
        let mut logs = std::mem::take(&mut self.logs);
        logs.files.extend(self.reading.clone().map(hangs));
        logs
    }
}

/// Finds the files and reads one after another, until all are read or nobody waits any more.
fn read_all(
    writers: &[Writer],
    part: &Part,
    hanging: &[Untrusted],
    progress: &Mutex<Progress>,
    is_given_up: &dyn Fn() -> bool,
) -> Result<(), Errno> {
    let found = find(writers)?;
    lock(progress).logs.omitted = u32::try_from(found.len()).unwrap_or(u32::MAX);
    for file in &found {
        let mut now = lock(progress);
        if is_given_up() || now.logs.files.len() >= MAX_FILES {
            break;
        }
        now.logs.omitted -= 1;
        let unread = file.unread();
        if hanging.contains(&unread.path) {
            now.logs.files.push(hangs(unread));
            continue;
        }
        now.reading = Some(unread);
        drop(now);
        let read = file.read(part);
        let mut now = lock(progress);
        now.reading = None;
        now.logs.files.extend(read);
    }
    Ok(())
}

fn hangs(file: LogFile) -> LogFile {
    LogFile {
        failure: Some("no answer in time; its volume may be dead".into()),
        ..file
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};
    use std::io::Write;

    use tempfile::TempDir;

    /// A log file that this process writes, with its path as the kernel has it.
    fn log(folder: &TempDir, name: &str) -> (File, String) {
        let path = folder.path().canonicalize().unwrap().join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        (file.unwrap(), path.to_str().unwrap().to_owned())
    }

    fn own() -> Vec<Writer> {
        vec![Writer {
            pid: std::process::id(),
            service: Some("test".to_owned()),
        }]
    }

    async fn ask(reader: &mut LogReader) -> Logs {
        match reader.read(own(), Part::Last(10)).unwrap().await {
            Message::Logs(logs) => logs,
            other => panic!("{other:?}"),
        }
    }

    fn file<'a>(logs: &'a Logs, path: &str) -> &'a LogFile {
        let mut files = logs.files.iter();
        files.find(|file| file.path.as_raw() == path).unwrap()
    }

    /// A thread that began to read a file long ago and never comes back.
    fn hung(path: &str) -> (Arc<Mutex<Progress>>, Arc<Mutex<Progress>>) {
        let ours = Arc::new(Mutex::new(Progress {
            logs: Logs::default(),
            reading: Some(LogFile {
                path: path.into(),
                ..LogFile::default()
            }),
            begun: Instant::now().checked_sub(DEADLINE).unwrap(),
        }));
        (Arc::clone(&ours), ours)
    }

    #[tokio::test]
    async fn a_file_that_hangs_is_not_tried_again_and_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (mut first, first_path) = log(&folder, "first.log");
        let (mut second, second_path) = log(&folder, "second.log");
        first.write_all(b"one\n").unwrap();
        second.write_all(b"two\n").unwrap();
        let mut reader = LogReader::default();
        let (thread, ours) = hung(&first_path);
        reader.threads.push(ours);

        let logs = ask(&mut reader).await;
        let stuck = file(&logs, &first_path);
        assert!(stuck.failure.is_some() && stuck.lines.is_empty() && stuck.position.is_none());
        assert_eq!(stuck.service.as_deref(), Some("test"));
        assert_eq!(file(&logs, &second_path).lines, ["two".into()]);

        // It came back after all.
        drop(thread);
        let logs = ask(&mut reader).await;
        assert_eq!(file(&logs, &first_path).lines, ["one".into()]);
    }

    #[tokio::test]
    async fn when_time_is_up_the_answer_is_what_is_there() {
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let mut reader = LogReader::default();
        let answer = reader.begin(move |progress, is_given_up| {
            let mut now = lock(progress);
            now.logs.files.push(LogFile::default());
            now.logs.omitted = 3;
            now.reading = Some(LogFile {
                path: "/mnt/dead/app.log".into(),
                ..LogFile::default()
            });
            drop(now);
            held.recv().unwrap();
            assert!(is_given_up());
            Ok(())
        });
        let begun = Instant::now();
        let Message::Logs(logs) = answer.unwrap().await else {
            panic!("no logs")
        };
        assert!(begun.elapsed() >= DEADLINE && begun.elapsed() < DEADLINE * 2);
        assert_eq!((logs.files.len(), logs.omitted), (2, 3));
        assert!(file(&logs, "/mnt/dead/app.log").failure.is_some());
        assert_eq!(reader.hanging(), ["/mnt/dead/app.log".into()]);
        let_go.send(()).unwrap();
    }

    #[tokio::test]
    async fn many_hung_threads_are_the_last() {
        let mut reader = LogReader::default();
        let mut threads = Vec::new();
        for _ in 0..MAX_THREADS {
            let (thread, ours) = hung("/mnt/dead/app.log");
            threads.push(thread);
            reader.threads.push(ours);
        }
        let refused = reader.read(own(), Part::Last(1)).err().unwrap();
        assert_eq!(refused.code, ErrorCode::Busy);
        threads.pop();
        assert!(reader.read(own(), Part::Last(1)).is_ok());
    }

    #[tokio::test]
    async fn more_files_than_are_told_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let held: Vec<_> = (0..MAX_FILES + 3)
            .map(|number| log(&folder, &format!("many-{number}.log")))
            .collect();
        let logs = ask(&mut LogReader::default()).await;
        assert_eq!(logs.files.len(), MAX_FILES);
        assert!(logs.omitted >= 3);
        drop(held);
    }
}
