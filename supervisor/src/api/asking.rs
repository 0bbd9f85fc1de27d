//! Asking a companion in words.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use diogenes_proto::request::MAX_QUESTION_BYTES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::api::asked::{Body, NAMING, Named};
use crate::api::document::ASKING;
use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::api::view::AnswerView;

/// A question.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [{ "question": "why is it slow?" }]))]
pub(crate) struct Question {
    /// In words: "status", "why is it slow", "which ports". At most 4096 bytes of UTF-8.
    #[schemars(length(min = 1, max = MAX_QUESTION_BYTES), regex(pattern = r"\S"))]
    pub(crate) question: String,
}

/// What is asked.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/api/v1/containers/{name}/ask", "ask", ask)
            .is(ASKING, "Asks a container's companion a question")
            .described(
                "There is always an answer: where no companion can be asked, the supervisor answers from the last \
                 report, and says so; what changed it tells itself, from the history. What can be asked is the answer to `help`.",
            )
            .reads::<Question>()
            .answers::<AnswerView>(StatusCode::OK, "The answer.")
            .fails(NAMING)
            .fails(&[
                Code::BadBody,
                Code::TooLarge,
                Code::WrongMediaType,
                Code::BadQuestion,
            ]),
    ]
}

async fn ask(
    State(api): State<Arc<Api>>,
    Named(entry): Named,
    Body(Question { question }): Body<Question>,
) -> Result<Json<AnswerView>, Problem> {
    if question.trim().is_empty() || question.len() > MAX_QUESTION_BYTES {
        let detail = format!("a question has between 1 and {MAX_QUESTION_BYTES} bytes");
        return Err(Problem::of(Code::BadQuestion, detail));
    }
    Ok(Json(api.relay.ask(&entry, &question).await))
}
