//! By shape: what gives itself away as a secret wherever it stands.
//!
//! Each rule looks at one place of the text and says how far the secret reaches; [`scrub`] goes through
//! the text once, left to right, and every rule sees the part that is not yet written.

use super::{
    REDACTED, names,
    words::{closing, window},
};

/// Beginnings of tokens that say whose they are.
const PREFIXES: &[&str] = &[
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "AIza",
    "hf_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "eyJ",
    "SG.",
    "hvs.",
];
/// A token is at least this long after such a beginning.
const PREFIXED_BYTES: usize = 16;
/// A token without one is at least this long to be told from a word.
const RANDOM_BYTES: usize = 32;
/// Length of a secret access key of AWS.
const AWS_SECRET_BYTES: usize = 40;
/// Words after `Authorization:` that are no secret themselves.
const SCHEMES: &[&str] = &["bearer", "basic", "token", "digest", "negotiate", "apikey"];

/// A place of the text where a rule found a secret: bytes `keep` stay, the bytes from there to `end` are hidden.
struct Found {
    keep: usize,
    end: usize,
}

/// Hides every secret that shows by its shape.
pub(super) fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let found = starts_here(text, at);
        if let Some(Found { keep, end }) = found.filter(|found| found.end > found.keep) {
            out.push_str(&text[at..keep]);
            out.push_str(REDACTED);
            at = end;
        } else {
            let step = text[at..].chars().next().map_or(1, char::len_utf8);
            out.push_str(&text[at..at + step]);
            at += step;
        }
    }
    out
}

/// Applies the rules at one place. Most places are inside a word and of interest to none.
fn starts_here(text: &str, at: usize) -> Option<Found> {
    let rest = &text[at..];
    let first = rest.bytes().next()?;
    let begins_word = at == 0 || !is_token(text.as_bytes()[at - 1]);
    match first {
        b':' => key_value(text, at).or_else(|| url(text, at)),
        b'=' => key_value(text, at),
        b'-' if rest.starts_with("-----BEGIN ") => private_key(text, at),
        b'@' => None,
        _ if begins_word && first.is_ascii_alphanumeric() => keyword(text, at)
            .or_else(|| dsn(text, at))
            .or_else(|| token(text, at)),
        _ if begins_word && matches!(first, b'+' | b'/') => token(text, at),
        _ => None,
    }
}

/// `name=value`, `name: value`, `"name": "value"`: at the separator, looks back for the name.
fn key_value(text: &str, at: usize) -> Option<Found> {
    let before = text[..at].trim_end_matches(' ');
    let before = before.strip_suffix(['"', '\'']).unwrap_or(before);
    let start = before.rfind(|c: char| !is_name(c)).map_or(0, |at| {
        at + before[at..].chars().next().map_or(1, char::len_utf8)
    });
    let name = &before[start..];
    let authorization = name.to_ascii_lowercase().ends_with("authorization");
    if !authorization && !names::is_secret(name) {
        return None;
    }
    // "Unexpected token: }" is a parser's complaint.
    let word_before = window_back(&before[..start])
        .trim_end()
        .rsplit(' ')
        .next()
        .unwrap_or_default();
    let complaint = ["unexpected", "invalid", "expected", "unknown", "illegal"];
    if complaint
        .iter()
        .any(|one| word_before.eq_ignore_ascii_case(one))
    {
        return None;
    }
    let after = &text[at + 1..];
    if after.starts_with("//") || after.starts_with([':', '=']) {
        return None;
    }
    let mut from = at + 1 + after.len() - after.trim_start_matches([' ', '\t']).len();
    let mut end = None;
    if let Some(quote @ ('"' | '\'')) = text[from..].chars().next() {
        end = closing(window(&text[from + 1..]), quote).map(|length| from + 1 + length);
        from += 1;
    }
    if authorization {
        from += scheme(&text[from..]);
    }
    let whole_line = name.to_ascii_lowercase().ends_with("cookie");
    let end = end.unwrap_or_else(|| from + value_end(&text[from..], whole_line));
    (from <= end && !names::is_harmless_value(&text[from..end]))
        .then_some(Found { keep: from, end })
}

