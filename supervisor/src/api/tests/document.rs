//! The document, against the routes: what is described is there, what is there is described, and whatever is asked in
//! the document's own terms, or close by them, is answered in its terms.

use std::collections::{BTreeMap, HashMap};

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tower::ServiceExt as _;

use super::world::World;
use super::*;
use crate::api::document::{TAGS, openapi};

/// Where the document is shipped.
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

#[test]
fn the_shipped_document_is_the_one_that_is_served() {
    let mut made = serde_json::to_string_pretty(&openapi(&operations())).unwrap();
    made.push('\n');
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(SHIPPED, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(SHIPPED).unwrap_or_default() == made,
        "supervisor/openapi.json is not what the code makes: run the tests once with UPDATE_REFERENCE=1"
    );
}

#[test]
fn every_operation_is_fully_described() {
    let all = operations();
    let mut ids = std::collections::HashSet::new();
    for operation in &all {
        let Operation {
            id, summary, tag, ..
        } = operation;
        assert!(ids.insert(*id), "{id} is there twice");
        assert!(TAGS.iter().any(|(name, _)| name == tag), "{id}: {tag}");
        assert!(
            !summary.is_empty() && !summary.ends_with('.'),
            "{id}: {summary}"
        );
        assert!(!operation.answers.is_empty(), "{id}");
        // aish heeds no problem: it is told in the answer.
        if operation.path.contains("{name}") && operation.path != crate::api::ci::MESSAGE {
            assert!(operation.problems.contains(&Code::NoSuchContainer), "{id}");
        }
    }
    let document = openapi(&all);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name} is not described");
        let variants = schema["oneOf"]
            .as_array()
            .map_or(std::slice::from_ref(schema), Vec::as_slice);
        for (property, schema) in variants
            .iter()
            .filter_map(|variant| variant["properties"].as_object())
            .flatten()
        {
            let described = schema["description"].is_string() || schema["const"].is_string();
            assert!(described, "{name}.{property} is not described");
        }
    }
    for code in Code::ALL {
        let everywhere = document["paths"].to_string();
        let told = everywhere.contains(&format!("\"{}\"", code.as_str()));
        assert!(
            told || matches!(code, Code::NoSuchPage | Code::WrongMethod),
            "{code:?} belongs to no operation"
        );
    }
}

#[test]
fn the_document_knows_where_a_supervisor_listens() {
    let listen = Settings::with(&[]).general.listen;
    let url = &openapi(&operations())["servers"][0]["url"];
    assert_eq!(*url, format!("http://{listen}"));
}

#[test]
fn examples_are_what_they_are_examples_of() {
    let document = openapi(&operations());
    let mut tried = 0;
    for schema in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .values()
    {
        let mut whole = schema.clone();
        whole["components"] = document["components"].clone();
        for example in schema["examples"].as_array().into_iter().flatten() {
            jsonschema::validate(&whole, example).unwrap();
            tried += 1;
        }
    }
    assert!(tried > 0);
}

/// What was answered.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    media_type: String,
    /// None for what is no JSON, and may have no end.
    body: Option<Value>,
}

async fn answered(door: &Router, request: Request<Body>) -> Answered {
    let response = door.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    assert_eq!(parts.headers[header::CACHE_CONTROL], "no-store");
    let media_type = parts.headers[header::CONTENT_TYPE].to_str().unwrap();
    let media_type = media_type.split(';').next().unwrap().to_owned();
    let body = match media_type.ends_with("json") && media_type != "application/x-ndjson" {
        true => Some(serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap()),
        false => None,
    };
    Answered {
        status: parts.status,
        media_type,
        body,
    }
}

