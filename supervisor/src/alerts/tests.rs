//! From a change in the registry to what a receiver gets.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use diogenes_engine::{ContainerFacts, ContainerState};
use diogenes_proto::{Health, Report};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::attendants::way_in::Via;
use crate::fakes::until;
use crate::registry::presence::{Absence, Presence};

impl From<&Self> for AlertSettings {
    fn from(settings: &Self) -> Self {
        settings.clone()
    }
}

/// A receiver that takes everything.
async fn receiver() -> (Url, mpsc::UnboundedReceiver<(HeaderMap, Value)>) {
    let (sender, calls) = mpsc::unbounded_channel();
    let take = |State(sender): State<mpsc::UnboundedSender<_>>, headers: HeaderMap, body: Bytes| async move {
        let json: Value = serde_json::from_slice(&body).unwrap();
        let _ = sender.send((headers, json));
    };
    let router = Router::new().route("/", post(take)).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, calls)
}

fn present() -> Presence {
    Presence::Present {
        build: "diogenes-agent".into(),
        via: Via::Attached,
    }
}

fn report(health: Health) -> Report {
    Report {
        health,
        reason: "because".into(),
        ..Report::default()
    }
}

fn attended() -> Arc<Registry> {
    let registry = Arc::new(Registry::default());
    registry.set_facts(ContainerFacts {
        id: "c1".into(),
        name: "shop".into(),
        state: ContainerState::Running,
        ..ContainerFacts::default()
    });
    registry.set_presence("c1", present());
    registry.set_report("c1", report(Health::Healthy));
    registry
}

#[tokio::test]
async fn a_change_of_health_reaches_the_receiver_signed_and_a_reload_changes_the_signature() {
    let (registry, (url, mut calls)) = (attended(), receiver().await);
    let with = |secret: &str| AlertSettings {
        webhook: Some(url.clone()),
        webhook_secrets: Some(secret.into()),
        on_change: Vec::new(),
    };
    let (settings, stop, tasks) = (
        watch::Sender::new(AlertSettings::default()),
        CancellationToken::new(),
        TaskTracker::new(),
    );
    let alerts = Alerts::start(registry.clone(), settings.subscribe(), stop.clone(), &tasks);
    assert_eq!((alerts.webhook(), alerts.on_change()), (None, None));
    settings.send_replace(with("first"));
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    registry.set_report("c1", report(Health::Unhealthy));
    let (headers, json) = timeout(Duration::from_secs(3), calls.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            &json["data"]["from"],
            &json["data"]["to"],
            &json["data"]["reason"]
        ),
        (&"healthy".into(), &"unhealthy".into(), &"because".into())
    );
    let text = json["text"].as_str().unwrap();
    assert!(
        text.starts_with("shop is unhealthy (was healthy for ") && text.ends_with("s): because")
    );
    assert!(headers.contains_key("webhook-signature"));
    // Unchanged, and another change of the settings: nothing is told again.
    settings.send_replace(with("second"));
    registry.set_report("c1", report(Health::Degraded));
    let (again, json) = timeout(Duration::from_secs(3), calls.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(json["data"]["to"], "degraded");
    assert_ne!(again["webhook-id"], headers["webhook-id"]);
    let delivered = || alerts.webhook().unwrap().delivered == 2;
    until("both are delivered", delivered).await;
    let state = alerts.webhook().unwrap();
    assert_eq!(
        (state.delivered, state.waiting, state.last_error),
        (2, 0, None)
    );
    // A file of secrets that went bad: the receiver that works stays.
    settings.send_replace(with("whsec_!"));
    registry.set_presence("c1", Presence::Absent(Absence::Detached));
    registry.set_report("c1", report(Health::Unhealthy));
    registry.set_presence("c1", present());
    assert!(timeout(Duration::from_secs(3), calls.recv()).await.is_ok());
    tasks.close();
    stop.cancel();
    timeout(Duration::from_secs(1), tasks.wait()).await.unwrap();
}

#[test]
fn settings_do_not_show_their_secrets() {
    let settings = AlertSettings {
        webhook: Some(Url::parse("https://hooks.example/T0/secret").unwrap()),
        webhook_secrets: Some("secret".into()),
        on_change: vec!["page".into(), "--password=secret".into()],
    };
    assert!(!format!("{settings:?}").contains("secret\""));
}
