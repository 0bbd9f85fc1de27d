//! `diogenes config --sample`: a configuration file to start from. It is in `deploy/` too.

use std::fmt::Write as _;

use super::value::Shape;
use super::{Key, keys};

/// Longest line of a comment, in characters.
const WIDTH: usize = 100;

/// The sample: every key, each as a comment, with its default or an example.
pub(crate) fn text() -> String {
    let mut text = String::from(
        "# Configuration of diogenes serve. Flags and DIOGENES_* variables go over it; every value below is the default,\n\
         # or an example where there is none. diogenes config tells what is in force, and from where.\n",
    );
    let mut section = "";
    for key in keys() {
        if key.section != section {
            section = key.section;
            let _ = write!(text, "\n[{section}]\n");
        }
        let default = match (key.default, key.without) {
            (None, without) => format!(" Default: {without}."),
            _ => String::new(),
        };
        let _ = write!(
            text,
            "\n{}# {} = {}\n",
            comment(&format!("{}{default}", key.help.trim())),
            key.name,
            value(key)
        );
    }
    text
}

fn value(key: &Key) -> String {
    let words = key.words(key.default.unwrap_or(key.example));
    match key.shape {
        Shape::Text => format!("{:?}", words.concat()),
        Shape::Switch => words.concat(),
        Shape::List => format!("{words:?}"),
    }
}

/// A text as comment lines.
fn comment(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::from("#"));
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines += &line;
            lines.push('\n');
            line.replace_range(.., "#");
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}
