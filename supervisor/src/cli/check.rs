//! `diogenes check`: whether a container's own words can be, before they are baked into its image. Read by the very
//! code that the companion reads them with.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use diogenes_insight::OwnWords;
use diogenes_insight::own_words::{MAX_BYTES, Refused};
use diogenes_insight::words::{count, list};
use diogenes_proto::untrusted::escape;

use crate::cli::CheckArgs;
use crate::exit::Failure;

/// What `check` prints of a file without a mistake.
///
/// # Errors
/// Every mistake in it by its line, as a [`Failure`] of configuration; or that it cannot be read.
pub(crate) fn check(args: &CheckArgs) -> Result<String, Failure> {
    let path = args.file.display();
    let text = read(&args.file)
        .map_err(|error| Failure::failed(format!("cannot read {path}: {error}")))?;
    verdict(
        &escape(&path.to_string()).to_string(),
        &OwnWords::read(Some(&text), &[]),
    )
}

/// One byte more than a companion reads, by which it is seen to be too long.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut text)?;
    Ok(text)
}

fn verdict(path: &str, words: &OwnWords) -> Result<String, Failure> {
    let (refused, beyond) = words.refused();
    if refused.is_empty() {
        let (services, limits, findings) = words.counts();
        let told = [
            count(services, "service"),
            count(limits, "limit"),
            count(findings, "silenced finding"),
        ];
        return Ok(format!("{path}: no mistake in {}\n", list(&told)));
    }
    let line = |refused: &Refused| match refused.place {
        Some(place) => format!("{path}:{}:{}: {}", place.line, place.column, refused.what),
        None => format!("{path}: {}", refused.what),
    };
    let mut lines: Vec<String> = refused.iter().map(line).collect();
    if beyond > 0 {
        lines.push(format!("{path}: and {beyond} more"));
    }
    Err(Failure::config(lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<String, String> {
        let words = OwnWords::read(Some(text.as_bytes()), &[]);
        verdict("x.json", &words).map_err(|failure| {
            assert_eq!(failure.exit, crate::exit::Exit::Config);
            failure.message
        })
    }

    #[test]
    fn a_sound_file_is_counted() {
        let text = r#"{"services": [{"match": {"port": 80}, "name": "Shop"}], "silence": ["runs-as-root"]}"#;
        assert_eq!(
            told(text).unwrap(),
            "x.json: no mistake in 1 service, 0 limits and 1 silenced finding\n"
        );
    }

    #[test]
    fn a_mistake_is_told_by_its_place() {
        let text = "{\n  \"services\": [{\"match\": {\"port\": 80}, \"rolle\": \"api\"}],\n  \"silense\": []\n}";
        assert_eq!(
            told(text).unwrap_err(),
            "x.json:2:40: no key is called \"rolle\"; the nearest is \"role\"\nx.json:3:3: no key is called \"silense\"; the nearest is \"silence\""
        );
    }
}
