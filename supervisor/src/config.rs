//! The configuration: one table of keys, from which everything else follows.
//!
//! ```text
//! flags ─► environment ─► file ─► defaults      the first that gives a value counts
//!    └──────────┴───────────┴─► Givens ─► Settings ─► a watch that SIGHUP feeds (reload)
//!                                  └─► diogenes config (listing)
//! ```
//!
//! A new key is one entry in a `section!` below. Its flag, its variable, its place in the file, the help, the sample
//! in `deploy/` and the reference are made from that entry; a field's documentation is the text they all show.

pub(crate) mod environment;
pub(crate) mod file;
pub(crate) mod flags;
pub(crate) mod given;
pub(crate) mod key;
pub(crate) mod listing;
pub(crate) mod reload;
pub(crate) mod sample;
pub(crate) mod secrets;
pub(crate) mod value;

use std::net::SocketAddr;
use std::path::PathBuf;

use diogenes_engine::Endpoint;
use diogenes_tekton::Address;

use crate::alerts::signature::Keys;
use crate::attendants::choice::Choice;
use crate::attendants::name_pattern::NamePattern;
use crate::run_dir;
use environment::Environment;
use flags::Flags;
use given::{Givens, Mistake, Mistakes, Source};
pub(crate) use key::Key;
use secrets::{Secrets, Tokens};
use value::{Argument, Filter, Group, HostName, HttpUrl, PortRange, User};

key::section! {
    /// What concerns the supervisor as a whole: the keys before any table of the file.
    struct General = "" {
        /// Address for HTTP: for looking and asking. Beyond the loopback, or for acting, it takes a `token_file`.
        listen: SocketAddr = Key { value: "ADDRESS:PORT", default: Some("127.0.0.1:4120"), ..Key::RESTART };
        /// Directory of the supervisor's sockets. Clients look there too.
        run_dir: PathBuf = Key { value: "DIR", default: Some(run_dir::DEFAULT), everywhere: true, ..Key::RESTART };
        /// Directory of what is remembered over restarts.
        state_dir: PathBuf = Key { value: "DIR", default: Some("/var/lib/diogenes"), ..Key::RESTART };
        /// The Engine: a socket's path, unix://PATH, tcp://HOST:PORT or http://HOST:PORT.
        engine: Endpoint = Key {
            value: "URL|PATH", default: Some(Endpoint::DEFAULT), borrowed: Some("DOCKER_HOST"), ..Key::RESTART
        };
        /// The agent's program.
        agent: Option<PathBuf> = Key {
            value: "PATH", without: "the one beside this program", example: "/usr/libexec/diogenes-agent", ..Key::RESTART
        };
        /// How companions come in: `attach` enters containers from the Engine's own host, `exec` has the Engine start
        /// them, and `auto` attaches where that can be, else takes exec.
        via: Choice = Key { value: "auto|attach|exec", default: Some("auto"), ..Key::RESTART };
        /// What is told in the log: trace, debug, info, warn, error or off, also for one part only, as in
        /// info,diogenes::session=debug.
        log: Filter = Key { value: "FILTER", default: Some("info"), borrowed: Some("RUST_LOG"), ..Key::RELOAD };
        /// Group that may use the sockets, and so ask and act, besides root.
        socket_group: Option<Group> = Key {
            value: "GROUP", without: "the group this program runs as", example: "docker", ..Key::RESTART
        };
        /// Whether companions that are part of their image may come by themselves: into the containers that have
        /// RUN_DIR/dial-in mounted, read-only, at /run/diogenes/dial-in. Where one is attached it comes first.
        dial_in: bool = Key { value: "true|false", default: Some("false"), ..Key::RESTART };
        /// File of bearer tokens, one a line, not readable by others. With it, all of HTTP over TCP but /health and
        /// /ready asks for one, and whoever has one may act too.
        token_file: Option<PathBuf> = Key {
            value: "FILE", without: "no tokens: TCP on the loopback only, for looking and asking",
            example: "/etc/diogenes/tokens", ..Key::RELOAD
        };
        /// Further names or addresses, without a port, that the Host header of a request over TCP may have.
        hosts: Vec<HostName> = Key {
            value: "NAMES", without: "the loopback's names and the address listened on",
            example: "shop.example", ..Key::RELOAD
        };
    }
}

key::section! {
    /// Who is told when a container's health changes.
    struct Alerts = "alerts" {
        /// Where each change of a container's health is posted to, as JSON.
        webhook: Option<HttpUrl> = Key {
            value: "URL", without: "nothing is posted", example: "https://alerts.example/hook", ..Key::RELOAD
        };
        /// File of the secret that the webhook's calls are signed with, not readable by others; several, one a line,
        /// while one is replaced.
        webhook_secret_file: Option<PathBuf> = Key {
            value: "FILE", without: "calls are not signed", example: "/etc/diogenes/webhook-secret", ..Key::RELOAD
        };
        /// Command, with its arguments, that is run at each change of a container's health.
        on_change: Vec<Argument> = Key {
            value: "COMMAND", without: "nothing is run", example: "/usr/local/bin/page --quietly", ..Key::RELOAD
        };
    }
}

