//! One entry: which service it means, and what it says of it.

use std::fmt;
use std::time::Duration;

use diogenes_proto::untrusted::escape;
use diogenes_proto::{Listener, ProbeKind, ProbeSpec, Untrusted};

use super::Asked;
use super::json::{Shape, Value};
use super::reading::unknown;
use crate::assess::ROLES;
use crate::catalogue::{find, kinds};
use crate::program::basename;
use crate::recognise::{Recognised, targets};

/// What an entry may say.
pub(super) const KEYS: [&str; 6] = ["match", "name", "role", "probe", "expect", "every"];
/// By what it may mean a service.
pub(super) const SIGNS: [&str; 3] = ["port", "process", "kind"];
/// What is not the catalogue's, and a service's kind all the same.
const PLAIN_KINDS: [&str; 2] = ["tcp", "process"];

/// Longest name, in characters; longest path and process, in bytes.
const MAX_NAME: usize = 64;
const MAX_PATH: usize = 256;
/// The shortest and the longest time between two probes.
const MIN_EVERY: Duration = Duration::from_secs(1);
const MAX_EVERY: Duration = Duration::from_secs(3600);
/// The statuses that are well on a path that somebody named, where nothing else is said: what `curl --fail` takes.
const WELL: (u16, u16) = (200, 399);

/// A value, from JSON or as a label has it.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// As it stands in a text.
    Json(&'a Value),
    /// A label's value.
    Label(&'a str),
}

/// What the owner wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    /// Nothing.
    Nothing,
    /// A path by HTTP.
    Path(String),
    /// This protocol's usual question.
    Usual(ProbeKind),
}

/// Which services are meant: those of which all that is said here holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) port: Option<u16>,
    pub(super) process: Option<String>,
    pub(super) kind: Option<String>,
}

/// One entry. What it does not say is None.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) meaning: Meaning,
    pub(super) name: Option<Untrusted>,
    pub(super) role: Option<&'static str>,
    question: Option<Question>,
    expect: Option<u16>,
    pub(super) every: Option<Duration>,
}

impl Given<'_> {
    fn text(self) -> Option<String> {
        match self {
            Self::Json(value) => match &value.shape {
                Shape::Text(text) => Some(text.clone()),
                _ => None,
            },
            Self::Label(text) => Some(text.to_owned()),
        }
    }

    fn is_false(self) -> bool {
        match self {
            Self::Json(value) => value.shape == Shape::Truth(false),
            Self::Label(text) => text == "false",
        }
    }

    /// A whole number within these bounds.
    pub(super) fn number(self, least: u16, most: u16) -> Result<u16, String> {
        let number = match self {
            Self::Json(value) => match value.shape {
                Shape::Number(number) => number,
                _ => None,
            },
            Self::Label(text) => text.parse().ok(),
        };
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
    }
}

/// As a label's name has it.
impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, &self.kind) {
            (Some(port), _) => write!(f, "{port}"),
            (None, kind) => f.write_str(kind.as_deref().unwrap_or_default()),
        }
    }
}

impl Meaning {
    /// By one sign: `port`, `process` or `kind`.
    pub(super) fn set(&mut self, sign: &str, given: Given<'_>) -> Result<(), String> {
        match sign {
            "port" => self.port = Some(given.number(1, u16::MAX)?),
            "process" => {
                let named = |name: &String| (1..=MAX_PATH).contains(&name.len());
                let name = given.text().filter(named);
                self.process =
                    Some(name.ok_or("expected the name or path of a program or script")?);
            }
            "kind" => {
                let kind = given.text().ok_or("expected a kind, such as \"redis\"")?;
                self.kind = Some(known_kind(&kind)?);
            }
            _ => return Err(unknown("sign", sign, &SIGNS, "")),
        }
        Ok(())
    }

    /// Whether this service is meant. `learnt` is the kind that it turned out to be.
    fn fits(&self, service: &Recognised, learnt: Option<&str>) -> bool {
        let is_called = |name: &str| {
            let executable = service.executable.as_ref().map_or("", Untrusted::as_raw);
            [service.program.as_raw(), executable, basename(executable)].contains(&name)
        };
        self.port.is_none_or(|port| service.ports.contains(&port))
            && self.process.as_deref().is_none_or(is_called)
            && (self.kind.as_deref())
                .is_none_or(|kind| kind == service.kind || Some(kind) == learnt)
    }
}

/// A kind by its word.
pub(super) fn known_kind(kind: &str) -> Result<String, String> {
    let is_known =
        find(kind).is_some() || PLAIN_KINDS.contains(&kind) || ProbeKind::speaking(kind).is_some();
    if is_known {
        return Ok(kind.to_owned());
    }
    let known = kinds()
        .map(|entry| entry.kind)
        .chain(ProbeKind::protocols());
    let known: Vec<&str> = known.collect();
    let instead = "`diogenes status NAME --json` tells the kind of each service";
    Err(unknown("kind", kind, &known, instead))
}

