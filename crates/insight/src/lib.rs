//! From a snapshot to the truth about it, in words.
//!
//! Everything here is pure: no I/O, no clock (`now` is passed in), no randomness. A snapshot kept in a file
//! replays to the same answer, byte for byte.
//!
//! ```text
//! Snapshot ─► recognise ─► Assessor ─► Report ─► answer ─► Answer
//!                 ▲           ▲ │
//!             catalogue       │ └─ due: ProbeSpec
//!                             └─── probed: ProbeOutcome
//! ```
//!
//! [`catalogue`] knows kinds of service, as data. [`recognise()`] finds them among processes and listeners.
//! [`Assessor`] remembers them over time, says what to probe when, and judges. [`answer()`] puts a report
//! into words. [`own_words`] are what a container says of itself; they go over what is found.

pub mod answer;
pub mod assess;
pub mod catalogue;
mod order;
pub mod own_words;
mod program;
pub mod recognise;
#[cfg(test)]
mod scene;
pub mod words;

pub use answer::{Intent, answer, services_named, understand};
pub use assess::{Assessor, Due};
pub use own_words::OwnWords;
pub use recognise::{Recognised, recognise};
