//! What a peer may ask for: the types of requests that are named, and no others.
//!
//! | peer | may |
//! |---|---|
//! | a companion, attached or dialled in | nothing: it answers, and tells |
//! | a client of a companion's socket on the host | whatever looks and asks |
//!
//! A type that is added to the protocol is refused to everybody until it is added here.

use diogenes_proto::line::{Addressed, request_type};
use diogenes_proto::{ErrorCode, WireError};

/// The rights of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    /// Types of requests.
    may: &'static [&'static str],
    /// What the peer can do instead, as the end of a sentence.
    instead: &'static str,
}

/// A request that its peer had no right to.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Its id, where it has one.
    pub(crate) id: Option<u64>,
    /// Its type.
    pub(crate) kind: &'static str,
    /// What to answer.
    pub(crate) error: WireError,
}

impl Rights {
    /// Those of a companion. Whatever holds its end of the session learns nothing by it.
    pub(crate) const COMPANION: Self = Self {
        may: &[],
        instead: "a companion is asked, and asks nobody",
    };

    /// Those of a client on the host.
    pub(crate) const CLIENT: Self = Self {
        may: &[
            "ping", "report", "services", "health", "ask", "snapshot", "probe", "logs",
        ],
        instead: "here one may look and ask; what acts is asked for with `diogenes` or over HTTP",
    };

    /// What to answer to a line that is a request without right; None where it is allowed, or is no request.
    pub(crate) fn refusal(self, line: &[u8]) -> Option<Refused> {
        let Addressed { id, body: kind } = request_type(line)?;
        if self.may.contains(&kind) {
            return None;
        }
        let message = format!(
            "\"{kind}\" is not allowed on this session: {}",
            self.instead
        );
        Some(Refused {
            id,
            kind,
            error: WireError::new(ErrorCode::Forbidden, message),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diogenes_proto::Request;

    fn refused(rights: Rights) -> Vec<&'static str> {
        let types = Request::TYPES.iter().chain(Request::RESERVED);
        let line = |kind: &&&str| format!(r#"{{"id":7,"type":"{kind}"}}"#);
        types
            .filter_map(|kind| rights.refusal(line(&kind).as_bytes()))
            .map(|refused| {
                assert_eq!(
                    (refused.id, refused.error.code),
                    (Some(7), ErrorCode::Forbidden)
                );
                refused.kind
            })
            .collect()
    }

    #[test]
    fn clients_look_and_ask() {
        assert_eq!(
            refused(Rights::CLIENT),
            ["labels", "remember", "profile", "act"]
        );
    }

    #[test]
    fn companions_ask_nothing() {
        let all: Vec<_> = Request::TYPES
            .iter()
            .chain(Request::RESERVED)
            .copied()
            .collect();
        assert_eq!(refused(Rights::COMPANION), all);
    }

    #[test]
    fn what_is_no_request_is_not_theirs_to_refuse() {
        for line in [
            "",
            "act",
            r#"{"type":"fly"}"#,
            r#"{"type":"answer","id":1}"#,
        ] {
            assert!(
                Rights::COMPANION.refusal(line.as_bytes()).is_none(),
                "{line}"
            );
        }
    }
}