impl Entry {
    /// One that says nothing yet.
    pub(super) fn of(meaning: Meaning) -> Self {
        Self {
            meaning,
            ..Self::default()
        }
    }

    /// Takes in one thing that is said, by its key; `match` is not among them.
    pub(super) fn set(&mut self, key: &str, given: Given<'_>) -> Result<(), String> {
        match key {
            "name" => self.name = Some(name(given)?),
            "role" => self.role = Some(role(given)?),
            "probe" => self.question = Some(question(given)?),
            "expect" => self.expect = Some(given.number(100, 599)?),
            "every" => self.every = Some(interval(given)?),
            _ => return Err(unknown("key", key, &KEYS, "")),
        }
        Ok(())
    }

    /// What is missing for it to make sense; None where nothing is.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        if self.meaning == Meaning::default() {
            return Some("it does not say which service it means: \"match\": {\"port\": 8080}");
        }
        let expects_in_vain =
            self.expect.is_some() && !matches!(self.question, Some(Question::Path(_)));
        expects_in_vain.then_some("\"expect\" is a status, for which \"probe\" must be a path")
    }

    /// Whether it means this service.
    pub(super) fn fits(&self, service: &Recognised, learnt: Option<&str>) -> bool {
        self.meaning.fits(service, learnt)
    }

    /// Whether it tells of a process that it is a service, though it be of no known kind and listen nowhere.
    pub(super) fn introduces(&self, service: &Recognised) -> bool {
        self.meaning.process.is_some() && self.fits(service, None)
    }

    /// Whether and how the service is to be asked; None where this says nothing of it. It is asked on the port that it is
    /// meant by.
    pub(super) fn probes(&self, service: &Recognised) -> Option<(Asked, Vec<ProbeSpec>)> {
        let (kind, path) = match self.question.as_ref()? {
            Question::Nothing => return Some((Asked::Never, Vec::new())),
            Question::Path(path) => (ProbeKind::Http, Some(path)),
            Question::Usual(kind) => (*kind, None),
        };
        let port = self.meaning.port;
        let is_meant = |listener: &&Listener| port.is_none() || listener.port == port;
        let meant: Vec<Listener> = service.listeners.iter().filter(is_meant).cloned().collect();
        let usual = service.entry.and_then(|entry| entry.default_port);
        let expected = path.map(|_| self.expect.map_or(WELL, |status| (status, status)));
        let spec = |target| ProbeSpec {
            path: path.cloned(),
            expected,
            ..ProbeSpec::new(kind, target)
        };
        let targets = targets(&meant, port.or(usual), true);
        Some((Asked::AsSaid, targets.into_iter().map(spec).collect()))
    }
}

fn name(given: Given<'_>) -> Result<Untrusted, String> {
    let text = given.text().unwrap_or_default();
    let is_plain = escape(&text).to_string() == text;
    if !is_plain || text.trim().is_empty() || text.chars().count() > MAX_NAME {
        return Err(format!(
            "expected a name of 1 to {MAX_NAME} visible characters"
        ));
    }
    Ok(Untrusted::new(text))
}

fn role(given: Given<'_>) -> Result<&'static str, String> {
    let word = given.text().ok_or("expected a role, such as \"api\"")?;
    let mut known = ROLES.to_vec();
    for role in kinds().map(|entry| entry.role) {
        if !known.contains(&role) {
            known.push(role);
        }
    }
    let found = known.iter().find(|role| **role == word);
    found
        .copied()
        .ok_or_else(|| unknown("role", &word, &known, ""))
}

fn question(given: Given<'_>) -> Result<Question, String> {
    if given.is_false() {
        return Ok(Question::Nothing);
    }
    let expected = "expected a path such as \"/ready\", a protocol such as \"redis\", or false";
    let text = given.text().ok_or(expected)?;
    if text.starts_with('/') {
        // RFC 9112 §3.2.1: visible characters, and neither a blank, which would end the path, nor the end of a line.
        let is_path = text.len() <= MAX_PATH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        return match is_path {
            true => Ok(Question::Path(text)),
            false => Err(format!(
                "a path has at most {MAX_PATH} visible ASCII characters and no #; others are written as %XX"
            )),
        };
    }
    let kind = ProbeKind::speaking(&text).map(Question::Usual);
    kind.ok_or_else(|| {
        unknown(
            "protocol",
            &text,
            &ProbeKind::protocols().collect::<Vec<_>>(),
            expected,
        )
    })
}

/// `10s`, `5m`, `1h`.
fn interval(given: Given<'_>) -> Result<Duration, String> {
    let text = given.text().unwrap_or_default();
    let seconds = |unit: char, seconds: u64| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(seconds).map(Duration::from_secs)
    };
    let time = seconds('s', 1)
        .or_else(|| seconds('m', 60))
        .or_else(|| seconds('h', 3600));
    time.filter(|time| (MIN_EVERY..=MAX_EVERY).contains(time))
        .ok_or_else(|| "expected a time from 1s to 1h, such as \"10s\" or \"5m\"".to_owned())
}
