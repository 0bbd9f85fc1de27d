//! What it means that an unknown program speaks a protocol.
//!
//! A protocol that one product alone speaks tells the product, whatever its executable is called: what answers as
//! Redis is Redis. One that many speak tells a role.

use super::{Kind, find};

/// A protocol that was found by asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// The word in [`diogenes_proto::ProbeOutcome::protocol`].
    word: &'static str,
    /// The kind that it proves; None where several products speak it.
    product: Option<&'static str>,
    /// What a program does that speaks it; None where that is open.
    role: Option<&'static str>,
}

const fn spoken(word: &'static str, role: &'static str) -> Protocol {
    Protocol {
        word,
        product: None,
        role: Some(role),
    }
}

const fn proves(product: &'static str) -> Protocol {
    Protocol {
        word: product,
        product: Some(product),
        role: None,
    }
}

const PROTOCOLS: &[Protocol] = &[
    spoken("http", "web"),
    proves("redis"),
    proves("memcached"),
    proves("postgresql"),
    proves("mysql"),
    proves("mongodb"),
    proves("nats"),
    proves("kafka"),
    proves("zookeeper"),
    spoken("amqp", "queue"),
    spoken("mqtt", "queue"),
    spoken("fastcgi", "web"),
    spoken("grpc", "api"),
    spoken("smtp", "mail"),
    spoken("imap", "mail"),
    spoken("pop3", "mail"),
    spoken("dns", "dns"),
    spoken("ldap", "directory"),
    spoken("ssh", "ssh"),
    spoken("ftp", "file"),
    spoken("rsync", "file"),
    spoken("nntp", "mail"),
    spoken("vnc", "desktop"),
    spoken("svn", "file"),
    spoken("irc", "chat"),
    spoken("lmtp", "mail"),
    spoken("sieve", "mail"),
];

/// The protocol of this word; None where nothing is known of it.
pub(crate) fn protocol(word: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.word == word)
}

impl Protocol {
    /// The kind that it proves.
    pub(crate) fn kind(&self) -> Option<&'static Kind> {
        self.product.and_then(find)
    }

    /// What a program does that speaks it.
    pub(crate) fn role(&self) -> Option<&'static str> {
        self.role.or(self.kind().map(|kind| kind.role))
    }
}

#[cfg(test)]
mod tests {
    use diogenes_proto::ProbeKind;

    use super::*;

    #[test]
    fn what_proves_a_product_is_that_products_protocol() {
        for protocol in PROTOCOLS {
            if let Some(product) = protocol.product {
                let kind = find(product).unwrap_or_else(|| panic!("{product} is no kind"));
                assert_eq!(
                    ProbeKind::speaking(protocol.word),
                    Some(kind.probe),
                    "{product}"
                );
            }
            assert!(protocol.role().is_some(), "{}", protocol.word);
        }
    }
}
