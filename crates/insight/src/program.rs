//! What a process runs: its executable, and for an interpreter the script or module it was told to run.
//!
//! The executable comes from the kernel. Where it cannot be read, the kernel's name of the process and
//! `argv[0]` must agree; either alone proves nothing.

use diogenes_proto::Process;

/// What an interpreter was told to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs<'a> {
    /// A file, by its path.
    Script(&'a str),
    /// A module by name (`python3 -m`), or a Java class.
    Module(&'a str),
    /// Code on the command line, or nothing that could be read.
    Unnamed,
}

/// The program of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program<'a> {
    /// Name of the executable file.
    pub(crate) executable: &'a str,
    /// The interpreter it is, and what it runs; None for a program of its own.
    pub(crate) interpreted: Option<(&'static str, Runs<'a>)>,
}

/// How an interpreter's options look.
struct Interpreter {
    /// Name without the version.
    name: &'static str,
    /// Short options that take a value, in the same argument or the next.
    values: &'static str,
    /// Long options, or short ones of several letters, whose value is the next argument.
    long_values: &'static [&'static str],
    /// The short option that names a module.
    module: Option<char>,
    /// The short option that is followed by code.
    code: Option<char>,
}

const PLAIN: Interpreter = Interpreter {
    name: "",
    values: "",
    long_values: &[],
    module: None,
    code: None,
};

/// Sources: the manual page of each.
const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        name: "python",
        values: "WX",
        long_values: &["--check-hash-based-pycs"],
        module: Some('m'),
        code: Some('c'),
    },
    Interpreter {
        name: "pypy",
        values: "WX",
        module: Some('m'),
        code: Some('c'),
        ..PLAIN
    },
    Interpreter {
        name: "node",
        values: "rC",
        long_values: &[
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "--env-file",
        ],
        code: Some('e'),
        ..PLAIN
    },
    Interpreter {
        name: "nodejs",
        values: "rC",
        code: Some('e'),
        ..PLAIN
    },
    Interpreter {
        name: "ruby",
        values: "IrCEK",
        code: Some('e'),
        ..PLAIN
    },
    Interpreter {
        name: "perl",
        values: "IMm",
        code: Some('e'),
        ..PLAIN
    },
    Interpreter {
        name: "php",
        values: "cdz",
        code: Some('r'),
        ..PLAIN
    },
    Interpreter {
        name: "java",
        long_values: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--add-modules",
        ],
        ..PLAIN
    },
    Interpreter {
        name: "sh",
        code: Some('c'),
        values: "oO",
        ..PLAIN
    },
    Interpreter {
        name: "bash",
        code: Some('c'),
        values: "oO",
        long_values: &["--rcfile", "--init-file"],
        ..PLAIN
    },
    Interpreter {
        name: "dash",
        code: Some('c'),
        values: "o",
        ..PLAIN
    },
    Interpreter {
        name: "ash",
        code: Some('c'),
        values: "o",
        ..PLAIN
    },
    Interpreter {
        name: "busybox",
        code: None,
        ..PLAIN
    },
];

/// The file name of a path.
pub(crate) fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn interpreter(executable: &str) -> Option<&'static Interpreter> {
    // python3.11, php8.2, ruby3.1: the name and a version.
    INTERPRETERS.iter().find(|interpreter| {
        executable
            .strip_prefix(interpreter.name)
            .is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
    })
}

impl<'a> Program<'a> {
    /// What this process runs; None where that cannot be told.
    pub(crate) fn of(process: &'a Process) -> Option<Self> {
        let executable = executable(process)?;
        let arguments = process.command.get(1..).unwrap_or_default();
        let arguments = arguments.iter().map(|argument| argument.as_raw());
        let interpreted = interpreter(executable).map(|i| (i.name, i.runs(arguments)));
        Some(Self {
            executable,
            interpreted,
        })
    }

    /// The name a person would give the process: the script's or module's, else the executable's.
    pub(crate) fn name(&self) -> &'a str {
        match self.interpreted {
            Some((_, Runs::Script(path))) => basename(path),
            Some((_, Runs::Module(module))) => module,
            _ => self.executable,
        }
    }

    /// Whether a script of this name is run.
    pub(crate) fn is_script(&self, name: &str) -> bool {
        match self.interpreted {
            // A shell script called like a server starts it at best; it is not the server.
            Some(("sh" | "bash" | "dash" | "ash" | "busybox", _)) => false,
            Some((_, Runs::Script(path))) => basename(path) == name,
            _ => false,
        }
    }

    /// Whether this module is run.
    pub(crate) fn is_module(&self, name: &str) -> bool {
        matches!(self.interpreted, Some((_, Runs::Module(module))) if module == name)
    }
}

/// The name of what a process executes.
fn executable(process: &Process) -> Option<&str> {
    if let Some(path) = &process.executable {
        // proc(5): a file that was unlinked meanwhile, as by an upgrade.
        let path = path.as_raw();
        return Some(basename(path.strip_suffix(" (deleted)").unwrap_or(path)));
    }
    let said = process.command.first()?.as_raw();
    // "nginx: master process /usr/sbin/nginx" is a title; a path has no such ending in its first word.
    let first = basename(said.split([' ', ':']).next().unwrap_or_default());
    let comm = process.name.as_raw();
    let agrees = first == comm || (comm.len() == 15 && first.starts_with(comm));
    (agrees && !first.is_empty() || interpreter(first).is_some()).then_some(first)
}

