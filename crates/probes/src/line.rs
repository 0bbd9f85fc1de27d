//! Answers whose first line tells all: tables of beginnings, and what follows them.

use diogenes_proto::Verdict;

use crate::reply::{Answer, Reply};

/// A first line that is not over by here is none.
const LONGEST_LINE_BYTES: usize = 4096;

/// A beginning of a first line, and what it says of the service.
pub(crate) struct Line {
    pub(crate) begins: &'static [u8],
    pub(crate) verdict: Verdict,
    /// What follows the service's name. The line itself is quoted after it.
    pub(crate) words: &'static str,
}

pub(crate) const fn line(begins: &'static [u8], verdict: Verdict, words: &'static str) -> Line {
    Line {
        begins,
        verdict,
        words,
    }
}

/// Programs by the word that their first line has for them, and how they are called here. Where a version follows,
/// it follows at once, or after one separator.
const PRODUCTS: &[(&[u8], &[u8])] = &[
    (b"OpenSSH_", b"openssh"),
    (b"dropbear_", b"dropbear"),
    (b"Postfix", b"postfix"),
    (b"Exim", b"exim"),
    (b"OpenSMTPD", b"opensmtpd"),
    (b"Sendmail", b"sendmail"),
    (b"Dovecot", b"dovecot"),
    (b"Cyrus IMAP", b"cyrus"),
    (b"Courier", b"courier"),
    (b"vsFTPd", b"vsftpd"),
    (b"ProFTPD", b"proftpd"),
    (b"Pure-FTPd", b"pure-ftpd"),
    (b"\"version\":\"", b""),
    (b"VERSION", b""),
    (b"Zookeeper version:", b""),
];

/// Reads a first line by its table.
pub(crate) fn read(heard: &[u8], lines: &[Line]) -> Reply {
    let Some(end) = heard.iter().position(|&byte| byte == b'\n') else {
        let may_become = |line: &Line| {
            let common = heard.len().min(line.begins.len());
            heard[..common] == line.begins[..common]
        };
        return if heard.len() < LONGEST_LINE_BYTES && lines.iter().any(may_become) {
            Reply::Incomplete
        } else {
            Reply::Stranger
        };
    };
    let first = &heard[..end];
    let Some(line) = lines.iter().find(|line| first.starts_with(line.begins)) else {
        return Reply::Stranger;
    };
    let (product, version) = product(first);
    Answer::new(line.verdict, line.words)
        .saying(first)
        .with_product(product)
        .with_version(version)
        .into()
}

/// Product and version in a first line.
fn product(line: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let found = PRODUCTS.iter().find_map(|(word, name)| {
        let at = line.windows(word.len()).position(|part| part == *word)?;
        Some((*name, &line[at + word.len()..]))
    });
    let Some((name, rest)) = found else {
        return (None, None);
    };
    let rest = rest
        .strip_prefix(b" ")
        .or(rest.strip_prefix(b"/"))
        .unwrap_or(rest);
    let is_of_version = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+~".contains(byte);
    let length = rest.iter().take_while(|byte| is_of_version(byte)).count();
    let version = rest[..length].first().is_some_and(u8::is_ascii_digit);
    (Some(name), version.then_some(&rest[..length]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn products_and_versions() {
        // Debian 12's packages; dropbear, ProFTPD and Cyrus as their documentation shows them.
        for (line, name, version) in [
            (
                "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u5",
                "openssh",
                Some("9.2p1"),
            ),
            ("SSH-2.0-dropbear_2022.83", "dropbear", Some("2022.83")),
            ("220 box ESMTP Postfix (Debian/GNU)", "postfix", None),
            (
                "220 box ESMTP Exim 4.96 Sat, 21 Nov 2026",
                "exim",
                Some("4.96"),
            ),
            ("220 (vsFTPd 3.0.3)", "vsftpd", Some("3.0.3")),
            (
                "* OK [CAPABILITY IMAP4rev1 SASL-IR] Dovecot (Debian) ready.",
                "dovecot",
                None,
            ),
        ] {
            let (product, told) = product(line.as_bytes());
            assert_eq!(product, Some(name.as_bytes()), "{line}");
            assert_eq!(told, version.map(str::as_bytes), "{line}");
        }
        assert_eq!(product(b"220 welcome"), (None, None));
        assert_eq!(product(b"VERSION 1.6.18\r").1, Some(&b"1.6.18"[..]));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = product(&bytes);
        }
    }
}
