use super::*;
use crate::alerts::alert::tests::alert;
use crate::alerts::rule::Standing;

/// What a receiver makes of one attempt.
enum Turn {
    Take,
    Refuse(Refusal),
    /// Nothing, for so long; then it is too late.
    Hang(Duration),
}

/// An attempt: when, with which id, about which container, how it stands, and how many it stands for.
type Seen = (u64, String, String, &'static str, u64);

/// A receiver that does as it is told, and takes what comes after that.
#[derive(Default)]
struct Scripted {
    turns: Mutex<VecDeque<Turn>>,
    seen: Mutex<Vec<Seen>>,
    start: Mutex<Option<Instant>>,
}

impl Scripted {
    fn new(turns: impl IntoIterator<Item = Turn>) -> Arc<Self> {
        Arc::new(Self {
            turns: Mutex::new(turns.into_iter().collect()),
            start: Mutex::new(Some(Instant::now())),
            ..Self::default()
        })
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Container, standing and superseded of each attempt.
    fn told(&self) -> Vec<(String, &'static str, u64)> {
        let seen = self.seen();
        seen.into_iter()
            .map(|(_, _, id, to, superseded)| (id, to, superseded))
            .collect()
    }
}

impl Receiver for Scripted {
    fn take<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), Refusal>> {
        let start = self.start.lock().unwrap().unwrap();
        let data = &parcel.alert.data;
        self.seen.lock().unwrap().push((
            start.elapsed().as_secs(),
            parcel.id.clone(),
            data.container.id.clone(),
            data.to,
            data.superseded,
        ));
        let turn = self.turns.lock().unwrap().pop_front().unwrap_or(Turn::Take);
        Box::pin(async move {
            match turn {
                Turn::Take => Ok(()),
                Turn::Refuse(refusal) => Err(refusal),
                Turn::Hang(time) => {
                    sleep(time).await;
                    Err(Refusal::not_now("no answer"))
                }
            }
        })
    }
}

struct World {
    delivery: Arc<Delivery>,
    receiver: Arc<Scripted>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(turns: impl IntoIterator<Item = Turn>) -> World {
    let (receiver, stop) = (Scripted::new(turns), CancellationToken::new());
    let delivery = Arc::new(Delivery::new("test"));
    delivery.set_receiver(Some(receiver.clone()));
    let task = tokio::spawn(delivery.clone().run(stop.clone()));
    World {
        delivery,
        receiver,
        stop,
        task,
    }
}

impl World {
    fn push(&self, id: &str, to: Standing) {
        self.delivery.push(&alert(id, to));
    }

    fn state(&self) -> DeliveryState {
        self.delivery.state().unwrap()
    }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn refuse() -> Turn {
    Turn::Refuse(Refusal::not_now("answered 500"))
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_recovers_gets_the_same_alert_again_after_growing_pauses() {
    let world = start((0..12).map(|_| refuse()));
    world.push("c1", Standing::Unhealthy);
    sleep(s(1700)).await;
    let seen = world.receiver.seen();
    assert_eq!(seen.len(), 13);
    assert!(
        seen.iter().all(|attempt| attempt.1 == seen[0].1),
        "the same id each time"
    );
    let pauses: Vec<u64> = seen.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(
        pauses[0] <= 1 && (32..=64).contains(&pauses[6]),
        "{pauses:?}"
    );
    assert!(pauses.iter().all(|pause| *pause <= 301), "{pauses:?}");
    let state = world.state();
    assert_eq!(
        (state.delivered, state.failed_attempts, state.waiting),
        (1, 12, 0)
    );
    assert_eq!(state.last_error.as_deref(), Some("answered 500"));
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_given_up_after_an_hour() {
    let world = start((0..1000).map(|_| refuse()));
    world.push("c1", Standing::Unhealthy);
    sleep(s(3500)).await;
    assert_eq!((world.state().waiting, world.state().dropped), (1, 0));
    sleep(s(500)).await;
    assert_eq!((world.state().waiting, world.state().dropped), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_to_wait_is_left_alone_for_so_long() {
    let after = Some(s(120));
    let why = "answered 429".to_owned();
    let world = start([Turn::Refuse(Refusal::NotNow { why, after })]);
    world.push("c1", Standing::Unhealthy);
    sleep(s(1)).await;
    world.push("c2", Standing::Unhealthy);
    sleep(s(200)).await;
    let at: Vec<u64> = world.receiver.seen().iter().map(|seen| seen.0).collect();
    assert_eq!(at, [0, 120, 120]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_not_tried_again_and_holds_nobody_up() {
    let why = "answered 410".to_owned();
    let world = start([Turn::Refuse(Refusal::NotEver { why })]);
    world.push("c1", Standing::Unhealthy);
    world.push("c2", Standing::Degraded);
    sleep(s(100)).await;
    let expected = [("c1".into(), "unhealthy", 0), ("c2".into(), "degraded", 0)];
    assert_eq!(world.receiver.told(), expected);
    assert_eq!((world.state().dropped, world.state().delivered), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_gets_the_newest_of_each_container_and_how_many_it_missed() {
    let world = start([Turn::Hang(s(10)), Turn::Hang(s(10))]);
    world.push("c1", Standing::Unhealthy);
    sleep(s(1)).await;
    for _ in 0..500 {
        world.push("c1", Standing::Healthy);
        world.push("c2", Standing::Healthy);
        world.push("c1", Standing::Degraded);
        world.push("c2", Standing::Unhealthy);
    }
    assert_eq!(
        world.state().waiting,
        3,
        "one under way, and one a container"
    );
    sleep(s(60)).await;
    // The first attempt fails and is superseded by what came meanwhile; the second fails and waits its turn.
    let told = world.receiver.told();
    assert_eq!(
        told,
        [
            ("c1".into(), "unhealthy", 0),
            ("c1".into(), "degraded", 1000),
            ("c2".into(), "unhealthy", 999),
            ("c1".into(), "degraded", 1000),
        ]
    );
    let state = world.state();
    assert_eq!((state.waiting, state.delivered, state.dropped), (0, 2, 0));
    assert_eq!(state.superseded, 1999);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_loses_the_oldest() {
    let world = start([Turn::Hang(s(10))]);
    world.push("first", Standing::Unhealthy);
    sleep(s(1)).await;
    for number in 0..=MAX_WAITING {
        world.push(&format!("c{number}"), Standing::Unhealthy);
    }
    assert_eq!(
        (world.state().waiting, world.state().dropped),
        (MAX_WAITING + 1, 1)
    );
    sleep(s(100)).await;
    let told = world.receiver.told();
    assert_eq!((told[1].0.as_str(), told.len()), ("c1", MAX_WAITING + 2));
}

#[tokio::test(start_paused = true)]
async fn another_receiver_gets_what_waits_at_once() {
    let world = start([refuse(), refuse(), refuse(), refuse()]);
    world.push("c1", Standing::Unhealthy);
    sleep(s(6)).await;
    let other = Scripted::new([]);
    world.delivery.set_receiver(Some(other.clone()));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(other.told(), [("c1".into(), "unhealthy", 0)]);
    world.delivery.set_receiver(None);
    assert_eq!(world.delivery.state(), None);
    world.push("c1", Standing::Healthy);
    sleep(s(10)).await;
    assert_eq!(other.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_waits_is_tried_once_more() {
    let world = start([refuse(), refuse()]);
    world.push("c1", Standing::Unhealthy);
    world.push("c2", Standing::Unhealthy);
    sleep(Duration::from_millis(100)).await;
    let before = world.receiver.seen().len();
    world.stop.cancel();
    world.task.await.unwrap();
    let told = world.receiver.told();
    assert_eq!((before, told.len()), (1, 3), "each once more");
    assert_eq!(world.delivery.state().unwrap().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_a_receiver_that_hangs() {
    let world = start([Turn::Hang(s(10))]);
    world.push("c1", Standing::Unhealthy);
    world.push("c2", Standing::Unhealthy);
    sleep(s(1)).await;
    let begun = Instant::now();
    world.stop.cancel();
    world.task.await.unwrap();
    assert_eq!(begun.elapsed(), FAREWELL);
    assert_eq!(
        world.delivery.state().unwrap().dropped,
        2,
        "also the one under way"
    );
}

#[test]
fn pauses_double_and_differ() {
    for (failures, longest) in [(0, 1), (3, 8), (9, 300), (40, 300)] {
        let pauses: Vec<Duration> = (0..200).map(|_| pause(failures)).collect();
        let range = s(longest) / 2..=s(longest);
        assert!(
            pauses.iter().all(|pause| range.contains(pause)),
            "{failures}"
        );
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
