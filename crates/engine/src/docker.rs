//! The Docker Engine, through bollard.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use bollard::query_parameters::{EventsOptions, ListContainersOptions};
use bollard::{API_DEFAULT_VERSION, ClientVersion};
use diogenes_proto::{Timestamp, Untrusted};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use hyper::StatusCode;
use serde::Deserialize;
use tokio::time::timeout;

use crate::event::ACTIONS;
use crate::log::Decoder;
use crate::transport;
use crate::{
    ContainerFacts, Endpoint, Engine, EngineError, EngineInfo, EngineVersion, Event, Listing,
    LogLine, LogOptions,
};

/// How long one question may take. Engines under load have been seen to need seconds for a list.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// Logs are read while a person waits for an answer.
const LOG_DEADLINE: Duration = Duration::from_secs(1);
/// Most bytes read of an answer that says why a log cannot be had.
const REFUSAL_BYTES: usize = 16 * 1024;
/// The Engine's events are stamped by its own clock and ours may run ahead of it: look back a little further.
pub const LOOK_BACK: Duration = Duration::from_secs(2);

/// A connection to a Docker Engine. Nothing is opened before it is used, so it may be made while the Engine is away.
#[derive(Clone, Debug)]
pub struct Docker {
    pub(crate) endpoint: Endpoint,
}

impl Docker {
    /// The Engine at an address.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// bollard refuses to make a client for a socket that is not there, and the Engine may come and go:
    /// a client for each question costs nothing (bollard keeps no idle connections for Unix sockets either).
    pub(crate) fn client(&self) -> Result<bollard::Docker, EngineError> {
        let seconds = DEADLINE.as_secs();
        let client = match &self.endpoint {
            Endpoint::Unix(path) => bollard::Docker::connect_with_unix(
                &path.to_string_lossy(),
                seconds,
                API_DEFAULT_VERSION,
            ),
            Endpoint::Http(address) => {
                bollard::Docker::connect_with_http(address, seconds, API_DEFAULT_VERSION)
            }
        };
        client.map_err(|error| self.explain(error))
    }

    pub(crate) async fn within<T>(
        &self,
        deadline: Duration,
        question: impl Future<Output = Result<T, bollard::errors::Error>> + Send,
    ) -> Result<T, EngineError> {
        match timeout(deadline, question).await {
            Ok(answer) => answer.map_err(|error| self.explain(error)),
            Err(_) => Err(self.late(deadline)),
        }
    }

    /// A question about one container, which there need not be.
    pub(crate) async fn about<T>(
        &self,
        id: &str,
        question: impl Future<Output = Result<T, bollard::errors::Error>> + Send,
    ) -> Result<T, EngineError> {
        use bollard::errors::Error::DockerResponseServerError;
        match timeout(DEADLINE, question).await {
            Ok(Err(DockerResponseServerError {
                status_code: 404, ..
            })) => Err(EngineError::NotFound { id: id.to_owned() }),
            Ok(answer) => answer.map_err(|error| self.explain(error)),
            Err(_) => Err(self.late(DEADLINE)),
        }
    }

    pub(crate) fn late(&self, deadline: Duration) -> EngineError {
        self.unreachable(format!("no answer within {} s", deadline.as_secs()))
    }

    fn unreachable(&self, reason: impl Into<String>) -> EngineError {
        EngineError::Unreachable {
            endpoint: self.endpoint.clone(),
            reason: reason.into(),
        }
    }

    /// Finds the cause that a person can do something about.
    fn explain(&self, error: bollard::errors::Error) -> EngineError {
        use bollard::errors::Error;
        match &error {
            Error::DockerResponseServerError { message, .. } => {
                return EngineError::Api {
                    message: message.clone(),
                };
            }
            Error::JsonDataError { .. }
            | Error::JsonSerdeError { .. }
            | Error::APIVersionParseError {} => {
                return EngineError::Api {
                    message: format!("something that cannot be understood ({error})"),
                };
            }
            Error::DockerStreamError { error } => {
                return EngineError::Api {
                    message: error.clone(),
                };
            }
            Error::SocketNotFoundError(_) => {
                // The path may also be hidden from this user.
                let denied = self.endpoint.socket().is_some_and(|path| {
                    path.metadata()
                        .is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
                });
                return if denied {
                    self.permission_denied()
                } else {
                    self.unreachable("there is no such socket; is the Engine running?")
                };
            }
            _ => {}
        }
        self.explain_cause(&error)
    }

