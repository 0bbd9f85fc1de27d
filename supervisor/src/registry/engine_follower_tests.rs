use tokio_util::task::TaskTracker;

use super::*;
use crate::api::view::ContainerView;
use crate::attendants::detached::Detached;
use crate::fakes::{FakeEngine, FakeWayIn, exited, running, until};

struct World {
    engine: Arc<FakeEngine>,
    registry: Arc<Registry>,
    way_in: Arc<FakeWayIn>,
    _state: tempfile::TempDir,
}

impl World {
    fn start(engine: FakeEngine) -> Self {
        let (engine, registry) = (Arc::new(engine), Arc::new(Registry::default()));
        let (way_in, state) = (Arc::new(FakeWayIn::default()), tempfile::tempdir().unwrap());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let detached = Detached::load(state.path());
        let attendants = Arc::new(Attendants::new(
            way_in.clone(),
            registry.clone(),
            detached,
            crate::fakes::defaults(),
            stop.clone(),
            tasks,
        ));
        tokio::spawn(EngineFollower::new(engine.clone(), registry.clone(), attendants).run(stop));
        Self {
            engine,
            registry,
            way_in,
            _state: state,
        }
    }

    /// Names and the words of their companions.
    fn all(&self) -> Vec<(String, String)> {
        let views = self.registry.all();
        views
            .iter()
            .map(|entry| ContainerView::new(entry))
            .map(|view| (view.name, view.companion))
            .collect()
    }

    async fn until_all(&self, expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect();
        until(&format!("{expected:?}"), || self.all() == expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_attended_and_what_ended_before_is_not_listed() {
    let engine = FakeEngine::default();
    engine.set(&running("1", "web", 1));
    engine.set(&exited(&running("2", "old", 2), 0));
    let world = World::start(engine);
    world.until_all(&[("web", "attached")]).await;
    let late = running("3", "db", 3);
    world.engine.set(&late);
    world
        .until_all(&[("db", "attached"), ("web", "attached")])
        .await;
    // Only what it has seen running does it tell the end of.
    world.engine.set(&exited(&late, 137));
    world
        .until_all(&[("db", "exited 137"), ("web", "attached")])
        .await;
    world.engine.destroy("3");
    world.until_all(&[("web", "attached")]).await;
    let mut renamed = running("1", "web", 1);
    renamed.name = "shop".into();
    world.engine.set(&renamed);
    world.until_all(&[("shop", "attached")]).await;
    assert_eq!(world.way_in.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_away_is_told_waited_for_and_caught_up_with() {
    let world = World::start(FakeEngine::default());
    let gone = running("1", "gone", 1);
    world.engine.set(&gone);
    world.engine.set(&running("2", "stays", 2));
    world
        .until_all(&[("gone", "attached"), ("stays", "attached")])
        .await;

    world.engine.set_away(true);
    until("its absence is known", || {
        world.registry.engine().error.is_some()
    })
    .await;
    let error = world.registry.engine().error.unwrap();
    assert!(error.contains("does not answer"), "{error}");
    let connections = *world.engine.connections.lock().unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let tried = *world.engine.connections.lock().unwrap() - connections;
    assert!(
        (8..=18).contains(&tried),
        "backs off to one try in 10 s: {tried}"
    );
    world
        .until_all(&[("gone", "attached"), ("stays", "attached")])
        .await;

    // Nobody heard of these.
    world.engine.destroy("1");
    world.engine.set(&running("3", "new", 3));
    world.engine.set_away(false);
    world
        .until_all(&[("new", "attached"), ("stays", "attached")])
        .await;
    assert_eq!(world.registry.engine().error, None);
    assert_eq!(world.way_in.attempts(), 3, "who was there stayed there");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_was_never_there_is_said_to_be_away() {
    let engine = FakeEngine::default();
    engine.set_away(true);
    let world = World::start(engine);
    until("its absence is known", || {
        world
            .registry
            .engine()
            .error
            .is_some_and(|error| error.contains("away"))
    })
    .await;
    world.engine.set_away(false);
    until("it is found", || world.registry.engine().version.is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_engine_is_noticed_though_its_stream_stays_open() {
    let world = World::start(FakeEngine::default());
    until("it is found", || world.registry.engine().error.is_none()).await;
    *world.engine.away.lock().unwrap() = true;
    tokio::time::sleep(QUIET + Duration::from_secs(1)).await;
    assert!(world.registry.engine().error.is_some());
}
