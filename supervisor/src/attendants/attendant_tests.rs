use diogenes_proto::Health;

use super::*;
use crate::api::view::ContainerView;
use crate::attendants::Attendants;
use crate::attendants::detached::Detached;
use crate::attendants::way_in::Via;
use crate::fakes::{FakeProcess, FakeWayIn, Luck, Peer, exited, report, running, until};
use crate::registry::Entry;
use tokio_util::task::TaskTracker;

struct World {
    way_in: Arc<FakeWayIn>,
    registry: Arc<Registry>,
    attendants: Attendants,
    settings: watch::Sender<Arc<Settings>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _state: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let (way_in, registry) = (
            Arc::new(FakeWayIn::default()),
            Arc::new(Registry::default()),
        );
        let (stop, tasks, state) = (
            CancellationToken::new(),
            TaskTracker::new(),
            tempfile::tempdir().unwrap(),
        );
        let detached = Detached::load(state.path());
        let settings = watch::Sender::new(Arc::new(Settings::with(&[])));
        let attendants = Attendants::new(
            way_in.clone(),
            registry.clone(),
            detached,
            settings.subscribe(),
            stop.clone(),
            tasks.clone(),
        );
        Self {
            way_in,
            registry,
            attendants,
            settings,
            stop,
            tasks,
            _state: state,
        }
    }

    async fn tell(&self, facts: &diogenes_engine::ContainerFacts) {
        self.registry.set_facts(facts.clone());
        self.attendants.container_changed(facts).await;
    }

    /// What SIGHUP does.
    fn configure(&self, given: &[(&str, &str)]) {
        self.settings.send_replace(Arc::new(Settings::with(given)));
    }

    fn entry(&self) -> Arc<Entry> {
        self.registry.get("c1").unwrap()
    }

    fn view(&self) -> ContainerView {
        ContainerView::new(&self.entry())
    }

    async fn until_present(&self, attempts: usize) {
        let is_so = || {
            let entry = self.entry();
            self.way_in.attempts() == attempts
                && entry.session.is_some()
                && entry.report.is_some()
                && self.view().state == "present"
        };
        until("a companion is there", is_so).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_container_gets_a_companion_and_detach_leaves_nobody() {
    let world = World::new();
    world.tell(&running("c1", "shop", 7)).await;
    world.until_present(1).await;
    let view = world.view();
    assert_eq!(
        (view.via.as_deref(), view.health),
        (Some("attached"), Health::Healthy)
    );
    assert!(
        view.reason
            .starts_with("diogenes-agent 0.0.0-fake attached at "),
        "{}",
        view.reason
    );
    assert_eq!(world.way_in.last().target.init_pid, 7);

    world.attendants.detach("c1").await;
    until("it has left", || {
        world.entry().presence == Presence::Absent(Absence::Detached)
    })
    .await;
    assert!(world.way_in.last().agent.has_ended());
    world.tell(&running("c1", "shop", 8)).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.way_in.attempts(), 1);
    assert_eq!(world.view().health, Health::Unknown);

    world.attendants.attach("c1").await;
    world.until_present(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_companion_is_back_within_two_seconds_and_a_kill_loop_is_a_finding() {
    let world = World::new();
    world.tell(&running("c1", "shop", 7)).await;
    world.until_present(1).await;
    let killed = Instant::now();
    world.way_in.last().agent.end();
    world.until_present(2).await;
    assert!(
        killed.elapsed() < Duration::from_secs(2),
        "{:?}",
        killed.elapsed()
    );
    assert!(world.view().findings.is_empty());

    world.way_in.last().agent.end();
    until("it waits", || {
        matches!(
            world.entry().presence,
            Presence::Absent(Absence::Killed { times: 2, .. })
        )
    })
    .await;
    let finding = world.view().findings.remove(0);
    assert_eq!(finding.code, "companion-killed");
    assert!(
        finding
            .summary
            .to_string()
            .contains("ended 2 times while the container lived"),
        "{}",
        finding.summary
    );
    assert!(
        finding.summary.to_string().contains("next try at"),
        "{}",
        finding.summary
    );
    world.until_present(3).await;
    assert_eq!(world.view().findings.len(), 1, "it stays until all is calm");
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert!(world.view().findings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn companions_killed_before_their_first_word_are_told_as_killed() {
    let world = World::new();
    let luck = [Luck::Killed, Luck::Killed];
    world.way_in.luck.lock().unwrap().extend(luck);
    world.tell(&running("c1", "shop", 7)).await;
    world.until_present(3).await;
    let codes: Vec<_> = world
        .view()
        .findings
        .into_iter()
        .map(|it| it.code)
        .collect();
    assert_eq!(codes, ["companion-killed"]);
}

#[tokio::test(start_paused = true)]
async fn a_containers_end_takes_its_companion_along() {
    let world = World::new();
    let facts = running("c1", "shop", 7);
    world.tell(&facts).await;
    world.until_present(1).await;
    // As the kernel does it: the agent dies first, the init is seen to end a moment later.
    let entered = world.way_in.last();
    entered.agent.end();
    tokio::time::sleep(Duration::from_millis(100)).await;
    entered.init.end();
    until("nobody is there", || {
        world.entry().session.is_none() && world.view().state == "absent"
    })
    .await;
    world.tell(&exited(&facts, 137)).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.way_in.attempts(), 1);
    let view = world.view();
    assert!(
        view.reason.starts_with("container exited with code 137"),
        "{}",
        view.reason
    );
    assert!(view.findings.is_empty() && view.services.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_says_why_and_is_repeated() {
    let world = World::new();
    world
        .way_in
        .luck
        .lock()
        .unwrap()
        .extend([Luck::Bad("no entry"), Luck::Mute]);
    world.tell(&running("c1", "shop", 7)).await;
    until("it failed", || {
        world
            .view()
            .reason
            .starts_with("could not attach: no entry; next try at ")
    })
    .await;
    assert_eq!(world.view().companion, "failed");
    until("it did not say hello", || {
        world.view().reason.contains("no hello within 2 s")
    })
    .await;
    assert!(
        world.way_in.last().agent.has_ended(),
        "a mute agent is not left behind"
    );
    world.until_present(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_label_keeps_companions_out() {
    let world = World::new();
    let mut facts = running("c1", "shop", 7);
    facts.labels.insert(ATTACH_LABEL.into(), "false".into());
    world.tell(&facts).await;
    until("the label is given as the reason", || {
        world.entry().presence == Presence::Absent(Absence::Unwanted(Verdict::Label(false)))
    })
    .await;
    assert_eq!(world.way_in.attempts(), 0);
    assert!(world.view().findings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_label_that_means_nothing_is_told() {
    let world = World::new();
    let mut facts = running("c1", "shop", 7);
    facts
        .labels
        .insert(ATTACH_LABEL.into(), "no\u{1b}[2J".repeat(100));
    world.tell(&facts).await;
    world.until_present(1).await;
    let finding = world.view().findings.remove(0);
    assert_eq!(
        (finding.code.as_str(), finding.severity),
        (STRANGE_LABEL, Severity::Warning)
    );
    let summary = finding.summary.as_raw();
    assert!(
        summary.contains("counts as not set") && !summary.contains('\u{1b}'),
        "{summary}"
    );
    assert!(summary.len() < 1000, "bounded: {summary}");
}

#[tokio::test(start_paused = true)]
async fn another_policy_moves_only_those_whom_it_concerns() {
    let world = World::new();
    let wanted = |id: &str| {
        let entry = world.registry.get(id).unwrap();
        (entry.session.is_some(), ContainerView::new(&entry).reason)
    };
    for (id, name, init_pid) in [("c1", "shop", 7), ("c2", "job-tmp", 8), ("c3", "db", 9)] {
        world.tell(&running(id, name, init_pid)).await;
    }
    let all_present = || ["c1", "c2", "c3"].iter().all(|id| wanted(id).0);
    until("all are attended", all_present).await;
    let since = world.entry().presence_since;

    world.configure(&[("attach.exclude", "*-tmp image:none"), ("log", "debug")]);
    until("one is left", || {
        wanted("c2") == (false, "excluded by attach.exclude \"*-tmp\"".into())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(wanted("c1").0 && wanted("c3").0);
    assert_eq!(world.way_in.attempts(), 3, "nobody came in anew");
    assert_eq!(world.entry().presence_since, since);

    // A person outweighs it, for one container.
    world.attendants.attach("c2").await;
    until("it is back", || wanted("c2").0).await;
    world.attendants.detach("c2").await;
    until("it is away", || !wanted("c2").0).await;

    world.configure(&[
        ("attach.default", "false"),
        ("attach.include", "shop job-*"),
    ]);
    until("the third is left", || !wanted("c3").0).await;
    assert_eq!(
        wanted("c3").1,
        "nothing names this container, and attach.default is false"
    );
    assert!(
        wanted("c2").1.starts_with("detached by hand"),
        "{}",
        wanted("c2").1
    );
    world.configure(&[]);
    until("the third is attended again", || wanted("c3").0).await;
    assert_eq!(world.way_in.attempts(), 5);
    assert_eq!(world.entry().presence_since, since);
}

#[tokio::test(start_paused = true)]
async fn a_new_name_is_judged_anew() {
    let world = World::new();
    world.configure(&[("attach.exclude", "*-tmp")]);
    let mut facts = running("c1", "job-tmp", 7);
    world.tell(&facts).await;
    until("it is left alone", || world.view().companion == "exclude").await;
    facts.name = "job".into();
    world.tell(&facts).await;
    world.until_present(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ended_meanwhile_is_not_entered_for_a_new_policy() {
    let world = World::new();
    world.configure(&[("attach.default", "false")]);
    let facts = running("c1", "shop", 7);
    world.tell(&facts).await;
    until("it is left alone", || world.view().companion == "default").await;
    world.tell(&exited(&facts, 0)).await;
    until("its end is known", || {
        world.entry().presence == Presence::Absent(Absence::NothingToBeWith)
    })
    .await;
    world.configure(&[]);
    until("what would hold is known", || {
        world.entry().verdict == Some(Verdict::Default(true))
    })
    .await;
    assert_eq!(world.way_in.attempts(), 0);
    world.tell(&running("c1", "shop", 8)).await;
    world.until_present(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_all_away() {
    let world = World::new();
    world.tell(&running("c1", "shop", 7)).await;
    world.until_present(1).await;
    world.tasks.close();
    world.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), world.tasks.wait())
        .await
        .unwrap();
    assert!(world.way_in.last().agent.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_destroyed_container_needs_no_attendant() {
    let world = World::new();
    world.tell(&running("c1", "shop", 7)).await;
    world.until_present(1).await;
    world.registry.remove("c1");
    world.attendants.container_destroyed("c1");
    world.tasks.close();
    tokio::time::timeout(Duration::from_secs(5), world.tasks.wait())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_companion_that_freezes_with_its_container_leaves_before() {
    for (via, stays) in [(Via::Exec, false), (Via::Attached, true)] {
        let world = World::new();
        *world.way_in.via.lock().unwrap() = via;
        let facts = running("c1", "shop", 7);
        world.tell(&facts).await;
        world.until_present(1).await;
        assert_eq!(world.view().via.as_deref(), Some(via.as_str()));
        let paused = diogenes_engine::ContainerFacts {
            state: diogenes_engine::ContainerState::Paused,
            ..facts.clone()
        };
        world.tell(&paused).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.view().state == "present", stays, "{via:?}");
        if !stays {
            assert_eq!(world.view().reason, "the container is paused");
        }
        world.tell(&facts).await;
        world.until_present(if stays { 1 } else { 2 }).await;
    }
}

/// A companion of the container "c1" that dials in, with its process and the container's init.
async fn visitor(health: Health) -> (Box<Visitor>, FakeProcess, FakeProcess) {
    let (near, peer) = Peer::pair();
    let (process, init) = (FakeProcess::new(), FakeProcess::new());
    tokio::spawn(peer.serve(report(health)));
    let (session, handle, hello) = Session::greet(near)
        .await
        .map_err(|end| end.to_string())
        .unwrap();
    let visitor = Visitor {
        session,
        handle,
        build: hello.build,
        process: Box::new(process.clone()),
        init: Box::new(init.clone()),
    };
    (Box::new(visitor), process, init)
}

/// A world whose container is not to be attached to.
async fn unwanted() -> World {
    let world = World::new();
    world.configure(&[("attach.default", "false")]);
    world.tell(&running("c1", "shop", 7)).await;
    until("none is wanted", || {
        matches!(
            world.entry().presence,
            Presence::Absent(Absence::Unwanted(_))
        )
    })
    .await;
    world
}

impl World {
    async fn until_state(&self, state: &str, via: Option<&str>) {
        let is_so = || {
            let view = self.view();
            view.state == state && view.via.as_deref() == via
        };
        until(&format!("{state} via {via:?}"), is_so).await;
    }

    async fn visit(&self, visitor: Box<Visitor>) -> Result<(), Unwelcome> {
        let received = self.attendants.visit("c1", visitor).await;
        received.map_err(|(_, why)| why)
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_dials_in_is_the_companion_where_none_is_attached() {
    let world = unwanted().await;
    let (first, _, _) = visitor(Health::Degraded).await;
    assert_eq!(world.visit(first).await, Ok(()));
    world.until_state("present", Some("baked")).await;
    until("it reported", || world.view().health == Health::Degraded).await;
    assert!(
        world.view().reason.contains("fake dialled in at "),
        "{}",
        world.view().reason
    );
    let session = world.entry().session.clone().unwrap();
    let answer = session.request(diogenes_proto::Request::Report {}, Duration::from_secs(1));
    assert!(answer.await.is_ok(), "it can be asked");

    let (second, _, _) = visitor(Health::Healthy).await;
    assert_eq!(world.visit(second).await, Err(Unwelcome::Second));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        world.view().health,
        Health::Degraded,
        "the first is not disturbed"
    );
}

#[tokio::test(start_paused = true)]
async fn an_attached_companion_takes_a_visitors_place() {
    let world = unwanted().await;
    let (guest, _, _) = visitor(Health::Degraded).await;
    world.visit(guest).await.unwrap();
    world.until_state("present", Some("baked")).await;
    world.attendants.attach("c1").await;
    world.until_present(1).await;
    world.until_state("present", Some("attached")).await;
    until("it is the other's health", || {
        world.view().health == Health::Healthy
    })
    .await;
    let (again, _, _) = visitor(Health::Degraded).await;
    assert_eq!(world.visit(again).await, Err(Unwelcome::Attended));
    assert!(world.entry().session.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_visitor_is_there_while_attaching_fails_again_and_again() {
    let world = World::new();
    let bad = std::iter::repeat_n(Luck::Bad("no entry"), 100);
    world.way_in.luck.lock().unwrap().extend(bad);
    world.tell(&running("c1", "shop", 7)).await;
    until("it failed", || world.view().companion == "failed").await;
    let (guest, process, _) = visitor(Health::Healthy).await;
    world.visit(guest).await.unwrap();
    let attempts = world.way_in.attempts();
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.view().via.as_deref(), Some("baked"));
    }
    assert!(world.way_in.attempts() > attempts, "it is still tried");
    process.end();
    until("why it is not attached is told again", || {
        world.view().companion == "failed"
    })
    .await;
    assert!(world.entry().session.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_visitor_goes_with_its_process_its_container_or_by_hand() {
    let world = unwanted().await;
    let rounds: [fn(&FakeProcess, &FakeProcess); 2] =
        [|process, _| process.end(), |_, init| init.end()];
    for end in rounds {
        let (guest, process, init) = visitor(Health::Healthy).await;
        world.visit(guest).await.unwrap();
        world.until_state("present", Some("baked")).await;
        end(&process, &init);
        world.until_state("absent", None).await;
        assert!(world.entry().session.is_none());
    }

    let (guest, process, _) = visitor(Health::Healthy).await;
    world.visit(guest).await.unwrap();
    world.attendants.detach("c1").await;
    assert_eq!(world.entry().presence, Presence::Absent(Absence::Detached));
    assert!(
        world.entry().session.is_none() && !process.has_ended(),
        "it is not ours to end"
    );
    let (again, _, _) = visitor(Health::Healthy).await;
    assert_eq!(world.visit(again).await, Err(Unwelcome::SentAway));

    world.attendants.attach("c1").await;
    world.until_present(1).await;
    world.tell(&exited(&world.entry().facts, 0)).await;
    world.way_in.last().init.end();
    until("nobody is there", || world.entry().session.is_none()).await;
    let (late, _, _) = visitor(Health::Healthy).await;
    assert_eq!(world.visit(late).await, Err(Unwelcome::NotRunning));
}

#[tokio::test(start_paused = true)]
async fn visitors_leave_with_the_supervisor() {
    let world = unwanted().await;
    let (guest, _, _) = visitor(Health::Healthy).await;
    world.visit(guest).await.unwrap();
    world.tasks.close();
    world.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), world.tasks.wait())
        .await
        .expect("all attendants end");
    let (late, _, _) = visitor(Health::Healthy).await;
    assert!(world.visit(late).await.is_err());
}
