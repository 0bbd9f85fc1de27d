use proptest::prelude::*;

use super::*;

const START: Duration = Duration::ZERO;
const RUNS: Event = Event::Runs {
    init_pid: 7,
    allowed: true,
};

fn present() -> Attendance {
    let mut attendance = Attendance::new(false);
    assert_eq!(
        attendance.decide(RUNS, START),
        Action::Attach { init_pid: 7 }
    );
    assert_eq!(attendance.decide(Event::Entered, START), Action::Accompany);
    attendance
}

fn lost() -> Event {
    Event::Lost("killed".into())
}

#[test]
fn a_lost_companion_comes_back_at_once_and_then_ever_later() {
    let mut attendance = present();
    let mut now = Duration::from_secs(1);
    assert_eq!(
        attendance.decide(lost(), now),
        Action::Attach { init_pid: 7 }
    );
    let mut waits = Vec::new();
    for _ in 0..10 {
        assert_eq!(attendance.decide(Event::Entered, now), Action::Accompany);
        assert_eq!(attendance.decide(lost(), now), Action::None);
        let at = attendance.timer().unwrap();
        waits.push((at - now).as_secs());
        now = at;
        assert_eq!(
            attendance.decide(Event::TimeIsUp, now),
            Action::Attach { init_pid: 7 }
        );
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(attendance.losses(), 11);
    // Ten calm minutes, and all is forgiven.
    attendance.decide(Event::Entered, now);
    assert_eq!(attendance.timer(), Some(now + CALM));
    assert_eq!(attendance.decide(Event::TimeIsUp, now + CALM), Action::None);
    assert_eq!(attendance.losses(), 0);
    assert_eq!(
        attendance.decide(lost(), now + CALM),
        Action::Attach { init_pid: 7 }
    );
}

#[test]
fn a_failed_attempt_is_repeated_ever_later_until_one_succeeds() {
    let mut attendance = Attendance::new(false);
    attendance.decide(RUNS, START);
    let mut now = START;
    for wait in [2, 4, 8] {
        assert_eq!(
            attendance.decide(Event::Failed("no".into()), now),
            Action::None
        );
        assert_eq!(attendance.timer(), Some(now + Duration::from_secs(wait)));
        // More news of the same container does not push the next attempt away.
        assert_eq!(
            attendance.decide(RUNS, now + Duration::from_secs(1)),
            Action::None
        );
        now = attendance.timer().unwrap();
        assert_eq!(
            attendance.decide(Event::TimeIsUp, now),
            Action::Attach { init_pid: 7 }
        );
    }
    attendance.decide(Event::Entered, now);
    assert_eq!(*attendance.phase(), Phase::Present);
}

#[test]
fn detaching_lasts_until_a_person_attaches_again() {
    let mut attendance = present();
    assert_eq!(attendance.decide(Event::DetachWanted, START), Action::Leave);
    assert_eq!(attendance.decide(Event::Left, START), Action::None);
    assert_eq!(attendance.decide(Event::Stopped, START), Action::None);
    assert_eq!(
        attendance.decide(
            Event::Runs {
                init_pid: 8,
                allowed: true
            },
            START
        ),
        Action::None
    );
    assert_eq!(
        attendance.decide(Event::AttachWanted, START),
        Action::Attach { init_pid: 8 }
    );
    let mut remembered = Attendance::new(true);
    assert_eq!(remembered.decide(RUNS, START), Action::None);
}

#[test]
fn a_label_is_heeded_until_a_person_says_otherwise() {
    let mut attendance = Attendance::new(false);
    let refused = Event::Runs {
        init_pid: 7,
        allowed: false,
    };
    assert_eq!(attendance.decide(refused.clone(), START), Action::None);
    assert_eq!(
        attendance.decide(Event::AttachWanted, START),
        Action::Attach { init_pid: 7 }
    );
    assert_eq!(attendance.decide(Event::Entered, START), Action::Accompany);
    assert_eq!(attendance.decide(refused, START), Action::None);
}

#[test]
fn a_containers_end_is_a_clean_one() {
    let mut attendance = present();
    assert_eq!(attendance.decide(Event::InitEnded, START), Action::None);
    assert_eq!((attendance.losses(), attendance.timer()), (0, None));
    assert_eq!(attendance.decide(Event::Stopped, START), Action::None);
    assert_eq!(
        attendance.decide(
            Event::Runs {
                init_pid: 9,
                allowed: true
            },
            START
        ),
        Action::Attach { init_pid: 9 }
    );
}

#[test]
fn a_quick_restart_is_heard_of_in_any_order() {
    // The Engine tells of the new life before the end of the old one was seen.
    let mut attendance = present();
    let next = Event::Runs {
        init_pid: 9,
        allowed: true,
    };
    assert_eq!(attendance.decide(next, START), Action::Leave);
    assert_eq!(
        attendance.decide(Event::InitEnded, START),
        Action::Attach { init_pid: 9 }
    );
}

#[test]
fn who_comes_in_too_late_is_sent_away() {
    let mut attendance = Attendance::new(false);
    attendance.decide(RUNS, START);
    assert_eq!(attendance.decide(Event::DetachWanted, START), Action::None);
    assert_eq!(attendance.decide(Event::Entered, START), Action::Leave);
    assert_eq!(*attendance.phase(), Phase::Leaving);
}

/// What the world may do: the choices of people and the Engine, and the ends of what is under way.
#[derive(Clone, Copy, Debug)]
enum Step {
    Runs(u32, bool),
    Judged(bool),
    Stopped,
    AttachWanted,
    DetachWanted,
    /// The work under way comes to this end.
    Ends(u8),
    Passes(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (1..4u32, any::<bool>()).prop_map(|(init_pid, allowed)| Step::Runs(init_pid, allowed)),
        1 => any::<bool>().prop_map(Step::Judged),
        1 => Just(Step::Stopped),
        1 => Just(Step::AttachWanted),
        1 => Just(Step::DetachWanted),
        4 => any::<u8>().prop_map(Step::Ends),
        3 => (0..700u64).prop_map(Step::Passes),
    ]
}

/// What the world has under way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Nothing,
    Attempt,
    Company { told_to_go: bool },
}

