//! `diogenes-agent health`: what a container engine's HEALTHCHECK asks for, from the companion that knows it already.
//!
//! One line of truth, and 0 or 1: Docker reserves all other codes.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use diogenes_proto::{Health, Request};

use crate::client::{self, Reply};
use crate::place;

/// Docker would wait half a minute by default; whoever needs longer than this is not well.
const DEADLINE: Duration = Duration::from_secs(2);

/// Prints how the container fares, or one service of it, and exits 0 where that is well enough: healthy, or degraded
/// unless that is too little (`strict`).
pub(crate) fn run(socket: Option<&Path>, service: Option<String>, strict: bool) -> ExitCode {
    let (health, why) = match look(socket, service) {
        Ok(reply) => (reply.health, reply.reason.to_string()),
        Err(why) => (Health::Unknown, why),
    };
    let well = match health {
        Health::Healthy => true,
        Health::Degraded => !strict,
        Health::Starting | Health::Unhealthy | Health::Unknown => false,
    };
    match client::print(&format!("{health}: {why}\n")) {
        ExitCode::SUCCESS if well => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn look(socket: Option<&Path>, service: Option<String>) -> Result<Reply, String> {
    let stream = place::connect(socket)?;
    client::converse(&stream, &Request::Health { service }, DEADLINE)
}
