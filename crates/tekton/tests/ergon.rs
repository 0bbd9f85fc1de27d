//! The client against a registry that behaves as Ergon's does.

use diogenes_tekton::Address;
use diogenes_tekton::ergon::{Client, Content, DockerConfig, Solution, Source, Stored};
use diogenes_testkit::{FakeErgon, FakeHermes, Mood};
use serde_json::{Map, json};

#[tokio::test]
async fn the_same_solution_is_one_entry_and_keeps_when_it_was_made() {
    let ergon = FakeErgon::start();
    let client = Client::new(Address::parse(&ergon.url()).unwrap()).unwrap();
    let mut solution = Solution {
        name: "shop".into(),
        version: "1.0.0".into(),
        source: Source {
            project_id: None,
            sprint_id: None,
            location: "/srv/shop".into(),
        },
        content: Content {
            image: "shop:1".into(),
            image_id: "sha256:ab".into(),
            image_digests: Vec::new(),
            docker_config: DockerConfig::default(),
        },
        metadata: Map::from_iter([("health".into(), json!("healthy"))]),
    };
    let id = solution.id();
    assert_eq!(client.get(&id).await.unwrap(), None);
    let stored = |is_new| Stored {
        id: id.clone(),
        is_new,
    };
    assert_eq!(client.store(&solution).await.unwrap(), stored(true));
    solution.metadata.insert("health".into(), json!("degraded"));
    assert_eq!(client.store(&solution).await.unwrap(), stored(false));
    let entries = ergon.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["created"], "made as number 0");
    assert_eq!(entries[0]["metadata"]["health"], "degraded");
    solution.content.image_id = "sha256:cd".into();
    assert!(client.store(&solution).await.unwrap().is_new);
    assert_eq!(ergon.entries().len(), 2);
    assert!(client.kinds().await.unwrap().contains_key("types"));

    let other = FakeHermes::start();
    other.set_mood(Mood::Garbles);
    let client = Client::new(Address::parse(&other.url()).unwrap()).unwrap();
    assert!(client.store(&solution).await.is_err(), "that is no Ergon");
}
