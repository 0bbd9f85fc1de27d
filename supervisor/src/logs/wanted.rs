//! Which sources a person means by a service.
//!
//! A file belongs to the service whose process writes it. Stdout and stderr are the whole container's: they are
//! shown with the service whose process is the container's first, because that is who writes there; and with a
//! service that writes no file, because whatever it has to say can only be there.

use diogenes_proto::{LogFile, Report, Service};

use crate::registry::names::nearest;

/// The pid of a container's first process, in its own pid namespace.
const INIT: u32 = 1;

/// Why a name means no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no service here is called \"{}\"{hint}", diogenes_proto::untrusted::escape(.name))]
pub(crate) struct NoSuchService {
    name: String,
    hint: String,
    /// Names that may have been meant.
    pub(crate) near: Vec<String>,
}

/// The sources that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them.
    All,
    /// Those of some services.
    Services {
        /// Their keys.
        keys: Vec<String>,
        /// Whether the container's first process belongs to one of them.
        have_init: bool,
    },
}

impl Wanted {
    /// The sources of a service by its key, kind or name; all where none is named.
    pub(super) fn find(
        report: Option<&Report>,
        service: Option<&str>,
    ) -> Result<Self, NoSuchService> {
        let Some(name) = service else {
            return Ok(Self::All);
        };
        let services = report.map_or(&[][..], |report| &report.services);
        let is_called = |service: &&Service| {
            service.key == name
                || service.kind.eq_ignore_ascii_case(name)
                || service.name.as_raw().eq_ignore_ascii_case(name)
        };
        // A key means one service, also where it is the kind of several.
        let mut found: Vec<&Service> = services.iter().filter(|one| one.key == name).collect();
        if found.is_empty() {
            found = services.iter().filter(is_called).collect();
        }
        if found.is_empty() {
            return Err(NoSuchService::new(name, services));
        }
        Ok(Self::Services {
            keys: found.iter().map(|service| service.key.clone()).collect(),
            have_init: found.iter().any(|service| service.pids.contains(&INIT)),
        })
    }

    /// The key of the one service; None for several, or all.
    pub(super) fn only_key(&self) -> Option<&str> {
        match self {
            Self::Services { keys, .. } if keys.len() == 1 => keys.first().map(String::as_str),
            _ => None,
        }
    }

    /// Whether a file is wanted.
    pub(super) fn has_file(&self, file: &LogFile) -> bool {
        match self {
            Self::All => true,
            Self::Services { keys, .. } => {
                file.service.as_ref().is_some_and(|key| keys.contains(key))
            }
        }
    }

    /// Whether stdout and stderr are wanted, where there are so many wanted files.
    pub(super) fn has_output(&self, files: usize) -> bool {
        match self {
            Self::All => true,
            Self::Services { have_init, .. } => *have_init || files == 0,
        }
    }
}

impl NoSuchService {
    fn new(name: &str, services: &[Service]) -> Self {
        let names = services
            .iter()
            .flat_map(|service| [service.kind.as_str(), service.name.as_raw()]);
        let near = nearest(names, name);
        let escaped = |name: &String| diogenes_proto::untrusted::escape(name).to_string();
        let hint = if services.is_empty() {
            "; its companion has told of none".to_owned()
        } else if near.is_empty() {
            let mut kinds: Vec<String> = services.iter().map(|one| escaped(&one.kind)).collect();
            kinds.dedup();
            kinds.truncate(16);
            format!("; there is {}", kinds.join(", "))
        } else {
            let near: Vec<String> = near.iter().map(escaped).collect();
            format!("; did you mean {}?", near.join(" or "))
        };
        Self {
            name: name.chars().take(256).collect(),
            hint,
            near,
        }
    }
}

#[cfg(test)]
mod tests {
    use diogenes_proto::Health;

    use super::*;

    fn service(key: &str, kind: &str, name: &str, pid: u32) -> Service {
        Service {
            key: key.into(),
            name: name.into(),
            kind: kind.into(),
            pids: vec![pid],
            health: Health::Healthy,
            ..Service::default()
        }
    }

    fn report() -> Report {
        Report {
            services: vec![
                service("nginx-80", "nginx", "nginx", 1),
                service("gunicorn-8000", "gunicorn", "Gunicorn (shop:app)", 7),
                service("gunicorn-8001", "gunicorn", "Gunicorn (admin:app)", 9),
            ],
            ..Report::default()
        }
    }

    fn find(name: &str) -> Result<Wanted, NoSuchService> {
        Wanted::find(Some(&report()), Some(name))
    }

    #[test]
    fn a_service_is_found_by_key_kind_or_name() {
        for (name, expected) in [
            ("gunicorn-8001", &["gunicorn-8001"][..]),
            ("Gunicorn", &["gunicorn-8000", "gunicorn-8001"]),
            ("gunicorn (SHOP:app)", &["gunicorn-8000"]),
        ] {
            let Wanted::Services { keys, .. } = find(name).unwrap() else {
                panic!("{name}")
            };
            assert_eq!(keys, expected, "{name}");
        }
        assert_eq!(find("nginx").unwrap().only_key(), Some("nginx-80"));
        assert_eq!(find("gunicorn").unwrap().only_key(), None);
    }

    #[test]
    fn a_miss_names_what_is_near_or_there() {
        let error = |name| find(name).unwrap_err().to_string();
        assert_eq!(
            error("ngnix"),
            "no service here is called \"ngnix\"; did you mean nginx?"
        );
        assert_eq!(
            error("zz\u{1b}"),
            "no service here is called \"zz\\u{1b}\"; there is nginx, gunicorn"
        );
        let nobody = Wanted::find(None, Some("web")).unwrap_err().to_string();
        assert_eq!(
            nobody,
            "no service here is called \"web\"; its companion has told of none"
        );
    }

    #[test]
    fn stdout_is_of_the_first_process_and_of_those_without_files() {
        let of = |key: &str| LogFile {
            service: Some(key.into()),
            ..LogFile::default()
        };
        let (nginx, gunicorn) = (find("nginx").unwrap(), find("gunicorn").unwrap());
        assert!(nginx.has_file(&of("nginx-80")) && !nginx.has_file(&of("gunicorn-8000")));
        assert!(!nginx.has_file(&LogFile::default()) && Wanted::All.has_file(&LogFile::default()));
        assert!(nginx.has_output(2) && Wanted::All.has_output(2));
        assert!(gunicorn.has_output(0) && !gunicorn.has_output(1));
    }
}
