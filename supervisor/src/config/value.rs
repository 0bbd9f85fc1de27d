//! The types a configuration key may have, and how each is read from words.
//!
//! A file gives a text or a list of texts; a flag or a variable gives one text, and a list in it is separated by
//! white space. What reaches this module is words already.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use diogenes_engine::Endpoint;
use diogenes_tekton::Address;
use reqwest::Url;
use tracing_subscriber::EnvFilter;

use crate::attendants::choice::Choice;

/// How a value looks in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `key = "text"`
    Text,
    /// `key = ["text", …]`
    List,
    /// `key = true`
    Switch,
}

/// One word of a value.
pub(crate) trait Word: Sized {
    /// How it looks in a file where it stands alone.
    const SHAPE: Shape = Shape::Text;

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, and what was expected.
    fn read(word: &str) -> Result<Self, String>;

    /// The word as it may be shown to anybody.
    fn shown(word: &str) -> String {
        word.to_owned()
    }
}

/// A whole value.
pub(crate) trait Value: Sized {
    /// How it looks in a file.
    const SHAPE: Shape;

    /// Reads it; `words` is empty where nothing was given and the key has no default.
    ///
    /// # Errors
    /// What is wrong with it, and what was expected.
    fn read(words: &[String]) -> Result<Self, String>;

    /// A word of it as it may be shown to anybody.
    fn shown(word: &str) -> String;
}

impl<T: Word> Value for T {
    const SHAPE: Shape = T::SHAPE;

    fn read(words: &[String]) -> Result<Self, String> {
        T::read(words.first().map_or("", String::as_str))
    }

    fn shown(word: &str) -> String {
        <T as Word>::shown(word)
    }
}

impl<T: Word> Value for Option<T> {
    const SHAPE: Shape = T::SHAPE;

    fn read(words: &[String]) -> Result<Self, String> {
        words.first().map(|word| T::read(word)).transpose()
    }

    fn shown(word: &str) -> String {
        T::shown(word)
    }
}

impl<T: Word> Value for Vec<T> {
    const SHAPE: Shape = Shape::List;

    fn read(words: &[String]) -> Result<Self, String> {
        words.iter().map(|word| T::read(word)).collect()
    }

    fn shown(word: &str) -> String {
        T::shown(word)
    }
}

impl Word for bool {
    const SHAPE: Shape = Shape::Switch;

    fn read(word: &str) -> Result<Self, String> {
        word.parse()
            .map_err(|_| format!("expected true or false, found {word:?}"))
    }
}

/// A group of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its number.
    pub(crate) gid: u32,
}

impl Group {
    /// Where the machine's own groups are (group(5)). One from a directory service is given by its number.
    const FILE: &str = "/etc/group";

    fn find(word: &str, groups: &str) -> Option<Self> {
        let named = |line: &str| {
            let mut fields = line.split(':');
            (fields.next()? == word)
                .then(|| fields.nth(1)?.parse().ok())
                .flatten()
        };
        let gid = groups
            .lines()
            .find_map(named)
            .or_else(|| word.parse().ok())?;
        Some(Self { gid })
    }
}

impl Word for Group {
    fn read(word: &str) -> Result<Self, String> {
        let groups = std::fs::read_to_string(Self::FILE).unwrap_or_default();
        Self::find(word, &groups).ok_or_else(|| {
            format!("there is no group {word:?} in {}; make it with groupadd, or give another, or its number", Self::FILE)
        })
    }
}

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// Its number.
    pub(crate) uid: u32,
    /// The number of its first group.
    pub(crate) gid: u32,
}

impl User {
    /// Where the machine's own users are (passwd(5)).
    const FILE: &str = "/etc/passwd";

    /// Finds one by name or number.
    fn find(word: &str, users: &str) -> Option<Self> {
        let entry = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let (uid, gid) = (fields.nth(1)?, fields.next()?);
            (name == word || uid == word)
                .then(|| {
                    Some(Self {
                        uid: uid.parse().ok()?,
                        gid: gid.parse().ok()?,
                    })
                })
                .flatten()
        };
        users.lines().find_map(entry)
    }
}

impl Word for User {
    fn read(word: &str) -> Result<Self, String> {
        let users = std::fs::read_to_string(Self::FILE).unwrap_or_default();
        Self::find(word, &users).ok_or_else(|| {
            format!(
                "there is no user {word:?} in {}; give the name or number of one",
                Self::FILE
            )
        })
    }
}

/// Ports, as `FIRST-LAST`; both ends belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortRange {
    /// The first, not 0.
    pub(crate) first: u16,
    /// The last, not below the first.
    pub(crate) last: u16,
}

impl Word for PortRange {
    fn read(word: &str) -> Result<Self, String> {
        let range = word.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (0 < first && first <= last).then_some(Self { first, last })
        });
        range.ok_or_else(|| format!("expected FIRST-LAST, such as 4200-4299, found {word:?}"))
    }
}

