//! What must hold of the readers of untrusted bytes, whatever the bytes.
//!
//! One module a reader, with one function `check` that takes any bytes and panics where a promise is broken.
//! Two run them: libFuzzer with bytes it makes up (`make fuzz`), and the test `corpus` with the inputs kept in
//! `corpus/`, on every `make test-fast`. So what was found once stays found, without libFuzzer.
//!
//! ```text
//! corpus/TARGET/* ─┬─► libFuzzer ─► mutated ─┐
//!                  └─► test `corpus` ────────┴─► check ─► reader ─► promises
//! ```
//!
//! Readers are reached by their public doors: a copy of `/proc` on disk, a Unix socket that answers. What is
//! tested is then what runs in a container, and nothing has to be opened up for it.

pub mod answers;
pub mod engine;
pub mod identity;
pub mod image;
pub mod lines;
pub mod own_words;
mod parts;
pub mod probes;
pub mod redaction;
pub mod registries;
mod replay;
pub mod scan;
pub mod snapshot;
pub mod sock_diag;
pub mod tekton;
pub mod text;

/// A reader's check: panics where a promise is broken.
pub type Check = fn(&[u8]);

/// Every check by the name of its target and of its folder in `corpus/`.
pub const TARGETS: &[(&str, Check)] = &[
    ("answers", answers::check),
    ("engine", engine::check),
    ("identity", identity::check),
    ("image", image::check),
    ("lines", lines::check),
    ("own_words", own_words::check),
    ("probes", probes::check),
    ("redaction", redaction::check),
    ("registries", registries::check),
    ("scan", scan::check),
    ("snapshot", snapshot::check),
    ("sock_diag", sock_diag::check),
    ("tekton", tekton::check),
    ("text", text::check),
];
