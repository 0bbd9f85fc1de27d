//! What it means that an unknown program speaks a protocol.
//!
//! A protocol that one product alone speaks tells the product, whatever its executable is called: what answers as
//! Redis is Redis. One that many speak tells a role, and how to ask on.

use diogenes_proto::ProbeKind;

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
    /// How it is asked from then on.
    pub(crate) probe: ProbeKind,
}

const fn spoken(word: &'static str, role: &'static str, probe: ProbeKind) -> Protocol {
    Protocol {
        word,
        product: None,
        role: Some(role),
        probe,
    }
}

const fn proves(product: &'static str, probe: ProbeKind) -> Protocol {
    Protocol {
        word: product,
        product: Some(product),
        role: None,
        probe,
    }
}

/// TCP without a protocol that is known, and what hides the protocol.
const fn opaque(word: &'static str, probe: ProbeKind) -> Protocol {
    Protocol {
        word,
        product: None,
        role: None,
        probe,
    }
}

const PROTOCOLS: &[Protocol] = &[
    spoken("http", "web", ProbeKind::Http),
    opaque("tcp", ProbeKind::Tcp),
    opaque("tls", ProbeKind::Tls),
    opaque("http2", ProbeKind::Tcp),
    proves("redis", ProbeKind::Redis),
    proves("memcached", ProbeKind::Memcached),
    proves("postgresql", ProbeKind::Postgresql),
    proves("mysql", ProbeKind::Mysql),
    proves("mongodb", ProbeKind::Mongodb),
    proves("nats", ProbeKind::Nats),
    proves("kafka", ProbeKind::Kafka),
    proves("zookeeper", ProbeKind::Zookeeper),
    spoken("amqp", "queue", ProbeKind::Amqp),
    spoken("mqtt", "queue", ProbeKind::Mqtt),
    spoken("fastcgi", "web", ProbeKind::Fastcgi),
    spoken("smtp", "mail", ProbeKind::Smtp),
    spoken("imap", "mail", ProbeKind::Imap),
    spoken("pop3", "mail", ProbeKind::Pop3),
    spoken("dns", "dns", ProbeKind::Dns),
    spoken("ldap", "directory", ProbeKind::Ldap),
    spoken("ssh", "ssh", ProbeKind::Ssh),
    spoken("ftp", "file", ProbeKind::Ftp),
    // It greets: its greeting is its sign of life, and nothing else is said to it.
    spoken("rsync", "file", ProbeKind::Discover),
    spoken("nntp", "mail", ProbeKind::Discover),
    spoken("vnc", "desktop", ProbeKind::Discover),
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
    use super::*;

    #[test]
    fn what_proves_a_product_is_that_products_protocol() {
        for protocol in PROTOCOLS {
            if let Some(product) = protocol.product {
                let kind = find(product).unwrap_or_else(|| panic!("{product} is no kind"));
                assert_eq!(kind.probe, protocol.probe, "{product}");
            }
            let is_opaque = matches!(protocol.word, "tcp" | "tls" | "http2");
            assert_eq!(protocol.role().is_none(), is_opaque, "{}", protocol.word);
        }
    }
}
