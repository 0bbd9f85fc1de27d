//! `diogenes doctor --tekton`: what of Tekton works right now, against the programs that run, and what mends the rest.
//!
//! Nothing is written, and nobody is told anything: files are read, registries are asked, and one companion is asked
//! how it is, in the way aish would ask it.

mod aish;
mod files;
mod registries;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::api::view::{ContainerView, StatusView};
use crate::config::Settings;
use crate::doctor::check::{Check, Status};
use crate::doctor::running::{self, Running};
use crate::tekton::here;
use diogenes_engine::ContainerState;
use diogenes_tekton::Address;

/// Looks and judges.
pub(super) async fn checks(settings: &Settings) -> Vec<Check> {
    let running = Running::look(&settings.general.run_dir).await;
    let mut supervisor = running::judge(&running);
    if !running.is_live() {
        // For attending, that none runs yet is nothing to mend.
        supervisor.status = Status::Failed;
        supervisor.advice = Some("start one with: diogenes serve".into());
    }
    let mut checks = vec![supervisor];
    let status = match &running {
        Running::Live { status, .. } => Some(&**status),
        _ => None,
    };
    let tekton = Tekton::of(settings, status);
    let root = tekton.root.as_deref();
    let (aish, hermes, ergon, files) = tokio::join!(
        aish::checks(root, status),
        registries::hermes(tekton.hermes.as_ref(), &settings.general.run_dir, status),
        registries::ergon(tekton.ergon.as_ref()),
        files::checks(root, listen(settings, status)),
    );
    checks.extend(aish);
    checks.push(hermes);
    checks.push(ergon);
    checks.extend(files);
    checks
}

/// Where Tekton's files and programs are.
struct Tekton {
    root: Option<PathBuf>,
    hermes: Option<Address>,
    ergon: Option<Address>,
}

impl Tekton {
    /// Where the supervisor that runs finds them, whatever it was started with; else where one would.
    fn of(settings: &Settings, status: Option<&StatusView>) -> Self {
        let running = status.map(|status| status.supervisor.tekton.clone());
        let running = running.unwrap_or_default();
        let own = settings.tekton.clone();
        let read = |text: Option<String>| Address::parse(&text?).ok();
        Self {
            root: running.root.or(own.root),
            hermes: read(running.hermes).or(own.hermes),
            ergon: read(running.ergon).or(own.ergon),
        }
    }
}

/// Where the supervisor is reached: the one that runs, else the one that would.
fn listen(settings: &Settings, status: Option<&StatusView>) -> SocketAddr {
    let running = status.and_then(|status| status.supervisor.listen.parse().ok());
    here(running.unwrap_or(settings.general.listen))
}

/// The containers that Tekton is told of.
fn told(status: &StatusView) -> impl Iterator<Item = &ContainerView> {
    let is_told = |container: &&ContainerView| {
        let is_wanted = container
            .policy
            .as_ref()
            .is_some_and(|policy| policy.wanted);
        let is_up = ContainerState::from_word(&container.container_state).is_up();
        is_up && (is_wanted || container.via.is_some())
    };
    status.containers.iter().filter(is_told)
}

/// Some names, and how many there are beside them.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1 companion`, `2 companions`.
fn companions(number: usize) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} companion{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_told_by_their_number() {
        assert_eq!(some_of(&["a"]), "a");
        assert_eq!(some_of(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
        assert_eq!(
            (companions(1), companions(2)),
            ("1 companion".into(), "2 companions".into())
        );
    }
}
