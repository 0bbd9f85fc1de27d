//! Which web framework a Python, Node, Ruby or Java program really loads.
//!
//! `uvicorn main:app` may be FastAPI or Starlette or neither; only the source tells. The source is a file
//! of the container, and to open one may hang for ever (a dead network volume) or do harm (a FIFO, a
//! device). So it is read on a thread of its own, and a scan waits for it only briefly:
//!
//! ```text
//! argv ─► launch (which file?) ─► thread: reader (safe open) ─► imports ─► found, kept by (pid, start)
//!                                   └─ no sign of life: abandoned; after two of those nothing is read any more
//! ```

mod imports;
mod launch;
mod reader;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use launch::Program;

/// A process for good: its pid and start time.
pub(crate) type Id = (u32, u64);

/// Programs read by one thread before it ends.
const BATCH: usize = 32;
/// A thread that has read no program for so long hangs.
const HANGS_AFTER: Duration = Duration::from_secs(2);
/// Each hung thread costs its stack for as long as the agent lives.
const MAX_HUNG: usize = 2;

/// What was found, and what is still to be read.
#[derive(Debug)]
pub(crate) struct Frameworks {
    root: PathBuf,
    /// By ascending id.
    known: Vec<Known>,
    waiting: VecDeque<Job>,
    running: Option<Running>,
    hung: usize,
    read: fn(&Path, &Job) -> Vec<&'static str>,
}

/// One process whose source was found.
#[derive(Debug)]
struct Known {
    id: Id,
    /// What it runs: a launcher may become another program, `bundle exec` or `poetry run`, and stays the same process.
    program: Program,
    /// None: not read yet.
    found: Option<Vec<&'static str>>,
}

/// One program to be read.
#[derive(Clone, Debug)]
struct Job {
    id: Id,
    program: Program,
    working_directory: PathBuf,
}

/// A thread at work.
#[derive(Debug)]
struct Running {
    results: Arc<Results>,
    /// What it has not told yet, never empty; it works on the first.
    outstanding: VecDeque<Job>,
    sign_of_life: Instant,
}

/// What the thread has found and nobody has taken yet. The standard library's channel would be 10 KB more in the agent:
/// three kinds of it are compiled, whichever is used.
#[derive(Debug, Default)]
struct Results {
    found: Mutex<VecDeque<Found>>,
    more: Condvar,
}

