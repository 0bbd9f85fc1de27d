//! Log files of the running system: the test's own, for the test is the process that writes them.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use diogenes_discovery::logs::{Found, Part, Writer, find};
use diogenes_proto::{LogFile, LogPosition};
use proptest::prelude::*;
use tempfile::TempDir;

/// A folder for one test; others of the same process have theirs.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path)
}

fn open(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

fn own() -> Writer {
    Writer {
        pid: std::process::id(),
        service: Some("test".into()),
    }
}

/// What is found below a folder.
fn found_in(folder: &Path, writers: &[Writer]) -> Vec<Found> {
    let is_below = |file: &Found| Path::new(file.unread().path.as_raw()).starts_with(folder);
    find(writers)
        .unwrap()
        .into_iter()
        .filter(is_below)
        .collect()
}

/// The names of the files that are found below a folder, in alphabetical order.
fn names_in(folder: &Path) -> Vec<String> {
    let name = |file: &Found| {
        let path = file.unread().path.as_raw().to_owned();
        path.rsplit('/').next().unwrap().to_owned()
    };
    let mut names: Vec<_> = found_in(folder, &[own()]).iter().map(name).collect();
    names.sort();
    names
}

/// The part of each log file below a folder.
fn read_in(folder: &Path, part: &Part) -> Vec<LogFile> {
    let found = found_in(folder, &[own()]);
    found.iter().filter_map(|file| file.read(part)).collect()
}

/// The only log file below a folder.
fn read(folder: &Path, part: &Part) -> LogFile {
    let mut files = read_in(folder, part);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn lines(file: &LogFile) -> Vec<&str> {
    file.lines.iter().map(|line| line.as_raw()).collect()
}

fn since(file: &LogFile) -> Part {
    Part::Since(vec![file.position.unwrap()])
}

#[test]
fn finds_what_is_written_like_a_log_or_named_so() {
    let (_folder, path) = folder();
    let write = |name: &str| {
        fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
        File::create(path.join(name)).unwrap()
    };
    let append = |name: &str| open(&path.join(name));
    let held = [
        append("appended"),
        append("dump.aof"),
        append("state.db"),
        write("app.log"),
        write("app.LOG.1"),
        write("app.err"),
        write("nohup.out"),
        write("access_log"),
        write("logs/today"),
        write("pg_wal/000000010000000000000001"),
        write("data"),
        write("table.log-journal"),
    ];
    let _read_only = File::open(path.join("app.log")).unwrap();
    fs::write(path.join("read.log"), "x").unwrap();
    let _other = File::open(path.join("read.log")).unwrap();
    assert_eq!(
        names_in(&path),
        [
            "access_log",
            "app.LOG.1",
            "app.err",
            "app.log",
            "appended",
            "nohup.out",
            "today"
        ]
    );
    drop(held);
    assert!(names_in(&path).is_empty());
}

#[test]
fn output_that_was_sent_to_a_file_is_a_log_and_told_once() {
    let (_folder, path) = folder();
    let file = File::create(path.join("anything")).unwrap();
    let mut command = Command::new("sleep");
    command.arg("60").stdin(Stdio::null());
    command.stdout(file.try_clone().unwrap()).stderr(file);
    let mut children = [command.spawn().unwrap(), command.spawn().unwrap()];
    let writers: Vec<_> = children
        .iter()
        .map(|child| Writer {
            pid: child.id(),
            service: None,
        })
        .collect();
    let found = found_in(&path, &writers);
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].unread().pid, children[0].id());
    assert_eq!(found[0].unread().service, None);
    assert_eq!(
        found[0].read(&Part::Last(1)),
        None,
        "its writer has gone since"
    );
}

#[test]
fn tells_the_last_lines_and_where_to_go_on() {
    let (_folder, path) = folder();
    let mut log = open(&path.join("a.log"));
    log.write_all(b"one\ntwo\r\n\nfo\xffur\nfi").unwrap();
    let file = read(&path, &Part::Last(3));
    assert_eq!(file.service.as_deref(), Some("test"));
    assert_eq!(file.pid, std::process::id());
    assert_eq!(lines(&file), ["two", "", "fo\u{fffd}ur"]);
    assert_eq!(file.unfinished.as_ref().unwrap().as_raw(), "fi");
    assert!(!file.omitted && !file.restarted && file.failure.is_none());
    assert_eq!(file.position.unwrap().offset, 16);

    log.write_all(b"ve\nsix\n").unwrap();
    let file = read(&path, &since(&file));
    assert_eq!(
        (lines(&file), &file.unfinished),
        (vec!["five", "six"], &None)
    );
    assert!(!file.omitted && !file.restarted);
    let file = read(&path, &since(&file));
    assert!(file.lines.is_empty() && !file.restarted);

    let whole = read(&path, &Part::Last(100));
    assert_eq!(whole.lines.len(), 6);
    assert!(!whole.omitted, "there were no more");
    let nothing = read(&path, &Part::Last(0));
    assert!(nothing.lines.is_empty() && nothing.unfinished.is_none());
    assert_eq!(nothing.position, file.position);
}

