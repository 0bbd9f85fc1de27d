//! The configuration: everything else is looked at as it says.

use crate::config::{Settings, Sources};
use crate::doctor::check::Check;

const ID: &str = "configuration";
const TITLE: &str = "Configuration";

/// What is in force, and the verdict on it; None where it cannot be told.
pub(super) fn look(sources: &Sources) -> (Option<Settings>, Check) {
    let settings = match sources.read() {
        Ok(settings) => settings,
        Err(mistakes) => {
            let advice = "mend that first: without it nothing else could be looked at";
            return (None, Check::failed(ID, TITLE, mistakes.to_string(), advice));
        }
    };
    let check = match settings.clone().with_secrets() {
        Err(mistakes) => Check::failed(
            ID,
            TITLE,
            mistakes.to_string(),
            "mend the file, or do not name it",
        ),
        Ok(_) => match sources.environment.warnings().as_slice() {
            [] => Check::ok(ID, TITLE, "valid; diogenes config tells it"),
            warnings => Check::warning(
                ID,
                TITLE,
                warnings.join("; "),
                "diogenes config tells what is in force",
            ),
        },
    };
    (Some(settings), check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status::{Failed, Ok as Fine};

    /// A configuration file of this text, and nothing else.
    fn file(text: &str) -> (Option<Settings>, Check) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("diogenes.toml");
        std::fs::write(&file, text).unwrap();
        look(&Sources {
            file: Some(file),
            ..Sources::default()
        })
    }

    #[test]
    fn a_configuration_is_looked_at_before_all_else() {
        let (settings, check) = file("listen = \"127.0.0.1:1\"\n");
        assert_eq!(settings.unwrap().general.listen.port(), 1);
        assert_eq!(check.status, Fine);
        let (settings, check) = file("lisen = \"127.0.0.1:1\"\n");
        assert!(settings.is_none());
        assert_eq!(check.status, Failed);
        assert!(check.detail.contains("lisen"), "{check:?}");
        let (settings, check) = file("token_file = \"/nowhere\"\n");
        assert!(settings.is_some());
        assert_eq!(check.status, Failed);
    }
}
