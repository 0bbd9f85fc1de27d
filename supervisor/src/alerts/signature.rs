//! Signing after the Standard Webhooks specification, so that a receiver can use any library for it.
//!
//! `webhook-signature: v1,BASE64`: HMAC-SHA256 over `ID.TIMESTAMP.BODY`. With several secrets there are as many
//! signatures, separated by spaces: while a secret is being replaced, the receiver may know either.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::hmac;

/// In front of a secret that is written as base64.
const BASE64_PREFIX: &str = "whsec_";

/// What is wrong with the secrets.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// Not what the prefix promises.
    #[error("line {line}: what follows {BASE64_PREFIX} is no base64")]
    Base64 {
        /// Counted from 1.
        line: usize,
    },
    /// Nothing there.
    #[error("holds no secret; put one on a line, such as the output of: openssl rand -hex 32")]
    None,
}

/// The secrets that calls are signed with, the one to keep first.
pub(crate) struct Keys(Vec<hmac::Key>);

impl Keys {
    /// Reads secrets, one a line: `whsec_` and base64, or any other text as it is. Empty lines and those that begin
    /// with `#` do not count.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub(crate) fn read(text: &str) -> Result<Self, KeyError> {
        let key = |(index, line): (usize, &str)| {
            let bytes = match line.strip_prefix(BASE64_PREFIX) {
                None => line.as_bytes().to_vec(),
                Some(base64) => STANDARD
                    .decode(base64)
                    .or_else(|_| STANDARD_NO_PAD.decode(base64))
                    .map_err(|_| KeyError::Base64 { line: index + 1 })?,
            };
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        };
        let keys = text
            .lines()
            .map(str::trim)
            .enumerate()
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(key)
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self(keys))
    }

    /// The value of `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let sign = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp_s}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        };
        self.0.iter().map(sign).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the specification's own libraries are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP_S: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn signs_as_the_specification_does() {
        let keys = Keys::read(SECRET).unwrap();
        assert_eq!(keys.sign(ID, TIMESTAMP_S, BODY), SIGNATURE);
    }

    #[test]
    fn a_secret_that_is_being_replaced_signs_beside_the_new_one() {
        let keys = Keys::read(&format!("# new\nplain\n\n# old\n{SECRET}\n")).unwrap();
        let signatures = keys.sign(ID, TIMESTAMP_S, BODY);
        let (new, old) = signatures.split_once(' ').unwrap();
        assert_eq!(old, SIGNATURE);
        let alone = Keys::read("plain").unwrap();
        assert_eq!(new, alone.sign(ID, TIMESTAMP_S, BODY));
        assert_ne!(new, old);
    }

    #[test]
    fn says_what_is_wrong_with_secrets() {
        let wrong = |text| Keys::read(text).err().unwrap().to_string();
        assert_eq!(
            wrong("# c\nwhsec_!"),
            "line 2: what follows whsec_ is no base64"
        );
        assert!(wrong(" \n# only this").starts_with("holds no secret"));
    }
}
