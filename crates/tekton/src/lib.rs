//! What Tekton's programs accept, as types, clients and files: what they really do, not what their documents say.
//!
//! Nothing here knows of a supervisor or a container; who has something to tell Tekton fills in these types.

pub mod aish;
pub mod component;
pub mod ergon;
pub mod hermes;
mod http;
pub mod projects;
pub mod specialist;
pub mod stanza;

pub use http::{Address, AddressError, ExchangeError};
