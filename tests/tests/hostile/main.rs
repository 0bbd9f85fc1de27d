//! Hostile containers: what root inside one tries, and that nothing is gained and nobody else is affected.
//!
//! | against | with | in |
//! |---|---|---|
//! | its companion's process | ptrace, `/proc`, signals, limits, exhaustion; with the usual capabilities, with CAP_SYS_PTRACE, as a remapped user | `companion` |
//! | the supervisor and others' sessions | a session that it took from its companion: forged, replayed, endless, flooding | `session` |
//! | people who read | escapes, forged lines and invalid bytes wherever an application has the word; names of containers | `words`, `terminal` |
//! | what a companion opens | FIFOs, devices, holes, links, descriptors that change, control groups that are none | `files` |
//! | everybody's time and memory | processes, listeners, connections, output, answers without end | `floods` |
//!
//! Each test has a [`World`](world::World): a supervisor, and a neighbour who must notice nothing. What an attempt is, is
//! written in Python, since an enemy needs system calls that this workspace's Rust has no use for.

mod companion;
mod files;
mod floods;
mod inside;
mod session;
mod terminal;
mod words;
mod world;
