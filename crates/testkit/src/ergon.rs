//! A registry of Ergon that behaves as the real one does: a store replaces the whole entry, also when it was made.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use crate::hermes::{Heard, answer_text, hear};

/// A fake Ergon on a loopback port.
#[derive(Debug)]
pub struct FakeErgon {
    address: SocketAddr,
    entries: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl FakeErgon {
    /// Starts it.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let entries = Arc::new(Mutex::default());
        let serving = Arc::downgrade(&entries);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(entries) = serving.upgrade() else {
                    return;
                };
                thread::spawn(move || drop(serve(&stream, &entries)));
            }
        });
        Self { address, entries }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it holds.
    #[must_use]
    pub fn entries(&self) -> Vec<Value> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.values().cloned().collect()
    }
}

fn serve(mut stream: &TcpStream, entries: &Mutex<BTreeMap<String, Value>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(heard) = hear(&mut reader)? {
        let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, body) = answer(&heard, &mut entries);
        drop(entries);
        stream.write_all(answer_text(status, &body.to_string()).as_bytes())?;
    }
    Ok(())
}

fn answer(heard: &Heard, entries: &mut BTreeMap<String, Value>) -> (u16, Value) {
    let Some(page) = heard.path.strip_prefix("/api/ergon/registry/") else {
        return (404, json!({"detail": "Not Found"}));
    };
    match (heard.method.as_str(), page) {
        ("POST", "store") => {
            let mut entry = heard.body.clone();
            let made = format!("made as number {}", entries.len());
            let id = entry["id"].as_str().unwrap_or(&made).to_owned();
            if entry["created"].is_null() {
                entry["created"] = made.into();
            }
            entry["meets_standards"] = entry["meets_standards"].as_bool().unwrap_or(false).into();
            entries.insert(id.clone(), entry);
            (
                200,
                json!({"success": true, "id": id, "message": "Successfully stored unit"}),
            )
        }
        ("GET", "types") => (
            200,
            json!({"success": true, "types": ["container"], "count": 1}),
        ),
        ("GET", id) => match entries.get(id) {
            Some(entry) => (200, entry.clone()),
            None => (404, json!({"detail": format!("Unit not found: {id}")})),
        },
        _ => (405, json!({"detail": "Method Not Allowed"})),
    }
}
