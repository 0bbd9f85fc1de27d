//! The command line's way to the supervisor: HTTP over `RUN_DIR/api.sock`, never waiting for ever.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Url};
use serde::de::DeserializeOwned;

use crate::api::Question;
use crate::api::problem::Problem;
use crate::api::view::{AnswerView, ContainerView, StatusView};
use crate::exit::Failure;
use crate::run_dir;

/// How long the supervisor may take to say what it knows, or to ask a companion.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long an attach or detach may take: a little longer than the supervisor allows itself.
const ACT_DEADLINE: Duration = Duration::from_secs(20);
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
        let succeeded = response.status().is_success();
        let body = response
            .bytes()
            .await
            .map_err(|error| self.explain(&error))?;
        if succeeded {
            let strange = |error| {
                Failure::failed(format!(
                    "the supervisor's answer cannot be understood: {error}"
                ))
            };
            return serde_json::from_slice(&body).map_err(strange);
        }
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
            return Failure::unreachable(format!(
                "the supervisor at {socket} does not answer in time; is it stopped, or overloaded?"
            ));
        }
        Failure::unreachable(format!("the connection to {socket} broke: {error}"))
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
