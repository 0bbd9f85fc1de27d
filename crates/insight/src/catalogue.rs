//! Kinds of service, as data.
//!
//! To add a kind, add one [`Kind`] to [`KINDS`]: what it is called, what marks its processes, what it is
//! asked. Nothing else needs to know of it. A mark is what the kernel vouches for (the executable), or, for
//! an interpreter, what it was told to run; a name that a process may choose freely (`argv[0]`) only supports.

use diogenes_proto::ProbeKind;

/// A sign in a process that it belongs to a service of some kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The name of the executable file (`/proc/PID/exe`).
    Executable(&'static str),
    /// One executable file under several names: the file's name, and the `comm` it was started as.
    Applet {
        /// Name of the executable file.
        executable: &'static str,
        /// The kernel's name of the process.
        comm: &'static str,
    },
    /// An interpreter other than a shell runs a script of exactly this name, as installers make them.
    Script(&'static str),
    /// An interpreter runs this module: `python3 -m http.server`.
    Module(&'static str),
    /// An interpreter's process calls itself something that begins so; it has overwritten what it was told.
    Title {
        /// The interpreter.
        interpreter: &'static str,
        /// The beginning of `argv[0]`.
        begins: &'static str,
    },
    /// The program loads this framework ([`diogenes_proto::Process::frameworks`]).
    Framework(&'static str),
}

/// How close to the user's own code a kind is: of several that fit one service, the closest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Runs anything: a service only where it listens.
    Runtime,
    /// Serves by itself, or serves an application.
    Server,
    /// What the application is written with.
    Framework,
}

/// One kind of service.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Lower-case word, stable: it is in JSON and in keys.
    pub kind: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it usually does for a container.
    pub role: &'static str,
    /// What it does where a service of role `web` lives in the same container; None: the same as ever.
    pub role_beside_web: Option<&'static str>,
    /// Which of several kinds that fit names the service.
    pub layer: Layer,
    /// What marks its processes. Any one suffices.
    pub marks: &'static [Mark],
    /// How `argv[0]` begins once the service has set it. Vouches for an executable that listens nowhere,
    /// which may be anything of that name otherwise.
    pub titles: &'static [&'static str],
    /// What it is asked.
    pub probe: ProbeKind,
    /// The port it is asked on where it listens on several; None: the lowest.
    pub default_port: Option<u16>,
    /// The path at which it tells by HTTP whether it is ready; None where it has none that all of them have.
    pub readiness: Option<&'static str>,
    /// Where in its executable's path a version follows: `/usr/lib/postgresql/15/bin/postgres`.
    pub version_after: &'static [&'static str],
}

/// What a kind is where its entry says nothing else.
const USUAL: Kind = Kind {
    kind: "",
    name: "",
    role: "web",
    role_beside_web: None,
    layer: Layer::Server,
    marks: &[],
    titles: &[],
    probe: ProbeKind::Http,
    default_port: None,
    readiness: None,
    version_after: &[],
};