    /// Finds the cause in the chain of an error without an answer.
    pub(crate) fn explain_cause(&self, error: &(dyn std::error::Error + 'static)) -> EngineError {
        let mut reason = error.to_string();
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                match io.kind() {
                    ErrorKind::PermissionDenied => return self.permission_denied(),
                    ErrorKind::ConnectionRefused => {
                        return self.unreachable("connection refused; is the Engine running?");
                    }
                    _ => {}
                }
            }
            reason = error.to_string();
            cause = error.source();
        }
        self.unreachable(reason)
    }

    /// What the Engine says where it does not do as asked: `{"message":"…"}`.
    pub(crate) async fn refusal(&self, answer: &mut transport::Answer) -> EngineError {
        #[derive(Deserialize)]
        struct Refusal {
            message: String,
        }
        let mut text = Vec::new();
        while let Ok(Some(Ok(bytes))) = timeout(DEADLINE, answer.next()).await {
            text.extend_from_slice(&bytes);
            if text.len() > REFUSAL_BYTES {
                break;
            }
        }
        let message = match serde_json::from_slice::<Refusal>(&text) {
            Ok(refusal) => refusal.message,
            Err(_) => answer.status.to_string(),
        };
        EngineError::Api { message }
    }

    fn permission_denied(&self) -> EngineError {
        let Some(socket) = self.endpoint.socket() else {
            return self.unreachable("permission denied");
        };
        // The group's name stands in /etc/group; its number serves where it cannot be read.
        let group = socket.metadata().map_or_else(
            |_| String::new(),
            |meta| {
                let name = std::fs::read_to_string("/etc/group")
                    .ok()
                    .and_then(|groups| group_name(&groups, meta.gid()));
                let name = name.unwrap_or_else(|| meta.gid().to_string());
                format!(" ({name}, with: usermod -aG {name} USER, then log in again)")
            },
        );
        EngineError::PermissionDenied {
            socket: socket.display().to_string(),
            group,
        }
    }
}

/// The name of a group in the text of group(5).
fn group_name(groups: &str, gid: u32) -> Option<String> {
    let mut entries = groups.lines().map(|line| line.split(':'));
    entries.find_map(|mut entry| {
        let name = entry.next()?;
        (entry.nth(1)?.parse::<u32>().ok()? == gid).then(|| name.to_owned())
    })
}

impl Engine for Docker {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn version(&self) -> BoxFuture<'_, Result<EngineVersion, EngineError>> {
        async {
            let client = self
                .within(DEADLINE, self.client()?.negotiate_version())
                .await?;
            let told = self.within(DEADLINE, client.version()).await?;
            let ClientVersion {
                major_version,
                minor_version,
            } = client.client_version();
            Ok(EngineVersion {
                version: told.version.unwrap_or_default(),
                api_version: format!("{major_version}.{minor_version}"),
            })
        }
        .boxed()
    }

    fn info(&self) -> BoxFuture<'_, Result<EngineInfo, EngineError>> {
        async {
            let client = self.client()?;
            let told = self.within(DEADLINE, client.info()).await?;
            Ok(EngineInfo::from_wire(told))
        }
        .boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        async {
            let client = self.client()?;
            self.within(DEADLINE, client.ping()).await.map(drop)
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Listing>, EngineError>> {
        async {
            let options = ListContainersOptions {
                all: true,
                ..ListContainersOptions::default()
            };
            let client = self.client()?;
            let list = self
                .within(DEADLINE, client.list_containers(Some(options)))
                .await?;
            Ok(list.into_iter().filter_map(Listing::from_wire).collect())
        }
        .boxed()
    }

    fn inspect<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerFacts, EngineError>> {
        async move {
            let client = self.client()?;
            let inspected = self.about(id, client.inspect_container(id, None)).await?;
            ContainerFacts::from_wire(inspected).ok_or_else(|| EngineError::Api {
                message: format!("a description of {id} without id or state"),
            })
        }
        .boxed()
    }

    fn events(&self, since: Timestamp) -> BoxStream<'static, Result<Event, EngineError>> {
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let since = since
            .as_unix_ms()
            .saturating_sub(u64::try_from(LOOK_BACK.as_millis()).unwrap_or(0))
            / 1000;
        let filter = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let options = EventsOptions {
            since: Some(since.to_string()),
            until: None,
            filters: Some(HashMap::from([
                ("type".into(), filter(&["container"])),
                ("event".into(), filter(ACTIONS)),
            ])),
        };
        let this = self.clone();
        client
            .events(Some(options))
            .filter_map(move |event| {
                let event = match event {
                    Ok(wire) => Event::from_wire(wire).map(Ok),
                    Err(error) => Some(Err(this.explain(error))),
                };
                std::future::ready(event)
            })
            .boxed()
    }

    fn logs(
        &self,
        id: &str,
        options: LogOptions,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        let reading = Reading::open(self.clone(), id.to_owned(), options);
        stream::once(reading)
            .map_ok(|reading| {
                stream::unfold(reading, async |mut reading| {
                    let next = reading.next().await?;
                    Some((next, reading))
                })
            })
            .try_flatten()
            .boxed()
    }

    fn log_tail<'a>(
        &'a self,
        id: &'a str,
        lines: u32,
    ) -> BoxFuture<'a, Result<Vec<Untrusted>, EngineError>> {
        async move {
            let options = LogOptions {
                tail: Some(lines),
                ..LogOptions::default()
            };
            // The last ones, also of an Engine, or something in front of it, that tells more than was asked for.
            let last = VecDeque::new();
            let texts = self
                .logs(id, options)
                .try_fold(last, async |mut last, line| {
                    if !line.text.as_raw().trim_ascii().is_empty() {
                        last.push_back(line.text);
                    }
                    while last.len() > lines as usize {
                        last.pop_front();
                    }
                    Ok(last)
                });
            match timeout(LOG_DEADLINE, texts).await {
                Ok(texts) => texts.map(Vec::from),
                Err(_) => Err(self.late(LOG_DEADLINE)),
            }
        }
        .boxed()
    }
}

