//! From a command line to the source of the application.

/// What a command line says of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// A Python module by its dotted name, below a directory other than the working directory, if given.
    PythonModule {
        module: String,
        directory: Option<String>,
    },
    /// A Python file.
    PythonFile(String),
    /// A JavaScript or TypeScript file, maybe without its extension, or a directory with an index.
    NodeFile(String),
    /// A Ruby file, or the file that Rack's servers are told by.
    RubyFile(String),
    /// A Java archive.
    JavaArchive(String),
    /// The launcher itself belongs to the framework: `flask run`.
    Told(&'static str),
}

/// Servers that are given the application as `module:object`.
const SERVERS: &[&str] = &[
    "uvicorn",
    "gunicorn",
    "hypercorn",
    "daphne",
    "granian",
    "waitress-serve",
    "celery",
];
const PYTHON_OPTIONS_WITH_VALUE: &[&str] = &["-X", "-W", "--check-hash-based-pycs"];
const NODE_OPTIONS_WITH_VALUE: &[&str] = &[
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--env-file",
];

/// How Ruby's servers call themselves once they serve; they find the application in `config.ru`. Sources: Puma's
/// lib/puma/runner.rb, Unicorn's lib/unicorn/http_server.rb, Thin's lib/thin/server.rb.
const RACK_TITLES: &[&str] = &[
    "puma ",
    "puma: ",
    "unicorn master",
    "unicorn worker",
    "thin server ",
];
const RACK_SERVERS: &[&str] = &["puma", "unicorn", "thin", "rackup", "falcon"];
const RACK_FILE: &str = "config.ru";
/// java(1): those whose value is the next argument.
const JAVA_OPTIONS_WITH_VALUE: &[&str] = &[
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-modules",
];

/// The program a process runs, where its source may tell a framework.
pub(super) fn program(argv: &[Vec<u8>]) -> Option<Program> {
    let words: Vec<_> = argv
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    let mut words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    // What is left of a command line behind a title.
    while words.pop_if(|word| word.is_empty()).is_some() {}
    of_words(&words)
}

fn of_words(words: &[&str]) -> Option<Program> {
    let (first, rest) = words.split_first()?;
    // gunicorn sets its title where it can: "gunicorn: worker [main:app]".
    if let Some(title) = first.strip_prefix("gunicorn: ") {
        let inside = title.split_once('[')?.1.split_once(']')?.0;
        return module(inside.split(':').next()?, None);
    }
    if RACK_TITLES.iter().any(|title| first.starts_with(title)) {
        return Some(Program::RubyFile(RACK_FILE.to_owned()));
    }
    match base_name(first) {
        "java" => java(rest),
        name if is_interpreter(name, "ruby") => ruby(rest),
        name if is_interpreter(name, "python") || is_interpreter(name, "pypy") => python(rest),
        "node" | "nodejs" | "bun" => node(rest),
        name if RACK_SERVERS.contains(&name) => Some(Program::RubyFile(RACK_FILE.to_owned())),
        name => tool(name, rest).or_else(|| titled(first, rest)),
    }
}

/// A title that reads as a command line: pm2 calls its workers `node /srv/app.js` (lib/ProcessContainer.js), and Bundler
/// what it has loaded by its path and arguments (lib/bundler/cli/exec.rb).
fn titled(title: &str, rest: &[&str]) -> Option<Program> {
    let words: Vec<&str> = title.split_ascii_whitespace().collect();
    (rest.is_empty() && words.len() > 1).then(|| of_words(&words))?
}

fn python(mut words: &[&str]) -> Option<Program> {
    loop {
        let (first, rest) = words.split_first()?;
        words = rest;
        if PYTHON_OPTIONS_WITH_VALUE.contains(first) {
            words = rest.get(1..)?;
        } else if *first == "-m" {
            let (name, rest) = rest.split_first()?;
            return tool(name, rest).or_else(|| module(name, None));
        } else if *first == "-c" || *first == "-" {
            return None;
        } else if !first.starts_with('-') {
            let file = first
                .ends_with(".py")
                .then(|| Program::PythonFile((*first).to_owned()));
            return tool(base_name(first), rest).or(file);
        }
    }
}

fn node(mut words: &[&str]) -> Option<Program> {
    loop {
        let (first, rest) = words.split_first()?;
        words = rest;
        if NODE_OPTIONS_WITH_VALUE.contains(first) {
            words = rest.get(1..)?;
        } else if matches!(*first, "-e" | "--eval" | "-p" | "--print" | "-") {
            return None;
        } else if !first.starts_with('-') && *first != "run" {
            return Some(Program::NodeFile((*first).to_owned()));
        }
    }
}

fn ruby(words: &[&str]) -> Option<Program> {
    let file = *words.iter().find(|word| !word.starts_with('-'))?;
    let is_server = RACK_SERVERS.contains(&base_name(file));
    let path = if is_server { RACK_FILE } else { file };
    Some(Program::RubyFile(path.to_owned()))
}

fn java(words: &[&str]) -> Option<Program> {
    let mut words = words.iter();
    loop {
        match *words.next()? {
            "-jar" => return Some(Program::JavaArchive((*words.next()?).to_owned())),
            word if JAVA_OPTIONS_WITH_VALUE.contains(&word) => {
                words.next();
            }
            word if word.starts_with('-') => {}
            _ => return None,
        }
    }
}

