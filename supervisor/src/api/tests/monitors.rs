use super::world::World;
use crate::api::metrics::reader::{Family, read};

/// What a scraper gets: content type and body.
async fn scrape(world: &World, accept: Option<&str>) -> (String, String) {
    let mut request = reqwest::Client::new().get(format!("{}/metrics", world.tcp));
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["vary"], "accept");
    let content_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (content_type, response.text().await.unwrap())
}

#[tokio::test]
async fn a_scraper_gets_the_format_it_asks_for() {
    let world = World::start().await;
    world.add_attended("abc1", "shop").await;
    for (accept, content_type, is_openmetrics) in [
        (None, "text/plain; version=0.0.4; charset=utf-8", false),
        (
            Some("text/plain"),
            "text/plain; version=0.0.4; charset=utf-8",
            false,
        ),
        (
            Some("application/openmetrics-text; version=1.0.0, text/plain; q=0.5"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            true,
        ),
    ] {
        let (told, text) = scrape(&world, accept).await;
        assert_eq!(told, content_type);
        let families = read(&text, is_openmetrics);
        let holding = |family: &Family| {
            let sample = family.samples.iter().find(|sample| sample.value > 0.0);
            sample.unwrap().labels.clone()
        };
        let health = holding(&families["diogenes_container_health"]);
        assert_eq!(
            (health["container"].as_str(), health["health"].as_str()),
            ("shop", "healthy")
        );
        assert_eq!(
            holding(&families["diogenes_container_companion"])["presence"],
            "present"
        );
    }
}