/// A log that is being read.
struct Reading {
    docker: Docker,
    answer: transport::Answer,
    decoder: Decoder,
    /// Lines that wait to be taken.
    lines: VecDeque<LogLine>,
    is_followed: bool,
    is_over: bool,
}

impl Reading {
    async fn open(docker: Docker, id: String, options: LogOptions) -> Result<Self, EngineError> {
        let not_found = || EngineError::NotFound { id: id.clone() };
        // An id goes into the request's address as it is.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(not_found());
        }
        let target = options.target(&id);
        let request = timeout(DEADLINE, transport::get(&docker.endpoint, &target));
        let mut answer = match request.await {
            Ok(answer) => answer.map_err(|error| docker.explain_cause(&error))?,
            Err(_) => return Err(docker.late(DEADLINE)),
        };
        if answer.status == StatusCode::NOT_FOUND {
            return Err(not_found());
        }
        if !answer.status.is_success() {
            return Err(docker.refusal(&mut answer).await);
        }
        Ok(Self {
            docker,
            answer,
            decoder: Decoder::new(),
            lines: VecDeque::new(),
            is_followed: options.follow,
            is_over: false,
        })
    }

    /// The next line; None at the end, or after an error.
    async fn next(&mut self) -> Option<Result<LogLine, EngineError>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            if self.is_over {
                return None;
            }
            // Who follows may wait for days; what is there already comes without delay.
            let bytes = if self.is_followed {
                Ok(self.answer.next().await)
            } else {
                timeout(DEADLINE, self.answer.next()).await
            };
            match bytes {
                Ok(Some(Ok(bytes))) => self.decoder.push(&bytes, &mut self.lines),
                Ok(None) => {
                    self.is_over = true;
                    self.decoder.finish(&mut self.lines);
                }
                Ok(Some(Err(error))) => {
                    self.is_over = true;
                    return Some(Err(self.docker.explain_cause(&error)));
                }
                Err(_) => {
                    self.is_over = true;
                    return Some(Err(self.docker.late(DEADLINE)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_group_by_its_number() {
        let groups = "root:x:0:\nbroken\ndocker:x:998:ann,bob\n";
        assert_eq!(group_name(groups, 998).as_deref(), Some("docker"));
        assert_eq!(group_name(groups, 7), None);
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_said_to_be_absent() {
        let docker = Docker::new("/nowhere/docker.sock".parse().unwrap());
        let error = docker.list().await.unwrap_err();
        assert!(error.is_absence(), "{error}");
        assert_eq!(
            error.to_string(),
            "the Engine at /nowhere/docker.sock does not answer: there is no such socket; is the Engine running?"
        );
        assert!(
            docker
                .events(Timestamp::now())
                .next()
                .await
                .unwrap()
                .is_err()
        );
    }

    #[tokio::test]
    async fn an_engine_that_refuses_connections_is_absent_too() {
        // A port that was just given back: nobody listens on it.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let docker = Docker::new(format!("tcp://127.0.0.1:{port}").parse().unwrap());
        let error = docker.version().await.unwrap_err();
        assert!(error.to_string().contains("connection refused"), "{error}");
    }
}
