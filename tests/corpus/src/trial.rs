//! One entry put to the test: left to settle and judged, and broken in each of its ways.
//!
//! Each fault has a container of its own, all at the same time: none has to mend what another broke, and the time that
//! a promise allows passes once.

use std::collections::BTreeMap;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use diogenes_testkit::{Network, Supervisor};
use rustix::process::Signal;
use serde_json::Value;

use crate::entry::{Entry, Expected, Fault, How};
use crate::nmap::{self, Scan};
use crate::stage::{Held, Stage};
use crate::verdict::{Sort, Tally, Told, Verdict, after_fault, health_of, judge};

/// Within which a dead service is promised to be told.
const DEATH_PROMISE: Duration = Duration::from_secs(1);
/// Two probe intervals of the longer kind, within which everything else is promised to be told.
const PROMISE: Duration = Duration::from_secs(60);
/// How long is waited for what is promised.
const PATIENCE: Duration = Duration::from_secs(75);
/// How long a health must stay to count as told: what is over in a moment may be a restart.
const HOLD: Duration = Duration::from_secs(3);
/// How long nothing may change in what is told until nothing more is awaited. As long has an impostor to deceive.
const CALM: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// The finding that names a full accept queue.
const QUEUE_FINDING: &str = "accept-queue-full";

/// Where trials take place.
pub struct Field {
    supervisor: Supervisor,
    network: Network,
    prefix: String,
}

/// What came of the trial of one entry.
pub struct Outcome {
    /// What was told of it when well, and after its faults.
    pub verdict: Verdict,
    /// From the moment something new listened until it was told; None where that was not tried or did not come.
    pub newcomer: Option<Duration>,
    /// What came of each fault.
    pub faults: BTreeMap<Fault, Seen>,
    /// The comparison with nmap; None where none was asked for, and for what does not listen on TCP.
    pub beside: Option<Beside>,
}

/// What was told after a fault.
pub struct Seen {
    /// From the fault until it was told for good; None where it was not.
    pub took: Option<Duration>,
    /// Whether that was later than promised.
    pub late: bool,
    /// What it counts.
    tally: Tally,
    /// What is wrong with that; None where nothing is.
    wrong: Option<String>,
}

/// Diogenes and nmap on the same container.
pub struct Beside {
    /// From the request to attach until all was known that was known before; None where that never came.
    pub attach_to_knowledge: Option<Duration>,
    /// nmap's.
    pub scan: Scan,
    /// The version as the package tells it.
    pub version: String,
}

impl Beside {
    /// What nmap knows of a service and Diogenes does not; None where there is nothing.
    #[must_use]
    pub fn missed(&self, truth: &Expected, told: &Told) -> Option<&'static str> {
        let mut words = self.scan.words.iter();
        let mut tells_version = || words.any(|it| it.contains(&self.version));
        if self.scan.names(truth) && told.kind != truth.kind {
            Some("nmap names it, and Diogenes does not")
        } else if told.version.starts_with('✗') && tells_version() {
            Some("nmap tells its version, and Diogenes does not")
        } else {
            None
        }
    }
}

impl Field {
    /// A supervisor that attends the corpus' containers of this process and nobody else, and a network for them.
    ///
    /// # Panics
    /// Where either cannot be had.
    #[must_use]
    pub fn prepare() -> Self {
        let prefix = format!("corpus-{}", std::process::id());
        let supervisor = Supervisor::spec()
            .arg("--attach-default=false")
            .arg(format!("--attach-include={prefix}-*"))
            .start();
        Self {
            supervisor,
            network: Network::create(),
            prefix,
        }
    }

    /// Puts an entry to the test, with those of its faults that are among `faults`, and beside nmap where `compared`.
    ///
    /// # Errors
    /// Where it cannot be started or compared. A fault that cannot be brought about is a thing wrong in the verdict.
    pub fn trial(
        &self,
        entry: &Entry,
        image: &str,
        faults: &[Fault],
        compared: bool,
    ) -> Result<Outcome> {
        let chosen = entry.faults().into_iter();
        let chosen: Vec<(Fault, How)> = chosen.filter(|(it, _)| faults.contains(it)).collect();
        std::thread::scope(|scope| {
            let well = scope.spawn(|| self.well(entry, image, compared));
            let broken: Vec<_> = chosen
                .iter()
                .map(|(fault, how)| {
                    let run = || self.broken(entry, image, *fault, how);
                    (*fault, scope.spawn(run))
                })
                .collect();
            let (verdict, newcomer, beside) = joined(well)?;
            let mut outcome = Outcome {
                verdict,
                newcomer,
                faults: BTreeMap::new(),
                beside,
            };
            for (fault, thread) in broken {
                outcome.take(fault, joined(thread));
            }
            Ok(outcome)
        })
    }

