//! The command line's way to the supervisor: HTTP over `RUN_DIR/api.sock`, never waiting for ever.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api::Question;
use crate::api::ci;
use crate::api::history::HistoryView;
use crate::api::problem::Problem;
use crate::api::view::{AnswerView, ContainerView, StatusView};
use crate::cli::tekton::table::Polled;
use crate::exit::Failure;
use crate::logs;
use crate::run_dir;
use crate::tekton::hermes::HermesView;

/// How long the supervisor may take to say what it knows, or to ask a companion.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long an attach or detach may take: a little longer than the supervisor allows itself.
const ACT_DEADLINE: Duration = Duration::from_secs(20);
/// How long an answer may take that goes on for as long as somebody wants it; a year is as good as for ever.
const NEVER: Duration = Duration::from_secs(365 * 86_400);
/// Longest line of such an answer.
const MAX_LINE_BYTES: usize = 1024 * 1024;
/// How long it may take to be reached.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// A client of one supervisor.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    socket: PathBuf,
}

impl Client {
    /// A client of the supervisor that serves `run_dir`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub(crate) fn new(run_dir: &Path) -> anyhow::Result<Self> {
        let socket = run_dir::api_socket(run_dir);
        let http = reqwest::Client::builder()
            .unix_socket(socket.as_path())
            .connect_timeout(CONNECT_DEADLINE)
            .timeout(DEADLINE)
            .build()?;
        Ok(Self { http, socket })
    }

    /// Everything.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or what the supervisor answered.
    pub(crate) async fn status(&self) -> Result<StatusView, Failure> {
        self.call(self.request(Method::GET, &[])?).await
    }

    /// One container.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or what the supervisor answered.
    pub(crate) async fn container(&self, name: &str) -> Result<ContainerView, Failure> {
        self.call(self.request(Method::GET, &[name])?).await
    }

    /// How the supervisor gets on with Hermes; None where it does without.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or what the supervisor answered.
    pub(crate) async fn hermes(&self) -> Result<Option<HermesView>, Failure> {
        #[derive(serde::Deserialize)]
        struct Part {
            hermes: Option<HermesView>,
        }
        let request = self.http.get("http://localhost/api/v1/supervisor");
        self.call::<Part>(request).await.map(|part| part.hermes)
    }

    /// A question.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or what the supervisor answered.
    pub(crate) async fn ask(&self, name: &str, question: String) -> Result<AnswerView, Failure> {
        self.call(
            self.request(Method::POST, &[name, "ask"])?
                .json(&Question { question }),
        )
        .await
    }

    /// `attach` or `detach`.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or what the supervisor answered.
    pub(crate) async fn act(&self, name: &str, action: &str) -> Result<ContainerView, Failure> {
        self.call(
            self.request(Method::POST, &[name, action])?
                .timeout(ACT_DEADLINE),
        )
        .await
    }

    /// A container's recent past.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or what the supervisor answered.
    pub(crate) async fn history(&self, name: &str) -> Result<HistoryView, Failure> {
        self.call(self.request(Method::GET, &[name, "history"])?)
            .await
    }

    /// What a container writes.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or what the supervisor answered.
    pub(crate) async fn logs(&self, name: &str, query: &logs::Query) -> Result<Lines<'_>, Failure> {
        let request = self.request(Method::GET, &[name, "logs"])?;
        self.lines(request.query(query)).await
    }

    /// What changes, after the event of this number; from now on without one.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or what the supervisor answered.
    pub(crate) async fn events(
        &self,
        container: Option<&str>,
        after: Option<u64>,
    ) -> Result<Lines<'_>, Failure> {
        let request = self.http.get("http://localhost/api/v1/events");
        let query = [("container", container)];
        let mut request = request.query(&query);
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        self.lines(request).await
    }

    /// What Tekton would find by asking a container for its health, by its id, or the supervisor itself. A container
    /// that is gone meanwhile answers nothing.
    ///
    /// # Errors
    /// A [`Failure`]: unreachable, or an answer that makes no sense.
    pub(crate) async fn poll(&self, id: Option<&str>) -> Result<Polled, Failure> {
        #[derive(Deserialize)]
        struct Registered {
            registered_with_hermes: bool,
        }
        let path = id.map_or_else(
            || "/health".to_owned(),
            |id| format!("{}{id}/health", ci::BELOW),
        );
        let start = Instant::now();
        let request = self.http.get(format!("http://localhost{path}"));
        let response = request.send().await.map_err(|error| self.explain(&error))?;
        let is_told = matches!(
            response.status(),
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE
        );
        let body = response
            .bytes()
            .await
            .map_err(|error| self.explain(&error))?;
        if !is_told {
            return Ok(Polled::default());
        }
        let told: Registered = serde_json::from_slice(&body).map_err(strange)?;
        Ok(Polled {
            took: Some(start.elapsed()),
            is_registered: told.registered_with_hermes,
        })
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        let mut url = Url::parse("http://localhost/api/v1/containers")
            .map_err(|error| Failure::failed(error.to_string()))?;
        if path
            .iter()
            .any(|segment| matches!(*segment, "" | "." | ".."))
        {
            return Err(Failure::failed(
                "no container is called like this; diogenes ls lists all",
            ));
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        Ok(self.http.request(method, url))
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = request.send().await.map_err(|error| self.explain(&error))?;
        let body = self.accept(response).await?.bytes().await;
        let body = body.map_err(|error| self.explain(&error))?;
        serde_json::from_slice(&body).map_err(strange)
    }

    /// Calls for an answer that may take as long as it likes, once it has begun.
    async fn lines(&self, request: RequestBuilder) -> Result<Lines<'_>, Failure> {
        let request = request.timeout(NEVER);
        let response = match tokio::time::timeout(DEADLINE, request.send()).await {
            Ok(response) => response.map_err(|error| self.explain(&error))?,
            Err(_) => return Err(self.too_slow()),
        };
        Ok(Lines {
            client: self,
            response: self.accept(response).await?,
            read: Vec::new(),
            taken: 0,
        })
    }

    /// A response that is a success; else its problem as a failure.
    async fn accept(&self, response: Response) -> Result<Response, Failure> {
        if response.status().is_success() {
            return Ok(response);
        }
        let body = response
            .bytes()
            .await
            .map_err(|error| self.explain(&error))?;
        let detail = serde_json::from_slice::<Problem>(&body).map(|problem| problem.detail);
        Err(Failure::failed(detail.unwrap_or_else(|_| {
            String::from_utf8_lossy(&body).into_owned()
        })))
    }

    /// Why the supervisor could not be reached, and what mends it.
    fn explain(&self, error: &reqwest::Error) -> Failure {
        let socket = self.socket.display();
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            match error
                .downcast_ref::<std::io::Error>()
                .map(std::io::Error::kind)
            {
                Some(ErrorKind::PermissionDenied) => {
                    return Failure::unreachable(format!(
                        "no permission on {socket}: run as root, or as a member of the socket's group (ls -l {socket})"
                    ));
                }
                Some(
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory,
                ) => {
                    return Failure::unreachable(format!(
                        "no supervisor answers at {socket}; start one with: diogenes serve"
                    ));
                }
                _ => cause = error.source(),
            }
        }
        if error.is_timeout() {
            return self.too_slow();
        }
        Failure::unreachable(format!("the connection to {socket} broke: {error}"))
    }

    fn too_slow(&self) -> Failure {
        Failure::unreachable(format!(
            "the supervisor at {} does not answer in time; is it stopped, or overloaded?",
            self.socket.display()
        ))
    }
}