/// All kinds known. Where two of one layer fit, the earlier one wins.
pub const KINDS: &[Kind] = &[
    Kind {
        kind: "redis",
        name: "Redis",
        role: "cache",
        marks: &[
            Mark::Executable("redis-server"),
            // Debian's /usr/bin/redis-server is a link to redis-check-rdb: all three are one program, which
            // looks at its own name (Redis' src/server.c, main). Seen on Debian 12, redis 7.0.15.
            Mark::Applet {
                executable: "redis-check-rdb",
                comm: "redis-server",
            },
            Mark::Applet {
                executable: "redis-check-aof",
                comm: "redis-server",
            },
        ],
        // Redis' proc-title-template: "{title} {listen-addr} {server-mode}".
        titles: &["redis-server "],
        probe: ProbeKind::Redis,
        default_port: Some(6379),
        ..USUAL
    },
    Kind {
        kind: "valkey",
        name: "Valkey",
        role: "cache",
        marks: &[
            Mark::Executable("valkey-server"),
            // As with Redis: one program under several names (Valkey's src/server.c).
            Mark::Applet {
                executable: "valkey-check-rdb",
                comm: "valkey-server",
            },
            Mark::Applet {
                executable: "valkey-check-aof",
                comm: "valkey-server",
            },
        ],
        titles: &["valkey-server "],
        probe: ProbeKind::Redis,
        default_port: Some(6379),
        ..USUAL
    },
    Kind {
        kind: "nginx",
        name: "nginx",
        role_beside_web: Some("proxy"),
        marks: &[Mark::Executable("nginx")],
        // nginx' src/os/unix/ngx_process_cycle.c.
        titles: &["nginx: master process", "nginx: worker process"],
        default_port: Some(80),
        ..USUAL
    },
    Kind {
        kind: "postgresql",
        name: "PostgreSQL",
        role: "db",
        // "postmaster" is the older name, still a link in Debian.
        marks: &[Mark::Executable("postgres"), Mark::Executable("postmaster")],
        // PostgreSQL's src/backend/utils/misc/ps_status.c: its children only, the postmaster keeps argv.
        titles: &["postgres: "],
        probe: ProbeKind::Postgresql,
        default_port: Some(5432),
        // Debian and the official image; Red Hat's packages from postgresql.org.
        version_after: &["/usr/lib/postgresql/", "/usr/pgsql-"],
        ..USUAL
    },
    Kind {
        kind: "fastapi",
        name: "FastAPI",
        layer: Layer::Framework,
        // "fastapi run" is the framework's own command (fastapi-cli).
        marks: &[Mark::Framework("fastapi"), Mark::Script("fastapi")],
        ..USUAL
    },
    Kind {
        kind: "django",
        name: "Django",
        layer: Layer::Framework,
        marks: &[Mark::Framework("django")],
        ..USUAL
    },
    Kind {
        kind: "flask",
        name: "Flask",
        layer: Layer::Framework,
        // "flask run" is the framework's own command.
        marks: &[
            Mark::Framework("flask"),
            Mark::Script("flask"),
            Mark::Module("flask"),
        ],
        ..USUAL
    },
    // After FastAPI, which is built upon it.
    Kind {
        kind: "starlette",
        name: "Starlette",
        layer: Layer::Framework,
        marks: &[Mark::Framework("starlette")],
        ..USUAL
    },
    Kind {
        kind: "express",
        name: "Express",
        layer: Layer::Framework,
        marks: &[Mark::Framework("express")],
        ..USUAL
    },
    Kind {
        kind: "gunicorn",
        name: "Gunicorn",
        marks: &[
            Mark::Script("gunicorn"),
            Mark::Module("gunicorn"),
            Mark::Module("gunicorn.app.wsgiapp"),
            // gunicorn/util.py, _setproctitle: where the setproctitle module is installed.
            Mark::Title {
                interpreter: "python",
                begins: "gunicorn: master [",
            },
            Mark::Title {
                interpreter: "python",
                begins: "gunicorn: worker [",
            },
        ],
        default_port: Some(8000),
        ..USUAL
    },
    Kind {
        kind: "uvicorn",
        name: "Uvicorn",
        marks: &[Mark::Script("uvicorn"), Mark::Module("uvicorn")],
        default_port: Some(8000),
        ..USUAL
    },
    Kind {
        kind: "http.server",
        name: "Python http.server",
        // The Python Standard Library, http.server, "Command-line interface".
        marks: &[Mark::Module("http.server")],
        default_port: Some(8000),
        ..USUAL
    },
    Kind {
        kind: "node",
        name: "Node.js",
        layer: Layer::Runtime,
        // "nodejs" is Debian's older name of it.
        marks: &[Mark::Executable("node"), Mark::Executable("nodejs")],
        // Where nvm keeps its versions: ~/.nvm/versions/node/v20.11.0/bin/node.
        version_after: &["/versions/node/v"],
        ..USUAL
    },
];

/// The kind of this word; None where it is not in the catalogue.
#[must_use]
pub fn find(kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|entry| entry.kind == kind)
}

impl Kind {
    /// The version in an executable's path; None where the path has none.
    #[must_use]
    pub fn version_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.version_after.iter().find_map(|before| {
            let (_, after) = path.split_once(before)?;
            let version = after.split('/').next()?;
            let plain = version.len() <= 24
                && version.starts_with(|c: char| c.is_ascii_digit())
                && version
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
            plain.then_some(version)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_is_whole() {
        let mut words = BTreeSet::new();
        for kind in KINDS {
            assert!(words.insert(kind.kind), "{} stands twice", kind.kind);
            assert!(!kind.kind.is_empty() && kind.kind == kind.kind.to_lowercase());
            assert!(!kind.name.is_empty() && !kind.role.is_empty());
            assert!(!kind.marks.is_empty(), "nothing marks {}", kind.kind);
        }
    }

    #[test]
    fn no_mark_is_claimed_twice() {
        let marks: Vec<_> = KINDS.iter().flat_map(|kind| kind.marks).collect();
        for (index, mark) in marks.iter().enumerate() {
            assert!(!marks[..index].contains(mark), "{mark:?}");
        }
    }

    #[test]
    fn versions_in_paths() {
        for (kind, path, version) in [
            (
                "postgresql",
                "/usr/lib/postgresql/15/bin/postgres",
                Some("15"),
            ),
            ("postgresql", "/usr/pgsql-16/bin/postgres", Some("16")),
            ("postgresql", "/usr/lib/postgresql/../bin/postgres", None),
            ("postgresql", "/usr/local/bin/postgres", None),
            (
                "node",
                "/root/.nvm/versions/node/v20.11.0/bin/node",
                Some("20.11.0"),
            ),
        ] {
            assert_eq!(find(kind).unwrap().version_in(path), version, "{path}");
        }
    }
}
