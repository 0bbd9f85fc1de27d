//! The import statements of a source file, without its comments and strings.
//!
//! Not a parser: just enough of the two languages to tell a statement from a mention. What it takes
//! wrongly costs a name, never more.

/// An import of Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PythonImport {
    /// Leading dots: 0 for an absolute import.
    pub(super) dots: usize,
    /// Dotted name; empty in `from . import x`.
    pub(super) module: String,
    /// The names after `from … import`, the first few.
    pub(super) names: Vec<String>,
}

/// Names taken from one `import` statement.
const MAX_NAMES: usize = 16;

/// The imports of a Python source, in their order.
pub(super) fn python(source: &str) -> Vec<PythonImport> {
    let code = without_python_text(source);
    code.split(['\n', ';']).flat_map(python_statement).collect()
}

fn python_statement(line: &str) -> Vec<PythonImport> {
    // "try: import x" on one line.
    let line = line.trim();
    let line = line.strip_prefix("try:").map_or(line, str::trim_start);
    let mut words = line.split_whitespace();
    match words.next() {
        Some("import") => {
            let names = line["import".len()..].split(',').take(MAX_NAMES);
            let import = |name: &str| PythonImport {
                dots: 0,
                module: name
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                names: Vec::new(),
            };
            names.map(import).collect()
        }
        Some("from") => from_import(&line["from".len()..]).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn from_import(rest: &str) -> Option<PythonImport> {
    let (from, names) = rest.split_once(" import")?;
    let from = from.trim();
    let module = from.trim_start_matches('.');
    let names = names.trim_start_matches([' ', '(']).split([',', ')']);
    let first = |name: &str| name.split_whitespace().next().map(str::to_owned);
    Some(PythonImport {
        dots: from.len() - module.len(),
        module: module.to_owned(),
        names: names.filter_map(first).take(MAX_NAMES).collect(),
    })
}

/// Leaves comments out, empties strings, and joins the lines within brackets and after a backslash.
fn without_python_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut depth = 0usize;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '#' => length = rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => {
                length = python_string(rest, c);
                code.push('"');
            }
            '\\' if rest[1..].starts_with('\n') => {
                length = 2;
                code.push(' ');
            }
            '\n' if depth > 0 => code.push(' '),
            _ => {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                code.push(c);
            }
        }
        rest = &rest[length..];
    }
    code
}

/// Length of the string at the beginning of `text`, quotes included.
fn python_string(text: &str, quote: char) -> usize {
    let triple: String = [quote; 3].iter().collect();
    if text.starts_with(&triple) {
        let end = end_of_string(&text[3..], |rest| rest.starts_with(&triple));
        return (3 + end + 3).min(text.len());
    }
    let end = end_of_string(&text[1..], |rest| rest.starts_with([quote, '\n']));
    // A string that the line does not close ends with it.
    1 + end + usize::from(text[1 + end..].starts_with(quote))
}

/// Distance to where `ends` holds, what follows a backslash passed over; the whole length if nowhere.
fn end_of_string(text: &str, ends: impl Fn(&str) -> bool) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if ends(&text[at..]) {
            return at;
        }
    }
    text.len()
}

/// What a Ruby source names of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RubyImport<'a> {
    /// A library: `require 'sinatra/base'`.
    Library(&'a str),
    /// A file beside the source: `require_relative 'app'`, without its extension.
    Own(&'a str),
}

/// What a Ruby source requires, in its order; and Rails, where the application is named in its way, for what it
/// requires is some files further.
pub(super) fn ruby(source: &str) -> Vec<RubyImport<'_>> {
    source.lines().filter_map(ruby_line).collect()
}

fn ruby_line(line: &str) -> Option<RubyImport<'_>> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    if line.contains("Rails.application") {
        return Some(RubyImport::Library("rails"));
    }
    let (relative, rest) = match line.strip_prefix("require_relative") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix("require")?),
    };
    let rest = rest.trim_start_matches([' ', '(']);
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (name, _) = rest[1..].split_once(quote)?;
    // "require './app'" is of the working directory, which is where the file that says so lies.
    match (relative, name.strip_prefix("./")) {
        (_, Some(own)) => Some(RubyImport::Own(own)),
        (true, None) => Some(RubyImport::Own(name)),
        (false, None) => Some(RubyImport::Library(name)),
    }
}