/// The last few bytes of a text, whole characters.
fn window_back(text: &str) -> &str {
    let mut start = text.len().saturating_sub(16);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Length of `Bearer ` and the like at the beginning of a value.
fn scheme(value: &str) -> usize {
    let word = value.split(' ').next().unwrap_or_default();
    let known = SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme));
    let blank = value[word.len()..].len() - value[word.len()..].trim_start_matches(' ').len();
    if known && blank > 0 {
        word.len() + blank
    } else {
        0
    }
}

/// How far an unquoted value goes. A separator ends it only where another pair, or nothing, follows: a
/// password may hold one.
fn value_end(value: &str, whole_line: bool) -> usize {
    if whole_line {
        return value.find(['"', '\'', '\n', '\r']).unwrap_or(value.len());
    }
    // What was hidden before is a whole: its bracket ends nothing.
    let hidden = value.strip_prefix(REDACTED).map_or(0, |_| REDACTED.len());
    for (at, c) in value[hidden..].char_indices() {
        let at = hidden + at;
        match c {
            // The shell's, whatever follows.
            '|' | '`' if hidden > 0 && at == hidden => return at,
            c if c.is_whitespace() => return at,
            '"' | '\'' => return at,
            ',' | ';' | '&' | ')' | '}' | ']' => {
                let rest = &value[at + 1..];
                let name = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
                let follows = rest[name..].chars().next();
                let ends =
                    rest.is_empty() || (name == 0 && follows.is_none_or(|c| !c.is_alphanumeric()));
                if ends || (name > 0 && follows == Some('=')) {
                    return at;
                }
            }
            _ => {}
        }
    }
    value.len()
}

/// `scheme://user:secret@host`: at the colon. The user stays.
fn url(text: &str, at: usize) -> Option<Found> {
    let start = at + 3;
    if !text[at..].starts_with("://") || !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
    {
        return None;
    }
    let rest = window(&text[start..]);
    let rest = &rest[..rest
        .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>'))
        .unwrap_or(rest.len())];
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let colon = rest[..authority].find(':')?;
    let after = &rest[colon + 1..authority];
    let is_port = !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit());
    let at_sign = match rest[..authority].rfind('@') {
        Some(at_sign) => at_sign,
        // A secret with a slash in it, not encoded as it should be; but a port, or [::1], is none.
        None if !is_port && !rest.starts_with('[') && !after.is_empty() => rest.rfind('@')?,
        None => return None,
    };
    (at_sign > colon + 1).then_some(Found {
        keep: start + colon + 1,
        end: start + at_sign,
    })
}

/// `user:secret@tcp(host:3306)/base`, as Go's MySQL driver has it.
fn dsn(text: &str, at: usize) -> Option<Found> {
    let rest = window(&text[at..]);
    let rest = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
    let end = ["@tcp(", "@unix("]
        .iter()
        .filter_map(|mark| rest.find(mark))
        .min()?;
    let colon = rest[..end].find(':')?;
    (!rest[..end].contains("://")).then_some(Found {
        keep: at + colon + 1,
        end: at + end,
    })
}

/// `Bearer TOKEN`, `PASSWORD 'x'`, `IDENTIFIED BY 'x'`, `AUTH x`.
fn keyword(text: &str, at: usize) -> Option<Found> {
    let rest = &text[at..];
    let begins = |word: &str| {
        let head = rest.get(..word.len())?;
        head.eq_ignore_ascii_case(word).then_some(at + word.len())
    };
    if let Some(from) = begins("bearer ") {
        let length =
            text[from..].find(|c: char| !(c.is_ascii_alphanumeric() || "._~+/=-".contains(c)));
        let value = &text[from..from + length.unwrap_or(text.len() - from)];
        let secret = value.len() >= 20
            || (value.len() >= 8 && value.bytes().any(|byte| byte.is_ascii_digit()));
        return secret.then_some(Found {
            keep: from,
            end: from + value.len(),
        });
    }
    let from = ["identified by ", "password "]
        .into_iter()
        .find_map(begins)?;
    let quote = text[from..].chars().next().filter(|c| *c == '\'')?;
    let length = closing(window(&text[from + 1..]), quote)?;
    Some(Found {
        keep: from + 1,
        end: from + 1 + length,
    })
}

