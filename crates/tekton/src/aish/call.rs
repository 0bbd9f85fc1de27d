//! What aish does with an entry, done by ourselves: to see whether it gets through.

use reqwest::Method;
use reqwest::header::CONNECTION;

use super::talk::{MAX_REPLY_BYTES, Message, Reply};
use crate::http::{Address, ExchangeError, client, exchange};

/// Posts a message to the path `message_endpoint` of an endpoint, as aish does, but that no proxy is asked.
///
/// # Errors
/// Where the exchange fails: aish would print nothing.
pub async fn call(
    endpoint: Address,
    message_endpoint: &str,
    message: &str,
) -> Result<Reply, ExchangeError> {
    let steps: Vec<&str> = message_endpoint
        .split('/')
        .filter(|step| !step.is_empty())
        .collect();
    let message = Message {
        message: message.to_owned(),
    };
    let request = client(1)?.request(Method::POST, endpoint.page(&steps));
    let request = request.header(CONNECTION, "close").json(&message);
    // As JSON the longest reply may be six times as long.
    exchange(request, 8 * MAX_REPLY_BYTES).await
}
