//! What a process runs: its executable, and for an interpreter the script or module it was told to run.
//!
//! The executable comes from the kernel. Where it cannot be read, the kernel's name of the process and
//! `argv[0]` must agree; either alone proves nothing.

use diogenes_proto::{Process, Untrusted};

use crate::catalogue::{Language, is_name};

/// What an interpreter was told to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs<'a> {
    /// A file, by its path.
    Script(&'a str),
    /// A module by name (`python3 -m`), a Java class or an Erlang application.
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
    pub(crate) interpreted: Option<(Language, Runs<'a>)>,
    /// Arguments of the interpreter itself.
    given: &'a [Untrusted],
    /// Arguments of what it runs.
    arguments: &'a [Untrusted],
}

/// How an interpreter's options look.
struct Interpreter {
    /// Name without the version.
    name: &'static str,
    /// What it interprets.
    language: Language,
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
    language: Language::Shell,
    values: "",
    long_values: &[],
    module: None,
    code: None,
};

/// Sources: the manual page of each.
const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        name: "python",
        language: Language::Python,
        values: "WX",
        long_values: &["--check-hash-based-pycs"],
        module: Some('m'),
        code: Some('c'),
    },
    Interpreter {
        name: "pypy",
        language: Language::Python,
        values: "WX",
        module: Some('m'),
        code: Some('c'),
        ..PLAIN
    },
    Interpreter {
        name: "node",
        language: Language::Node,
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
        language: Language::Node,
        values: "rC",
        code: Some('e'),
        ..PLAIN
    },
    Interpreter {
        name: "ruby",
        language: Language::Ruby,
        values: "IrCEK",
        code: Some('e'),
        ..PLAIN
    },
    Interpreter {
        name: "perl",
        language: Language::Perl,
        values: "IMm",
        code: Some('e'),
        ..PLAIN
    },
    Interpreter {
        name: "lua",
        language: Language::Lua,
        values: "l",
        code: Some('e'),
        ..PLAIN
    },
    Interpreter {
        name: "php",
        language: Language::Php,
        values: "cdzSt",
        code: Some('r'),
        ..PLAIN
    },
    Interpreter {
        name: "java",
        language: Language::Java,
        long_values: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--add-modules",
            "--add-opens",
            "--add-exports",
            "--add-reads",
            "--upgrade-module-path",
        ],
        ..PLAIN
    },
    // erl(1) executes it. Its flags come in groups, each begun by one of them.
    Interpreter {
        name: "beam.smp",
        language: Language::Erlang,
        ..PLAIN
    },
    Interpreter {
        name: "dotnet",
        language: Language::Dotnet,
        long_values: &[
            "--additionalprobingpath",
            "--depsfile",
            "--runtimeconfig",
            "--roll-forward",
            "--fx-version",
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
        let all = process.command.get(1..).unwrap_or_default();
        let interpreter = interpreter(executable);
        let (runs, given) = interpreter.map_or((Runs::Unnamed, 0), |i| i.runs(all));
        let given = given.min(all.len());
        Some(Self {
            executable,
            interpreted: interpreter.map(|i| (i.language, runs)),
            given: &all[..given],
            arguments: &all[given..],
        })
    }

    /// The name a person would give the process: the script's or module's, else the executable's.
    pub(crate) fn name(&self) -> &'a str {
        self.runs().unwrap_or(self.executable)
    }

    /// The name of what an interpreter runs: a file's without its folder, or a module's. None for a program of its
    /// own, and for code without a name.
    pub(crate) fn runs(&self) -> Option<&'a str> {
        match self.interpreted?.1 {
            Runs::Script(path) => Some(basename(path)),
            Runs::Module(module) => Some(module),
            Runs::Unnamed => None,
        }
    }

    /// Whether it is a shell that runs a script.
    pub(crate) fn is_script(&self) -> bool {
        matches!(self.interpreted, Some((Language::Shell, Runs::Script(_))))
    }

    /// Whether an interpreter of this language runs what an installer has named so. Python, Ruby, Perl and Lua
    /// install commands into a folder for programs; a script of that name elsewhere is somebody's own.
    pub(crate) fn runs_installed(&self, language: Language, name: &str) -> bool {
        match self.interpreted {
            Some((of, runs)) if of == language && of != Language::Shell => match runs {
                Runs::Script(path) => {
                    is_name(basename(path), name)
                        && (is_file_name(name, language) || is_in_bin(path))
                }
                Runs::Module(module) => module == name,
                Runs::Unnamed => false,
            },
            _ => false,
        }
    }

    /// Whether the interpreter itself was given an argument that begins so.
    pub(crate) fn given(&self, begins: &str) -> bool {
        self.given
            .iter()
            .any(|word| word.as_raw().starts_with(begins))
    }

    /// Whether what an interpreter runs was told this word.
    pub(crate) fn is_told(&self, word: &str) -> bool {
        self.arguments
            .iter()
            .any(|argument| argument.as_raw() == word)
    }
}

