//! Which names are those of secrets: of options, variables, headers and keys alike.

/// Last words of a name that make it a secret's: `--db-password`, `PGPASSWORD`, `authToken`.
const SECRET_ENDINGS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "pass",
    "requirepass",
    "masterauth",
    "secret",
    "token",
    "credential",
    "cookie",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authkey",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "accountkey",
    "sharedkey",
    "sessionkey",
    "secretkeybase",
];

/// Words that end so and are none.
const HARMLESS_WORDS: &[&str] = &["bypass", "compass", "trespass", "underpass", "overpass"];

/// Last words by which a name speaks *of* a secret: where it is, how long, whether there is one.
const ABOUT: &[&str] = &[
    "file",
    "path",
    "dir",
    "directory",
    "url",
    "uri",
    "endpoint",
    "env",
    "name",
    "id",
    "type",
    "length",
    "len",
    "min",
    "max",
    "size",
    "count",
    "limit",
    "ttl",
    "expiry",
    "expires",
    "timeout",
    "lifetime",
    "policy",
    "prompt",
    "stdin",
    "fd",
    "auth",
    "authentication",
    "enabled",
    "required",
    "encryption",
    "method",
    "algorithm",
    "mode",
    "store",
    "helper",
    "command",
    "cmd",
    "field",
    "header",
    "version",
];

/// First words by which a name denies or counts.
const DENYING: &[&str] = &["no", "without", "skip", "disable", "max", "min", "num"];

/// Extensions of files in which keys are kept: `--private-key=/etc/ssl/key.pem` names no secret.
const KEY_FILES: &[&str] = &[
    ".pem", ".key", ".crt", ".cer", ".json", ".p8", ".p12", ".pfx", ".jks", ".txt", ".pub",
];

/// Whether the value that goes with `name` is to be hidden.
pub(super) fn is_secret(name: &str) -> bool {
    // The shell's working directories.
    if matches!(name, "PWD" | "OLDPWD") || name.len() > 128 {
        return false;
    }
    let words = split(name);
    let (Some(first), Some(last)) = (words.first(), words.last()) else {
        return false;
    };
    if DENYING.contains(&first.as_str()) && words.len() > 1 {
        return false;
    }
    if words.len() > 1 && ABOUT.contains(&last.as_str()) {
        return false;
    }
    // "secret" anywhere: --secret-key-base, clientSecretV2.
    words
        .iter()
        .any(|word| word == "secret" || word == "password")
        || ends_secret(last)
        || words
            .windows(2)
            .last()
            .is_some_and(|pair| ends_secret(&pair.concat()))
}

fn ends_secret(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let singular = word.strip_suffix('s').unwrap_or(word);
    !HARMLESS_WORDS.contains(&word)
        && SECRET_ENDINGS
            .iter()
            .any(|ending| word.ends_with(ending) || singular.ends_with(ending))
}

/// Whether a value is none: what logs write for nothing, and names of key files.
pub(super) fn is_harmless_value(value: &str) -> bool {
    const NOTHING: &[&str] = &["", "null", "none", "nil", "true", "false", super::REDACTED];
    NOTHING
        .iter()
        .any(|nothing| value.eq_ignore_ascii_case(nothing))
        || (value.starts_with(['/', '.']) && KEY_FILES.iter().any(|end| value.ends_with(end)))
}

/// The words of a name in lower case, split at `-`, `_`, `.` and where a capital follows a small letter.
fn split(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut after_small = false;
    for c in name.chars() {
        let separates = !c.is_alphanumeric();
        if (separates || (c.is_uppercase() && after_small)) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        after_small = c.is_lowercase();
        if !separates {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_names_of_secrets_from_names_about_them() {
        for name in [
            "password",
            "PASSWORD",
            "PGPASSWORD",
            "db_password2",
            "--requirepass",
            "masterauth",
            "api-key",
            "apiKey",
            "APIKEY",
            "X-Api-Key",
            "AWS_SECRET_ACCESS_KEY",
            "clientSecret",
            "secret-key-base",
            "accessToken",
            "tokens",
            "spring.datasource.password",
            "Pwd",
            "DB_PWD",
            "user-pass",
            "passwd",
            "AccountKey",
            "credentials",
            "Set-Cookie",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "password-file",
            "PASSWORD_FILE",
            "token-url",
            "max-tokens",
            "tokenizer",
            "no-password",
            "PWD",
            "key",
            "keyboard",
            "bypass",
            "compass",
            "port",
            "user",
            "secret-name",
            "",
            "---",
            "monkey",
            "password_encryption",
            "passive",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
