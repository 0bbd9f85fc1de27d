//! The OpenAPI 3.1 document: made from the operations and from the types they answer with, so that it can say nothing
//! but what is routed and served. The shipped copy is `supervisor/openapi.json`.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::operation::Operation;
use crate::api::problem::{Code, Problem};
use crate::supervisor::Supervisor;

/// The groups of operations.
pub(crate) const CONTAINERS: &str = "containers";
pub(crate) const INSIDE: &str = "inside";
pub(crate) const ASKING: &str = "asking";
pub(crate) const ACTING: &str = "acting";
pub(crate) const EVENTS: &str = "events";
pub(crate) const SUPERVISOR: &str = "supervisor";
pub(crate) const COMPONENT: &str = "component";
pub(crate) const CI: &str = "ci";

/// The groups of operations, with what they have in common.
pub(crate) const TAGS: [(&str, &str); 8] = [
    (
        CONTAINERS,
        "What is known of the containers, without asking anybody anew.",
    ),
    (
        INSIDE,
        "What a companion sees in its container at this moment: it is asked.",
    ),
    (ASKING, "Questions in words."),
    (ACTING, "What changes something. Over TCP it takes a token."),
    (EVENTS, "What changes, as it happens."),
    (SUPERVISOR, "The supervisor itself."),
    (
        COMPONENT,
        "What platforms and load balancers expect of any component.",
    ),
    (
        CI,
        "Each companion as a component of its own, as Tekton's programs expect it.",
    ),
];

/// Every operation may end in these.
const ANYWHERE: &[Code] = &[
    Code::BadQuery,
    Code::TokenMissing,
    Code::WrongToken,
    Code::ForeignHost,
    Code::TooSlow,
];

const DESCRIPTION: &str = "What the companions in this host's containers know.\n\n\
    The same is served on the Unix socket `api.sock` in the supervisor's run directory and on a TCP port, by default \
    of the loopback. Who may open the socket may do everything; over TCP, without a token one may look and ask, if \
    the `Host` header is the machine's own. Where tokens are configured, all but `/health` and `/ready` takes one; but for what is \
     below `/ci/`, where a Tekton is configured and the request comes from this host.\n\n\
    A container is named by its name, its CI name (`NAME-container-ci`), its id or the beginning of its id. HEAD works \
    where GET does. Unknown query parameters are refused. Keys that are required are always there, null where nothing \
    is known; new ones may be added. Errors are problem details (RFC 9457); every `code` is in `x-problems`. Text from \
    inside a container was written by whoever controls it: escape it before it is shown.";

/// The document.
pub(crate) fn openapi(operations: &[Operation]) -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    schemas.subschema_for::<Problem>();
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = describe(operation, &mut schemas);
    }
    let tags = TAGS.map(|(name, description)| json!({ "name": name, "description": description }));
    let problems: Map<_, _> = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), meaning(*code)))
        .collect();
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Diogenes",
            "version": Supervisor::VERSION,
            "summary": "A companion in every container",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{
            "url": "http://127.0.0.1:4120",
            "description": "Where it listens by default. On the Unix socket any host name will do.",
        }],
        "security": [{}, { "token": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "One of the tokens in the supervisor's configuration. Only over TCP, where any are configured.",
            } },
        },
        "x-problems": problems,
    })
}

fn meaning(code: Code) -> Value {
    json!({ "status": code.status().as_u16(), "meaning": code.meaning() })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters(operation, schemas),
        "responses": responses(operation, schemas),
    });
    if !operation.description.is_empty() {
        described["description"] = operation.description.into();
    }
    if let Some(body) = operation.body {
        let content = json!({ "application/json": { "schema": body(schemas) } });
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}

fn parameters(operation: &Operation, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters = Vec::new();
    if operation.path.contains("{name}") {
        parameters.push(json!({
            "name": "name",
            "in": "path",
            "required": true,
            "description": "The container's name, CI name, id, or the beginning of its id.",
            "schema": { "type": "string", "minLength": 1 },
            "example": "shop",
        }));
    }
    let query = operation.query.map(|query| query(schemas));
    let properties = query
        .as_ref()
        .and_then(|query| query.get("properties")?.as_object());
    for (name, schema) in properties.into_iter().flatten() {
        let mut schema = schema.clone();
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        let mut parameter = json!({
            "name": name,
            "in": "query",
            "required": false,
            "description": description,
            "schema": schema,
        });
        if schema["type"] == "array" {
            // Separated by commas.
            parameter["style"] = "form".into();
            parameter["explode"] = false.into();
        }
        parameters.push(parameter);
    }
    for (name, description) in &operation.headers {
        parameters.push(json!({
            "name": name,
            "in": "header",
            "required": false,
            "description": description,
            "schema": { "type": "integer", "minimum": 0, "maximum": u64::MAX },
        }));
    }
    parameters
}

/// By status: first how it answers, then the problems, those of one status together.
fn responses(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut responses = json!({});
    for answered in &operation.answers {
        let response = add(&mut responses, answered.status.as_u16(), answered.meaning);
        response["content"][answered.media_type]["schema"] =
            Schema::to_value((answered.schema)(schemas));
    }
    let only_acting = operation.acts.then_some(&Code::OnlyLocal);
    for code in operation.problems.iter().chain(only_acting).chain(ANYWHERE) {
        let response = add(&mut responses, code.status().as_u16(), code.meaning());
        let content = &mut response["content"]["application/problem+json"];
        content["schema"] = schemas.subschema_for::<Problem>().to_value();
        content["examples"][code.as_str()] = json!({ "value": Problem::of(*code, code.meaning()) });
    }
    responses
}

/// The response of a status, with one more meaning.
fn add<'a>(responses: &'a mut Value, status: u16, meaning: &str) -> &'a mut Value {
    let response = &mut responses[status.to_string()];
    response["description"] = match response["description"].as_str() {
        Some(others) if meaning.is_empty() => others.into(),
        Some(others) => format!("{others}; or {meaning}").into(),
        None => meaning.into(),
    };
    response
}
