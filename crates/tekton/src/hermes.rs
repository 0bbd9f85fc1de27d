//! Hermes, where Tekton's components register: what it is told, and what to tell it next.
//!
//! ```text
//! wishes (who is to be known, and how) ─► Ledger ─► Request ─► Client ─► Hermes
//!                                            ▲                    │
//!                                            └────── Answer ◄─────┘
//! ```
//! Hermes polls nobody: it knows a component by its registration, and takes it for alive for 60 s after its last
//! heartbeat. It keeps nothing over a restart, says 200 to the heartbeat of one it has never heard of, and so is asked
//! now and then whether it still knows who it was told of. The [`Ledger`] decides all that without a clock or a socket
//! of its own; the [`Client`] speaks HTTP and decides nothing.

mod client;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod wire;

pub use client::Client;
pub use ledger::{Answer, Counts, Gate, Ledger, MAX_IN_FLIGHT, Request, Wish};
pub use wire::{Component, Registration, Token};