    /// A container to which nothing is done.
    fn well(
        &self,
        entry: &Entry,
        image: &str,
        compared: bool,
    ) -> Result<(Verdict, Option<Duration>, Option<Beside>)> {
        let stage = self.stage(entry, image, "well", compared);
        let versions = stage.versions(entry)?;
        let (settled, alarm) = self.settle(&stage, entry, &versions);
        let ports = entry.service.first().map_or(&[][..], |it| &it.ports);
        if !compared || ports.is_empty() {
            let mut verdict = judge(entry, &versions, &settled);
            verdict.start(alarm);
            let newcomer = (!entry.negative).then(|| self.newcomer(&stage));
            return Ok((verdict, newcomer.transpose()?.flatten(), None));
        }
        let attach_to_knowledge = self.attach_anew(&stage, &settled);
        let published: Result<Vec<u16>> = ports.iter().map(|&port| stage.published(port)).collect();
        let scan = nmap::scan(&published?)?;
        let beside = Beside {
            attach_to_knowledge,
            scan,
            version: versions.first().cloned().unwrap_or_default(),
        };
        let mut verdict = judge(entry, &versions, &self.known(&stage));
        verdict.start(alarm);
        Ok((verdict, self.newcomer(&stage)?, Some(beside)))
    }

    /// The time until something that begins to listen is told; None where it is not.
    fn newcomer(&self, stage: &Stage) -> Result<Option<Duration>> {
        let (port, since) = stage.begin_to_listen()?;
        let start = Instant::now();
        let is_told = |known: &Value| {
            let mut services = known["services"].as_array().into_iter().flatten();
            services.any(|it| {
                it["ports"]
                    .as_array()
                    .is_some_and(|ports| ports.contains(&port.into()))
            })
        };
        while start.elapsed() < PROMISE {
            if is_told(&self.known(stage)) {
                return Ok(since.elapsed().ok());
            }
            std::thread::sleep(LOOK);
        }
        Ok(None)
    }

    /// A container to which something is done once all is well.
    fn broken(&self, entry: &Entry, image: &str, fault: Fault, how: &How) -> Result<Seen> {
        let stage = self.stage(entry, image, fault.word(), false);
        let versions = stage.versions(entry)?;
        let (settled, _) = self.settle(&stage, entry, &versions);
        let about = entry.service.iter().find(|it| it.kind == how.about);
        let about = about.or(entry.service.first()).context("a service")?;
        let before = health_of(&settled, about);
        let well = !how.health.iter().any(|it| it == before);
        let why = alarm_in(&settled).unwrap_or_default();
        ensure!(
            well,
            "{} is told as {before} already before: {why}",
            about.kind
        );
        let start = Instant::now();
        let held = bring_about(&stage, entry, about, fault, how)?;
        let seen = self.watch(&stage, about, fault, how, start);
        // Until here the queue stays full.
        drop(held);
        Ok(seen)
    }

    fn stage(&self, entry: &Entry, image: &str, word: &str, published: bool) -> Stage {
        let name = format!("{}-{}-{word}", self.prefix, entry.name);
        Stage::start(entry, image, &self.network, &name, published)
    }

