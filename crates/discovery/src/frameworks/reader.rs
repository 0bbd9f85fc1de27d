//! Opens the application's source, and follows its own modules one step.
//!
//! Only what has a source's extension is read, and only as [`regular`] reads.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::imports::{PythonImport, RubyImport, javascript, python, ruby};
use super::launch::Program;
use crate::regular;

/// Most that is read of one file; imports stand at the beginning.
const FILE_BYTES: u64 = 64 * 1024;
/// Most files that are read for one program.
const MAX_FILES: usize = 16;

/// Packages of Python and the frameworks they are, the one that tells most first.
const PYTHON: &[&str] = &[
    "fastapi",
    "django",
    "flask",
    "litestar",
    "quart",
    "sanic",
    "starlette",
    "tornado",
    "falcon",
    "bottle",
    "pyramid",
    "cherrypy",
    "aiohttp",
];
/// Libraries of Ruby that are frameworks, the one that tells most first.
const RUBY: &[&str] = &["rails", "sinatra"];
/// What the executable archives of Spring Boot hold near their beginning, as names of files. Source: Spring Boot's
/// reference, "The Executable Jar Format".
const SPRING: &[&str] = &["org/springframework/boot/loader/", "BOOT-INF/"];
/// Packages of Node and the frameworks they are, the one that tells most first.
const NODE: &[(&str, &str)] = &[
    ("@nestjs/core", "nestjs"),
    ("next", "next"),
    ("express", "express"),
    ("fastify", "fastify"),
    ("koa", "koa"),
    ("@hapi/hapi", "hapi"),
    ("hono", "hono"),
];

/// The frameworks that a program imports, itself or in the modules of its own that it imports.
pub(super) fn frameworks(
    root: &Path,
    working_directory: &Path,
    program: &Program,
) -> Vec<&'static str> {
    let mut reader = Reader {
        root,
        left: MAX_FILES,
    };
    match program {
        Program::Told(framework) => vec![framework],
        Program::PythonFile(file) => {
            let file = working_directory.join(file);
            let search = file.parent().unwrap_or(working_directory).to_owned();
            reader.python_program(&search, &[file])
        }
        Program::PythonModule { module, directory } => {
            let search = working_directory.join(directory.as_deref().unwrap_or_default());
            let files = [
                python_files(&search, module),
                vec![search.join(module.replace('.', "/")).join("__main__.py")],
            ];
            reader.python_program(&search, &files.concat())
        }
        Program::NodeFile(file) => reader.node_program(&working_directory.join(file)),
        Program::RubyFile(file) => reader.ruby_program(&working_directory.join(file)),
        Program::JavaArchive(file) => reader.java_program(&working_directory.join(file)),
    }
}

struct Reader<'a> {
    /// Put before every path.
    root: &'a Path,
    /// How many files may still be read.
    left: usize,
}

