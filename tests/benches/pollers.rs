//! Whether monitors disturb: questions to companions of a hundred real containers, alone and beside twenty pollers of
//! `/metrics` and `/health`. Prints distributions and their ratios; asserts nothing, because machines are noisy.
//!
//! `cargo bench -p diogenes-tests --bench pollers` runs it alone. The pollers are threads of this program, on the same
//! machine: what they cost themselves is in the figures. The scenes come by turns, so that a noisy minute of the
//! machine hits all of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diogenes_testkit::{Container, Supervisor, listener_image, wait_until};
use diogenes_tests::measure::{HttpConnection, print_distribution, ratio, timed};

const CONTAINERS: usize = 100;
const POLLERS: usize = 20;
/// How often each poller asks in the paced scene; `/metrics` and `/health` by turns.
const PACE: Duration = Duration::from_millis(100);
/// How often the scenes are gone through, and the questions in each.
const ROUNDS: usize = 5;
const QUESTIONS: usize = 1000;
/// How long a hundred companions may take to come in.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the pollers behave; None where there are none.
const SCENES: [(&str, Option<Duration>); 3] = [
    ("alone", None),
    ("20 pollers, every 100 ms", Some(PACE)),
    ("20 pollers, flat out", Some(Duration::ZERO)),
];

fn main() {
    let containers = start_containers();
    let supervisor = Supervisor::start();
    let (_, took) = wait_until(PATIENCE, "all companions are present", || {
        let status = supervisor.status();
        let all = status["containers"].as_array()?;
        let ours = containers.iter().map(Container::name);
        let is_there = |name| {
            all.iter().any(|it| {
                it["name"] == name && it["state"] == "present" && !it["reported_at"].is_null()
            })
        };
        ours.into_iter().all(is_there).then_some(())
    });
    println!(
        "{CONTAINERS} containers, their companions there after {:.1} s",
        took.as_secs_f64()
    );

    let mut times = SCENES.map(|_| Vec::new());
    let mut polls = SCENES.map(|_| 0);
    let mut lasted = SCENES.map(|_| Duration::ZERO);
    for _ in 0..ROUNDS {
        for (scene, (_, pace)) in SCENES.iter().enumerate() {
            let start = Instant::now();
            let (scene_times, scene_polls) = play(&supervisor, &containers, *pace);
            times[scene].extend(scene_times);
            polls[scene] += scene_polls;
            lasted[scene] += start.elapsed();
        }
    }
    println!("question to answer, HTTP over the Unix socket, each to another container");
    for (scene, (name, _)) in SCENES.iter().enumerate() {
        print_distribution(name, &mut times[scene]);
    }
    for (scene, (name, _)) in SCENES.iter().enumerate().skip(1) {
        println!(
            "  {name}: {:.1} times the median, {:.1} times the p99; {:.0} polls a second",
            ratio(&times[scene], &times[0], 50),
            ratio(&times[scene], &times[0], 99),
            polls[scene] as f64 / lasted[scene].as_secs_f64()
        );
    }
    let scrape = HttpConnection::tcp(supervisor.port()).get("/metrics");
    let value = |name: &str| -> f64 {
        let line = scrape
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect(name).parse().expect("a number")
    };
    println!(
        "a scrape has {} bytes and {} series; writing it took {:.2} ms on average, {} times in all",
        scrape.len(),
        scrape.lines().filter(|line| !line.starts_with('#')).count(),
        value("diogenes_metrics_render_duration_seconds_total") * 1000.0
            / value("diogenes_metrics_renders_total"),
        value("diogenes_metrics_renders_total")
    );
}

/// A hundred containers of one program that listens, a few started at a time.
fn start_containers() -> Vec<Container> {
    let image = listener_image();
    let starters: Vec<_> = (0..4)
        .map(|_| {
            let image = image.clone();
            thread::spawn(move || {
                let start = || {
                    Container::of(&image)
                        .args(["http", "127.0.0.1:8080", "200"])
                        .run()
                };
                (0..CONTAINERS / 4).map(|_| start()).collect::<Vec<_>>()
            })
        })
        .collect();
    let started = starters.into_iter().map(|starter| starter.join());
    started
        .flat_map(|containers| containers.expect("containers"))
        .collect()
}

/// Asks questions, one after the other, while pollers poll; returns how long each took, and the number of polls.
fn play(
    supervisor: &Supervisor,
    containers: &[Container],
    pace: Option<Duration>,
) -> (Vec<Duration>, usize) {
    let (stop, polls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let times = thread::scope(|scope| {
        for poller in 0..pace.map_or(0, |_| POLLERS) {
            let (stop, polls, port) = (&stop, &polls, supervisor.port());
            scope.spawn(move || {
                let mut connection = HttpConnection::tcp(port);
                let pages = ["/metrics", "/health"];
                for page in pages.iter().cycle().skip(poller % pages.len()) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    assert!(!connection.get(page).is_empty());
                    polls.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(pace.unwrap_or_default());
                }
            });
        }
        // The pollers are under way.
        thread::sleep(2 * PACE);
        let mut connection = HttpConnection::unix(&supervisor.api_socket());
        let times = (0..QUESTIONS).map(|question| {
            let name = containers[question % containers.len()].name();
            let path = format!("/api/v1/containers/{name}/ask");
            timed(|| drop(connection.post(&path, "{\"question\":\"status\"}")))
        });
        let times = times.collect();
        stop.store(true, Ordering::Relaxed);
        times
    });
    (times, polls.into_inner())
}
