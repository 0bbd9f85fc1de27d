//! Prints a snapshot of this machine as JSON: `cargo run --release --example scan`.
//!
//! With `--bench N` it scans N times instead and prints what a scan and a look at the listeners cost, in
//! CPU time of the scanning thread. `--root DIR` looks at a copy of `/proc` and `/sys/fs/cgroup`.

use std::error::Error;

use diogenes_discovery::{Scanner, Scope, hash};
use rustix::time::{ClockId, clock_gettime};

fn main() -> Result<(), Box<dyn Error>> {
    let mut root = "/".to_owned();
    let mut rounds = 0usize;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("every option takes a value")?;
        match argument.as_str() {
            "--root" => root = value,
            "--bench" => rounds = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let begun = cpu_us();
    let mut scanner = Scanner::new(root, Scope::default());
    let snapshot = scanner.scan();
    let cold = cpu_us() - begun;
    if rounds == 0 {
        println!("{}", serde_json::to_string_pretty(&snapshot)?);
        return Ok(());
    }
    println!("snapshot {}", hash(&snapshot));
    println!(
        "{} processes, {} listeners",
        snapshot.processes.len(),
        snapshot.listeners.len()
    );
    println!("first scan  {cold:>8} us");
    let scans = measure(rounds, || {
        scanner.scan();
    });
    println!(
        "scan        {:>8} us least, {} us median of {rounds}",
        scans.0, scans.1
    );
    let looks = measure(rounds, || {
        scanner.listening();
    });
    println!(
        "listening   {:>8} us least, {} us median of {rounds}",
        looks.0, looks.1
    );
    Ok(())
}

/// The least and the median CPU time in microseconds.
fn measure(rounds: usize, mut work: impl FnMut()) -> (i64, i64) {
    let mut times: Vec<i64> = (0..rounds)
        .map(|_| {
            let begun = cpu_us();
            work();
            cpu_us() - begun
        })
        .collect();
    times.sort_unstable();
    (times[0], times[rounds / 2])
}

fn cpu_us() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1000
}
