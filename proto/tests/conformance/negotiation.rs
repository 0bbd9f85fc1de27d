//! Two peers agree on the same version, or both know that they cannot.

use diogenes_proto::hello::SUPPORTED;
use diogenes_proto::{ErrorCode, ProtocolRange};
use proptest::prelude::*;

use crate::arbitrary;

/// The highest version both know, found by looking at every one.
fn expected(a: ProtocolRange, b: ProtocolRange) -> Option<u32> {
    (a.min..=a.max)
        .rev()
        .find(|version| (b.min..=b.max).contains(version))
}

proptest! {
    #[test]
    fn is_symmetric(a in arbitrary::range(), b in arbitrary::range()) {
        prop_assert_eq!(a.negotiate(b).ok(), b.negotiate(a).ok());
    }

    #[test]
    fn picks_the_highest_common_version(a in (0_u32..6, 0_u32..6), b in (0_u32..6, 0_u32..6)) {
        let (a, b) = (ProtocolRange { min: a.0, max: a.1 }, ProtocolRange { min: b.0, max: b.1 });
        match (a.negotiate(b), expected(a, b)) {
            (Ok(version), expected) => prop_assert_eq!(Some(version), expected),
            (Err(error), expected) => {
                prop_assert_eq!(expected, None);
                prop_assert_eq!(error.code, ErrorCode::VersionMismatch);
                prop_assert!(error.is_fatal());
            }
        }
    }
}

#[test]
fn speaks_with_itself() {
    assert_eq!(SUPPORTED.negotiate(SUPPORTED), Ok(SUPPORTED.max));
}
