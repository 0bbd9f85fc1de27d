//! The ledger against a model of Hermes: whatever happens on the way, in the end Hermes knows exactly who is wished.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::Map;

use super::ledger::{Answer, BEAT, Gate, Ledger, MAX_IN_FLIGHT, PAUSE, ROLL_CALL, Request, Wish};
use super::wire::{Registration, Token};

const OWN: &str = "diogenes";

/// Hermes, as it behaves.
#[derive(Default)]
struct Model {
    /// By id: what was registered, as its version, and when it last beat since then.
    known: BTreeMap<String, (String, Option<Instant>)>,
    /// Tokens of another life are worth nothing.
    life: u32,
}

impl Model {
    fn hear(&mut self, request: &Request, now: Instant) -> Answer {
        let is_good = |id: &str, token: &Token| *token == token_of(id, self.life);
        match request {
            Request::Register(registration) => {
                let id = registration.component_id.clone();
                let token = token_of(&id, self.life);
                self.known.insert(id, (registration.version.clone(), None));
                Answer::Registered(token)
            }
            Request::Beat { id, token, .. } => match is_good(id, token) {
                true => {
                    // It says yes also for those it does not know.
                    if let Some((_, beat)) = self.known.get_mut(&**id) {
                        *beat = Some(now);
                    }
                    Answer::Yes
                }
                false => Answer::Unauthorized,
            },
            Request::Look { id } => match self.known.contains_key(&**id) {
                true => Answer::Yes,
                false => Answer::No,
            },
            Request::Unregister { id, token } => match is_good(id, token) {
                // And no for those it does not know.
                true if self.known.remove(&**id).is_some() => Answer::Yes,
                _ => Answer::Unauthorized,
            },
            Request::List => {
                let ours = self.known.keys().filter(|id| id.starts_with("ci"));
                Answer::Listed(ours.map(|id| (*registration(id, 0)).clone()).collect())
            }
        }
    }
}

fn token_of(id: &str, life: u32) -> Token {
    Token::new(format!("{id} {life}")).unwrap()
}

fn registration(id: &str, version: u64) -> Arc<Registration> {
    Arc::new(Registration {
        component_id: id.to_owned(),
        name: id.to_owned(),
        version: version.to_string(),
        component_type: "container_ci".into(),
        endpoint: String::new(),
        capabilities: Vec::new(),
        metadata: Map::new(),
    })
}

fn wish(id: &str, version: u64) -> Wish {
    Wish {
        registration: registration(id, version),
        version,
        healthy: true,
    }
}

/// A ledger, a Hermes, and a clock between them.
struct World {
    ledger: Ledger,
    hermes: Model,
    now: Instant,
    under_way: Vec<Request>,
    wishes: BTreeMap<String, u64>,
    /// When each was last registered, or that was tried.
    registered: HashMap<String, Instant>,
    requests: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            ledger: Ledger::new(wish(OWN, 0), seed, now),
            hermes: Model::default(),
            now,
            under_way: Vec::new(),
            wishes: BTreeMap::from([(OWN.to_owned(), 0)]),
            registered: HashMap::new(),
            requests: 0,
        }
    }

    fn wish(&mut self, id: &str, version: u64) {
        self.wishes.insert(id.to_owned(), version);
        self.ledger.wish(wish(id, version), self.now);
    }

    fn unwish(&mut self, id: &str) {
        self.wishes.remove(id);
        self.ledger.unwish(id);
    }

    /// Begins whatever may be begun.
    fn begin(&mut self) {
        while let Some(request) = self.ledger.next(self.now) {
            self.note(request);
        }
    }

    fn note(&mut self, request: Request) {
        self.requests += 1;
        if let Request::Register(registration) = &request {
            let id = registration.component_id.clone();
            if let Some(before) = self.registered.insert(id, self.now) {
                assert!(self.now - before >= PAUSE[0], "registered twice in a row");
            }
        }
        let about = |other: &Request| request.id().is_some() && other.id() == request.id();
        assert!(!self.under_way.iter().any(about), "two requests about one");
        self.under_way.push(request);
        assert!(self.under_way.len() <= MAX_IN_FLIGHT);
    }

    /// Ends one request that is under way; `fate` says how.
    fn end(&mut self, which: usize, fate: Fate) {
        if self.under_way.is_empty() {
            return;
        }
        let request = self.under_way.remove(which % self.under_way.len());
        let answer = match fate {
            Fate::Well => self.hermes.hear(&request, self.now),
            Fate::Unheard => Answer::Failed("connection refused".into()),
            Fate::AnswerLost => {
                self.hermes.hear(&request, self.now);
                Answer::Failed("no whole answer".into())
            }
            Fate::Unauthorized => Answer::Unauthorized,
            Fate::Refused => Answer::Refused("answered 422".into()),
        };
        if let Some(next) = self.ledger.answered(&request, answer, self.now) {
            self.note(next);
        }
    }

    /// Lets so much time pass, with a Hermes that works, and takes 5 ms for each answer.
    fn live(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.begin();
            if !self.under_way.is_empty() {
                self.now += Duration::from_millis(5);
                self.end(0, Fate::Well);
                continue;
            }
            let wake_at = self.ledger.wake_at().unwrap_or(end);
            // A ledger that wakes for nothing would spin.
            assert!(wake_at > self.now, "woken for nothing");
            self.now = wake_at.min(end);
        }
        self.begin();
        while !self.under_way.is_empty() {
            self.end(0, Fate::Well);
        }
    }

    fn assert_in_step(&self) {
        let known: BTreeMap<String, u64> = (self.hermes.known.iter())
            .map(|(id, (version, _))| (id.clone(), version.parse().unwrap()))
            .collect();
        assert_eq!(known, self.wishes);
        for (id, (_, beat)) in &self.hermes.known {
            let beat = beat.unwrap_or_else(|| panic!("{id} counts as dead"));
            assert!(self.now - beat <= Duration::from_secs(30), "{id} is late");
        }
        assert_eq!(self.ledger.known(), self.wishes.len());
        assert_eq!(self.ledger.gate(), &Gate::Open);
    }
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Well,
    Unheard,
    AnswerLost,
    Unauthorized,
    Refused,
}