key::section! {
    /// Which containers get a companion: the policy of [`crate::attendants::policy`].
    struct Attach = "attach" {
        /// Containers that get a companion, and no others where `default` is not given: patterns of their names, as in
        /// `shop-*`, or of their images, as in `image:redis:*`. In a pattern `*` stands for any text, `?` for any one
        /// character.
        include: Vec<NamePattern> = Key {
            value: "PATTERNS", without: "no patterns", example: "shop-* image:redis:*", ..Key::RELOAD
        };
        /// Containers that get no companion: the same kind of patterns.
        exclude: Vec<NamePattern> = Key {
            value: "PATTERNS", without: "no patterns", example: "*-tmp", ..Key::RELOAD
        };
        /// Whether a container gets a companion of which nothing else says so. What decides is the first of these that
        /// says anything: attach or detach by hand, the container's label `io.diogenes.attach` (`true` or `false`),
        /// `exclude`, `include`, this.
        default: Option<bool> = Key {
            value: "true|false", without: "true, but false where `include` names any", example: "true", ..Key::RELOAD
        };
    }
}

key::section! {
    /// Being at home in Tekton.
    struct Tekton = "tekton" {
        /// Directory of Tekton: with it, aish reaches every attended container as NAME-container-ci, and below /ci/ no
        /// process of this host needs a token to look and ask.
        root: Option<PathBuf> = Key {
            value: "DIR", without: "nothing is told to aish", example: "/home/tekton/Tekton", borrowed: Some("TEKTON_ROOT"),
            ..Key::RESTART
        };
        /// User that runs aish: it must be able to signal what it reaches. Another than this program's own takes root.
        user: Option<User> = Key {
            value: "USER", without: "the owner of `root`", example: "nobody", ..Key::RESTART
        };
        /// Whether each container's socket is also at /tmp/ci_ID.sock, ID being its whole id, where the first drafts of
        /// this system had it.
        first_draft_sockets: bool = Key { value: "true|false", default: Some("false"), ..Key::RESTART };
        /// Ports on 127.0.0.1 where the companions speak as Tekton's own CI specialists do, one for each container.
        specialist_ports: Option<PortRange> = Key {
            value: "FIRST-LAST", without: "no ports are opened", example: "4200-4299", ..Key::RESTART
        };
        /// Address of Hermes, the registry of Tekton's components.
        hermes: Option<Address> = Key {
            value: "URL", without: "nothing is registered", example: "http://localhost:8001", short: Some("hermes"),
            borrowed: Some("HERMES_URL"), ..Key::RESTART
        };
        /// Address of Ergon, the registry of Tekton's solutions.
        ergon: Option<Address> = Key {
            value: "URL", without: "nothing is published", example: "http://localhost:8002",
            borrowed: Some("ERGON_URL"), ..Key::RESTART
        };
    }
}

/// All keys, section by section.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key> + Clone {
    [General::KEYS, Attach::KEYS, Alerts::KEYS, Tekton::KEYS]
        .into_iter()
        .flatten()
}

/// A configuration that is valid in itself.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The keys before any table.
    pub(crate) general: General,
    /// The keys under `[attach]`.
    pub(crate) attach: Attach,
    /// The keys under `[alerts]`.
    pub(crate) alerts: Alerts,
    /// The keys under `[tekton]`.
    pub(crate) tekton: Tekton,
    /// What the files of secrets hold; nothing until [`Settings::with_secrets`].
    pub(crate) secrets: Secrets,
    /// What was given, and where.
    pub(crate) givens: Givens,
    /// Why the last reload changed nothing; None where it did, or there was none.
    pub(crate) reload_error: Option<String>,
}

impl Settings {
    /// Reads what was given. The files of secrets are not opened.
    ///
    /// # Errors
    /// Everything that is wrong, together with the `mistakes` there are already.
    pub(crate) fn read(givens: Givens, mut mistakes: Vec<Mistake>) -> Result<Self, Mistakes> {
        let general = General::read(&givens, &mut mistakes);
        let attach = Attach::read(&givens, &mut mistakes);
        let alerts = Alerts::read(&givens, &mut mistakes);
        let tekton = Tekton::read(&givens, &mut mistakes);
        if let Some(general) = &general {
            general.check(&givens, &mut mistakes);
        }
        match (general, attach, alerts, tekton) {
            (Some(general), Some(attach), Some(alerts), Some(tekton)) if mistakes.is_empty() => {
                Ok(Self {
                    general,
                    attach,
                    alerts,
                    tekton,
                    secrets: Secrets::default(),
                    givens,
                    reload_error: None,
                })
            }
            _ => Err(Mistakes::new(mistakes)),
        }
    }

