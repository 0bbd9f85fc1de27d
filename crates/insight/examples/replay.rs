//! Replays a snapshot kept in a file: `replay SNAPSHOT.json QUESTION…`. Without probes, so that nothing is
//! known to work; what is recognised, and why, is what it shows.

use std::process::ExitCode;

use diogenes_insight::{Assessor, answer, recognise};
use diogenes_proto::Snapshot;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: replay SNAPSHOT.json [QUESTION…]");
        return ExitCode::from(2);
    };
    let read = std::fs::read(&path).map_err(|error| error.to_string());
    let snapshot: Snapshot = match read
        .and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()))
    {
        Ok(snapshot) => snapshot,
        Err(error) => {
            eprintln!("replay: {path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let question = arguments.collect::<Vec<_>>().join(" ");
    if question.is_empty() {
        for service in recognise(&snapshot) {
            println!(
                "{}: {}, {}",
                service.key,
                service.name,
                service.role.unwrap_or("no role")
            );
            for evidence in service.evidence {
                println!("  {evidence}");
            }
        }
        return ExitCode::SUCCESS;
    }
    let mut assessor = Assessor::new();
    assessor.observe(snapshot.taken_at, &snapshot);
    let report = assessor.report(snapshot.taken_at, String::new());
    let answer = answer(&question, &report, None, snapshot.taken_at);
    for line in answer.text.lines() {
        println!("{line}");
    }
    ExitCode::SUCCESS
}
