//! Dial-in: companions that are part of their image come to the supervisor, by a socket that is mounted into the container.
//!
//! ```text
//! accept ─► who is it (the kernel) ─► which container (its init's cgroup) ─► its turn ─► hello ─► its attendant
//!             │                         │                                     │            │        │
//!             └─────────────────────────┴──────── turned away, audited ───────┴────────────┴────────┘
//! ```
//! The socket is open to every user of every container that it is mounted into, so what comes in is believed nothing:
//! neither its hello nor anything else it says tells which container it is. It may answer and report, and ask nothing
//! ([`Rights::COMPANION`](crate::session::rights::Rights::COMPANION)). What it costs is bounded for each container, so
//! that a mad one keeps no other out ([`callers`]).

mod callers;
mod identity;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diogenes_linux::entrance::{Caller, Entrance, Unidentified};
use diogenes_linux::peer::Peer;
use diogenes_proto::{ErrorCode, Hello, Message, WireError, line};
use interprocess::local_socket::tokio::Listener;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attendants::Attendants;
use crate::attendants::visit::Visitor;
use crate::audit::Who;
use crate::dial_in::callers::{Callers, Turn};
use crate::dial_in::identity::{Identified, Stranger, identify, identify_in_time};
use crate::registry::Registry;
use crate::run_dir;
use crate::session::{BUILD, Session, SessionEnd};

/// What is noted in the audit beside the types of requests.
const DIAL_IN: &str = "dial-in";
/// The pause after a failed accept: mostly no file descriptor is left, and asking at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The socket, and those who come by it.
pub(crate) struct DialIn {
    listener: Listener,
    registry: Arc<Registry>,
    attendants: Arc<Attendants>,
    callers: Arc<Callers>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl DialIn {
    /// Listens in `directory`, which is made where it is not there, and goes with the listener only as far as the
    /// socket: containers have it mounted. Stops with `stop`; `tasks` knows when all have gone.
    ///
    /// # Errors
    /// Where nothing can be made there: in words, with what to do.
    pub(crate) fn listen(
        directory: &Path,
        registry: Arc<Registry>,
        attendants: Arc<Attendants>,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self, String> {
        let listener = run_dir::listen_for_containers(directory)?;
        Ok(Self {
            listener,
            registry,
            attendants,
            callers: Arc::default(),
            stop,
            tasks,
        })
    }

    /// Takes them in, one after the other, until told to stop.
    pub(crate) async fn run(self) {
        let stop = self.stop.clone();
        let _ = stop.run_until_cancelled(self.accept_for_ever()).await;
    }

    async fn accept_for_ever(&self) {
        let Listener::UdSocket(listener) = &self.listener;
        let mut entrance = Entrance::default();
        loop {
            entrance.look(listener);
            match listener.inner().accept().await {
                Ok((stream, _)) => self.take_in(stream, &entrance),
                Err(error) => {
                    tracing::debug!("cannot accept a companion: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Finds out who it is and begins its greeting, or turns it away. It takes some reads of `/proc` and no wait, and
    /// comes one at a time: the next in the queue costs nothing yet.
    fn take_in(&self, stream: UnixStream, entrance: &Entrance) {
        let peer = Peer::of(&stream).ok();
        let who = peer.map_or(Who::Unknown, |peer| Who::Process {
            uid: peer.uid,
            pid: peer.pid,
        });
        let caller = match entrance.identify(&stream) {
            Ok(caller) => caller,
            Err(why) => {
                self.registry.audit().refused(&who, DIAL_IN, &why);
                let may_help = matches!(why, Unidentified::TooYoung | Unidentified::Unknown(_));
                let code = if may_help {
                    ErrorCode::Busy
                } else {
                    ErrorCode::Forbidden
                };
                let message = format!("nobody can say who you are: {why}");
                return turn_away(&stream, WireError::new(code, message));
            }
        };
        let (id, who) = match identify(&caller, &self.registry) {
            Ok(identified) => (identified.id.clone(), identified.who()),
            // It may be known in a moment; until then the name will do to count by.
            Err(Stranger::Unknown(id)) => (id, who),
            Err(stranger) => {
                self.registry.audit().refused(&who, DIAL_IN, &stranger);
                return turn_away(&stream, stranger.to_wire());
            }
        };
        match self.callers.turn_of(&id, Instant::now()) {
            Ok(turn) => {
                let (registry, attendants) = (self.registry.clone(), self.attendants.clone());
                let greeting = greet(stream, caller, who, turn, registry, attendants);
                let stop = self.stop.clone();
                self.tasks.spawn(async move {
                    let _ = stop.run_until_cancelled(greeting).await;
                });
            }
            Err(too_much) => {
                self.registry.audit().refused(&who, DIAL_IN, &too_much);
                turn_away(
                    &stream,
                    WireError::new(ErrorCode::Busy, too_much.to_string()),
                );
            }
        }
    }
}

/// Exchanges hellos, and hands the companion to its container's attendant.
async fn greet(
    stream: UnixStream,
    caller: Caller,
    who: Who,
    turn: Turn,
    registry: Arc<Registry>,
    attendants: Arc<Attendants>,
) {
    // What was looked at before may have been too early, or have changed while this waited for its turn.
    let identified = match identify_in_time(&caller, &registry).await {
        Ok(identified) => identified,
        Err(stranger) => {
            registry.audit().refused(&who, DIAL_IN, &stranger);
            return turn_away(&stream, stranger.to_wire());
        }
    };
    let (session, handle, hello) = match Session::greet(stream).await {
        Ok(greeted) => greeted,
        Err(end) => {
            // Who goes again, or breaks off, has done nothing that it may not.
            if let SessionEnd::Misbehaved(_) = end {
                registry.audit().refused(&identified.who(), DIAL_IN, &end);
            }
            return;
        }
    };
    let Identified { id, name, init } = identified;
    let visitor = Visitor {
        session,
        handle,
        build: hello.build,
        process: Box::new(caller.process),
        init: Box::new(init),
    };
    let received = attendants.visit(&id, Box::new(visitor)).await;
    drop(turn);
    if let Err((visitor, unwelcome)) = received {
        tracing::debug!("the companion that dialled in from {name} is not received: {unwelcome}");
        visitor.session.refuse(unwelcome.to_wire()).await;
    }
}

/// Says why, as far as the socket's buffer takes it, and closes.
fn turn_away(stream: &UnixStream, error: WireError) {
    let hello = serde_json::to_string(&Hello::new(BUILD)).map_err(io::Error::from);
    let error = line::encode(None, &Message::Error(error)).map_err(io::Error::other);
    // Best effort: whoever it is will see that the session ends.
    let _ = hello
        .and_then(|hello| Ok(format!("{hello}\n{}\n", error?)))
        .and_then(|lines| stream.try_write(lines.as_bytes()));
}

#[cfg(test)]
#[path = "dial_in/tests.rs"]
mod tests;
