//! The HTTP of Hermes: one method a request, each answer judged by its status.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::ledger::{Answer, MAX_IN_FLIGHT, Request};
use super::wire::{Component, Components, Noted, Registered, Registration, Token};
use crate::http::{Address, ExchangeError, client, exchange};

/// The path of its interface, where the address has none.
const INTERFACE: &str = "/api";
/// Longest answer about one component: a registration's metadata comes back whole.
const MAX_ONE_BYTES: usize = 256 * 1024;
/// Longest answer about all of them.
const MAX_ALL_BYTES: usize = 16 * 1024 * 1024;
/// The header that carries a token.
const TOKEN_HEADER: &str = "X-Authentication-Token";

/// A client of one Hermes, with connections of its own: as many at most as requests are under way.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
}

impl Client {
    /// A client of the Hermes at `address`. Nothing is sent yet.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(address: Address) -> Result<Self, ExchangeError> {
        Ok(Self {
            http: client(MAX_IN_FLIGHT)?,
            address: address.with_interface(INTERFACE),
        })
    }

    /// Does what the ledger asks for. A list holds the components of which `is_ours` says so.
    pub async fn answer(&self, request: &Request, is_ours: impl Fn(&Component) -> bool) -> Answer {
        let done = |done: Result<(), ExchangeError>| done.map(|()| Answer::Yes);
        let answer = match request {
            Request::Register(registration) => {
                self.register(registration).await.map(Answer::Registered)
            }
            Request::Beat { id, token, healthy } => done(self.beat(id, token, *healthy).await),
            Request::Look { id } => match self.component(id).await {
                Ok(found) => Ok(if found.is_some() {
                    Answer::Yes
                } else {
                    Answer::No
                }),
                Err(error) => Err(error),
            },
            Request::Unregister { id, token } => done(self.unregister(id, token).await),
            Request::List => self.components(false).await.map(|all| {
                let ours = all.into_iter().filter(is_ours);
                Answer::Listed(ours.map(Component::into_registration).collect())
            }),
        };
        answer.unwrap_or_else(|error| judge(&error))
    }

    /// `POST /register`: Hermes knows it from now on, with all that stands in `registration`, and as one that has never
    /// beaten.
    ///
    /// # Errors
    /// Where the exchange fails.
    pub async fn register(&self, registration: &Registration) -> Result<Token, ExchangeError> {
        let request = self.request(Method::POST, &["register"]).json(registration);
        let answer: Registered = exchange(request, MAX_ONE_BYTES).await?;
        let token = answer.token.filter(|_| answer.success).and_then(Token::new);
        token.ok_or_else(|| ExchangeError::Garbage("a registration without a token".into()))
    }

    /// `POST /heartbeat`: it lives. Hermes notes the time alone, and says yes also for one it does not know.
    ///
    /// # Errors
    /// Where the exchange fails; with the status 401 where the token is not, or no longer, good for it.
    pub async fn beat(&self, id: &str, token: &Token, healthy: bool) -> Result<(), ExchangeError> {
        let body = json!({"component_id": id, "status": {"healthy": healthy}});
        let request = self.request(Method::POST, &["heartbeat"]).json(&body);
        noted(request, token).await
    }

    /// `POST /unregister`: Hermes knows it no longer.
    ///
    /// # Errors
    /// Where the exchange fails; with the status 401 where the token is not good, and where Hermes did not know it.
    pub async fn unregister(&self, id: &str, token: &Token) -> Result<(), ExchangeError> {
        let request = self.request(Method::POST, &["unregister"]);
        noted(request.query(&[("component_id", id)]), token).await
    }

    /// `GET /components/NAME`: what Hermes knows of a component; None where it knows none of that name.
    ///
    /// # Errors
    /// Where the exchange fails.
    pub async fn component(&self, name: &str) -> Result<Option<Component>, ExchangeError> {
        let request = self.request(Method::GET, &["components", name]);
        match exchange(request, MAX_ONE_BYTES).await {
            Err(ExchangeError::Status { status: 404, .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// `GET /components`: all that Hermes knows, or those that beat within the last 60 s.
    ///
    /// # Errors
    /// Where the exchange fails.
    pub async fn components(&self, healthy_only: bool) -> Result<Vec<Component>, ExchangeError> {
        let request = self.request(Method::GET, &["components"]);
        let request = request.query(&[("healthy_only", healthy_only)]);
        let all: Components = exchange(request, MAX_ALL_BYTES).await?;
        Ok(all.components)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.http.request(method, self.address.page(path))
    }
}

async fn noted(request: RequestBuilder, token: &Token) -> Result<(), ExchangeError> {
    let request = request.header(TOKEN_HEADER, token.reveal());
    let answer: Noted = exchange(request, MAX_ONE_BYTES).await?;
    match answer.success {
        true => Ok(()),
        false => Err(ExchangeError::Garbage("a success that is none".into())),
    }
}

/// What a failed exchange means. A refusal is about what was sent; everything else, a page that is not there too, is
/// about who answers.
fn judge(error: &ExchangeError) -> Answer {
    match error {
        ExchangeError::Status { status: 401, .. } => Answer::Unauthorized,
        ExchangeError::Status { status, .. }
            if (400..500).contains(status) && ![404, 405, 408, 429].contains(status) =>
        {
            Answer::Refused(error.to_string())
        }
        _ => Answer::Failed(error.to_string()),
    }
}
