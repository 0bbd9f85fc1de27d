//! Whether Hermes disturbs: questions and status of a supervisor that registers forty real containers, beside a Hermes
//! that works and beside one that hangs, floods or babbles, and of one that registers nobody. Prints distributions and
//! their ratios; asserts nothing, because machines are noisy.
//!
//! `cargo bench -p diogenes-tests --bench hermes` runs it alone. The scenes come by turns, so that a noisy minute of the
//! machine hits all of them. Each has a supervisor of its own: one attends at a time.

use std::thread;
use std::time::Duration;

use diogenes_testkit::{Container, FakeHermes, Mood, Supervisor, listener_image, wait_until};
use diogenes_tests::measure::{HttpConnection, print_distribution, ratio, timed};

const CONTAINERS: usize = 40;
const ROUNDS: usize = 3;
const QUESTIONS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(120);

/// How Hermes behaves; None where there is none.
const SCENES: [(&str, Option<Mood>); 5] = [
    ("without Hermes", None),
    ("Hermes works", Some(Mood::Well)),
    ("Hermes hangs", Some(Mood::Hangs)),
    ("Hermes floods", Some(Mood::Floods)),
    ("Hermes babbles", Some(Mood::Babbles)),
];

fn main() {
    let image = listener_image();
    let listen = ["http", "127.0.0.1:8080", "200"];
    let start = |_| Container::of(&image).args(listen).run();
    let containers: Vec<Container> = (0..CONTAINERS).map(start).collect();
    let mut asked = SCENES.map(|_| Vec::new());
    let mut listed = SCENES.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (scene, (_, mood)) in SCENES.iter().enumerate() {
            let (questions, lists) = play(&containers, *mood);
            asked[scene].extend(questions);
            listed[scene].extend(lists);
        }
    }
    for (what, times) in [
        ("question to answer", &mut asked),
        ("status of all", &mut listed),
    ] {
        println!("{what}, HTTP over the Unix socket, {CONTAINERS} containers");
        for (scene, (name, _)) in SCENES.iter().enumerate() {
            print_distribution(name, &mut times[scene]);
        }
        for (scene, (name, _)) in SCENES.iter().enumerate().skip(1) {
            println!(
                "  {name}: {:.2} times the median, {:.2} times the p99",
                ratio(&times[scene], &times[0], 50),
                ratio(&times[scene], &times[0], 99)
            );
        }
    }
}

/// Asks and lists, one after the other; returns how long each took.
fn play(containers: &[Container], mood: Option<Mood>) -> (Vec<Duration>, Vec<Duration>) {
    let names: Vec<&str> = containers.iter().map(Container::name).collect();
    let hermes = FakeHermes::start();
    let mut spec = Supervisor::spec()
        .env("DIOGENES_ATTACH_DEFAULT", "false")
        .env("DIOGENES_ATTACH_INCLUDE", &names.join(" "));
    if mood.is_some() {
        spec = spec.arg(format!("--hermes={}", hermes.url()));
    }
    let supervisor = spec.start();
    wait_until(PATIENCE, "all companions have reported", || {
        let status = supervisor.status();
        let all = status["containers"].as_array()?;
        let reported = all.iter().filter(|it| !it["reported_at"].is_null());
        (reported.count() == names.len()).then_some(())
    });
    if let Some(mood) = mood {
        wait_until(PATIENCE, "all are registered", || {
            (hermes.alive().len() == names.len() + 1).then_some(())
        });
        hermes.set_mood(mood);
        // It meets with the mood.
        thread::sleep(Duration::from_secs(2));
    }
    let mut connection = HttpConnection::unix(&supervisor.api_socket());
    let questions = (0..QUESTIONS).map(|question| {
        let path = format!("/api/v1/containers/{}/ask", names[question % names.len()]);
        timed(|| drop(connection.post(&path, "{\"question\":\"status\"}")))
    });
    let questions = questions.collect();
    let lists = (0..QUESTIONS / 10).map(|_| timed(|| drop(connection.get("/api/v1/containers"))));
    let lists = lists.collect();
    if mood.is_some() {
        println!(
            "  {mood:?}: at most {} connections and {} requests under way",
            hermes.most_connections(),
            hermes.most_under_way()
        );
    }
    (questions, lists)
}
