//! What tini and dumb-init do by their READMEs and test suites, tried on Debian's packages of both and on ours, side by
//! side: one table, each cell as it was seen.
//!
//! Theirs are run first of all so that a red cell means something: a script that fails with them is wrong itself.

use std::path::PathBuf;

use diogenes_testkit::{Container, base_image, debian_package, dist, docker};

/// Where a container has the init under test.
const INIT: &str = "/init";

/// The three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Tini,
    DumbInit,
    Ours,
}

use Peer::{DumbInit, Ours, Tini};

impl Peer {
    const ALL: [Self; 3] = [Tini, DumbInit, Ours];

    /// Its program on this machine.
    #[track_caller]
    fn program(self) -> PathBuf {
        match self {
            Tini => debian_package("tini").join("usr/bin/tini"),
            DumbInit => debian_package("dumb-init").join("usr/bin/dumb-init"),
            Ours => dist("diogenes-agent"),
        }
    }

    /// The words of a shell that start it, with these options of its own.
    fn command(self, options: [&str; 3]) -> String {
        let options = options[self as usize];
        match self {
            Tini | DumbInit => format!("{INIT} {options} --"),
            Ours => format!("{INIT} init {options} --"),
        }
    }
}

/// How a behaviour is tried.
enum Trial {
    /// The application, a script, below the init as the first process. What is seen is the logs and the exit code.
    First(&'static str),
    /// The first process is a shell with this script, in which `$INIT` starts an init as another process.
    Other(&'static str),
}

use Trial::{First, Other};

/// A behaviour, who describes it, and what each of the three was seen to do.
struct Row {
    behaviour: &'static str,
    /// Options of each that ask for the behaviour; empty where it is the default or cannot be asked for.
    options: [&'static str; 3],
    trial: Trial,
    seen: [&'static str; 3],
}

const PLAIN: [&str; 3] = ["", "", ""];

/// Where all three do the same.
const fn all(outcome: &'static str) -> [&'static str; 3] {
    [outcome, outcome, outcome]
}

const TABLE: &[Row] = &[
    Row {
        behaviour: "the exit code is the application's",
        options: PLAIN,
        trial: First("exit 42"),
        seen: all("exit 42"),
    },
    Row {
        behaviour: "an end by a signal is 128 and its number",
        options: PLAIN,
        trial: First("kill -KILL $$"),
        seen: all("exit 137"),
    },
    Row {
        behaviour: "a program that is not there",
        options: PLAIN,
        trial: Other("$INIT nowhere 2>/dev/null"),
        seen: ["exit 127", "exit 2", "exit 127"],
    },
    Row {
        behaviour: "a program that cannot be executed",
        options: PLAIN,
        trial: Other("$INIT /etc/passwd 2>/dev/null"),
        seen: ["exit 126", "exit 2", "exit 126"],
    },
    Row {
        behaviour: "a script that names no interpreter is the shell's",
        options: PLAIN,
        trial: Other("echo 'echo $0 $*' > /tmp/script; chmod +x /tmp/script; $INIT /tmp/script a b"),
        seen: all("/tmp/script a b, exit 0"),
    },
    Row {
        behaviour: "signals are passed on, all that can be caught",
        options: PLAIN,
        trial: First(
            "exec python3 -c \"
import os, signal, subprocess, time
lost = signal.valid_signals() - {9, 17, 19}
for s in list(lost): signal.signal(s, lambda s, _: lost.discard(s))
order = sorted(lost - {18}) + [18]
send = 'for s in %s; do kill -\\$s 1; sleep 0.02; done' % ' '.join(map(str, order))
subprocess.Popen(['sh', '-c', send], start_new_session=True)
end = time.time() + 4
while lost and time.time() < end: time.sleep(0.01)
print('lost', *sorted(lost))\"",
        ),
        seen: [
            "lost 4 5 6 7 8 11 21 22 31, exit 0",
            "lost 20 21 22, exit 0",
            "lost, exit 0",
        ],
    },
    Row {
        behaviour: "orphans are reaped",
        options: PLAIN,
        trial: First(
            "i=0; while [ $i -lt 200 ]; do (true &); i=$((i+1)); done; sleep 0.5
             cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '",
        ),
        seen: all("0, exit 1"),
    },
    Row {
        behaviour: "as another process than the first it can adopt orphans",
        options: ["-s", "", ""],
        trial: Other(
            "$INIT sh -c 'init=$PPID; (sh -c \"sleep 0.3; read -r _ _ _ by _ < /proc/\\$\\$/stat
             [ \\$by = $init ] && echo adopted || echo not\" &); sleep 1'",
        ),
        seen: ["adopted, exit 0", "not, exit 0", "adopted, exit 0"],
    },
    Row {
        behaviour: "the group option: a signal is for the application's children too",
        options: ["-g", "", "-g"],
        trial: First(
            "sh -c 'trap \"echo child; exit\" TERM; while :; do sleep 0.01; done' &
             trap 'wait; echo parent; exit 4' TERM; (sleep 0.5; kill -TERM 1) & while :; do sleep 0.01; done",
        ),
        seen: all("child, parent, exit 4"),
    },
    Row {
        behaviour: "without it the signal is for the application alone",
        options: ["", "-c", ""],
        trial: First(
            "sh -c 'trap \"echo child; exit\" TERM; while :; do sleep 0.01; done' &
             trap 'sleep 0.2; echo parent; exit 4' TERM; (sleep 0.5; kill -TERM 1) & while :; do sleep 0.01; done",
        ),
        seen: all("parent, exit 4"),
    },
    Row {
        behaviour: "what is left of the group is told to end when the application has",
        options: ["-g", "", "-g"],
        trial: Other(
            "$INIT sh -c 'sh -c \"trap \\\"echo told; exit\\\" TERM; while :; do sleep 0.01; done\" & sleep 0.5'
             sleep 0.3",
        ),
        seen: ["exit 0", "told, exit 0", "told, exit 0"],
    },
    Row {
        behaviour: "a signal can be rewritten",
        options: ["", "-c -r 15:3", "-r 15:3"],
        trial: First(
            "trap 'echo quit; exit' QUIT; trap 'echo term; exit' TERM; (sleep 0.3; kill -TERM 1) &
             while :; do sleep 0.01; done",
        ),
        seen: ["term, exit 0", "quit, exit 0", "quit, exit 0"],
    },
    Row {
        behaviour: "an exit code can be forgiven",
        options: ["-e 143", "", "-e 143"],
        trial: First("kill -TERM $$"),
        seen: ["exit 0", "exit 143", "exit 0"],
    },
    Row {
        behaviour: "the end of its parent can be a signal",
        options: ["-p SIGTERM", "", "-p 15"],
        trial: Other(
            "sh -c \"$INIT sh -c 'trap \\\"echo told; exit\\\" TERM; while :; do sleep 0.01; done' & exec sleep 0.3\"
             sleep 0.5",
        ),
        seen: ["told, exit 0", "exit 0", "told, exit 0"],
    },
    Row {
        behaviour: "what is done about signals is as it was found",
        options: PLAIN,
        trial: Other(
            "trap '' PIPE HUP; show='grep -E SigBlk|SigIgn /proc/self/status'
             [ \"$($show)\" = \"$($INIT $show)\" ] && echo the same || echo another",
        ),
        seen: ["the same, exit 0", "another, exit 0", "the same, exit 0"],
    },
    Row {
        behaviour: "an ignored SIGCHLD does not cost the exit code",
        options: PLAIN,
        trial: Other(
            "timeout -k 1 2 python3 -c \"
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
words = sys.argv[1].split() + ['sh', '-c', 'exit 42']
os.execv(words[0], words)\" \"$INIT\"",
        ),
        seen: ["exit 137", "exit 42", "exit 42"],
    },
    Row {
        behaviour: "stopped by job control, both stop; continued, both continue",
        options: PLAIN,
        trial: Other(
            "$INIT sh -c 'echo $$ > /tmp/pid; exec sleep 1000' & init=$!; sleep 0.3; read pid < /tmp/pid
             state() { for p in $init $pid; do read -r _ _ s _ < /proc/$p/stat; printf $s; done; echo; }
             state; kill -TSTP $init; sleep 0.2; state; kill -CONT $init; sleep 0.2; state; kill $init",
        ),
        seen: ["SS, ST, SS, exit 0", "SS, TT, SS, exit 0", "SS, TT, SS, exit 0"],
    },
    Row {
        behaviour: "the working directory is the application's alone",
        options: PLAIN,
        trial: Other("cd /tmp; $INIT sh -c 'sleep 0.1; pwd; readlink /proc/$PPID/cwd'"),
        seen: ["/tmp, /tmp, exit 0", "/tmp, /, exit 0", "/tmp, /, exit 0"],
    },
    Row {
        behaviour: "environment, arguments and descriptors are untouched",
        options: PLAIN,
        trial: Other(
            "exec 7</etc/passwd; echo in | A='b c' $INIT sh -c 'echo \"$A\" \"$1\"; cat; echo $(ls /proc/self/fd)' x 'y  z'",
        ),
        seen: all("b c y  z, in, 0 1 2 3 7, exit 0"),
    },
    Row {
        behaviour: "on a terminal the application is in the foreground",
        options: PLAIN,
        trial: First("exec python3 -c 'import os; print(os.tcgetpgrp(0) == os.getpgrp(), os.isatty(0))'"),
        seen: all("True True, exit 0"),
    },
];

/// What tini says when it is not the first process, and a shell of a child that a signal ended.
const NOISE: &[&str] = &[
    "[WARN  tini",
    "to Tini,",
    "TINI_SUBREAPER",
    "Terminated",
    "Killed",
];

/// Runs a row's trial and tells what was seen: the lines of the logs and the exit code.
#[track_caller]
fn see(init: Peer, row: &Row) -> String {
    let command = init.command(row.options);
    let container = Container::of(base_image())
        .option(format!("--volume={}:{INIT}:ro", init.program().display()))
        .env("INIT", &command);
    let container = match row.trial {
        First(script) => {
            let container = if row.behaviour.contains("terminal") {
                container.option("--tty")
            } else {
                container
            };
            container
                .entrypoint(INIT)
                .args(command.split_whitespace().skip(1))
                .args(["sh", "-c", script])
                .run()
        }
        Other(script) => {
            let script = format!("{script}\nexit $?");
            container.entrypoint("sh").args(["-c", &script]).run()
        }
    };
    let code = docker(&["wait", container.id()]);
    let mut seen: Vec<_> = container
        .logs()
        .lines()
        .filter(|line| !NOISE.iter().any(|noise| line.contains(noise)))
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    seen.push(format!("exit {code}"));
    seen.join(", ")
}

#[test]
fn side_by_side_with_tini_and_dumb_init() {
    let mut wrong = String::new();
    for init in Peer::ALL {
        init.program();
    }
    for row in TABLE {
        let seen = std::thread::scope(|scope| {
            Peer::ALL
                .map(|init| scope.spawn(move || see(init, row)))
                .map(|thread| thread.join().expect("no panic"))
        });
        println!("{}", row.behaviour);
        for init in Peer::ALL {
            let (seen, stated) = (&seen[init as usize], row.seen[init as usize]);
            println!("    {:<10} {seen}", format!("{init:?}"));
            if seen != stated {
                wrong += &format!(
                    "{}: {init:?}\n  is said {stated}\n  was seen {seen}\n",
                    row.behaviour
                );
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
