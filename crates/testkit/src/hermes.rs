//! A Hermes that behaves as the real one does, its quirks included, and badly where a test wants that.
//!
//! The quirks: registering takes snake_case and answers camelCase; a heartbeat without its header is 422, with a wrong
//! token 401, and 200 for a component nobody has registered; unregistering one that is not there is 401; registering
//! anew makes a component count as dead until it beats; all is forgotten at a restart; `/api/v1` is not there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// For so long after a heartbeat a component counts as alive.
const ALIVE: Duration = Duration::from_secs(60);
/// For so long a connection on which nothing is said is kept, as uvicorn does.
const IDLE: Duration = Duration::from_secs(5);

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Reads, and never answers.
    Hangs,
    /// Reads, and closes without a word.
    ClosesEarly,
    /// Closes in the middle of its answer.
    Halves,
    /// Answers without an end.
    Floods,
    /// Answers with what is not even HTTP.
    Babbles,
    /// Answers 200 with JSON that means something else.
    Garbles,
    /// Answers with this status.
    Refuses(u16),
}

#[derive(Clone, Debug)]
struct Known {
    registration: Value,
    beat_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    known: BTreeMap<String, Known>,
    /// Tokens of another life are worth nothing.
    life: u32,
    /// Method and path of every request, with the id it was about.
    heard: Vec<(String, String)>,
    connections: usize,
    most_connections: usize,
    most_under_way: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    under_way: AtomicUsize,
}

/// A fake Hermes on a loopback port, with a thread for each connection.
#[derive(Debug)]
pub struct FakeHermes {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl FakeHermes {
    /// Starts it.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        let serving = Arc::downgrade(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(shared) = serving.upgrade() else {
                    return;
                };
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, shared }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers like this.
    pub fn set_mood(&self, mood: Mood) {
        self.shared.state().mood = mood;
    }

    /// It is started anew: it has forgotten all, and with `new_secret` its old tokens are worth nothing.
    pub fn restart(&self, new_secret: bool) {
        let mut state = self.shared.state();
        state.known.clear();
        state.life += u32::from(new_secret);
    }

    /// Forgets one, as when somebody else unregisters it.
    pub fn forget(&self, id: &str) {
        self.shared.state().known.remove(id);
    }

    /// Registers one, as an earlier life of a supervisor has.
    pub fn remember(&self, registration: Value) {
        let id = registration["component_id"].as_str().unwrap_or_default();
        let known = Known {
            registration: registration.clone(),
            beat_at: None,
        };
        self.shared.state().known.insert(id.to_owned(), known);
    }

    /// The ids of those it knows.
    #[must_use]
    pub fn known(&self) -> Vec<String> {
        self.shared.state().known.keys().cloned().collect()
    }

    /// The ids of those that count as alive.
    #[must_use]
    pub fn alive(&self) -> Vec<String> {
        let state = self.shared.state();
        let alive = state.known.iter().filter(|(_, known)| known.is_alive());
        alive.map(|(id, _)| id.clone()).collect()
    }

    /// What it was last told of one; null where it does not know it.
    #[must_use]
    pub fn registration(&self, id: &str) -> Value {
        let state = self.shared.state();
        let known = state.known.get(id);
        known.map_or(Value::Null, |known| known.registration.clone())
    }

    /// How many requests it heard of this kind: `POST /api/heartbeat`.
    #[must_use]
    pub fn heard(&self, what: &str) -> usize {
        let state = self.shared.state();
        let heard = state.heard.iter().filter(|(request, _)| request == what);
        heard.count()
    }

    /// How often one was registered.
    #[must_use]
    pub fn registered(&self, id: &str) -> usize {
        let state = self.shared.state();
        let is_it =
            |(request, about): &&(String, String)| request == "POST /api/register" && about == id;
        state.heard.iter().filter(is_it).count()
    }

    /// The most connections that were open at one moment.
    #[must_use]
    pub fn most_connections(&self) -> usize {
        self.shared.state().most_connections
    }

    /// The most requests that were under way at one moment.
    #[must_use]
    pub fn most_under_way(&self) -> usize {
        self.shared.state().most_under_way
    }
}