/// The failure of an answer that makes no sense.
pub(crate) fn strange(error: serde_json::Error) -> Failure {
    Failure::failed(format!(
        "the supervisor's answer cannot be understood: {error}"
    ))
}

/// The lines of an answer, as they come.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    client: &'a Client,
    response: Response,
    read: Vec<u8>,
    /// How much of `read` has been returned.
    taken: usize,
}

impl Lines<'_> {
    /// The next line, without its end; None after the last. Nothing is lost where the wait for it is given up.
    ///
    /// # Errors
    /// A [`Failure`] where the connection breaks: then the answer was not complete.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(length) = self.length() {
                let line = self.read[self.taken..self.taken + length].to_vec();
                self.taken += length + 1;
                return Ok(Some(line));
            }
            if self.read.len() - self.taken > MAX_LINE_BYTES {
                return Err(Failure::failed("the supervisor's answer has no lines"));
            }
            let piece = self.response.chunk().await;
            let piece = piece.map_err(|error| self.client.explain(&error))?;
            let Some(piece) = piece else { return Ok(None) };
            self.read.drain(..std::mem::take(&mut self.taken));
            self.read.extend_from_slice(&piece);
        }
    }

    /// Whether the next line need not be waited for.
    pub(crate) fn has_more_at_hand(&self) -> bool {
        self.length().is_some()
    }

    /// The length of the next line, where it has come.
    fn length(&self) -> Option<usize> {
        self.read[self.taken..]
            .iter()
            .position(|byte| *byte == b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[tokio::test]
    async fn says_how_to_start_a_supervisor() {
        let dir = tempfile::tempdir().unwrap();
        let expected = format!(
            "no supervisor answers at {}/api.sock; start one with: diogenes serve",
            dir.path().display()
        );
        let failure = Client::new(dir.path()).unwrap().status().await.unwrap_err();
        assert_eq!(
            (failure.exit, failure.message),
            (Exit::Unreachable, expected.clone())
        );
        // What a killed supervisor leaves behind.
        drop(std::os::unix::net::UnixListener::bind(run_dir::api_socket(dir.path())).unwrap());
        let failure = Client::new(dir.path()).unwrap().status().await.unwrap_err();
        assert_eq!(
            (failure.exit, failure.message),
            (Exit::Unreachable, expected)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_a_supervisor_that_stands_still() {
        let dir = tempfile::tempdir().unwrap();
        let _listener =
            std::os::unix::net::UnixListener::bind(run_dir::api_socket(dir.path())).unwrap();
        let failure = Client::new(dir.path()).unwrap().status().await.unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(
            failure.message.contains("does not answer in time"),
            "{failure}"
        );
    }
}
