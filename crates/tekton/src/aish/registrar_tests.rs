use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use diogenes_testkit::Aish;
use serde_json::json;

use super::*;

const OWNER: &str = "diogenes@here:/run/diogenes";

struct Place {
    root: tempfile::TempDir,
    now: Instant,
}

impl Place {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            now: Instant::now(),
        }
    }

    fn registrar(&self, owner: &str) -> Registrar {
        // This process: alive, and signalable by itself.
        Registrar::new(self.root.path(), owner, std::process::id())
    }

    fn aish(&self) -> Aish {
        Aish::start(self.root.path())
    }

    fn file(&self) -> PathBuf {
        Aish::registry_file(self.root.path())
    }

    /// Lets a second pass, in which the registrar looks as often as it wants to.
    fn pass(&mut self, registrar: &mut Registrar) -> Vec<Notice> {
        let (end, mut told) = (self.now + LATER, Vec::new());
        while self.now < end {
            let (notices, wait) = registrar.look(self.now);
            told.extend(notices);
            self.now += wait;
        }
        told
    }

    fn foreign(&self, name: &str) -> Value {
        json!({"name": name, "type": "ci_terminal", "pid": std::process::id(), "socket": self.root.path(), "x": 1.10})
    }
}

fn contact(name: &str) -> Contact {
    Contact {
        name: name.into(),
        endpoint: "http://127.0.0.1:4120".into(),
        message_endpoint: "/ci/shop/message".into(),
        description: "Container CI: shop".into(),
        capabilities: vec!["status".into()],
    }
}

#[test]
fn aish_knows_whom_it_is_given_as_long_as_it_is_given() {
    let mut place = Place::new();
    let mut registrar = place.registrar(OWNER);
    registrar.give([contact("shop-ci"), contact("../../etc/x")]);
    assert_eq!(place.pass(&mut registrar), [Notice::Registered(1)]);
    let aish = place.aish();
    assert_eq!(aish.names(), ["shop-ci"]);
    assert_eq!(
        aish.entry("SHOP-ci").unwrap()["endpoint"],
        "http://127.0.0.1:4120"
    );
    assert_eq!(place.pass(&mut registrar), []);
    registrar.give([contact("cafe-ci")]);
    assert_eq!(place.pass(&mut registrar), []);
    assert_eq!(place.aish().names(), ["cafe-ci"]);
    assert!(registrar.leave(place.now));
    assert_eq!(fs::read_to_string(place.file()).unwrap(), "{}");
    let names: Vec<_> = fs::read_dir(place.file().parent().unwrap())
        .unwrap()
        .flatten()
        .map(|it| it.file_name())
        .collect();
    assert_eq!(names.len(), 2, "the file and the lock: {names:?}");
}

#[test]
fn an_entry_that_a_stale_writer_takes_away_comes_back_within_a_second() {
    let mut place = Place::new();
    let mut registrar = place.registrar(OWNER);
    let mut stale = place.aish();
    registrar.give([contact("shop-ci")]);
    place.pass(&mut registrar);
    stale.register("terminal", place.foreign("terminal"));
    assert!(place.aish().entry("shop-ci").is_none());
    place.pass(&mut registrar);
    place.pass(&mut registrar);
    assert_eq!(
        place.aish().names(),
        ["terminal", "shop-ci"]
            .map(str::to_owned)
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    // And one that it brings back goes again.
    let stale = place.aish();
    registrar.give([]);
    place.pass(&mut registrar);
    stale.write();
    place.pass(&mut registrar);
    place.pass(&mut registrar);
    assert_eq!(place.aish().names(), ["terminal"]);
}

#[test]
fn nothing_is_written_where_all_is_right() {
    let mut place = Place::new();
    let mut registrar = place.registrar(OWNER);
    registrar.give([contact("shop-ci")]);
    place.pass(&mut registrar);
    // aish writes our entry in its own way.
    place.aish().write();
    let before = fs::metadata(place.file()).unwrap();
    for _ in 0..5 {
        place.pass(&mut registrar);
    }
    let after = fs::metadata(place.file()).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&before),
        std::os::unix::fs::MetadataExt::ino(&after)
    );
}

#[test]
fn who_had_the_replaced_file_open_is_heard_all_the_same() {
    for somebody_wrote_since in [false, true] {
        let mut place = Place::new();
        let mut aish = place.aish();
        aish.register("old", place.foreign("old"));
        // Opened before the rename, written after it.
        let mut open = fs::File::options().write(true).open(place.file()).unwrap();
        let mut registrar = place.registrar(OWNER);
        registrar.give([contact("shop-ci")]);
        registrar.look(place.now);
        if somebody_wrote_since {
            place.aish().register("new", place.foreign("new"));
        }
        open.set_len(0).unwrap();
        let text = json!({"late": place.foreign("late")}).to_string();
        let (first, second) = text.split_at(10);
        std::io::Write::write_all(&mut open, first.as_bytes()).unwrap();
        registrar.look(place.now);
        std::io::Write::write_all(&mut open, second.as_bytes()).unwrap();
        place.pass(&mut registrar);
        place.pass(&mut registrar);
        let names: BTreeSet<String> = place.aish().names().into_iter().collect();
        // Where nobody has written since, what the late writer left out it left out on purpose.
        let expected: &[&str] = if somebody_wrote_since {
            &["late", "new", "old", "shop-ci"]
        } else {
            &["late", "shop-ci"]
        };
        assert_eq!(
            names,
            expected.iter().map(|name| (*name).to_owned()).collect()
        );
    }
}

