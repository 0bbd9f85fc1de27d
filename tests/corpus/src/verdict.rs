//! What is told of a container, compared with the truth.
//!
//! A claim that is not true counts against precision; a fact that is not told counts against recall. `unknown`, and a
//! description by process or observed protocol, is no claim: it only misses.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde_json::Value;

use crate::entry::{Entry, Expected};

/// Kinds by which something unknown is described: by its process, or by the protocol it was heard to speak. `mysql` is
/// not among them, for it is also the name of a program that MariaDB is not.
const DESCRIPTIONS: &[&str] = &[
    "process", "tcp", "udp", "unix", "http", "http2", "grpc", "tls", "ssh", "smtp", "imap", "pop3",
    "ftp", "amqp",
];

/// How much was told, and how much of it was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What was claimed.
    pub claims: u32,
    /// The claims that are true.
    pub true_claims: u32,
    /// What there was to tell.
    pub facts: u32,
    /// The facts that were told.
    pub told_facts: u32,
}

impl Tally {
    /// A fact that was told rightly.
    fn right() -> Self {
        Self {
            claims: 1,
            true_claims: 1,
            facts: 1,
            told_facts: 1,
        }
    }

    /// A fact that was told wrongly.
    fn wrong() -> Self {
        Self {
            claims: 1,
            facts: 1,
            ..Self::default()
        }
    }

    /// A fact that was not told.
    fn missed() -> Self {
        Self {
            facts: 1,
            ..Self::default()
        }
    }

    /// A claim where there was nothing to tell.
    fn invented() -> Self {
        Self {
            claims: 1,
            ..Self::default()
        }
    }

    /// The part of the claims that is true, in percent; 100 where nothing was claimed.
    #[must_use]
    pub fn precision(self) -> f64 {
        percent(self.true_claims, self.claims)
    }

    /// The part of the facts that was told, in percent; 100 where there was nothing to tell.
    #[must_use]
    pub fn recall(self) -> f64 {
        percent(self.told_facts, self.facts)
    }

    /// Whether everything was told, and nothing else.
    #[must_use]
    pub fn is_perfect(self) -> bool {
        self.true_claims == self.claims && self.told_facts == self.facts
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        100.0
    } else {
        f64::from(part) * 100.0 / f64::from(whole)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.claims += other.claims;
        self.true_claims += other.true_claims;
        self.facts += other.facts;
        self.told_facts += other.told_facts;
    }
}

/// The sort of a fact: tallies are kept for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// What a service is.
    Kind,
    /// What it does for the container.
    Role,
    /// Where it listens.
    Ports,
    /// Its version.
    Version,
    /// Its health while it starts: not there yet, but not unwell.
    Start,
    /// Its health when nothing is wrong.
    Well,
    /// Its health after a fault.
    Fault,
}

impl Sort {
    /// The word in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Role => "role",
            Self::Ports => "ports",
            Self::Version => "version",
            Self::Start => "health at the start",
            Self::Well => "health when well",
            Self::Fault => "health after a fault",
        }
    }
}

/// What was told of a container, judged.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// How much was right, by sort.
    pub tallies: BTreeMap<Sort, Tally>,
    /// What was wrong, in words.
    pub wrongs: Vec<String>,
    /// What was told of the first expected service; all of it `-` where nothing was.
    pub first: Told,
    /// Everything that was told, by kind, name and ports.
    pub all: Vec<String>,
}

/// One service as it was told, with a mark on what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Kind.
    pub kind: String,
    /// Role.
    pub role: String,
    /// Ports, separated by commas.
    pub ports: String,
    /// Version.
    pub version: String,
    /// Health.
    pub health: String,
}

impl Verdict {
    fn note(&mut self, sort: Sort, tally: Tally) {
        *self.tallies.entry(sort).or_default() += tally;
    }

    /// Notes one fact of one service, and returns how it is shown. None is told where `told` is None.
    fn fact(
        &mut self,
        sort: Sort,
        of: &str,
        told: Option<&str>,
        truth: &str,
        agree: bool,
    ) -> String {
        match told {
            Some(told) if agree => {
                self.note(sort, Tally::right());
                told.to_owned()
            }
            Some(told) => {
                self.note(sort, Tally::wrong());
                self.wrongs.push(format!(
                    "{of}: {} is told as {told}, and is {truth}",
                    sort.word()
                ));
                format!("✗{told}")
            }
            None => {
                self.note(sort, Tally::missed());
                self.wrongs
                    .push(format!("{of}: {} is not told ({truth})", sort.word()));
                "✗-".to_owned()
            }
        }
    }

    /// Notes whether a container was said to be unwell while it started.
    pub fn start(&mut self, alarm: Option<String>) {
        match alarm {
            Some(alarm) => {
                self.note(Sort::Start, Tally::wrong());
                self.wrongs.push(format!("while it starts: {alarm}"));
            }
            None => self.note(Sort::Start, Tally::right()),
        }
    }

