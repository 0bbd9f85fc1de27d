//! The protocol, checked from the outside: against its document, against every line ever shipped, and
//! against peers that mean harm.

mod arbitrary;
mod document;
mod fitting;
mod framing;
mod golden;
mod hostile;
mod negotiation;
mod round_trip;
mod vocabulary;
