//! An aish that does what Tekton's does, quirks included: it prunes, it writes in place and from memory, it posts.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

/// How long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One run of aish: what it read of the registry at its start, without what it took for dead.
#[derive(Debug)]
pub struct Aish {
    file: PathBuf,
    memory: serde_json::Map<String, Value>,
}

impl Aish {
    /// The registry file of the Tekton at `root`.
    #[must_use]
    pub fn registry_file(root: &Path) -> PathBuf {
        root.join(".tekton/aish/ci-registry/wrapped_cis.json")
    }

    /// Starts: reads the registry, forgets entries whose process it cannot signal or whose socket is not there, and
    /// writes the rest back if there were any. A file that it cannot read counts as empty, and stays as it is.
    #[must_use]
    pub fn start(root: &Path) -> Self {
        let file = Self::registry_file(root);
        fs::create_dir_all(file.parent().expect("a folder")).expect("the registry's folder");
        let read: Option<serde_json::Map<String, Value>> = fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let found = read.unwrap_or_default();
        let memory: serde_json::Map<String, Value> = found
            .iter()
            .filter(|(_, entry)| is_alive(entry))
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        let aish = Self { file, memory };
        if aish.memory.len() != found.len() {
            aish.write();
        }
        aish
    }

    /// The names it knows.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.memory.keys().cloned().collect()
    }

    /// An entry; None where it knows none of that name, in whatever case.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Value> {
        let is_meant = |known: &&String| known.to_lowercase() == name.to_lowercase();
        self.memory
            .keys()
            .find(is_meant)
            .and_then(|key| self.memory.get(key))
    }

    /// Registers a CI, as Tekton's own wrappers do: by writing all that it remembers.
    pub fn register(&mut self, name: &str, entry: Value) {
        self.memory.insert(name.to_owned(), entry);
        self.write();
    }

    /// `aish list remove NAME`, confirmed: ends the process, deletes the socket, forgets the entry.
    ///
    /// # Panics
    /// Where it knows none of that name.
    pub fn remove(&mut self, name: &str) {
        let entry = self.entry(name).expect("a known CI").clone();
        if let Some(pid) = pid_of(&entry) {
            let _ = kill_process(pid, Signal::TERM);
            std::thread::sleep(Duration::from_secs(1));
            if test_kill_process(pid).is_ok() {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = fs::remove_file(entry["socket"].as_str().unwrap_or_default());
        self.memory.remove(name);
        self.write();
    }

    /// Writes what it remembers, in place: whoever reads meanwhile sees a part of it.
    pub fn write(&self) {
        let text = serde_json::to_vec_pretty(&self.memory).expect("JSON");
        let mut file = fs::File::create(&self.file).expect("the registry");
        let (first, second) = text.split_at(text.len() / 2);
        file.write_all(first).expect("a first part");
        std::thread::yield_now();
        file.write_all(second).expect("a second part");
    }

    /// `aish NAME MESSAGE`: what it prints.
    #[must_use]
    pub fn say(&self, name: &str, message: &str) -> String {
        let Some(entry) = self.entry(name) else {
            return String::new();
        };
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        assert_eq!(
            (text("type"), text("message_format")),
            ("ci_tool", "json_simple"),
            "{entry:#}"
        );
        let (status, body) = post(text("endpoint"), text("message_endpoint"), message);
        if status != 200 {
            return format!("Error sending to {name}: HTTP {status}");
        }
        let reply: Value = serde_json::from_str(&body).expect("JSON");
        reply["response"]
            .as_str()
            .map_or_else(|| format!("{reply:#}"), str::to_owned)
    }
}

/// The request that Python's urllib makes of a message.
fn post(endpoint: &str, path: &str, message: &str) -> (u16, String) {
    let host = endpoint
        .strip_prefix("http://")
        .expect("an http:// endpoint");
    let body = json!({ "message": message }).to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nAccept-Encoding: identity\r\nContent-Length: {}\r\nHost: {host}\r\n\
         User-Agent: Python-urllib/3.11\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).expect("somebody at the endpoint");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let headers: BTreeMap<String, &str> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    assert!(
        !headers.contains_key("transfer-encoding"),
        "a body in one piece: {head}"
    );
    (status.expect("a status"), body.to_owned())
}

/// Whether aish takes an entry for one of a living CI.
fn is_alive(entry: &Value) -> bool {
    let socket = entry["socket"].as_str().unwrap_or_default();
    pid_of(entry).is_some_and(|pid| test_kill_process(pid).is_ok()) && Path::new(socket).exists()
}

fn pid_of(entry: &Value) -> Option<Pid> {
    Pid::from_raw(i32::try_from(entry["pid"].as_i64()?).ok()?)
}