#[test]
fn a_file_that_makes_no_sense_is_waited_for_then_told_of_and_never_replaced() {
    for text in ["", "{\"terminal\": {\"pid\": 1", "[]"] {
        let mut place = Place::new();
        fs::create_dir_all(place.file().parent().unwrap()).unwrap();
        fs::write(place.file(), text).unwrap();
        let mut registrar = place.registrar(OWNER);
        registrar.give([contact("shop-ci")]);
        assert_eq!(place.pass(&mut registrar), [], "it may be half-written");
        let told: Vec<_> = (0..4).flat_map(|_| place.pass(&mut registrar)).collect();
        assert!(
            matches!(&told[..], [Notice::Trouble(why)] if why.contains("is no JSON object") && why.contains("mend it or remove it")),
            "{told:?}"
        );
        assert_eq!(fs::read_to_string(place.file()).unwrap(), text);
        fs::write(place.file(), "{}").unwrap();
        assert_eq!(place.pass(&mut registrar), [Notice::Registered(1)]);
        assert_eq!(place.aish().names(), ["shop-ci"]);
    }
}

#[test]
fn who_is_removed_by_aish_stays_away_until_given_anew() {
    let mut place = Place::new();
    let mut registrar = place.registrar(OWNER);
    registrar.give([contact("shop-ci"), contact("cafe-ci")]);
    place.pass(&mut registrar);
    // What aish does besides ending the process, which would be this one.
    let mark = place.aish().entry("shop-ci").unwrap()["socket"]
        .as_str()
        .unwrap()
        .to_owned();
    fs::remove_file(mark).unwrap();
    assert_eq!(
        place.pass(&mut registrar),
        [Notice::Removed("shop-ci".into()), Notice::Registered(1)]
    );
    registrar.give([contact("shop-ci"), contact("cafe-ci")]);
    place.pass(&mut registrar);
    assert_eq!(place.aish().names(), ["cafe-ci"]);
    registrar.give([contact("cafe-ci")]);
    registrar.give([contact("shop-ci"), contact("cafe-ci")]);
    place.pass(&mut registrar);
    assert_eq!(place.aish().names(), ["cafe-ci", "shop-ci"]);
    // Where somebody cleans up all of it, nobody was removed.
    fs::remove_dir_all(place.root.path().join(".tekton")).unwrap();
    assert_eq!(place.pass(&mut registrar), []);
    assert_eq!(place.aish().names(), ["cafe-ci", "shop-ci"]);
}

#[test]
fn two_of_us_share_a_registry_and_a_restarted_one_takes_its_leavings_away() {
    let mut place = Place::new();
    let (mut here, mut there) = (
        place.registrar(OWNER),
        place.registrar("diogenes@there:/run/diogenes"),
    );
    here.give([contact("shop-ci"), contact("both-ci")]);
    there.give([contact("cafe-ci"), contact("both-ci")]);
    place.pass(&mut here);
    assert!(
        place
            .pass(&mut there)
            .contains(&Notice::Taken("both-ci".into()))
    );
    let before = fs::read(place.file()).unwrap();
    for _ in 0..5 {
        place.pass(&mut here);
        place.pass(&mut there);
    }
    assert_eq!(fs::read(place.file()).unwrap(), before, "they do not fight");
    assert_eq!(place.aish().names(), ["both-ci", "cafe-ci", "shop-ci"]);
    // Killed and started again, with other containers; not before the first is gone.
    let mut next = place.registrar(OWNER);
    next.give([contact("new-ci")]);
    place.pass(&mut next);
    assert_eq!(place.aish().names(), ["both-ci", "cafe-ci", "shop-ci"]);
    drop(here);
    let mut here = next;
    place.pass(&mut here);
    assert_eq!(place.aish().names(), ["cafe-ci", "new-ci"]);
    place.pass(&mut there);
    place.pass(&mut there);
    assert_eq!(place.aish().names(), ["both-ci", "cafe-ci", "new-ci"]);
}

/// Time is real here: a program of Tekton's that rewrites the registry a thousand times, and a registrar whose CIs change
/// a thousand times.
#[test]
fn two_busy_writers_lose_nothing_of_either() {
    const ROUNDS: usize = 1000;
    let place = Place::new();
    let (root, foreign) = (place.root.path(), place.foreign("terminal"));
    let done = AtomicBool::new(false);
    let registrar = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut aish = Aish::start(root);
            for round in 0..ROUNDS {
                // Every tenth is another run, which remembers what it finds.
                if round % 10 == 0 {
                    aish = Aish::start(root);
                }
                aish.register(&format!("terminal-{}", round % 7), foreign.clone());
            }
            // The last word, in full.
            for name in 0..7 {
                aish.register(&format!("terminal-{name}"), foreign.clone());
            }
            done.store(true, Ordering::Release);
        });
        let mut registrar = place.registrar(OWNER);
        for round in 0.. {
            let names = (0..20)
                .filter(|name| (round + name) % 3 > 0)
                .map(|name| contact(&format!("shop-{name}-ci")));
            registrar.give(names);
            registrar.look(Instant::now());
            if round >= ROUNDS && done.load(Ordering::Acquire) {
                break;
            }
        }
        registrar
    });
    let mut registrar = registrar;
    registrar.give((0..20).map(|name| contact(&format!("shop-{name}-ci"))));
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let (_, wait) = registrar.look(Instant::now());
        std::thread::sleep(wait.min(SOON));
    }
    let known: BTreeSet<String> = place.aish().names().into_iter().collect();
    let expected = (0..20)
        .map(|name| format!("shop-{name}-ci"))
        .chain((0..7).map(|name| format!("terminal-{name}")));
    assert_eq!(known, expected.collect());
}