#[derive(Clone, Debug)]
enum Happening {
    Wish(u8, u64),
    Unwish(u8),
    Pass(u64),
    Begin,
    End(usize, Fate),
    /// Hermes forgets all; with it, perhaps, what tokens are good.
    Restart(bool),
    Live(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let fate = prop_oneof![
        4 => Just(Fate::Well),
        2 => Just(Fate::Unheard),
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::Unauthorized),
        1 => Just(Fate::Refused),
    ];
    prop_oneof![
        3 => (0..6u8, 0..4u64).prop_map(|(id, version)| Happening::Wish(id, version)),
        2 => (0..6u8).prop_map(Happening::Unwish),
        3 => (0..40_000u64).prop_map(Happening::Pass),
        4 => Just(Happening::Begin),
        6 => (0..MAX_IN_FLIGHT, fate).prop_map(|(which, fate)| Happening::End(which, fate)),
        1 => any::<bool>().prop_map(Happening::Restart),
        1 => (0..60_000u64).prop_map(Happening::Live),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 400 } else { 4000 }))]

    #[test]
    fn whatever_happens_hermes_knows_in_the_end_exactly_who_is_wished(
        seed: u64,
        happenings in proptest::collection::vec(happening(), 0..120),
    ) {
        let mut world = World::new(seed);
        for happening in happenings {
            match happening {
                Happening::Wish(id, version) => world.wish(&format!("ci{id}"), version),
                Happening::Unwish(id) => world.unwish(&format!("ci{id}")),
                Happening::Pass(ms) => world.now += Duration::from_millis(ms),
                Happening::Begin => world.begin(),
                Happening::End(which, fate) => world.end(which, fate),
                Happening::Restart(new_life) => {
                    world.hermes.known.clear();
                    world.hermes.life += u32::from(new_life);
                }
                Happening::Live(ms) => world.live(Duration::from_millis(ms)),
            }
        }
        // Long enough for the regular look at each.
        world.live(Duration::from_secs(600));
        world.assert_in_step();
    }
}

fn world_of(count: usize) -> World {
    let mut world = World::new(7);
    for number in 0..count {
        world.wish(&format!("ci{number}"), 0);
    }
    world.live(Duration::from_secs(60));
    world.assert_in_step();
    world
}

#[test]
fn heartbeats_come_often_enough_and_not_all_at_once() {
    let mut world = world_of(200);
    let before = world.requests;
    let mut most = 0;
    for _ in 0..600 {
        let before = world.requests;
        world.live(Duration::from_secs(1));
        most = most.max(world.requests - before);
        world.assert_in_step();
    }
    let each_second = (world.requests - before) as f64 / 600.0;
    let least = 201.0 / BEAT[1].as_secs_f64();
    let greatest = 2.0 * 201.0 / BEAT[0].as_secs_f64();
    assert!((least..greatest).contains(&each_second), "{each_second}");
    assert!(most < 40, "{most} requests in one second");
}

#[test]
fn a_hermes_that_has_forgotten_all_knows_them_again_before_they_count_as_dead() {
    let mut world = world_of(200);
    for new_life in [0, 1] {
        world.hermes.known.clear();
        world.hermes.life += new_life;
        let within = BEAT[1] + ROLL_CALL + PAUSE[1];
        assert!(within < Duration::from_secs(60));
        world.live(within);
        world.assert_in_step();
    }
}

