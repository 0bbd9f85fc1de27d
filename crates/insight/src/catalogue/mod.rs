//! Kinds of service, as data.
//!
//! To add a kind, add one [`Kind`] to the file of its role: what it is called, what marks its processes, what it
//! is asked; and one line to `catalogue/tests.rs`: a process of it as it really looks. Nothing else needs to know
//! of it. A mark is what the kernel vouches for (the executable), or, for an interpreter, what it was told to run;
//! a name that a process may choose freely (`argv[0]`) only supports.
//!
//! Where a fact comes from stands beside it. An executable's name without a remark is that of Debian 12's package
//! of the same name, or, where Debian has none, of the product's own release.

mod applications;
mod caches;
mod databases;
mod frameworks;
mod index;
mod infrastructure;
mod mail;
mod monitoring;
mod network;
mod protocols;
mod proxies;
mod queues;
mod search;
mod storage;
mod supervisors;
#[cfg(test)]
mod tests;
mod web;
mod workers;

use diogenes_proto::ProbeKind;

pub(crate) use index::{bearing, is_name, plain};
pub(crate) use protocols::protocol;

/// A language whose interpreter or virtual machine runs programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Python and `PyPy`.
    Python,
    /// JavaScript under Node.js.
    Node,
    /// Ruby.
    Ruby,
    /// Perl.
    Perl,
    /// Lua.
    Lua,
    /// PHP's command line.
    Php,
    /// Java and whatever else runs in its virtual machine.
    Java,
    /// Erlang and Elixir.
    Erlang,
    /// .NET.
    Dotnet,
    /// A shell: a shell script called like a server starts it at best, it is not the server.
    Shell,
}

/// A sign in a process that it belongs to a service of some kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The name of the executable file (`/proc/PID/exe`), with or without a version behind it: `php-fpm8.2`. With
    /// a slash in it, the end of the file's path; such a place is believed though nothing listens.
    Executable(&'static str),
    /// One executable file under several names: the file's name, and the `comm` it was started as.
    Applet(&'static (&'static str, &'static str)),
    /// An interpreter runs a program of exactly this name, as installers make it: a script, a module
    /// (`python3 -m`), a Java class or archive, an Erlang application.
    Runs(Language, &'static str),
    /// The same, and one of its arguments is this word: `celery … worker`.
    Task(Language, &'static (&'static str, &'static str)),
    /// The interpreter itself was given an argument that begins so: `-Dcatalina.base=`.
    Given(Language, &'static str),
    /// An interpreter's process calls itself something that begins so; it has overwritten what it was told.
    Title(Language, &'static str),
    /// The program loads this framework ([`diogenes_proto::Process::frameworks`]).
    Framework(&'static str),
    /// It answers as another kind does, or is a runtime, but names itself so: in a `Server` header, or as part of
    /// its version (`10.11.6-MariaDB`).
    Product(&'static str),
    /// How `argv[0]` begins once the service has set it. Marks nothing by itself; vouches for an executable that
    /// listens nowhere, which may be anything of that name otherwise.
    Calls(&'static str),
    /// An executable of its own that it starts: part of it there, and nothing elsewhere.
    Helper(&'static str),
    /// Where in its executable's path a version follows: `/usr/lib/postgresql/15/bin/postgres`.
    VersionAfter(&'static str),
}

/// How much a kind says of a process: of several that fit one service, the last of these names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Runs anything: a service only where it listens.
    Runtime,
    /// Starts others, which are what a person would name: a service only where it listens.
    Supervisor,
    /// Serves an application, which has a name of its own.
    Host,
    /// What the application is written with.
    Framework,
    /// Does its own work.
    Server,
}

/// One kind of service.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Lower-case word, stable: it is in JSON and in keys.
    pub kind: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it usually does for a container.
    pub role: &'static str,
    /// Whether it is a proxy where another service of role `web` lives in the same container.
    pub fronts: bool,
    /// Which of several kinds that fit names the service.
    pub layer: Layer,
    /// What marks its processes. Any one suffices.
    pub marks: &'static [Mark],
    /// Whether it serves from a listener. Otherwise it is a worker: idle means that it waits for work, and it is
    /// judged by its processes alone.
    pub listens: bool,
    /// Whether it is connected to its broker as long as it works: who has no connection is told as broken. Not where the
    /// work may as well be in a database that is a file.
    pub keeps_connection: bool,
    /// Whether it may pass on any protocol, so that an answer in another one proves nothing against it.
    pub relays: bool,
    /// Whether it goes wherever its clients want, so that an error is about that place and not about itself.
    pub forwards: bool,
    /// What it is asked.
    pub probe: ProbeKind,
    /// The port it is asked on where it listens on several; None: the lowest that is open to others.
    pub default_port: Option<u16>,
    /// The path that says whether it is ready, where the product documents one; asked without credentials.
    pub readiness: Option<&'static str>,
}

/// What a kind is where its entry says nothing else.
const USUAL: Kind = Kind {
    kind: "",
    name: "",
    role: "web",
    fronts: false,
    layer: Layer::Server,
    marks: &[],
    listens: true,
    keeps_connection: false,
    relays: false,
    forwards: false,
    probe: ProbeKind::Http,
    default_port: None,
    readiness: None,
};

/// All kinds known, by file. Where two of one layer fit, the earlier one wins.
const KINDS: &[&[Kind]] = &[
    web::KINDS,
    proxies::KINDS,
    applications::KINDS,
    frameworks::KINDS,
    databases::KINDS,
    caches::KINDS,
    search::KINDS,
    queues::KINDS,
    workers::KINDS,
    mail::KINDS,
    network::KINDS,
    storage::KINDS,
    monitoring::KINDS,
    infrastructure::KINDS,
    supervisors::KINDS,
];

/// All kinds known. Where two of one layer fit, the earlier one wins.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().copied().flatten()
}

/// The kind of this word; None where it is not in the catalogue.
#[must_use]
pub fn find(kind: &str) -> Option<&'static Kind> {
    kinds().find(|entry| entry.kind == kind)
}

/// The kind that a service of this one turns out to be, by the product that it names in a header, or in its version.
#[must_use]
pub fn refined(kind: &Kind, product: Option<&str>, version: Option<&str>) -> Option<&'static Kind> {
    let names = |mark: &Mark| match *mark {
        Mark::Product(name) => {
            product.is_some_and(|product| product.eq_ignore_ascii_case(name))
                || version.is_some_and(|version| version.contains(name))
        }
        _ => false,
    };
    // Over HTTP a server often repeats what another one told it; only a runtime, which says nothing itself, is
    // named by what it runs.
    kinds()
        .filter(|other| other.probe == kind.probe && other.layer == kind.layer)
        .filter(|other| other.probe != ProbeKind::Http || other.layer == Layer::Runtime)
        .find(|other| other.marks.iter().any(names))
}

impl Kind {
    /// Whether its answers are its own: not files, and not what somebody behind it says.
    #[must_use]
    pub fn is_application(&self) -> bool {
        self.layer != Layer::Server || !matches!(self.role, "web" | "proxy")
    }

    /// The version in an executable's path; None where the path has none.
    #[must_use]
    pub fn version_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.marks.iter().find_map(|mark| {
            let Mark::VersionAfter(before) = *mark else {
                return None;
            };
            let (_, after) = path.split_once(before)?;
            let version = after.split('/').next()?;
            let plain = version.len() <= 24
                && version.starts_with(|c: char| c.is_ascii_digit())
                && version
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
            plain.then_some(version)
        })
    }
}