    /// Waits until all is told as it should be, or nothing changes any more, or the patience ends. Returns what is told
    /// then, and the first alarm on the way.
    fn settle(&self, stage: &Stage, entry: &Entry, versions: &[String]) -> (Value, Option<String>) {
        let start = Instant::now();
        let mut alarm = None;
        let mut changed = start;
        let mut before = Value::Null;
        loop {
            let known = self.known(stage);
            alarm = alarm.or_else(|| alarm_in(&known));
            let facts = facts(&known);
            if facts != before {
                (changed, before) = (Instant::now(), facts);
            }
            let calm = changed.elapsed() >= CALM;
            let verdict = judge(entry, versions, &known);
            let perfect = verdict.wrongs.is_empty() && known["state"] == "present";
            let listens = !verdict.first.ports.starts_with('✗');
            let done = if entry.negative {
                perfect && calm
            } else {
                // Something of which is said that it is unwell may just be slow to start, as what is said to be starting.
                let moves = is_starting(&known) || alarm_in(&known).is_some();
                perfect || (listens && calm && !moves)
            };
            if done || start.elapsed() >= entry.patience() {
                return (known, alarm);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Takes the companion out and brings it in again: the time until it knows what it knew.
    fn attach_anew(&self, stage: &Stage, settled: &Value) -> Option<Duration> {
        let wanted = facts(settled);
        self.supervisor.words(&["detach", stage.name()]);
        let start = Instant::now();
        self.supervisor.words(&["attach", stage.name()]);
        loop {
            let known = self.known(stage);
            if known["state"] == "present" && facts(&known) == wanted {
                return Some(start.elapsed());
            }
            if start.elapsed() >= PATIENCE {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until a fault that began at `start` is told, and stays told.
    fn watch(
        &self,
        stage: &Stage,
        about: &Expected,
        fault: Fault,
        how: &How,
        start: Instant,
    ) -> Seen {
        let is_right = |known: &Value| how.health.iter().any(|it| it == health_of(known, about));
        let is_told =
            |known: &Value| is_right(known) && (fault != Fault::Full || names_queue(known));
        let mut since = None;
        let (took, last) = loop {
            let known = self.known(stage);
            since = is_told(&known).then(|| since.unwrap_or_else(Instant::now));
            let held = since.filter(|since| since.elapsed() >= HOLD);
            if held.is_some() || start.elapsed() >= PATIENCE {
                break (held.map(|it| it - start), known);
            }
            std::thread::sleep(LOOK);
        };
        let health = health_of(&last, about).to_owned();
        let (of, word, right) = (&about.kind, fault.word(), how.health.join(" or "));
        let wrong = if took.is_some() {
            None
        } else if fault == Fault::Full && is_right(&last) {
            Some(format!(
                "{of}: it is {health}, but the full accept queue is not named"
            ))
        } else {
            Some(format!(
                "{of}: after {word} it is told as {health}, and is {right}"
            ))
        };
        let promise = match fault {
            Fault::Kill => DEATH_PROMISE,
            _ => PROMISE,
        };
        Seen {
            tally: after_fault(took.is_some(), is_right(&last), &health),
            late: took.is_some_and(|took| took > promise),
            took,
            wrong,
        }
    }

    /// What the supervisor tells of a container now; null while it knows none of that name.
    fn known(&self, stage: &Stage) -> Value {
        let path = format!("/api/v1/containers/{}", stage.name());
        match self.supervisor.http("GET", &path, None) {
            (200, body) => serde_json::from_str(&body).unwrap_or_default(),
            _ => Value::Null,
        }
    }
}

impl Outcome {
    fn take(&mut self, fault: Fault, seen: Result<Seen>) {
        match seen {
            Ok(mut seen) => {
                self.verdict.add(Sort::Fault, seen.tally);
                self.verdict.wrongs.extend(seen.wrong.take());
                self.faults.insert(fault, seen);
            }
            Err(error) => {
                let word = fault.word();
                let wrong = format!("{word} could not be brought about: {error:#}");
                self.verdict.wrongs.push(wrong);
            }
        }
    }
}

/// Does to a container what a fault is. What is returned is to be kept as long as the fault is to last.
fn bring_about(
    stage: &Stage,
    entry: &Entry,
    about: &Expected,
    fault: Fault,
    how: &How,
) -> Result<Option<Held>> {
    let own = entry.process.as_str();
    match fault {
        Fault::Stop => stage.signal_all(own, Signal::STOP)?,
        Fault::Kill => stage.signal_main(own, Signal::KILL)?,
        Fault::Full => {
            stage.signal_all(own, Signal::STOP)?;
            return Ok(Some(if how.socket.is_empty() {
                let port = how.port.or(about.ports.first().copied());
                stage.fill_port(port.context("a port")?)?
            } else {
                stage.fill_socket(&how.socket)?
            }));
        }
        Fault::Conf => {
            stage.run(&how.how)?;
            if how.restart.is_empty() {
                stage.restart(own)?;
            } else {
                stage.end(&how.restart)?;
            }
        }
        Fault::Gone if how.kill.is_empty() => drop(stage.run(&how.how)?),
        Fault::Gone => stage.signal_all(&how.kill, Signal::KILL)?,
    }
    Ok(None)
}

fn names_queue(known: &Value) -> bool {
    let mut findings = known["findings"].as_array().into_iter().flatten();
    findings.any(|it| it["code"] == QUEUE_FINDING)
}

/// The first service that is told to be unwell.
fn alarm_in(known: &Value) -> Option<String> {
    let mut services = known["services"].as_array()?.iter();
    let unwell = |it: &&Value| it["health"] == "unhealthy" || it["health"] == "degraded";
    let service = services.find(unwell)?;
    let word = |key: &str| service[key].as_str().unwrap_or_default();
    let why = service["evidence"][0].as_str().unwrap_or_default();
    Some(format!("{} is {}: {why}", word("kind"), word("health")))
}

/// Whether a service is told to be starting.
fn is_starting(known: &Value) -> bool {
    let mut services = known["services"].as_array().into_iter().flatten();
    services.any(|it| it["health"] == "starting")
}

/// What is told of each service, without what changes all the time.
fn facts(known: &Value) -> Value {
    let services = known["services"].as_array().into_iter().flatten();
    let facts = services.map(|it| {
        let keys = ["kind", "role", "ports", "version", "health"];
        keys.iter().map(|&key| it[key].clone()).collect::<Value>()
    });
    facts.collect()
}

/// Does some work of which a panic is to be an error like any other.
///
/// # Errors
/// The work's own, and its panic.
pub fn caught<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| joined(scope.spawn(work)))
}

/// What a thread came to; its panic is an error, for the testkit panics with a sentence.
///
/// # Errors
/// Its own, and its panic.
pub fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&it| it.to_owned()));
        Err(anyhow!(text.unwrap_or_default()))
    })
}
