//! What is put to the test, as data: one readable file for each service in `services/`, for each impostor in
//! `negatives/`. Adding one is adding a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// One container of real software, and the truth about it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// Whether it is there to be taken for something that it is not. No faults are brought about in it.
    #[serde(skip)]
    pub negative: bool,
    /// Debian's packages, on top of those of the tests' base image; empty where that has all.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Files of the image, by path. Those that begin with `#!` are executable.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Programs of `dist/`, mounted into `/` under their own names.
    #[serde(default)]
    pub programs: Vec<String>,
    /// A shell script that the image is made with, after packages and files.
    #[serde(default)]
    pub setup: String,
    /// Commands that run beside the service, as a shell reads them.
    #[serde(default)]
    pub beside: Vec<String>,
    /// The shell script that becomes the service, in the foreground.
    pub start: String,
    /// The kernel's names of the service's processes (`ps -o comm`), separated by spaces; empty where no fault concerns
    /// them.
    #[serde(default)]
    pub process: String,
    /// How long it may take until all of it is up and known, in seconds.
    #[serde(default = "usual_patience")]
    pub patience: u64,
    /// Kinds that may be told besides those of `service`: true, but not needed.
    #[serde(default)]
    pub also: Vec<String>,
    /// What a person who knows the container would name, the one that faults concern first.
    #[serde(default)]
    pub service: Vec<Expected>,
    /// How faults are brought about, and what follows, where that is not the usual.
    #[serde(default)]
    pub fault: BTreeMap<Fault, How>,
}

/// The truth about one service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The catalogue's word for it.
    pub kind: String,
    /// What it does for the container; empty where nobody can know from outside of its program.
    pub role: String,
    /// All ports it listens on, TCP and UDP, ascending.
    pub ports: Vec<u16>,
    /// A shell command that prints its version, run in the container; empty where it need not be known.
    #[serde(default)]
    pub version: String,
    /// Names of less precision that are right for nmap, such as that of the server below a framework.
    #[serde(default)]
    pub names: Vec<String>,
}

/// What is done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// All its processes are stopped (SIGSTOP).
    Stop,
    /// Its main process is killed (SIGKILL).
    Kill,
    /// It is stopped, and its accept queue filled to the brim.
    Full,
    /// Its configuration is spoilt, and it is started anew.
    Conf,
    /// What it depends on goes.
    Gone,
}

impl Fault {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Stop, Self::Kill, Self::Full, Self::Conf, Self::Gone];

    /// The word in entries and tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Full => "full",
            Self::Conf => "conf",
            Self::Gone => "gone",
        }
    }
}

/// One fault of one service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct How {
    /// A shell script, run in the container as root.
    #[serde(default)]
    pub how: String,
    /// Processes that are killed, by the kernel's name of them.
    #[serde(default)]
    pub kill: String,
    /// Processes that are ended because of [`Fault::Conf`], where those of the service itself stay: somebody in the
    /// container starts them again.
    #[serde(default)]
    pub restart: String,
    /// The port whose queue is filled; None for the service's lowest.
    #[serde(default)]
    pub port: Option<u16>,
    /// The Unix socket whose queue is filled instead.
    #[serde(default)]
    pub socket: String,
    /// The kind of the service that it shows on; empty for the first.
    #[serde(default)]
    pub about: String,
    /// What may rightly be said of that service's health.
    #[serde(default = "unhealthy")]
    pub health: Vec<String>,
    /// Why there is no such fault; empty where there is.
    #[serde(default)]
    pub none: String,
}

impl Default for How {
    fn default() -> Self {
        Self {
            how: String::new(),
            kill: String::new(),
            restart: String::new(),
            port: None,
            socket: String::new(),
            about: String::new(),
            health: unhealthy(),
            none: String::new(),
        }
    }
}

fn usual_patience() -> u64 {
    40
}

fn unhealthy() -> Vec<String> {
    vec!["unhealthy".to_owned()]
}

impl Entry {
    /// How long it may take until all of it is up and known.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// The faults that can be brought about in it, with how.
    #[must_use]
    pub fn faults(&self) -> Vec<(Fault, How)> {
        if self.negative {
            return Vec::new();
        }
        let possible = |&fault: &Fault| {
            let how = self.fault.get(&fault).cloned().unwrap_or_default();
            let told = !how.how.is_empty() || !how.kill.is_empty();
            let needs_telling = matches!(fault, Fault::Conf | Fault::Gone);
            (how.none.is_empty() && (told || !needs_telling)).then_some((fault, how))
        };
        Fault::ALL.iter().filter_map(possible).collect()
    }
}

/// All entries, services before negatives, each by name.
///
/// # Errors
/// Where a file cannot be read, or its content is not an entry: the message names file and line.
pub fn all() -> Result<Vec<Entry>> {
    let mut entries = folder("services", false)?;
    entries.extend(folder("negatives", true)?);
    Ok(entries)
}

/// Those of `all` whose names stand in `chosen`, separated by commas; all where it is empty.
///
/// # Errors
/// Where a name is nobody's.
pub fn choose(mut all: Vec<Entry>, chosen: &str) -> Result<Vec<Entry>> {
    let chosen: Vec<&str> = chosen
        .split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    if let Some(stranger) = chosen
        .iter()
        .find(|&&it| all.iter().all(|entry| entry.name != it))
    {
        let names: Vec<&str> = all.iter().map(|entry| entry.name.as_str()).collect();
        bail!("the corpus has no {stranger}; it has {}", names.join(", "));
    }
    all.retain(|entry| chosen.is_empty() || chosen.contains(&entry.name.as_str()));
    Ok(all)
}

fn folder(name: &str, negative: bool) -> Result<Vec<Entry>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut paths = Vec::new();
    for file in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        paths.push(file?.path());
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut entry: Entry = toml::from_str(&text).with_context(|| path.display().to_string())?;
        entry.name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        entry.negative = negative;
        Ok(entry)
    };
    paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_read_and_is_whole() {
        for entry in all().unwrap() {
            let name = &entry.name;
            assert!(
                entry.negative || !entry.service.is_empty(),
                "{name} expects nothing"
            );
            for (fault, how) in &entry.fault {
                let known = |kind: &str| entry.service.iter().any(|it| it.kind == kind);
                assert!(
                    how.about.is_empty() || known(&how.about),
                    "{name}: {fault:?}"
                );
                assert!(!how.health.is_empty(), "{name}: {fault:?}");
            }
            assert!(
                entry.faults().is_empty() || !entry.process.is_empty(),
                "{name}: whose processes do its faults concern?"
            );
        }
    }

    #[test]
    fn a_stranger_is_named() {
        let error = choose(all().unwrap(), "redis,reddis")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no reddis") && error.contains("redis, "),
            "{error}"
        );
        let chosen = choose(all().unwrap(), "nginx, redis").unwrap();
        assert_eq!(chosen.len(), 2);
    }
}
