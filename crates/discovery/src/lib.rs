//! What there is in a container, seen from its inside: processes, listening sockets with their owners, and
//! resources, gathered into one [`diogenes_proto::Snapshot`].
//!
//! ```text
//! /proc/PID/*  ─► processes ─┬─► frameworks (reads the application's source, on a thread of its own)
//!                            ├─► owners ◄── listeners ◄─ sock_diag, else /proc/net/*
//! /proc/1/{cgroup,mountinfo} ─► resources ◄─ cgroup v1, v2
//!                            └────────────► Snapshot
//! ```
//!
//! [`Scanner`] keeps what does not change between two scans, so that a scan reads little more than one
//! small file a process. What comes out of a container is bounded in size and number; what was left out or
//! could not be read is said in the snapshot's `gaps`. [`redact`] takes secrets out of command lines
//! before anything else sees them. [`logs`] finds and reads the files that the processes log to, when asked, and [`packages`]
//! what the installed packages tell of a program; [`reread`] follows one small file.
//! [`identity`] is for the supervisor: which container a process is in, seen from outside.

mod connections;
mod disks;
mod frameworks;
mod hash;
pub mod identity;
mod kinds;
mod listeners;
pub mod logs;
mod membership;
mod owners;
pub mod packages;
mod processes;
mod procfs;
pub mod reader;
pub mod redact;
mod regular;
pub mod reread;
mod resources;
mod scanner;
mod tree;
mod turns;
mod writable;

pub use hash::hash;
pub use scanner::{Scanner, Scope};
pub use writable::writable;