impl Known {
    fn is_alive(&self) -> bool {
        self.beat_at.is_some_and(|at| at.elapsed() < ALIVE)
    }

    /// As `GET /api/components` has it.
    fn snake(&self, id: &str) -> Value {
        let it = &self.registration;
        json!({
            "component_id": id, "name": it["name"], "version": it["version"], "type": null, "port": null,
            "status": "unknown", "capabilities": it["capabilities"], "endpoint": it["endpoint"],
            "last_heartbeat": self.beat_at.map(|_| 1.5), "registered_at": 1.0, "metadata": self.metadata(),
        })
    }

    /// As `POST /api/query` has it.
    fn camel(&self, id: &str) -> Value {
        let it = &self.registration;
        json!({
            "componentId": id, "name": it["name"], "version": it["version"], "type": it["type"],
            "endpoint": it["endpoint"], "capabilities": it["capabilities"], "metadata": self.metadata(),
            "healthy": null, "lastHeartbeat": self.beat_at.map(|_| 1.5),
        })
    }

    fn metadata(&self) -> Value {
        let mut metadata = self.registration["metadata"].clone();
        if let Some(metadata) = metadata.as_object_mut() {
            metadata
                .entry("type")
                .or_insert_with(|| self.registration["type"].clone());
        }
        metadata
    }
}

/// A request.
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) path: String,
    query: String,
    token: Option<String>,
    pub(crate) body: Value,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        {
            let mut state = self.state();
            state.connections += 1;
            state.most_connections = state.most_connections.max(state.connections);
        }
        // A client that goes away in the middle ends the connection, and nothing else.
        let _ = self.converse(stream);
        self.state().connections -= 1;
    }

    fn converse(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        let mut reader = BufReader::new(stream);
        while let Some(heard) = hear(&mut reader)? {
            let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            let mood = {
                let mut state = self.state();
                state.most_under_way = state.most_under_way.max(under_way);
                state.note(&heard);
                state.mood
            };
            let goes_on = self.answer(mood, &heard, &mut stream);
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            if !goes_on? {
                break;
            }
        }
        Ok(())
    }

    /// Answers; returns whether the connection goes on.
    fn answer(&self, mood: Mood, heard: &Heard, stream: &mut &TcpStream) -> std::io::Result<bool> {
        let (status, body) = match mood {
            Mood::Well | Mood::Halves => self.state().answer(heard),
            Mood::Garbles => (200, json!({"status": "ok", "items": [1, 2, 3]})),
            Mood::Refuses(status) => (status, json!({"detail": "not today"})),
            Mood::ClosesEarly => return Ok(false),
            Mood::Babbles => {
                stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\0\xff\r\n")?;
                return Ok(false);
            }
            Mood::Hangs => {
                // Until the client gives up, or the mood gets better.
                stream.set_read_timeout(Some(Duration::from_millis(50)))?;
                while self.state().mood == Mood::Hangs {
                    if matches!(stream.read(&mut [0]), Ok(0)) {
                        return Ok(false);
                    }
                }
                return Ok(false);
            }
            Mood::Floods => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes())?;
                let piece = format!("{:x}\r\n{}\r\n", 1 << 16, "[".repeat(1 << 16));
                loop {
                    stream.write_all(piece.as_bytes())?;
                }
            }
        };
        let body = body.to_string();
        let answer = answer_text(status, &body);
        let half = if mood == Mood::Halves {
            answer.len() - body.len() / 2 - 1
        } else {
            answer.len()
        };
        stream.write_all(&answer.as_bytes()[..half])?;
        Ok(mood != Mood::Halves)
    }
}

impl State {
    fn note(&mut self, heard: &Heard) {
        let request = format!("{} {}", heard.method, heard.path);
        let id = heard.body["component_id"].as_str().unwrap_or_default();
        self.heard.push((request, id.to_owned()));
    }