#[test]
fn follows_a_rotated_and_a_truncated_file() {
    let (_folder, path) = folder();
    let mut log = open(&path.join("a.log"));
    log.write_all(b"old\n").unwrap();
    let first = read(&path, &Part::Last(10));

    fs::rename(path.join("a.log"), path.join("a.log.1")).unwrap();
    log.write_all(b"last\n").unwrap();
    let mut new = open(&path.join("a.log"));
    new.write_all(b"fresh\n").unwrap();
    let mut files = read_in(&path, &since(&first));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let told: Vec<_> = files
        .iter()
        .map(|file| (lines(file), file.restarted))
        .collect();
    assert_eq!(told, [(vec!["fresh"], true), (vec!["last"], false)]);
    drop(log);

    let fresh = read(&path, &since(&files[0]));
    assert!(fresh.lines.is_empty() && !fresh.restarted);
    new.set_len(0).unwrap();
    new.write_all(b"a\n").unwrap();
    let truncated = read(&path, &since(&fresh));
    assert_eq!((lines(&truncated), truncated.restarted), (vec!["a"], true));

    // A program that is not told of the rotation goes on writing to a file without a name.
    fs::remove_file(path.join("a.log")).unwrap();
    new.write_all(b"b\n").unwrap();
    let removed = read(&path, &since(&truncated));
    assert_eq!(lines(&removed), ["b"]);
    assert!(removed.path.as_raw().ends_with("a.log (deleted)"));
    assert!(read(&path, &Part::Since(Vec::new())).restarted);
}

#[test]
fn a_file_truncated_under_a_writer_who_does_not_append_has_a_hole() {
    let (_folder, path) = folder();
    let mut log = File::create(path.join("a.log")).unwrap();
    log.write_all(&b"x".repeat(5000)).unwrap();
    log.set_len(0).unwrap();
    log.write_all(b"after\n").unwrap();
    assert_eq!(log.stream_position().unwrap(), 5006);
    assert_eq!(lines(&read(&path, &Part::Last(10))), ["after"]);
}

#[test]
fn hides_secrets_even_where_a_line_is_cut() {
    let (_folder, path) = folder();
    let mut log = open(&path.join("a.log"));
    let padding = "x".repeat(100_000);
    write!(
        log,
        "{padding} password=hunter2\nDATABASE_URL=postgres://bob:hunter2@db/shop\n"
    )
    .unwrap();
    write!(log, "login with password=hun").unwrap();
    let file = read(&path, &Part::Last(10));
    assert_eq!(
        lines(&file),
        ["DATABASE_URL=postgres://bob:[redacted]@db/shop"]
    );
    assert!(file.omitted, "the first line begins before what was read");
    assert!(!file.unfinished.as_ref().unwrap().as_raw().contains("hun"));
    writeln!(log, "ter2").unwrap();
    let file = read(&path, &since(&file));
    assert_eq!(lines(&file), ["login with password=[redacted]"]);
}

#[test]
fn a_line_without_end_is_told_by_its_beginning_and_not_waited_for() {
    let (_folder, path) = folder();
    let mut log = open(&path.join("a.log"));
    log.write_all(b"start\n").unwrap();
    let mut file = read(&path, &Part::Last(10));
    log.write_all(&b"y".repeat(20_000)).unwrap();
    file = read(&path, &since(&file));
    assert_eq!(file.lines.len(), 1);
    assert!(file.lines[0].as_raw().len() <= 4096 && file.lines[0].as_raw().ends_with('…'));
    // Its other parts are not told, for nobody knows what they belong to.
    for _ in 0..20 {
        log.write_all(&b"y".repeat(20_000)).unwrap();
        file = read(&path, &since(&file));
        assert!(file.lines.is_empty() && file.unfinished.is_none());
    }
    log.write_all(b"\nnext\n").unwrap();
    file = read(&path, &since(&file));
    assert_eq!(lines(&file), ["next"]);
}

#[test]
fn of_too_much_the_last_is_told() {
    let (_folder, path) = folder();
    let mut log = open(&path.join("a.log"));
    let before = read(&path, &Part::Last(5));
    for number in 0..20_000 {
        writeln!(log, "line {number}").unwrap();
    }
    for part in [since(&before), Part::Last(20_000)] {
        let file = read(&path, &part);
        assert!(file.omitted && !file.restarted);
        assert_eq!(lines(&file).last(), Some(&"line 19999"));
        let first: usize = lines(&file)[0]
            .strip_prefix("line ")
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(
            file.lines.len(),
            20_000 - first,
            "none is missing in between"
        );
        assert!(file.lines.len() > 5000);
    }
    let all = read(&path, &Part::Last(100));
    assert!(!all.omitted && all.lines.len() == 100);
}

