//! Where a service's program comes from: what to ask the installed packages for, to learn its version.

use diogenes_proto::{Language as Libraries, Origin, Process, Untrusted};

use crate::catalogue::{Kind, Language, Layer, Mark};
use crate::program::{Program, Runs, after};

/// Most archives of a class path that are asked for.
const MAX_ARCHIVES: usize = 4;

/// The origin of the program that `main` runs, which is of this kind.
pub(crate) fn origin(main: &Process, kind: Option<&Kind>) -> Origin {
    let mut origin = Origin {
        container_pid: main.container_pid,
        uid: main.uid,
        ..Origin::default()
    };
    let executable = || main.executable.clone().into_iter().collect();
    let layer = kind.map_or(Layer::Server, |kind| kind.layer);
    let program = Program::of(main);
    let interpreted = program.and_then(|program| program.interpreted);
    let serves_itself = kind.zip(program).is_some_and(|(kind, program)| {
        is_told_to_serve(kind, &program) || is_an_applet(kind, &program)
    });
    let Some((language, runs)) = interpreted.filter(|_| layer != Layer::Runtime && !serves_itself)
    else {
        origin.files = executable();
        return origin;
    };
    origin.language = match language {
        Language::Python => Some(Libraries::Python),
        Language::Node => Some(Libraries::Node),
        Language::Ruby => Some(Libraries::Ruby),
        Language::Erlang => Some(Libraries::Erlang),
        _ => None,
    };
    origin.libraries = kind.map(|kind| kind.kind.into()).into_iter().collect();
    origin.beside = main.command.first().cloned().into_iter().collect();
    match (language, runs) {
        (_, Runs::Script(path)) => {
            origin.beside.insert(0, path.into());
            origin.files.push(path.into());
        }
        (Language::Java, Runs::Module(_)) => origin.files = archives(main),
        (Language::Erlang, Runs::Module(module)) => {
            let told = |flags| after(&main.command, flags).into_iter();
            origin.libraries = vec![module.into()];
            origin.beside = told(&["-root"]).map(Untrusted::from).collect();
            origin.files = told(&["-pa", "-pz"])
                .map(|directory| format!("{directory}/{module}.beam").into())
                .collect();
        }
        (_, Runs::Module(_)) => {}
        (_, Runs::Unnamed) => origin.files = kind.into_iter().flat_map(commands).collect(),
    }
    if layer == Layer::Framework {
        // What serves a framework's application has a version of its own.
        origin.files.clear();
    } else {
        // Of several services that one library brings, each has a name of its own: celery's beat.
        let library = kind.and_then(task_of).map(Untrusted::from);
        origin.libraries.extend(library);
    }
    origin
}

/// Whether an interpreter runs nothing of its own accord but what its options make of it: `php -S`.
fn is_told_to_serve(kind: &Kind, program: &Program<'_>) -> bool {
    let is_given = |mark: &Mark| matches!(*mark, Mark::Given(_, begins) if program.given(begins));
    matches!(program.interpreted, Some((_, Runs::Unnamed))) && kind.marks.iter().any(is_given)
}

/// Where a kind's command is by custom: for one that has changed its title, and so hides what it was started from.
fn commands(kind: &Kind) -> impl Iterator<Item = Untrusted> {
    kind.marks.iter().filter_map(|mark| match mark {
        Mark::Runs(_, name) => Some(format!("/usr/bin/{name}").into()),
        _ => None,
    })
}

/// Whether a program of many names goes by one of them, and is no interpreter then: BusyBox as `httpd`.
fn is_an_applet(kind: &Kind, program: &Program<'_>) -> bool {
    let is_of =
        |mark: &Mark| matches!(*mark, Mark::Applet(&(file, _)) if file == program.executable);
    kind.marks.iter().any(is_of)
}

/// The command of which this kind is one task among several.
fn task_of(kind: &Kind) -> Option<&'static str> {
    kind.marks.iter().find_map(|mark| match *mark {
        Mark::Task(_, &(name, _)) if name != kind.kind => Some(name),
        _ => None,
    })
}

/// The first archives of a Java program's class path. Source: java(1).
fn archives(process: &Process) -> Vec<Untrusted> {
    let path = after(&process.command, &["-cp", "-classpath", "--class-path"]);
    let archives = path.into_iter().flat_map(|path| path.split(':'));
    archives
        .filter(|archive| archive.ends_with(".jar"))
        .take(MAX_ARCHIVES)
        .map(Untrusted::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::find;

    #[test]
    fn what_is_asked_for_is_the_program_itself() {
        for (kind, executable, line, libraries, files) in [
            (
                "redis",
                "/usr/bin/redis-server",
                "redis-server *:6379",
                &[][..],
                &["/usr/bin/redis-server"][..],
            ),
            (
                "gunicorn",
                "/usr/bin/python3.11",
                "python3 /usr/bin/gunicorn app:app",
                &["gunicorn"],
                &["/usr/bin/gunicorn"],
            ),
            (
                "fastapi",
                "/usr/bin/python3.11",
                "python3 /usr/bin/uvicorn main:app",
                &["fastapi"],
                &[],
            ),
            (
                "celery-beat",
                "/usr/bin/python3.11",
                "python3 -m celery -A tasks beat",
                &["celery-beat", "celery"],
                &[],
            ),
            (
                "busybox-httpd",
                "/usr/bin/busybox",
                "/usr/local/bin/httpd -f -p 8080 -h /srv/www",
                &[],
                &["/usr/bin/busybox"],
            ),
            (
                "php",
                "/usr/bin/php8.2",
                "php -S 0.0.0.0:8000 -t public",
                &[],
                &["/usr/bin/php8.2"],
            ),
            (
                "starman",
                "/usr/bin/perl",
                "starman_master",
                &["starman"],
                &["/usr/bin/starman"],
            ),
            (
                "node",
                "/usr/bin/node",
                "node server.js",
                &[],
                &["/usr/bin/node"],
            ),
            (
                "ejabberd",
                "/usr/lib/erlang/erts-13.1.5/bin/beam.smp",
                "beam.smp -- -root /usr/lib/erlang -progname erl -- -home / -- -s ejabberd -noshell",
                &["ejabberd"],
                &[],
            ),
            (
                "",
                "/usr/lib/erlang/erts-13.1.5/bin/beam.smp",
                "beam.smp -- -root /usr/lib/erlang -progname erl -- -pa /usr/lib/yaws/ebin -run yaws",
                &["yaws"],
                &["/usr/lib/yaws/ebin/yaws.beam"],
            ),
            (
                "",
                "/usr/bin/java",
                "java -classpath /usr/share/a/b.jar:/c.jar:/d org.example.Main",
                &[],
                &["/usr/share/a/b.jar", "/c.jar"],
            ),
        ] {
            let process = Process {
                executable: Some(executable.into()),
                command: line.split(' ').map(Untrusted::from).collect(),
                ..Process::default()
            };
            let origin = origin(&process, find(kind));
            let raw = |texts: &[Untrusted]| -> Vec<String> {
                texts.iter().map(|text| text.as_raw().to_owned()).collect()
            };
            assert_eq!(raw(&origin.libraries), libraries, "{line}");
            assert_eq!(raw(&origin.files), files, "{line}");
        }
    }
}