impl Interpreter {
    /// Finds what is run behind the options.
    fn runs<'a>(&self, mut arguments: impl Iterator<Item = &'a str>) -> Runs<'a> {
        while let Some(argument) = arguments.next() {
            if self.long_values.contains(&argument) {
                arguments.next();
            } else if argument == "--" || self.name == "java" && argument == "-jar" {
                return arguments.next().map_or(Runs::Unnamed, Runs::Script);
            } else if argument.starts_with("--") || self.name == "java" && argument.starts_with('-')
            {
            } else if let Some(letters) = argument.strip_prefix('-').filter(|l| !l.is_empty()) {
                for (at, letter) in letters.char_indices() {
                    let rest = &letters[at + letter.len_utf8()..];
                    if Some(letter) == self.module {
                        let module = if rest.is_empty() {
                            arguments.next()
                        } else {
                            Some(rest)
                        };
                        return module.map_or(Runs::Unnamed, Runs::Module);
                    }
                    if Some(letter) == self.code {
                        return Runs::Unnamed;
                    }
                    if self.values.contains(letter) {
                        if rest.is_empty() {
                            arguments.next();
                        }
                        break;
                    }
                }
            } else if argument.is_empty() || argument == "-" {
                return Runs::Unnamed;
            } else if self.name == "java" {
                return Runs::Module(argument);
            } else {
                return Runs::Script(argument);
            }
        }
        Runs::Unnamed
    }
}

/// The application that a Python server was told to serve: `main:app`, `shop.wsgi:application`.
pub(crate) fn application(process: &Process) -> Option<&str> {
    process
        .command
        .iter()
        .skip(1)
        .map(|argument| argument.as_raw())
        .find(|argument| is_application(argument))
}

fn is_application(argument: &str) -> bool {
    let Some((module, attribute)) = argument.split_once(':') else {
        return false;
    };
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    argument.len() <= 100
        && module.split('.').all(is_name)
        && attribute.trim_end_matches("()").split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(executable: Option<&str>, comm: &str, command: &[&str]) -> Process {
        Process {
            executable: executable.map(Into::into),
            name: comm.into(),
            command: command.iter().map(|&a| a.into()).collect(),
            ..Process::default()
        }
    }

    #[test]
    fn names_what_runs() {
        for (executable, command, name) in [
            ("/usr/sbin/nginx", &["nginx: master process"][..], "nginx"),
            ("/usr/sbin/nginx (deleted)", &["nginx"], "nginx"),
            (
                "/usr/bin/python3.11",
                &["python3", "-u", "/srv/server.py", "80"],
                "server.py",
            ),
            (
                "/usr/bin/python3.11",
                &["python3", "-m", "http.server", "80"],
                "http.server",
            ),
            (
                "/usr/bin/python3.11",
                &["python3", "-um", "uvicorn", "main:app"],
                "uvicorn",
            ),
            ("/usr/bin/python3.11", &["python3", "-muvicorn"], "uvicorn"),
            (
                "/usr/bin/python3.11",
                &["python3", "-X", "dev", "-Wignore", "a.py"],
                "a.py",
            ),
            (
                "/usr/bin/python3.11",
                &["python3", "-c", "import x"],
                "python3.11",
            ),
            ("/usr/bin/python3.11", &["python3"], "python3.11"),
            (
                "/usr/bin/node",
                &["node", "-r", "dotenv/config", "--inspect", "app.js"],
                "app.js",
            ),
            (
                "/usr/bin/java",
                &["java", "-Xmx1g", "-jar", "/opt/shop.jar"],
                "shop.jar",
            ),
            (
                "/usr/bin/java",
                &["java", "-cp", "a:b", "org.example.Main"],
                "org.example.Main",
            ),
            (
                "/usr/bin/dash",
                &["/bin/sh", "/usr/local/bin/nginx"],
                "nginx",
            ),
            ("/usr/bin/bash", &["bash", "-c", "nginx"], "bash"),
            ("/opt/shop/bin/shopd", &["shopd", "--port", "80"], "shopd"),
        ] {
            let process = process(Some(executable), "x", command);
            assert_eq!(Program::of(&process).unwrap().name(), name, "{command:?}");
        }
    }

    #[test]
    fn without_the_executable_two_names_must_agree() {
        for (comm, command, name) in [
            (
                "nginx",
                &["nginx: master process /usr/sbin/nginx"][..],
                Some("nginx"),
            ),
            (
                "redis-server",
                &["redis-server *:6379"],
                Some("redis-server"),
            ),
            (
                "postgres",
                &["/usr/lib/postgresql/15/bin/postgres", "-D", "x"],
                Some("postgres"),
            ),
            (
                "uvicorn",
                &["/usr/bin/python3", "/usr/bin/uvicorn"],
                Some("uvicorn"),
            ),
            ("sleep", &["nginx: master process"], None),
            ("nginx", &["sleep", "1000"], None),
            ("nginx", &[], None),
        ] {
            let process = process(None, comm, command);
            assert_eq!(
                Program::of(&process).map(|p| p.name()),
                name,
                "{comm} {command:?}"
            );
        }
    }

    #[test]
    fn a_shell_script_is_not_what_it_is_called() {
        let script = process(
            Some("/usr/bin/dash"),
            "uvicorn",
            &["/bin/sh", "/usr/bin/uvicorn"],
        );
        assert!(!Program::of(&script).unwrap().is_script("uvicorn"));
        let real = process(
            Some("/usr/bin/python3.11"),
            "uvicorn",
            &["python3", "/usr/bin/uvicorn"],
        );
        assert!(Program::of(&real).unwrap().is_script("uvicorn"));
    }

    #[test]
    fn applications() {
        for (argument, is) in [
            ("main:app", true),
            ("shop.wsgi:application", true),
            ("shop:create_app()", true),
            ("0.0.0.0:8000", false),
            ("localhost:8000", false),
            ("unix:/run/x.sock", false),
            ("http://x", false),
            ("main", false),
        ] {
            assert_eq!(is_application(argument), is, "{argument}");
        }
    }
}
