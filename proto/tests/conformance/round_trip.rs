//! What is written is read as it was.

use std::fmt::Debug;

use diogenes_proto::fraction::{LIMIT, thousandths};
use diogenes_proto::line::{Addressed, Body, decode, decode_hello, encode};
use diogenes_proto::{Message, Resources, SnapshotPage};
use proptest::prelude::*;

use crate::arbitrary;

fn check<T: Body + PartialEq + Debug>(id: Option<u64>, body: T) -> Result<(), TestCaseError> {
    let line = encode(id, &body).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(!line.contains('\n'), "a line feed within a line: {}", line);
    let start = id.map_or_else(
        || "{\"type\":\"".to_owned(),
        |id| format!("{{\"id\":{id},\"type\":\""),
    );
    prop_assert!(line.starts_with(&start), "id and type come first: {}", line);
    let read =
        decode::<T>(line.as_bytes()).map_err(|bad| TestCaseError::fail(format!("{bad:?}")))?;
    prop_assert_eq!(read, Addressed { id, body });
    Ok(())
}

proptest! {
    #[test]
    fn requests(id: Option<u64>, body in arbitrary::request()) {
        check(id, body)?;
    }

    #[test]
    fn messages(id: Option<u64>, body in arbitrary::message()) {
        check(id, body)?;
    }

    #[test]
    fn hellos(hello in arbitrary::hello()) {
        let line = serde_json::to_string(&hello).unwrap();
        prop_assert_eq!(decode_hello(line.as_bytes()), Ok(hello));
    }

    #[test]
    fn fractions_are_read_to_the_bit(number in prop_oneof![0.0..1e5, -LIMIT..LIMIT, any::<f64>()]) {
        let line = serde_json::to_string(&Resources { cpu_percent: Some(number), ..Resources::default() }).unwrap();
        let read: Resources = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(read.cpu_percent.map(f64::to_bits), thousandths(number).map(f64::to_bits));
        if let Some(read) = read.cpu_percent {
            prop_assert!((read - number).abs() <= 0.001, "{read}");
            prop_assert_eq!(thousandths(read), Some(read));
        }
    }
}

/// JSON has no word for them, so they become "not known".
#[test]
fn a_number_that_is_none_travels_as_absent() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, LIMIT] {
        let resources = Some(Resources {
            cpu_percent: Some(number),
            ..Resources::default()
        });
        let page = Message::Snapshot(Box::new(SnapshotPage {
            resources,
            ..SnapshotPage::default()
        }));
        let line = encode(None, &page).unwrap();
        let Message::Snapshot(read) = decode::<Message>(line.as_bytes()).unwrap().body else {
            panic!("{line}")
        };
        assert_eq!(read.resources, Some(Resources::default()));
    }
}