#[test]
fn what_is_no_text_is_no_log() {
    let (_folder, path) = folder();
    let log = File::create(path.join("000003.log")).unwrap();
    log.write_all_at(&[7, 0, 0, 0, b'k', b'\n', 0, 0], 0)
        .unwrap();
    assert!(read_in(&path, &Part::Last(10)).is_empty());
    // A byte that somebody sent does not hide a log.
    log.set_len(0).unwrap();
    log.write_all_at(b"GET /\0 HTTP/1.1 from 10.0.0.7 refused\n", 0)
        .unwrap();
    assert_eq!(lines(&read(&path, &Part::Last(10))).len(), 1);
}

#[test]
fn never_hangs_on_what_only_looks_like_a_log() {
    let (_folder, path) = folder();
    let begun = Instant::now();
    let fifo = path.join("fifo.log");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let _fifo = File::options().read(true).append(true).open(&fifo).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path.join("socket.log")).unwrap();
    assert!(read_in(&path, &Part::Last(10)).is_empty());

    // The descriptor that was found may stand for something else when it is read.
    let log = open(&path.join("real.log"));
    let found = found_in(&path, &[own()]);
    let real = found
        .iter()
        .find(|file| file.unread().path.as_raw().ends_with("real.log"))
        .unwrap();
    assert!(real.read(&Part::Last(10)).is_some());
    let status = File::options().write(true).open("/proc/self/comm").unwrap();
    let mut log = std::os::fd::OwnedFd::from(log);
    rustix::io::dup2(&status, &mut log).unwrap();
    assert_eq!(real.read(&Part::Last(10)), None);
    drop(log);
    assert_eq!(real.read(&Part::Last(10)), None);
    assert!(begun.elapsed().as_secs() < 2);
}

#[test]
fn a_sparse_giant_is_read_at_its_end() {
    let (_folder, path) = folder();
    let log = open(&path.join("a.log"));
    log.set_len(1 << 40).unwrap();
    let mut appended = &log;
    appended.write_all(b"\nend\n").unwrap();
    let file = read(&path, &Part::Last(2));
    assert_eq!(lines(&file), ["end"]);
    assert!(file.omitted);
    assert_eq!(file.position.unwrap().offset, (1 << 40) + 5);
    let beyond = LogPosition {
        offset: u64::MAX,
        ..file.position.unwrap()
    };
    assert!(read(&path, &Part::Since(vec![beyond])).restarted);
}

#[test]
fn the_log_of_another_user_is_read_where_privilege_allows() {
    let (_folder, path) = folder();
    let mut log = File::options()
        .create_new(true)
        .append(true)
        .mode(0o000)
        .open(path.join("a.log"))
        .unwrap();
    writeln!(log, "mine").unwrap();
    let file = read(&path, &Part::Last(1));
    if rustix::process::geteuid().is_root() {
        assert_eq!(lines(&file), ["mine"]);
    } else {
        let failure = file.failure.unwrap().to_string();
        assert!(failure.starts_with("cannot be read: "), "{failure}");
        assert_eq!(file.position, None);
    }
}

#[test]
fn a_process_that_is_gone_has_no_logs() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let gone = Writer {
        pid: child.id(),
        service: None,
    };
    assert_eq!(find(&[gone]), Ok(Vec::new()));
}

#[test]
fn the_files_are_bounded_in_number() {
    let (_folder, path) = folder();
    let held: Vec<_> = (0..500)
        .map(|number| open(&path.join(format!("{number}.log"))))
        .collect();
    let found = find(&[own()]).unwrap();
    assert_eq!(found.len(), 256);
    drop(held);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However a program writes, and whenever it is looked at, each line is told once and whole.
    #[test]
    fn who_follows_gets_every_line_once(pieces in proptest::collection::vec("[xy\n]{0,12}", 0..12)) {
        let (_folder, path) = folder();
        let mut log = open(&path.join("a.log"));
        let mut told = Vec::new();
        let mut last = read(&path, &Part::Last(0));
        for piece in &pieces {
            log.write_all(piece.as_bytes()).unwrap();
            last = read(&path, &since(&last));
            prop_assert!(!last.omitted && !last.restarted);
            told.extend(last.lines.iter().map(|line| line.as_raw().to_owned()));
        }
        let all = pieces.concat();
        let (whole, rest) = all.rsplit_once('\n').map_or((None, all.as_str()), |(whole, rest)| (Some(whole), rest));
        let expected: Vec<_> = whole.into_iter().flat_map(|whole| whole.split('\n')).collect();
        prop_assert_eq!(told, expected);
        let unfinished = last.unfinished.as_ref().map_or("", |rest| rest.as_raw());
        prop_assert_eq!(unfinished, rest);
    }
}