    /// Takes over what was found in another container.
    pub fn add(&mut self, sort: Sort, tally: Tally) {
        self.note(sort, tally);
    }
}

/// Compares what is told of a container (`/api/v1/containers/{name}`) with its entry. `versions` are those of its
/// expected services, as the packages tell them; empty where an entry asks for none.
#[must_use]
pub fn judge(entry: &Entry, versions: &[String], known: &Value) -> Verdict {
    let mut verdict = Verdict::default();
    let mut told: Vec<&Value> = known["services"].as_array().into_iter().flatten().collect();
    verdict.all = told.iter().map(|it| in_words(it)).collect();
    // Those of the right kind first, so that a stranger on the same port is not taken for one.
    let mut found: Vec<Option<&Value>> = entry
        .service
        .iter()
        .map(|truth| take(&mut told, |it| it["kind"] == truth.kind.as_str()))
        .collect();
    for (truth, found) in entry.service.iter().zip(&mut found) {
        if found.is_none() {
            *found = take(&mut told, |it| shares_port(it, &truth.ports));
        }
    }
    for (index, (truth, found)) in entry.service.iter().zip(found).enumerate() {
        let version = versions.get(index).map_or("", String::as_str);
        let told = compare(&mut verdict, entry, truth, version, found);
        if index == 0 {
            verdict.first = told;
        }
    }
    for stranger in told {
        let kind = text(&stranger["kind"]).unwrap_or_default();
        if !is_description(kind) && !entry.also.iter().any(|it| it == kind) {
            verdict.note(Sort::Kind, Tally::invented());
            let ports = &stranger["ports"];
            verdict
                .wrongs
                .push(format!("{kind} on {ports} is told, and there is none"));
        }
    }
    verdict
}

fn compare(
    verdict: &mut Verdict,
    entry: &Entry,
    truth: &Expected,
    version: &str,
    found: Option<&Value>,
) -> Told {
    let Some(found) = found else {
        verdict
            .wrongs
            .push(format!("{}: nothing is told of it", truth.kind));
        for sort in [Sort::Kind, Sort::Role, Sort::Ports, Sort::Well] {
            verdict.note(sort, Tally::missed());
        }
        if !version.is_empty() {
            verdict.note(Sort::Version, Tally::missed());
        }
        let nothing = || "✗-".to_owned();
        return Told {
            kind: nothing(),
            role: nothing(),
            ports: nothing(),
            version: nothing(),
            health: nothing(),
        };
    };
    let of = truth.kind.as_str();
    let kind = text(&found["kind"]).unwrap_or_default();
    let vague = is_description(kind) || entry.also.iter().any(|it| it == kind);
    let kind = if kind == truth.kind || !vague {
        verdict.fact(Sort::Kind, of, Some(kind), &truth.kind, kind == truth.kind)
    } else {
        verdict.fact(Sort::Kind, of, None, &format!("it is {kind}"), false);
        format!("✗{kind}")
    };
    let role = text(&found["role"]);
    let role = match role {
        None if truth.role.is_empty() => "-".to_owned(),
        told => verdict.fact(Sort::Role, of, told, &truth.role, told == Some(&truth.role)),
    };
    let (told, ports) = (ports(found), &truth.ports);
    let words = |ports: &[u16]| {
        let words: Vec<String> = ports.iter().map(u16::to_string).collect();
        if words.is_empty() {
            "-".to_owned()
        } else {
            words.join(",")
        }
    };
    let ports = verdict.fact(
        Sort::Ports,
        of,
        Some(&words(&told)),
        &words(ports),
        told == *ports,
    );
    let told = text(&found["version"]);
    let version = if version.is_empty() {
        told.unwrap_or("-").to_owned()
    } else {
        let agree = told.is_some_and(|told| is_version(told, version));
        verdict.fact(Sort::Version, of, told, version, agree)
    };
    // What is not known yet, or cannot be, is no claim.
    let health = text(&found["health"]).filter(|it| !["unknown", "starting"].contains(it));
    let health = verdict.fact(Sort::Well, of, health, "healthy", health == Some("healthy"));
    Told {
        kind,
        role,
        ports,
        version,
        health,
    }
}

/// The health that is told of the service a fault shows on, known by its kind or else by a port; `unknown` where it is
/// not told of.
#[must_use]
pub fn health_of<'a>(known: &'a Value, truth: &Expected) -> &'a str {
    let services = || known["services"].as_array().into_iter().flatten();
    let found = services()
        .find(|it| it["kind"] == truth.kind.as_str())
        .or_else(|| services().find(|it| shares_port(it, &truth.ports)));
    found
        .and_then(|it| text(&it["health"]))
        .unwrap_or("unknown")
}

