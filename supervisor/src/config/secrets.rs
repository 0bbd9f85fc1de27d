//! What is read from files of its own because it must not be seen: bearer tokens, the webhook's secret.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use subtle::{Choice, ConstantTimeEq as _};

/// Largest file of secrets.
const MAX_BYTES: u64 = 64 * 1024;
/// A shorter token could be guessed.
const MIN_TOKEN_CHARS: usize = 16;
/// Permissions that would let everybody on the machine read the file.
const OTHERS: u32 = 0o007;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(diogenes_discovery::redact::REDACTED)
    }
}

/// What the files hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Secrets {
    /// Who has one of these may do everything over TCP.
    pub(crate) tokens: Tokens,
    /// What webhook calls are signed with; None for no signature.
    pub(crate) webhook: Option<Secret>,
}

/// The bearer tokens; none where TCP asks for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens(Vec<Secret>);

impl Tokens {
    /// Reads a file of tokens, one a line; empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// What is wrong with the file, and what to do.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = read_secret(path)?;
        let lines = text.lines().map(str::trim).enumerate();
        let tokens = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(index, line)| {
                check_token(line).map_err(|what| format!("line {}: {what}", index + 1))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if tokens.is_empty() {
            return Err(
                "holds no token; put one on a line, such as the output of: openssl rand -hex 32"
                    .into(),
            );
        }
        Ok(Self(tokens))
    }

    /// Whether none is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one of them. How long it takes tells only their number and lengths.
    pub(crate) fn admit(&self, presented: &str) -> bool {
        let no = Choice::from(0);
        let any = self.0.iter().fold(no, |any, token| {
            any | token.0.as_bytes().ct_eq(presented.as_bytes())
        });
        any.into()
    }
}

/// Reads a file that holds one secret: all of it but the line end.
///
/// # Errors
/// What is wrong with the file, and what to do.
pub(crate) fn read_one(path: &Path) -> Result<Secret, String> {
    let text = read_secret(path)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty; put the secret into it".into()),
        secret => Ok(Secret(secret.to_owned())),
    }
}

/// RFC 6750, 2.1: `b64token`.
fn check_token(token: &str) -> Result<Secret, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.len() < MIN_TOKEN_CHARS {
        return Err(format!(
            "a token has at least {MIN_TOKEN_CHARS} characters: openssl rand -hex 32"
        ));
    }
    if !token.bytes().all(allowed) {
        return Err("a token has only letters, digits and -._~+/=".into());
    }
    Ok(Secret(token.to_owned()))
}

fn read_secret(path: &Path) -> Result<String, String> {
    let (text, mode) =
        read_bounded(path, MAX_BYTES).map_err(|error| format!("cannot be read: {error}"))?;
    if mode & OTHERS != 0 {
        return Err(format!(
            "is open to everybody (mode {:04o}), and so are the secrets in it; close it with: chmod o= {}, \
             and put new ones into it",
            mode & 0o7777,
            path.display()
        ));
    }
    Ok(text)
}

/// Text and mode of a regular file, which may be anything: nothing endless, nothing that waits for a writer.
///
/// # Errors
/// Where it cannot be opened, is no regular file, is larger than `max_bytes`, or is no UTF-8.
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> std::io::Result<(String, u32)> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = std::fs::File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(std::io::Error::other(format!(
            "it has more than {max_bytes} bytes"
        )));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is no UTF-8 text"))?;
    Ok((text, metadata.mode()))
}
