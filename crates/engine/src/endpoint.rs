//! Where an Engine listens.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The address of an Engine: a Unix socket, or plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Path of its socket.
    Unix(PathBuf),
    /// `host:port` of its plain HTTP listener.
    Http(String),
}

/// An address that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "\"{0}\" is not the address of an Engine: give a socket's path, unix://PATH, tcp://HOST:PORT or http://HOST:PORT"
)]
pub struct EndpointError(String);

impl Endpoint {
    /// Where Docker listens unless told otherwise.
    pub const DEFAULT: &str = "/var/run/docker.sock";

    /// The socket's path; None for HTTP.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Http(_) => None,
        }
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::Unix(PathBuf::from(Self::DEFAULT))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Http(address) => write!(f, "http://{address}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || EndpointError(text.to_owned());
        if let Some(path) = text
            .strip_prefix("unix://")
            .or_else(|| text.starts_with('/').then_some(text))
        {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(wrong())
            };
        }
        let address = text
            .strip_prefix("tcp://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or_else(wrong)?;
        let address = address.trim_end_matches('/');
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        if host.is_empty() || port.parse::<u16>().is_err() || address.contains('/') {
            return Err(wrong());
        }
        Ok(Self::Http(address.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_host_may_hold() {
        let unix = |path: &str| Endpoint::Unix(path.into());
        for (text, endpoint) in [
            ("/run/docker.sock", unix("/run/docker.sock")),
            ("unix:///run/docker.sock", unix("/run/docker.sock")),
            (
                "tcp://10.0.0.1:2375",
                Endpoint::Http("10.0.0.1:2375".into()),
            ),
            ("http://engine:2375/", Endpoint::Http("engine:2375".into())),
        ] {
            assert_eq!(text.parse(), Ok(endpoint), "{text}");
        }
        for text in [
            "",
            "docker.sock",
            "unix://docker.sock",
            "ssh://host:22",
            "tcp://host",
            "http://host:2375/v1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
