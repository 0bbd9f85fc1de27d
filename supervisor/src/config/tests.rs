use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::{CommandFactory as _, Parser};

use super::given::Source;
use super::key::Takes;
use super::*;
use crate::cli::Cli;

/// A directory with a configuration file.
struct Place(tempfile::TempDir);

impl Place {
    fn new(text: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.file(), text).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("diogenes.toml")
    }

    fn secret(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn sources(&self, flags: &[&str], variables: &[(&str, &str)]) -> Sources {
        let line = ["diogenes", "serve"].iter().chain(flags);
        let sources = Cli::try_parse_from(line).unwrap().sources();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
        Sources {
            file: Some(self.file()),
            environment: variables.collect(),
            ..sources
        }
    }

    fn mistakes(&self) -> String {
        let told = self.sources(&[], &[]).read().unwrap_err().to_string();
        told.replace(self.file().to_str().unwrap(), "FILE")
    }
}

#[test]
fn flags_go_over_variables_over_the_file_over_defaults() {
    let place = Place::new(
        "log = \"warn\"\nstate_dir = \"/file\"\nengine = \"/file.sock\"\n\n[alerts]\non_change = [\"/bin/a b\", \"c\"]\n",
    );
    let variables = [
        ("DIOGENES_STATE_DIR", "/variable"),
        ("DOCKER_HOST", "/docker.sock"),
        ("DIOGENES_HOSTS", "a.example  b.example"),
        ("DIOGENES_AGENT", ""),
    ];
    let settings = place
        .sources(&["--state-dir", "/flag"], &variables)
        .read()
        .unwrap();
    assert_eq!(settings.general.state_dir, Path::new("/flag"));
    assert_eq!(settings.general.engine.to_string(), "/docker.sock");
    assert_eq!(settings.general.hosts.len(), 2);
    assert_eq!(settings.general.agent, None, "an empty variable is none");
    let words: Vec<_> = settings
        .alerts
        .on_change
        .iter()
        .map(value::Argument::as_str)
        .collect();
    assert_eq!(words, ["/bin/a b", "c"]);
    let from = |path: &str| {
        settings
            .givens
            .get(keys().find(|key| key.path() == path).unwrap())
            .source
    };
    assert_eq!(
        from("log"),
        Source::File {
            file: place.file(),
            line: 1,
            column: 7
        }
    );
    assert_eq!(
        from("state_dir"),
        Source::Flag {
            name: "--state-dir".into()
        }
    );
    assert_eq!(
        from("engine"),
        Source::Environment {
            name: "DOCKER_HOST".into()
        }
    );
    assert_eq!(from("listen"), Source::Default);

    let both = [
        ("DOCKER_HOST", "/docker.sock"),
        ("DIOGENES_ENGINE", "/own.sock"),
    ];
    let settings = place.sources(&[], &both).read().unwrap();
    assert_eq!(settings.general.engine.to_string(), "/own.sock");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let place = Place::new(
        "lisen = \"127.0.0.1:1\"\nlisten = 4120\n  engine = \"nonsense\"\nhosts = \"a\"\nwebhook = \"http://h/\"\n\n[alert]\nx = 1\n\n\
         [alerts]\nwebhook = \"ftp://user:s3cret@h/\"\n[alerts.more]\n",
    );
    insta::assert_snapshot!(place.mistakes());
}

#[test]
fn what_is_no_toml_is_pointed_at() {
    for (text, told) in [
        ("listen = \n", "FILE:1:10: this is no TOML: "),
        (
            "log = \"info\"\nlog = \"warn\"\n",
            "FILE:2:1: this is no TOML: duplicate key",
        ),
        ("listen = \"127.0.0.1:1\" \"ü\n", "FILE:1:"),
    ] {
        let mistakes = Place::new(text).mistakes();
        assert!(mistakes.contains(told), "{mistakes}");
    }
}