    fn answer(&mut self, heard: &Heard) -> (u16, Value) {
        let Some(path) = heard.path.strip_prefix("/api/") else {
            return not_found();
        };
        match (heard.method.as_str(), path) {
            ("POST", "register") => self.register(&heard.body),
            ("POST", "heartbeat") => {
                let Some(id) = heard.body["component_id"].as_str() else {
                    return lacking("component_id");
                };
                self.with_token(id, heard, |state| {
                    if let Some(known) = state.known.get_mut(id) {
                        known.beat_at = Some(Instant::now());
                    }
                    (
                        200,
                        json!({"success": true, "timestamp": 1.5, "message": "Heartbeat received"}),
                    )
                })
            }
            ("POST", "unregister") => {
                let Some(id) = heard.query.strip_prefix("component_id=") else {
                    return lacking("component_id");
                };
                self.with_token(id, heard, |state| match state.known.remove(id) {
                    Some(_) => (
                        200,
                        json!({"success": true, "message": "Component unregistered successfully"}),
                    ),
                    None => unauthorized(),
                })
            }
            ("GET", "components") => {
                let healthy_only = heard.query == "healthy_only=true";
                let known = self.known.iter();
                let told = known.filter(|(_, known)| !healthy_only || known.is_alive());
                let told: Vec<Value> = told.map(|(id, known)| known.snake(id)).collect();
                (200, json!({"total": told.len(), "components": told}))
            }
            ("POST", "query") => {
                let capability = &heard.body["capability"];
                let can = |known: &Known| {
                    let all = known.registration["capabilities"].as_array();
                    capability.is_null() || all.is_some_and(|all| all.contains(capability))
                };
                let found = self.known.iter().filter(|(_, known)| can(known));
                (200, found.map(|(id, known)| known.camel(id)).collect())
            }
            ("GET", path) => {
                let named = path.strip_prefix("components/");
                let found = named.and_then(|name| self.known.get_key_value(name));
                match (named, found) {
                    (_, Some((id, known))) => (200, known.snake(id)),
                    (Some(name), None) => (
                        404,
                        json!({"detail": format!("Component '{name}' not found")}),
                    ),
                    (None, None) => not_found(),
                }
            }
            _ => not_found(),
        }
    }

    fn register(&mut self, body: &Value) -> (u16, Value) {
        for key in ["name", "version", "type", "endpoint"] {
            if !body[key].is_string() {
                return lacking(key);
            }
        }
        let name = body["name"].as_str().unwrap_or_default();
        let id = body["component_id"].as_str().unwrap_or(name).to_owned();
        let token = self.token(&id);
        let known = Known {
            registration: body.clone(),
            beat_at: None,
        };
        self.known.insert(id.clone(), known);
        (
            200,
            json!({"success": true, "componentId": id, "token": token, "message": "Component registered successfully"}),
        )
    }

    /// A JSON text, as the real one.
    fn token(&self, id: &str) -> String {
        json!({"payload": {"component_id": id, "exp": 3600}, "signature": self.life.to_string()})
            .to_string()
    }

    fn with_token(
        &mut self,
        id: &str,
        heard: &Heard,
        then: impl FnOnce(&mut Self) -> (u16, Value),
    ) -> (u16, Value) {
        match &heard.token {
            None => lacking("x-authentication-token"),
            Some(token) if *token == self.token(id) => then(self),
            Some(_) => unauthorized(),
        }
    }
}

fn not_found() -> (u16, Value) {
    (404, json!({"detail": "Not Found"}))
}

fn unauthorized() -> (u16, Value) {
    (401, json!({"detail": "Invalid authentication token"}))
}

fn lacking(what: &str) -> (u16, Value) {
    let detail =
        json!([{"type": "missing", "loc": [what], "msg": "Field required", "input": null}]);
    (422, json!({"detail": detail}))
}

/// An answer with this body.
pub(crate) fn answer_text(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Whatever\r\nserver: uvicorn\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// The next request; None at the end.
pub(crate) fn hear(reader: &mut impl BufRead) -> std::io::Result<Option<Heard>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (mut length, mut token) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "x-authentication-token" => token = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Heard {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        token,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }))
}