#[tokio::test]
async fn what_is_described_answers_and_nothing_else_does() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    let all = operations();
    let mut by_path = BTreeMap::<&str, Vec<&Method>>::new();
    for operation in &all {
        by_path
            .entry(operation.path)
            .or_default()
            .push(&operation.method);
    }
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ];
    for door in &world.doors {
        let ask = async |method: &Method, path: &str| {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, "localhost");
            answered(door, request.body(Body::empty()).unwrap()).await
        };
        for (path, described) in &by_path {
            let concrete = path.replace("{name}", "shop");
            for method in &methods {
                let told = ask(method, &concrete).await;
                let refused = told.status == StatusCode::METHOD_NOT_ALLOWED;
                assert_eq!(refused, !described.contains(&method), "{method} {path}");
                assert_ne!(told.status, StatusCode::NOT_FOUND, "{method} {path}");
            }
            // No further path hides on the way to this one, nor right after it.
            let parts: Vec<_> = concrete.split('/').collect();
            let near = (1..parts.len()).map(|count| parts[..count].join("/"));
            for near in near.chain([format!("{concrete}/"), format!("{concrete}/x")]) {
                let is_described = by_path.keys().any(|path| {
                    let (path, near): (Vec<_>, Vec<_>) =
                        (path.split('/').collect(), near.split('/').collect());
                    path.len() == near.len()
                        && path
                            .iter()
                            .zip(&near)
                            .all(|(a, b)| a == b || *a == "{name}" && !b.is_empty())
                });
                if !is_described && !near.is_empty() {
                    let told = ask(&Method::GET, &near).await;
                    assert_eq!(told.status, StatusCode::NOT_FOUND, "{near}");
                }
            }
        }
    }
}

/// A request in the terms of the document, or beside them.
#[derive(Clone, Debug)]
struct Asking {
    operation: usize,
    name: Given<String>,
    /// By the parameter's place in the document.
    parameters: Vec<Option<Given<String>>>,
    stray: Option<(String, String)>,
    body: Given<Vec<u8>>,
    says_json: bool,
}

/// A value, and whether the document allows it.
#[derive(Clone, Debug)]
struct Given<T> {
    value: T,
    right: bool,
}