impl Reader<'_> {
    /// Reads the first of `files` that there is, then the program's own modules it names.
    fn python_program(&mut self, search: &Path, files: &[PathBuf]) -> Vec<&'static str> {
        let Some((file, source)) = self.first_of(files) else {
            return Vec::new();
        };
        let imports = python(&source);
        let found = python_frameworks(&imports);
        if !found.is_empty() {
            return found;
        }
        let mut own: VecDeque<Vec<PathBuf>> = VecDeque::new();
        for import in &imports {
            own.extend(own_modules(search, &file, import));
        }
        let mut found = Vec::new();
        while let Some(files) = own.pop_front() {
            if let Some((_, source)) = self.first_of(&files) {
                found.extend(python_frameworks(&python(&source)));
            }
        }
        in_order(PYTHON.iter().copied(), &found)
    }

    fn node_program(&mut self, file: &Path) -> Vec<&'static str> {
        let Some((file, source)) = self.first_of(&node_files(file)) else {
            return Vec::new();
        };
        let modules = javascript(&source);
        let mut found = node_frameworks(&modules);
        let directory = file.parent().unwrap_or(Path::new("/"));
        if found.is_empty() {
            for module in modules
                .iter()
                .filter(|module| module.starts_with("./") || module.starts_with("../"))
            {
                if let Some((_, source)) = self.first_of(&node_files(&directory.join(module))) {
                    found.extend(node_frameworks(&javascript(&source)));
                }
            }
        }
        in_order(NODE.iter().map(|(_, name)| *name), &found)
    }

    fn ruby_program(&mut self, file: &Path) -> Vec<&'static str> {
        let Some((file, source)) = self.first_of(&[file.to_owned()]) else {
            return Vec::new();
        };
        let imports = ruby(&source);
        let mut found = ruby_frameworks(&imports);
        let directory = file.parent().unwrap_or(Path::new("/"));
        if found.is_empty() {
            for import in &imports {
                if let RubyImport::Own(name) = import
                    && let Some((_, source)) =
                        self.first_of(&[directory.join(format!("{name}.rb"))])
                {
                    found.extend(ruby_frameworks(&ruby(&source)));
                }
            }
        }
        in_order(RUBY.iter().copied(), &found)
    }

    /// An archive's files are compressed, their names are not.
    fn java_program(&mut self, file: &Path) -> Vec<&'static str> {
        let archive = self.first_of(&[file.to_owned()]);
        let is_spring =
            archive.is_some_and(|(_, names)| SPRING.iter().any(|name| names.contains(name)));
        Vec::from_iter(is_spring.then_some("spring"))
    }

    fn first_of(&mut self, files: &[PathBuf]) -> Option<(PathBuf, String)> {
        files.iter().find_map(|file| {
            if self.left == 0 {
                return None;
            }
            let source = read_source(self.root, file)?;
            self.left -= 1;
            Some((file.clone(), source))
        })
    }
}

/// Reads a source file; None where it is not a regular file, or not there.
fn read_source(root: &Path, path: &Path) -> Option<String> {
    const EXTENSIONS: &[&str] = &[
        "py", "js", "mjs", "cjs", "ts", "mts", "cts", "rb", "ru", "jar", "war",
    ];
    // The extension also keeps the files of /proc and /sys away, which may do something when read.
    let extension = path.extension()?.to_str()?;
    if !EXTENSIONS.contains(&extension) {
        return None;
    }
    let bytes = regular::read(root, path, FILE_BYTES)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn python_frameworks(imports: &[PythonImport]) -> Vec<&'static str> {
    let top = |import: &PythonImport| {
        let first = import.module.split('.').next()?;
        PYTHON
            .iter()
            .copied()
            .find(|name| import.dots == 0 && *name == first)
            .filter(|name| *name != "aiohttp" || serves_by_aiohttp(import))
    };
    let found: Vec<_> = imports.iter().filter_map(top).collect();
    in_order(PYTHON.iter().copied(), &found)
}

/// aiohttp is a client as well; its server is a module of its own.
fn serves_by_aiohttp(import: &PythonImport) -> bool {
    import.module.starts_with("aiohttp.web") || import.names.iter().any(|name| name == "web")
}

fn ruby_frameworks(imports: &[RubyImport<'_>]) -> Vec<&'static str> {
    let known = |import: &RubyImport<'_>| match import {
        RubyImport::Library(name) => {
            let first = name.split('/').next()?;
            RUBY.iter().copied().find(|framework| *framework == first)
        }
        RubyImport::Own(_) => None,
    };
    let found: Vec<_> = imports.iter().filter_map(known).collect();
    in_order(RUBY.iter().copied(), &found)
}

fn node_frameworks(modules: &[String]) -> Vec<&'static str> {
    let known = |module: &String| {
        let module = module.strip_prefix("npm:").unwrap_or(module);
        NODE.iter()
            .find(|(package, _)| *package == module)
            .map(|(_, name)| *name)
    };
    let found: Vec<_> = modules.iter().filter_map(known).collect();
    in_order(NODE.iter().map(|(_, name)| *name), &found)
}