#[test]
fn a_file_must_be_there_only_where_it_is_named() {
    let place = Place::new("");
    let missing = place.0.path().join("no-such-file");
    let (mut givens, mut mistakes) = (Givens::default(), Vec::new());
    file::note(&missing, false, &mut givens, &mut mistakes);
    assert_eq!(mistakes, []);
    file::note(&missing, true, &mut givens, &mut mistakes);
    assert!(
        mistakes[0]
            .what
            .starts_with("there is no such file; name one"),
        "{}",
        mistakes[0]
    );
    for unreadable in [place.0.path(), Path::new("/dev/zero")] {
        let mut mistakes = Vec::new();
        file::note(unreadable, false, &mut givens, &mut mistakes);
        assert!(
            mistakes[0].what.contains("it is no regular file"),
            "{}",
            mistakes[0]
        );
    }
    assert_eq!(givens, Givens::default());
}

#[test]
fn an_unknown_variable_is_only_warned_of() {
    let place = Place::new("");
    let sources = place.sources(
        &[],
        &[
            ("DIOGENES_STATEDIR", "/s"),
            ("OTHER_STATEDIR", "/s"),
            ("DIOGENES_CONFIG", "/c"),
        ],
    );
    sources.read().unwrap();
    assert_eq!(
        sources.environment.warnings(),
        [
            "the variable DIOGENES_STATEDIR means nothing to this program; the nearest that exists is DIOGENES_STATE_DIR"
        ]
    );
}

#[test]
fn a_client_needs_no_more_than_the_run_directory() {
    let broken = Place::new("no such thing\nlisen = 1\n");
    let run_dir = |place: &Place, flags: &[&str], variables: &[(&str, &str)]| {
        place
            .sources(flags, variables)
            .run_dir()
            .map_err(|mistakes| mistakes.to_string())
    };
    let variable = [("DIOGENES_RUN_DIR", "/variable")];
    assert_eq!(
        run_dir(&broken, &["--run-dir", "/flag"], &variable),
        Ok("/flag".into())
    );
    assert_eq!(run_dir(&broken, &[], &variable), Ok("/variable".into()));
    let refused = run_dir(&broken, &[], &[]).unwrap_err();
    assert!(
        refused.contains("diogenes.toml:1:"),
        "named, and no directory in it: {refused}"
    );
    let odd = Place::new("run_dir = \"/from/file\"\nlisen = 1\n");
    assert_eq!(run_dir(&odd, &[], &[]), Ok("/from/file".into()));
}

#[test]
fn beyond_the_loopback_it_takes_a_token() {
    let place = Place::new("listen = \"0.0.0.0:4120\"\n");
    let mistakes = place.mistakes();
    assert!(
        mistakes.starts_with("FILE:1:10: listen: 0.0.0.0:4120 is no loopback address"),
        "{mistakes}"
    );
    let tokens = place.secret("tokens", "0123456789abcdef\n", 0o640);
    let flags = ["--token-file", tokens.to_str().unwrap()];
    let settings = place.sources(&flags, &[]).read().unwrap();
    assert!(
        settings.secrets.tokens.is_empty(),
        "the file is not read yet"
    );
    assert!(
        settings
            .with_secrets()
            .unwrap()
            .secrets
            .tokens
            .admit("0123456789abcdef")
    );
}

#[test]
fn a_switch_is_true_or_false_and_patterns_are_looked_at() {
    let place =
        Place::new("[attach]\ndefault = false\ninclude = [\"shop-*\", \"image:redis:*\"]\n");
    let attach = place.sources(&[], &[]).read().unwrap().attach;
    assert_eq!((attach.default, attach.include.len()), (Some(false), 2));
    let variable = [("DIOGENES_ATTACH_DEFAULT", "true")];
    let attach = place.sources(&[], &variable).read().unwrap().attach;
    assert_eq!(attach.default, Some(true));
    let mistakes = Place::new("[attach]\ndefault = \"no\"\nexclude = [\"a b\"]\n").mistakes();
    let (first, second) = mistakes.split_once('\n').unwrap();
    assert_eq!(
        first,
        "FILE:2:11: attach.default: expected true or false, found string"
    );
    assert!(
        second.starts_with("FILE:3:11: attach.exclude: expected a pattern of containers' names"),
        "{second}"
    );
}