proptest! {
    /// Against a model of the world: never two companions, never one in a container without processes or one
    /// that was detached, every wait within its bounds, and nobody is forgotten.
    #[test]
    fn keeps_its_promises(steps in prop::collection::vec(step(), 1..200)) {
        let mut attendance = Attendance::new(false);
        let (mut work, mut now) = (Work::Nothing, Duration::ZERO);
        let (mut init, mut allowed, mut wanted, mut detached) = (None, false, false, false);
        for step in steps {
            let event = match step {
                Step::Runs(init_pid, allow) => { init = Some(init_pid); allowed = allow; Event::Runs { init_pid, allowed } }
                Step::Judged(allow) => { allowed = allow; Event::Judged { allowed } }
                Step::Stopped => { init = None; Event::Stopped }
                Step::AttachWanted => { (wanted, detached) = (true, false); Event::AttachWanted }
                Step::DetachWanted => { (wanted, detached) = (false, true); Event::DetachWanted }
                Step::Passes(seconds) => {
                    now += Duration::from_secs(seconds);
                    match attendance.timer() {
                        Some(at) if at <= now => Event::TimeIsUp,
                        _ => continue,
                    }
                }
                Step::Ends(how) => match std::mem::replace(&mut work, Work::Nothing) {
                    Work::Nothing => continue,
                    Work::Attempt if how % 2 == 0 => { work = Work::Company { told_to_go: false }; Event::Entered }
                    Work::Attempt => Event::Failed("no".into()),
                    Work::Company { told_to_go: true } if how % 3 == 0 => Event::Left,
                    Work::Company { .. } if how % 3 == 1 => { init = None; Event::InitEnded }
                    Work::Company { .. } => lost(),
                },
            };
            let init_ended = event == Event::InitEnded;
            match attendance.decide(event, now) {
                Action::Attach { init_pid } => {
                    prop_assert_eq!(work, Work::Nothing, "never two at a time");
                    work = Work::Attempt;
                    prop_assert!(!detached && (allowed || wanted), "never against anybody's will");
                    if !init_ended {
                        prop_assert_eq!(init, Some(init_pid), "never without processes");
                    }
                }
                Action::Accompany => prop_assert_eq!(work, Work::Company { told_to_go: false }),
                Action::Leave => {
                    let is_company = matches!(work, Work::Company { .. });
                    prop_assert!(is_company, "only who is there can leave");
                    work = Work::Company { told_to_go: true };
                }
                Action::None => {}
            }
            if init_ended {
                // The attendance may know of a next life that this model has just forgotten.
                init = attendance.has_processes().then_some(()).and(attendance.init);
            }
            if let Some(at) = attendance.timer() {
                let longest = if work == Work::Nothing { LONGEST_WAIT } else { CALM };
                prop_assert!(at <= now + longest);
            }
            if init.is_some() && !detached && (allowed || wanted) {
                let coming = work != Work::Nothing || attendance.timer().is_some();
                prop_assert!(coming, "nobody is forgotten: {attendance:?}");
            }
        }
    }
}

#[test]
fn whoever_dials_in_is_received_where_nobody_is_attached_or_sent_away() {
    let mut attendance = Attendance::new(false);
    assert_eq!(attendance.receives(), Err(Unwelcome::NotRunning));
    let unwanted = Event::Runs {
        init_pid: 7,
        allowed: false,
    };
    attendance.decide(unwanted, START);
    assert_eq!(attendance.receives(), Ok(()), "nobody is to be attached");
    attendance.decide(RUNS, START);
    assert_eq!(attendance.receives(), Ok(()), "it is being tried");
    attendance.decide(Event::Failed("no entry".into()), START);
    assert_eq!(attendance.receives(), Ok(()), "it cannot be");
    attendance.decide(Event::DetachWanted, START);
    assert_eq!(attendance.receives(), Err(Unwelcome::SentAway));
    assert_eq!(Attendance::new(true).receives(), Err(Unwelcome::SentAway));
    assert_eq!(present().receives(), Err(Unwelcome::Attended));
}
