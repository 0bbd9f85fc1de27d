//! The corpus: real services from Debian's packages, in containers as people run them, and the measure of what their
//! companions make of them.
//!
//! ```text
//! entry (a file) ─► image ─► stage (a container) ─► what the supervisor tells ─► verdict ─► table
//!                              ▲ fault                                 nmap ─┘
//! ```
//!
//! What is told and is not true counts against precision, what is true and is not told against recall. To say of
//! something unknown what it runs and speaks is neither. Impostors are part of it: scripts named nginx, a web server on
//! Redis' port.

pub mod entry;
pub mod image;
pub mod nmap;
pub mod stage;
pub mod table;
pub mod trial;
pub mod verdict;
