//! What the benchmarks share: a connection that is kept, a clock, and how a distribution is printed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes both ways.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// An HTTP connection that is kept, as a client's library would.
pub struct HttpConnection(BufReader<Box<dyn Stream>>);

impl HttpConnection {
    /// Over a Unix socket.
    #[track_caller]
    pub fn unix(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the API's socket");
        Self(BufReader::new(Box::new(stream)))
    }

    /// Over a TCP port of the loopback.
    #[track_caller]
    pub fn tcp(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the API's port");
        stream.set_nodelay(true).expect("a socket option");
        Self(BufReader::new(Box::new(stream)))
    }

    /// Sends JSON and returns the body of the answer.
    ///
    /// # Panics
    /// Where the answer is not 200.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) -> String {
        self.exchange("POST", path, body)
    }

    /// Fetches a page.
    ///
    /// # Panics
    /// Where the answer is not 200.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> String {
        self.exchange("GET", path, "")
    }

    #[track_caller]
    fn exchange(&mut self, method: &str, path: &str, body: &str) -> String {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        let stream = self.0.get_mut();
        stream
            .write_all((head + body).as_bytes())
            .expect("a request");
        let status = self.line();
        let mut length = 0;
        loop {
            let line = self.line().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("a text");
        assert!(status.starts_with("HTTP/1.1 200"), "{status}: {body}");
        body
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a reply");
        line.trim_end().to_owned()
    }
}

/// How long something takes.
pub fn timed(action: impl FnOnce()) -> Duration {
    let start = Instant::now();
    action();
    start.elapsed()
}

/// The time within which so many percent of `times` lie; they are sorted.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// How many times as long the same percentile of `times` is as that of `base`; both are sorted.
pub fn ratio(times: &[Duration], base: &[Duration], percent: usize) -> f64 {
    percentile(times, percent).as_secs_f64() / percentile(base, percent).as_secs_f64()
}

/// Sorts times, prints their distribution, and returns its median.
pub fn print_distribution(name: &str, times: &mut [Duration]) -> Duration {
    times.sort();
    let ms = |percent| percentile(times, percent).as_secs_f64() * 1000.0;
    println!(
        "  {name:<28} n {:>5}   min {:>8.3}   median {:>8.3}   p90 {:>8.3}   p99 {:>8.3}   max {:>8.3} ms",
        times.len(),
        ms(0),
        ms(50),
        ms(90),
        ms(99),
        ms(100)
    );
    percentile(times, 50)
}

/// CPU time that a process has used, in nanoseconds.
///
/// # Panics
/// Where the process is gone.
#[must_use]
#[track_caller]
pub fn cpu_ns(pid: u32) -> u64 {
    let time = diogenes_linux::clock::cpu_time(pid).expect("a process that lives");
    u64::try_from(time.as_nanos()).expect("less than centuries")
}
