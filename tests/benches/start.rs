//! What a baked image costs its users: from `docker run` to the service's first answer, beside the image it was made of.
//! Prints distributions; asserts nothing, because machines are noisy: the plain image runs twice in each round, and what
//! it differs from itself is the noise of the run. Noise only adds, so that the first quartile tells more than the median.
//!
//! `cargo bench -p diogenes-tests --bench start` runs it alone. The answer comes through a Unix socket in a shared folder,
//! without any network of the Engine's. Rounds begin with another image each time.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diogenes_testkit::{base_image, docker, listener_image};
use diogenes_tests::baked::BakedImage;
use diogenes_tests::measure::{percentile, print_distribution};

const ROUNDS: usize = 40;
/// Between two looks for the answer.
const PATIENCE: Duration = Duration::from_micros(200);
/// When something must be wrong.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where the containers have the folder that holds the socket.
const SOCKET: &str = "/shared/socket";

fn main() {
    let redis = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        SOCKET,
        "--save",
        "",
    ];
    compare("Redis, its first PONG", base_image(), &redis, |stream| {
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut [0; 7])
    });
    compare(
        "a static program, its first connection",
        &listener_image(),
        &["unix", SOCKET],
        |_| Ok(()),
    );
}

/// Asks on a fresh connection whether the service answers.
type Ask = fn(&mut UnixStream) -> std::io::Result<()>;

fn compare(what: &str, plain: &str, args: &[&str], ask: Ask) {
    let baked = BakedImage::of(plain, "start");
    let images = [plain, baked.name(), plain];
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for turn in 0..images.len() {
            let at = (round + turn) % images.len();
            times[at].push(start_to_answer(images[at], args, ask));
        }
    }
    println!("{what}, {ROUNDS} rounds");
    let mut differences: Vec<f64> = times[0]
        .iter()
        .zip(&times[1])
        .map(|(plain, baked)| (baked.as_secs_f64() - plain.as_secs_f64()) * 1000.0)
        .collect();
    differences.sort_by(f64::total_cmp);
    for (name, times) in ["plain", "baked", "plain again"].iter().zip(&mut times) {
        print_distribution(name, times);
    }
    let ms = |at: usize, percent| percentile(&times[at], percent).as_secs_f64() * 1000.0;
    let against_plain = |at: usize, percent| ms(at, percent) - ms(0, percent);
    println!(
        "  baked against plain        {:+.1} ms by the medians, {:+.1} ms by the first quartiles; median of the \
         differences {:+.1} ms, half of them {:+.1} to {:+.1}",
        against_plain(1, 50),
        against_plain(1, 25),
        differences[ROUNDS / 2],
        differences[ROUNDS / 4],
        differences[ROUNDS * 3 / 4],
    );
    println!(
        "  plain against itself       {:+.1} ms by the medians, {:+.1} ms by the first quartiles",
        against_plain(2, 50),
        against_plain(2, 25),
    );
}

/// One container, from the command to its first answer.
fn start_to_answer(image: &str, args: &[&str], ask: Ask) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = format!("diogenes-start-{}", std::process::id());
    let start = Instant::now();
    let mut run = Command::new("docker")
        .args(["run", "-d", "--network=none", "--name", &name])
        .arg(format!("--volume={}:/shared", folder.path().display()))
        .arg(image)
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .expect("docker runs");
    let took = first_answer(&folder.path().join("socket"), start, ask);
    assert!(run.wait().expect("its end").success());
    docker(&["rm", "-f", "-v", &name]);
    took
}

fn first_answer(socket: &Path, start: Instant, ask: Ask) -> Duration {
    loop {
        let answered = UnixStream::connect(socket).and_then(|mut stream| ask(&mut stream));
        let took = start.elapsed();
        if answered.is_ok() {
            return took;
        }
        assert!(took < DEADLINE, "no answer at {}", socket.display());
        std::thread::sleep(PATIENCE);
    }
}