/// Whether a program of this language goes by its file's name wherever that is.
fn is_file_name(name: &str, language: Language) -> bool {
    use Language::{Lua, Perl, Python, Ruby};
    !matches!(language, Python | Ruby | Perl | Lua) || name.contains('.')
}

/// Whether a file is in a folder for programs: `/usr/bin`, `sbin`, `node_modules/.bin`, `gems/x/exe`.
fn is_in_bin(path: &str) -> bool {
    let folder = path.rsplit('/').nth(1);
    matches!(folder, Some("bin" | "sbin" | ".bin" | "exe"))
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
    /// Finds what is run behind the options, and how many arguments are the interpreter's own.
    fn runs<'a>(&self, arguments: &'a [Untrusted]) -> (Runs<'a>, usize) {
        if self.language == Language::Erlang {
            return (erlang(arguments), arguments.len());
        }
        let is_java = self.language == Language::Java;
        let word = |at: usize| arguments.get(at).map(Untrusted::as_raw);
        let script = |at: usize| (word(at).map_or(Runs::Unnamed, Runs::Script), at + 1);
        let module = |at: usize| (word(at).map_or(Runs::Unnamed, Runs::Module), at + 1);
        let mut at = 0;
        while let Some(argument) = word(at) {
            at += 1;
            if self.long_values.contains(&argument) {
                at += 1;
            } else if argument == "--" || is_java && argument == "-jar" {
                return script(at);
            } else if is_java && matches!(argument, "-m" | "--module") {
                return module(at);
            } else if argument.starts_with("--") || is_java && argument.starts_with(['-', '@']) {
            } else if let Some(letters) = argument.strip_prefix('-').filter(|l| !l.is_empty()) {
                for (place, letter) in letters.char_indices() {
                    let rest = &letters[place + letter.len_utf8()..];
                    if Some(letter) == self.module {
                        return if rest.is_empty() {
                            module(at)
                        } else {
                            (Runs::Module(rest), at)
                        };
                    }
                    if Some(letter) == self.code {
                        return (Runs::Unnamed, at);
                    }
                    if self.values.contains(letter) {
                        at += usize::from(rest.is_empty());
                        break;
                    }
                }
            } else if argument.is_empty() || argument == "-" {
                return (Runs::Unnamed, at);
            } else if is_java {
                return (Runs::Module(argument), at);
            } else if self.language == Language::Dotnet && argument == "exec" {
            } else {
                return (Runs::Script(argument), at);
            }
        }
        (Runs::Unnamed, at)
    }
}

/// What an Erlang virtual machine was told to start: `-s rabbit boot`, `-run yaws`, else the program that started it,
/// `-progname couchdb`. Source: erl(1), init(3erl).
fn erlang(arguments: &[Untrusted]) -> Runs<'_> {
    let program = || {
        after(arguments, &["-progname"])
            .map(basename)
            .filter(|name| *name != "erl")
    };
    // What Elixir starts is Elixir; "-s erlang halt" is the end of a one-liner.
    let started = after(arguments, &["-s"]).or_else(|| after(arguments, &["-run"]));
    let started = started.filter(|module| !matches!(*module, "elixir" | "erlang"));
    started.or_else(program).map_or(Runs::Unnamed, Runs::Module)
}

/// The argument that follows the first of these flags.
pub(crate) fn after<'a>(arguments: &'a [Untrusted], flags: &[&str]) -> Option<&'a str> {
    let mut words = arguments.iter().map(Untrusted::as_raw);
    words.find(|word| flags.contains(word))?;
    words.next()
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
        let runs_uvicorn = |process| {
            Program::of(process)
                .unwrap()
                .runs_installed(Language::Python, "uvicorn")
        };
        assert!(!runs_uvicorn(&script));
        let real = process(
            Some("/usr/bin/python3.11"),
            "uvicorn",
            &["python3", "/usr/bin/uvicorn"],
        );
        assert!(runs_uvicorn(&real));
        let own = process(
            Some("/usr/bin/python3.11"),
            "python3",
            &["python3", "/srv/uvicorn"],
        );
        assert!(!runs_uvicorn(&own));
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