impl Word for PathBuf {
    fn read(word: &str) -> Result<Self, String> {
        if word.is_empty() || word.contains('\0') {
            return Err("expected a path".into());
        }
        Ok(word.into())
    }
}

impl Word for SocketAddr {
    fn read(word: &str) -> Result<Self, String> {
        word.parse().map_err(|_| {
            format!("expected ADDRESS:PORT, such as 127.0.0.1:4120 or [::1]:4120, found {word:?}")
        })
    }
}

impl Word for Choice {
    fn read(word: &str) -> Result<Self, String> {
        match word {
            "auto" => Ok(Self::Auto),
            "attach" => Ok(Self::Attach),
            "exec" => Ok(Self::Exec),
            _ => Err(format!("expected auto, attach or exec, found {word:?}")),
        }
    }
}

impl Word for Endpoint {
    fn read(word: &str) -> Result<Self, String> {
        word.parse()
            .map_err(|error: diogenes_engine::EndpointError| error.to_string())
    }
}

/// What is told in the log: directives of tracing's `EnvFilter`, as in `RUST_LOG`.
#[derive(Clone, Debug)]
pub(crate) struct Filter(EnvFilter);

impl Filter {
    /// The filter.
    pub(crate) fn env_filter(&self) -> EnvFilter {
        self.0.clone()
    }
}

impl Word for Filter {
    fn read(word: &str) -> Result<Self, String> {
        EnvFilter::builder().parse(word).map(Self).map_err(|error| {
            format!("expected a log filter, such as info or debug,diogenes::session=trace, found {word:?} ({error})")
        })
    }
}

/// A further name that the `Host` header may have: a name or an address, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostName(String);

impl HostName {
    /// Whether `name` is this one: names know no case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl Word for HostName {
    fn read(word: &str) -> Result<Self, String> {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let address = word.parse::<std::net::IpAddr>().is_ok();
        if !address && (word.is_empty() || !word.bytes().all(named)) {
            return Err(format!(
                "expected a host's name or address without a port, such as shop.example, found {word:?}"
            ));
        }
        Ok(Self(word.to_owned()))
    }
}

/// The address of an HTTP service. Its path and query may hold a secret: they are never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl(Url);

impl HttpUrl {
    /// The whole URL, secrets included.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for HttpUrl {
    /// Scheme, host and port only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        let more = self.0.path() != "/" || self.0.query().is_some();
        f.write_str(if more { "/…" } else { "/" })
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Word for HttpUrl {
    fn read(word: &str) -> Result<Self, String> {
        // What was given is not repeated: it may hold a secret.
        let wrong =
            |why: &str| format!("expected a URL, such as https://alerts.example/hook: {why}");
        let url = Url::parse(word).map_err(|error| wrong(&error.to_string()))?;
        match url.scheme() {
            "http" | "https" => Ok(Self(url)),
            other => Err(wrong(&format!(
                "{other}:// is neither http:// nor https://"
            ))),
        }
    }

    fn shown(word: &str) -> String {
        <Self as Word>::read(word).map_or_else(|_| "…".into(), |url| url.to_string())
    }
}

impl Word for Address {
    fn read(word: &str) -> Result<Self, String> {
        Self::parse(word).map_err(|error| error.to_string())
    }

    fn shown(word: &str) -> String {
        // One that is wrong may hold a secret.
        Self::parse(word).map_or_else(|_| "…".into(), |address| address.as_str().to_owned())
    }
}

/// A word of a command line: shown without what looks like a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Argument(String);

impl Argument {
    /// The word itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", <Self as Word>::shown(&self.0))
    }
}

impl Word for Argument {
    fn read(word: &str) -> Result<Self, String> {
        if word.contains('\0') {
            return Err("expected the words of a command".into());
        }
        Ok(Self(word.to_owned()))
    }

    fn shown(word: &str) -> String {
        diogenes_discovery::redact::redact_text(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\nbroken\ncasey:x:1000:100::/home/casey:/bin/sh\n";
        let casey = User {
            uid: 1000,
            gid: 100,
        };
        assert_eq!(User::find("casey", users), Some(casey));
        assert_eq!(User::find("1000", users), Some(casey));
        for nobody in ["x", "100", "", "broken"] {
            assert_eq!(User::find(nobody, users), None, "{nobody}");
        }
    }

    #[test]
    fn a_range_of_ports_has_two_ends_in_order() {
        let read = <PortRange as Word>::read;
        assert_eq!(
            read("4200-4299"),
            Ok(PortRange {
                first: 4200,
                last: 4299
            })
        );
        assert_eq!(read("7-7"), Ok(PortRange { first: 7, last: 7 }));
        for wrong in ["", "4200", "0-7", "9-8", "1-65536", "a-b", "-"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