/// What a process was found to import.
type Found = (Id, Vec<&'static str>);

impl Results {
    fn tell(&self, found: Found) {
        let mut told = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        told.push_back(found);
        self.more.notify_one();
    }

    /// The next, once it is there; None where it does not come within `wait`.
    fn next(&self, wait: Duration) -> Option<Found> {
        let told = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .more
            .wait_timeout_while(told, wait, |told| told.is_empty());
        let (mut told, _) = waited.unwrap_or_else(PoisonError::into_inner);
        told.pop_front()
    }
}

impl Frameworks {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            known: Vec::new(),
            waiting: VecDeque::new(),
            running: None,
            hung: 0,
            read: |root, job| reader::frameworks(root, &job.working_directory, &job.program),
        }
    }

    /// Takes note of a process, and of what it became. A title that names no source hides what is known, and ends it not.
    /// `working_directory` is asked only where there is a source to be found.
    pub(crate) fn consider(
        &mut self,
        id: Id,
        argv: &[Vec<u8>],
        working_directory: impl FnOnce() -> Option<Vec<u8>>,
    ) {
        let Some(program) = launch::program(argv) else {
            return;
        };
        let place = match self.place(id) {
            Ok(place) if self.known[place].program == program => return,
            Ok(place) => {
                self.known.remove(place);
                place
            }
            Err(place) => place,
        };
        let mut found = None;
        if let Program::Told(framework) = program {
            found = Some(vec![framework]);
        } else {
            let Some(working_directory) = working_directory() else {
                return;
            };
            self.waiting.push_back(Job {
                id,
                program: program.clone(),
                working_directory: PathBuf::from(
                    String::from_utf8_lossy(&working_directory).into_owned(),
                ),
            });
        }
        let known = Known { id, program, found };
        self.known.insert(place, known);
    }

    /// Forgets the processes that are gone.
    pub(crate) fn retain(&mut self, mut lives: impl FnMut(Id) -> bool) {
        self.known.retain(|known| lives(known.id));
        self.waiting.retain(|job| lives(job.id));
    }

    /// What a process was found to import; empty also where it is not known yet.
    pub(crate) fn found(&self, id: Id) -> Vec<String> {
        let found = self.place(id).ok().map(|place| &self.known[place].found);
        let names = found.into_iter().flatten().flatten();
        names.map(|&name| name.to_owned()).collect()
    }

    /// Where a process stands among the known; else where it would.
    fn place(&self, id: Id) -> Result<usize, usize> {
        self.known.binary_search_by_key(&id, |known| known.id)
    }

    /// Starts what is to be read and waits for the results, no longer than `wait`.
    pub(crate) fn collect(&mut self, wait: Duration, gaps: &mut Vec<String>) {
        let deadline = Instant::now() + wait;
        while self.running.is_some() || !self.waiting.is_empty() {
            if self.running.is_none() && !self.start(gaps) {
                break;
            }
            let Some(running) = &mut self.running else {
                break;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let Some((id, found)) = running.results.next(left) else {
                self.abandon_if_hung();
                break;
            };
            running.sign_of_life = Instant::now();
            let job = running.outstanding.pop_front();
            if running.outstanding.is_empty() {
                self.running = None;
            }
            // It may have become another program meanwhile.
            if let Ok(place) = self.place(id)
                && job.is_some_and(|job| job.program == self.known[place].program)
            {
                self.known[place].found = Some(found);
            }
        }
        if self.hung > 0 {
            let hung = self.hung;
            gaps.push(format!(
                "frameworks: {hung} reads of application sources hang, a volume may be dead"
            ));
        }
    }

    fn start(&mut self, gaps: &mut Vec<String>) -> bool {
        if self.hung >= MAX_HUNG {
            self.waiting.clear();
            return false;
        }
        let count = self.waiting.len().min(BATCH);
        let batch: VecDeque<Job> = self.waiting.drain(..count).collect();
        let results = Arc::new(Results::default());
        let listener = Arc::downgrade(&results);
        let (root, jobs, read) = (self.root.clone(), batch.clone(), self.read);
        let work = move || {
            for job in jobs {
                let found = read(&root, &job);
                // Nobody listens any more to a thread that was given up.
                let Some(results) = listener.upgrade() else {
                    break;
                };
                results.tell((job.id, found));
            }
        };
        if let Err(error) = crate::reader::spawn("sources", work) {
            gaps.push(format!("frameworks: cannot start a thread: {error}"));
            self.waiting.extend(batch);
            return false;
        }
        self.running = Some(Running {
            results,
            outstanding: batch,
            sign_of_life: Instant::now(),
        });
        true
    }

    /// Gives a thread up that hangs. What it hangs on is not tried again, what came after it is.
    fn abandon_if_hung(&mut self) {
        if let Some(mut running) = self
            .running
            .take_if(|one| one.sign_of_life.elapsed() >= HANGS_AFTER)
        {
            self.hung += 1;
            running.outstanding.pop_front();
            self.waiting.extend(running.outstanding);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn argv(line: &str) -> Vec<Vec<u8>> {
        line.split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    }

    fn consider(frameworks: &mut Frameworks, pid: u32, line: &str) {
        frameworks.consider((pid, 1), &argv(line), || Some(b"/app".to_vec()));
    }

    #[test]
    fn reads_sources_and_remembers_them_as_long_as_the_process_lives() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("app")).unwrap();
        std::fs::write(
            root.path().join("app/main.py"),
            "from fastapi import FastAPI\n",
        )
        .unwrap();
        let mut frameworks = Frameworks::new(root.path());
        consider(
            &mut frameworks,
            7,
            "/usr/bin/python3 /usr/bin/uvicorn main:app",
        );
        consider(&mut frameworks, 8, "redis-server *:6379");
        let mut gaps = Vec::new();
        frameworks.collect(Duration::from_secs(5), &mut gaps);
        assert_eq!(frameworks.found((7, 1)), ["fastapi"]);
        assert!(frameworks.found((7, 2)).is_empty() && frameworks.found((8, 1)).is_empty());
        assert!(gaps.is_empty());
        frameworks.retain(|id| id == (8, 1));
        assert!(frameworks.known.is_empty());
    }

    #[test]
    fn what_a_launcher_becomes_is_read_in_its_place() {
        let mut frameworks = Frameworks::new(Path::new("/nonexistent"));
        frameworks.read = |_, job| match &job.program {
            Program::RubyFile(file) if file == "config.ru" => vec!["sinatra"],
            _ => Vec::new(),
        };
        let (wait, mut gaps) = (Duration::from_secs(5), Vec::new());
        consider(&mut frameworks, 7, "ruby /usr/bin/bundle exec rackup");
        frameworks.collect(wait, &mut gaps);
        assert!(frameworks.found((7, 1)).is_empty());
        consider(&mut frameworks, 7, "/usr/bin/ruby /usr/bin/rackup");
        consider(&mut frameworks, 8, "ruby /usr/bin/bundle exec rackup");
        consider(&mut frameworks, 8, "/usr/bin/ruby /usr/bin/rackup");
        frameworks.collect(wait, &mut gaps);
        assert_eq!(frameworks.found((7, 1)), ["sinatra"]);
        assert_eq!(
            frameworks.found((8, 1)),
            ["sinatra"],
            "read twice, in order"
        );
        consider(&mut frameworks, 7, "my own title");
        assert_eq!(frameworks.found((7, 1)), ["sinatra"]);
    }

    #[test]
    fn gives_up_after_two_hung_reads_and_keeps_what_it_has() {
        let mut frameworks = Frameworks::new(Path::new("/nonexistent"));
        frameworks.read = |_, job| {
            if job.id.0 < 3 {
                thread::sleep(Duration::from_secs(3600));
            }
            vec!["flask"]
        };
        for pid in [9, 1, 8, 2, 7] {
            consider(&mut frameworks, pid, "python3 app.py");
        }
        let mut gaps = Vec::new();
        let begun = Instant::now();
        let wait = Duration::from_millis(50);
        frameworks.collect(wait, &mut gaps);
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "a scan does not wait for a hung read"
        );
        assert_eq!(frameworks.found((9, 1)), ["flask"]);
        assert!(gaps.is_empty());
        for hung in 1..=MAX_HUNG {
            // As if the time had passed.
            frameworks.running.as_mut().unwrap().sign_of_life -= HANGS_AFTER;
            frameworks.collect(Duration::ZERO, &mut gaps);
            assert_eq!(frameworks.hung, hung);
            frameworks.collect(wait, &mut gaps);
        }
        assert!(frameworks.running.is_none() && frameworks.waiting.is_empty());
        assert_eq!(frameworks.found((8, 1)), ["flask"]);
        assert!(
            frameworks.found((7, 1)).is_empty(),
            "nothing is read after the second"
        );
        assert!(gaps.last().unwrap().contains("2 reads"));
    }
}
