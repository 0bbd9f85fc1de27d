//! Command lines and log lines on their way out: without their secrets, whatever stands around them.
//!
//! Three promises: a line that was redacted stays as it is (log lines are read twice, within and on the host), and
//! nothing hidden on a command line comes back; a text does not grow without bound; and a secret in a shape that speaks
//! for itself never gets through.

use diogenes_discovery::redact::{REDACTED, redact, redact_text};
use diogenes_proto::Untrusted;
use diogenes_proto::untrusted::MAX_BYTES;

/// What [`PLANTED`] hides: of no use to anyone.
const SECRETS: [&str; 2] = ["ghp_A1b2C3d4E5f6G7h8I9j0", "Qx7kTz93Vw"];
/// The secrets in shapes that are known wherever they stand.
const PLANTED: [&str; 4] = [
    "ghp_A1b2C3d4E5f6G7h8I9j0",
    "--password=Qx7kTz93Vw",
    "PGPASSWORD=Qx7kTz93Vw",
    "postgres://bob:Qx7kTz93Vw@db/x",
];

/// See the module. The input is a log line, and a command line with a NUL after each argument.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    line(&text);
    let argv: Vec<Vec<u8>> = input.split(|byte| *byte == 0).map(Vec::from).collect();
    command(&argv);
    if !SECRETS.iter().any(|secret| text.contains(secret)) {
        planted(&text, &argv);
    }
}

fn line(text: &str) {
    let once = redact_text(text);
    assert!(once.len() <= text.len() * 4 + REDACTED.len());
    assert_eq!(redact_text(&once), once, "of {text:?}");
}

fn command(argv: &[Vec<u8>]) {
    let once = redact(argv);
    assert_eq!(once.len(), argv.len());
    // What was cut has another end than before.
    if once.iter().all(|one| one.as_raw().len() < MAX_BYTES / 2) {
        let again: Vec<Vec<u8>> = once.iter().map(|one| one.as_raw().into()).collect();
        // An argument loses its quotes with what it hides, and may then read as one word: more may be hidden.
        let hides = |argument: &Untrusted| argument.as_raw().contains(REDACTED);
        for (again, once) in redact(&again).iter().zip(&once) {
            assert!(!hides(once) || hides(again), "{once} became {again}");
        }
    }
}

/// Puts secrets among the words of the input.
fn planted(text: &str, argv: &[Vec<u8>]) {
    for planted in PLANTED {
        hidden(&redact_text(&format!("{text} {planted} {text}")), planted);
        let mut argv = argv.to_vec();
        argv.insert(argv.len() / 2, planted.into());
        for argument in redact(&argv) {
            hidden(argument.as_raw(), planted);
        }
    }
}

fn hidden(text: &str, planted: &str) {
    let shows = SECRETS.iter().any(|secret| text.contains(secret));
    assert!(!shows, "{planted} shows in {text:?}");
}
