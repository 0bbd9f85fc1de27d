//! The Engine over TCP: a proxy on the loopback before its socket.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;

use diogenes_testkit::Engine;

/// Listens until the test ends.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// One before the Engine of this machine.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let socket = Engine::require().socket().expect("the Engine's socket");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let clients = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::clone(&clients);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Ok(engine) = UnixStream::connect(&socket) {
                    let client = stream.try_clone().expect("a descriptor");
                    accepted.lock().expect("the list").push(client);
                    carry(stream, engine);
                }
            }
        });
        Self { address, clients }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections, as a network does.
    pub(crate) fn cut(&self) {
        for client in self.clients.lock().expect("the list").drain(..) {
            // It may have ended by itself.
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

/// Carries bytes both ways; the end of one way is passed on as just that.
fn carry(client: TcpStream, engine: UnixStream) {
    let (Ok(mut from_client), Ok(mut to_engine)) = (client.try_clone(), engine.try_clone()) else {
        return;
    };
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_engine);
        let _ = to_engine.shutdown(Shutdown::Write);
    });
    let (mut from_engine, mut to_client) = (engine, client);
    thread::spawn(move || {
        let _ = io::copy(&mut from_engine, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
}
