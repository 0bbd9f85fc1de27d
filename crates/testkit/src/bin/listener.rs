//! A static program for containers that have nothing else: it does what its arguments say, one after the other,
//! then waits for SIGTERM.
//!
//! ```text
//! tcp ADDR         listens and never accepts, so that the accept queue fills
//! hang ADDR        accepts and never answers
//! http ADDR CODE   answers every HTTP request with the status CODE
//! get ADDR         exits at once, with status 0 where ADDR answers an HTTP request with a status of 200, with 1 if not
//! pairs N ADDR     listens on ADDR, and holds both ends of N connections to it
//! udp ADDR         binds a datagram socket
//! unix PATH        listens on a Unix socket; a path that begins with @ is abstract
//! children N       starts N processes of its own kind that do nothing
//! say TEXT         writes a line to stdout
//! eat MIB          takes so much memory, and uses it
//! wait MS          does nothing for that many milliseconds, then goes on
//! die MS           exits with status 3 after that many milliseconds, instead of waiting for ever
//! ```

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut words = std::env::args().skip(1);
    // What was opened stays open to the end.
    let mut held: Vec<Box<dyn std::any::Any>> = Vec::new();
    while let Some(verb) = words.next() {
        let mut word = || {
            words
                .next()
                .ok_or_else(|| format!("{verb} needs another argument"))
        };
        match verb.as_str() {
            "tcp" => held.push(Box::new(TcpListener::bind(word()?)?)),
            "hang" => serve(TcpListener::bind(word()?)?, |stream| {
                std::mem::forget(stream);
                Ok(())
            }),
            "http" => {
                let (address, code) = (word()?, word()?);
                serve(TcpListener::bind(address)?, move |stream| {
                    answer(stream, &code)
                });
            }
            "get" => std::process::exit(i32::from(!is_well(&word()?))),
            "pairs" => {
                let number = word()?.parse()?;
                held.push(Box::new(connections(number, &word()?)?));
            }
            "udp" => held.push(Box::new(UdpSocket::bind(word()?)?)),
            "unix" => held.push(Box::new(bind_unix(&word()?)?)),
            "children" => {
                for _ in 0..word()?.parse::<u32>()? {
                    let mut child = Command::new("/proc/self/exe")
                        .stdin(Stdio::null())
                        .spawn()?;
                    // Reaped when it ends: this is often PID 1, and nobody else would.
                    std::thread::spawn(move || child.wait());
                }
            }
            "say" => println!("{}", word()?),
            "eat" => held.push(Box::new(vec![1_u8; word()?.parse::<usize>()? << 20])),
            "wait" => std::thread::sleep(Duration::from_millis(word()?.parse()?)),
            "die" => {
                let time = Duration::from_millis(word()?.parse()?);
                std::thread::spawn(move || {
                    std::thread::sleep(time);
                    std::process::exit(3);
                });
            }
            _ => return Err(format!("unknown word {verb}").into()),
        }
    }
    await_sigterm()
}

/// As PID 1 a program that does not ask for SIGTERM never gets it, and `docker stop` takes ten seconds.
fn await_sigterm() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        signal(SignalKind::terminate())?.recv().await;
        Ok(())
    })
}

/// Hands every connection to `treat`, one at a time.
fn serve(listener: TcpListener, treat: impl Fn(TcpStream) -> std::io::Result<()> + Send + 'static) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if let Err(error) = stream.and_then(&treat) {
                eprintln!("connection: {error}");
            }
        }
    });
}

fn answer(mut stream: TcpStream, code: &str) -> std::io::Result<()> {
    // A request of a probe fits one read; what it asks for does not matter.
    let _ = stream.read(&mut [0; 4096])?;
    write!(
        stream,
        "HTTP/1.1 {code} Test\r\nServer: testkit\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    )
}

/// Connections with oneself, and the listener they came by.
fn connections(
    number: usize,
    address: &str,
) -> std::io::Result<(TcpListener, Vec<[TcpStream; 2]>)> {
    let listener = TcpListener::bind(address)?;
    let connect = |_| Ok([TcpStream::connect(address)?, listener.accept()?.0]);
    let pairs = (0..number).map(connect).collect::<std::io::Result<_>>()?;
    Ok((listener, pairs))
}

/// What a health check from outside does: as little as can be done.
fn is_well(address: &str) -> bool {
    let get = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    get().unwrap_or(false)
}

fn bind_unix(path: &str) -> std::io::Result<UnixListener> {
    match path.strip_prefix('@') {
        Some(name) => UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?),
        None => UnixListener::bind(path),
    }
}