#[test]
fn a_group_is_found_by_its_name_or_number() {
    let settings = Settings::with(&[("socket_group", "root")]);
    assert_eq!(settings.general.socket_group, Some(Group { gid: 0 }));
    assert_eq!(
        Settings::with(&[("socket_group", "4711")])
            .general
            .socket_group,
        Some(Group { gid: 4711 })
    );
    let mistakes = Place::new("socket_group = \"no-such-group\"\n").mistakes();
    assert!(
        mistakes.contains("FILE:1:16: socket_group: there is no group \"no-such-group\""),
        "{mistakes}"
    );
}

#[test]
fn the_listing_names_sources_and_shows_no_secret() {
    let place = Place::new(
        "token_file = \"/etc/diogenes/tokens\"\nhosts = [\"a.example\"]\n[alerts]\nwebhook = \"http://u:s3cret@h:9/hooks/s3cret?k=s3cret\"\non_change = [\"page\", \"--token=s3cret\"]\n",
    );
    let settings = place
        .sources(
            &["--log", "debug"],
            &[("DOCKER_HOST", "tcp://127.0.0.1:2375")],
        )
        .read()
        .unwrap();
    assert!(
        !format!("{settings:?}").contains("hooks/s3cret"),
        "{settings:?}"
    );
    let text = listing::text(&listing::list(&settings));
    insta::assert_snapshot!(text.replace(place.file().to_str().unwrap(), "FILE"));
    let json = serde_json::to_value(listing::list(&settings)).unwrap();
    assert_eq!(json[0]["source"]["from"], "default");
    assert!(!json.to_string().contains("s3cret"), "{json}");
}

#[test]
fn every_key_is_sound() {
    let mut paths: Vec<_> = keys().map(Key::path).collect();
    for key in keys() {
        let default = key.default.map(|text| (key.check)(&key.words(text)));
        assert!(
            default.is_none_or(|checked| checked.is_ok()),
            "{}",
            key.path()
        );
        assert_eq!(
            key.default.is_some(),
            key.without.is_empty(),
            "{}: a default, or what it means to have none",
            key.path()
        );
        assert!(
            !key.value.is_empty() && !key.help.trim().is_empty(),
            "{}",
            key.path()
        );
    }
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), keys().count());
    let serve = Cli::command();
    let serve = serve.find_subcommand("serve").unwrap();
    for key in keys().filter(|key| !key.everywhere) {
        assert!(
            serve
                .get_arguments()
                .any(|arg| arg.get_long() == Some(&key.flag())),
            "{}",
            key.path()
        );
    }
}

mod secret_files {
    use super::*;
    use crate::config::secrets::Tokens;

    #[test]
    fn tokens_are_compared_as_a_whole() {
        let place = Place::new("");
        let tokens = Tokens::read(&place.secret(
            "t",
            "# first\n0123456789abcdef\n\n  fedcba9876543210==\r\n",
            0o600,
        ))
        .unwrap();
        for (presented, admitted) in [
            ("0123456789abcdef", true),
            ("fedcba9876543210==", true),
            ("0123456789abcde", false),
            ("0123456789abcdef0", false),
            ("# first", false),
            ("", false),
        ] {
            assert_eq!(tokens.admit(presented), admitted, "{presented}");
        }
        assert!(!Tokens::default().admit(""));
    }

