//! The client against a Hermes that behaves as the real one does, and against worse.

use std::time::{Duration, Instant};

use diogenes_tekton::hermes::{Answer, Client, Registration, Request, Token};
use diogenes_tekton::{Address, ExchangeError};
use diogenes_testkit::{FakeHermes, Mood};
use serde_json::{Map, json};

fn client(hermes: &FakeHermes) -> Client {
    let address = Address::parse(&hermes.url()).expect("an address");
    Client::new(address).expect("a client")
}

fn registration(id: &str) -> Registration {
    Registration {
        component_id: id.into(),
        name: id.into(),
        version: "0.1.0".into(),
        component_type: "container_ci".into(),
        endpoint: "http://127.0.0.1:4120/ci/shop".into(),
        capabilities: vec!["container_ci".into()],
        metadata: Map::from_iter([("health".into(), json!("healthy"))]),
    }
}

fn status<T>(result: Result<T, ExchangeError>) -> u16 {
    match result {
        Err(ExchangeError::Status { status, .. }) => status,
        Err(other) => panic!("{other}"),
        Ok(_) => 200,
    }
}

#[tokio::test]
async fn a_life_with_all_the_quirks() {
    let hermes = FakeHermes::start();
    let client = client(&hermes);
    let id = "shop-container-ci";
    assert_eq!(client.component(id).await.unwrap(), None);
    let token = client.register(&registration(id)).await.unwrap();
    let known = client.component(id).await.unwrap().unwrap();
    assert_eq!(
        (known.component_id.as_str(), known.last_heartbeat),
        (id, None)
    );
    assert_eq!(known.metadata["type"], "container_ci");
    assert_eq!(
        client.components(true).await.unwrap(),
        [],
        "it has not beaten yet"
    );
    client.beat(id, &token, true).await.unwrap();
    assert_eq!(client.components(true).await.unwrap().len(), 1);
    // Registered anew, it counts as dead.
    let newer = client.register(&registration(id)).await.unwrap();
    assert_eq!(client.components(true).await.unwrap().len(), 0);
    client.beat(id, &newer, true).await.unwrap();

    let forged = Token::new("{}".into()).unwrap();
    assert_eq!(status(client.beat(id, &forged, true).await), 401);
    assert_eq!(status(client.unregister(id, &forged).await), 401);
    client.unregister(id, &newer).await.unwrap();
    client
        .beat(id, &newer, true)
        .await
        .expect("200 after the end");
    assert_eq!(client.component(id).await.unwrap(), None);
    assert_eq!(status(client.unregister(id, &newer).await), 401);
    hermes.restart(true);
    assert_eq!(status(client.beat(id, &newer, true).await), 401);
}

#[tokio::test]
async fn whatever_answers_in_its_place_is_not_taken_for_it() {
    let hermes = FakeHermes::start();
    let client = client(&hermes);
    let ask = Request::Register(registration("a").into());
    for (mood, part) in [
        (Mood::ClosesEarly, "connection closed"),
        (Mood::Halves, "end of file"),
        (Mood::Floods, "more than 262144 bytes"),
        (Mood::Babbles, "invalid HTTP"),
        (Mood::Garbles, "makes no sense"),
        (
            Mood::Refuses(500),
            "answered 500: {\"detail\":\"not today\"}",
        ),
        (Mood::Refuses(404), "answered 404"),
        (Mood::Refuses(307), "answered 307"),
    ] {
        hermes.set_mood(mood);
        match client.answer(&ask, |_| true).await {
            Answer::Failed(why) => assert!(why.contains(part), "{mood:?}: {why}"),
            other => panic!("{mood:?}: {other:?}"),
        }
    }
    hermes.set_mood(Mood::Refuses(422));
    let answer = client.answer(&ask, |_| true).await;
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    hermes.set_mood(Mood::Refuses(401));
    assert_eq!(client.answer(&ask, |_| true).await, Answer::Unauthorized);
    hermes.set_mood(Mood::Hangs);
    let start = Instant::now();
    let answer = client.answer(&ask, |_| true).await;
    assert_eq!(answer, Answer::Failed("no whole answer within 5 s".into()));
    assert!(start.elapsed() < Duration::from_secs(8));
    hermes.set_mood(Mood::Well);
    let answer = client.answer(&ask, |_| true).await;
    assert!(matches!(answer, Answer::Registered(_)), "{answer:?}");
}

#[tokio::test]
async fn a_list_is_of_ours_alone() {
    let hermes = FakeHermes::start();
    let client = client(&hermes);
    for (id, supervisor) in [("a", "http://x"), ("b", "http://y"), ("c", "http://x")] {
        let mut registration = serde_json::to_value(registration(id)).unwrap();
        registration["metadata"]["supervisor"] = json!(supervisor);
        hermes.remember(registration);
    }
    let is_ours = |component: &diogenes_tekton::hermes::Component| {
        component.metadata["supervisor"] == "http://x"
    };
    let Answer::Listed(ours) = client.answer(&Request::List, is_ours).await else {
        panic!("no list");
    };
    let ids: Vec<&str> = ours.iter().map(|it| it.component_id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert_eq!(ours[0].component_type, "container_ci");
}
