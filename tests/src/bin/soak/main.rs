//! The soak: thousands of containers live and die, and a supervisor that attends to them all is then as it was before.
//!
//! ```text
//! soak [CYCLES [PARALLEL]]        make soak CYCLES=2000 PARALLEL=8
//!
//! warm-up ─► rest ─► round ─► rest ─► … 12 rounds … ─► round ─► rest ─► verdict
//!             │                │                                  │
//!             └ sample         └ sample                           └ sample
//! ```
//! A cycle is one container from its creation to its removal, in one of the ways of `lives`. All happens in an Engine of
//! its own, with a supervisor of its own. Two residents live through all of it and must keep the companions they began
//! with. `verdict` says what counts as a leak; the exit status is 1 where there is one.

mod lives;
mod sample;
mod verdict;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diogenes_testkit::{Container, PrivateEngine, Supervisor, listener_image, wait_until};
use diogenes_tests::{SOON, agent_in};

use crate::lives::World;
use crate::sample::Sample;

/// Containers that live and die, unless told otherwise.
const CYCLES: usize = 2000;
/// As many at one time.
const PARALLEL: usize = 8;
/// Looks at the supervisor; a multiple of three, for the verdict compares thirds.
const ROUNDS: usize = 12;
/// How long a supervisor may take to come to rest after a round.
const REST: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|word| {
        word.parse()
            .unwrap_or_else(|_| panic!("not a number: {word}; usage: soak [CYCLES [PARALLEL]]"))
    });
    let cycles = numbers.next().unwrap_or(CYCLES);
    let parallel = numbers.next().unwrap_or(PARALLEL).max(1);

    let engine = PrivateEngine::start(&[]);
    let image = listener_image();
    engine.import(&image);
    let residents = [(); 2].map(|()| {
        Container::of(&*image)
            .on(&engine)
            .args(["http", "127.0.0.1:8000", "200"])
            .run()
    });
    let supervisor = Supervisor::spec().engine(&engine).start();
    let agents = || {
        residents
            .each_ref()
            .map(|resident| agent_in(&supervisor, resident))
    };
    let agents_before = agents();

    let world = World::new(&engine, &supervisor, image);
    let lived = AtomicUsize::new(0);
    // Everything that is made once has been made then: threads, buffers, what a program loads at its first use.
    run(&world, &lived, parallel * lives::WAYS, parallel);
    let before = rest(&supervisor, 0, None);
    lived.store(0, Ordering::Relaxed);

    println!(
        "{cycles} containers, {parallel} at a time, beside {} residents",
        residents.len()
    );
    println!("{}", Sample::HEADINGS);
    println!("{before}");
    let start = Instant::now();
    let mut samples = vec![before];
    for round in 1..=ROUNDS {
        run(&world, &lived, cycles * round / ROUNDS, parallel);
        let sample = rest(&supervisor, lived.load(Ordering::Relaxed), samples.first());
        println!("{sample}");
        samples.push(sample);
    }
    println!(
        "{} s; {} companions were seen at work, {} containers were gone before",
        start.elapsed().as_secs(),
        world.met(),
        world.missed()
    );

    let mut leaks = verdict::leaks(&samples);
    if agents() != agents_before {
        leaks.push("the residents have other companions than they began with".to_owned());
    }
    if leaks.is_empty() {
        println!("nothing leaked");
        return ExitCode::SUCCESS;
    }
    for leak in leaks {
        eprintln!("leaked: {leak}");
    }
    ExitCode::FAILURE
}

/// Lets containers live, so many at one time, until so many have.
fn run(world: &World<'_>, lived: &AtomicUsize, until: usize, parallel: usize) {
    std::thread::scope(|scope| {
        for _ in 0..parallel {
            scope.spawn(|| {
                loop {
                    let number = lived.fetch_add(1, Ordering::Relaxed);
                    if number >= until {
                        lived.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    world.live(number);
                }
            });
        }
    });
}

/// Waits until the counts are those of `before`, or until it is clear that they will not be; without `before`, until
/// nothing changes. Then looks.
fn rest(supervisor: &Supervisor, cycles: usize, before: Option<&Sample>) -> Sample {
    let start = Instant::now();
    let mut last = Sample::take(supervisor, cycles);
    wait_until(REST + SOON, "the supervisor to come to rest", || {
        // Longer than idle threads of its runtime live, where there is nothing to compare with.
        std::thread::sleep(Duration::from_secs(if before.is_some() { 1 } else { 12 }));
        let now = Sample::take(supervisor, cycles);
        let is_done = now.counts == before.unwrap_or(&last).counts || start.elapsed() > REST;
        last = now;
        is_done.then_some(())
    });
    last
}
