//! Each way to be refused, and that what is said of it is the whole of RFC 9457.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::Value;
use tower::ServiceExt as _;

use super::world::World;
use super::*;
use crate::api::document::openapi;

async fn refused(router: &Router, request: Request<String>) -> (axum::http::HeaderMap, Value) {
    let response = router
        .clone()
        .oneshot(request.map(Body::from))
        .await
        .unwrap();
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let problem: Value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&body)));
    assert_eq!(
        head.headers[header::CONTENT_TYPE],
        "application/problem+json"
    );
    assert_eq!(head.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(problem["status"], head.status.as_u16());
    let kind = problem["type"].as_str().unwrap();
    let pointer = kind.strip_prefix("/openapi.json#").unwrap();
    let described = openapi(&operations());
    assert_eq!(
        described.pointer(pointer).unwrap()["status"],
        head.status.as_u16(),
        "{kind}"
    );
    (head.headers, problem)
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
}

#[tokio::test]
async fn every_mistake_has_its_problem() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    world
        .registry
        .set_facts(crate::fakes::running("abc2", "worker", 8));
    let shop = "/api/v1/containers/shop";
    let question = |text: &str| serde_json::json!({ "question": text }).to_string();
    let ask = || {
        request("POST", "/api/v1/containers/shop/ask")
            .header(header::CONTENT_TYPE, "application/json")
    };
    for (request, status, code, words) in [
        (
            request("GET", "/nowhere").body(String::new()),
            404,
            "no_such_page",
            "/openapi.json",
        ),
        (
            request("GET", "/api/v1/containers//health").body(String::new()),
            404,
            "no_such_container",
            "no container",
        ),
        (
            request("GET", "/health/").body(String::new()),
            404,
            "no_such_page",
            "/openapi.json",
        ),
        (
            request("GET", "/health?verbose=1").body(String::new()),
            400,
            "bad_query",
            "takes none",
        ),
        (
            request("GET", "/health?%ff").body(String::new()),
            400,
            "bad_query",
            "takes none",
        ),
        (
            request("GET", &format!("{shop}/health?stric=true")).body(String::new()),
            400,
            "bad_query",
            "there are strict",
        ),
        (
            request("GET", &format!("{shop}/health?strict=maybe")).body(String::new()),
            400,
            "bad_query",
            "strict",
        ),
        (
            request("GET", &format!("{shop}/health?strict=true&strict=false")).body(String::new()),
            400,
            "bad_query",
            "strict",
        ),
        (
            request("GET", &format!("{shop}/history?limit=x")).body(String::new()),
            400,
            "bad_query",
            "limit",
        ),
        (
            request("GET", "/api/v1/events?type=healthy").body(String::new()),
            400,
            "bad_query",
            "service_health",
        ),
        (
            request("GET", "/api/v1/events?container=shp").body(String::new()),
            404,
            "no_such_container",
            "shop",
        ),
        (
            request("GET", "/api/v1/events")
                .header("last-event-id", "x")
                .body(String::new()),
            400,
            "bad_query",
            "Last-Event-ID",
        ),
        (
            request("GET", "/api/v1/containers/%ff").body(String::new()),
            400,
            "bad_name",
            "UTF-8",
        ),
        (
            request("GET", "/api/v1/containers/shp/health").body(String::new()),
            404,
            "no_such_container",
            "did you mean shop",
        ),
        (
            request("GET", "/api/v1/containers/abc/health").body(String::new()),
            409,
            "ambiguous_name",
            "shop (abc1), worker (abc2)",
        ),
        (ask().body(String::new()), 400, "bad_body", "question"),
        (ask().body("{".to_owned()), 400, "bad_body", "question"),
        (ask().body("{}".to_owned()), 422, "bad_question", "question"),
        (
            ask().body(question(" ")),
            422,
            "bad_question",
            "between 1 and 4096",
        ),
        (
            ask().body(question(&"x".repeat(4097))),
            422,
            "bad_question",
            "between 1 and 4096",
        ),
        (
            ask().body(question(&"x".repeat(70_000))),
            413,
            "too_large",
            "question",
        ),
        (
            request("POST", &format!("{shop}/ask")).body(question("status")),
            415,
            "wrong_media_type",
            "application/json",
        ),
    ] {
        for door in &world.doors {
            let request = request.as_ref().unwrap().clone();
            let what = request.uri().to_string();
            let (_, problem) = refused(door, request).await;
            assert_eq!(
                (&problem["status"], problem["code"].as_str()),
                (&status.into(), Some(code)),
                "{what}: {problem}"
            );
            assert!(
                problem["detail"].as_str().unwrap().contains(words),
                "{what}: {problem}"
            );
        }
    }
}

#[tokio::test]
async fn a_misspelt_parameter_is_told_its_name() {
    let world = World::start().await;
    world.add("abc1", "shop").await;
    let asked = request("GET", "/api/v1/containers/shop/processes?ofset=3").body(String::new());
    let (_, problem) = refused(&world.doors[0], asked.unwrap()).await;
    assert_eq!(problem["near"][0], "offset");
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let world = World::start().await;
    world.add("abc1", "shop").await;
    for (method, path, allow) in [
        (Method::POST, "/health", "GET,HEAD"),
        (Method::DELETE, "/api/v1/containers/shop", "GET,HEAD"),
        (Method::GET, "/api/v1/containers/shop/ask", "POST"),
        (Method::OPTIONS, "/api/v1/containers", "GET,HEAD"),
    ] {
        for door in &world.doors {
            let asked = request(method.as_str(), path).body(String::new()).unwrap();
            let (headers, problem) = refused(door, asked).await;
            assert_eq!(problem["code"], "wrong_method");
            assert_eq!(headers[header::ALLOW], allow, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_tcp_forbids_is_a_problem_too() {
    let world = World::start().await;
    world.add("abc1", "shop").await;
    let foreign = Request::get("/health")
        .header(header::HOST, "evil.example")
        .body(String::new());
    let (_, problem) = refused(&world.doors[1], foreign.unwrap()).await;
    assert_eq!(problem["code"], "foreign_host");
    let act = request("POST", "/api/v1/containers/shop/detach").body(String::new());
    let (_, problem) = refused(&world.doors[1], act.unwrap()).await;
    assert_eq!(problem["code"], "only_local");
}
