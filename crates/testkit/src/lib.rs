//! Real containers and a real supervisor for tests.
//!
//! A test asks for what it needs, and gets it or fails: where no container engine answers, nothing is skipped.
//! What a test was given ends with it, also when it fails: containers are removed, supervisors ended, by their
//! ids and never by a broad name. Containers carry the label `io.diogenes.test` with the test process that made
//! them, so those of a killed test are recognised and swept by the next.
//!
//! Everything here panics with a sentence instead of returning an error: a test that cannot have its container
//! has failed, and that sentence is what its reader needs.
//!
//! The images come from `make images`, the programs from `make build`.

mod aish;
mod container;
mod debian;
mod dist;
mod docker;
mod engine;
mod ergon;
mod hermes;
mod http;
mod image;
mod network;
mod private_engine;
mod run_id;
mod supervisor;
mod wait;

pub use aish::Aish;
pub use container::{Container, ContainerSpec};
pub use debian::{cache, debian_package};
pub use dist::dist;
pub use docker::docker;
pub use engine::{Engine, sweep};
pub use ergon::FakeErgon;
pub use hermes::{FakeHermes, Mood};
pub use http::http;
pub use image::{
    LISTENER, base_image, demo_image, image_label, listener_image, scratch_image, scratch_image_of,
};
pub use network::Network;
pub use private_engine::PrivateEngine;
pub use supervisor::{Supervisor, SupervisorSpec};
pub use wait::wait_until;