/// A launcher with its own command line.
fn tool(name: &str, words: &[&str]) -> Option<Program> {
    match name {
        "flask" => Some(Program::Told("flask")),
        "fastapi" => Some(Program::Told("fastapi")),
        "django-admin" => Some(Program::Told("django")),
        "celery" => module(option(words, &["-A", "--app"])?.split(':').next()?, None),
        name if SERVERS.contains(&name) => {
            let directory = option(words, &["--app-dir", "--chdir"]);
            module(application(words)?, directory)
        }
        _ => None,
    }
}

/// The module of `module:object` among the words; without one, a last word that looks like a module.
fn application<'a>(words: &[&'a str]) -> Option<&'a str> {
    let reference = |word: &&'a str| {
        let (module, object) = word.split_once(':')?;
        let is_object = object.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (is_module(module) && is_object).then_some(module)
    };
    let last = || words.last().copied().filter(|word| is_module(word));
    words.iter().find_map(reference).or_else(last)
}

/// The value of the first of these options: `--app-dir x` or `--app-dir=x`.
fn option<'a>(words: &[&'a str], names: &[&str]) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(index, word)| {
        if names.contains(word) {
            return words.get(index + 1).copied();
        }
        let (name, value) = word.split_once('=')?;
        names.contains(&name).then_some(value)
    })
}

fn module(name: &str, directory: Option<&str>) -> Option<Program> {
    is_module(name).then(|| Program::PythonModule {
        module: name.to_owned(),
        directory: directory.map(str::to_owned),
    })
}

/// Dotted Python identifiers; nothing else may become a path.
fn is_module(name: &str) -> bool {
    name.split('.').all(|part| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// `python`, `python3`, `python3.11`.
fn is_interpreter(name: &str, interpreter: &str) -> bool {
    name.strip_prefix(interpreter)
        .is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_application_on_real_command_lines() {
        let in_module = |module: &str, directory: Option<&str>| {
            let (module, directory) = (module.to_owned(), directory.map(str::to_owned));
            Some(Program::PythonModule { module, directory })
        };
        let file = |path: &str| Some(Program::PythonFile(path.to_owned()));
        let script = |path: &str| Some(Program::NodeFile(path.to_owned()));
        for (line, expected) in [
            (
                "/usr/bin/python3 /usr/bin/uvicorn main:app --host 0.0.0.0",
                in_module("main", None),
            ),
            (
                "python3.11 -m uvicorn --app-dir src pkg.main:app",
                in_module("pkg.main", Some("src")),
            ),
            (
                "/venv/bin/python /venv/bin/gunicorn -b 0.0.0.0:8000 --chdir=/srv app:create_app()",
                in_module("app", Some("/srv")),
            ),
            (
                "/venv/bin/python /venv/bin/gunicorn -b localhost:8000 site.wsgi",
                in_module("site.wsgi", None),
            ),
            ("uvicorn --uds unix:/x main:app", in_module("main", None)),
            ("hypercorn asgi:app", in_module("asgi", None)),
            ("python3 -u -X dev app.py --port 1", file("app.py")),
            ("python3 /srv/manage.py runserver", file("/srv/manage.py")),
            ("python3 -m pkg.server", in_module("pkg.server", None)),
            ("python3 -m flask run", Some(Program::Told("flask"))),
            (
                "/usr/bin/python3 /usr/local/bin/fastapi run",
                Some(Program::Told("fastapi")),
            ),
            (
                "python3 /usr/bin/celery -A proj.tasks worker",
                in_module("proj.tasks", None),
            ),
            ("node server.js", script("server.js")),
            (
                "/usr/bin/node --max-old-space-size=1 -r dotenv/config dist/main",
                script("dist/main"),
            ),
            ("node -e 1", None),
            (
                "ruby app.rb -p 80",
                Some(Program::RubyFile("app.rb".into())),
            ),
            (
                "/usr/bin/ruby3.1 /usr/bin/puma -p 80",
                Some(Program::RubyFile("config.ru".into())),
            ),
            (
                "java -Xmx1g -cp a:b -jar /app/shop.jar --port 80",
                Some(Program::JavaArchive("/app/shop.jar".into())),
            ),
            ("java -cp a:b org.example.Main -jar x.jar", None),
            ("python3 -c pass", None),
            ("python3", None),
            ("pythonista app.py", None),
            ("uvicorn ../../etc/passwd:app", None),
            ("nginx -g daemon", None),
        ] {
            let argv: Vec<Vec<u8>> = line
                .split(' ')
                .map(|word| word.as_bytes().to_vec())
                .collect();
            assert_eq!(program(&argv), expected, "{line}");
        }
        let title = b"gunicorn: worker [main:app]".to_vec();
        assert_eq!(program(&[title]), in_module("main", None));
        for (title, expected) in [
            ("node /srv/app/server.js", script("/srv/app/server.js")),
            (
                "/usr/local/bundle/bin/rackup -o 0.0.0.0",
                Some(Program::RubyFile("config.ru".into())),
            ),
            ("PM2 v5.3.0: God Daemon (/root/.pm2)", None),
        ] {
            let argv = [title.as_bytes().to_vec(), Vec::new(), Vec::new()];
            assert_eq!(program(&argv), expected, "{title}");
        }
        let title = b"puma 5.6.5 (tcp://0.0.0.0:9292) [shop]".to_vec();
        assert_eq!(
            program(&[title]),
            Some(Program::RubyFile("config.ru".into()))
        );
    }
}