/// The modules that a JavaScript or TypeScript source imports or requires, in their order.
pub(super) fn javascript(source: &str) -> Vec<String> {
    let mut modules = Vec::new();
    let mut rest = source;
    // The last two words or signs of code, by which a string is known as a module's name.
    let (mut before, mut last) = ("", "");
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        if rest.starts_with("//") {
            length = rest.find('\n').unwrap_or(rest.len());
        } else if let Some(comment) = rest.strip_prefix("/*") {
            length = comment.find("*/").map_or(rest.len(), |end| end + 4);
        } else if matches!(c, '\'' | '"' | '`') {
            let end = end_of_string(&rest[1..], |rest| {
                rest.starts_with(c) || (c != '`' && rest.starts_with('\n'))
            });
            let named = matches!(
                (before, last),
                ("require" | "import", "(") | (_, "from" | "import")
            );
            if named && c != '`' {
                modules.push(rest[1..1 + end].to_owned());
            }
            length = (1 + end + 1).min(rest.len());
            while !rest.is_char_boundary(length) {
                length += 1;
            }
            (before, last) = (last, "'");
        } else if is_word(c) {
            length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            (before, last) = (last, &rest[..length]);
        } else if !c.is_whitespace() {
            (before, last) = (last, &rest[..length]);
        }
        rest = &rest[length..];
    }
    modules
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn modules(source: &str) -> Vec<String> {
        python(source)
            .into_iter()
            .map(|import| ".".repeat(import.dots) + &import.module)
            .collect()
    }

    #[test]
    fn ruby_requires() {
        use RubyImport::{Library, Own};
        let source = "# require 'x'\nrequire 'sinatra/base'\n  require(\"json\")\nrequire_relative 'lib/app'\n\
                      require './shop'\nrequired = 'y'\nrun Rails.application\nrequire File.join('a')\n";
        assert_eq!(
            ruby(source),
            [
                Library("sinatra/base"),
                Library("json"),
                Own("lib/app"),
                Own("shop"),
                Library("rails"),
            ]
        );
    }

    #[test]
    fn finds_python_imports() {
        let source = "import os, flask as f\n\
             from fastapi import (\n    FastAPI,  # the class\n    Request,\n)\n\
             try:\n    from .db import engine\nexcept ImportError: pass\n\
             try: import ujson\n\
             from \\\n    django.core import asgi\n\
             x = 1; import late\n\
             from . import routes, models\n";
        assert_eq!(
            modules(source),
            [
                "os",
                "flask",
                "fastapi",
                ".db",
                "ujson",
                "django.core",
                "late",
                "."
            ]
        );
        assert_eq!(python(source)[2].names, ["FastAPI", "Request"]);
        assert_eq!(python(source)[7].names, ["routes", "models"]);
    }

    #[test]
    fn is_not_fooled_by_mentions_of_python_imports() {
        let source = "# import flask\n\
             \"\"\"\nimport flask\nfrom flask import x\n\"\"\"\n\
             s = 'import flask'\n\
             t = \"don't\"  # it's\n\
             u = '''\nimport \\''' flask\n'''\n\
             importlib = flask\n\
             fromage = 1\n\
             print(\n  'import flask'\n)\n";
        assert!(modules(source).is_empty(), "{:?}", modules(source));
    }

    #[test]
    fn finds_javascript_imports() {
        let source = "const a = require('express'), b = require ( \"./routes\" );\n\
             import fastify from 'fastify'\n\
             import { x, y } from \"koa\";\n\
             import 'side'; const z = await import('lazy');\n\
             export * from './more'\n";
        assert_eq!(
            javascript(source),
            [
                "express", "./routes", "fastify", "koa", "side", "lazy", "./more"
            ]
        );
    }

    #[test]
    fn is_not_fooled_by_mentions_of_javascript_imports() {
        let source = "// require('express')\n/* import x from 'express' */\n\
             const s = \"require('express')\"; const t = `import 'express'`;\n\
             log('from', 'express'); notrequire('express')\n";
        assert!(javascript(source).is_empty(), "{:?}", javascript(source));
    }

    proptest! {
        #[test]
        fn nothing_makes_them_panic(text in any::<String>(), code in "[-a-z'\"`\\\\\n#/*().;, é]{0,80}") {
            for source in [&text, &code] {
                let _ = (python(source), javascript(source));
            }
            let _ = (python(&format!("from {code}")), javascript(&format!("require('{code}")));
        }
    }
}
