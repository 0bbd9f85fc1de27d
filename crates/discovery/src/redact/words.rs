//! Word by word: what an option's name or the running program says of the word after it.

use std::borrow::Cow;

use super::{REDACTED, names, shapes};

/// `sh -c "bash -c '…'"` may go on; beyond this depth a quoted text is hidden whole.
const MAX_DEPTH: usize = 4;

/// What a short option means, to the program that takes it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Short {
    /// `-pSECRET` in one word only: `-p` alone asks for it.
    Attached,
    /// `-p SECRET` or `-pSECRET`.
    Value,
    /// `-u USER:SECRET`, of which the user stays.
    UserAndSecret,
}

/// The letters after the dash that matter, and how each takes its value.
type ShortOptions = &'static [(char, Short)];

/// Programs whose short options carry secrets.
const PROGRAMS: &[(&[&str], ShortOptions)] = &[
    (
        &[
            "mysql",
            "mysqladmin",
            "mysqldump",
            "mysqlimport",
            "mysqlshow",
            "mysqlcheck",
            "mysqlslap",
            "mysqlpump",
            "mysqlbinlog",
            "mysqlsh",
            "mariadb",
            "mariadb-admin",
            "mariadb-dump",
            "mariadb-import",
            "mariadb-check",
            "mariadb-backup",
            "mydumper",
        ],
        &[('p', Short::Attached)],
    ),
    (
        &["sshpass", "mongo", "mongosh", "mongodump", "mongorestore"],
        &[('p', Short::Value)],
    ),
    (
        &["redis-cli", "valkey-cli", "keydb-cli", "redis-benchmark"],
        &[('a', Short::Value)],
    ),
    (
        &["curl"],
        &[('u', Short::UserAndSecret), ('U', Short::UserAndSecret)],
    ),
    (
        &["ldapsearch", "ldapadd", "ldapmodify", "ldapwhoami"],
        &[('w', Short::Value)],
    ),
    (
        &["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"],
        &[('P', Short::Value)],
    ),
    // These have no secret in a short option; named, so that they end the reign of one before them.
    (
        &[
            "ssh",
            "scp",
            "rsync",
            "psql",
            "nginx",
            "tar",
            "cp",
            "mkdir",
            "docker",
            "redis-server",
        ],
        &[],
    ),
];

/// Long options that take `user:secret`.
const USER_OPTIONS: &[&str] = &["user", "proxy-user"];

/// What is expected of the next word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Ordinary,
    /// The value of a long option: another long option means that none was given.
    Secret,
    /// The value of a program's short option.
    ShortSecret,
    UserAndSecret,
}

/// Goes through the words of one command line.
struct Reader {
    shorts: ShortOptions,
    next: Next,
}

/// What became of a word.
enum Word {
    /// Decided: this stands in its place.
    Replaced(String),
    /// Nothing known by its place: to be judged by its shape.
    Open,
}

impl Reader {
    fn new() -> Self {
        Self {
            shorts: &[],
            next: Next::Ordinary,
        }
    }

    fn read(&mut self, word: &str) -> Word {
        match std::mem::replace(&mut self.next, Next::Ordinary) {
            Next::Secret if !is_long_option(word) => return hide(word),
            Next::ShortSecret => return hide(word),
            Next::UserAndSecret => return Word::Replaced(after_user(word)),
            _ => {}
        }
        if let Some(shorts) = program(word) {
            self.shorts = shorts;
        }
        let name = word.trim_start_matches('-');
        let dashes = word.len() - name.len();
        if let Some((name, value)) = name.split_once('=') {
            return self.assigned(word, name, value);
        }
        if dashes > 0 && names::is_secret(name) && name.chars().all(is_name) {
            self.next = Next::Secret;
            return Word::Open;
        }
        if dashes == 2 && !self.shorts.is_empty() && USER_OPTIONS.contains(&name) {
            self.next = Next::UserAndSecret;
        }
        if dashes == 1 {
            return self.short(name);
        }
        // The directives of Redis also come without dashes.
        if matches!(word, "requirepass" | "masterauth") {
            self.next = Next::Secret;
        }
        Word::Open
    }

    fn assigned(&self, word: &str, name: &str, value: &str) -> Word {
        let before = shapes::scrub(&word[..word.len() - value.len()]);
        if !name.chars().all(is_name) {
            Word::Open
        } else if names::is_secret(name) && !names::is_harmless_value(value) {
            Word::Replaced(format!("{before}{REDACTED}"))
        } else if !self.shorts.is_empty() && USER_OPTIONS.contains(&name) {
            Word::Replaced(format!("{before}{}", after_user(value)))
        } else {
            Word::Open
        }
    }

    fn short(&mut self, name: &str) -> Word {
        let mut chars = name.chars();
        let letter = chars.next();
        let value = chars.as_str();
        let known = self.shorts.iter().find(|(known, _)| Some(*known) == letter);
        match known.map(|(letter, kind)| (letter, *kind, value)) {
            Some((_, Short::Attached, "")) | None => Word::Open,
            Some((_, Short::Value, "")) => {
                self.next = Next::ShortSecret;
                Word::Open
            }
            Some((_, Short::UserAndSecret, "")) => {
                self.next = Next::UserAndSecret;
                Word::Open
            }
            Some((letter, Short::UserAndSecret, value)) => {
                Word::Replaced(format!("-{letter}{}", after_user(value)))
            }
            Some((letter, _, _)) => Word::Replaced(format!("-{letter}{REDACTED}")),
        }
    }
}