    /// Reads the files of secrets.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn with_secrets(mut self) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        if let Some(path) = &self.general.token_file {
            match Tokens::read(path) {
                Ok(tokens) => self.secrets.tokens = tokens,
                Err(what) => mistakes.push(Mistake::in_file(path, what)),
            }
        }
        if let Some(path) = &self.alerts.webhook_secret_file {
            let secret = secrets::read_one(path).and_then(|secret| {
                Keys::read(secret.reveal()).map_err(|error| error.to_string())?;
                Ok(secret)
            });
            match secret {
                Ok(secret) => self.secrets.webhook = Some(secret),
                Err(what) => mistakes.push(Mistake::in_file(path, what)),
            }
        }
        if mistakes.is_empty() {
            Ok(self)
        } else {
            Err(Mistakes::new(mistakes))
        }
    }
}

#[cfg(test)]
impl Settings {
    /// Defaults but for what is given, by path: what tests of other parts start from.
    pub(crate) fn with(given: &[(&str, &str)]) -> Self {
        let mut givens = Givens::default();
        for (path, text) in given {
            let key = keys().find(|key| key.path() == *path).unwrap();
            let source = Source::Flag { name: key.flag() };
            givens.note(
                key,
                given::Given {
                    words: key.words(text),
                    source,
                },
            );
        }
        Self::read(givens, Vec::new())
            .and_then(Self::with_secrets)
            .unwrap()
    }
}

impl General {
    /// What no single key can know to be wrong.
    fn check(&self, givens: &Givens, mistakes: &mut Vec<Mistake>) {
        if !self.listen.ip().is_loopback() && self.token_file.is_none() {
            let what = format!(
                "listen: {} is no loopback address, and without a token anybody who reaches it could read everything; \
                 give 127.0.0.1:PORT or [::1]:PORT, or a token_file (--token-file)",
                self.listen
            );
            let source = keys()
                .find(|key| key.path() == "listen")
                .map(|key| givens.get(key).source);
            mistakes.extend(source.map(|source| Mistake::at(&source, what)));
        }
    }
}

/// Where a process is told what to do: read again at each reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The flags that every command takes.
    pub(crate) everywhere: Flags<true>,
    /// The flags of `serve`.
    pub(crate) serving: Flags<false>,
    /// The file that `--config` names.
    pub(crate) file: Option<PathBuf>,
    /// The variables.
    pub(crate) environment: Environment,
}

impl Sources {
    /// Reads them all, strongest first. The files of secrets are not opened.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn read(&self) -> Result<Settings, Mistakes> {
        let (givens, mistakes) = self.givens();
        Settings::read(givens, mistakes)
    }

    /// Where a client finds its supervisor: read as far as that takes, and no further. Whatever else is wrong, in a
    /// file above all, is the supervisor's business.
    ///
    /// # Errors
    /// What is wrong with the directory's name, or with a file that was named and does not give one.
    pub(crate) fn run_dir(&self) -> Result<PathBuf, Mistakes> {
        let (mut givens, mut mistakes) = (Givens::default(), Vec::new());
        let Some(key) = keys().find(|key| key.path() == "run_dir") else {
            return Ok(run_dir::DEFAULT.into());
        };
        self.everywhere.note(&mut givens);
        self.environment.note(&mut givens, &mut Vec::new());
        if givens.get(key).source == Source::Default {
            let (path, named) = self.file();
            file::note(&path, named, &mut givens, &mut mistakes);
            // Only where its file was named must a client not go to another supervisor by mistake.
            if !named || givens.get(key).source != Source::Default {
                mistakes.clear();
            }
        }
        match givens.read(key, &mut mistakes) {
            Some(run_dir) if mistakes.is_empty() => Ok(run_dir),
            _ => Err(Mistakes::new(mistakes)),
        }
    }

    /// The configuration file, and whether somebody named it.
    fn file(&self) -> (PathBuf, bool) {
        let named = self.file.clone().or_else(|| self.environment.config_file());
        let is_named = named.is_some();
        (named.unwrap_or_else(|| file::DEFAULT.into()), is_named)
    }

    /// What they give, and what is wrong with it.
    pub(crate) fn givens(&self) -> (Givens, Vec<Mistake>) {
        let (mut givens, mut mistakes) = (Givens::default(), Vec::new());
        self.everywhere.note(&mut givens);
        self.serving.note(&mut givens);
        self.environment.note(&mut givens, &mut mistakes);
        let (path, named) = self.file();
        file::note(&path, named, &mut givens, &mut mistakes);
        (givens, mistakes)
    }
}

/// The name that was perhaps meant.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let likeness = |known: &String| {
        // `webhook` is near `alerts.webhook`, though it has little of its letters.
        let last = known.rsplit('.').next().unwrap_or(known);
        strsim::jaro_winkler(name, known).max(strsim::jaro_winkler(name, last))
    };
    known
        .map(|known| (likeness(&known), known))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
