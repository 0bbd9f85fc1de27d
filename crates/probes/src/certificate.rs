//! When an X.509 certificate expires: just enough DER to find `notAfter`.
//!
//! ```text
//! Certificate ─► TBSCertificate ─► [version], serial, algorithm, issuer, Validity ─► notBefore, notAfter
//! ```
//!
//! Source: RFC 5280 §4.1; X.690 §8, §10.1.

use diogenes_proto::Timestamp;

use crate::bytes::Bytes;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of a certificate's validity; None where it cannot be read. What follows it need not be there.
pub(crate) fn expires_at(certificate: &[u8]) -> Option<Timestamp> {
    let mut bytes = Bytes(certificate);
    // The certificate, and the part of it that is signed.
    for _ in 0..2 {
        let (tag, _length) = head(&mut bytes)?;
        (tag == SEQUENCE).then_some(())?;
    }
    if *bytes.0.first()? == VERSION {
        skip(&mut bytes)?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        skip(&mut bytes)?;
    }
    let (tag, _length) = head(&mut bytes)?;
    (tag == SEQUENCE).then_some(())?;
    skip(&mut bytes)?;
    let (tag, length) = head(&mut bytes)?;
    time(tag, bytes.take(length)?)
}

fn head(bytes: &mut Bytes<'_>) -> Option<(u8, usize)> {
    let tag = bytes.u8()?;
    let length = match bytes.u8()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(bytes.u8()?),
        0x82 => usize::from(bytes.u16()?),
        0x83 => bytes.u24()?,
        _ => return None,
    };
    Some((tag, length))
}

fn skip(bytes: &mut Bytes<'_>) -> Option<()> {
    let (_tag, length) = head(bytes)?;
    bytes.take(length).map(drop)
}

/// `YYMMDDHHMMSSZ`, or with four digits of the year. Source: RFC 5280 §4.1.2.5.
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let digits = text.strip_suffix(b"Z")?;
    let two = |at: usize| {
        let pair = digits.get(at..at + 2)?;
        let value = |digit: u8| digit.is_ascii_digit().then(|| u64::from(digit - b'0'));
        Some(value(pair[0])? * 10 + value(pair[1])?)
    };
    let (year, at) = match tag {
        UTC_TIME => match two(0)? {
            year @ 50.. => (1900 + year, 2),
            year => (2000 + year, 2),
        },
        GENERALIZED_TIME => (two(0)? * 100 + two(2)?, 4),
        _ => return None,
    };
    let (month, day) = (two(at)?, two(at + 2)?);
    let (hour, minute, second) = (two(at + 4)?, two(at + 6)?, two(at + 8)?);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 || digits.len() != at + 10 {
        return None;
    }
    // A certificate that ended before 1970 ended long ago.
    let days = days_since_epoch(year, month, day).unwrap_or(0);
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp::from_unix_ms(seconds * 1000))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; None where it lies before.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years begin in March here, so that a leap day is a year's last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some("1970-01-01T00:00:00.000Z")),
            (UTC_TIME, "261121181500Z", Some("2026-11-21T18:15:00.000Z")),
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59.000Z")),
            (UTC_TIME, "500101000000Z", Some("1970-01-01T00:00:00.000Z")),
            (
                GENERALIZED_TIME,
                "20500101000000Z",
                Some("2050-01-01T00:00:00.000Z"),
            ),
            (
                GENERALIZED_TIME,
                "20240229120000Z",
                Some("2024-02-29T12:00:00.000Z"),
            ),
            (
                GENERALIZED_TIME,
                "99991231235959Z",
                Some("9999-12-31T23:59:59.000Z"),
            ),
            (
                GENERALIZED_TIME,
                "00000101000000Z",
                Some("1970-01-01T00:00:00.000Z"),
            ),
            (UTC_TIME, "261321181500Z", None),
            (UTC_TIME, "2611211815Z", None),
            (UTC_TIME, "26112118150xZ", None),
            (UTC_TIME, "261121181500", None),
            (4, "261121181500Z", None),
        ] {
            let told = time(tag, text.as_bytes()).map(|at| at.to_string());
            assert_eq!(told.as_deref(), expected, "{text}");
        }
    }
}