/// The arguments of a process, one for one.
pub(super) fn arguments(arguments: &[Cow<'_, str>]) -> Vec<String> {
    let mut reader = Reader::new();
    let mut out = Vec::with_capacity(arguments.len());
    for (index, argument) in arguments.iter().enumerate() {
        let is_script =
            index >= 2 && is_shell(&arguments[0]) && takes_script(&arguments[index - 1]);
        let judged = if is_script {
            Word::Open
        } else {
            reader.read(argument)
        };
        out.push(match judged {
            Word::Replaced(word) => word,
            Word::Open => text(argument, 0),
        });
    }
    out
}

fn is_shell(program: &str) -> bool {
    const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"];
    program
        .rsplit('/')
        .next()
        .is_some_and(|name| SHELLS.contains(&name.trim_start_matches('-')))
}

/// `-c`, and `-c` among others: `-ec`, `-lc`.
fn takes_script(option: &str) -> bool {
    option.starts_with('-') && !option.starts_with("--") && option.ends_with('c')
}

/// A text of many words: a shell's command, a title such as `nginx: worker process`, or a log line.
pub(super) fn text(text: &str, depth: usize) -> String {
    let shaped = shapes::scrub(text);
    let mut out = String::with_capacity(shaped.len());
    let mut reader = Reader::new();
    let mut rest = shaped.as_str();
    while !rest.is_empty() {
        let blank = rest.len() - rest.trim_start().len();
        out.push_str(&rest[..blank]);
        rest = &rest[blank..];
        let (word, tail) = rest.split_at(word_end(rest));
        rest = tail;
        push_word(&mut out, word, &mut reader, depth);
    }
    out
}

fn push_word(out: &mut String, word: &str, reader: &mut Reader, depth: usize) {
    // The shell's punctuation around a word is not the word's.
    let core = word.trim_start_matches(['(', '{', ';', '&', '|', '$', '`']);
    out.push_str(&word[..word.len() - core.len()]);
    let bare = core.trim_end_matches([';', '&', '|', ')', '`']);
    let (bare, after) = core.split_at(bare.len());
    let (bare, after) = if bare.is_empty() {
        (core, "")
    } else {
        (bare, after)
    };
    // A quoted text of several words is a command of its own, unless it is the value waited for.
    if reader.next == Next::Ordinary && is_quoted_text(bare) {
        out.push_str(&inside(bare, depth));
        out.push_str(after);
        return;
    }
    match reader.read(&unquoted(bare)) {
        Word::Replaced(new) if new == unquoted(bare) => out.push_str(bare),
        Word::Replaced(new) => out.push_str(&new),
        Word::Open => out.push_str(bare),
    }
    out.push_str(after);
    // A separator ends the command, and with it what its program makes of short options.
    if after.contains([';', '&', '|', ')']) || core.is_empty() || core.starts_with([';', '&', '|'])
    {
        *reader = Reader::new();
    }
}

fn is_quoted_text(word: &str) -> bool {
    let quoted = |quote| word.len() >= 2 && word.starts_with(quote) && word.ends_with(quote);
    (quoted('\'') || quoted('"')) && word.contains(char::is_whitespace)
}

/// What stands between the quotes of a quoted text, read as words.
fn inside(word: &str, depth: usize) -> String {
    let (open, inner, close) = (
        &word[..1],
        &word[1..word.len() - 1],
        &word[word.len() - 1..],
    );
    if depth < MAX_DEPTH {
        format!("{open}{}{close}", text(inner, depth + 1))
    } else {
        format!("{open}{REDACTED}{close}")
    }
}

/// Where the first word of `text` ends: at a blank outside of quotes. A quote that is never closed, as in
/// "don't", is a mere character.
fn word_end(text: &str) -> usize {
    let mut from = 0;
    loop {
        let rest = &text[from..];
        let Some(at) = rest.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '\\'))
        else {
            return text.len();
        };
        let at = from + at;
        let stop = text[at..].chars().next().unwrap_or(' ');
        from = match stop {
            '\\' => at + 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
            quote @ ('\'' | '"') => {
                let window = window(&text[at + 1..]);
                match closing(window, quote) {
                    Some(length) => at + 1 + length + 1,
                    None => at + 1,
                }
            }
            _ => return at,
        };
    }
}

/// The distance to the closing quote, backslashes heeded.
pub(super) fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// As much of a text as a rule looks ahead, so that the cost stays linear whatever the text.
pub(super) fn window(text: &str) -> &str {
    const BYTES: usize = 1024;
    let mut end = text.len().min(BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The word as the program gets it, with the quotes and what escapes them taken away.
fn unquoted(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '\'' | '"' | '\\'))
        .collect()
}

fn hide(word: &str) -> Word {
    if names::is_harmless_value(word) {
        Word::Replaced(word.to_owned())
    } else {
        Word::Replaced(REDACTED.to_owned())
    }
}

/// The user stays, unless it is a key: some services take theirs as the user, with no password.
fn after_user(word: &str) -> String {
    match word.split_once(':') {
        Some((user, secret)) if !secret.is_empty() => {
            format!("{}:{REDACTED}", shapes::scrub(user))
        }
        _ => shapes::scrub(word),
    }
}

/// The short options of a program that is known, if the word names one.
fn program(word: &str) -> Option<ShortOptions> {
    let name = word.rsplit('/').next()?;
    PROGRAMS
        .iter()
        .find(|(names, _)| names.contains(&name))
        .map(|(_, shorts)| *shorts)
}

fn is_long_option(word: &str) -> bool {
    word.strip_prefix("--")
        .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
}