/// What counts after a fault: whether it was told as it should be, and if not, the health that was told instead.
#[must_use]
pub fn after_fault(told: bool, is_right: bool, health: &str) -> Tally {
    match health {
        _ if told => Tally::right(),
        // Right, but not for long enough, or not all of it.
        _ if is_right => Tally::missed(),
        "unknown" | "starting" => Tally::missed(),
        _ => Tally::wrong(),
    }
}

/// Whether a version was told rightly: all of it, its beginning up to a dot, or all of it and what the packager added.
fn is_version(told: &str, truth: &str) -> bool {
    let begins = |whole: &str, part: &str, ends: &[char]| {
        let rest = whole.strip_prefix(part);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(ends))
    };
    begins(truth, told, &['.']) || begins(told, truth, &['-', '+', '~', ' '])
}

/// A service as it was told, for people: `tcp listener on 5432`.
fn in_words(service: &Value) -> String {
    let (kind, name) = (text(&service["kind"]), text(&service["name"]));
    let mut words = format!("{} {}", kind.unwrap_or("-"), name.unwrap_or("-"));
    let ports: Vec<String> = ports(service).iter().map(u16::to_string).collect();
    if !ports.is_empty() {
        words += &format!(" on {}", ports.join(","));
    }
    words
}

fn is_description(kind: &str) -> bool {
    DESCRIPTIONS.contains(&kind)
}

fn take<'a>(from: &mut Vec<&'a Value>, wanted: impl Fn(&Value) -> bool) -> Option<&'a Value> {
    let index = from.iter().position(|it| wanted(it))?;
    Some(from.remove(index))
}

fn ports(service: &Value) -> Vec<u16> {
    let numbers = service["ports"].as_array().into_iter().flatten();
    numbers
        .filter_map(|it| it.as_u64()?.try_into().ok())
        .collect()
}

fn shares_port(service: &Value, truth: &[u16]) -> bool {
    ports(service).iter().any(|port| truth.contains(port))
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redis() -> Entry {
        let text = "start = 'redis-server'\n[[service]]\nkind = 'redis'\nrole = 'cache'\nports = [6379]\nversion = 'x'";
        toml::from_str(text).unwrap()
    }

    fn told(services: Value) -> Verdict {
        judge(
            &redis(),
            &["7.0.15".to_owned()],
            &json!({ "services": services }),
        )
    }

    fn whole(verdict: &Verdict) -> Tally {
        let mut whole = Tally::default();
        for tally in verdict.tallies.values() {
            whole += *tally;
        }
        whole
    }

    #[test]
    fn all_of_the_truth_is_perfect() {
        let verdict = told(json!([
            { "kind": "redis", "role": "cache", "ports": [6379], "version": "7.0.15", "health": "healthy" },
            { "kind": "process", "role": null, "ports": [], "version": null, "health": "unknown" },
        ]));
        assert_eq!(verdict.wrongs, Vec::<String>::new());
        assert!(whole(&verdict).is_perfect());
        assert_eq!(whole(&verdict).facts, 5);
    }

    #[test]
    fn not_to_know_misses_and_to_be_mistaken_is_false() {
        let unknown = told(json!([
            { "kind": "tcp", "role": null, "ports": [6379], "version": null, "health": "unknown" },
        ]));
        assert_eq!(
            (whole(&unknown).claims, whole(&unknown).true_claims),
            (1, 1),
            "its port"
        );
        assert_eq!((whole(&unknown).facts, whole(&unknown).told_facts), (5, 1));

        let mistaken = told(json!([
            { "kind": "nginx", "role": "web", "ports": [6379], "version": "1", "health": "unhealthy" },
        ]));
        assert_eq!(
            (whole(&mistaken).claims, whole(&mistaken).true_claims),
            (5, 1)
        );
        assert_eq!(mistaken.wrongs.len(), 4, "{:?}", mistaken.wrongs);
    }

    #[test]
    fn what_is_not_there_is_invented() {
        let verdict = told(json!([
            { "kind": "redis", "role": "cache", "ports": [6379], "version": "7", "health": "healthy" },
            { "kind": "mariadb", "role": "db", "ports": [3306], "version": null, "health": "healthy" },
        ]));
        assert_eq!(
            verdict.wrongs,
            ["mariadb on [3306] is told, and there is none"]
        );
        assert_eq!((whole(&verdict).claims, whole(&verdict).facts), (6, 5));
    }

    #[test]
    fn a_version_may_be_cut_at_a_dot_or_bear_its_packagers_mark() {
        for (told, right) in [
            ("15.8", true),
            ("15", true),
            ("15.8-1+deb12u1", true),
            ("15.80", false),
            ("1", false),
            ("16", false),
            ("5.5.5-15.8", false),
        ] {
            assert_eq!(is_version(told, "15.8"), right, "{told}");
        }
    }
}