/// What was found, each once, in the order of the table.
fn in_order(
    table: impl Iterator<Item = &'static str>,
    found: &[&'static str],
) -> Vec<&'static str> {
    table.filter(|name| found.contains(name)).collect()
}

/// The files that may be the module an import names, and those of the names taken from it.
fn own_modules(search: &Path, file: &Path, import: &PythonImport) -> Vec<Vec<PathBuf>> {
    let base = match import.dots {
        0 => search.to_owned(),
        dots => match file.ancestors().nth(dots) {
            Some(package) => package.to_owned(),
            None => return Vec::new(),
        },
    };
    let mut candidates = Vec::new();
    if !import.module.is_empty() {
        candidates.push(python_files(&base, &import.module));
    }
    for name in &import.names {
        let dot = if import.module.is_empty() { "" } else { "." };
        candidates.push(python_files(
            &base,
            &format!("{}{dot}{name}", import.module),
        ));
    }
    candidates
}

fn python_files(directory: &Path, module: &str) -> Vec<PathBuf> {
    // An identifier has no slash; what has one was never a module.
    if module.contains(['/', '\0']) {
        return Vec::new();
    }
    let path = module.replace('.', "/");
    vec![
        directory.join(format!("{path}.py")),
        directory.join(path).join("__init__.py"),
    ]
}

