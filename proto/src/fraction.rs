//! Fractions: percentages and numbers of cores, in thousandths.
//!
//! With at most fifteen digits, a fraction is read back to the same bit by any JSON reader. So a snapshot
//! from a file gives the same answer as the live one did, provided the live one was rounded, too.

use serde::Serializer;

/// What a fraction must stay below, either side of zero.
pub const LIMIT: f64 = 1e12;

/// Rounds to thousandths, as fractions travel. For whoever measures them. What is not a number below
/// [`LIMIT`] is None.
#[must_use]
pub fn thousandths(number: f64) -> Option<f64> {
    (number.abs() < LIMIT).then(|| (number * 1000.0).round() / 1000.0)
}

/// Encodes a fraction; what has no place on the wire becomes `null`, which is read as absent.
#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
pub(crate) fn write<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number.and_then(thousandths) {
        Some(number) => serializer.serialize_some(&number),
        None => serializer.serialize_none(),
    }
}
