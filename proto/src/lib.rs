//! What travels on a companion's socket: JSON lines, one object a line.
//!
//! `PROTOCOL.md` beside this crate is the normative text; this crate is its Rust form. Nothing here does
//! I/O: [`mod@line`] turns bytes into messages and back, [`hello`] decides which version two peers speak, and
//! the other modules are the facts themselves. They are declared once and used from the agent's scan of
//! `/proc` to the supervisor's HTTP answers:
//!
//! ```text
//! /proc ─► Snapshot ─► Service ─► Health ─► Finding ─► Answer
//! ```

pub mod answer;
pub mod error;
mod fit;
pub mod fraction;
pub mod hello;
pub mod line;
pub mod logs;
pub mod message;
pub mod origin;
pub mod page;
pub mod probe;
pub mod report;
pub mod request;
pub mod service;
pub mod snapshot;
pub mod timestamp;
pub mod untrusted;
pub mod word;

pub use answer::{Answer, HostFacts, PublishedPort};
pub use error::{ErrorCode, WireError};
pub use hello::{Hello, ProtocolRange};
pub use logs::{LogFile, LogPosition, Logs};
pub use message::Message;
pub use origin::{Background, Language, Origin};
pub use page::SnapshotPage;
pub use probe::{ProbeKind, ProbeOutcome, ProbeSpec, ProbeTarget, Verdict};
pub use report::Report;
pub use request::{EndedService, PastStart, Request};
pub use service::{Activity, Finding, Health, ProbeStats, Service, Severity};
pub use snapshot::{Disk, Listener, Process, Resources, Snapshot, Transport};
pub use timestamp::Timestamp;
pub use untrusted::Untrusted;
