//! Runs one probe by hand: `probe http 127.0.0.1:8080`, `probe redis /run/redis.sock`.

use std::process::ExitCode;

use diogenes_probes::{Curiosity, Limits, run};
use diogenes_proto::{ProbeKind, ProbeSpec, ProbeTarget};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, target] = arguments.as_slice() else {
        eprintln!("usage: probe http|redis|postgresql|tcp|discover ADDRESS:PORT|PATH");
        return ExitCode::from(2);
    };
    let kind = match kind.as_str() {
        "http" => ProbeKind::Http,
        "redis" => ProbeKind::Redis,
        "postgresql" => ProbeKind::Postgresql,
        "tcp" => ProbeKind::Tcp,
        "discover" => ProbeKind::Discover,
        other => {
            eprintln!("probe: \"{other}\" is not a kind of probe");
            return ExitCode::from(2);
        }
    };
    let target = target.parse().map_or_else(
        |_| ProbeTarget::Unix(target.as_str().into()),
        ProbeTarget::Tcp,
    );
    let limits = Limits {
        curiosity: Curiosity::HealthAndVersion,
        ..Limits::default()
    };
    println!("{:#?}", run(&ProbeSpec { kind, target }, limits).await);
    ExitCode::SUCCESS
}