fn node_files(path: &Path) -> Vec<PathBuf> {
    let with = |extension: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(extension);
        PathBuf::from(name)
    };
    let mut files = vec![path.to_owned()];
    files.extend([".js", ".mjs", ".cjs", ".ts"].map(with));
    files.extend(["index.js", "index.mjs", "index.ts"].map(|name| path.join(name)));
    files
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::time::Instant;

    use rustix::fs::{CWD, FileType};

    use super::*;
    use crate::regular::tree;

    fn module(root: &Path, module: &str, directory: Option<&str>) -> Vec<&'static str> {
        let (module, directory) = (module.to_owned(), directory.map(str::to_owned));
        frameworks(
            root,
            Path::new("/app"),
            &Program::PythonModule { module, directory },
        )
    }

    #[test]
    fn finds_the_framework_of_python_programs() {
        let root = tree(&[
            (
                "app/main.py",
                "# import flask\nfrom fastapi import FastAPI\nimport starlette\n",
            ),
            ("app/pkg/__init__.py", "from .factory import create\n"),
            ("app/pkg/factory.py", "from flask import Flask\n"),
            ("app/asgi.py", "from pkg import factory\n"),
            ("app/tool/__main__.py", "import bottle\n"),
            ("app/plain.py", "import os\nimport json\n"),
            (
                "srv/site/wsgi.py",
                "from django.core.wsgi import get_wsgi_application\n",
            ),
        ]);
        let root = root.path();
        assert_eq!(module(root, "main", None), ["fastapi", "starlette"]);
        assert_eq!(module(root, "pkg", None), ["flask"]);
        assert_eq!(module(root, "asgi", None), ["flask"]);
        assert_eq!(module(root, "tool", None), ["bottle"]);
        assert_eq!(module(root, "site.wsgi", Some("/srv")), ["django"]);
        assert!(module(root, "plain", None).is_empty());
        assert!(module(root, "absent", None).is_empty());
        let file = Program::PythonFile("../srv/site/wsgi.py".into());
        assert_eq!(frameworks(root, Path::new("/app"), &file), ["django"]);
    }

    #[test]
    fn finds_the_framework_of_node_programs() {
        let root = tree(&[
            ("app/server.js", "const app = require('express')()\n"),
            ("app/dist/index.js", "import { create } from '../lib/app'\n"),
            ("app/lib/app.js", "const f = require(\"fastify\")\n"),
            ("app/plain.js", "require('http')\n"),
        ]);
        let node = |file: &str| {
            frameworks(
                root.path(),
                Path::new("/app"),
                &Program::NodeFile(file.into()),
            )
        };
        assert_eq!(node("server.js"), ["express"]);
        assert_eq!(node("server"), ["express"]);
        assert_eq!(node("/app/dist"), ["fastify"]);
        assert!(node("plain.js").is_empty());
    }

    #[test]
    fn finds_the_framework_of_ruby_and_java_programs() {
        let root = tree(&[
            ("app/config.ru", "require_relative 'app'\nrun App\n"),
            ("app/app.rb", "require 'sinatra/base'\n"),
            (
                "rails/config.ru",
                "require_relative \"config/environment\"\nrun Rails.application\n",
            ),
            ("plain/config.ru", "run ->(env) { [200, {}, ['hello']] }\n"),
            (
                "app/shop.jar",
                "PK\u{3}\u{4}\u{14}META-INF/PK\u{3}\u{4}org/springframework/boot/loader/\n",
            ),
            ("app/other.jar", "PK\u{3}\u{4}META-INF/MANIFEST.MF"),
        ]);
        let read = |program| frameworks(root.path(), Path::new("/app"), &program);
        let ruby = |file: &str| read(Program::RubyFile(file.into()));
        assert_eq!(ruby("config.ru"), ["sinatra"]);
        assert_eq!(ruby("/rails/config.ru"), ["rails"]);
        assert!(ruby("/plain/config.ru").is_empty());
        assert_eq!(read(Program::JavaArchive("shop.jar".into())), ["spring"]);
        assert!(read(Program::JavaArchive("other.jar".into())).is_empty());
    }

    #[test]
    fn aiohttp_serves_only_by_its_server() {
        let root = tree(&[
            ("app/serves.py", "from aiohttp import web\n"),
            ("app/asks.py", "import aiohttp\n"),
        ]);
        assert_eq!(module(root.path(), "serves", None), ["aiohttp"]);
        assert!(module(root.path(), "asks", None).is_empty());
    }

    #[test]
    fn reads_nothing_but_regular_files_and_never_hangs() {
        let root = tree(&[("app/real.py", "import flask\n")]);
        let app = root.path().join("app");
        let begun = Instant::now();
        rustix::fs::mknodat(CWD, app.join("fifo.py"), FileType::Fifo, 0o600.into(), 0).unwrap();
        symlink("real.py", app.join("link.py")).unwrap();
        symlink("/dev/zero", app.join("zero.py")).unwrap();
        fs::create_dir(app.join("directory.py")).unwrap();
        fs::write(app.join("noextension"), "import flask\n").unwrap();
        for name in [
            "fifo.py",
            "link.py",
            "zero.py",
            "directory.py",
            "noextension",
        ] {
            assert_eq!(
                read_source(root.path(), &Path::new("/app").join(name)),
                None,
                "{name}"
            );
        }
        assert!(read_source(root.path(), Path::new("/app/real.py")).is_some());
        assert!(begun.elapsed().as_secs() < 2);
    }

    #[test]
    fn reads_no_more_than_the_beginning_of_a_huge_file() {
        let root = tree(&[]);
        let path = root.path().join("huge.py");
        fs::write(&path, "import flask\n").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let source = read_source(root.path(), Path::new("/huge.py")).unwrap();
        assert_eq!(source.len() as u64, FILE_BYTES);
    }

    #[test]
    fn a_program_of_many_modules_is_read_in_part() {
        let imports: String = (0..100).map(|n| format!("import m{n}\n")).collect();
        let root = tree(&[("app/main.py", &imports)]);
        for n in 0..100 {
            let source = if n == 99 { "import flask\n" } else { "" };
            fs::write(root.path().join(format!("app/m{n}.py")), source).unwrap();
        }
        assert!(module(root.path(), "main", None).is_empty());
    }
}
