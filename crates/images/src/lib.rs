//! Baking: an image with the agent in it, from an image without.
//!
//! ```text
//! archive of the Engine ─► Archive ─┬─► config ─► rewrite ─► config' ─┐
//!                                   └─► layers (never unpacked) ──────┼─► Baked ─► archive for the Engine
//!                  agent, role ─► layer (one, ours) ──────────────────┘
//! ```
//!
//! The same image and the same agent give the same bytes on any day and Engine: the layer has fixed times, owners,
//! modes and order; the configuration is written with sorted keys, and nothing in it comes from a clock. The base's
//! layers are copied as they are, compressed or not, and never held in memory.
//!
//! An archive is hostile input, even from our own Engine: images come from anywhere.

mod agent;
mod archive;
mod bake;
mod config;
mod digest;
mod error;
mod init;
mod layer;
mod role;
mod tar;

pub use agent::{AGENT_PATH, Agent};
pub use bake::{Baked, bake};
pub use config::HealthCheck;
pub use config::labels;
pub use digest::Digest;
pub use error::{ArchiveError, BakeError};
pub use role::{ROLE_PATH, RoleSource};
pub use tar::archive_of;
