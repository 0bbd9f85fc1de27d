//! Where a service's program comes from, and what the files around it tell.

use crate::Untrusted;

/// A language whose libraries keep their versions beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Distributions, as pip and the systems' packages install them.
    Python,
    /// Packages below `node_modules`.
    Node,
    /// Gems.
    Ruby,
    /// Applications below an installation's or a release's `lib`.
    Erlang,
}

/// Where a service's program comes from. All of it was said by the container; paths may be relative to the working
/// directory of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its main process.
    pub container_pid: u32,
    /// The user it runs as.
    pub uid: u32,
    /// Whether its version is still to be learnt.
    pub wants_version: bool,
    /// What it is written in, where that has libraries.
    pub language: Option<Language>,
    /// What it may be called as a library, the name that tells most first: `fastapi`, `uvicorn`.
    pub libraries: Vec<Untrusted>,
    /// Files from which its libraries are found: its script, or what it was started as; Erlang's root directory.
    pub beside: Vec<Untrusted>,
    /// The files that are the program itself: script or archive, else the executable.
    pub files: Vec<Untrusted>,
}

/// What was found out about a program by its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Background {
    /// The version; None where no package tells, or it was not asked for.
    pub version: Option<Untrusted>,
    /// One of its files that its own user, or everybody, can overwrite; None where there is none.
    pub writable: Option<Untrusted>,
}