    #[test]
    fn bad_files_are_refused_with_advice() {
        let place = Place::new("");
        for (text, mode, told) in [
            (
                "0123456789abcdef\n",
                0o644,
                "is open to everybody (mode 0644)",
            ),
            ("\n# none\n", 0o600, "holds no token"),
            (
                "0123456789abcdef\nshort\n",
                0o600,
                "line 2: a token has at least 16 characters",
            ),
            (
                "0123456789 abcdef\n",
                0o600,
                "line 1: a token has only letters",
            ),
        ] {
            let told_here = Tokens::read(&place.secret("t", text, mode)).unwrap_err();
            assert!(told_here.starts_with(told), "{told_here}");
        }
        assert!(
            Tokens::read(&place.0.path().join("none"))
                .unwrap_err()
                .starts_with("cannot be read: No such file")
        );
        assert_eq!(
            secrets::read_one(&place.secret("s", "a b\n", 0o600))
                .unwrap()
                .reveal(),
            "a b"
        );
        assert!(secrets::read_one(&place.secret("s", "\n", 0o600)).is_err());
    }
}

mod reloading {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::reload::Reloader;

    #[test]
    fn changes_what_can_change_and_keeps_the_rest() {
        let place = Place::new("");
        let tokens = place.secret("tokens", "0123456789abcdef\n", 0o600);
        let text = |listen: &str, log: &str| {
            format!("listen = \"{listen}\"\nlog = \"{log}\"\ntoken_file = {tokens:?}\n")
        };
        std::fs::write(place.file(), text("127.0.0.1:1", "info")).unwrap();
        let sources = place.sources(&[], &[]);
        let settings = sources.read().and_then(Settings::with_secrets).unwrap();
        let filters = Arc::new(Mutex::new(Vec::new()));
        let noted = filters.clone();
        let set_log_filter = Box::new(move |filter: tracing_subscriber::EnvFilter| {
            noted.lock().unwrap().push(filter.to_string())
        });
        let reloader = Reloader::new(sources, settings, set_log_filter);
        let watch = reloader.subscribe();

        place.secret("tokens", "fedcba9876543210\n", 0o600);
        std::fs::write(place.file(), text("127.0.0.1:2", "debug")).unwrap();
        reloader.reload();
        let now = watch.borrow().clone();
        assert_eq!(now.general.listen.port(), 1, "needs a restart");
        assert_eq!(now.reload_error, None);
        assert!(
            now.secrets.tokens.admit("fedcba9876543210")
                && !now.secrets.tokens.admit("0123456789abcdef")
        );
        assert_eq!(*filters.lock().unwrap(), ["debug"]);

        std::fs::write(place.file(), text("127.0.0.1:1", "debug") + "lisen = 1\n").unwrap();
        reloader.reload();
        let now = watch.borrow().clone();
        assert!(
            now.reload_error
                .as_ref()
                .unwrap()
                .contains("unknown key \"lisen\"; the nearest that exists is listen")
        );
        assert!(now.secrets.tokens.admit("fedcba9876543210"));
        assert_eq!(filters.lock().unwrap().len(), 1);

        std::fs::write(place.file(), text("127.0.0.1:1", "warn")).unwrap();
        reloader.reload();
        assert_eq!(watch.borrow().reload_error, None);
        assert_eq!(filters.lock().unwrap()[1], "warn");
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let place = Place::new("listen = \"127.0.0.1:2\"\nlog = \"debug\"\n");
        let (mut givens, mistakes) = place.sources(&[], &[]).givens();
        assert_eq!(mistakes, []);
        assert_eq!(givens.hold_back(&Givens::default(), keys()), ["listen"]);
        assert_eq!(
            givens.hold_back(&Givens::default(), keys()),
            Vec::<String>::new()
        );
        let live: Vec<_> = keys()
            .filter(|key| key.takes == Takes::Reload)
            .map(Key::path)
            .collect();
        assert_eq!(
            live,
            [
                "log",
                "token_file",
                "hosts",
                "attach.include",
                "attach.exclude",
                "attach.default",
                "alerts.webhook",
                "alerts.webhook_secret_file",
                "alerts.on_change"
            ]
        );
    }
}
