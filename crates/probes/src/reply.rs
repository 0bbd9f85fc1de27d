//! What a service's first words come to: the form that all parsers of answers share.

use diogenes_proto::{Timestamp, Untrusted, Verdict};

use crate::conclusion::quote;

/// What was heard, as far as it was heard.
///
/// What a parser says of a beginning holds for the whole, unless it says [`Reply::Incomplete`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Too short to tell; what is there fits.
    Incomplete,
    /// An answer in the protocol.
    Answer(Box<Answer>),
    /// Not the protocol.
    Stranger,
}

/// An answer in the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says of the service.
    pub verdict: Verdict,
    /// The same in words, which follow the service's name: `answers PING`.
    pub words: String,
    /// Its own words, quoted; None where they are no help.
    pub said: Option<String>,
    /// The server's version; None where it did not tell.
    pub version: Option<Untrusted>,
    /// The server's product; None where it did not tell.
    pub product: Option<Untrusted>,
    /// When the certificate it showed expires; None where it showed none.
    pub expires_at: Option<Timestamp>,
}

impl Answer {
    /// An answer that tells no more than this.
    pub fn new(verdict: Verdict, words: impl Into<String>) -> Self {
        Self {
            verdict,
            words: words.into(),
            said: None,
            version: None,
            product: None,
            expires_at: None,
        }
    }

    /// It works.
    pub fn alive(words: impl Into<String>) -> Self {
        Self::new(Verdict::Alive, words)
    }

    /// It says that something is wrong.
    pub fn failing(words: impl Into<String>) -> Self {
        Self::new(Verdict::Failing, words)
    }

    /// The same, with the first line of what it said.
    #[must_use]
    pub fn saying(mut self, bytes: &[u8]) -> Self {
        self.said = Some(quote(bytes));
        self
    }

    /// The same, with its version where that is told; what is empty or longer than any version is none.
    #[must_use]
    pub fn with_version(mut self, version: Option<&[u8]>) -> Self {
        self.version = version.and_then(word);
        self
    }

    /// The same, with its product where that is told.
    #[must_use]
    pub fn with_product(mut self, product: Option<&[u8]>) -> Self {
        self.product = product.and_then(word);
        self
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

/// Longest version or product taken for one, in bytes.
const MAX_WORD_BYTES: usize = 100;

/// A version or a name as a service tells it; None where it is empty or too long.
fn word(bytes: &[u8]) -> Option<Untrusted> {
    let word = bytes.trim_ascii();
    (!word.is_empty() && word.len() <= MAX_WORD_BYTES).then(|| Untrusted::from_bytes(word))
}