/// A private key in PEM, to its end or to the end of the text.
fn private_key(text: &str, at: usize) -> Option<Found> {
    let rest = &text[at..];
    let heading = rest.get(11..)?.find("-----")?;
    if !rest[11..11 + heading].ends_with("PRIVATE KEY") {
        return None;
    }
    let end = rest.find("-----END ").map_or(rest.len(), |end| {
        let tail = &rest[end + 9..];
        end + 9 + tail.find("-----").map_or(tail.len(), |dashes| dashes + 5)
    });
    Some(Found {
        keep: at,
        end: at + end,
    })
}

/// A token: by a known beginning, or by looking random.
fn token(text: &str, at: usize) -> Option<Found> {
    let rest = &text.as_bytes()[at..];
    let run = rest.iter().take_while(|byte| is_token(**byte)).count();
    if let Some(prefix) = PREFIXES
        .iter()
        .find(|prefix| rest.starts_with(prefix.as_bytes()))
    {
        // JWTs and a few others have dots.
        let length = rest
            .iter()
            .take_while(|byte| is_token(**byte) || **byte == b'.')
            .count();
        let dotted = run + usize::from(prefix.ends_with('.'));
        if length >= prefix.len() + PREFIXED_BYTES && (dotted >= 12 || length > run) {
            return Some(Found {
                keep: at,
                end: at + length,
            });
        }
    }
    let digest = text[..at].ends_with("sha256:") || text[..at].ends_with("sha512:");
    // A component of a path may be a digest; a token with slashes is longer than its parts.
    let in_path = text[..at].ends_with('/');
    if run >= RANDOM_BYTES
        && !digest
        && !(in_path && is_hex(&rest[..run]))
        && looks_random(&rest[..run])
    {
        return Some(Found {
            keep: at,
            end: at + run,
        });
    }
    let joined = window(&text[at..])
        .bytes()
        .take_while(|byte| is_token(*byte) || *byte == b'/')
        .count();
    let parts = &rest[..joined];
    let path = in_path
        || rest[0] == b'/'
        || parts
            .split(|byte| *byte == b'/')
            .any(|part| is_hex(part) && part.len() >= 12);
    let random = looks_random(parts) || (joined == AWS_SECRET_BYTES && changes_often(parts));
    (!path && !digest && joined > run && joined >= RANDOM_BYTES && random && has_all_classes(parts))
        .then_some(Found {
            keep: at,
            end: at + joined,
        })
}

/// Random text changes between letters and digits every few characters; words, names and versions do not.
fn looks_random(token: &[u8]) -> bool {
    // Dashes part the words of names, pods and UUIDs: every part is judged by itself.
    let longest = token
        .split(|byte| *byte == b'-')
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    let letters = token.iter().any(u8::is_ascii_alphabetic);
    let changes = token
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    letters && (longest >= 24) && changes * 12 >= token.len()
}

/// Changes between small letters, capitals and digits at every third character or more.
fn changes_often(token: &[u8]) -> bool {
    let class = |byte: u8| {
        (
            byte.is_ascii_lowercase(),
            byte.is_ascii_uppercase(),
            byte.is_ascii_digit(),
        )
    };
    let changes = token
        .windows(2)
        .filter(|pair| class(pair[0]) != class(pair[1]))
        .count();
    changes * 3 >= token.len()
}

fn has_all_classes(token: &[u8]) -> bool {
    token.iter().any(u8::is_ascii_lowercase)
        && token.iter().any(u8::is_ascii_uppercase)
        && token.iter().any(u8::is_ascii_digit)
}

fn is_hex(token: &[u8]) -> bool {
    token.iter().all(u8::is_ascii_hexdigit)
}

/// What a token consists of; the alphabets of base64 and base64url without the slash.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'_' | b'-')
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}
