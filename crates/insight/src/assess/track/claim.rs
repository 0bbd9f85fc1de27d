//! What the service is: what its process claims, held against what its socket says.

use diogenes_proto::{ProbeKind, ProbeOutcome, Timestamp, Untrusted};

use super::{Learnt, Track};
use crate::catalogue::{self, Kind, protocol, refined};
use crate::recognise::FRONT_ROLE;

/// What becomes of the claim that its process makes once its socket has been heard.
///
/// ```text
/// claimed ── never answers as its kind does ─► doubted: what does it speak? ─┬─► disproved: named by that
///                                                                            └─► relays it, or it hides
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing speaks against it, or nothing was claimed.
    #[default]
    Claimed,
    /// What it speaks is being found out.
    Doubted,
    /// It is what it claims, and speaks something else: a proxy of any protocol, or TLS.
    Covers,
    /// It is something else.
    Disproved,
}

impl Track {
    /// The entry of what it is, as far as is known: what it says it is, what its process is, or the one product
    /// that speaks as it does.
    pub(crate) fn entry(&self) -> Option<&'static Kind> {
        let spoken = || protocol(self.learnt.protocol.as_deref()?)?.kind();
        self.learnt.kind.or(self.seen.entry).or_else(spoken)
    }

    /// The kind as far as it is known: the catalogue's, or what the service turned out to speak.
    pub(crate) fn kind(&self) -> &str {
        match (self.entry(), &self.learnt.protocol) {
            (Some(entry), _) => entry.kind,
            (None, Some(protocol)) => protocol,
            (None, None) => self.seen.kind,
        }
    }

    /// The name for people. An unknown program that speaks a known kind's own protocol is of that kind.
    pub(crate) fn name(&self) -> Untrusted {
        match (&self.seen.own.name, self.entry()) {
            (Some(own), _) => own.clone(),
            (None, Some(entry)) => entry.name.into(),
            (None, None) => self.seen.name.clone(),
        }
    }

    /// The role it has by itself.
    pub(crate) fn role(&self) -> Option<&'static str> {
        let spoken = || protocol(self.learnt.protocol.as_deref()?)?.role();
        let own = self.seen.own.role;
        own.or(self.passes_on().then_some(FRONT_ROLE))
            .or_else(|| self.entry().map(|entry| entry.role))
            .or_else(spoken)
    }

    /// Whether it is what it claims, though it answers in another protocol.
    pub(crate) fn covers(&self) -> bool {
        self.standing == Standing::Covers
    }

    /// Whether it is a web server that does not serve the web: it passes on what somebody else speaks, as nginx does
    /// with its streams.
    fn passes_on(&self) -> bool {
        let spoken = self.learnt.protocol.as_deref();
        self.covers()
            && self.seen.entry.is_some_and(|entry| entry.fronts)
            && spoken.is_some_and(|spoken| !matches!(spoken, "http" | "http2" | "tls"))
    }

    /// Whether TLS is all it does: what lies below is somebody else's.
    pub(crate) fn does_only_tls(&self) -> bool {
        let does = |entry: &Kind| entry.probe == ProbeKind::Tls && entry.role == FRONT_ROLE;
        self.entry().is_some_and(does)
    }

    /// Whether a version is its own that came in an answer, with this product or none. A header may name the server of
    /// another service's application: FastAPI's says "uvicorn". And who passes on questions passes on the answers too:
    /// nginx' streams, dnsdist.
    pub(super) fn is_its_own(&self, product: Option<&str>, is_http: bool) -> bool {
        let entry = self.entry();
        match product.filter(|product| !product.is_empty()) {
            Some(product) if is_http => product.eq_ignore_ascii_case(self.kind()),
            _ if self.covers() || entry.is_some_and(|entry| entry.relays) => false,
            Some(product) => !entry.is_some_and(|entry| is_anothers(product, entry)),
            None => true,
        }
    }

    /// Begins to doubt what it claims to be; false where nothing was claimed, or the claim is decided. What has just
    /// started may not speak as it will.
    pub(super) fn doubt(&mut self, now: Timestamp) -> bool {
        let begins = !self.proven
            && !self.is_asked_as_said()
            && self.seen.entry.is_some()
            && self.standing == Standing::Claimed
            && !self.is_young(now);
        if begins {
            self.standing = Standing::Doubted;
        }
        begins
    }

    /// Holds what it answered against what it claims to be.
    pub(super) fn weigh(&mut self, outcome: &ProbeOutcome) {
        let Some(entry) = self.seen.entry else {
            return;
        };
        let is_another = match self.standing {
            Standing::Doubted => {
                // Servers of the web often have a port for something else too.
                let says_little = match outcome.protocol.as_deref() {
                    None | Some("tls") => true,
                    Some("tcp") => entry.probe == ProbeKind::Http,
                    Some(_) => false,
                };
                let spoken = outcome.protocol.as_deref();
                let is_its_own = spoken.and_then(ProbeKind::speaking) == Some(entry.probe);
                self.standing = match (is_its_own, says_little || entry.relays) {
                    (true, _) => Standing::Claimed,
                    (_, true) => Standing::Covers,
                    _ => Standing::Disproved,
                };
                self.standing == Standing::Disproved
            }
            // Any program may be called nginx; nginx says so twice more, in its title and in its answers.
            Standing::Claimed => {
                let product = outcome.product.as_ref().map(Untrusted::as_raw);
                let is_kin = || refined(entry, product, None).is_some();
                self.seen.untitled
                    && product.is_some_and(|product| !product.eq_ignore_ascii_case(entry.kind))
                    && !is_kin()
            }
            Standing::Covers | Standing::Disproved => false,
        };
        if is_another {
            self.standing = Standing::Disproved;
            self.seen.contradict();
            self.learnt = Learnt::of(outcome.protocol.clone());
        }
    }
}

/// Whether what names itself so is of another kind. "PowerDNS" may well be a PowerDNS Recursor.
fn is_anothers(product: &str, entry: &Kind) -> bool {
    let named = catalogue::find(&product.to_ascii_lowercase());
    let mut words = entry.name.split(' ');
    named.is_some_and(|other| other.kind != entry.kind)
        && !words.any(|word| word.eq_ignore_ascii_case(product))
}
