//! Runs one probe by hand: `probe http 127.0.0.1:8080`, `probe redis /run/redis.sock`, `probe http 127.0.0.1:80 /health`.

use std::process::ExitCode;

use diogenes_probes::{Curiosity, Limits, run};
use diogenes_proto::{ProbeKind, ProbeSpec, ProbeTarget};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, target, path) = match arguments.as_slice() {
        [kind, target] => (kind, target, None),
        [kind, target, path] => (kind, target, Some(path.clone())),
        _ => {
            eprintln!("usage: probe PROTOCOL|discover ADDRESS:PORT|SOCKET [HTTP-PATH]");
            return ExitCode::from(2);
        }
    };
    let known = match kind.as_str() {
        "discover" => Some(ProbeKind::Discover),
        protocol => ProbeKind::speaking(protocol),
    };
    let Some(kind) = known else {
        eprintln!("probe: there is no probe that speaks \"{kind}\"");
        return ExitCode::from(2);
    };
    let target = target.parse().map_or_else(
        |_| ProbeTarget::Unix(target.as_str().into()),
        ProbeTarget::Tcp,
    );
    let spec = ProbeSpec {
        path,
        ..ProbeSpec::new(kind, target)
    };
    let limits = Limits {
        curiosity: Curiosity::Everything,
        ..Limits::default()
    };
    println!("{:#?}", run(&spec, limits).await);
    ExitCode::SUCCESS
}