#[test]
fn a_flapping_component_is_told_of_ever_less_often_and_the_newest_wins() {
    let mut world = world_of(1);
    let before = world.ledger.counts().registrations;
    for version in 1..=1200 {
        world.wish("ci0", version);
        world.live(Duration::from_millis(100));
    }
    let registrations = world.ledger.counts().registrations - before;
    assert!((10..=13).contains(&registrations), "{registrations}");
    world.live(PAUSE[1]);
    world.assert_in_step();
}

#[test]
fn a_hermes_that_is_away_costs_one_request_a_pause() {
    let mut world = world_of(200);
    let before = world.requests;
    for _ in 0..600 {
        world.begin();
        world.now += Duration::from_secs(1);
        while !world.under_way.is_empty() {
            world.end(0, Fate::Unheard);
        }
        world.wish("ci3", 9);
    }
    assert!(matches!(world.ledger.gate(), Gate::Away(why) if why == "connection refused"));
    assert_eq!(world.ledger.known(), 0);
    let requests = world.requests - before;
    assert!((15..=40).contains(&requests), "{requests} in ten minutes");
    world.live(Duration::from_secs(60));
    world.assert_in_step();
}

#[test]
fn one_that_hermes_chokes_on_does_not_hold_up_the_others() {
    let mut world = world_of(200);
    world.wish("ci3", 1);
    let end = world.now + Duration::from_secs(120);
    while world.now < end {
        world.begin();
        world.now += Duration::from_millis(20);
        while let Some(place) = world.under_way.len().checked_sub(1) {
            let is_bad = |request: &Request| matches!(request, Request::Register(it) if it.component_id == "ci3");
            let fate = if is_bad(&world.under_way[place]) {
                Fate::Unheard
            } else {
                Fate::Well
            };
            world.end(place, fate);
        }
    }
    for (id, (_, beat)) in &world.hermes.known {
        assert!(
            world.now - beat.unwrap() < Duration::from_secs(40),
            "{id} is late"
        );
    }
}

#[test]
fn tokens_are_replaced_before_they_end() {
    let mut world = world_of(3);
    let before = world.ledger.counts();
    world.live(Duration::from_secs(3590));
    let after = world.ledger.counts();
    assert_eq!(after.registrations - before.registrations, 4);
    assert_eq!(after.refused, 0);
    world.assert_in_step();
}

#[test]
fn what_an_earlier_life_left_is_taken_away_and_nothing_else() {
    let mut world = World::new(1);
    for left in ["ci1", "ci2", "rhetor"] {
        world.hermes.known.insert(left.into(), ("0".into(), None));
    }
    world.wish("ci1", 0);
    world.live(Duration::from_secs(90));
    assert!(world.hermes.known.remove("rhetor").is_some());
    world.assert_in_step();
}

#[test]
fn at_the_end_all_leave_who_can() {
    let mut world = world_of(20);
    world.wishes.clear();
    world.ledger.unwish_all(world.now);
    while world.ledger.can_mend() {
        world.begin();
        world.now += Duration::from_millis(5);
        world.end(0, Fate::Well);
    }
    assert!(world.hermes.known.is_empty());
    let mut world = world_of(20);
    world.ledger.unwish_all(world.now);
    world.begin();
    world.end(0, Fate::Unheard);
    assert!(
        !world.ledger.can_mend(),
        "a Hermes that does not answer is not waited for"
    );
}

#[test]
fn those_who_came_and_went_while_hermes_was_away_leave_nothing() {
    let mut world = World::new(3);
    world.begin();
    while !world.under_way.is_empty() {
        world.end(0, Fate::Unheard);
    }
    for number in 0..5000 {
        let id = format!("ci{number}");
        world.wish(&id, 0);
        world.unwish(&id);
    }
    world.live(Duration::from_secs(60));
    assert_eq!(world.ledger.wanted(), 1);
    world.assert_in_step();
    assert!(world.requests < 100, "{}", world.requests);
}

#[test]
fn what_was_told_with_its_answer_lost_is_told_again_also_where_the_wish_is_the_old_one() {
    let mut world = world_of(1);
    world.wish("ci0", 1);
    world.begin();
    let is_it = |request: &Request| matches!(request, Request::Register(_));
    let place = world.under_way.iter().position(is_it).unwrap();
    world.end(place, Fate::AnswerLost);
    assert_eq!(world.hermes.known["ci0"].0, "1");
    world.wish("ci0", 0);
    world.live(Duration::from_secs(60));
    world.assert_in_step();
}