/// Values that a schema allows, written as they are in a query.
fn right(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(words) = schema["enum"].as_array() {
        return prop::sample::select(words.clone()).boxed();
    }
    let bound = |key: &str, default: u64| schema[key].as_u64().unwrap_or(default);
    match schema["type"].as_str().unwrap() {
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => {
            let most = match schema["format"].as_str() {
                Some("uint64") => u64::MAX,
                _ => u64::from(u32::MAX),
            };
            (bound("minimum", 0)..=bound("maximum", most))
                .prop_map(Value::from)
                .boxed()
        }
        "string" if schema["format"] == "date-time" => Just("2026-01-31T08:00:00Z".into()).boxed(),
        "string" => {
            let length = |key: &str| bound(key, 20).min(20) as usize;
            let least = schema["minLength"].as_u64().unwrap_or_default() as usize;
            let validator = jsonschema::validator_for(schema).unwrap();
            prop::collection::vec(any::<char>(), least..=length("maxLength"))
                .prop_map(|text| Value::from(String::from_iter(text)))
                .prop_filter("as the schema wants it", move |text| {
                    validator.is_valid(text)
                })
                .boxed()
        }
        "array" => prop::collection::vec(right(&schema["items"]), 1..3)
            .prop_map(|items| {
                let texts: Vec<_> = items.iter().map(plain).collect();
                texts.join(",").into()
            })
            .boxed(),
        "object" => {
            let fields: Vec<_> = schema["properties"].as_object().unwrap().iter().collect();
            let names: Vec<_> = fields.iter().map(|(name, _)| (*name).clone()).collect();
            let values: Vec<_> = fields.iter().map(|(_, schema)| right(schema)).collect();
            values
                .prop_map(move |values| names.iter().cloned().zip(values).collect())
                .boxed()
        }
        other => panic!("no values are made of type {other}"),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Right values, and any text, of which few are right.
fn parameter(schema: Value) -> impl Strategy<Value = Option<Given<String>>> {
    let good = right(&schema).prop_map(|value| Given {
        value: plain(&value),
        right: true,
    });
    let text = prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter);
    let odd = prop_oneof![
        text,
        Just("-1".to_owned()),
        Just("99999999999999999999".to_owned())
    ];
    let odd = odd.prop_map(|value| Given {
        value,
        right: false,
    });
    prop::option::of(prop_oneof![3 => good.boxed(), 1 => odd.boxed()])
}

fn asking(document: &Value, described: &Value, operation: usize) -> BoxedStrategy<Asking> {
    let names = vec!["shop", "shop-container-ci", "SHOP-container-ci", "abc1"];
    let good = prop::sample::select(names).prop_map(|name| Given {
        value: name.to_owned(),
        right: true,
    });
    let odd = prop::collection::vec(any::<char>(), 1..20);
    let odd = odd.prop_map(|name| Given {
        value: String::from_iter(name),
        right: false,
    });
    let name = prop_oneof![4 => good.boxed(), 1 => odd.boxed()];
    let parameters = described["parameters"].as_array().unwrap().iter();
    let parameters: Vec<_> = parameters
        .map(|described| parameter(described["schema"].clone()).boxed())
        .collect();
    let stray = prop::option::weighted(0.1, ("[a-z]{1,9}", "[a-z]{0,3}"));
    let schema = &described["requestBody"]["content"]["application/json"]["schema"];
    let body = match schema["$ref"].as_str() {
        Some(pointer) => {
            let schema = document.pointer(&pointer[1..]).unwrap();
            let good = right(schema).prop_map(|body| Given {
                value: body.to_string().into_bytes(),
                right: true,
            });
            let odd = prop::sample::select(vec![
                "{}",
                "[]",
                "null",
                r#"{"question":7}"#,
                r#"{"question":""}"#,
            ]);
            let odd = odd.prop_map(|body| Given {
                value: body.into(),
                right: false,
            });
            let any = prop::collection::vec(any::<u8>(), 0..40).prop_map(|value| Given {
                value,
                right: false,
            });
            prop_oneof![3 => good.boxed(), 1 => odd.boxed(), 1 => any.boxed()].boxed()
        }
        None => Just(Given {
            value: Vec::new(),
            right: true,
        })
        .boxed(),
    };
    (name, parameters, stray, body, prop::bool::weighted(0.9))
        .prop_map(move |(name, parameters, stray, body, says_json)| Asking {
            operation,
            name,
            parameters,
            stray,
            body,
            says_json,
        })
        .boxed()
}

/// Everything but letters and digits as `%XX`.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

impl Asking {
    /// The request, and whether the document allows it.
    fn request(&self, operation: &Operation, described: &Value) -> (Request<Body>, bool) {
        let mut request = Request::builder()
            .method(&operation.method)
            .header(header::HOST, "localhost");
        let mut allowed = true;
        // aish heeds no problem: it is told in the answer.
        if operation.path.contains("{name}") && operation.path != crate::api::ci::MESSAGE {
            allowed &= self.name.right;
        }
        let mut query = Vec::new();
        for (described, given) in described["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .zip(&self.parameters)
        {
            let Some(Given { value, right }) = given else {
                continue;
            };
            let name = described["name"].as_str().unwrap();
            match described["in"].as_str().unwrap() {
                "query" => query.push(format!("{name}={}", escaped(value))),
                "header" if header::HeaderValue::from_str(value).is_ok() => {
                    request = request.header(name, value)
                }
                _ => continue,
            }
            // Of text, the document cannot say what is right: which containers and snapshots there are.
            allowed &= *right && described["schema"]["type"] != "string";
        }
        if let Some((name, value)) = &self.stray {
            query.push(format!("{name}={value}"));
            allowed = false;
        }
        if operation.body.is_some() {
            allowed &= self.body.right && self.says_json;
            if self.says_json {
                request = request.header(header::CONTENT_TYPE, "application/json");
            }
        }
        let path = operation.path.replace("{name}", &escaped(&self.name.value));
        let request = request.uri(format!("{path}?{}", query.join("&")));
        (
            request.body(Body::from(self.body.value.clone())).unwrap(),
            allowed,
        )
    }
}

/// The schemas of all answers, by operation, status and media type.
fn validators(document: &Value, all: &[Operation]) -> HashMap<(usize, u16, String), Validator> {
    let mut validators = HashMap::new();
    for (number, operation) in all.iter().enumerate() {
        let described =
            &document["paths"][operation.path][operation.method.as_str().to_lowercase()];
        for (status, response) in described["responses"].as_object().unwrap() {
            for (media_type, content) in response["content"].as_object().unwrap() {
                let mut schema = content["schema"].clone();
                schema["components"] = document["components"].clone();
                let validator = jsonschema::options()
                    .should_validate_formats(true)
                    .build(&schema)
                    .unwrap();
                let media_type = media_type.split(';').next().unwrap().to_owned();
                validators.insert((number, status.parse().unwrap(), media_type), validator);
            }
        }
    }
    validators
}

#[test]
fn whatever_is_asked_is_answered_as_described() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(async {
        let world = World::start().await;
        world.add_attended("abc1", "shop").await;
        world
    });
    let all = operations();
    let document = openapi(&all);
    let describe = |operation: &Operation| {
        &document["paths"][operation.path][operation.method.as_str().to_lowercase()]
    };
    let validators = validators(&document, &all);
    let strategies = all
        .iter()
        .enumerate()
        .map(|(number, operation)| asking(&document, describe(operation), number));
    let strategy = (prop::strategy::Union::new(strategies), 0..world.doors.len());
    let cases = Config {
        cases: 100 * u32::try_from(all.len()).unwrap(),
        failure_persistence: None,
        ..Config::default()
    };
    let mut seen = BTreeMap::<(&str, u16), u32>::new();
    let seen_by = std::cell::RefCell::new(&mut seen);
    let ran = TestRunner::new(cases).run(&strategy, |(asking, door)| {
        let operation = &all[asking.operation];
        let (request, allowed) = asking.request(operation, describe(operation));
        let told = runtime.block_on(answered(&world.doors[door], request));
        let status = told.status.as_u16();
        *seen_by
            .borrow_mut()
            .entry((operation.id, status))
            .or_default() += 1;
        prop_assert_ne!(status, 500, "{:?}", told);
        let key = (asking.operation, status, told.media_type.clone());
        let validator = validators.get(&key);
        prop_assert!(
            validator.is_some(),
            "{} is not described: {told:?}",
            operation.id
        );
        if let (Some(validator), Some(body)) = (validator, &told.body) {
            let errors: Vec<_> = validator
                .iter_errors(body)
                .map(|error| error.to_string())
                .collect();
            prop_assert!(errors.is_empty(), "{errors:?}: {told:?}");
            if told.media_type == "application/problem+json" {
                let code = body["code"].as_str().unwrap();
                let examples = &describe(operation)["responses"][status.to_string()]["content"]
                    [&told.media_type]["examples"];
                prop_assert!(examples[code].is_object(), "{code} is not described");
            }
        }
        // How long a snapshot is and where a companion is, no document can say.
        let not_its_fault = [Code::NoSuchSnapshot, Code::NoCompanion].map(Code::as_str);
        let code = told.body.as_ref().and_then(|body| body["code"].as_str());
        let mistaken = [400, 404, 409, 413, 415, 422].contains(&status)
            && !code.is_some_and(|code| not_its_fault.contains(&code));
        prop_assert!(
            !(allowed && mistaken),
            "what the document allows is refused: {told:?}"
        );
        Ok(())
    });
    ran.unwrap();
    // It did reach what it was after.
    for operation in &all {
        let reached = |status: u16| {
            seen.get(&(operation.id, status))
                .copied()
                .unwrap_or_default()
        };
        assert!(reached(200) > 0, "{}: {seen:?}", operation.id);
        assert!(reached(400) > 0, "{}: {seen:?}", operation.id);
    }
}
